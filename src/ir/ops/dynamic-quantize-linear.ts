import * as E from 'fp-ts/lib/Either.js'
import type { NoAttributes } from '../families/elementwise.ts'
import { quantize, roundToEven } from '../families/quantization.ts'
import { numbersOf } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { tensorOf } from '../tensor.ts'
import { isStatic, tensorType } from '../type.ts'

/**
 * The input as uint8, with the scale and zero point that its range gives, which always holds zero. So channels may leave that are
 * zero: axis 1 of images, else the last one.
 */
export const DynamicQuantizeLinear = defineOp<'DynamicQuantizeLinear', NoAttributes>({
  name: 'DynamicQuantizeLinear',
  versions: [11, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    return E.right([tensorType('uint8', type.right.shape), tensorType('float32', []), tensorType('uint8', [])])
  },
  links: () => [],
  centres: { input: 0, output: 0, zero: 2 },
  statistics: (ctx) => {
    const shape = inputShape(ctx, 0) ?? []
    const axis = shape.length > 3 ? 1 : shape.length - 1
    if (!isStatic(shape[axis])) return []
    return [{ port: 0, axis, groups: 1, links: [sameIndex(0, axis, 0, axis)], leaves: (c) => c === 0, isPadded: false }]
  },
  evaluate: (_ctx, [x]) => {
    if (x?.dtype !== 'float32') return undefined
    let [low, high] = [0, 0]
    for (const v of numbersOf(x)) [low, high] = [Math.min(low, v), Math.max(high, v)]
    const width = Math.fround(Math.fround(high - low) / 255)
    const step = high === low ? 1 : width
    const zero = Math.min(255, Math.max(0, roundToEven(Math.fround(-low / step))))
    const [scale, zeroPoint] = [tensorOf('float32', [], [step]), tensorOf('uint8', [], [zero])]
    const y = quantize(x, scale, zeroPoint, { axis: 0 }, 'uint8')
    return y && [tensorOf('uint8', x.shape, y), scale, zeroPoint]
  },
})
