/** Grouped contractions: which channels have to stay so that all groups have one size. */
import type { Channels } from './contraction.ts'

/** Which indices are kept on the two channel axes of a contraction. 1 is kept. */
export interface Proposal {
  readonly input: Uint8Array
  readonly output: Uint8Array
}

/** How surviving channels fall into groups of equal size, and which have to come back for that. */
export interface Grouping {
  /** Old groups in each new group, in order. */
  readonly groups: ReadonlyArray<ReadonlyArray<number>>
  readonly backInputs: ReadonlyArray<number>
  readonly backOutputs: ReadonlyArray<number>
}

const keptIn = (kept: Uint8Array, group: number, size: number): number => {
  let n = 0
  for (let i = group * size; i < (group + 1) * size; i++) n += kept[i] ?? 0
  return n
}

/**
 * Groups that lost all their channels go. The others need equally many inputs and outputs each: either channels come
 * back, or `m` neighbouring groups become one (zero weights between them) where that is fewer multiplications. Channel
 * order never changes.
 */
export const planGroups = (channels: Channels, groups: number, kept: Proposal): Grouping => {
  const { inputsPerGroup, outputsPerGroup } = channels
  const alive: number[] = []
  for (let g = 0; g < groups; g++) {
    if (keptIn(kept.input, g, inputsPerGroup) + keptIn(kept.output, g, outputsPerGroup) > 0) alive.push(g)
  }
  let best: { readonly cost: number; readonly plan: Grouping } | undefined
  for (let m = 1; m <= alive.length; m++) {
    if (alive.length % m !== 0) continue
    const merged: number[][] = []
    for (let i = 0; i < alive.length; i += m) merged.push(alive.slice(i, i + m))
    const width = (side: Uint8Array, size: number): number =>
      Math.max(1, ...merged.map((gs) => gs.reduce((n, g) => n + keptIn(side, g, size), 0)))
    const ins = width(kept.input, inputsPerGroup)
    const outs = width(kept.output, outputsPerGroup)
    const cost = merged.length * ins * outs
    if (best !== undefined && best.cost <= cost) continue
    const back = (side: Uint8Array, size: number, target: number): number[] =>
      merged.flatMap((gs) => {
        let missing = target - gs.reduce((n, g) => n + keptIn(side, g, size), 0)
        const list: number[] = []
        for (const g of gs) {
          for (let i = g * size; i < (g + 1) * size && missing > 0; i++) {
            if (side[i] === 1) continue
            list.push(i)
            missing -= 1
          }
        }
        return list
      })
    best = {
      cost,
      plan: {
        groups: merged,
        backInputs: back(kept.input, inputsPerGroup, ins),
        backOutputs: back(kept.output, outputsPerGroup, outs),
      },
    }
  }
  return best?.plan ?? { groups: [], backInputs: [], backOutputs: [] }
}

/** Of each group that stays and has no input or no output left, its first one: the least that a group can do with. */
export const emptyGroups = (
  channels: Channels,
  groups: number,
  kept: Proposal,
): Pick<Grouping, 'backInputs' | 'backOutputs'> => {
  const plan = planGroups(channels, groups, kept)
  const first = (side: Uint8Array, size: number): number[] =>
    plan.groups.flatMap((gs) => (gs.some((g) => keptIn(side, g, size) > 0) ? [] : [(gs[0] ?? 0) * size]))
  return {
    backInputs: first(kept.input, channels.inputsPerGroup),
    backOutputs: first(kept.output, channels.outputsPerGroup),
  }
}
