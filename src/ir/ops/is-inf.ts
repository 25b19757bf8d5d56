import { int } from '../attributes.ts'
import { predicate } from '../families/elementwise.ts'
import { notDefined } from '../families/half-precision.ts'

interface IsInfAttributes {
  readonly detect_negative: number
  readonly detect_positive: number
}

/** Whether x is infinite, with a sign that is asked for. */
export const IsInf = {
  ...predicate(
    'IsInf',
    [10, Infinity],
    (x, { detect_negative, detect_positive }: IsInfAttributes) =>
      Number((x === Infinity && detect_positive !== 0) || (x === -Infinity && detect_negative !== 0)),
    { detect_negative: int(1), detect_positive: int(1) },
  ),
  float32: notDefined,
}
