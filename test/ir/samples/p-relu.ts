import { constant, input, sample } from '../helpers.ts'

export default [
  sample('a slope for each channel', [input([2, 3, 2, 2]), constant([3, 1, 1])], { opset: 9 }),
  sample('special slopes', [input([2, 4, 3]), constant([4, 1], { values: [0, 1, -1, 2] })]),
  sample('one slope', [input([2, 3]), constant([1])], { opset: 16 }),
  sample('a computed slope', [input([2, 3]), input([2, 3])]),
]
