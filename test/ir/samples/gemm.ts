import { constant, float, input, int, sample } from '../helpers.ts'

const scaled = { alpha: float(0.5), beta: float(2) }

export default [
  sample('no C', [input([3, 4]), constant([4, 5])], { opset: 11, attributes: { alpha: float(1.5) } }),
  sample('a vector', [input([3, 4]), constant([4, 5]), constant([5])], { attributes: scaled }),
  sample('a row', [input([3, 4]), constant([5, 4]), constant([1, 5])], { opset: 7, attributes: { transB: int(1) } }),
  sample('a column', [input([3, 4]), constant([4, 5]), constant([3, 1])], { attributes: scaled }),
  sample('a constant column', [input([3, 4]), constant([4, 5]), constant([3, 1], { values: [2, 2, 2] })]),
  sample('a matrix', [input([4, 3]), constant([4, 5]), constant([3, 5])], {
    attributes: { ...scaled, transA: int(1) },
  }),
  sample('a scalar', [input([3, 4]), constant([4, 5]), constant([])], { attributes: scaled }),
  sample('one element', [input([3, 4]), constant([4, 5]), constant([1])], { attributes: { beta: float(-1) } }),
  sample('a computed vector', [input([3, 4]), constant([4, 5]), input([5])], { attributes: { beta: float(2) } }),
  sample('a computed matrix', [input([3, 4]), constant([4, 5]), input([3, 5])]),
  sample('C left out by beta', [input([3, 4]), constant([4, 5]), input([5])], { attributes: { beta: float(0) } }),
  sample('constant C left out by beta', [input([3, 4]), constant([4, 5]), constant([5])], {
    attributes: { beta: float(0) },
  }),
  sample('both transposed', [input([4, 3]), constant([5, 4]), constant([5])], {
    attributes: { transA: int(1), transB: int(1) },
  }),
  sample('two computed operands', [input([3, 4]), input([4, 5]), constant([5])]),
  sample('constant left operand', [constant([3, 4]), input([4, 5]), constant([3, 1])]),
  sample('both constant', [constant([3, 4]), constant([4, 5])]),
  sample('float64', [input([2, 3], { dtype: 'float64' }), constant([3, 2], { dtype: 'float64' })]),
]
