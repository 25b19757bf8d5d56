/**
 * The model that computes, in place of its outputs, statistics of what its layers read: of each input channel the mean and the sum of
 * squares around it, as doubles, over all other axes. Sums are taken where the activations are, so that none of them is handed out.
 */
import { freshNames } from '../ir/analysis.ts'
import { dtypes, isFloat } from '../ir/dtype.ts'
import { type Graph, labelOf, withParts } from '../ir/graph.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { Cast, ReduceMean, ReduceSumSquare, Shape, Sub } from '../ir/ops/index.ts'
import { int64s, type Tensor } from '../ir/tensor.ts'
import { tensorType, type ValueType } from '../ir/type.ts'
import { type Layer, layersOf, unevenlyRead } from '../masks/weights.ts'

/** A layer with the outputs of the observed model that tell of its input. */
export interface ObservedLayer {
  readonly weight: ValueId
  /** What errors call it. */
  readonly layer: string
  readonly inputs: number
  readonly axis: number
  /** Float64, the channels along one axis and size 1 along all others. */
  readonly mean: ValueId
  readonly squares: ValueId
  /** The shape of the activations. */
  readonly shape: ValueId
  /** What is taken off each activation: the zero point of integers. */
  readonly zero: number
}

export interface Observation {
  /** Computes nothing but statistics. */
  readonly graph: Graph
  readonly layers: ReadonlyArray<ObservedLayer>
  /** Layers of which nothing can be said, and why. */
  readonly unseen: ReadonlyArray<{ readonly layer: string; readonly weight: ValueId; readonly reason: string }>
}

/** The operator set in which elementwise operators broadcast. */
const oldest = 7

/** `graph` with the statistics of its layers as its outputs. */
export const observeActivations = (graph: Graph): Observation => {
  const fresh = freshNames(graph)
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const known = new Map<string, Pick<ObservedLayer, 'mean' | 'squares' | 'shape'>>()
  const layers: ObservedLayer[] = []
  const unseen: Array<Observation['unseen'][number]> = []
  const opset = graph.opsets.get('') ?? 0
  const axesOperands = new Map<string, ValueId>()
  const axesOperand = (axes: ReadonlyArray<number>): ValueId => {
    const key = axes.join()
    const name = axesOperands.get(key) ?? fresh('statistics_axes')
    axesOperands.set(key, name)
    constants.set(name, int64s(axes))
    return name
  }
  const uneven = unevenlyRead(graph)
  for (const layer of layersOf(graph)) {
    const { contraction: c, node, weight, inputs } = layer
    const value = node.inputs[c.port] ?? ''
    const type = graph.types.get(value)
    const zero = zeroOf(graph, layer)
    // A layer sums over an axis and leaves another in its place.
    const rank = rankOf(type) ?? rankOf(graph.types.get(node.outputs[0] ?? ''))
    const reason =
      opset < oldest
        ? `the model is of operator set ${opset}, and statistics take ${oldest} or later`
        : type?.kind !== 'tensor' || rank === undefined || rank < 2
          ? 'the axes of its input are not known'
          : zero === undefined
            ? 'its input is integers of which the zero point is computed'
            : uneven.has(weight)
              ? 'nodes read its weight in different ways'
              : undefined
    if (reason !== undefined || type?.kind !== 'tensor' || rank === undefined || zero === undefined) {
      unseen.push({ layer: labelOf(node), weight, reason: reason ?? '' })
      continue
    }
    const axis = c.axis < 0 ? c.axis + rank : c.axis
    const key = `${value} ${axis}`
    const outputs = known.get(key) ?? {
      mean: fresh(`${value}_mean`),
      squares: fresh(`${value}_squares`),
      shape: fresh(`${value}_shape`),
    }
    if (!known.has(key)) {
      const axes = Array.from({ length: rank }, (_, a) => a).filter((a) => a !== axis)
      const double = type.dtype === 'float64' ? value : fresh(`${value}_double`)
      if (double !== value) nodes.push(makeNode(Cast, [value], [double], { to: 1 + dtypes.indexOf('float64') }))
      const centred = fresh(`${value}_centred`)
      for (const [op, since, from, to] of [
        [ReduceMean, 18, double, outputs.mean],
        [ReduceSumSquare, 18, centred, outputs.squares],
      ] as const) {
        const isOperand = opset >= since
        const operands = isOperand ? [from, axesOperand(axes)] : [from]
        nodes.push(makeNode(op, operands, [to], isOperand ? {} : { axes }))
        if (op === ReduceMean) nodes.push(makeNode(Sub, [double, outputs.mean], [centred]))
      }
      nodes.push(makeNode(Shape, [value], [outputs.shape]))
      known.set(key, outputs)
    }
    layers.push({ weight, layer: labelOf(node), inputs, axis, ...outputs, zero })
  }
  const outputs = [...known.values()].flatMap(({ mean, squares, shape }) => [
    { name: mean, type: tensorType('float64', undefined) },
    { name: squares, type: tensorType('float64', undefined) },
    { name: shape, type: tensorType('int64', undefined) },
  ])
  return { graph: withParts(graph, { nodes: [...graph.nodes, ...nodes], constants, outputs }), layers, unseen }
}

const rankOf = (type: ValueType | undefined): number | undefined =>
  type?.kind === 'tensor' ? type.shape?.length : undefined

/** What stands for zero in the numbers that a layer reads; undefined where that is not known. */
const zeroOf = (graph: Graph, { contraction: c, node }: Layer): number | undefined => {
  const type = graph.types.get(node.inputs[c.port] ?? '')
  if (c.counts === undefined || (type?.kind === 'tensor' && isFloat(type.dtype))) return 0
  const zero = -c.counts(0)
  return Number.isNaN(zero) ? undefined : zero
}
