/**
 * Known values: tensors that are the same for every input of the model, also where they differ from position to position, as
 * a constant does that met padding. Computed forwards by the operators' reference evaluation.
 */
import { fixedNames, memoized, usersOf } from '../ir/analysis.ts'
import { bitsOf, byteLength, isFloat } from '../ir/dtype.ts'
import { stridesOf } from '../ir/evaluate.ts'
import { strided } from '../ir/families/movement.ts'
import type { Graph } from '../ir/graph.ts'
import { constantContext, evaluateNode } from '../ir/interpret.ts'
import { precisionOf } from '../ir/numerics.ts'
import type { Contraction, Node, NodeContext, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { copyElements, type Dense, isNumeric, materialize, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sizeOf, staticShape } from '../ir/type.ts'
import {
  type Approximation,
  contractionVariances,
  elementCost,
  type Errors,
  evaluateMoved,
  evaluationsMoved,
  judged,
  linkedAlike,
  singleShape,
} from './approximate.ts'
import { channelConstants, type Constants } from './channel-elimination/constants.ts'
import type { PatternFact } from './channel-elimination/patterns.ts'
import { ownAxesOf } from './channel-elimination/views.ts'
import { workFor } from './effort.ts'
import { negligibleGrowth } from './growth.ts'

/** A value that no input changes. */
export interface KnownValue {
  /** What it holds, with size 1 along every axis along which all its slices are equal; symbolic axes are such. */
  readonly tensor: Dense
  /** About how far what a runtime computes is from it: the root mean square over the elements, in absolute terms. */
  readonly error: number
  /** Whether all channels along one of its axes are given, so that channel elimination knows it too. */
  readonly isChannelwise: boolean
}

export interface KnownValues {
  /** Whether a computed value is known. */
  readonly has: (value: ValueId) => boolean
  /** The known values that something else than the nodes that compute known values reads. */
  readonly read: ReadonlyMap<ValueId, KnownValue>
}

/**
 * The most that evaluating a graph's known values may cost, in multiply-accumulates: 4·10⁹, seconds to some twenty, and less for
 * a small model ({@link workFor}). What would cost more is not known. The evaluation of an element costs as much as
 * {@link elementCost} of them.
 */
export const workLimit = 4e9

/** The most bytes of known values that are held at one time. */
export const memoryLimit = 64 * 2 ** 20

/**
 * The known values of a graph. A value is known when all inputs of its node are, or when all its channels are given.
 * Along a symbolic axis a known value is held once, since it is the same at every index ({@link linkedAlike}).
 */
export const knownValues = memoized((graph): KnownValues =>
  evaluateKnown(graph, Math.min(workLimit, workFor(graph)), memoryLimit),
)

/** {@link knownValues} at a cost of up to `work` multiply-accumulates and `memory` bytes. */
export const evaluateKnown = (graph: Graph, work: number, memory: number): KnownValues => {
  const constants = channelConstants(graph)
  const names = new Set<ValueId>()
  const held = new Map<ValueId, KnownValue>()
  const unread = new Map<ValueId, number>()
  const links = linkedAlike(graph)
  let [workLeft, memoryLeft] = [work, memory]
  for (const node of graph.nodes) {
    const seeds = node.outputs.map((output) => givenValue(graph, output, constants))
    const isSeeded = node.outputs.every((output, k) => output === '' || seeds[k] !== undefined)
    const plan = isSeeded ? undefined : planOf(graph, node, held, links, memoryLeft)
    const isAffordable = plan !== undefined && plan.work <= workLeft
    if (isAffordable) workLeft -= plan.work
    const computed = isAffordable ? plan.compute() : undefined
    let isKnown = true
    for (const [k, output] of node.outputs.entries()) {
      if (output === '') continue
      const value = seeds[k] ?? computed?.[k]
      const bytes = value?.tensor.bytes.byteLength ?? 0
      if (value === undefined || bytes > memoryLeft) {
        isKnown = false
        continue
      }
      memoryLeft -= bytes
      names.add(output)
      held.set(output, value)
      // Constants of channels are small and known without an evaluation: they are kept.
      if (seeds[k] === undefined || bytes > negligibleGrowth)
        unread.set(output, usersOf(graph).get(output)?.length ?? 0)
    }
    if (!isKnown) continue
    for (const input of new Set(node.inputs)) {
      const left = unread.get(input)
      if (left === undefined) continue
      unread.set(input, left - 1)
      if (left > 1 || fixedNames(graph).has(input)) continue
      memoryLeft += held.get(input)?.tensor.bytes.byteLength ?? 0
      held.delete(input)
    }
  }
  return { has: (value) => names.has(value), read: held }
}

/** A float value of which every channel along one of its axes is constant or a pattern. */
const givenValue = (graph: Graph, value: ValueId, constants: Constants): KnownValue | undefined => {
  const type = graph.types.get(value)
  const shape = singleShape(graph, value)
  if (type?.kind !== 'tensor' || shape === undefined) return undefined
  for (const [axis, size] of ownAxesOf(graph, value).entries()) {
    if (size === undefined || size === 0) continue
    const given = constants.given(value, axis)
    if (given === 0 || (given !== 1 && given.includes(0))) continue
    const found = constants.known(value, axis)
    const values = typeof found === 'number' ? Float64Array.of(found) : found
    const small = shape.map((_, a) => (a === axis ? values.length : 1))
    const tensor = tensorOf(type.dtype, small, values)
    const patterns = constants.patterns(value, axis)
    if (patterns === undefined) return { tensor, error: constants.error(value), isChannelwise: true }
    return { ...patternedValue(widened(tensor, shape), axis, patterns, constants.error(value)), isChannelwise: true }
  }
  return undefined
}

/** A value of constant channels, which are off by up to `error`, with its patterns in their places. */
const patternedValue = (
  constants: Dense,
  axis: number,
  patterns: PatternFact,
  error: number,
): Pick<KnownValue, 'tensor' | 'error'> => {
  const { dtype, shape } = constants
  const size = shape[axis] ?? 0
  const inner = sizeOf(shape.slice(axis + 1))
  const values = copyElements(constants)
  let squares = 0
  for (let channel = 0; channel < size; channel++) {
    squares += (patterns.has(channel) ? patterns.error(channel) : error) ** 2
    const slice = patterns.has(channel) ? patterns.slice(channel) : new Float64Array()
    for (let at = 0; slice.length > 0 && at < values.length / size; at++) {
      const outer = Math.floor(at / inner)
      values[(outer * size + channel) * inner + (at % inner)] = slice[at % slice.length] ?? NaN
    }
  }
  return { tensor: compact(tensorOf(dtype, shape, values)), error: Math.sqrt(squares / size) }
}

/** An evaluation that is possible, and what it costs. */
interface Plan {
  readonly work: number
  readonly compute: () => ReadonlyArray<KnownValue | undefined> | undefined
}

/** The evaluation of a node of which all inputs are known, at least one of them computed. */
const planOf = (
  graph: Graph,
  node: Node,
  held: ReadonlyMap<ValueId, KnownValue>,
  isLinkedAlike: (node: Node, computed: ReadonlyArray<number>) => boolean,
  memory: number,
): Plan | undefined => {
  const computed = [...node.inputs.keys()].filter((port) => held.has(node.inputs[port] ?? ''))
  const isOperand = (name: ValueId): boolean => name === '' || held.has(name) || graph.constants.has(name)
  if (computed.length === 0 || !node.inputs.every(isOperand) || !isLinkedAlike(node, computed)) return undefined
  const inputs: Array<Tensor | undefined> = []
  let bytes = 0
  let elementCount = 0
  for (const name of node.inputs) {
    const known = held.get(name)
    const shape = known && singleShape(graph, name)
    if (known !== undefined && shape === undefined) return undefined
    if (known !== undefined && shape !== undefined) {
      bytes += byteLength(known.tensor.dtype, sizeOf(shape))
      elementCount += sizeOf(shape)
      if (bytes > memory) return undefined
    }
    inputs.push(known && shape ? widened(known.tensor, shape) : graph.constants.get(name))
  }
  const ctx = constantContext(graph, node, inputs)
  if (ctx === undefined) return undefined
  for (const [k, output] of node.outputs.entries()) {
    if (output === '') continue
    const [type, expected] = [ctx.outputs[k], singleShape(graph, output)]
    const shape = type?.kind === 'tensor' ? staticShape(type.shape) : undefined
    if (type?.kind !== 'tensor' || shape === undefined || shape.join() !== expected?.join()) return undefined
    if (!isNumeric(type.dtype) || bitsOf(type.dtype) < 8) return undefined
    bytes += byteLength(type.dtype, sizeOf(shape))
    elementCount += sizeOf(shape)
  }
  if (bytes > memory) return undefined
  const op = opOf(node)
  const c = op.links === 'opaque' ? undefined : op.contraction?.(ctx)
  const isWeighted =
    c !== undefined &&
    computed.length === 1 &&
    computed[0] === c.port &&
    graph.constants.has(node.inputs[c.weightPort] ?? '')
  const macs =
    op.evaluationMacs?.(
      ctx,
      inputs.map((tensor) => tensor && materialize(tensor)),
    ) ??
    op.macs?.(ctx) ??
    0
  const work = macs + elementCount * elementCost
  const errors = node.inputs.map((name): Errors | undefined => {
    const error = held.get(name)?.error
    return error === undefined ? undefined : { axis: undefined, sizes: Float64Array.of(error) }
  })
  const weighted = isWeighted ? errors[c.port] : undefined
  return {
    work: weighted === undefined ? work * evaluationsMoved : work,
    compute: () =>
      (c !== undefined && weighted !== undefined
        ? contracted(graph, ctx, c, inputs, weighted)
        : evaluateMoved(graph, node, inputs, errors, undefined)
      )?.map(({ tensor, errors: { sizes } }) => {
        const error = sizes[0] ?? Infinity
        return error === Infinity ? undefined : { tensor: compact(tensor), error, isChannelwise: false }
      }),
  }
}

/** The outputs of a contraction of input `c.port`, which is off by `errors`, with constants. */
const contracted = (
  graph: Graph,
  ctx: NodeContext<unknown>,
  c: Contraction,
  inputs: ReadonlyArray<Tensor | undefined>,
  errors: Errors,
): ReadonlyArray<Approximation> | undefined => {
  const outputs = evaluateNode(graph, ctx.node, inputs)
  const [x, weight, output] = [inputs[c.port], inputs[c.weightPort], outputs?.[0]]
  if (x === undefined || weight === undefined || output === undefined || !isFloat(output.dtype)) return undefined
  const variances = contractionVariances(c, weight, materialize(x), errors, precisionOf(output.dtype).digits)
  const mean = variances.reduce((sum, variance) => sum + variance, 0) / variances.length
  return [judged(output, undefined, Float64Array.of(Math.sqrt(mean)))]
}

/** A tensor with size 1 along every axis along which all its slices are equal. */
const compact = (tensor: Dense): Dense => {
  const width = bitsOf(tensor.dtype) / 8
  let current = tensor
  for (const [axis, size] of tensor.shape.entries()) {
    if (size <= 1) continue
    const { bytes, shape } = current
    const inner = sizeOf(shape.slice(axis + 1)) * width
    if (!isUniformAlong(bytes, size, inner)) continue
    const strides = stridesOf(shape)
    const smaller = shape.map((dim, a) => (a === axis ? 1 : dim))
    current = strided(current, smaller, strides) ?? current
  }
  return current
}

/** Whether all of `size` blocks of `inner` bytes are equal, everywhere. */
const isUniformAlong = (bytes: Uint8Array, size: number, inner: number): boolean => {
  for (let start = 0; start < bytes.length; start += size * inner) {
    for (let at = start + inner; at < start + size * inner; at++) if (bytes[at] !== bytes[at - inner]) return false
  }
  return true
}

/** A compact tensor under the shape that it stands for. */
export const widened = (tensor: Dense, shape: ReadonlyArray<number>): Dense => {
  if (tensor.shape.join() === shape.join()) return tensor
  const strides = stridesOf(tensor.shape).map((stride, axis) => (tensor.shape[axis] === 1 ? 0 : stride))
  return strided(tensor, shape, strides) ?? tensor
}
