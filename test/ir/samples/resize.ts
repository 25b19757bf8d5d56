import { constant, float, input, int, ints, sample, sizes, text } from '../helpers.ts'

const floats32 = (values: ReadonlyArray<number>) => constant([values.length], { values })
const scales = (...values: ReadonlyArray<number>) => floats32(values)

export default [
  sample('opset 10, up', [input([1, 2, 3, 4]), scales(1, 1, 2, 2)], { opset: 10 }),
  sample('opset 10, down', [input([1, 2, 3, 4]), scales(1, 1, 0.5, 0.6)], { opset: 10 }),
  sample('opset 10, linear', [input([1, 2, 3, 4]), scales(1, 1, 2, 1.5)], {
    opset: 10,
    attributes: { mode: text('linear') },
  }),
  sample('half pixel, nearest', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], { opset: 13 }),
  sample('half pixel, linear', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('linear') },
  }),
  sample('half pixel, cubic', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('cubic') },
  }),
  sample('pytorch half pixel, nearest', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { coordinate_transformation_mode: text('pytorch_half_pixel') },
  }),
  sample('pytorch half pixel, linear', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('pytorch_half_pixel') },
  }),
  sample('pytorch half pixel, cubic', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('cubic'), coordinate_transformation_mode: text('pytorch_half_pixel') },
  }),
  sample('align corners, nearest', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { coordinate_transformation_mode: text('align_corners') },
  }),
  sample('align corners, linear', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('align_corners') },
  }),
  sample('align corners, cubic', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('cubic'), coordinate_transformation_mode: text('align_corners') },
  }),
  sample('asymmetric, nearest', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { coordinate_transformation_mode: text('asymmetric') },
  }),
  sample('asymmetric, linear', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('asymmetric') },
  }),
  sample('asymmetric, cubic', [input([1, 2, 3, 4]), undefined, undefined, sizes([1, 2, 5, 6])], {
    opset: 13,
    attributes: { mode: text('cubic'), coordinate_transformation_mode: text('asymmetric') },
  }),
  sample('half pixel symmetric', [input([1, 2, 3, 4]), undefined, scales(1, 1, 1.5, 1.2)], {
    opset: 19,
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('half_pixel_symmetric') },
  }),
  sample('round prefer ceil', [input([1, 2, 3, 4]), undefined, scales(1, 1, 2, 1.5)], {
    opset: 13,
    attributes: { nearest_mode: text('round_prefer_ceil') },
  }),
  sample('floor', [input([1, 2, 3, 4]), undefined, scales(1, 1, 2, 1.5)], {
    opset: 13,
    attributes: { nearest_mode: text('floor') },
  }),
  sample('ceil', [input([1, 2, 3, 4]), undefined, scales(1, 1, 2, 1.5)], {
    opset: 13,
    attributes: { nearest_mode: text('ceil') },
  }),
  sample('crop', [input([1, 2, 3, 4]), floats32([0, 0, 0.2, 0.1, 1, 1, 0.7, 1.2]), undefined, sizes([1, 2, 5, 3])], {
    opset: 13,
    attributes: {
      mode: text('linear'),
      coordinate_transformation_mode: text('tf_crop_and_resize'),
      extrapolation_value: float(3),
    },
  }),
  sample('empty scales', [input([1, 2, 3, 4]), floats32([]), floats32([]), sizes([1, 2, 6, 2])], { opset: 11 }),
  sample('axes', [input([1, 2, 3, 4]), undefined, undefined, sizes([6, 5])], {
    opset: 18,
    attributes: { axes: ints(-1, 2), mode: text('linear') },
  }),
  sample('not larger', [input([1, 2, 3, 4]), undefined, undefined, sizes([7, 7])], {
    opset: 18,
    attributes: { axes: ints(2, 3), keep_aspect_ratio_policy: text('not_larger') },
  }),
  sample('exclude outside', [input([1, 2, 3, 4]), undefined, scales(1, 1, 2, 2)], {
    opset: 13,
    attributes: { mode: text('cubic'), exclude_outside: int(1), cubic_coeff_a: float(-0.5) },
  }),
  sample('channels', [input([1, 2, 4, 4]), undefined, scales(1, 2, 1, 1)], { opset: 13 }),
  sample('as it is', [input([1, 2, 3, 4]), undefined, scales(1, 1, 1, 1)], { opset: 13 }),
  sample('integers', [input([1, 1, 2, 2], { dtype: 'int32', range: [-9, 9] }), undefined, scales(1, 1, 2, 2)], {
    opset: 13,
  }),
  sample(
    'computed sizes',
    [input([1, 2, 2, 2]), undefined, undefined, input([4], { dtype: 'int64', values: [1, 2, 4, 4] })],
    {
      opset: 13,
      sizedByData: true,
    },
  ),
]
