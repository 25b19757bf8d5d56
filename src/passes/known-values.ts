/**
 * Known values: tensors that are the same for every input of the model, also where they differ from position to position, as
 * a constant does that met padding. Computed forwards by the operators' reference evaluation.
 */
import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, memoized, usersOf } from '../ir/analysis.ts'
import { bindInputs } from '../ir/bind.ts'
import { bitsOf, byteLength, type DType, isFloat } from '../ir/dtype.ts'
import { sameTensor } from '../ir/equal.ts'
import { numbersOf, stridesOf } from '../ir/evaluate.ts'
import { channelsOf } from '../ir/families/contraction.ts'
import { strided } from '../ir/families/movement.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { constantContext, evaluateNode } from '../ir/interpret.ts'
import { shapeOf } from '../ir/links.ts'
import { isAccurate, precisionOf } from '../ir/numerics.ts'
import type { Contraction, Node, NodeContext, ValueId } from '../ir/op.ts'
import { type Draws, drawsFrom, seededRandom } from '../ir/random.ts'
import { opOf } from '../ir/registry.ts'
import { copyElements, type Dense, isNumeric, materialize, type Tensor, tensorOf } from '../ir/tensor.ts'
import { isStatic, sizeOf, staticShape } from '../ir/type.ts'
import { axesOf, channelConstants } from './channel-elimination/analyse.ts'

/** A value that no input changes. */
export interface KnownValue {
  /** What it holds, with size 1 along every axis along which all its slices are equal; symbolic axes are such. */
  readonly tensor: Dense
  /** About how far what a runtime computes is from it: the root mean square over the elements, in absolute terms. */
  readonly error: number
  /** Whether the channels along one of its axes are constant, so that channel elimination knows it too. */
  readonly isChannelwise: boolean
}

export interface KnownValues {
  /** Whether a computed value is known. */
  readonly has: (value: ValueId) => boolean
  /** The known values that something else than the nodes that compute known values reads. */
  readonly read: ReadonlyMap<ValueId, KnownValue>
}

/**
 * The most that evaluating a graph's known values may cost, in multiply-accumulates: 4·10⁹, seconds to some twenty. What would
 * cost more is not known. The evaluation of an element costs as much as {@link elementCost} of them.
 */
export const workLimit = 4e9
const elementCost = 16

/** The most bytes of known values that are held at one time. */
export const memoryLimit = 64 * 2 ** 20

/**
 * The known values of a graph. A value is known when all inputs of its node are, or when all its channels are constant.
 *
 * Along a symbolic axis a known value is held once, since it is the same at every index. That an output then is, too, is
 * proved by the links of its operator, asked with batches of 2: where every symbolic axis of the inputs is linked, index by
 * index, with an axis of the output of the same symbol and the other way round, dropping an index leaves the rest of the
 * output unchanged, so the output of n equal slices is n times the output of one.
 *
 * What is computed here is computed in double and rounded to the type of each value. A runtime rounds more often: errors
 * are taken for independent (N. J. Higham and T. Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci.
 * Comput. 41, 2019) and followed as root mean squares, through contractions by the sums of squares of their weights, else
 * by evaluating with moved inputs. A value is known only while that is small against the root mean square of its elements,
 * and while none of them is in the tail of a function.
 */
export const knownValues = memoized((graph): KnownValues => evaluateKnown(graph, workLimit, memoryLimit))

