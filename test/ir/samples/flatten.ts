import { input, int, sample } from '../helpers.ts'

export default [
  sample('at 0', [input([2, 3, 4])], { opset: 9, attributes: { axis: int(0) } }),
  sample('at 1', [input([2, 3, 4])], { opset: 9, attributes: { axis: int(1) } }),
  sample('at 2', [input([2, 3, 4])], { opset: 9, attributes: { axis: int(2) } }),
  sample('at 3', [input([2, 3, 4])], { opset: 9, attributes: { axis: int(3) } }),
  sample('at -1', [input([2, 3, 4])], { opset: 11, attributes: { axis: int(-1) } }),
  sample('of spatial ones', [input([2, 5, 1, 1])]),
]
