import { input, sample, text } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 20 }),
  sample('a scalar', [input([])], { opset: 20 }),
  sample('tanh', [input([2, 3])], { opset: 20, attributes: { approximate: text('tanh') } }),
]
