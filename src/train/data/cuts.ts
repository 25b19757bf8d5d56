/** Which part of each training image is looked at, drawn at random. */
import { type Draws, drawsFrom, type RandomState } from '../../ir/random.ts'
import type { ImageShape } from './data-set.ts'

/** A least and a largest number. */
type Span = readonly [low: number, high: number]

/**
 * How training images are varied. `padded`: `padding` black rows and columns are put around an image and a part of its own
 * size is cut out; CIFAR is usually trained with 4. `resized`: a part is cut out and brought to the image's size, its area
 * `scale` times the image's and its width `ratio` times its height, both drawn from these spans; ImageNet is usually
 * trained with [0.08, 1] and [3/4, 4/3]. `flip`: half of the images are mirrored left to right.
 */
export type Augmentation =
  | { readonly crop: 'padded'; readonly padding: number; readonly flip: boolean }
  | { readonly crop: 'resized'; readonly scale: Span; readonly ratio: Span; readonly flip: boolean }

/** A part of an image: where it begins relative to the image, and its size. */
export interface Part {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** The part of each image of a batch, one entry an image, and whether it is mirrored after that. */
export interface Cuts extends Readonly<Record<keyof Part, Int32Array>> {
  readonly mirrored: Uint8Array
}

/** Draws the cuts of `count` images. */
export type CutDrawer = (count: number, state: RandomState) => { readonly cuts: Cuts; readonly next: RandomState }

/** Draws cuts of images of that shape. The same state gives the same cuts on every machine. */
export const cutDrawer = (augmentation: Augmentation, shape: ImageShape): CutDrawer => {
  const part = augmentation.crop === 'padded' ? padded(augmentation.padding, shape) : resized(augmentation, shape)
  return (count, state) => {
    const numbers = (): Int32Array => new Int32Array(count)
    const cuts = {
      top: numbers(),
      left: numbers(),
      height: numbers(),
      width: numbers(),
      mirrored: new Uint8Array(count),
    }
    const draws = drawsFrom(state)
    for (let i = 0; i < count; i++) {
      const drawn = part(draws)
      cuts.top[i] = drawn.top
      cuts.left[i] = drawn.left
      cuts.height[i] = drawn.height
      cuts.width[i] = drawn.width
      cuts.mirrored[i] = augmentation.flip ? draws.below(2) : 0
    }
    return { cuts, next: draws.state() }
  }
}

type PartDrawer = (draws: Draws) => Part

const padded =
  (padding: number, [, height, width]: ImageShape): PartDrawer =>
  (draws) => ({
    top: draws.below(2 * padding + 1) - padding,
    left: draws.below(2 * padding + 1) - padding,
    height,
    width,
  })

/** Parts that are tried before the middle of the image is taken. */
const attempts = 10

/**
 * The parts of torchvision's RandomResizedCrop: area uniform in `scale`, logarithm of the aspect ratio uniform in the
 * logarithm of `ratio`, sides rounded, anywhere in the image. Where ten of them do not fit, the largest part around the
 * middle whose ratio is within `ratio`.
 */
const resized = (
  { scale, ratio: [narrow, broad] }: Extract<Augmentation, { readonly crop: 'resized' }>,
  [, height, width]: ImageShape,
): PartDrawer => {
  const power = powersOf(broad / narrow)
  const middle = centred(height, width, narrow, broad)
  return (draws) => {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const area = height * width * (scale[0] + (scale[1] - scale[0]) * draws.next())
      const ratio = narrow * power(draws.below(2 ** 32))
      const [w, h] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))]
      if (w < 1 || h < 1 || w > width || h > height) continue
      return { top: draws.below(height - h + 1), left: draws.below(width - w + 1), height: h, width: w }
    }
    return middle
  }
}

const centred = (height: number, width: number, narrow: number, broad: number): Part => {
  const h = Math.max(1, Math.min(height, Math.round(width / narrow)))
  const w = Math.max(1, Math.min(width, Math.round(height * broad)))
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), height: h, width: w }
}

/**
 * x ↦ base^(x · 2⁻³²) for whole numbers x of 32 bits, by square roots and products alone: IEEE 754 says how these are
 * rounded, of powers and logarithms it does not.
 */
const powersOf = (base: number): ((x: number) => number) => {
  const roots = new Float64Array(32)
  let root = base
  for (let bit = 31; bit >= 0; bit--) {
    root = Math.sqrt(root)
    roots[bit] = root
  }
  return (x) => {
    let product = 1
    for (const [bit, factor] of roots.entries()) if (((x >>> bit) & 1) === 1) product *= factor
    return product
  }
}
