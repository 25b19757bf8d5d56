/** Brings what belongs to marked channels nearer to 0, without masking it. */
import type { FadeChannels } from './phase.ts'
import { rewriteChannels, type Work } from './workspace.ts'

/** Carries out a fade, of the weights that make marked channels and of their scales and shifts. */
export const fadeChannels = (work: Work, { begin, period }: FadeChannels): void => {
  const t = (((work.step - begin) % period) + period) % period
  const factor = Math.fround((period - t - 1) / (period - t))
  for (const [s, marks] of work.marked.entries()) {
    if (!marks.includes(1)) continue
    rewriteChannels(work, s, (weights, from, to, c) => {
      if (marks[c] !== 1) return
      for (let i = from; i < to; i++) weights[i] = (weights[i] ?? 0) * factor
    })
  }
}
