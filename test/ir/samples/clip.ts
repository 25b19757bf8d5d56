import { constant, float, input, sample } from '../helpers.ts'

const bound = (value: number, dtype: 'float32' | 'int64' = 'float32') => constant([], { dtype, values: [value] })

export default [
  sample('attributes', [input([2, 3])], { opset: 7, attributes: { min: float(-0.5), max: float(1) } }),
  sample('one attribute', [input([2, 3])], { opset: 10, attributes: { max: float(0.5) } }),
  sample('both bounds', [input([2, 3, 4]), bound(-0.5), bound(1)], { opset: 11 }),
  sample('a lower bound', [input([2, 3]), bound(0)]),
  sample('an upper bound', [input([2, 3]), undefined, bound(0.5)]),
  sample('bounds that cross', [input([2, 3]), bound(1), bound(-1)]),
  sample('no bound', [input([2, 3])]),
  sample('computed bounds', [input([2, 3]), input([], { range: [-1, 0] }), input([], { range: [0, 1] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-5, 5] }), bound(-2, 'int64'), bound(3, 'int64')], {
    opset: 12,
  }),
]
