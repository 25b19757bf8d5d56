/** A compile report for machines. */
import type { Advice } from '../passes/advise.ts'
import type { CompileReport, LayerReport, Width } from '../passes/compile.ts'
import { formatRanges } from './ranges.ts'
import { fractionReached } from './totals.ts'

export interface CompactWidth {
  readonly before: number
  readonly after: number
  /** Indices kept, as ranges of what was read: `0-3,7`. Absent when all are. */
  readonly kept?: string
}

export interface CompactLayer {
  readonly layer: string
  readonly op: string
  readonly weight: string
  readonly inputs: CompactWidth
  readonly outputs: CompactWidth
  readonly macs: LayerReport['macs']
  /** The layer that computes this one as well, where two were made one. */
  readonly joined?: string
  /** Channels that nothing needs and that stay all the same. */
  readonly stays: ReadonlyArray<{
    readonly side: string
    readonly kind: string
    readonly at: string
    readonly reason: string
    readonly channels: string
  }>
}

export interface CompactReport extends Omit<CompileReport, 'layers' | 'advice'> {
  /** Share of the multiplications that could go if every layer could shrink by itself that did go; null when none could. */
  readonly reached: number | null
  readonly layers: ReadonlyArray<CompactLayer>
  /** What to mask besides, output channels as ranges. */
  readonly advice?: ReadonlyArray<{
    readonly mask: ReadonlyArray<{ readonly layer: string; readonly weight: string; readonly channels: string }>
    readonly macs: number
  }>
}

/** The report with indices as ranges, so that its size does not grow with widths. */
export const compactReport = ({ advice, ...report }: CompileReport): CompactReport => ({
  ...report,
  ...(advice === undefined ? {} : { advice: advice.map(compactAdvice) }),
  reached: fractionReached(report) ?? null,
  layers: report.layers.map((layer) => ({
    layer: layer.layer,
    op: layer.op,
    weight: layer.weight,
    inputs: compactWidth(layer.inputs),
    outputs: compactWidth(layer.outputs),
    macs: layer.macs,
    ...(layer.joined === undefined ? {} : { joined: layer.joined }),
    stays: layer.stays.map(({ side, reason, channels }) => ({
      side,
      kind: reason.kind,
      at: reason.at,
      reason: reason.text,
      channels: formatRanges(channels),
    })),
  })),
})

const compactAdvice = ({ mask, macs }: Advice) => ({
  mask: mask.map(({ layer, weight, channels }) => ({ layer, weight, channels: formatRanges(channels) })),
  macs,
})

const compactWidth = ({ before, after, kept }: Width): CompactWidth => ({
  before,
  after,
  ...(kept === undefined || kept.length === before ? {} : { kept: formatRanges(kept) }),
})
