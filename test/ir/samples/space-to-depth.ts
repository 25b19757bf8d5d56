import { input, int, sample } from '../helpers.ts'

export default [
  sample('blocks of 2', [input([2, 3, 4, 2])], { opset: 7, attributes: { blocksize: int(2) } }),
  sample('blocks of 3', [input([1, 2, 3, 6])], { attributes: { blocksize: int(3) } }),
]
