import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { type ConvolutionAttributes, convolutionChannels } from '../families/convolution.ts'
import { isUnpadded } from '../families/window.ts'
import { derivedDim, sharedDtype, unknownShape } from '../infer.ts'
import { countOf, inputShape, shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { type Dense, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, type Shape, sizeOf, tensorType, unknownDim } from '../type.ts'

export interface ConvTransposeAttributes extends ConvolutionAttributes {
  readonly output_padding: ReadonlyArray<number> | undefined
  /** Spatial sizes of the output; the padding then follows from them. */
  readonly output_shape: ReadonlyArray<number> | undefined
}

const isSame = (a: ConvTransposeAttributes): boolean => a.auto_pad === 'SAME_UPPER' || a.auto_pad === 'SAME_LOWER'

/** How much `total` padding is at the begin: an odd one goes to the end for SAME_UPPER, to the begin otherwise. */
const beginOf = (a: ConvTransposeAttributes, total: number): number =>
  a.auto_pad === 'SAME_UPPER' ? Math.floor(total / 2) : total - Math.floor(total / 2)

/** Cropping at the begin and the size of one spatial axis of the output. */
const along = (
  a: ConvTransposeAttributes,
  axis: number,
  size: Dim,
  kernel: Dim,
): { readonly begin: number | undefined; readonly size: Dim } => {
  const stride = a.strides?.[axis] ?? 1
  const dilation = a.dilations?.[axis] ?? 1
  const extra = a.output_padding?.[axis] ?? 0
  const full = (n: number, k: number): number => (n - 1) * stride + extra + (k - 1) * dilation + 1
  const given = a.output_shape?.[axis]
  if (given !== undefined) {
    if (!isStatic(size) || !isStatic(kernel)) return { begin: undefined, size: given }
    return { begin: beginOf(a, Math.max(0, full(size, kernel) - given)), size: given }
  }
  if (isSame(a)) {
    // `full(n) - n · stride` does not depend on n.
    const total = isStatic(kernel) ? Math.max(0, full(1, kernel) - stride) : undefined
    const name = `transposed-same(${stride},${dilation},${extra})`
    const sized = derivedDim(name, [size, kernel], (n, k) => Math.min(full(n, k), n * stride))
    return { begin: total === undefined ? undefined : beginOf(a, total), size: sized }
  }
  const rank = (a.pads?.length ?? 0) / 2
  const [begin, end] = a.auto_pad === 'VALID' ? [0, 0] : [a.pads?.[axis] ?? 0, a.pads?.[axis + rank] ?? 0]
  const name = `transposed(${stride},${dilation},${extra},${begin + end})`
  return { begin, size: derivedDim(name, [size, kernel], (n, k) => full(n, k) - begin - end) }
}

/** Whether each output element is made of exactly one input position through one tap. */
const isPointwise = (a: ConvTransposeAttributes, kernel: ReadonlyArray<number>): boolean =>
  isUnpadded(a, kernel) &&
  kernel.every((k) => k === 1) &&
  (a.strides ?? []).every((s) => s === 1) &&
  (a.output_padding ?? []).every((p) => p === 0) &&
  a.output_shape === undefined

/**
 * Transposed convolution over spatial axes: every input element adds its multiple of the kernel to the output,
 * `y[n,o,s·i + d·t - begin] += x[n,c,i] · W[c,o,t]`, then `+ b[o]`; `x[N,C,...]`, `W[C,M/group,...]`, `b[M]`.
 */
export const ConvTranspose = defineOp<'ConvTranspose', ConvTransposeAttributes>({
  name: 'ConvTranspose',
  versions: [1, Infinity],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    dilations: optionalInts,
    group: int(1),
    kernel_shape: optionalInts,
    output_padding: optionalInts,
    output_shape: optionalInts,
    pads: optionalInts,
    strides: optionalInts,
  },
  ...convolutionChannels<ConvTransposeAttributes>({
    grouped: 'output',
    uniform: isPointwise,
    sampling: () => undefined,
    convolve: (x, w, attrs) => scatter(x, w, undefined, attrs),
  }),
  inferTypes: (ctx) => {
    const dtype = sharedDtype(ctx, [0, 1])
    if (E.isLeft(dtype)) return dtype
    const [name = ''] = ctx.outputNames
    const rank = shapeOf(ctx.inputs[0])?.length ?? shapeOf(ctx.inputs[1])?.length
    if (rank === undefined) return E.right([tensorType(dtype.right, undefined)])
    const x = shapeOf(ctx.inputs[0]) ?? unknownShape(name, rank)
    const w = shapeOf(ctx.inputs[1]) ?? unknownShape(`${name}.w`, rank)
    const [batch, into, ...spatial] = x
    const [read, perGroup, ...kernel] = w
    if (batch === undefined || perGroup === undefined || w.length !== x.length) {
      return E.left(`input has rank ${x.length} and weight rank ${w.length}`)
    }
    if (isStatic(into) && isStatic(read) && read !== into) {
      return E.left(`input has ${into} channels, the weight reads ${read}`)
    }
    const { group, output_shape } = ctx.attrs
    if (output_shape !== undefined && output_shape.length !== spatial.length) {
      return E.left(`output_shape has ${output_shape.length} sizes for ${spatial.length} spatial axes`)
    }
    const channels = isStatic(perGroup) ? perGroup * group : unknownDim(name, 1)
    const sizes: Shape = spatial.map((size, axis) => along(ctx.attrs, axis, size, kernel[axis] ?? 1).size)
    return E.right([tensorType(dtype.right, [batch, channels, ...sizes])])
  },
  evaluate: (ctx, [x, w, b]) => {
    const y = x && w && isFloat(x.dtype) ? scatter(x, w, b, ctx.attrs) : undefined
    return y && [y]
  },
  macs: (ctx) => countOf(inputShape(ctx, 0)) * countOf(inputShape(ctx, 1)?.slice(1)),
})

