/** What matching comes to: which tensor masks which parameter, and how that is known. */
import type { Graph } from '../../ir/graph.ts'
import type { Masks } from '../mask.ts'
import type { MaskTensor } from './mask-tensors.ts'
import type { Layout } from './region.ts'
import type { Slot } from './slots.ts'

/** How a mask found its weight, the surest first. */
export type Way =
  /** The map said so. */
  | 'map'
  /** The weight has the same numbers as the one given for the mask. */
  | 'value'
  /** Names agree, less what frameworks add. */
  | 'name'
  /** The node that reads the weight comes from the module that the name says. */
  | 'node'
  /** It holds the numbers of a weight that the mask was found for: one parameter, stored twice. */
  | 'tied'
  /** No other weight has the shape, and no other mask. */
  | 'shape'

export interface Assignment {
  readonly mask: MaskTensor
  readonly slot: Slot
  readonly layout: Layout
  readonly way: Way
}

/** A mask that has found its slot, but not which of several layouts is meant. */
export interface Placed extends Omit<Assignment, 'layout'> {
  readonly layouts: ReadonlyArray<Layout>
}

export interface Matching {
  /**
   * The graph that was given, or, where it holds equal parameters in one constant and their masks differ, the same with a
   * constant for each.
   */
  readonly graph: Graph
  /** By the name of the constant that holds the weight. */
  readonly masks: Masks
  /** In the order of the file; a mask that lies on several constants is there several times. */
  readonly assignments: ReadonlyArray<Assignment>
  /** Weights that people prune and that got no mask. */
  readonly unmasked: ReadonlyArray<Slot>
  /** What was passed over and why, one sentence each. */
  readonly notes: ReadonlyArray<string>
}