/** {@link knownValues} at a cost of up to `work` multiply-accumulates and `memory` bytes. */
export const evaluateKnown = (graph: Graph, work: number, memory: number): KnownValues => {
  const channels = channelConstants(graph)
  const names = new Set<ValueId>()
  const held = new Map<ValueId, KnownValue>()
  const unread = new Map<ValueId, number>()
  const links = linkedAlike(graph)
  let [workLeft, memoryLeft] = [work, memory]
  for (const node of graph.nodes) {
    const seeds = node.outputs.map((output) => channelConstant(graph, output, channels))
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
      if (seeds[k] === undefined) unread.set(output, usersOf(graph).get(output)?.length ?? 0)
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

/** A float value of which every channel along one of its axes is constant. */
const channelConstant = (
  graph: Graph,
  value: ValueId,
  { known, error }: ReturnType<typeof channelConstants>,
): KnownValue | undefined => {
  const type = graph.types.get(value)
  if (type?.kind !== 'tensor' || type.shape === undefined) return undefined
  for (const [axis, size] of axesOf(graph, value).entries()) {
    const found = known(value, axis)
    const values = typeof found === 'number' ? Float64Array.of(found) : found
    if (size === undefined || size === 0 || values.some(Number.isNaN)) continue
    const shape = type.shape.map((_, a) => (a === axis ? values.length : 1))
    return { tensor: tensorOf(type.dtype, shape, values), error: error(value), isChannelwise: true }
  }
  return undefined
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
  const errors = node.inputs.map((name) => held.get(name)?.error)
  return isWeighted
    ? { work, compute: () => contracted(graph, ctx, c, inputs, errors[c.port] ?? 0) }
    : { work: work * (1 + 2 * drawCount), compute: () => moved(graph, node, inputs, errors) }
}

/** The shape of a value with size 1 along symbolic axes. */
const singleShape = (graph: Graph, value: ValueId): ReadonlyArray<number> | undefined =>
  shapeOf(graph.types.get(value))?.map((dim) => (isStatic(dim) ? dim : 1))

/**
 * Whether every symbolic axis of the computed inputs of a node and of its outputs is linked index by index with one of the
 * same symbol at the other end.
 */
const linkedAlike = (graph: Graph): ((node: Node, computed: ReadonlyArray<number>) => boolean) => {
  let bound: { readonly graph: Graph | undefined } | undefined
  const symbolsOf = (value: ValueId): ReadonlyMap<number, string> | undefined => {
    const shape = shapeOf(graph.types.get(value))
    if (shape === undefined) return undefined
    return new Map(shape.flatMap((dim, axis) => (isStatic(dim) ? [] : [[axis, dim] as const])))
  }
  return (node, computed) => {
    const inputs = computed.map((port) => ({ port, symbols: symbolsOf(node.inputs[port] ?? '') }))
    const outputs = node.outputs.flatMap((name, k) => (name === '' ? [] : [{ k, symbols: symbolsOf(name) }]))
    if (![...inputs, ...outputs].every(({ symbols }) => symbols !== undefined)) return false
    const symbolic = inputs.filter(({ symbols }) => symbols !== undefined && symbols.size > 0)
    if (symbolic.length === 0) return outputs.every(({ symbols }) => symbols?.size === 0)
    const op = opOf(node)
    bound ??= { graph: withBatchOfTwo(graph) }
    const links = bound.graph === undefined || op.links === 'opaque' ? 'opaque' : op.links(contextOf(bound.graph, node))
    if (links === 'opaque') return false
    return symbolic.every(({ port, symbols: from }) =>
      outputs.every(({ k, symbols: to }) => {
        const paired = links.filter(
          (link) =>
            link.input === port &&
            link.output === k &&
            link.from === undefined &&
            link.into === undefined &&
            from?.has(link.inputAxis) === true &&
            from.get(link.inputAxis) === to?.get(link.outputAxis),
        )
        const [inputAxes, outputAxes] = [paired.map((l) => l.inputAxis), paired.map((l) => l.outputAxis)]
        return new Set(inputAxes).size === from?.size && new Set(outputAxes).size === to?.size
      }),
    )
  }
}

/** The graph with 2 for every symbol that is the first size of an input, and usual sizes for the others. */
const withBatchOfTwo = (graph: Graph): Graph | undefined => {
  const bindings = new Map<string, number>()
  for (const { type } of graph.inputs) {
    const first = shapeOf(type)?.[0]
    if (first !== undefined && !isStatic(first)) bindings.set(first, 2)
  }
  const bound = bindInputs(graph, bindings)
  return E.isRight(bound) ? bound.right.graph : undefined
}

/** The outputs of a contraction of input `c.port`, which is off by `error`, with constants. */
const contracted = (
  graph: Graph,
  ctx: NodeContext<unknown>,
  c: Contraction,
  inputs: ReadonlyArray<Tensor | undefined>,
  error: number,
): ReadonlyArray<KnownValue | undefined> | undefined => {
  const outputs = evaluateNode(graph, ctx.node, inputs)
  const [x, weight, output] = [inputs[c.port], inputs[c.weightPort], outputs?.[0]]
  if (x === undefined || weight === undefined || output === undefined || !isFloat(output.dtype)) return undefined
  const unit = 2 ** -precisionOf(output.dtype).digits
  const variance = c.scale ** 2 * varianceOf(c, weight, materialize(x), error, unit)
  return [accurate(output, Math.sqrt(variance) + unit * rootMeanSquare(numbersOf(output)))]
}

/** The mean square, over the outputs, of errors in inputs that are off by `error` and products that are rounded by `unit`. */
const varianceOf = (c: Contraction, weight: Tensor, x: Dense, error: number, unit: number): number => {
  const values = numbersOf(materialize(weight))
  const { outputs, outputsPerGroup, inputsPerGroup } = channelsOf(weight, c)
  const [rows = 0, columns = 0, ...rest] = weight.shape
  const inner = sizeOf(rest)
  const offsets = meanSquares(x, c.axis).map((square) => error ** 2 + unit ** 2 * square)
  let sum = 0
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const [line, column] = c.weightOutputAxis === 0 ? [i, j] : [j, i]
      const channel = c.grouped === 'input' ? Math.floor(line / outputsPerGroup) * inputsPerGroup + column : column
      const start = (i * columns + j) * inner
      let squares = 0
      for (let at = start; at < start + inner; at++) squares += (values[at] ?? 0) ** 2
      sum += squares * (offsets[channel] ?? 0)
    }
  }
  return sum / outputs
}

