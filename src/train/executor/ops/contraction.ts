/** Products of matrices. Weights lie as `[inputs, outputs]`. */
import * as E from 'fp-ts/lib/Either.js'
import * as ir from '../../../ir/ops/index.ts'
import { sizeOf } from '../../../ir/type.ts'
import { onnxOrder } from '../layout.ts'
import { given, type Lowering, lowering, operand, weight } from '../lowering.ts'
import { aligned } from '../broadcasting.ts'

const plain = onnxOrder(2)
const swapped = [1, 0]

const gemm = lowering(ir.Gemm, (site) => {
  const k = site.ops
  const { alpha, beta, transA, transB } = site.attrs
  const hasC = Boolean(site.node.inputs[2]) && beta !== 0
  const c = hasC ? aligned(site, 2, plain) : undefined
  return E.right({
    reads: [
      operand(transA === 0 ? plain : swapped),
      weight(transB === 0 ? plain : swapped),
      ...(c === undefined ? [] : [{ ...c.read, as: 'weight' as const, layout: onnxOrder(site.shapeOf(2).length) }]),
    ],
    gives: [plain],
    splits: [0, 1],
    sums: true,
    run: (inputs) => {
      const [a, b] = [given(inputs, 0), given(inputs, 1)]
      const product = k.matMul(a, b)
      const y = alpha === 1 ? product : k.affine(product, alpha, 0)
      const term = c && c.into(given(inputs, 2))
      return {
        outputs: [term === undefined ? y : k.add(y, beta === 1 ? term : k.affine(term, beta, 0))],
        gradient: ([dy], wanted, [otherA = a, otherB = b]) => {
          if (dy === undefined) return []
          const scaled = alpha === 1 ? dy : k.affine(dy, alpha, 0)
          const bias = beta === 1 ? dy : k.affine(dy, beta, 0)
          return [
            wanted[0] ? k.matMul(scaled, otherB, false, true) : undefined,
            wanted[1] ? k.matMul(otherA, scaled, true) : undefined,
            wanted[2] ? c?.back(bias) : undefined,
          ]
        },
      }
    },
  })
})

/** One matrix product where the right operand is a matrix: the leading axes of the left one are rows. */
const matMul = lowering(ir.MatMul, (site) => {
  const k = site.ops
  const [left, right] = [site.shapeOf(0), site.shapeOf(1)]
  if (left.length < 2 || right.length < 2) return E.left('MatMul of a vector')
  const output = site.outputShape()
  const reads = [weight(onnxOrder(left.length)), weight(onnxOrder(right.length))]
  if (right.length === 2) {
    const [inner = 1, columns = 1] = right
    const rows = sizeOf(left) / inner
    return E.right({
      reads,
      gives: [onnxOrder(output.length)],
      splits: [0, 1],
      sums: true,
      run: (inputs) => {
        const [a, b] = [k.reshape(given(inputs, 0), [rows, inner]), given(inputs, 1)]
        return {
          outputs: [k.reshape(k.matMul(a, b), output)],
          saved: [a],
          gradient: ([dy], wanted, [otherA, otherB = b]) => {
            const flat = dy && k.reshape(dy, [rows, columns])
            const x = otherA === undefined ? a : k.reshape(otherA, [rows, inner])
            return [
              flat && wanted[0] ? k.reshape(k.matMul(flat, otherB, false, true), left) : undefined,
              flat && wanted[1] ? k.matMul(x, flat, true) : undefined,
            ]
          },
        }
      },
    })
  }
  const batch = output.slice(0, -2)
  const same = (shape: ReadonlyArray<number>): boolean =>
    shape.length === output.length && batch.every((size, a) => size === shape[a])
  if (!same(left) || !same(right)) return E.left('MatMul that broadcasts its leading axes')
  const stacked = (shape: ReadonlyArray<number>): ReadonlyArray<number> => [sizeOf(batch), ...shape.slice(-2)]
  return E.right({
    reads,
    gives: [onnxOrder(output.length)],
    run: (inputs) => {
      const [a, b] = [k.reshape(given(inputs, 0), stacked(left)), k.reshape(given(inputs, 1), stacked(right))]
      return {
        outputs: [k.reshape(k.matMul(a, b), output)],
        saved: [a, b],
        gradient: ([given], wanted) => {
          const dy = given && k.reshape(given, stacked(output))
          return [
            dy && wanted[0] ? k.reshape(k.matMul(dy, b, false, true), left) : undefined,
            dy && wanted[1] ? k.reshape(k.matMul(a, dy, true), right) : undefined,
          ]
        },
      }
    },
  })
})

export const contractions: ReadonlyArray<Lowering> = [gemm, matMul]
