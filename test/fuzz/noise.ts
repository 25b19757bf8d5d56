/**
 * How far the rounding of a model itself moves its outputs: Monte Carlo arithmetic (Parker 1997; CESTAC, Vignes 1974).
 * The model is interpreted several times, every result and every operand of a sum moved by random units in the last place
 * of its type; how far its outputs differ bounds what another exact way to write it may change.
 */
import { forEachIndex, numbersOf, reshaped } from '../../src/ir/evaluate.ts'
import { type Arithmetic, elmanCell, gatedCell, longShortTermCell } from '../../src/ir/families/recurrent-cells.ts'
import { evaluateRecurrence, real } from '../../src/ir/families/recurrent-steps.ts'
import { broadcastAt, normaliseOver, standardise } from '../../src/ir/families/normalization.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { evaluateNode } from '../../src/ir/interpret.ts'
import type { Graph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import { GRU } from '../../src/ir/ops/gru.ts'
import { LSTM } from '../../src/ir/ops/lstm.ts'
import { RNN } from '../../src/ir/ops/rnn.ts'
import { isOp } from '../../src/ir/registry.ts'
import { copyElements, type Dense, elements, materialize, tensorOf } from '../../src/ir/tensor.ts'
import { runBodies } from './bodies.ts'
import { type FloatType, floatTypes, formats, ulp } from './numbers.ts'

/** Results are operands as they are: nothing is rounded. */
const exact: ReadonlySet<string> = new Set([
  ...['Reshape', 'Transpose', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity', 'Slice', 'Split', 'Concat', 'Pad'],
  ...[
    'Gather',
    'Expand',
    'Tile',
    'DepthToSpace',
    'SpaceToDepth',
    'MaxPool',
    'Relu',
    'Abs',
    'Neg',
    'Clip',
    'Max',
    'Min',
  ],
  ...[
    'Where',
    'Trilu',
    'GlobalMaxPool',
    'ReduceMax',
    'ReduceMin',
    'Floor',
    'Ceil',
    'Round',
    'Sign',
    'Shrink',
    'ThresholdedRelu',
  ],
])

/** One correctly rounded result for each element, or a function that every runtime computes to a few units. */
const elementwise: ReadonlySet<string> = new Set([
  ...['LeakyRelu', 'Elu', 'Celu', 'Selu', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Pow', 'Resize', 'Softsign', 'Cast'],
  ...['Sinh', 'Cosh', 'Tan', 'Asin', 'Acos', 'Atan', 'Asinh', 'Atanh'],
])

/** Functions that runtimes compute to an absolute error only, in units of the last place of 1, or of x where that is larger. */
const absolute: ReadonlySet<string> = new Set([
  ...['Sigmoid', 'Tanh', 'Erf', 'Softplus', 'Gelu', 'Mish', 'Swish', 'HardSwish', 'HardSigmoid', 'Sin', 'Cos'],
  ...['Elu', 'Celu', 'Selu'],
])

const fromOne: ReadonlySet<string> = new Set(['Elu', 'Celu', 'Selu'])

const sums: ReadonlySet<string> = new Set(['Add', 'Sub'])

/** The axes that a normalisation takes mean and variance over, counted in a tensor of this rank. */
const normalisedAxes = ({ op, attrs }: Node, rank: number): ReadonlyArray<number> => {
  const given = new Map(Object.entries(Object(attrs)))
  const axes = Array.from({ length: rank }, (_, a) => a)
  if (op === 'InstanceNormalization') return axes.slice(2)
  if (op === 'LayerNormalization') return axes.slice(Number(given.get('axis')))
  if (op !== 'MeanVarianceNormalization') return []
  const list: unknown = given.get('axes')
  return Array.isArray(list) ? list.map(Number) : [0, 2, 3]
}

/**
 * How far a normalisation is off for want of digits in its mean, and, where a runtime takes the variance as the mean of the
 * squares less the square of the mean, in its variance: units of the last place for each element.
 */
const normalisationNoise = (
  node: Node,
  inputs: ReadonlyArray<Dense | undefined>,
  type: FloatType,
): Float64Array | undefined => {
  const [x, scale] = inputs
  const given = new Map(Object.entries(Object(node.attrs)))
  const epsilon = node.op === 'MeanVarianceNormalization' ? 1e-18 : Number(given.get('epsilon'))
  if (x === undefined) return undefined
  const grouped = node.op === 'GroupNormalization'
  const [batch = 1, channels = 1, ...rest] = x.shape
  const groups = Number(given.get('num_groups'))
  const view = grouped ? reshaped(x, [batch, groups, (channels / groups) * sizeOf(rest)]) : x
  const axes = new Set(grouped ? [2] : normalisedAxes(node, x.shape.length))
  if (axes.size === 0) return undefined
  const out = normaliseOver(view, axes, (values) => {
    const { mean, factor, values: normalised } = standardise(values, epsilon)
    const largest = Math.max(...values.map(Math.abs))
    const variance = ulp(type, mean * mean) * factor * factor
    return normalised.map((n) => ulp(type, largest) * factor + Math.abs(n) * variance)
  })
  if (scale === undefined || node.op === 'MeanVarianceNormalization') return out
  const at = broadcastAt(
    node.op === 'LayerNormalization' ? scale : reshaped(scale, [channels, ...rest.map(() => 1)]),
    x.shape.length,
  )
  forEachIndex(x.shape, (index, flat) => {
    out[flat] = (out[flat] ?? 0) * Math.abs(at(index))
  })
  return out
}

const normalisations: ReadonlySet<string> = new Set([
  ...['InstanceNormalization', 'LayerNormalization', 'GroupNormalization', 'MeanVarianceNormalization'],
])

/**
 * How many bits of a sum with a constant a rewrite may lose to cancellation, as `cancels` in `src/ir/numerics.ts` has it:
 * half the digits less two, ten at most; and three more, since it takes numbers for 1 of which only weights are known.
 */
const cancelledBits = (type: FloatType): number => Math.min(10, Math.floor(formats[type].precision / 2) - 2) + 3

/** Units in the last place that a number is moved by at most: more than one operator's rounding. */
const units = 4

const isFloatType = (dtype: string): dtype is FloatType => floatTypes.some((t) => t === dtype)

type Uniform = () => number

/** A tensor whose numbers are moved by up to `units` of what `unit` gives for each. Zeros stay, unless told otherwise. */
const moved = (
  { dtype, shape }: Dense,
  values: ArrayLike<number | bigint>,
  uniform: Uniform,
  unit: (i: number, x: number) => number,
  zeros = false,
): Dense => {
  const out = new Float64Array(values.length)
  for (let i = 0; i < out.length; i++) {
    const x = Number(values[i])
    out[i] = x
    if ((x !== 0 || zeros) && Number.isFinite(x)) out[i] = x + units * (2 * uniform() - 1) * unit(i, x)
  }
  return tensorOf(dtype, shape, out)
}

const perturbed = (tensor: Dense, uniform: Uniform): Dense =>
  isFloatType(tensor.dtype)
    ? moved(tensor, elements(tensor), uniform, (_, x) => (isFloatType(tensor.dtype) ? ulp(tensor.dtype, x) : 0))
    : tensor

/** Numbers 2^500 times as large. */
const enlarged = (tensor: Dense | undefined): Dense | undefined =>
  tensor?.dtype === 'float64'
    ? tensorOf(
        'float64',
        tensor.shape,
        copyElements(tensor).map((x) => x * 2 ** 500),
      )
    : tensor

const widened = (tensor: Dense): Dense =>
  isFloatType(tensor.dtype) ? tensorOf('float64', tensor.shape, elements(tensor)) : tensor

/** A recurrence whose gates are computed to an absolute error only: what is small may be a tail of a large gate. */
const noisyRecurrence = (
  node: Node,
  inputs: ReadonlyArray<Dense | undefined>,
  type: FloatType,
  uniform: Uniform,
): ReadonlyArray<Dense> | undefined => {
  const arithmetic: Arithmetic<number> = {
    ...real,
    apply: (activation, x) => {
      const y = activation.f(x)
      if (activation.isPiecewise || !Number.isFinite(y)) return y
      return y + units * (2 * uniform() - 1) * Math.max(ulp(type, y), ulp(type, 1) * Math.min(1, Math.abs(x)))
    },
  }
  if (isOp(node, LSTM)) return evaluateRecurrence(longShortTermCell, node, inputs, arithmetic)
  if (isOp(node, GRU)) return evaluateRecurrence(gatedCell, node, inputs, arithmetic)
  if (isOp(node, RNN)) return evaluateRecurrence(elmanCell, node, inputs, arithmetic)
  return undefined
}

const noisyNode = (
  graph: Graph,
  node: Node,
  inputs: ReadonlyArray<Dense | undefined>,
  uniform: Uniform,
): ReadonlyArray<Dense> | undefined => {
  const plain = evaluateNode(graph, node, inputs)
  if (plain === undefined || exact.has(node.op)) return plain
  const type = plain[0]?.dtype ?? ''
  if (!isFloatType(type) || inputs.every((x) => x === undefined || !isFloatType(x.dtype))) return plain
  const isSum = sums.has(node.op)
  const isProduct = !isSum && !elementwise.has(node.op) && !absolute.has(node.op)
  const operands = isProduct ? inputs.map((x) => x && perturbed(x, uniform)) : inputs
  // In double first: what underflows has a rounding error too.
  const wideOperands = operands.map((x) => x && widened(x))
  const wide =
    node.op === 'Cast'
      ? undefined
      : (noisyRecurrence(node, wideOperands, type, uniform) ?? evaluateNode(graph, node, wideOperands))
  const results = wide ?? plain
  // Nothing is wider than double: there, what underflows shows when the operands are larger.
  const larger = isProduct && type === 'float64' ? evaluateNode(graph, node, inputs.map(enlarged)) : undefined
  return results.map((y, k) => {
    const target = plain[k] ?? y
    const values = elements(y)
    const constant = isSum ? node.inputs.findIndex((name) => graph.constants.has(name)) : -1
    const computed = constant < 0 ? undefined : inputs[1 - constant]
    const terms = computed && computed.shape.join() === y.shape.join() ? elements(computed) : undefined
    const both = isSum ? inputs.flatMap((t) => (t && t.shape.join() === y.shape.join() ? [elements(t)] : [])) : []
    const off = normalisations.has(node.op) ? normalisationNoise(node, inputs, type) : undefined
    const above = larger?.[k] && elements(larger[k])
    const argument = absolute.has(node.op) && inputs[0] !== undefined ? elements(inputs[0]) : undefined
    return moved(
      target,
      values,
      uniform,
      (i, x) => {
        // A constant far above what it is added to is there for its rounding, which is part of the model.
        if (terms !== undefined)
          return Math.abs(x) > 2 ** cancelledBits(type) * Math.abs(Number(terms[i])) ? 0 : ulp(type, x)
        // Two computed terms: each is as inexact as its own last place, also where they are one value or cancel.
        if (isSum && constant < 0) return Math.max(ulp(type, x), ...both.map((term) => ulp(type, Number(term[i] ?? 0))))
        if (above !== undefined && x === 0) return Number(above[i]) === 0 ? 0 : ulp(type, 0)
        if (off !== undefined) return ulp(type, x) + (off[i] ?? 0)
        // exp(x) - 1 has the digits of 1, however small it is.
        if (fromOne.has(node.op) && Number(argument?.[i]) < 0) return ulp(type, 1)
        if (argument !== undefined)
          return Math.max(ulp(type, x), ulp(type, 1) * Math.min(1, Math.abs(Number(argument[i]))))
        return ulp(type, x)
      },
      both.length === 2 || above !== undefined,
    )
  })
}

export type Values = ReadonlyMap<string, Dense>

type Compute = (graph: Graph, node: Node, inputs: ReadonlyArray<Dense | undefined>) => ReadonlyArray<Dense> | undefined

/** An operator has no result for these inputs. */
class Uncertain extends Error {}

/** What bodies make; undefined for nodes without, and where something in them has no result. */
const certain = <A>(compute: () => A, uncertain: 'refused' | 'omitted'): A | undefined => {
  try {
    return compute()
  } catch (thrown) {
    if (uncertain === 'omitted' && thrown instanceof Uncertain) return undefined
    throw thrown
  }
}

/**
 * All values of the graph, each node computed by `compute`, bodies of nodes as graphs of their own. Where a number may be rounded to
 * either of two integers, an operator has no result: then `uncertain` says whether it and what follows are left out.
 */
const valuesOf = (
  graph: Graph,
  feeds: Values,
  compute: Compute,
  uncertain: 'refused' | 'omitted',
  constantOf = (tensor: Dense): Dense => tensor,
): Values => {
  const values = new Map<string, Dense>(feeds)
  for (const [name, tensor] of graph.constants) values.set(name, constantOf(materialize(tensor)))
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => values.get(name))
    if (uncertain === 'omitted' && node.inputs.some((name) => name !== '' && !values.has(name))) continue
    const outputs =
      certain(
        () => runBodies(graph, node, values, (body, given) => valuesOf(body, given, compute, 'refused', constantOf)),
        uncertain,
      ) ?? compute(graph, node, inputs)
    if (outputs === undefined && uncertain === 'refused') throw new Uncertain(`${node.op} is not evaluated`)
    if (outputs === undefined) continue
    node.outputs.forEach((name, i) => {
      const value = outputs[i]
      if (name !== '' && value !== undefined) values.set(name, value)
    })
  }
  return values
}

const outputsOf = (graph: Graph, values: Values): Values =>
  new Map(
    graph.outputs.flatMap(({ name }) => {
      const v = values.get(name)
      return v ? [[name, v] as const] : []
    }),
  )

/**
 * Outputs of the graph, every result moved as rounding may move it, without those that it makes uncertain. Constants of type
 * `rounded` are moved, too: they have been rounded to it.
 */
export const noisyOutputs = (graph: Graph, feeds: Values, uniform: Uniform, rounded?: FloatType): Values =>
  outputsOf(
    graph,
    valuesOf(
      graph,
      feeds,
      (of, node, inputs) => noisyNode(of, node, inputs, uniform),
      'omitted',
      (tensor) => (tensor.dtype === rounded ? perturbed(tensor, uniform) : tensor),
    ),
  )

/** Whether computing the graph meets a number that is not finite, which an operator (Shrink, Relu) may swallow again. */
export const meetsInfinity = (graph: Graph, feeds: Values): boolean => {
  for (const tensor of valuesOf(graph, feeds, evaluateNode, 'omitted').values()) {
    if (isFloatType(tensor.dtype)) for (const x of elements(tensor)) if (!Number.isFinite(Number(x))) return true
  }
  return false
}

/** Outputs of the graph as the operators' reference evaluation computes them in the graph's own types. */
export const interpreted = (graph: Graph, feeds: Values): Values =>
  outputsOf(graph, valuesOf(graph, feeds, evaluateNode, 'refused'))

/** Whether it rounds to integers. */
export const isRounding = ({ op }: Node): boolean => /Quantize|QLinear|QGemm/.test(op)

/** What elements share how far rounding moves them: those of a channel, or, where integers are rounded to, each its own. */
const noiseIndex = (graph: Graph, y: Dense): { readonly count: number; readonly of: (i: number) => number } =>
  graph.nodes.some(isRounding) ? { count: sizeOf(y.shape), of: (i) => i } : channelIndex(y)

/**
 * For each output that has a certain value how far rounding moves any element of a channel (index along axis 1), infinite where it
 * makes one that is not finite or not certain; constants of type `rounded` move with it. A number that is rounded to an integer moves
 * where it is halfway between two, and its neighbours do not: with such nodes there is one for each element.
 */
export const deviations = (
  graph: Graph,
  feeds: Values,
  runs: number,
  uniform: Uniform,
  rounded?: FloatType,
): ReadonlyMap<string, Float64Array> => {
  const middle = outputsOf(graph, valuesOf(graph, feeds, evaluateNode, 'omitted'))
  const out = new Map<string, Float64Array>()
  for (const [name, y] of middle) out.set(name, new Float64Array(noiseIndex(graph, y).count))
  for (let run = 0; run < runs; run++) {
    const noisy = noisyOutputs(graph, feeds, uniform, rounded)
    for (const [name, y] of middle) {
      const most = out.get(name)
      const z = noisy.get(name)
      if (z === undefined) most?.fill(Infinity)
      if (z === undefined) continue
      const [xs, zs] = [elements(y), elements(z)]
      const { of } = noiseIndex(graph, y)
      for (let i = 0; most !== undefined && i < xs.length; i++) {
        const c = of(i)
        const [a, b] = [Number(xs[i]), Number(zs[i])]
        const d = Number.isFinite(a) ? (Number.isFinite(b) ? Math.abs(a - b) : Infinity) : 0
        most[c] = Math.max(most[c] ?? 0, d)
      }
    }
  }
  return out
}

/**
 * The largest number that computing the graph in double meets, terms of sums with constant weights included: their weights
 * and inputs count without signs. Infinite where a constant of the graph is.
 */
export const largestTerm = (graph: Graph, feeds: Values): number => {
  const values = new Map<string, Dense>()
  for (const [name, tensor] of feeds) values.set(name, widened(tensor))
  for (const [name, tensor] of graph.constants) values.set(name, widened(materialize(tensor)))
  let most = 0
  const count = (tensor: Dense): void => {
    for (const x of elements(tensor))
      if (!(Math.abs(Number(x)) <= most)) most = Number.isFinite(Number(x)) ? Math.abs(Number(x)) : Infinity
  }
  for (const name of graph.constants.keys()) {
    const tensor = values.get(name)
    if (tensor?.dtype === 'float64') count(tensor)
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => values.get(name))
    const outputs = evaluateNode(graph, node, inputs)
    if (outputs === undefined) return Infinity
    const isSum = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].includes(node.op)
    const terms = isSum
      ? evaluateNode(
          graph,
          node,
          inputs.map((x) => x && magnitudes(x)),
        )
      : undefined
    for (const tensor of [...outputs, ...(terms ?? [])]) if (tensor.dtype === 'float64') count(tensor)
    node.outputs.forEach((name, i) => {
      const value = outputs[i]
      if (name !== '' && value !== undefined) values.set(name, value)
    })
  }
  return most
}

const magnitudes = (tensor: Dense): Dense =>
  tensorOf(tensor.dtype, tensor.shape, Float64Array.from(numbersOf(tensor), Math.abs))

/** Which channel an element belongs to: its index along axis 1. */
export const channelIndex = ({ shape }: Dense): { readonly count: number; readonly of: (i: number) => number } => {
  const inner = shape.slice(2).reduce((n, d) => n * d, 1)
  const count = shape[1] ?? 1
  return { count, of: (i) => Math.floor(i / inner) % count }
}
