/** How much passes may compute ahead of time: in proportion to a model, so that a small file cannot take minutes. */
import type { Graph } from '../ir/graph.ts'
import { sizeOf } from '../ir/type.ts'

/** Multiply-accumulates of evaluations that any model may take: a few tenths of a second. */
const workForAny = 2 ** 26

/** What each element of its constants allows besides: four times what a weight meets in a network for images, on average. */
const workPerElement = 2 ** 10

/** Multiply-accumulates that one run of evaluations may take on a model. */
export const workFor = (graph: Graph): number => {
  let elements = 0
  for (const { shape } of graph.constants.values()) elements += sizeOf(shape)
  return workForAny + workPerElement * elements
}
