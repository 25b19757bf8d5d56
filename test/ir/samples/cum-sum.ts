import { constant, input, int, sample } from '../helpers.ts'

const axis = (value: number) => constant([], { dtype: 'int64', values: [value] })

export default [
  sample('forwards', [input([2, 4]), axis(1)], { opset: 11 }),
  sample('backwards', [input([3, 4]), axis(0)], { opset: 14, attributes: { reverse: int(1) } }),
  sample('exclusive', [input([2, 4]), axis(-1)], { attributes: { exclusive: int(1) } }),
  sample('exclusive and backwards', [input([2, 4]), axis(1)], { attributes: { exclusive: int(1), reverse: int(1) } }),
]
