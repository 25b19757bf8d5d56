import * as E from 'fp-ts/Either'
import { int, optionalInts, string } from '../attributes.ts'
import { channelsOf, contractionMacs, legalizeGroups, shrinkBias, shrinkContraction } from '../families/contraction.ts'
import { convolve, isUnpadded, type Window, windowOutput } from '../families/window.ts'
import { rankedInput } from '../infer.ts'
import { inputShape, sameIndex } from '../links.ts'
import { type AxisLink, type Contraction, defineOp, type NodeContext } from '../op.ts'
import { isFloat } from '../dtype.ts'
import { elements, type Tensor } from '../tensor.ts'
import { isStatic, tensorType } from '../type.ts'

export interface ConvAttributes extends Window {
  readonly group: number
}

/**
 * Convolution over 1 to 3 spatial axes: `y[n,o] = b[o] + Σ_c x[n,c] ⋆ W[o,c]`, `x[N,C,...]`, `W[M,C/group,...]`, `b[M]`.
 */
export const Conv = defineOp<'Conv', ConvAttributes>({
  name: 'Conv',
  versions: [1, Infinity],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    dilations: optionalInts,
    group: int(1),
    kernel_shape: optionalInts,
    pads: optionalInts,
    strides: optionalInts,
  },
  inferTypes: (ctx) => {
    const x = rankedInput(ctx, 0)
    if (E.isLeft(x)) return x
    const w = rankedInput(ctx, 1)
    if (E.isLeft(w)) return w
    const [batch, ...spatial] = [x.right.shape[0], ...x.right.shape.slice(2)]
    const channels = w.right.shape[0]
    if (batch === undefined || channels === undefined || w.right.shape.length !== x.right.shape.length) {
      return E.left(`input has rank ${x.right.shape.length} and weight rank ${w.right.shape.length}`)
    }
    const [into, read] = [x.right.shape[1], w.right.shape[1]]
    if (isStatic(into) && isStatic(read) && read * ctx.attrs.group !== into) {
      return E.left(`input has ${into} channels, the weight reads ${read} in ${ctx.attrs.group} groups`)
    }
    const sizes = windowOutput(ctx.attrs, spatial, w.right.shape.slice(2))
    return E.isLeft(sizes) ? sizes : E.right([tensorType(x.right.dtype, [batch, channels, ...sizes.right])])
  },
  links: (ctx) => {
    const batch = inputShape(ctx, 0)?.[0]
    const links: AxisLink[] = isStatic(batch) ? [sameIndex(0, 0, 0, 0)] : []
    const weight = ctx.constant(1)
    const c = contraction(ctx)
    // With one input per group a group goes as a whole: an input and the outputs made from it.
    if (c !== undefined && weight !== undefined && c.groups > 1 && channelsOf(weight, c).inputsPerGroup === 1) {
      const { outputs, outputsPerGroup } = channelsOf(weight, c)
      links.push({
        ...sameIndex(0, 1, 0, 1),
        from: Int32Array.from({ length: outputs }, (_, o) => Math.floor(o / outputsPerGroup)),
      })
    }
    return links
  },
  contraction: (ctx) => contraction(ctx),
  legalize: (ctx, proposal) => {
    const c = contraction(ctx)
    return c === undefined ? { input: new Uint8Array(), output: new Uint8Array() } : legalizeGroups(ctx, c, proposal)
  },
  shrink: (s) => {
    const c = contraction(s)
    if (c === undefined) return { nodes: [s.node], constants: new Map() }
    const shrunk = shrinkContraction(s, c)
    const weight = s.rename(1, s.node.inputs[1] ?? '')
    const constants = new Map<string, Tensor>([[weight, shrunk.weight]])
    const bias = shrinkBias(s.constant(2), shrunk.weight, shrunk)
    const inputs = [s.node.inputs[0] ?? '', weight]
    if (bias !== undefined) {
      const name = s.rename(2, s.node.inputs[2] || `${s.node.inputs[1] ?? ''}_bias`)
      constants.set(name, bias)
      inputs.push(name)
    } else if (s.node.inputs[2]) inputs.push(s.node.inputs[2])
    return { nodes: [{ ...s.node, inputs, attrs: { ...s.attrs, group: shrunk.groups } }], constants }
  },
  channelMultiple: (ctx, target) => {
    if (ctx.attrs.group !== 1) return 1
    const [type] = ctx.outputs
    return target === 'cuda' && type?.kind === 'tensor' && type.dtype === 'float16' ? 8 : 4
  },
  evaluate: (ctx, [x, w, b]) => {
    const y = x && w && isFloat(x.dtype) ? convolve(x, w, b, ctx.attrs, ctx.attrs.group) : undefined
    return y && [y]
  },
  macs: (ctx) => {
    const c = contraction(ctx)
    return c === undefined ? 0 : contractionMacs(ctx, c)
  },
})

const contraction = (ctx: NodeContext<ConvAttributes>): Contraction | undefined => {
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
    weightOutputAxis: 0,
    weightInputAxis: 1,
    groups: ctx.attrs.group,
    grouped: 'input',
    uniform: isUnpadded(ctx.attrs, weight.shape.slice(2)),
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
