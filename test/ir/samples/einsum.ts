import { constant, input, sample, text } from '../helpers.ts'

const equation = (value: string) => ({ attributes: { equation: text(value) } })

export default [
  sample('matrices', [input([2, 3]), input([3, 4])], equation('ij,jk->ik')),
  sample('batches', [input([2, 3, 4]), input([2, 5, 4])], equation('b i d, b j d -> b i j')),
  sample('implicit', [input([2, 3]), input([3, 4])], { ...equation('ij,jk'), opset: 12 }),
  sample('scores of heads', [input([2, 3, 4, 5]), input([2, 6, 4, 5])], equation('bqhd,bkhd->bhqk')),
  sample('context of heads', [input([2, 4, 3, 6]), input([2, 6, 4, 5])], equation('bhqk,bkhd->bqhd')),
  sample('into heads', [input([2, 3, 6]), constant([4, 5, 6])], equation('bse,hde->bshd')),
  sample('out of heads', [input([2, 3, 4, 5]), constant([4, 5, 6])], equation('bshd,hde->bse')),
  sample('a constant on the left', [constant([4, 3]), input([2, 3, 5])], equation('oi,bis->bos')),
  sample('a matrix on the left', [input([4, 3]), input([2, 3, 5])], equation('oi,bis->bos')),
  sample('experts', [input([3, 2, 4]), constant([3, 4, 5])], { ...equation('eni,eio->eno'), opset: 12 }),
  sample('several of one operand', [input([2, 3, 4, 5]), input([2, 5, 6])], {
    ...equation('bmnk,bkl->bmln'),
    opset: 12,
  }),
  sample('several of the other one', [input([2, 5]), input([5, 3, 4])], equation('mk,knl->lmn')),
  sample('an ellipsis', [input([2, 3, 4]), input([5, 4])], equation('...i,ji->...j')),
  sample('two ellipses', [input([2, 2, 3, 4]), input([2, 2, 4, 5])], equation('...ij,...jk->...ki')),
  sample('ellipsis, implicit', [input([2, 3, 4]), input([4, 5])], equation('...ij,jk')),
  sample('elementwise', [input([2, 3]), input([3])], equation('ij,j->ij')),
  sample('outer', [input([2]), input([3, 4])], { ...equation('i,jk->kij'), opset: 12 }),
  sample('dot', [input([4]), input([4])], equation('i,i->')),
  sample('dots', [input([3, 4]), input([3, 4])], { ...equation('bi,bi->b'), opset: 12 }),
  sample('a sum beside', [input([2, 3, 4]), input([3, 5])], { ...equation('aij,ik->ak'), opset: 12 }),
  sample('transposed', [input([2, 3, 4])], equation('ijk->kij')),
  sample('sum of one', [input([2, 3, 4])], equation('ijk->k')),
  sample('the same', [input([2, 3])], equation('ij->ij')),
  sample('a diagonal', [input([3, 3])], equation('ii->i')),
  sample('a trace', [input([3, 3]), input([3])], equation('ii,i->')),
  sample('three', [input([2, 3]), input([3, 4]), input([4, 5])], equation('ij,jk,kl->il')),
  sample('three with one kept', [input([2, 3]), input([3, 4]), input([4, 3])], equation('ij,jk,kj->ijk')),
  sample('a size of 1 widened', [input([1, 3]), input([2, 3])], equation('bi,bi->bi')),
  sample('a size of 1 summed', [input([2, 1]), input([3, 4])], equation('ij,jk->ik')),
]
