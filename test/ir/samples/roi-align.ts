import { constant, input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('two regions', [input([1, 3, 6, 6]), constant([2, 4], { values: [0, 0, 4, 4, 1, 1, 5, 3] }), sizes([0, 0])], {
    attributes: { output_height: int(2), output_width: int(3) },
  }),
]
