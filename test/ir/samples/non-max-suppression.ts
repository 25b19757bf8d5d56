import { constant, sample, sizes } from '../helpers.ts'

export default [
  sample(
    'one class',
    [
      constant([1, 3, 4], { values: [0, 0, 1, 1, 0, 0, 1, 1.1, 2, 2, 3, 3] }),
      constant([1, 1, 3], { values: [0.9, 0.8, 0.7] }),
      sizes([3], []),
      constant([], { values: [0.5] }),
    ],
    { sizedByData: true },
  ),
]
