/** The work of a node of a graph, as it is or with other numbers of channels. */
import { type Channels, channelsOf } from '../ir/families/contraction.ts'
import { inputShape, outputShape, shapeOf } from '../ir/links.ts'
import type { Contraction, NodeContext } from '../ir/op.ts'
import type { AnyOp } from '../ir/registry.ts'
import type { Tensor } from '../ir/tensor.ts'
import { type Dim, isStatic, type Shape } from '../ir/type.ts'
import { type Convolution, type Product, type Work, windowWork } from './work.ts'

/** What an open dimension counts as: one sample, and something in the range of images and sentences. */
const [openBatch, openSize] = [1, 32]

const sizeAt = (dim: Dim, axis: number): number => (isStatic(dim) ? dim : axis === 0 ? openBatch : openSize)

/** Elements of a tensor, open dimensions as they usually are. */
export const likelyCount = (shape: Shape | undefined): number =>
  (shape ?? []).reduce<number>((n, dim, axis) => n * sizeAt(dim, axis), 1)

/** A contraction; with fewer channels it is the same but for `inputs`, `outputs`, `groups` or `inner`, `columns`. */
export const contractionWork = (ctx: NodeContext<unknown>, c: Contraction, weight: Tensor): Convolution | Product => {
  const channels = channelsOf(weight, c)
  const [from, to] = [inputShape(ctx, c.port) ?? [], outputShape(ctx) ?? []]
  return isConvolution(c, weight, from) ? convolution(c, weight, from, to, channels) : matrixProduct(to, channels)
}

const isConvolution = (c: Contraction, weight: Tensor, from: Shape): boolean =>
  weight.shape.length > 2 && c.axis === 1 && c.outputAxis === 1 && weight.shape.length === from.length

const matrixProduct = (to: Shape, { inputs, outputs }: Channels): Product => {
  const rows = likelyCount(to) / Math.max(1, outputs)
  return { kind: 'product', batch: 1, rows, inner: inputs, columns: outputs, isConstant: true }
}

const convolution = (c: Contraction, weight: Tensor, from: Shape, to: Shape, channels: Channels): Convolution => {
  const isTransposed = c.grouped === 'output'
  const axes = weight.shape.slice(2).map((size, i) => {
    const sampling = isTransposed ? undefined : c.sampling?.[i]
    const [read, made] = [from[i + 2] ?? 1, sizeAt(to[i + 2] ?? 1, i + 2)]
    const step = sampling?.step ?? 1
    return {
      from: isStatic(read) ? read : made * step,
      to: made,
      size,
      step,
      gap: sampling?.gap ?? 1,
      before: sampling?.before ?? Math.floor((size - 1) / 2),
    }
  })
  // Integers that stand for floats are not computed in blocks.
  const isBlocked = !isTransposed && weight.dtype === 'float32' && weight.tag !== 'Held'
  const window = windowWork(sizeAt(from[0] ?? 1, 0), axes, isBlocked)
  return { kind: 'convolution', inputs: channels.inputs, outputs: channels.outputs, groups: c.groups, window }
}

/** A product of two computed operands: the matrices of the last two axes, for each index of those in front. */
const pairWork = (ctx: NodeContext<unknown>, macs: number): Product => {
  const to = outputShape(ctx) ?? []
  const [rows, columns] = [to.at(-2) ?? 1, to.at(-1) ?? 1].map((dim) => sizeAt(dim, 1))
  const made = likelyCount(to)
  const inner =
    macs /
    Math.max(
      1,
      to.reduce<number>((n, dim) => (isStatic(dim) ? n * dim : n), 1),
    )
  const batch = made / Math.max(1, (rows ?? 1) * (columns ?? 1))
  const product = { kind: 'product', batch, inner, isConstant: false } as const
  // A product with a column is computed as one with a row.
  return columns === 1
    ? { ...product, rows: 1, columns: rows ?? 1 }
    : { ...product, rows: rows ?? 1, columns: columns ?? 1 }
}

/** Any node. */
export const nodeWork = (op: AnyOp, ctx: NodeContext<unknown>): Work => {
  const isOpaque = op.links === 'opaque' || op.links(ctx) === 'opaque'
  const c = isOpaque ? undefined : op.contraction?.(ctx)
  const weight = c && (c.weight ?? ctx.constant(c.weightPort))
  if (c !== undefined && weight !== undefined) return contractionWork(ctx, c, weight)
  const macs = op.macs?.(ctx) ?? 0
  if (macs > 0) return pairWork(ctx, macs)
  const inputs = ctx.inputs.map((type, port) => (ctx.constant(port) === undefined ? likelyCount(shapeOf(type)) : 0))
  const outputs = ctx.outputs.map((type) => likelyCount(shapeOf(type)))
  const elements = op.isView === true ? 0 : [...inputs, ...outputs].reduce((sum, n) => sum + n, 0)
  return { kind: 'elements', op: op.name, elements }
}
