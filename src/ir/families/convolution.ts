/** What Conv and ConvTranspose share: `x[N,C,...]` on port 0, the weight on port 1, the bias `[M]` on port 2. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../dtype.ts'
import { gatherOperands, replaceOperands } from '../gather-operands.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import type { AxisLink, Contraction, NodeContext, OpDef, Sampling, Summation } from '../op.ts'
import { Add } from '../ops/add.ts'
import { type Dense, elements, gather, materialize, type Tensor, tensorOf } from '../tensor.ts'
import { isStatic, type Shape, sizeOf, staticShape } from '../type.ts'
import { channelsOf } from './contraction.ts'
import { finite } from './elementwise.ts'
import { changesBias, heldShiftRefused, otherOperands, rebiased, rebiasHeld, shrinkContraction } from './rebuild.ts'
import type { Window } from './window.ts'

export interface ConvolutionAttributes extends Window {
  readonly group: number
}

/** Which weight axis counts within a group, what an output position reads, and whether all sum the same weights. */
export interface Layout<A> {
  readonly grouped: 'input' | 'output'
  readonly uniform: (attrs: A, kernel: ReadonlyArray<number>) => boolean
  readonly sampling: (attrs: A, spatial: Shape, kernel: ReadonlyArray<number>) => ReadonlyArray<Sampling> | undefined
  /** The convolution of `x` with weight `w` by definition. */
  readonly convolve: (x: Dense, w: Dense, attrs: A) => Dense | undefined
}

type Shared = 'links' | 'contraction' | 'pairs' | 'constant' | 'shrink'

/** The channel answers of a convolution with its weight in the given layout. */
export const convolutionChannels = <A extends ConvolutionAttributes>(
  layout: Layout<A>,
): Required<Pick<OpDef<string, A>, Shared>> => {
  const contraction = (ctx: NodeContext<A>): Contraction | undefined => contractionOf(ctx, layout)
  return {
    links: (ctx) => {
      const [c, computed] = [contraction(ctx), computedWeight(ctx, layout)]
      if (computed === undefined) return convolutionLinks(ctx, c)
      const { made, groups } = computed
      const [isBiased, isAsLong] = [ctx.inputs[2] !== undefined, inputShape(ctx, 2)?.[0] === made * groups]
      return [
        ...convolutionLinks(ctx, c),
        // A bias goes with them, if it is known to be as long.
        ...(isBiased && !isAsLong ? [] : [outputsOf(layout, made, groups)]),
        ...(isAsLong ? [sameIndex(2, 0, 0, 1)] : []),
      ]
    },
    contraction,
    pairs: (ctx) => {
      const computed = computedWeight(ctx, layout)
      if (computed === undefined) return []
      const axes = [1, layout.grouped === 'input' ? 1 : 0] as const
      return [{ ports: [0, 1], axes, ...(computed.groups > 1 && { period: computed.read }) }]
    },
    // Zeros leave the bias, where the weight is computed.
    constant: (ctx, [x, weight, given]) => {
      const bias = ctx.node.inputs[2] ? given : 0
      const isBias = (x === 0 || weight === 0) && computedWeight(ctx, layout) !== undefined
      return isBias && typeof bias === 'number' ? finite(bias) : undefined
    },
    shrink: (s) => {
      const c = contraction(s)
      return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
    },
  }
}

/** A weight that is no constant: how many channels an output of each group reads, how many outputs that has. */
interface ComputedWeight {
  readonly groups: number
  readonly read: number
  readonly made: number
}

const computedWeight = <A extends ConvolutionAttributes>(
  ctx: NodeContext<A>,
  { grouped }: Layout<A>,
): ComputedWeight | undefined => {
  const [channels, outputs] = [inputShape(ctx, 0)?.[1], outputShape(ctx)?.[1]]
  const { group: groups } = ctx.attrs
  const weight = inputShape(ctx, 1)
  if (ctx.constant(1) !== undefined || !isStatic(channels) || !isStatic(outputs) || !(groups > 0)) return undefined
  const [read, made] = [channels / groups, outputs / groups]
  const shape = grouped === 'input' ? [outputs, read] : [channels, made]
  return Number.isInteger(read) && Number.isInteger(made) && shape.every((size, axis) => size === weight?.[axis])
    ? { groups, read, made }
    : undefined
}

/** What is made by an output channel of a computed weight: in groups the same one in each, so that they stay of one size. */
const outputsOf = <A>({ grouped }: Layout<A>, made: number, groups: number): AxisLink => {
  const link = sameIndex(1, grouped === 'input' ? 0 : 1, 0, 1)
  const ofGroup = periodic(made * groups, made)
  if (groups === 1) return link
  return grouped === 'input' ? { ...link, from: ofGroup, into: ofGroup } : { ...link, from: ofGroup }
}

