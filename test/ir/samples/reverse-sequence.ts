import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('time first', [input([4, 3, 2]), sizes([1, 4, 2])], { opset: 10 }),
  sample('batch first', [input([3, 4, 2]), sizes([1, 4, 2])], {
    attributes: { batch_axis: int(0), time_axis: int(1) },
  }),
]
