import { float, input, int, sample } from '../helpers.ts'

export default [
  sample('three channels', [input([2, 5, 2, 2])], { opset: 7, attributes: { size: int(3) } }),
  sample('more than there are', [input([1, 3, 2, 2])], {
    attributes: { size: int(5), alpha: float(0.3), beta: float(0.5), bias: float(2) },
  }),
  sample('an even number', [input([1, 5, 1, 1])], {
    attributes: { size: int(2), alpha: float(0.3) },
    noRuntime: 'only odd sizes',
  }),
]
