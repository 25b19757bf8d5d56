import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('all axes', [input([2, 3, 4])], { opset: 7 }),
  sample('some axes', [input([2, 3, 4])], { attributes: { start: int(-2), end: int(2) } }),
  sample('beyond the end', [input([2, 3, 4])], { opset: 15, attributes: { start: int(1), end: int(9) } }),
  sample('of a constant', [constant([2, 5])]),
]
