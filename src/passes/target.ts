/** What a package is to run on, and the widths that it runs fast. */
import type { CostTable } from '../cost/table.ts'
import { cpuOf16 } from '../cost/tables/cpu-16.ts'
import type { Reads } from '../ir/families/contraction.ts'

export const targets = ['cpu', 'cuda', 'webgpu'] as const

export type Target = (typeof targets)[number]

/** What is known of the times of a target: what was measured there, or else elsewhere; undefined where nothing was. */
export const costsOf = (target: Target | undefined, measured?: CostTable): CostTable | undefined =>
  target === 'cpu' ? (measured ?? cpuOf16) : undefined

/** The next widths that a target with blocks of channels may be faster at, ascending. */
export const widthsAbove = (width: number, block: number): ReadonlyArray<number> =>
  [4, block, 4 * block]
    .map((multiple) => Math.ceil(width / multiple) * multiple)
    .filter((w, i, all) => w > width && w !== all[i - 1])

/**
 * The multiple of channels that is fast on targets that nothing was measured of: what tensor cores load at once of half-width floats,
 * also for single ones, since what is compiled may be made half after it; WebGPU's vectors of 4.
 */
const assumedMultiples = { cpu: 1, cuda: 8, webgpu: 4 }

/** What the widths of a model that is to be pruned should be multiples of. */
export const fastMultiple = (target: Target, measured?: CostTable): number =>
  costsOf(target, measured)?.block ?? assumedMultiples[target]

/** ` (not measured)` behind what is said of widths for a target that nothing was measured of. */
export const widthsNote = (target: Target): string => (costsOf(target) === undefined ? ' (not measured)' : '')

/** The multiple of input channels that makes a contraction fast, of targets that nothing was measured of. */
export const widthMultiple = ({ contraction: c, weight }: Reads, target: Target): number =>
  weight.shape.length > 2 && c.groups > 1 ? 1 : assumedMultiples[target]
