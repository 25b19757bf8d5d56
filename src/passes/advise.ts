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

/** Channels of one class, and what making and reading them costs. */
interface Tied {
  readonly live: Map<NodeView, number[]>
  idle: number
  macs: number
  pinned: boolean
}

/**
 * The sets of channels that keep others from going, those with most multiply-accumulates behind them first: classes of channels
 * that stay because of fewer live than removable ones, together where the same layers make the live ones.
 */
const candidatesOf = (given: Graph): ReadonlyArray<ReadonlyMap<NodeView, ReadonlyArray<number>>> => {
  const { graph } = gatherNormalisations(given)
  const facts = analyse(graph)
  const classes = relate(graph, facts)
  const tied = new Map<number, Tied>()
  const tiedAt = (value: ValueId, axis: number, index: number): Tied | undefined => {
    const start = classes.idOf(value, axis)
    if (start === undefined) return undefined
    const at = classes.classOf[start + index] ?? -1
    const known = tied.get(at) ?? { live: new Map<NodeView, number[]>(), idle: 0, macs: 0, pinned: false }
    tied.set(at, known)
    return known
  }
  for (const view of viewsOf(graph)) {
    const { node, op, ctx, contraction: c, reads } = view
    if (c === undefined || reads === undefined) continue
    const [input, output] = [node.inputs[c.port] ?? '', node.outputs[0] ?? '']
    const macs = op.macs?.(ctx) ?? 0
    const live = facts.live(output, c.outputAxis)
    for (let o = 0; o < reads.outputs; o++) {
      const found = tiedAt(output, c.outputAxis, o)
      if (found === undefined) continue
      found.macs += macs / reads.outputs
      if (live?.[o] !== 1 || facts.isGiven(output, c.outputAxis, o)) found.idle += 1
      else found.live.set(view, [...(found.live.get(view) ?? []), o])
    }
    for (let i = 0; i < reads.inputs; i++) {
      const found = tiedAt(input, c.axis, i)
      if (found !== undefined) found.macs += macs / reads.inputs
    }
  }
  for (const value of graph.types.keys()) {
    for (const [axis, size = 0] of axesOf(graph, value).entries()) {
      if (classes.pinned(value, axis) === undefined || classes.idOf(value, axis) === undefined) continue
      for (let i = 0; i < size; i++) {
        const found = tiedAt(value, axis, i)
        if (found !== undefined) found.pinned = true
      }
    }
  }
  const groups = new Map<string, { readonly live: Map<NodeView, number[]>; macs: number }>()
  for (const { live, idle, macs, pinned } of tied.values()) {
    const count = [...live.values()].reduce((n, channels) => n + channels.length, 0)
    if (pinned || count === 0 || count > idle) continue
    const key = [...live.keys()].map(({ node }) => node.name).join('\n')
    const group = groups.get(key) ?? { live: new Map<NodeView, number[]>(), macs: 0 }
    groups.set(key, group)
    group.macs += macs
    for (const [view, channels] of live) group.live.set(view, [...(group.live.get(view) ?? []), ...channels])
  }
  return [...groups.values()].sort((a, b) => b.macs - a.macs).map(({ live }) => live)
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
