/** Brings the smallest weights nearer to 0, without masking them. */
import { code, kept } from './codes.ts'
import type { Shrink } from './phase.ts'
import { valueAt } from './schedule.ts'
import { selectByMagnitude } from './select.ts'
import { rewritten, type Work, type WorkLayer } from './workspace.ts'

/** Carries out a shrink: of n kept weights of a layer exactly the rounded fraction, ties in their order. */
export const shrink = (work: Work, { fraction, factor }: Shrink): void => {
  const part = valueAt(fraction, work.step)
  for (const layer of work.layers) shrinkLayer(layer, Math.round(part * layer.live), factor)
}

const shrinkLayer = (layer: WorkLayer, count: number, factor: number): void => {
  if (count === 0) return
  const codes = layer.codes.slice()
  selectByMagnitude([{ scores: layer.weights, codes }], kept, count, 'lowest', () => code.forgotten)
  const weights = rewritten(layer)
  const rounded = Math.fround(factor)
  for (let i = 0; i < codes.length; i++) if (codes[i] === code.forgotten) weights[i] = (weights[i] ?? 0) * rounded
}
