import { constant, float, input, int, sample } from '../helpers.ts'

const parameters = (channels: number) => [
  constant([channels]),
  constant([channels]),
  constant([channels]),
  constant([channels], { range: [0.5, 2] }),
]

export default [
  sample('images', [input([2, 3, 2, 2]), ...parameters(3)], { opset: 9 }),
  sample('rows', [input([4, 3]), ...parameters(3)]),
  sample('volumes', [input([1, 2, 2, 2, 2]), ...parameters(2)], { opset: 14, attributes: { epsilon: float(0.1) } }),
  sample('opset 7', [input([2, 3, 2]), ...parameters(3)], {
    opset: 7,
    attributes: { spatial: int(1), momentum: float(0.8) },
  }),
  sample('zero scales', [
    input([2, 4, 2]),
    constant([4], { values: [0, 1, 0, -2] }),
    constant([4], { values: [3, 1, 0, 2] }),
    constant([4], { values: [0, 0.5, 1, 0] }),
    constant([4], { values: [1, 1, 2, 0.5] }),
  ]),
  sample('training', [input([2, 3, 2]), ...parameters(3)], {
    opset: 15,
    outputs: 3,
    attributes: { training_mode: int(1) },
  }),
  sample('computed parameters', [
    input([2, 3, 2]),
    input([3]),
    input([3]),
    input([3]),
    input([3], { range: [0.5, 2] }),
  ]),
]
