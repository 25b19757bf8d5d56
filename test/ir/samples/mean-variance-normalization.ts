import { input, ints, sample } from '../helpers.ts'

export default [
  sample('images', [input([2, 3, 2, 2])], { opset: 9 }),
  sample('positions', [input([2, 3, 4])], { opset: 13, attributes: { axes: ints(2) } }),
]