/** Per index along an axis the mean of the squares of its slice. */
const meanSquares = (tensor: Dense, axis: number): Float64Array => {
  const values = numbersOf(tensor)
  const size = tensor.shape[axis] ?? 0
  const inner = sizeOf(tensor.shape.slice(axis + 1))
  const out = new Float64Array(size)
  for (let start = 0; start < values.length; start += inner) {
    const i = (start / inner) % size
    let sum = 0
    for (let at = start; at < start + inner; at++) sum += (values[at] ?? 0) ** 2
    out[i] = (out[i] ?? 0) + sum
  }
  return out.map((sum) => sum / (values.length / size))
}

/** How often inputs are moved at random; each time by a draw and by its opposite. */
const drawCount = 2

/** The outputs of any operator, and how far they move when its computed inputs do by what they are off by. */
const moved = (
  graph: Graph,
  node: Node,
  inputs: ReadonlyArray<Tensor | undefined>,
  errors: ReadonlyArray<number | undefined>,
): ReadonlyArray<KnownValue | undefined> | undefined => {
  const outputs = evaluateNode(graph, node, inputs)
  if (outputs === undefined) return undefined
  const changes = outputs.map(() => 0)
  const isMoved = (tensor: Tensor | undefined, port: number): tensor is Tensor =>
    tensor !== undefined && errors[port] !== undefined && isFloat(tensor.dtype)
  const draws = drawsFrom(seededRandom(drawCount, node.outputs.join()))
  for (let draw = 0; draw < (inputs.some(isMoved) ? drawCount : 0); draw++) {
    const offsets = inputs.map((tensor, port) =>
      isMoved(tensor, port) ? offsetsOf(tensor, errors[port] ?? 0, draws) : undefined,
    )
    for (const sign of [1, -1]) {
      const others = evaluateNode(
        graph,
        node,
        inputs.map((tensor, port) => {
          const by = offsets[port]
          return tensor && by ? shifted(tensor, by, sign) : tensor
        }),
      )
      outputs.forEach((output, k) => {
        const other = others?.[k]
        const change = other === undefined ? Infinity : distance(output, other)
        changes[k] = Math.max(changes[k] ?? 0, change)
      })
    }
  }
  const sizes = accuracySizes(graph, node, inputs)
  return outputs.map((output, k) => {
    if (!isFloat(output.dtype)) return accurate(output, changes[k] ?? 0)
    const { digits } = precisionOf(output.dtype)
    const values = numbersOf(output)
    if (sizes?.some((size, i) => isTail(output.dtype, values[i] ?? 0, size)) === true) return undefined
    return accurate(output, (changes[k] ?? 0) + 2 ** -digits * rootMeanSquare(values))
  })
}

