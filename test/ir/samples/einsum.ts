import { input, sample, text } from '../helpers.ts'

export default [
  sample('matrices', [input([2, 3]), input([3, 4])], { attributes: { equation: text('ij,jk->ik') } }),
  sample('batches', [input([2, 3, 4]), input([2, 5, 4])], { attributes: { equation: text('b i d, b j d -> b i j') } }),
  sample('implicit', [input([2, 3]), input([3, 4])], { attributes: { equation: text('ij,jk') } }),
]
