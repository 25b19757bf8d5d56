import * as E from 'fp-ts/lib/Either.js'
import { isFloat, isWide } from '../dtype.ts'
import { broadcastElements, numbersOf } from '../evaluate.ts'
import { binary } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { type Dense, isNumeric, tensorOf } from '../tensor.ts'

const base = binary('Pow', [7, Infinity], (x, y) => x ** y, {
  absorb: (x, y) => (x === 1 || y === 0 ? 1 : undefined),
  neutral: { value: 1, ports: [0] },
})

/** `xʸ` with broadcasting, of x's type; the exponent may have another. */
export const Pow = defineOp({
  ...base,
  float32: leavesRange,
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    return E.isLeft(x) ? x : base.inferTypes(ctx)
  },
  evaluate: (_ctx, [x, y]) => {
    if (!x || !y || !isNumeric(x.dtype) || !isNumeric(y.dtype)) return undefined
    const power = broadcastElements('float64', [asNumbers(x), asNumbers(y)], (a, b) => a ** b)
    if (power === undefined || (!isFloat(x.dtype) && !numbersOf(power).every(Number.isSafeInteger))) return undefined
    return [tensorOf(x.dtype, power.shape, numbersOf(power))]
  },
})

const asNumbers = (tensor: Dense): Dense =>
  isWide(tensor.dtype) ? tensorOf('float64', tensor.shape, numbersOf(tensor)) : tensor
