/** What constants that a pass makes may add to a model, in bytes. */

/** What one value may add: tract's allowance for constant propagation. */
export const growthPerValue = 4 * 2 ** 20

/** What all of them together may add. Where they would add more, only those that add next to nothing are made. */
export const growthInAll = 64 * 2 ** 20

/** Next to nothing: shapes, axes, scales, one number for each channel. */
export const negligibleGrowth = 64 * 2 ** 10
