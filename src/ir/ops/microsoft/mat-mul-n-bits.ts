import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../../attributes.ts'
import { bitsOf, byteLength, type DType, isFloat } from '../../dtype.ts'
import { numbersOf } from '../../evaluate.ts'
import { bytesOfRows, integersIn, viewed } from '../../families/packed-rows.ts'
import { changesBias, otherOperands, rebiased, shrinkContraction } from '../../families/rebuild.ts'
import { gatherOperands, replaceOperands } from '../../gather-operands.ts'
import { tensorInput } from '../../infer.ts'
import { countOf, inputShape, outputShape, sameIndex } from '../../links.ts'
import { makeNode } from '../../make-node.ts'
import {
  type AxisLink,
  type Contraction,
  defineOp,
  type Naming,
  type NodeContext,
  type Rebuilding,
  type Rewrite,
} from '../../op.ts'
import { elements, gather, type Held, materialize, type Tensor, tensorOf } from '../../tensor.ts'
import { isStatic, sizeOf, tensorType } from '../../type.ts'
import { Add } from '../add.ts'

interface MatMulNBitsAttributes {
  readonly K: number | undefined
  readonly N: number | undefined
  readonly bits: number
  readonly block_size: number | undefined
  /** 4 lets a runtime round the input to integers, by blocks. */
  readonly accuracy_level: number
  readonly weight_prepacked: number
}

const weightPort = 1
const scalePort = 2
const zeroPort = 3
const orderPort = 4
const biasPort = 5

/** The smallest block that runtimes have. */
const leastBlock = 16

const integerTypes: ReadonlyMap<number, DType> = new Map([
  [2, 'uint2'],
  [4, 'uint4'],
  [8, 'uint8'],
])

/** Sizes that the attributes say, as far as this is a case that is looked into: no order of inputs, nothing packed for a machine. */
interface Sizes {
  readonly inputs: number
  readonly outputs: number
  readonly block: number
  readonly dtype: DType
}

const sizesOf = ({ attrs, node }: NodeContext<MatMulNBitsAttributes>): Sizes | undefined => {
  const { K, N, block_size: block, bits, weight_prepacked } = attrs
  const dtype = integerTypes.get(bits)
  if (K === undefined || N === undefined || block === undefined || dtype === undefined) return undefined
  const isBlock = block >= leastBlock && Number.isInteger(Math.log2(block))
  if (!isBlock || weight_prepacked !== 0 || node.inputs[orderPort]) return undefined
  return { inputs: K, outputs: N, block, dtype }
}

/** The weight `[N, K]`; undefined where it is computed, or its parts do not fit. */
const weightOf = (
  ctx: NodeContext<MatMulNBitsAttributes>,
  [bytes, scales, zeros]: ReadonlyArray<Tensor | undefined>,
): Held | undefined => {
  const sizes = sizesOf(ctx)
  if (sizes === undefined || bytes === undefined || scales === undefined) return undefined
  const { inputs, outputs, block, dtype } = sizes
  const blocks = Math.ceil(inputs / block)
  const zero = zeros === undefined ? middleOf(dtype) : zerosOf(zeros, dtype, outputs, blocks)
  const isWhole = bytes.dtype === 'uint8' && sizeOf(bytes.shape) * 8 === outputs * blocks * block * ctx.attrs.bits
  if (!isWhole || !isFloat(scales.dtype) || sizeOf(scales.shape) !== outputs * blocks || zero === undefined)
    return undefined
  return {
    tag: 'Held',
    dtype: scales.dtype,
    shape: [outputs, inputs],
    stored: integersIn(bytes, dtype, outputs, inputs),
    scale: viewed(scales, scales.dtype, [outputs, blocks]),
    zero,
    axis: 1,
    block,
  }
}

const middleOf = (dtype: DType): Tensor => tensorOf(dtype, [], [2 ** (bitsOf(dtype) - 1)])

/** What stands for zero in each block: packed like the weight, or numbers, of which only integers can be written as a weight. */
const zerosOf = (zeros: Tensor, dtype: DType, outputs: number, blocks: number): Tensor | undefined => {
  if (zeros.dtype === 'uint8') {
    const fits = sizeOf(zeros.shape) === outputs * byteLength(dtype, blocks)
    return fits ? integersIn(zeros, dtype, outputs, blocks) : undefined
  }
  const fits = isFloat(zeros.dtype) && sizeOf(zeros.shape) === outputs * blocks
  if (!fits) return undefined
  const isHeld = Array.from(elements(zeros), Number).every((z) => z === elements(tensorOf(dtype, [], [z]))[0])
  return isHeld ? viewed(zeros, zeros.dtype, [outputs, blocks]) : undefined
}

