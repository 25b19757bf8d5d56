import { input, int, sample } from '../helpers.ts'

const all = input([2, 3], { values: [1, NaN, Infinity, -Infinity, 0, -2] })

export default [
  sample('both', [all], { opset: 10 }),
  sample('positive', [all], { attributes: { detect_negative: int(0) } }),
  sample('negative', [all], { attributes: { detect_positive: int(0) } }),
]
