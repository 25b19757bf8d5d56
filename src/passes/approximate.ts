/**
 * Reference evaluation of what no input changes, and about how far what a runtime computes is from it.
 *
 * What is computed here is computed in double and rounded to the type of each value. A runtime rounds more often: errors are
 * taken for independent (N. J. Higham and T. Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci.
 * Comput. 41, 2019) and followed as root mean squares, through contractions by the sums of squares of their weights, else by
 * evaluating with moved inputs. A result is known only while that is small against the root mean square of its elements, and
 * while none of them is in the tail of a function.
 */
import * as E from 'fp-ts/lib/Either.js'
import { bindInputs } from '../ir/bind.ts'
import { type DType, isFloat } from '../ir/dtype.ts'
import { sameTensor } from '../ir/equal.ts'
import { numbersOf } from '../ir/evaluate.ts'
import { channelsOf } from '../ir/families/contraction.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { constantContext, evaluateNode } from '../ir/interpret.ts'
import { shapeOf } from '../ir/links.ts'
import { isAccurate, precisionOf } from '../ir/numerics.ts'
import type { Contraction, Node, ValueId } from '../ir/op.ts'
import { type Draws, drawsFrom, seededRandom } from '../ir/random.ts'
import { opOf } from '../ir/registry.ts'
import { copyElements, type Dense, materialize, type Tensor, tensorOf } from '../ir/tensor.ts'
import { isStatic, sizeOf } from '../ir/type.ts'

/** Root mean squares, in absolute terms: one for each index along `axis`, or a single one, for all, without. */
export interface Errors {
  readonly axis: number | undefined
  /** Infinite where what is computed must not be relied upon. */
  readonly sizes: Float64Array
}

/** Numbers, and about how far what a runtime computes is from them. */
export interface Approximation {
  readonly tensor: Dense
  readonly errors: Errors
}

/** What an evaluation of one element costs, in multiply-accumulates. */
export const elementCost = 16

/** How often inputs are moved at random; each time by a draw and by its opposite. */
const drawCount = 2

/** How many evaluations {@link evaluateMoved} makes. */
export const evaluationsMoved = 1 + 2 * drawCount

/** The shape of a value with size 1 along symbolic axes. */
export const singleShape = (graph: Graph, value: ValueId): ReadonlyArray<number> | undefined =>
  shapeOf(graph.types.get(value))?.map((dim) => (isStatic(dim) ? dim : 1))

/**
 * Whether every symbolic axis of the computed inputs of a node and of its outputs is linked index by index with one of the
 * same symbol at the other end. Where it is, dropping an index leaves the rest of the output unchanged, so that the output
 * of n equal slices is n times the output of one.
 */
export const linkedAlike = (graph: Graph): ((node: Node, computed: ReadonlyArray<number>) => boolean) => {
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

/** Calls `visit` with every element of a tensor of `shape` and its index along `axis`, 0 without one. */
const forEachAlong = (
  shape: ReadonlyArray<number>,
  axis: number | undefined,
  visit: (element: number, index: number) => void,
): void => {
  const [size, inner] = axis === undefined ? [1, sizeOf(shape)] : [shape[axis] ?? 0, sizeOf(shape.slice(axis + 1))]
  const count = sizeOf(shape)
  for (let start = 0, index = 0; start < count; start += inner, index = index + 1 === size ? 0 : index + 1) {
    for (let at = start; at < start + inner; at++) visit(at, index)
  }
}

/** Per index along an axis (one for all without) the mean of the squares of a tensor's elements. */
export const meanSquares = (tensor: Dense, axis: number | undefined): Float64Array => {
  const values = numbersOf(tensor)
  const out = new Float64Array(axis === undefined ? 1 : (tensor.shape[axis] ?? 0))
  forEachAlong(tensor.shape, axis, (at, index) => {
    out[index] = (out[index] ?? 0) + (values[at] ?? 0) ** 2
  })
  return out.map((sum) => sum / Math.max(1, values.length / out.length))
}

/**
 * Per output channel the mean square of the errors of a contraction whose inputs are off by `errors` along its axis (or by
 * one number), and of which every product is rounded.
 */
export const contractionVariances = (
  c: Contraction,
  weight: Tensor,
  x: Dense,
  errors: Errors,
  digits: number,
): Float64Array => {
  const values = numbersOf(materialize(weight))
  const { outputs, outputsPerGroup, inputsPerGroup } = channelsOf(weight, c)
  const [rows = 0, columns = 0, ...rest] = weight.shape
  const inner = sizeOf(rest)
  const unit = 2 ** -digits
  const offsets = meanSquares(x, c.axis).map((square, i) => {
    const error = errors.sizes[errors.axis === undefined ? 0 : i] ?? 0
    return error ** 2 + unit ** 2 * square
  })
  const out = new Float64Array(outputs)
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const [line, column] = c.weightOutputAxis === 0 ? [i, j] : [j, i]
      const isByInput = c.grouped === 'input'
      const channel = isByInput ? Math.floor(line / outputsPerGroup) * inputsPerGroup + column : column
      const output = isByInput ? line : Math.floor(column / inputsPerGroup) * outputsPerGroup + line
      const start = (i * columns + j) * inner
      let squares = 0
      for (let at = start; at < start + inner; at++) squares += (values[at] ?? 0) ** 2
      out[output] = (out[output] ?? 0) + c.scale ** 2 * squares * (offsets[channel] ?? 0)
    }
  }
  return out
}

