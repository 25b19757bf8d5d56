import { input, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('cropped', [input([5, 4]), sizes([2, 3])], { opset: 18 }),
  sample('padded', [input([2, 3]), sizes([5, 4])]),
  sample('some axes', [input([2, 5, 3]), sizes([8, 2])], { attributes: { axes: ints(2, 1) } }),
]
