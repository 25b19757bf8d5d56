import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('upper', [input([2, 3, 4])]),
  sample('lower', [input([2, 3, 3]), sizes([1], [])], { opset: 14, attributes: { upper: int(0) } }),
  sample('far off', [input([3, 3]), sizes([-2], [])]),
]
