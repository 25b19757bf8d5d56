/** Conv and ConvTranspose over one or two spatial axes. */
import * as E from 'fp-ts/lib/Either.js'
import { padsOf, type Window } from '../../../ir/families/window.ts'
import * as ir from '../../../ir/ops/index.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { Steps } from '../../backend/ops/types.ts'
import type { DeviceOps } from '../../backend/ops/types.ts'
import { channelsLast, type Layout } from '../layout.ts'
import { type Picking, picking } from '../picking.ts'
import { given, type Lowered, type Lowering, lowering, type Reason, type Site, operand, weight } from '../lowering.ts'

type Shape4 = readonly [number, number, number, number]

/** `[a, .., b]` with spatial axes in between, as an image: a single spatial axis becomes the width. */
const asImage = (shape: ReadonlyArray<number>): Shape4 => {
  const [n = 1, h = 1, w = 1, c = 1] = shape.length === 3 ? [shape[0], 1, shape[1], shape[2]] : shape
  return [n, h, w, c]
}

/** A filter in memory, its spatial axes first, as one of two spatial axes. */
const asFilter = (shape: ReadonlyArray<number>): Shape4 => {
  const [h = 1, w = 1, i = 1, o = 1] = shape.length === 3 ? [1, ...shape] : shape
  return [h, w, i, o]
}

/** Strides, dilations and padding along height and width. */
interface Geometry extends Steps {
  readonly dilations: readonly [number, number]
}

const geometryOf = (
  window: Window,
  spatial: ReadonlyArray<number>,
  kernel: ReadonlyArray<number>,
): Geometry | undefined => {
  const pads = spatial.map((size, axis) => padsOf(window, axis, size, kernel[axis] ?? 1))
  const axis = (values: ReadonlyArray<number> | undefined): readonly [number, number] =>
    spatial.length === 1 ? [1, values?.[0] ?? 1] : [values?.[0] ?? 1, values?.[1] ?? 1]
  const [h, w] = spatial.length === 1 ? [[0, 0] as const, pads[0]] : [pads[0], pads[1]]
  if (h === undefined || w === undefined || [...h, ...w].some((pad) => pad < 0)) return undefined
  return {
    strides: axis(window.strides),
    dilations: axis(window.dilations),
    pads: [h[0], h[1], w[0], w[1]],
  }
}

/** Puts zeros between the taps of a filter `[h, w, ..]`; the way back takes them out. Undefined without dilation. */
const dilationOf = (
  k: DeviceOps,
  dilations: readonly [number, number],
  kernel: readonly [number, number],
): Picking | undefined => {
  if (dilations.every((d) => d === 1)) return undefined
  const along = (axis: 0 | 1): Picking => {
    const [d, size] = [dilations[axis], kernel[axis]]
    const from = Int32Array.from({ length: (size - 1) * d + 1 }, (_, i) => (i % d === 0 ? i / d : -1))
    return picking(k, axis, size, from, 0)
  }
  const [rows, columns] = [along(0), along(1)]
  return { pick: (x) => columns.pick(rows.pick(x)), back: (dy) => rows.back(columns.back(dy)) }
}

/** A convolution with its two gradients, for images and filters in memory. */
interface Kernel {
  readonly forward: (x: Tensor, filter: Tensor) => Tensor
  readonly inputGradient: (dy: Tensor, filter: Tensor, shape: Shape4) => Tensor
  readonly filterGradient: (x: Tensor, dy: Tensor, shape: Shape4) => Tensor
}

const dense = (k: DeviceOps, steps: Steps): Kernel => ({
  forward: (x, filter) => k.conv(x, filter, steps),
  inputGradient: (dy, filter, shape) => k.convInputGradient(dy, filter, shape, steps),
  filterGradient: (x, dy, shape) => k.convFilterGradient(x, dy, shape, steps),
})

const depthwise = (k: DeviceOps, steps: Steps): Kernel => ({
  forward: (x, filter) => k.depthwise(x, filter, steps),
  inputGradient: (dy, filter, shape) => k.depthwiseInputGradient(dy, filter, shape, steps),
  filterGradient: (x, dy, shape) => k.depthwiseFilterGradient(x, dy, shape, steps),
})

/** Part `index` of `count` equal parts along the last axis. */
const part = (k: DeviceOps, x: Tensor, index: number, count: number): Tensor => {
  const size = (x.shape.at(-1) ?? 1) / count
  const begin = x.shape.map((_, a) => (a === x.shape.length - 1 ? index * size : 0))
  return k.slice(x, begin, [...x.shape.slice(0, -1), size])
}

