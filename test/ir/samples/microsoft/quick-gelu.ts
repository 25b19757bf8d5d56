import { float, input, sample } from '../../helpers.ts'

export default [
  sample('default', [input([2, 3])]),
  sample('as Swish', [input([2, 3])], { attributes: { alpha: float(1) } }),
]
