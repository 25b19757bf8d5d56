/** Why channels that nothing needs stay, counted. */
import type { Advice } from '../passes/advise.ts'
import type { CompileReport, LayerReport, Remainder } from '../passes/compile.ts'
import { type Target, widthsNote } from '../passes/target.ts'
import { formatBytes, formatCount, plural } from './units.ts'

export type ReasonKind = Remainder['reason']['kind']

/** What each kind of reason means, for people. */
const reasonMeanings: Readonly<Record<ReasonKind, string>> = {
  output: 'graph outputs keep their shape',
  input: 'graph inputs keep their shape',
  opaque: 'an operator that is not looked into reads or makes them',
  mixed: 'an operator mixes the channels of this axis',
  live: 'they go together with channels that are needed',
  product: 'they are multiplied with channels that are not zero',
  carrier: 'one channel carries the constants that meet padding',
  pattern: 'they differ from position to position, and adding them behind a layer would cost more',
  numbers: 'their numbers would lose digits or not be finite',
  width: 'a width is rounded up to one that the target runs faster',
  groups: 'groups of a grouped operator keep one size',
  tie: 'leaving out what others need would take longer than it saves',
  empty: 'an operator needs one channel to work on',
}

/** What a kind of reason means where a model is compiled for `target`. */
export const meaningOf = (kind: ReasonKind, target: Target): string =>
  `${reasonMeanings[kind]}${kind === 'width' ? widthsNote(target) : ''}`

/** Channels of one layer that stay, by kind of reason: in the order of the report, inputs and outputs together. */
export const countByKind = (stays: ReadonlyArray<Remainder>): ReadonlyMap<ReasonKind, number> => {
  const out = new Map<ReasonKind, number>()
  for (const { reason, channels } of stays) out.set(reason.kind, (out.get(reason.kind) ?? 0) + channels.length)
  return out
}

/** `3 width, 1 carrier`. */
export const shortReasons = (stays: ReadonlyArray<Remainder>): string =>
  [...countByKind(stays)].map(([kind, count]) => `${count} ${kind}`).join(', ')

/** One reason in full: `outputs 3,7: rounds the 38 channels …`. */
export const fullReason = ({ side, reason, channels }: Remainder, ranges: string): string =>
  `${channels.length} ${side}${channels.length === 1 ? '' : 's'} (${ranges}): ${reason.text}`

export interface ReasonTotal {
  readonly kind: ReasonKind
  readonly channels: number
  readonly layers: number
}

/** Reasons over all layers, most channels first. */
export const totalReasons = (layers: ReadonlyArray<LayerReport>): ReadonlyArray<ReasonTotal> => {
  const totals = new Map<ReasonKind, { channels: number; layers: number }>()
  for (const { stays } of layers) {
    for (const [kind, channels] of countByKind(stays)) {
      const known = totals.get(kind) ?? { channels: 0, layers: 0 }
      totals.set(kind, { channels: known.channels + channels, layers: known.layers + 1 })
    }
  }
  return [...totals].map(([kind, total]) => ({ kind, ...total })).sort((a, b) => b.channels - a.channels)
}

/** `mask these 96 channels of layer1.0.conv3 too: -210 M multiply-accumulates`. */
export const adviceLine = ({ mask, macs }: Advice): string => {
  const sets = mask.map(
    ({ layer, channels }) => `${channels.length} ${channels.length === 1 ? 'channel' : 'channels'} of ${layer}`,
  )
  return `mask these ${sets.join(' and ')} too: -${formatCount(macs)} multiply-accumulates`
}

/** Why a report has no advice, where that is because of the size of the model. */
export const adviceLeftOutLine = ({ nodes, bytes }: NonNullable<CompileReport['adviceLeftOut']>): string =>
  `what to mask besides was not tried on ${plural(nodes, 'node')} with ${formatBytes(bytes)} of constants; --advice tries it`
