import { requiredString } from '../attributes.ts'
import { binary } from '../families/elementwise.ts'

interface BitShiftAttributes {
  readonly direction: 'LEFT' | 'RIGHT'
}

/** Unsigned integers shifted by `b` bits; bits beyond the type are lost. */
export const BitShift = binary(
  'BitShift',
  [11, 27],
  (a, b, { direction }: BitShiftAttributes) => (direction === 'LEFT' ? a * 2 ** b : Math.floor(a / 2 ** b)),
  {
    schema: { direction: requiredString('LEFT', 'RIGHT') },
    tracked: false,
    wide: (a, b, { direction }) => (direction === 'LEFT' ? BigInt.asUintN(64, a << b) : a >> b),
  },
)
