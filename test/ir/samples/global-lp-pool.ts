import { input, int, sample } from '../helpers.ts'

export default [
  sample('images', [input([2, 3, 3, 2])], { opset: 7 }),
  sample('sequences', [input([1, 2, 4])]),
  sample('p of 1', [input([1, 2, 4])], { attributes: { p: int(1) } }),
]
