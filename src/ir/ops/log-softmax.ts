import { softmax } from '../families/softmax.ts'
import { exponentials, maximumOf, sumOf } from '../special-functions.ts'

/** `x - log Σ e^x` along an axis. */
export const LogSoftmax = softmax(
  'LogSoftmax',
  (values) => {
    const [most, rest] = [maximumOf(values), Math.log(sumOf(exponentials(values)))]
    return values.map((v) => v - most - rest)
  },
  (count) => -Math.log(count),
  { isShiftFree: true },
)