const constantWeight = (ctx: NodeContext<MatMulNBitsAttributes>): Held | undefined => {
  const parts = [weightPort, scalePort, zeroPort].map((port) => ctx.constant(port))
  return ctx.node.inputs[zeroPort] && parts[2] === undefined ? undefined : weightOf(ctx, parts)
}

const contraction = (ctx: NodeContext<MatMulNBitsAttributes>): Contraction | undefined => {
  const [a, y] = [inputShape(ctx, 0), outputShape(ctx)]
  if (a === undefined || y === undefined) return undefined
  const weight = constantWeight(ctx)
  if (weight === undefined) return undefined
  const isBiased = Boolean(ctx.node.inputs[biasPort])
  const bias = ctx.constant(biasPort)
  // A computed one goes with the outputs, if it is known to be as long.
  if (isBiased && bias === undefined && !isStatic(inputShape(ctx, biasPort)?.[0])) return undefined
  const values = bias && numbersOf(materialize(bias))
  const isRounded = ctx.attrs.accuracy_level >= 4
  return {
    port: 0,
    axis: a.length - 1,
    outputAxis: y.length - 1,
    weightPort,
    weight,
    // What is rounded by blocks is known of zeros only.
    ...(isRounded ? { counts: (x: number) => (x === 0 ? 0 : NaN) } : {}),
    weightOutputAxis: 0,
    weightInputAxis: 1,
    groups: 1,
    grouped: 'input',
    uniform: true,
    pointwise: true,
    sampling: [],
    payable: !isBiased || values !== undefined,
    missed: (keeps) => missedBy(weight, isRounded, keeps),
    bias: (o) => (isBiased ? values?.[o] : 0),
    biasSize: (o) => (isBiased ? Math.abs(values?.[o] ?? Infinity) : 0),
    scale: 1,
    rebuild: (change, names) => rebuild(ctx, weight, bias, change, names),
  }
}

/**
 * Inputs that have to come back so that the others are blocks of one scale each: blocks go as a whole, or smaller ones where that
 * lets more go, but for the last. Where inputs are rounded by blocks, blocks have to be the same as before.
 */
const missedBy = (
  { shape, block = leastBlock }: Held,
  isRounded: boolean,
  keeps: (input: number) => boolean,
): ReadonlyArray<number> => {
  const [, inputs = 0] = shape
  const starts = Array.from({ length: Math.ceil(inputs / block) }, (_, b) => b * block)
  const parts = starts.map((start) => {
    const all = Array.from({ length: Math.min(block, inputs - start) }, (_, k) => start + k)
    return { kept: all.filter(keeps).length, gone: all.filter((i) => !keeps(i)), size: all.length }
  })
  const last = parts.findLastIndex(({ kept }) => kept > 0)
  let least: ReadonlyArray<number> | undefined
  for (let size = block; size >= (isRounded ? block : leastBlock); size /= 2) {
    const back = parts.flatMap(({ kept, gone, size: whole }, b) => {
      if (kept === 0 || (b === last && !isRounded)) return []
      return gone.slice(0, Math.min(whole, Math.ceil(kept / size) * size) - kept)
    })
    if (least === undefined || back.length < least.length) least = back
  }
  return least ?? []
}

/** The bytes of a weight's integers, `[N, blocks, bytes]`. */
const bytesOf = ({ stored, shape, block = leastBlock }: Held): Tensor => {
  const [outputs = 0, inputs = 0] = shape
  const [blocks, width] = [Math.ceil(inputs / block), byteLength(stored.dtype, block)]
  return viewed(bytesOfRows(stored, blocks * width), 'uint8', [outputs, blocks, width])
}

