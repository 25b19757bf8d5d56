/** How much passes may compute ahead of time: in proportion to a model, so that a small file cannot take minutes. */
import type { Graph } from '../ir/graph.ts'
import { sizeOf } from '../ir/type.ts'

/** Multiply-accumulates of evaluations that any model may take: a few tenths of a second. */
const workForAny = 2 ** 26

/**
 * What each element of its constants allows besides: four times what a weight meets in a network for images, on average. Half of it
 * leaves a third of an EfficientNet in which nothing depends on the input.
 */
const workPerElement = 2 ** 10

/** The most channels that are told apart: half as many as a Map can hold, some 600 MB of memory. */
const mostChannels = 2 ** 23

/** Channels that are told apart in any model: about a second of work. */
const channelsForAny = 2 ** 19

/** What each element of its constants and each node allow besides; the weights of a layer are more than its channels by far. */
const channelsPerElement = 8
const channelsPerNode = 64

/** The largest models that are compiled again and again without being asked for. */
const nodesToTry = 2 ** 12
const bytesToTry = 2 ** 30

/** Whether a model is small enough to be compiled a few times more, to see what that would bring. */
export const isSmallToTry = ({ nodes, bytes }: { readonly nodes: number; readonly bytes: number }): boolean =>
  nodes <= nodesToTry && bytes <= bytesToTry

/** Multiply-accumulates that one run of evaluations may take on a model. */
export const workFor = (graph: Graph): number => workForAny + workPerElement * elementsOf(graph)

/** Channels that may be told apart in a model. */
export const channelsFor = (graph: Graph): number =>
  Math.min(mostChannels, channelsForAny + channelsPerElement * elementsOf(graph) + channelsPerNode * graph.nodes.length)

const elementsOf = (graph: Graph): number => {
  let elements = 0
  for (const { shape } of graph.constants.values()) elements += sizeOf(shape)
  return elements
}
