/** What to mask besides: channels that keep removable ones of other layers from going, by what would go with them. */
import * as E from 'fp-ts/lib/Either.js'
import { usersOf } from '../ir/analysis.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { axisMask, type Mask, type Masks } from '../masks/mask.ts'
import { analyse } from './channel-elimination/analyse.ts'
import { relate } from './channel-elimination/relate.ts'
import { axesOf, type NodeView, viewsOf } from './channel-elimination/views.ts'
import { gatherNormalisations } from './channel-elimination/written-out.ts'

/** Output channels of a layer. */
export interface Selected {
  readonly layer: string
  readonly weight: ValueId
  readonly channels: ReadonlyArray<number>
}

export interface Advice {
  readonly mask: ReadonlyArray<Selected>
  /** Multiply-accumulates that would go then, found by compiling with these masks. */
  readonly macs: number
}

/** How many sets of channels are tried; each takes a compilation of what is left of the model. */
const tried = 3

/** Output channels of layers that stay together. */
interface Tied {
  readonly live: Map<NodeView, number[]>
  macs: number
}

/**
 * The sets of channels that keep others from going, those with most multiply-accumulates behind them first: classes of channels
 * that stay because of fewer live than removable ones, together where the same layers make the live ones.
 */
const candidatesOf = (given: Graph): ReadonlyArray<ReadonlyMap<NodeView, ReadonlyArray<number>>> => {
  const { graph } = gatherNormalisations(given)
  const facts = analyse(graph)
  const classes = relate(graph, facts)
  const { classOf, count } = classes
  /** Of each class: output channels of layers that are needed, and that are not; what making and reading its channels costs. */
  const [live, idle, macs] = [new Int32Array(count), new Int32Array(count), new Float64Array(count)]
  const made = viewsOf(graph).flatMap((view) => {
    const { node, op, ctx, contraction: c, reads } = view
    if (c === undefined || reads === undefined) return []
    const [input, output] = [node.inputs[c.port] ?? '', node.outputs[0] ?? '']
    const work = op.macs?.(ctx) ?? 0
    const from = classes.idOf(input, c.axis)
    for (let i = 0; from !== undefined && i < reads.inputs; i++) add(macs, classOf[from + i], work / reads.inputs)
    const start = classes.idOf(output, c.outputAxis)
    if (start === undefined) return []
    const needed = facts.live(output, c.outputAxis)
    const isLive = (o: number): boolean => needed?.[o] === 1 && !facts.isGiven(output, c.outputAxis, o)
    for (let o = 0; o < reads.outputs; o++) {
      add(isLive(o) ? live : idle, classOf[start + o], 1)
      add(macs, classOf[start + o], work / reads.outputs)
    }
    return [{ view, start, outputs: reads.outputs, isLive }]
  })
  const pinned = new Uint8Array(count)
  for (const value of graph.types.keys()) {
    for (const [axis, size = 0] of axesOf(graph, value).entries()) {
      const start = classes.idOf(value, axis)
      if (start === undefined || classes.pinned(value, axis) === undefined) continue
      for (let i = 0; i < size; i++) pinned[classOf[start + i] ?? 0] = 1
    }
  }
  const isWanted = (at: number): boolean => {
    const needed = live[at] ?? 0
    return pinned[at] === 0 && needed > 0 && needed <= (idle[at] ?? 0)
  }
  const tied = new Map<number, Tied>()
  for (const { view, start, outputs, isLive } of made) {
    for (let o = 0; o < outputs; o++) {
      const at = classOf[start + o] ?? 0
      if (!isWanted(at) || !isLive(o)) continue
      const known = tied.get(at) ?? { live: new Map<NodeView, number[]>(), macs: macs[at] ?? 0 }
      tied.set(at, known)
      addChannels(known, view, [o])
    }
  }
  const groups = new Map<string, Tied>()
  for (const one of tied.values()) {
    const key = [...one.live.keys()].map(({ node }) => node.name).join('\n')
    const group = groups.get(key) ?? { live: new Map<NodeView, number[]>(), macs: 0 }
    groups.set(key, group)
    group.macs += one.macs
    for (const [view, channels] of one.live) addChannels(group, view, channels)
  }
  return [...groups.values()].sort((a, b) => b.macs - a.macs).map((group) => group.live)
}

const add = (sums: Int32Array | Float64Array, at: number | undefined, more: number): void => {
  if (at !== undefined) sums[at] = (sums[at] ?? 0) + more
}

const addChannels = ({ live }: Tied, view: NodeView, channels: ReadonlyArray<number>): void => {
  const known = live.get(view) ?? []
  live.set(view, known)
  for (const o of channels) known.push(o)
}

/** Where a layer comes from: its weight in the model, and which channels of that its own ones are. */
export interface Origin {
  readonly weight: ValueId
  readonly channelOf: (output: number) => number
}

/**
 * What to mask besides, most multiply-accumulates first. `base` is the masked model or what is left of it, of which `macs` are
 * left in the end; `originOf` tells where its layers, which have so many output channels, come from, and `macsUnder` compiles it
 * with further masks on its weights and counts what is left then.
 */
export const advise = (
  base: Graph,
  originOf: (layer: string, outputs: number) => Origin | undefined,
  macs: number,
  macsUnder: (masks: Masks) => E.Either<unknown, number>,
): ReadonlyArray<Advice> => {
  const advice: Advice[] = []
  for (const live of candidatesOf(base).slice(0, tried)) {
    const masks = new Map<ValueId, Mask>()
    const mask: Selected[] = []
    for (const [view, outputs] of live) {
      const layer = view.node.name
      const origin = originOf(layer, view.reads?.outputs ?? 0)
      const found = rowMask(base, view, outputs)
      if (origin === undefined || found === undefined) break
      masks.set(...found)
      mask.push({ layer, weight: origin.weight, channels: outputs.map(origin.channelOf).sort((a, b) => a - b) })
    }
    if (mask.length < live.size) continue
    const left = macsUnder(masks)
    if (E.isRight(left) && left.right < macs) advice.push({ mask, macs: macs - left.right })
  }
  return advice.sort((a, b) => b.macs - a.macs)
}

/** The mask of some output channels of a layer; undefined where another layer has the same weight, or groups share its rows. */
const rowMask = (
  graph: Graph,
  { node, contraction: c, reads }: NodeView,
  outputs: ReadonlyArray<number>,
): readonly [ValueId, Mask] | undefined => {
  const weight = node.inputs[c?.weightPort ?? -1] ?? ''
  if (c === undefined || reads === undefined || usersOf(graph).get(weight)?.length !== 1) return undefined
  if (c.groups > 1 && c.grouped === 'output') return undefined
  const kept = new Uint8Array(reads.outputs).fill(1)
  for (const o of outputs) kept[o] = 0
  return [weight, axisMask(reads.weight.shape, c.weightOutputAxis, kept)]
}