/** Whether a result is small against what it is accurate to, other than a certain zero. */
const isTail = (dtype: DType, value: number, size: number): boolean => {
  const precision = precisionOf(dtype)
  return size > 0 && !isAccurate(precision, value, 2 ** -precision.digits * size)
}

/** For every element of the first input the magnitude that a runtime's result is accurate to; see `accurateTo` in `OpDef`. */
const accuracySizes = (
  graph: Graph,
  node: Node,
  inputs: ReadonlyArray<Tensor | undefined>,
): Float64Array | undefined => {
  const { accurateTo } = opOf(node)
  const [x] = inputs
  const ctx = accurateTo && constantContext(graph, node, inputs)
  if (ctx === undefined || accurateTo === undefined || x === undefined || !isFloat(x.dtype)) return undefined
  const values = numbersOf(materialize(x))
  const out = new Float64Array(values.length)
  for (let i = 0; i < out.length; i++) out[i] = accurateTo(ctx, [values[i]])
  return out
}

/** An offset of random sign for every element: what it is off by, at least a unit in its last place. */
const offsetsOf = (tensor: Tensor, error: number, draws: Draws): Float64Array => {
  const unit = 2 ** (1 - precisionOf(tensor.dtype).digits)
  const values = numbersOf(materialize(tensor))
  const out = new Float64Array(values.length)
  for (let i = 0; i < out.length; i++) {
    const size = Math.max(error, unit * Math.abs(values[i] ?? 0))
    out[i] = draws.next() < 0.5 ? -size : size
  }
  return out
}

const shifted = (tensor: Tensor, offsets: Float64Array, sign: number): Dense => {
  const values = copyElements(tensor)
  for (let i = 0; i < offsets.length; i++) values[i] = (values[i] ?? 0) + sign * (offsets[i] ?? 0)
  return tensorOf(tensor.dtype, tensor.shape, values)
}

/** The root mean square of differences; infinite where they are no floats and differ, or anything is not finite. */
const distance = (a: Dense, b: Dense): number => {
  if (a.shape.join() !== b.shape.join() || a.dtype !== b.dtype) return Infinity
  if (!isFloat(a.dtype)) return sameTensor(a, b) ? 0 : Infinity
  const [x, y] = [numbersOf(a), numbersOf(b)]
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += ((x[i] ?? 0) - (y[i] ?? 0)) ** 2
  return Number.isNaN(sum) ? Infinity : Math.sqrt(sum / Math.max(1, x.length))
}

const rootMeanSquare = (values: Float64Array | Float32Array): number => {
  let sum = 0
  for (const value of values) sum += value * value
  return Math.sqrt(sum / Math.max(1, values.length))
}

/** The value, if it is finite and accurate enough to be known; integers have to be certain. */
const accurate = (tensor: Dense, error: number): KnownValue | undefined => {
  const found = { tensor: compact(tensor), error, isChannelwise: false }
  if (!isFloat(tensor.dtype)) return error === 0 ? found : undefined
  const values = numbersOf(tensor)
  const isKnown = values.every(Number.isFinite) && isAccurate(precisionOf(tensor.dtype), rootMeanSquare(values), error)
  return isKnown ? found : undefined
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
