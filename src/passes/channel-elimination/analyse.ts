/**
 * What is known of every channel. A channel is an index along an axis of a value.
 *
 * Forward (`constants.ts`): a channel is *constant* when it holds the same number at every position and for every input of the
 * model, and a *pattern* when it differs from position to position, but not from input to input. Either is *given*.
 * Backward (`liveness.ts`): a channel is *live* when some graph output depends on it through non-zero weights. A given channel
 * needs no reader, so what only feeds given channels is dead. Both run over the graph once; it has no cycles.
 *
 * What is the same for all channels along an axis is one number; only where they differ is there an array, and only along
 * tracked axes.
 */
import type { Graph } from '../../ir/graph.ts'
import type { Node, Patterns, ValueId } from '../../ir/op.ts'
import { channelConstants } from './constants.ts'
import { type PartialNeed, propagateLiveness } from './liveness.ts'
import { at, type Known, type Marks } from './slice-readers.ts'
import { axesOf, type Channel, viewsOf } from './views.ts'

/** A channel that is computed as before although nothing needs it. */
export interface Endangered extends Channel {
  /** The node that may make no finite number otherwise: it makes the channel, or reads it. */
  readonly maker: Node
}

export interface ChannelFacts {
  readonly endangered: ReadonlyArray<Endangered>
  /** Along an axis the constant each channel holds, NaN where none is known; undefined when none is known at all. */
  readonly constants: (value: ValueId, axis: number) => Float64Array | undefined
  /** The same, as one number where it is the same for all; NaN where none is known. */
  readonly known: (value: ValueId, axis: number) => Known
  /** Along an axis the channels that no input changes but that differ from position to position. */
  readonly patterns: (value: ValueId, axis: number) => Patterns | undefined
  /** Whether no input changes a channel: it is constant, or a pattern. */
  readonly isGiven: (value: ValueId, axis: number, index: number) => boolean
  /** The number that all of a value holds, if there is one. */
  readonly uniform: (value: ValueId) => number | undefined
  /** Along an axis 1 for each channel that an output depends on. Undefined for an axis of unknown size. */
  readonly live: (value: ValueId, axis: number) => Uint8Array | undefined
  /**
   * Along an axis 1 for each channel whose numbers must stay as they are: live ones, and given ones, since what was
   * concluded from a constant holds only while it is that constant.
   */
  readonly exact: (value: ValueId, axis: number) => Uint8Array | undefined
  /** Whether an output depends on anything of a value. */
  readonly isUsed: (value: ValueId) => boolean
  /** How many channels along an axis are dead or given. */
  readonly removable: (value: ValueId, axis: number) => number
  /** Whether some channel along an axis is dead or given, or is not read by some contraction over it. */
  readonly idle: (value: ValueId, axis: number) => boolean
  /** Of a contraction, 1 for each input channel that one of its needed, not given outputs reads. */
  readonly needed: (node: Node) => Uint8Array | undefined
  /** The axes of a node's inputs along which it needs some channels and others not. */
  readonly partial: (node: Node) => ReadonlyArray<PartialNeed>
}

/** Facts of a graph. Endangered channels count as needed even though no output depends on them. */
export const analyse = (graph: Graph, endangered: ReadonlyArray<Endangered> = []): ChannelFacts => {
  const constants = channelConstants(graph)
  const { live: marks, needed, partial } = propagateLiveness(graph, constants, endangered)
  const liveAlong = (value: ValueId, axis: number): Marks => marks.get(value)?.[axis] ?? 0
  const live = (value: ValueId, axis: number): Uint8Array | undefined => {
    const size = axesOf(graph, value)[axis]
    if (size === undefined) return undefined
    const found = liveAlong(value, axis)
    return typeof found === 'number' ? new Uint8Array(size).fill(found) : found
  }
  const removable = (value: ValueId, axis: number): number => {
    const size = axesOf(graph, value)[axis] ?? 0
    const [found, given] = [liveAlong(value, axis), constants.given(value, axis)]
    if (typeof found === 'number' && typeof given === 'number') return found === 0 || given === 1 ? size : 0
    let n = 0
    for (let i = 0; i < size; i++) if (at(found, i) === 0 || at(given, i) === 1) n += 1
    return n
  }
  const skipped = new Set<string>()
  for (const { node, contraction: c } of viewsOf(graph)) {
    if (c !== undefined && needed.get(node)?.includes(0) !== false)
      skipped.add(`${c.axis} ${node.inputs[c.port] ?? ''}`)
  }
  return {
    endangered,
    constants: constants.along,
    known: constants.known,
    patterns: constants.patterns,
    isGiven: (value, axis, index) => at(constants.given(value, axis), index) === 1,
    uniform: constants.uniform,
    live,
    needed: (node) => needed.get(node),
    partial: (node) => partial.get(node) ?? [],
    exact: (value, axis) => {
      const given = constants.given(value, axis)
      return live(value, axis)?.map((l, i) => (l === 1 || at(given, i) === 1 ? 1 : 0))
    },
    isUsed: (value) =>
      axesOf(graph, value).some((size, axis) => {
        const found = size === undefined ? 0 : liveAlong(value, axis)
        return found === 1 || (found !== 0 && found.includes(1))
      }),
    removable,
    idle: (value, axis) => skipped.has(`${axis} ${value}`) || removable(value, axis) > 0,
  }
}