/** One convolution for each group; filters are `[h, w, inputs per group, outputs]`. */
const grouped = (k: DeviceOps, steps: Steps, groups: number): Kernel => {
  const one = dense(k, steps)
  const each = (make: (group: number) => Tensor): Tensor =>
    k.concat(
      Array.from({ length: groups }, (_, group) => make(group)),
      3,
    )
  const take = (x: Tensor, group: number): Tensor => part(k, x, group, groups)
  return {
    forward: (x, filter) => each((g) => one.forward(take(x, g), take(filter, g))),
    inputGradient: (dy, filter, [n, h, w, c]) =>
      each((g) => one.inputGradient(take(dy, g), take(filter, g), [n, h, w, c / groups])),
    filterGradient: (x, dy, [h, w, i, o]) =>
      each((g) => one.filterGradient(take(x, g), take(dy, g), [h, w, i, o / groups])),
  }
}

/** The same kernel on filters of `size` taps with zeros between them. */
const withDilation = (
  k: DeviceOps,
  kernel: Kernel,
  { dilations }: Geometry,
  size: readonly [number, number],
): Kernel => {
  const dilation = dilationOf(k, dilations, size)
  if (dilation === undefined) return kernel
  const extent = [(size[0] - 1) * dilations[0] + 1, (size[1] - 1) * dilations[1] + 1] as const
  return {
    forward: (x, filter) => kernel.forward(x, dilation.pick(filter)),
    inputGradient: (dy, filter, shape) => kernel.inputGradient(dy, dilation.pick(filter), shape),
    filterGradient: (x, dy, [, , i, o]) => dilation.back(kernel.filterGradient(x, dy, [...extent, i, o])),
  }
}

/** Height and width of a kernel with one or two axes. */
const kernelSize = (kernel: ReadonlyArray<number>): readonly [number, number] =>
  kernel.length === 1 ? [1, kernel[0] ?? 1] : [kernel[0] ?? 1, kernel[1] ?? 1]

const spatialAxes = (rank: number): ReadonlyArray<number> => Array.from({ length: rank - 2 }, (_, i) => i + 2)

const refusal = (site: Site<unknown>): Reason | undefined => {
  const rank = site.shapeOf(0).length
  if (rank < 3 || rank > 4) return `${site.node.op} over ${rank - 2} spatial axes`
  return undefined
}

/** Reads, biases and gradients that both operators share. `run` and `backward` see images of two spatial axes. */
const lowered = (
  site: Site<unknown>,
  layout: Layout,
  sums: boolean,
  run: (x: Tensor, filter: Tensor) => Tensor,
  backward: {
    readonly input: (dy: Tensor, filter: Tensor, shape: Shape4) => Tensor
    readonly filter: (x: Tensor, dy: Tensor, shape: Shape4) => Tensor
  },
): Lowered => {
  const k = site.ops
  const hasBias = Boolean(site.node.inputs[2])
  const rank = site.shapeOf(0).length
  const images = channelsLast(rank)
  return {
    reads: [operand(images), weight(layout), ...(hasBias ? [weight([0])] : [])],
    gives: [images],
    splits: [1],
    sums,
    run: (inputs) => {
      const [given0, given1] = [given(inputs, 0), given(inputs, 1)]
      const [imageShape, filterShape] = [asImage(given0.shape), asFilter(given1.shape)]
      const x = rank === 4 ? given0 : k.reshape(given0, imageShape)
      const asFilters = (w: Tensor): Tensor => (rank === 4 ? w : k.reshape(w, filterShape))
      const filter = asFilters(given1)
      const product = run(x, filter)
      const image = hasBias ? k.add(product, given(inputs, 2)) : product
      const [n, , w, c] = asImage(image.shape)
      const y = rank === 4 ? image : k.reshape(image, [n, w, c])
      return {
        outputs: [y],
        saved: [x, filter].filter((tensor) => !inputs.includes(tensor)),
        gradient: ([given], wanted, [, instead]) => {
          if (given === undefined) return []
          const dy = rank === 4 ? given : k.reshape(given, [n, 1, w, c])
          const other = instead === undefined ? filter : asFilters(instead)
          return [
            wanted[0] ? k.reshape(backward.input(dy, other, imageShape), given0.shape) : undefined,
            wanted[1] ? k.reshape(backward.filter(x, dy, filterShape), given1.shape) : undefined,
            wanted[2] ? k.columnSums(k.reshape(dy, [-1, c])) : undefined,
          ]
        },
      }
    },
  }
}