const rebuild = (
  ctx: NodeContext<MatMulNBitsAttributes>,
  weight: Held,
  bias: Tensor | undefined,
  change: Rebuilding,
  names: Naming,
): E.Either<string, Rewrite> => {
  const { weight: made } = change
  if (made.tag !== 'Held') return E.left('its weight is kept as integers, which cannot hold others')
  const [outputs = 0, inputs = 0] = made.shape
  const block = made.block ?? leastBlock
  const blocks = Math.ceil(inputs / block)
  const operands = otherOperands(ctx, change, [weightPort, scalePort, zeroPort, biasPort])
  const [oldScales, oldZeros] = [ctx.constant(scalePort), ctx.constant(zeroPort)]
  if (made.stored !== weight.stored) operands.set(weightPort, bytesOf(made))
  const flat = (count: number, isFlat: boolean): ReadonlyArray<number> =>
    isFlat ? [outputs * count] : [outputs, count]
  if (made.scale !== undefined && made.scale !== weight.scale) {
    operands.set(scalePort, viewed(made.scale, made.scale.dtype, flat(blocks, oldScales?.shape.length === 1)))
  }
  if (made.zero !== undefined && oldZeros !== undefined && made.zero !== weight.zero) {
    const isPacked = oldZeros.dtype === 'uint8'
    const width = isPacked ? byteLength(made.zero.dtype, blocks) : blocks
    const rows = isPacked ? bytesOfRows(made.zero, width) : made.zero
    operands.set(zeroPort, viewed(rows, rows.dtype, flat(width, oldZeros.shape.length === 1)))
  }
  const attrs = { ...ctx.attrs, K: inputs, N: outputs, block_size: block }
  const node = { ...ctx.node, ...change.node, attrs }
  const isBiased = Boolean(ctx.node.inputs[biasPort])
  const kept = bias && change.outputs ? gather(bias, 0, change.outputs) : bias
  if (!changesBias(change, isBiased)) {
    if (kept !== undefined && kept !== bias) operands.set(biasPort, kept)
    return E.right(replaceOperands(node, operands, names))
  }
  if (isBiased && kept === undefined) return E.left('its bias is computed')
  const values = kept && numbersOf(materialize(kept))
  const next = rebiased(outputs, (at) => values?.[at] ?? 0, change, weight.dtype)
  if (E.isLeft(next)) return next
  const added = tensorOf(weight.dtype, [outputs], next.right)
  if (isBiased) return E.right(replaceOperands(node, new Map([...operands, [biasPort, added]]), names))
  // Not all runtimes have a bias in the operator.
  const product = names.fresh(`${node.outputs[0] ?? ''}_product`)
  const rebuilt = replaceOperands({ ...node, outputs: [product] }, operands, names)
  const name = names.fresh(`${ctx.node.inputs[weightPort] ?? ''}_bias`)
  return E.right({
    nodes: [...rebuilt.nodes, makeNode(Add, [product, name], node.outputs)],
    constants: new Map([...rebuilt.constants, [name, added]]),
  })
}

/**
 * `A · Wᵀ + bias` with a weight `[N, K]` of 2, 4 or 8 bits, each block of `block_size` inputs with its own scale and zero. Ports: A,
 * W's bytes `[N, blocks, bytes]`, scales, zeros (absent: the middle of the range), an order of inputs, bias.
 */
export const MatMulNBits = defineOp<'com.microsoft.MatMulNBits', MatMulNBitsAttributes>({
  name: 'com.microsoft.MatMulNBits',
  versions: [1, 1],
  schema: {
    K: optionalInt,
    N: optionalInt,
    bits: int(4),
    block_size: optionalInt,
    accuracy_level: int(0),
    weight_prepacked: int(0),
  },
  mixesTypes: true,
  inferTypes: (ctx) => {
    const a = tensorInput(ctx, 0)
    if (E.isLeft(a)) return a
    const { dtype, shape } = a.right
    const { K, N } = ctx.attrs
    if (K === undefined || N === undefined) return E.left('K or N is missing')
    const width = shape?.at(-1)
    if (shape?.length === 0 || (isStatic(width) && width !== K))
      return E.left(`A has ${width} columns, the weight ${K}`)
    return E.right([tensorType(dtype, shape && [...shape.slice(0, -1), N])])
  },
  links: (ctx) => {
    const a = inputShape(ctx, 0)
    if (a === undefined || contraction(ctx) === undefined) return 'opaque'
    const links: AxisLink[] = []
    a.slice(0, -1).forEach((size, axis) => isStatic(size) && links.push(sameIndex(0, axis, 0, axis)))
    const isComputed = ctx.node.inputs[biasPort] && ctx.constant(biasPort) === undefined
    if (isComputed) links.push(sameIndex(biasPort, 0, 0, a.length - 1))
    return links
  },
  contraction,
  // Also where the input is of unknown shape.
  integers: (ctx) => {
    const held = constantWeight(ctx)
    return held === undefined ? [] : [{ port: weightPort, packed: { held, store: bytesOf } }]
  },
  shrink: (s) => {
    const c = contraction(s)
    return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
  },
  evaluate: (ctx, [a, bytes, scales, zeros, , bias]) => {
    const weight = weightOf(ctx, [bytes, scales, zeros])
    if (a === undefined || weight === undefined) return undefined
    const [outputs = 0, inputs = 0] = weight.shape
    const [x, w, b] = [numbersOf(a), numbersOf(materialize(weight)), bias && numbersOf(bias)]
    const rows = sizeOf(a.shape.slice(0, -1))
    const y = new Float64Array(rows * outputs)
    for (let at = 0; at < y.length; at++) {
      const [m, n] = [Math.floor(at / outputs) * inputs, (at % outputs) * inputs]
      let sum = b?.[at % outputs] ?? 0
      for (let k = 0; k < inputs; k++) sum += (x[m + k] ?? 0) * (w[n + k] ?? 0)
      y[at] = sum
    }
    return [tensorOf(a.dtype, [...a.shape.slice(0, -1), outputs], y)]
  },
  macs: (ctx) => countOf(outputShape(ctx)) * (ctx.attrs.K ?? 0),
})
