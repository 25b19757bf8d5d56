/** What ConvInteger and QLinearConv share: a convolution of integers, padded with the zero point of its input. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../dtype.ts'
import { gatherOperands } from '../gather-operands.ts'
import { countOf, inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import type { AxisLink, Contraction, InferContext, NodeContext, OpDef } from '../op.ts'
import { Conv } from '../ops/conv.ts'
import { type Dense, tensorOf } from '../tensor.ts'
import { isStatic, tensorType, type ValueType } from '../type.ts'
import { channelsOf } from './contraction.ts'
import type { ConvolutionAttributes } from './convolution.ts'
import { centred, integerContraction, type IntegerProduct } from './integer-products.ts'
import { dtypeOf } from './movement.ts'
import { shrinkContraction } from './rebuild.ts'
import { convolve, isUnpadded } from './window.ts'

type Shared = 'schema' | 'inferTypes' | 'links' | 'contraction' | 'integers' | 'shrink' | 'macs'

/** The answers of a convolution with its operands on the ports of `product`, and its output of the type that `target` says. */
export const integerConvolution = <A extends ConvolutionAttributes>(
  product: IntegerProduct,
  schema: OpDef<string, A>['schema'],
  target: (ctx: InferContext<A>) => DType | undefined,
): Required<Pick<OpDef<string, A>, Shared>> => {
  const contraction = (ctx: NodeContext<A>): Contraction | undefined => {
    const kernel = ctx.constant(product.weight.port)?.shape.slice(2)
    if (kernel === undefined) return undefined
    const uniform = isUnpadded(ctx.attrs, kernel)
    return integerContraction(ctx, product, {
      axis: 1,
      outputAxis: 1,
      weightOutputAxis: 0,
      weightInputAxis: 1,
      groups: ctx.attrs.group,
      grouped: 'input',
      uniform,
      pointwise: uniform && kernel.every((k) => k === 1) && (ctx.attrs.strides ?? []).every((step) => step === 1),
    })
  }
  return {
    schema,
    inferTypes: (ctx) => {
      const [x, weight] = [ctx.inputs[product.x.port], ctx.inputs[product.weight.port]]
      const made = Conv.inferTypes({ ...ctx, inputs: [x, sameDtype(weight, x)] })
      const dtype = target(ctx)
      if (E.isLeft(made)) return made
      const [type] = made.right
      if (dtype === undefined || type?.kind !== 'tensor') return E.left('the element type of the output is unknown')
      return E.right([tensorType(dtype, type.shape)])
    },
    links: (ctx) => {
      const c = contraction(ctx)
      if (c === undefined) return 'opaque'
      const links: AxisLink[] = isStatic(inputShape(ctx, c.port)?.[0]) ? [sameIndex(c.port, 0, 0, 0)] : []
      const { outputs, outputsPerGroup, inputsPerGroup } = channelsOf(c.weight ?? blank, c)
      if (c.groups > 1 && inputsPerGroup === 1 && isStatic(inputShape(ctx, c.port)?.[1])) {
        links.push({ ...sameIndex(c.port, 1, 0, 1), from: periodic(outputs, c.groups, outputsPerGroup) })
      }
      return links
    },
    contraction,
    integers: () => [product.x, { ...product.weight, axis: 0 }],
    shrink: (s) => {
      const c = contraction(s)
      return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
    },
    macs: (ctx) => countOf(outputShape(ctx)) * countOf(inputShape(ctx, product.weight.port)?.slice(1)),
  }
}

const blank: Dense = tensorOf('int8', [0, 0], [])

/** A tensor type with the element type of another one. */
const sameDtype = (type: ValueType | undefined, other: ValueType | undefined): ValueType | undefined => {
  const dtype = dtypeOf(other)
  return type?.kind === 'tensor' && dtype !== undefined ? tensorType(dtype, type.shape) : type
}

/** The sums of products by definition, float64. */
export const integerSums = (
  attrs: ConvolutionAttributes,
  [x, xZero]: readonly [Dense, Dense | undefined],
  [weight, weightZero]: readonly [Dense, Dense | undefined],
  bias?: Dense,
): Dense | undefined => convolve(centred(x, xZero, 1), centred(weight, weightZero, 0), bias, attrs, attrs.group)
