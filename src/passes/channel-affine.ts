/**
 * Channel-wise affine maps `y[.., c, ..] = scale[c] · x[.., c, ..] + shift[c]`, and folding them into the contraction
 * before or after them. All arithmetic is in double; weights are rounded once.
 */
import { fixedNames, producersOf, usersOf } from '../ir/analysis.ts'
import { type DType, isFloat } from '../ir/dtype.ts'
import { channelsOf, readsOfContraction } from '../ir/families/contraction.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import type { Contraction, Node, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Conv } from '../ir/ops/conv.ts'
import { ConvTranspose } from '../ir/ops/conv-transpose.ts'
import { Gemm } from '../ir/ops/gemm.ts'
import { isOp, makeNode, opOf } from '../ir/registry.ts'
import { keepBlocks } from '../ir/slices.ts'
import { copyElements, elements, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import type { Names, Patch, Rule } from './rewrite.ts'

/** What a node does to each channel of the value on input `port`; `scale` and `shift` have one number a channel. */
export interface ChannelAffine {
  readonly port: number
  readonly scale: Float64Array
  readonly shift: Float64Array
}

/** The affine map that `node` is along `axis` of its output, if it is one. */
export type AffineOf = (graph: Graph, node: Node, axis: number) => ChannelAffine | undefined

/** The only node that reads a value whose name is not fixed. */
export const onlyReader = (graph: Graph, value: ValueId): Node | undefined => {
  const [reader, ...others] = usersOf(graph).get(value) ?? []
  if (reader === undefined || others.length > 0 || fixedNames(graph).has(value)) return undefined
  return reader.inputs.filter((name) => name === value).length === 1 ? reader : undefined
}

/** The node that computes `value` as its only output. */
export const soleProducer = (graph: Graph, value: ValueId): Node | undefined => {
  const node = producersOf(graph).get(value)
  return node?.outputs.length === 1 ? node : undefined
}

export const contractionOf = (graph: Graph, node: Node): Contraction | undefined => {
  const c = opOf(node).contraction?.(contextOf(graph, node))
  return c !== undefined && c.weightOutputAxis < 2 && c.weightInputAxis < 2 ? c : undefined
}

/**
 * Folds an affine map after a contraction into it: `s · (W x + b) + t = (s W) x + (s b + t)`.
 *
 * Guards: nothing else reads the contraction's result and its name is not fixed, the map is along its output channels,
 * its bias is constant, and the new weights are finite. A contraction without a bias port takes a shift only together
 * with a scale, as an Add after it.
 */
export const foldAfter =
  (affineOf: AffineOf): Rule =>
  (graph, node, names) => {
    for (const value of node.inputs) {
      const linear = soleProducer(graph, value)
      const c = linear && contractionOf(graph, linear)
      if (linear === undefined || c === undefined || onlyReader(graph, value) !== node) continue
      const affine = affineOf(graph, node, c.outputAxis)
      if (affine === undefined || node.inputs[affine.port] !== value) continue
      const patch = scaleOutputs(graph, linear, c, affine, names, node)
      if (patch !== undefined) return patch
    }
    return undefined
  }

const scaleOutputs = (
  graph: Graph,
  linear: Node,
  c: Contraction,
  { scale, shift }: ChannelAffine,
  names: Names,
  node: Node,
): Patch | undefined => {
  const weight = contextOf(graph, linear).constant(c.weightPort)
  if (weight === undefined || channelsOf(weight, c).outputs !== scale.length) return undefined
  const bias = new Float64Array(scale.length)
  for (let o = 0; o < bias.length; o++) bias[o] = (c.bias(o) ?? NaN) * (scale[o] ?? NaN) + (shift[o] ?? NaN)
  const isScaled = scale.some((s) => s !== 1)
  if (!isScaled && biasPort(linear) === undefined) return undefined
  const scaled = isScaled ? scaleWeight(weight, c, { outputs: scale }) : weight
  return (
    scaled && withWeights(graph, linear, c, scaled, bias, names, { removes: [linear, node], outputs: node.outputs })
  )
}

/**
 * Folds an affine map before a contraction into it: `W (s x + t) + b = (W s) x + (b + W t)`.
 *
 * Guards: nothing else reads the map's result and its name is not fixed, the map is along the summed channels, the new
 * weights are finite; and where it shifts a channel that is read, every output position sums the same weights (no
 * padding), and the bias is constant and has a port.
 */
export const foldBefore =
  (affineOf: AffineOf): Rule =>
  (graph, node, names) => {
    const [value = ''] = node.outputs
    const linear = node.outputs.length === 1 ? onlyReader(graph, value) : undefined
    const c = linear && contractionOf(graph, linear)
    if (linear === undefined || c === undefined || linear.inputs[c.port] !== value) return undefined
    const affine = affineOf(graph, node, c.axis)
    return affine && scaleInputs(graph, linear, c, affine, names, node)
  }

const scaleInputs = (
  graph: Graph,
  linear: Node,
  c: Contraction,
  { port, scale, shift }: ChannelAffine,
  names: Names,
  node: Node,
): Patch | undefined => {
  const reads = readsOfContraction(contextOf(graph, linear), c)
  if (reads.inputs !== scale.length) return undefined
  const bias = new Float64Array(reads.outputs)
  for (let o = 0; o < reads.outputs; o++) {
    const [first, end] = reads.inputsOf(o)
    let sum = 0
    for (let i = first; i < end; i++) {
      const t = shift[i] ?? 0
      if (t === 0 || !reads.reads(o, i)) continue
      if (!c.uniform || biasPort(linear) === undefined) return undefined
      sum += t * reads.sum(o, i)
    }
    bias[o] = (c.bias(o) ?? NaN) + c.scale * sum
  }
  const scaled = scale.some((s) => s !== 1) ? scaleWeight(reads.weight, c, { inputs: scale }) : reads.weight
  const x = node.inputs[port] ?? ''
  const moved = { ...linear, inputs: linear.inputs.map((name, i) => (i === c.port ? x : name)) }
  if (scaled === undefined) return undefined
  // A bias that is not constant is in nobody's way as long as nothing is added to it.
  if (shift.every((t) => t === 0)) {
    const weight = names.replacing(linear.inputs[c.weightPort] ?? '')
    const inputs = moved.inputs.map((name, i) => (i === c.weightPort ? weight : name))
    return { removes: [node, linear], nodes: [{ ...moved, inputs }], constants: new Map([[weight, scaled]]) }
  }
  return withWeights(graph, moved, c, scaled, bias, names, { removes: [node, linear], outputs: linear.outputs })
}

/** The input port that adds a number to every output channel. */
const biasPort = (node: Node): number | undefined =>
  isOp(node, Conv) || isOp(node, ConvTranspose) || isOp(node, Gemm) ? 2 : undefined

/** `linear` with another weight and a constant bias; undefined where that is not finite. */
export const withWeights = (
  graph: Graph,
  linear: Node,
  c: Contraction,
  weight: Tensor,
  bias: Float64Array,
  names: Names,
  place: { readonly removes: ReadonlyArray<Node>; readonly outputs: ReadonlyArray<ValueId> },
): Patch | undefined => {
  const port = biasPort(linear)
  const isBiased = bias.some((b) => b !== 0)
  const weightName = linear.inputs[c.weightPort] ?? ''
  const constants = new Map<ValueId, Tensor>()
  let inputs = linear.inputs
  if (weight !== graph.constants.get(weightName)) {
    const name = names.replacing(weightName)
    constants.set(name, weight)
    inputs = inputs.map((input, i) => (i === c.weightPort ? name : input))
  }
  const patch = (nodes: ReadonlyArray<Node>): Patch => ({ removes: place.removes, nodes, constants })
  const old = port === undefined ? '' : (linear.inputs[port] ?? '')
  const attrs = isOp(linear, Gemm) ? { ...linear.attrs, beta: 1 } : linear.attrs
  if (bias.some(Number.isNaN)) return undefined
  if (!isBiased && old === '') return patch([{ ...linear, attrs, inputs, outputs: place.outputs }])
  const rank = shapeOf(contextOf(graph, linear).outputs[0])?.length
  const trailing = port === undefined && rank !== undefined ? rank - 1 - c.outputAxis : 0
  const shape = [bias.length, ...new Array<number>(trailing).fill(1)]
  const addend = finiteTensor(weight.dtype, shape, bias)
  if (addend === undefined || rank === undefined) return undefined
  const name = old === '' ? names.fresh(`${weightName}_bias`) : names.replacing(old)
  constants.set(name, addend)
  if (port !== undefined) {
    return patch([{ ...linear, attrs, inputs: [...inputs.slice(0, port), name], outputs: place.outputs }])
  }
  const product = names.fresh(`${place.outputs[0] ?? ''}_product`)
  return patch([{ ...linear, inputs, outputs: [product] }, makeNode(Add, [product, name], place.outputs)])
}

/**
 * The weight with every block `W[o, c]` multiplied by `outputs[o] · inputs[c]`, indices counted over all groups.
 * Undefined where a product is not finite.
 */
export const scaleWeight = (
  weight: Tensor,
  c: Contraction,
  factors: { readonly outputs?: Float64Array; readonly inputs?: Float64Array },
): Tensor | undefined => {
  if (!isFloat(weight.dtype)) return undefined
  const { inputsPerGroup, outputsPerGroup } = channelsOf(weight, c)
  const [rows = 0, columns = 0] = weight.shape
  const block = sizeOf(weight.shape.slice(2))
  const out = copyElements(weight)
  const rowsFirst = c.weightOutputAxis === 0
  const scale = (start: number, end: number, factor: number): void => {
    for (let k = start; k < end; k++) out[k] = (out[k] ?? NaN) * factor
  }
  for (let a = 0; a < rows; a++) {
    const start = a * columns * block
    if (rowsFirst && c.grouped === 'input' && factors.inputs === undefined) {
      scale(start, start + columns * block, factors.outputs?.[a] ?? 1)
      continue
    }
    for (let b = 0; b < columns; b++) {
      const row = rowsFirst ? a : b
      const column = rowsFirst ? b : a
      // The grouped axis counts within a group; the other one says which group that is.
      const group = c.grouped === 'input' ? Math.floor(row / outputsPerGroup) : Math.floor(column / inputsPerGroup)
      const o = c.grouped === 'input' ? row : group * outputsPerGroup + row
      const i = c.grouped === 'input' ? group * inputsPerGroup + column : column
      const factor = (factors.outputs?.[o] ?? 1) * (factors.inputs?.[i] ?? 1)
      scale(start + b * block, start + (b + 1) * block, factor)
    }
  }
  const scaled = finiteTensor(weight.dtype, weight.shape, out)
  const hasZero = factors.outputs?.includes(0) || factors.inputs?.includes(0)
  if (scaled !== undefined && !hasZero) keepBlocks(weight, scaled)
  return scaled
}

/** A tensor of `values` rounded to `dtype`; undefined where one is no number or too large for it. */
export const finiteTensor = (
  dtype: DType,
  shape: ReadonlyArray<number>,
  values: Float32Array | Float64Array,
): Tensor | undefined => {
  const tensor = tensorOf(dtype, shape, values)
  const rounded = values instanceof Float32Array ? values : elements(tensor)
  for (let i = 0; i < rounded.length; i++) if (!Number.isFinite(Number(rounded[i]))) return undefined
  return tensor
}
