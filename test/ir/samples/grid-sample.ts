import { input, sample, text } from '../helpers.ts'

export default [
  sample('bilinear', [input([2, 3, 4, 4]), input([2, 2, 3, 2], { range: [-1, 1] })], { opset: 16 }),
  sample('nearest', [input([1, 2, 4, 4]), input([1, 2, 2, 2], { range: [-1, 1] })], {
    attributes: { mode: text('nearest') },
  }),
]
