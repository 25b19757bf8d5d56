import { constant, float, input, int, sample } from '../../helpers.ts'

export default [
  sample('scaled', [input([2, 3, 4]), input([2, 4, 5])], { attributes: { alpha: float(0.25) } }),
  sample('transposed right', [input([2, 3, 4]), input([2, 5, 4])], { attributes: { transB: int(1) } }),
  sample('transposed left', [input([4, 3]), constant([4, 5])], { attributes: { transA: int(1) } }),
  sample('transposed both', [input([2, 2, 4, 3]), input([5, 4])], { attributes: { transA: int(1), transB: int(1) } }),
  sample('batch transposed', [input([3, 2, 4]), input([2, 4, 5])], { attributes: { transBatchA: int(1) } }),
  sample('batch and matrix transposed', [input([2, 3, 4]), input([5, 2, 4])], {
    attributes: { transBatchB: int(1), transB: int(1), alpha: float(2) },
  }),
  sample('several batches transposed', [input([4, 2, 3, 5]), input([2, 3, 5, 6])], {
    attributes: { transBatchA: int(1) },
  }),
]
