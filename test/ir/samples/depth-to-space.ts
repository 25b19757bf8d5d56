import { input, int, sample, text } from '../helpers.ts'

export default [
  sample('depth first', [input([2, 8, 2, 3])], { opset: 7, attributes: { blocksize: int(2) } }),
  sample('column first', [input([2, 8, 2, 3])], { attributes: { blocksize: int(2), mode: text('CRD') } }),
  sample('blocks of 3', [input([1, 18, 1, 2])], { opset: 11, attributes: { blocksize: int(3) } }),
]
