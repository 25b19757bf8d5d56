/** What a package is to run on, and the widths that it runs fast. */
import { bitsOf, type DType } from '../ir/dtype.ts'
import type { Reads } from '../ir/families/contraction.ts'

export const targets = ['cpu', 'cuda', 'webgpu'] as const

export type Target = (typeof targets)[number]

/**
 * The multiple of input channels that makes a contraction fast: what tensor cores load at once (8 half-width or 4
 * single-width floats), WebGPU's vectors of 4, and the blocks of ONNX Runtime's CPU convolutions, which take ungrouped
 * ones only. 1 where it makes no difference.
 */
export const widthMultiple = ({ contraction: c, weight }: Reads, target: Target): number => {
  const isConvolution = weight.shape.length > 2
  if (isConvolution && c.groups > 1) return 1
  if (target === 'cpu') return isConvolution ? 4 : 1
  return target === 'cuda' && isHalf(weight.dtype) ? 8 : 4
}

const isHalf = (dtype: DType): boolean => bitsOf(dtype) === 16