/** `tensor` with {@link Errors} that add its own rounding to `sizes`; infinite where it is not accurate enough to be known. */
export const judged = (tensor: Dense, axis: number | undefined, sizes: Float64Array): Approximation => {
  if (!isFloat(tensor.dtype)) {
    // Integers have to be certain.
    return { tensor, errors: { axis, sizes: sizes.map((size) => (size === 0 ? 0 : Infinity)) } }
  }
  const precision = precisionOf(tensor.dtype)
  const squares = meanSquares(tensor, axis)
  const known = sizes.map((size, i) => {
    const own = Math.sqrt(squares[i] ?? NaN)
    const error = size + 2 ** -precision.digits * own
    return Number.isFinite(own) && isAccurate(precision, own, error) ? error : Infinity
  })
  return { tensor, errors: { axis, sizes: known } }
}

/**
 * The outputs of any operator, and along an axis of theirs (or as a whole) how far they move when inputs do by what they are
 * off by. Undefined where the operator does not implement this case.
 */
export const evaluateMoved = (
  graph: Graph,
  node: Node,
  inputs: ReadonlyArray<Tensor | undefined>,
  errors: ReadonlyArray<Errors | undefined>,
  axis: number | undefined,
): ReadonlyArray<Approximation> | undefined => {
  const outputs =
    opOf(node).squares === true && leaveSquares(inputs, errors) ? undefined : evaluateNode(graph, node, inputs)
  if (outputs === undefined) return undefined
  const changes = outputs.map(({ shape }) => new Float64Array(axis === undefined ? 1 : (shape[axis] ?? 0)))
  const isMoved = (tensor: Tensor | undefined, port: number): tensor is Tensor =>
    tensor !== undefined && errors[port] !== undefined && isFloat(tensor.dtype)
  const draws = drawsFrom(seededRandom(drawCount, node.outputs.join()))
  for (let draw = 0; draw < (inputs.some(isMoved) ? drawCount : 0); draw++) {
    const offsets = inputs.map((tensor, port) =>
      isMoved(tensor, port) ? offsetsOf(tensor, errors[port], draws) : undefined,
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
        const distances = distancesBetween(output, others?.[k], axis)
        changes[k] = (changes[k] ?? distances).map((change, i) => Math.max(change, distances[i] ?? 0))
      })
    }
  }
  const sizes = accuracySizes(graph, node, inputs)
  return outputs.map((output, k) => {
    const off = changes[k] ?? new Float64Array()
    const values = numbersOf(output)
    // They are those of elements at the same place, which other operators do not make.
    if (sizes?.length !== values.length || !isFloat(output.dtype)) return judged(output, axis, off)
    const squares = meanSquares(tensorOf('float64', output.shape, sizes), axis)
    const unit = 2 ** -precisionOf(output.dtype).digits
    const all = off.map((change, i) => change + unit * Math.sqrt(squares[i] ?? NaN))
    forEachAlong(output.shape, axis, (at, index) => {
      if (isTail(output.dtype, values[at] ?? 0, sizes[at] ?? 0)) all[index] = Infinity
    })
    return judged(output, axis, all)
  })
}

/** Whether the squares of a computed operand, all of them added up, leave the normal numbers of its type. */
const leaveSquares = (inputs: ReadonlyArray<Tensor | undefined>, errors: ReadonlyArray<Errors | undefined>): boolean =>
  inputs.some((tensor, port) => {
    if (tensor === undefined || errors[port] === undefined || !isFloat(tensor.dtype)) return false
    const { normal, largest } = precisionOf(tensor.dtype)
    const values = numbersOf(materialize(tensor))
    let most = 0
    for (const x of values) most = Math.max(most, Math.abs(x))
    return most > 0 && !(most * most >= normal && most * most * values.length <= largest)
  })

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
const offsetsOf = (tensor: Tensor, errors: Errors | undefined, draws: Draws): Float64Array => {
  const unit = 2 ** (1 - precisionOf(tensor.dtype).digits)
  const values = numbersOf(materialize(tensor))
  const out = new Float64Array(values.length)
  forEachAlong(tensor.shape, errors?.axis, (at, index) => {
    const size = Math.max(errors?.sizes[index] ?? 0, unit * Math.abs(values[at] ?? 0))
    out[at] = draws.next() < 0.5 ? -size : size
  })
  return out
}

const shifted = (tensor: Tensor, offsets: Float64Array, sign: number): Dense => {
  const values = copyElements(tensor)
  for (let i = 0; i < offsets.length; i++) values[i] = (values[i] ?? 0) + sign * (offsets[i] ?? 0)
  return tensorOf(tensor.dtype, tensor.shape, values)
}

/** Root mean squares of differences; infinite where they are no floats and differ, or anything is not finite. */
const distancesBetween = (a: Dense, b: Dense | undefined, axis: number | undefined): Float64Array => {
  const out = new Float64Array(axis === undefined ? 1 : (a.shape[axis] ?? 0))
  if (b === undefined || a.shape.join() !== b.shape.join() || a.dtype !== b.dtype) return out.fill(Infinity)
  if (!isFloat(a.dtype)) return sameTensor(a, b) ? out : out.fill(Infinity)
  const [x, y] = [numbersOf(a), numbersOf(b)]
  forEachAlong(a.shape, axis, (at, index) => {
    out[index] = (out[index] ?? 0) + ((x[at] ?? 0) - (y[at] ?? 0)) ** 2
  })
  return out.map((sum) => (Number.isNaN(sum) ? Infinity : Math.sqrt(sum / Math.max(1, x.length / out.length))))
}
