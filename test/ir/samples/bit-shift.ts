import { constant, input, sample, text } from '../helpers.ts'

const bytes = [input([5], { dtype: 'uint8', range: [0, 255] }), input([5], { dtype: 'uint8', range: [0, 7] })]
const wide = [
  input([2, 3], { dtype: 'uint64', values: [1, 2, 3, 4, 5, 2 ** 60] }),
  constant([3], { dtype: 'uint64', values: [1, 2, 3] }),
]

export default [
  sample('bytes left', bytes, { attributes: { direction: text('LEFT') } }),
  sample('bytes right', bytes, { attributes: { direction: text('RIGHT') } }),
  sample(
    'uint32 left',
    [
      input([3], { dtype: 'uint32', values: [1, 4294967295, 7] }),
      constant([3], { dtype: 'uint32', values: [31, 4, 0] }),
    ],
    {
      attributes: { direction: text('LEFT') },
    },
  ),
  sample('uint64 left', wide, { attributes: { direction: text('LEFT') } }),
  sample('uint64 right', wide, { attributes: { direction: text('RIGHT') } }),
]
