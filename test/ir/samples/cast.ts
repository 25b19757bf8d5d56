import { dtypes } from '../../../src/ir/dtype.ts'
import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('float32 to float16', [input([3, 4], { dtype: 'float32' })], {
    attributes: { to: int(dtypes.indexOf('float16') + 1) },
  }),
  sample('float16 to float32', [input([3, 4], { dtype: 'float16' })], {
    attributes: { to: int(dtypes.indexOf('float32') + 1) },
  }),
  sample('float32 to float64', [input([3, 4], { dtype: 'float32' })], {
    attributes: { to: int(dtypes.indexOf('float64') + 1) },
  }),
  sample('float64 to float16', [input([3, 4], { dtype: 'float64' })], {
    attributes: { to: int(dtypes.indexOf('float16') + 1) },
  }),
  sample('float32 to bfloat16', [input([3, 4], { dtype: 'float32' })], {
    attributes: { to: int(dtypes.indexOf('bfloat16') + 1) },
    noRuntime: 'onnxruntime-node has no bfloat16 tensors',
  }),
  sample('float32 to int64', [input([3, 4], { dtype: 'float32', range: [-7, 7] })], {
    attributes: { to: int(dtypes.indexOf('int64') + 1) },
  }),
  sample('float32 to int32', [input([3, 4], { dtype: 'float32', range: [-5, 5] })], {
    attributes: { to: int(dtypes.indexOf('int32') + 1) },
  }),
  sample('float32 to bool', [input([3, 4], { dtype: 'float32' })], {
    attributes: { to: int(dtypes.indexOf('bool') + 1) },
  }),
  sample('int64 to float32', [input([3, 4], { dtype: 'int64', range: [-5, 5] })], {
    attributes: { to: int(dtypes.indexOf('float32') + 1) },
  }),
  sample('int32 to int64', [input([3, 4], { dtype: 'int32', range: [-5, 5] })], {
    attributes: { to: int(dtypes.indexOf('int64') + 1) },
  }),
  sample('int64 to uint8', [input([3, 4], { dtype: 'int64', range: [0, 9] })], {
    attributes: { to: int(dtypes.indexOf('uint8') + 1) },
  }),
  sample('uint8 to float16', [input([3, 4], { dtype: 'uint8', range: [0, 9] })], {
    attributes: { to: int(dtypes.indexOf('float16') + 1) },
  }),
  sample('bool to int64', [input([3, 4], { dtype: 'bool' })], { attributes: { to: int(dtypes.indexOf('int64') + 1) } }),
  sample('float32 to float32', [input([3, 4], { dtype: 'float32' })], {
    attributes: { to: int(dtypes.indexOf('float32') + 1) },
  }),
  sample('known elements', [constant([3], { dtype: 'int64', values: [1, -2, 3] })], { attributes: { to: int(6) } }),
  sample('known elements to bool', [constant([3], { dtype: 'int64', values: [0, 5, -1] })], {
    attributes: { to: int(9) },
  }),
  sample('opset 7', [input([2])], { opset: 7, attributes: { to: int(11) } }),
]
