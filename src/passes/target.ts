/** What a package is to run on, and the widths that it runs fast. */
import type { CostTable } from '../cost/table.ts'
import { cpuOf16 } from '../cost/tables/cpu-16.ts'
import { bitsOf, type DType } from '../ir/dtype.ts'
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

/** What the widths of a model that is to be pruned should be multiples of: blocks of channels of a CPU, what tensor cores load at once. */
export const fastMultiple = (target: Target, measured?: CostTable): number =>
  costsOf(target, measured)?.block ?? { cpu: 1, cuda: 8, webgpu: 4 }[target]

/** ` (not measured)` behind what is said of widths for a target that nothing was measured of. */
export const widthsNote = (target: Target): string => (costsOf(target) === undefined ? ' (not measured)' : '')

/**
 * The multiple of input channels that makes a contraction fast: what tensor cores load at once (8 half-width or 4
 * single-width floats), WebGPU's vectors of 4. Of targets that nothing was measured of.
 */
export const widthMultiple = ({ contraction: c, weight }: Reads, target: Target): number => {
  if (weight.shape.length > 2 && c.groups > 1) return 1
  return target === 'cuda' && isHalf(weight.dtype) ? 8 : 4
}

const isHalf = (dtype: DType): boolean => bitsOf(dtype) === 16