const conv = lowering(ir.Conv, (site) => {
  const problem = refusal(site)
  if (problem !== undefined) return E.left(problem)
  const k = site.ops
  const [x, w] = [site.shapeOf(0), site.shapeOf(1)]
  const geometry = geometryOf(site.attrs, x.slice(2), w.slice(2))
  if (geometry === undefined) return E.left('Conv with negative padding')
  const groups = site.attrs.group
  const isDepthwise = groups > 1 && w[1] === 1
  // Depthwise kernels count outputs per input, not in all.
  const layout = [...spatialAxes(w.length), ...(isDepthwise ? [0, 1] : [1, 0])]
  const base = isDepthwise
    ? depthwiseOf(k, geometry, groups)
    : groups === 1
      ? dense(k, geometry)
      : grouped(k, geometry, groups)
  const kernel = withDilation(k, base, geometry, kernelSize(w.slice(2)))
  return E.right(
    lowered(site, layout, groups === 1, kernel.forward, { input: kernel.inputGradient, filter: kernel.filterGradient }),
  )
})

/** Depthwise kernels on filters that lie as `[h, w, outputs, 1]`: the same elements as `[h, w, inputs, multiplier]`. */
const depthwiseOf = (k: DeviceOps, steps: Steps, inputs: number): Kernel => {
  const kernel = depthwise(k, steps)
  const split = (filter: Tensor): Tensor => {
    const [h, w, outputs] = asFilter(filter.shape)
    return k.reshape(filter, [h, w, inputs, outputs / inputs])
  }
  return {
    forward: (x, filter) => kernel.forward(x, split(filter)),
    inputGradient: (dy, filter, shape) => kernel.inputGradient(dy, split(filter), shape),
    filterGradient: (x, dy, [h, w, outputs]) =>
      k.reshape(kernel.filterGradient(x, dy, [h, w, inputs, outputs / inputs]), [h, w, outputs, 1]),
  }
}

/** The input gradient of a convolution, so its own gradients are that convolution and its filter gradient. */
const convTranspose = lowering(ir.ConvTranspose, (site) => {
  const problem = refusal(site)
  if (problem !== undefined) return E.left(problem)
  const k = site.ops
  const { attrs } = site
  if (attrs.group !== 1) return E.left('ConvTranspose with groups')
  const automatic = attrs.auto_pad === 'SAME_UPPER' || attrs.auto_pad === 'SAME_LOWER'
  if (automatic || attrs.output_shape !== undefined) return E.left('ConvTranspose with a given output shape')
  const w = site.shapeOf(1)
  const output = site.outputShape()
  const geometry = geometryOf(attrs, output.slice(2), w.slice(2))
  if (geometry === undefined) return E.left('ConvTranspose with negative padding')
  const steps = transposedSteps(geometry, site.shapeOf(0).slice(2), output.slice(2), w.slice(2))
  const kernel = withDilation(k, dense(k, steps), geometry, kernelSize(w.slice(2)))
  const [n = 1, c = 1, ...spatial] = output
  const image = asImage([n, ...spatial, c])
  return E.right(
    lowered(site, [...spatialAxes(w.length), 1, 0], true, (x, filter) => kernel.inputGradient(x, filter, image), {
      input: (dy, filter) => kernel.forward(dy, filter),
      filter: (x, dy, shape) => kernel.filterGradient(dy, x, shape),
    }),
  )
})

/** The steps of the convolution from the larger image to the smaller; its padding at the end follows from the sizes. */
const transposedSteps = (
  { strides, dilations, pads }: Geometry,
  small: ReadonlyArray<number>,
  large: ReadonlyArray<number>,
  kernel: ReadonlyArray<number>,
): Steps => {
  const end = (axis: number, at: number, begin: number): number => {
    const extent = ((kernel[at] ?? 1) - 1) * (dilations[axis] ?? 1) + 1
    return ((small[at] ?? 1) - 1) * (strides[axis] ?? 1) + extent - (large[at] ?? 1) - begin
  }
  const [top, , left] = pads
  const ends = small.length === 1 ? [0, end(1, 0, left)] : [end(0, 0, top), end(1, 1, left)]
  return { strides, pads: [top, Math.max(0, ends[0] ?? 0), left, Math.max(0, ends[1] ?? 0)] }
}

export const convolutions: ReadonlyArray<Lowering> = [conv, convTranspose]
