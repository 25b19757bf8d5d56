/** Brings what belongs to marked channels nearer to 0, without masking it. */
import { indicesOf, membersOf, sizeOfLayer } from './network.ts'
import type { FadeChannels } from './phase.ts'
import type { Work, WorkLayer } from './workspace.ts'

/** Carries out a fade, of the weights that make marked channels and of their scales and shifts. */
export const fadeChannels = (work: Work, { begin, period }: FadeChannels): void => {
  const t = (((work.step - begin) % period) + period) % period
  const factor = (period - t - 1) / (period - t)
  const byName = new Map(work.all.map((layer) => [layer.layer.name, layer]))
  for (const [s, stream] of work.state.network.streams.entries()) {
    const marks = work.marked[s]
    if (marks?.includes(1) !== true) continue
    for (const slot of membersOf(stream, (name) => byName.get(name)?.layer)) {
      const layer = byName.get(slot.layer)
      if (layer !== undefined) multiply(layer, slot.axis, indicesOf(slot, marks), factor)
    }
  }
}

const multiply = (layer: WorkLayer, axis: number, indices: Iterable<number>, factor: number): void => {
  const { shape } = layer.layer
  const factors = layer.factors ?? new Float32Array(layer.codes.length).fill(1)
  const inner = sizeOfLayer({ shape: shape.slice(axis + 1) })
  const period = inner * (shape[axis] ?? 1)
  for (const index of indices) {
    for (let start = index * inner; start < factors.length; start += period) {
      for (let i = start; i < start + inner; i++) factors[i] = (factors[i] ?? 1) * factor
    }
  }
  layer.factors = factors
}
