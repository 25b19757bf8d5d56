/** Resampling of images, as one matrix for each axis, taken from the operators' reference evaluation. */
import * as E from 'fp-ts/lib/Either.js'
import { numbersOf } from '../../../ir/evaluate.ts'
import { constantContext } from '../../../ir/interpret.ts'
import type { OpDef } from '../../../ir/op.ts'
import * as ir from '../../../ir/ops/index.ts'
import { integersOf, materialize, type Tensor as Constant, tensorOf } from '../../../ir/tensor.ts'
import { layoutOr, type Lowering, lowering, oneToOne, fixed, type Site } from '../lowering.ts'
import { mapping, type Picking } from '../picking.ts'
import { storedAxis } from '../layout.ts'

/**
 * The matrix of one axis: a batch of one-hot vectors along it, constant along the others, is resampled; every output
 * index holds its weights of them.
 */
const matrixAlong = <A>(op: OpDef<string, A>, site: Site<A>, axis: number): Float32Array | undefined => {
  const shape = site.shapeOf(0)
  const size = shape[axis] ?? 1
  const basis = [size, 1, ...shape.slice(2)]
  const inner = basis.slice(axis + 1).reduce((n, d) => n * d, 1)
  const block = basis.slice(1).reduce((n, d) => n * d, 1)
  const values = new Float32Array(size * block)
  for (let b = 0; b < size; b++) {
    for (let i = 0; i < block; i++) if (Math.floor(i / inner) % size === b) values[b * block + i] = 1
  }
  const inputs = site.node.inputs.map((name, port): Constant | undefined =>
    name === '' ? undefined : port === 0 ? tensorOf('float32', basis, values) : forBasis(site, port, size),
  )
  const ctx = constantContext({ opsets: new Map([['', site.opset]]) }, site.node, inputs)
  const result =
    ctx &&
    op.evaluate?.(
      { ...ctx, attrs: site.attrs, node: site.node },
      inputs.map((t) => t && materialize(t)),
    )?.[0]
  if (result === undefined) return undefined
  const [rows = 1] = [result.shape[axis]]
  const numbers = numbersOf(result)
  const outputInner = result.shape.slice(axis + 1).reduce((n, d) => n * d, 1)
  const outputBlock = result.shape.slice(1).reduce((n, d) => n * d, 1)
  const matrix = new Float32Array(rows * size)
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < size; i++) matrix[o * size + i] = numbers[i * outputBlock + o * outputInner] ?? 0
  }
  return matrix
}

/** Constant operands as they are, but sizes that list batch and channels ask for those of the basis. */
const forBasis = (site: Site<unknown>, port: number, size: number): Constant | undefined => {
  const tensor = site.constant(port)
  const isSizes = port === 3 && tensor?.shape[0] === site.shapeOf(0).length
  const sizes = isSizes ? integersOf(tensor) : undefined
  return sizes === undefined ? tensor : tensorOf('int64', [sizes.length], [size, 1, ...sizes.slice(2)])
}

const resampling = <Name extends string, A>(op: OpDef<Name, A>): Lowering =>
  lowering(op, (site) => {
    const [from, to] = [site.shapeOf(0), site.outputShape()]
    const computed = site.node.inputs.some((name, port) => port > 0 && name !== '' && site.constant(port) === undefined)
    if (computed) return E.left(`${op.name} to computed sizes`)
    if (from[0] !== to[0] || from[1] !== to[1]) return E.left(`${op.name} of batch or channels`)
    const layout = layoutOr(site, 0)
    const maps: Picking[] = []
    for (let axis = 2; axis < from.length; axis++) {
      const matrix = matrixAlong(op, site, axis)
      if (matrix === undefined) return E.left(`${op.name} in a mode without reference evaluation`)
      maps.push(mapping(site.ops, storedAxis(axis, layout), from[axis] ?? 1, to[axis] ?? 1, matrix))
    }
    return E.right(
      oneToOne(
        layout,
        layout,
        (x) => maps.reduce((y, map) => map.pick(y), x),
        (dy) => maps.reduceRight((dx, map) => map.back(dx), dy),
        [fixed, fixed, fixed],
      ),
    )
  })

export const resamplings: ReadonlyArray<Lowering> = [resampling(ir.Resize), resampling(ir.Upsample)]
