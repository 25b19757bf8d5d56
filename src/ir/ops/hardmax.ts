import { softmax } from '../families/softmax.ts'
import { maximumOf } from '../special-functions.ts'

/** 1 at the first of the largest elements along an axis, 0 elsewhere. Which of equal elements is first is no constant. */
export const Hardmax = softmax('Hardmax', (values) => {
  const first = values.indexOf(maximumOf(values))
  return values.map((_, i) => (i === first ? 1 : 0))
})
