import { int } from '../attributes.ts'
import { binary } from '../families/elementwise.ts'
import { isStatic } from '../type.ts'

/** Remainder with the sign of the divisor, or of the dividend where `fmod` is set, as it has to be for floats. */
export const Mod = binary(
  'Mod',
  [10, 27],
  (a, b, attrs: { readonly fmod: number }) => (attrs.fmod === 0 ? NaN : a % b),
  {
    schema: { fmod: int(0) },
    integer: (a, b, { fmod }) => (fmod === 0 ? ((a % b) + b) % b : a % b),
    wide: (a, b, { fmod }) => (fmod === 0 ? ((a % b) + b) % b : a % b),
    divides: true,
    tracked: false,
    content: (a, b, { fmod }) => {
      if (!isStatic(a) || !isStatic(b) || b === 0) return undefined
      return fmod === 0 ? ((a % b) + b) % b : a % b
    },
  },
)
