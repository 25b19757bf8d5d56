import { softmax } from '../families/softmax.ts'
import { exponentials, sumOf } from '../special-functions.ts'

/** `e^x / Σ e^x` along an axis. */
export const Softmax = softmax(
  'Softmax',
  (values) => {
    const powers = exponentials(values)
    const sum = sumOf(powers)
    return powers.map((v) => v / sum)
  },
  (count) => 1 / count,
  { sumsToOne: true, isShiftFree: true },
)
