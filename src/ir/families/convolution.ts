/** What Conv and ConvTranspose share: `x[N,C,...]` on port 0, the weight on port 1, the bias `[M]` on port 2. */
import { isFloat } from '../dtype.ts'
import { gatherOperands } from '../gather-operands.ts'
import { inputShape, sameIndex } from '../links.ts'
import type { AxisLink, Contraction, NodeContext, OpDef, Proposal, Rewrite, ShrinkContext } from '../op.ts'
import { elements } from '../tensor.ts'
import { isStatic } from '../type.ts'
import { channelMultiple, channelsOf, legalizeGroups, shrinkBias, shrinkContraction } from './contraction.ts'
import type { Window } from './window.ts'

export interface ConvolutionAttributes extends Window {
  readonly group: number
}

/** Which weight axis counts within a group, and whether every output position sums the same weights. */
export interface Layout<A> {
  readonly grouped: 'input' | 'output'
  readonly uniform: (attrs: A, kernel: ReadonlyArray<number>) => boolean
}

type Shared = 'links' | 'contraction' | 'legalize' | 'shrink' | 'channelMultiple'

/** The channel answers of a convolution with its weight in the given layout. */
export const convolutionChannels = <A extends ConvolutionAttributes>(
  layout: Layout<A>,
): Required<Pick<OpDef<string, A>, Shared>> => {
  const contraction = (ctx: NodeContext<A>): Contraction | undefined => contractionOf(ctx, layout)
  return {
    links: (ctx) => convolutionLinks(ctx, contraction(ctx)),
    contraction,
    legalize: (ctx, proposal) => {
      const c = contraction(ctx)
      return c === undefined ? nothing : legalizeGroups(ctx, c, proposal)
    },
    shrink: (s) => shrinkConvolution(s, contraction(s)),
    // ONNX Runtime's blocked CPU layout takes ungrouped convolutions whose input channels are a multiple of 4.
    channelMultiple: (ctx, target) => (ctx.attrs.group === 1 ? channelMultiple(ctx, target, 4) : 1),
  }
}

const nothing: Proposal = { input: new Uint8Array(), output: new Uint8Array() }

const contractionOf = <A extends ConvolutionAttributes>(
  ctx: NodeContext<A>,
  layout: Layout<A>,
): Contraction | undefined => {
  const weight = ctx.constant(1)
  if (weight === undefined || !isFloat(weight.dtype)) return undefined
  const biasGiven = Boolean(ctx.node.inputs[2])
  const bias = ctx.constant(2)
  let values: ReturnType<typeof elements> | undefined
  return {
    port: 0,
    axis: 1,
    outputAxis: 1,
    weightPort: 1,
    weightOutputAxis: layout.grouped === 'input' ? 0 : 1,
    weightInputAxis: layout.grouped === 'input' ? 1 : 0,
    groups: ctx.attrs.group,
    grouped: layout.grouped,
    uniform: layout.uniform(ctx.attrs, weight.shape.slice(2)),
    payable: !biasGiven || bias !== undefined,
    bias: (o) => {
      if (!biasGiven) return 0
      if (bias === undefined) return undefined
      values ??= elements(bias)
      return Number(values[o])
    },
    scale: 1,
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
    links.push({
      ...sameIndex(0, 1, 0, 1),
      from: Int32Array.from({ length: outputs }, (_, o) => Math.floor(o / outputsPerGroup)),
    })
  }
  return links
}

const shrinkConvolution = (s: ShrinkContext<ConvolutionAttributes>, c: Contraction | undefined): Rewrite => {
  if (c === undefined) return gatherOperands(s)
  const shrunk = shrinkContraction(s, c)
  const bias = shrinkBias(s.constant(2), shrunk.weight, shrunk)
  const operands = new Map([[1, shrunk.weight], ...(bias === undefined ? [] : [[2, bias] as const])])
  const { nodes, constants } = gatherOperands(s, operands, `${s.node.inputs[1] ?? ''}_bias`)
  return { nodes: nodes.map((node) => ({ ...node, attrs: { ...s.attrs, group: shrunk.groups } })), constants }
}
