/** What the numbers of a held tensor are stored as, and what is stored for new ones. */
import { decodeElements, type Elements, encodeElements } from './element-codec.ts'
import { invariant } from './failure.ts'
import type { Held } from './tensor.ts'
import { sizeOf } from './type.ts'

/** What the numbers that are stored stand for, by their place in row-major order. */
export interface HeldReader {
  /** In double, not yet rounded to the type of the tensor. */
  readonly decode: (stored: number, place: number) => number
  /** What is stored for a number that the tensor {@link holds}. */
  readonly encode: (value: number, place: number) => number
}

/** The number of a scale or zero that belongs to each place of a tensor, given all of them. */
export const heldPart = (
  { shape, axis, block }: Pick<Held, 'shape' | 'axis' | 'block'>,
  values: Elements | undefined,
  otherwise: number,
): ((place: number) => number) => {
  if (values === undefined) return () => otherwise
  const inner = sizeOf(shape.slice(axis + 1))
  const size = shape[axis] ?? 1
  const only = Number(values[0])
  if (values.length === 1) return () => only
  if (block !== undefined) {
    const blocks = Math.ceil(size / block)
    return (place) => {
      const row = Math.floor(place / inner)
      const at = Math.floor(row / size) * blocks + Math.floor((row % size) / block)
      return Number(values[at * inner + (place % inner)])
    }
  }
  return (place) => Number(values[Math.floor(place / inner) % size])
}

/** `scales` and `zeros` are the elements of `held.scale` and `held.zero`. */
export const heldReader = (held: Held, scales: Elements | undefined, zeros: Elements | undefined): HeldReader => {
  const { dtype, stored } = held
  const [scaleAt, zeroAt] = [heldPart(held, scales, 1), heldPart(held, zeros, 0)]
  const isCast = scales === undefined && zeros === undefined
  // As runtimes do: the difference of integers is exact in 32 bits, then rounded to single precision.
  const single = dtype === 'float64' || isCast ? (x: number): number => x : Math.fround
  const decode = (q: number, place: number): number => single(single(q - zeroAt(place)) * scaleAt(place))
  return {
    decode,
    encode: (value, place) => {
      if (value === 0) return zeroAt(place)
      const q = isCast ? value : Math.round(value / scaleAt(place)) + zeroAt(place)
      const [written = NaN] = Float64Array.from(
        decodeElements(stored.dtype, encodeElements(stored.dtype, [q]), 1),
        Number,
      )
      invariant(decode(written, place) === value, `${value} as ${stored.dtype} of scale ${scaleAt(place)}`)
      return q
    },
  }
}
