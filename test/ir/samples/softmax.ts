import { input, int, sample } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3, 4])], { opset: 13 }),
  sample('channels', [input([2, 3, 4])], { attributes: { axis: int(1) } }),
  sample('coerced to a matrix', [input([2, 3, 4])], { opset: 11 }),
  sample('coerced from axis 2', [input([2, 3, 2, 2])], { opset: 7, attributes: { axis: int(2) } }),
  sample('coerced from the last axis', [input([2, 3, 4])], { opset: 12, attributes: { axis: int(-1) } }),
]
