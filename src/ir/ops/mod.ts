import { int } from '../attributes.ts'
import { binary, finite, isReal } from '../families/elementwise.ts'
import type { OpDef } from '../op.ts'
import { isStatic } from '../type.ts'

interface ModAttributes {
  readonly fmod: number
}

const base = binary('Mod', [10, 27], (a, b, attrs: ModAttributes) => (attrs.fmod === 0 ? NaN : a % b), {
  schema: { fmod: int(0) },
  integer: (a, b, { fmod }) => (fmod === 0 ? ((a % b) + b) % b : a % b),
  wide: (a, b, { fmod }) => (fmod === 0 ? ((a % b) + b) % b : a % b),
  divides: true,
  tracked: false,
  content: (a, b, { fmod }) => {
    if (!isStatic(a) || !isStatic(b) || b === 0) return undefined
    return fmod === 0 ? ((a % b) + b) % b : a % b
  },
})

/** How far from a jump, in units of the divisor, a quotient has to be for the remainder to be known. */
const margin = 2 ** -10

/** Remainder with the sign of the divisor, or of the dividend where `fmod` is set, as it has to be for floats. */
export const Mod: OpDef<'Mod', ModAttributes> = {
  ...base,
  constant: (ctx, [a, b]) => {
    if (typeof a !== 'number' || typeof b !== 'number' || !isReal(ctx) || ctx.attrs.fmod === 0) return undefined
    const quotient = a / b
    const isNearJump = Math.abs(quotient) >= margin && Math.abs(quotient - Math.round(quotient)) < margin
    return isNearJump || Math.abs(quotient) > 1 / margin ? undefined : finite(a % b)
  },
  accurateTo: (_ctx, [a]) => Math.abs(a ?? 0),
}