/** Transposed convolution by definition. */
const scatter = (x: Dense, w: Dense, b: Dense | undefined, attrs: ConvTransposeAttributes): Dense | undefined => {
  const kernel = w.shape.slice(2)
  const spatial = x.shape.slice(2)
  const axes = spatial.map((size, axis) => along(attrs, axis, size, kernel[axis] ?? 1))
  const perGroup = w.shape[1] ?? 0
  const inputsPerGroup = (x.shape[1] ?? 0) / attrs.group
  const shape = [x.shape[0] ?? 0, perGroup * attrs.group, ...axes.map((axis) => Number(axis.size))]
  const [xs, ws, bs, strides] = [numbersOf(x), numbersOf(w), b && numbersOf(b), stridesOf(shape)]
  const taps = sizeOf(kernel)
  const positions = sizeOf(shape.slice(2))
  const out = new Float64Array(sizeOf(shape))
  if (bs) for (let i = 0; i < out.length; i++) out[i] = bs[Math.floor(i / positions) % (shape[1] ?? 1)] ?? 0
  forEachIndex(x.shape, (index, flat) => {
    const c = index[1] ?? 0
    const first = Math.floor(c / inputsPerGroup) * perGroup
    forEachIndex(kernel, (tap, t) => {
      let at = (index[0] ?? 0) * (strides[0] ?? 0)
      for (let a = 0; a < kernel.length; a++) {
        const step = (index[a + 2] ?? 0) * (attrs.strides?.[a] ?? 1) + (tap[a] ?? 0) * (attrs.dilations?.[a] ?? 1)
        const p = step - (axes[a]?.begin ?? 0)
        if (p < 0 || p >= (shape[a + 2] ?? 0)) return
        at += p * (strides[a + 2] ?? 0)
      }
      for (let o = 0; o < perGroup; o++) {
        const to = at + (first + o) * positions
        out[to] = (out[to] ?? 0) + (xs[flat] ?? 0) * (ws[(c * perGroup + o) * taps + t] ?? 0)
      }
    })
  })
  return tensorOf(x.dtype, shape, out)
}
