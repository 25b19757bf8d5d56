/** Pooling of images, and of whole images. */
import * as E from 'fp-ts/lib/Either.js'
import { padsOf } from '../../../ir/families/window.ts'
import type { PoolAttributes } from '../../../ir/families/pooling.ts'
import * as ir from '../../../ir/ops/index.ts'
import type { PoolSteps } from '../../backend/ops/types.ts'
import type { Tensor } from '../../backend/tensor.ts'
import { channelsLast, storedShape } from '../layout.ts'
import { given, layoutOr, type Lowering, lowering, oneToOne, operand, type Reason, type Site } from '../lowering.ts'
import { axesTo } from '../broadcasting.ts'

/** The windows of a pooling over two axes, the padding at the end as large as the output asks for. */
const windowsOf = (site: Site<PoolAttributes>): E.Either<Reason, PoolSteps> => {
  const { attrs, node } = site
  const [input, output] = [site.shapeOf(0).slice(2), site.outputShape().slice(2)]
  const kernel = attrs.kernel_shape ?? []
  if (input.length !== 2) return E.left(`${node.op} over ${input.length} spatial axes`)
  if (attrs.dilations?.some((d) => d !== 1)) return E.left(`${node.op} with dilation`)
  const along = (axis: 0 | 1): readonly [begin: number, end: number] => {
    const [size = 1, places = 1, extent = 1] = [input[axis], output[axis], kernel[axis]]
    const [begin] = padsOf(attrs, axis, size, extent) ?? [0]
    const stride = attrs.strides?.[axis] ?? 1
    return [begin, Math.max(0, (places - 1) * stride + extent - size - begin)]
  }
  const [[top, bottom], [left, right]] = [along(0), along(1)]
  if (top < 0 || left < 0) return E.left(`${node.op} with negative padding`)
  return E.right({
    size: [kernel[0] ?? 1, kernel[1] ?? 1],
    strides: [attrs.strides?.[0] ?? 1, attrs.strides?.[1] ?? 1],
    pads: [top, bottom, left, right],
  })
}

const images = channelsLast(4)

const maxPool = lowering(ir.MaxPool, (site) => {
  const windows = windowsOf(site)
  if (E.isLeft(windows)) return windows
  if (site.node.outputs[1]) return E.left('MaxPool that gives indices')
  const [k, steps] = [site.ops, windows.right]
  return E.right(
    oneToOne(
      images,
      images,
      (x) => k.maxPool(x, steps),
      (dy, x, y) => k.maxPoolGradient(dy, x, y, steps),
    ),
  )
})

/**
 * The mean over each window of the image padded with zeros, times how many elements that is over how many count: those
 * of the image, with `count_include_pad` also those of the padding that was asked for.
 */
const averagePool = lowering(ir.AveragePool, (site) => {
  const windows = windowsOf(site)
  if (E.isLeft(windows)) return windows
  const k = site.ops
  const { size, strides, pads } = windows.right
  const [top, bottom, left, right] = pads
  const steps: PoolSteps = { size, strides, pads: [0, 0, 0, 0] }
  const shape = storedShape(site.shapeOf(0), images)
  const [, height = 1, width = 1] = shape
  const isPadded = pads.some((pad) => pad !== 0)
  const corrections = correctionsOf(site, windows.right)
  const isCorrected = corrections.some((factor) => factor !== 1)
  const [, , rows = 1, columns = 1] = site.outputShape()
  const padded = (x: Tensor): Tensor =>
    isPadded
      ? k.pad(
          x,
          [
            [0, 0],
            [top, bottom],
            [left, right],
            [0, 0],
          ],
          0,
        )
      : x
  const corrected = (y: Tensor): Tensor => (isCorrected ? k.mul(y, k.tensor(corrections, [1, rows, columns, 1])) : y)
  return E.right({
    reads: [operand(images)],
    gives: [images],
    run: (inputs) => {
      const x = padded(given(inputs, 0))
      return {
        outputs: [corrected(k.averagePool(x, steps))],
        saved: isPadded ? [x] : [],
        gradient: ([dy]) => {
          const dx = dy && k.averagePoolGradient(corrected(dy), x, steps)
          return [dx && isPadded ? k.slice(dx, [0, top, left, 0], [shape[0] ?? 1, height, width, shape[3] ?? 1]) : dx]
        },
      }
    },
  })
})

const correctionsOf = (
  site: Site<PoolAttributes & { readonly count_include_pad: number }>,
  { size, strides }: PoolSteps,
): Float32Array => {
  const [, , height = 1, width = 1] = site.shapeOf(0)
  const [, , rows = 1, columns = 1] = site.outputShape()
  const counted = (axis: 0 | 1, place: number, extent: number): number => {
    const [begin, end] = padsOf(site.attrs, axis, extent, size[axis]) ?? [0, 0]
    const margin = site.attrs.count_include_pad === 0 ? [0, 0] : [begin, end]
    const start = place * strides[axis] - begin
    return Math.min(start + size[axis], extent + (margin[1] ?? 0)) - Math.max(start, -(margin[0] ?? 0))
  }
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const count = counted(0, Math.floor(i / columns), height) * counted(1, i % columns, width)
    return (size[0] * size[1]) / count
  })
}

/** The mean over all positions. Also for images of any rank. */
const globalAveragePool = lowering(ir.GlobalAveragePool, (site) => {
  const k = site.ops
  const shape = site.shapeOf(0)
  const layout = channelsLast(shape.length)
  const axes = axesTo(
    Array.from({ length: shape.length - 2 }, (_, i) => i + 2),
    layout,
  )
  const share = 1 / shape.slice(2).reduce((n, d) => n * d, 1)
  return E.right(
    oneToOne(
      layout,
      layout,
      (x) => k.affine(k.sum(x, axes, true), share, 0),
      (dy, x) => k.mul(k.affine(dy, share, 0), k.affine(x, 0, 1)),
    ),
  )
})

const globalMaxPool = lowering(ir.GlobalMaxPool, (site) => {
  const k = site.ops
  const layout = layoutOr(site, 0)
  const axes = axesTo(
    Array.from({ length: layout.length - 2 }, (_, i) => i + 2),
    layout,
  )
  return E.right(
    oneToOne(
      layout,
      layout,
      (x) => k.max(x, axes, true),
      (dy, x, y) => {
        const hits = k.toFloat(k.binary('Equal', x, y))
        return k.mul(hits, k.div(dy, k.sum(hits, axes, true)))
      },
    ),
  )
})

export const poolings: ReadonlyArray<Lowering> = [maxPool, averagePool, globalAveragePool, globalMaxPool]
