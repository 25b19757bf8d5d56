import { input, int, sample } from '../helpers.ts'

export default [
  sample('the main diagonal', [input([3, 4])], { opset: 9 }),
  sample('another one', [input([3, 4])], { attributes: { dtype: int(7), k: int(-1) } }),
]