const contractionOf = <A extends ConvolutionAttributes>(
  ctx: NodeContext<A>,
  layout: Layout<A>,
): Contraction | undefined => {
  const weight = ctx.constant(1)
  if (weight === undefined || !isFloat(weight.dtype)) return undefined
  if (ctx.attrs.group > 1 && !isHeldByRow(weight, layout.grouped === 'input' ? 0 : undefined)) return undefined
  const biasGiven = Boolean(ctx.node.inputs[2])
  const bias = ctx.constant(2)
  // A computed one goes with the outputs, if it is known to be as long.
  if (biasGiven && bias === undefined && !isStatic(inputShape(ctx, 2)?.[0])) return undefined
  let known: ReturnType<typeof elements> | undefined
  const biasOf = (o: number): number | undefined => {
    if (bias === undefined) return biasGiven ? undefined : 0
    known ??= elements(bias)
    return Number(known[o])
  }
  const kernel = weight.shape.slice(2)
  const uniform = layout.uniform(ctx.attrs, kernel)
  return {
    port: 0,
    axis: 1,
    outputAxis: 1,
    weightPort: 1,
    weightOutputAxis: layout.grouped === 'input' ? 0 : 1,
    weightInputAxis: layout.grouped === 'input' ? 1 : 0,
    groups: ctx.attrs.group,
    grouped: layout.grouped,
    uniform,
    pointwise: uniform && kernel.every((k) => k === 1) && (ctx.attrs.strides ?? []).every((step) => step === 1),
    sampling: layout.sampling(ctx.attrs, inputShape(ctx, 0)?.slice(2) ?? [], kernel),
    payable: !biasGiven || bias !== undefined,
    admits: heldShiftRefused(bias),
    bias: biasOf,
    biasSize: (o) => Math.abs(biasOf(o) ?? Infinity),
    scale: 1,
    // What padding leaves is added behind.
    contract: ctx.opset < Add.versions[0] ? undefined : summationOf(ctx, layout),
    rebuild: (change, names) => {
      const { outputs } = change
      const operands = otherOperands(ctx, change, [1, 2])
      if (change.weight !== weight) operands.set(1, change.weight)
      if (changesBias(change, biasGiven) && bias?.tag === 'Held') {
        const held = rebiasHeld(bias, change)
        if (E.isLeft(held)) return held
        operands.set(2, held.right)
      } else if (changesBias(change, biasGiven)) {
        if (biasGiven && bias === undefined) return E.left('its bias is computed')
        const [rows = 0, columns = 0] = change.weight.shape
        const made = layout.grouped === 'input' ? rows : columns * change.groups
        const values = rebiased(made, (at) => biasOf(outputs?.[at] ?? at) ?? NaN, change, weight.dtype)
        if (E.isLeft(values)) return values
        operands.set(2, tensorOf(weight.dtype, [made], values.right))
      } else if (bias !== undefined && outputs !== undefined) operands.set(2, gather(bias, 0, outputs))
      const node = { ...ctx.node, ...change.node, attrs: { ...ctx.attrs, group: change.groups } }
      return E.right(replaceOperands(node, operands, names, `${ctx.node.inputs[1] ?? ''}_bias`))
    },
  }
}

/**
 * Whether what a weight is held as can be taken from one place of it to another along all axes but `rows`: scales that count
 * within a group, or for blocks, cannot be told apart.
 */
const isHeldByRow = (weight: Tensor, rows: number | undefined): boolean =>
  weight.tag !== 'Held' ||
  (weight.block === undefined && (weight.axis === rows || sizeOf(weight.scale?.shape ?? []) === 1))

const summationOf = <A extends ConvolutionAttributes>(
  ctx: NodeContext<A>,
  layout: Layout<A>,
): Summation | undefined => {
  const shape = staticShape(inputShape(ctx, 0)?.slice(1))
  if (shape === undefined || staticShape(outputShape(ctx)?.slice(2)) === undefined) return undefined
  return {
    shape: [1, ...shape],
    sum: (x, weight, group) => layout.convolve(x, materialize(weight), { ...ctx.attrs, group }),
  }
}

const convolutionLinks = (ctx: NodeContext<unknown>, c: Contraction | undefined): ReadonlyArray<AxisLink> => {
  const links: AxisLink[] = isStatic(inputShape(ctx, 0)?.[0]) ? [sameIndex(0, 0, 0, 0)] : []
  const weight = ctx.constant(1)
  if (c === undefined || weight === undefined) return links
  const { outputs, outputsPerGroup, inputsPerGroup } = channelsOf(weight, c)
  if (!c.payable && inputShape(ctx, 2)?.[0] === outputs) links.push(sameIndex(2, 0, 0, 1))
  // With one input per group a group goes as a whole: an input and the outputs made from it.
  if (c.groups > 1 && inputsPerGroup === 1 && isStatic(inputShape(ctx, 0)?.[1])) {
    links.push({ ...sameIndex(0, 1, 0, 1), from: periodic(outputs, c.groups, outputsPerGroup) })
  }
  return links
}
