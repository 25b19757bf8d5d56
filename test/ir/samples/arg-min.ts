import { input, int, sample } from '../helpers.ts'

const ties = input([2, 4], { values: [1, 3, 3, 1, -1, -1, -2, -2] })

export default [
  sample('first axis', [input([3, 2, 4])], { opset: 7 }),
  sample('dropped', [input([2, 3, 4])], { attributes: { axis: int(1), keepdims: int(0) } }),
  sample('ties', [ties], { attributes: { axis: int(-1) } }),
  sample('last of ties', [ties], { attributes: { axis: int(-1), select_last_index: int(1) } }),
]
