import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3, 5]), sizes([2])], { outputs: 2 }),
  sample('first axis', [input([4, 3]), sizes([3])], { outputs: 2, attributes: { axis: int(0), largest: int(0) } }),
  sample('an attribute', [input([2, 5])], { opset: 7, outputs: 2, attributes: { k: int(2) } }),
]
