import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../../attributes.ts'
import { dtypeOf } from '../../families/movement.ts'
import { requantizedFact, requantizedTensor, type Scaling, scalingOn } from '../../families/quantized-elements.ts'
import { gatherOperand } from '../../gather-operands.ts'
import { defineOp, type InferContext, type NodeContext, type ValueId } from '../../op.ts'
import type { Dense, Tensor } from '../../tensor.ts'
import { normalizeAxis, tensorType } from '../../type.ts'
import { outputShape } from '../../links.ts'
import { Concat } from '../concat.ts'

interface QLinearConcatAttributes {
  readonly axis: number | undefined
}

/** The ports of the tensors: after scale and zero of the result each comes with its own. */
const tensorPorts = (count: number): ReadonlyArray<number> =>
  Array.from({ length: Math.max(0, Math.floor((count - 2) / 3)) }, (_, i) => 2 + 3 * i)

/** The same tensors for Concat. */
const plain = <C extends InferContext<QLinearConcatAttributes>>(ctx: C): C => {
  const ports = tensorPorts(ctx.inputs.length)
  return {
    ...ctx,
    inputs: ports.map((port) => ctx.inputs[port]),
    constant: (i: number) => ctx.constant(ports[i] ?? -1),
    content: () => undefined,
  }
}

/** Of the result, then of each tensor. */
const scalingsOf = (ctx: InferContext<unknown>): ReadonlyArray<Scaling> | undefined => {
  const all = [0, ...tensorPorts(ctx.inputs.length).map((port) => port + 1)].map((port) =>
    scalingOn(ctx, port, port + 1),
  )
  return all.every((one) => one !== undefined) ? all : undefined
}

/** Quantized tensors one after another along an axis, each rounded from its own integers to those of the result. */
export const QLinearConcat = defineOp<'com.microsoft.QLinearConcat', QLinearConcatAttributes>({
  name: 'com.microsoft.QLinearConcat',
  versions: [1, 1],
  schema: { axis: optionalInt },
  mixesTypes: true,
  inferTypes: (ctx) => {
    const made = Concat.inferTypes(plain(ctx))
    if (E.isLeft(made)) return made
    const [[type], dtype] = [made.right, dtypeOf(ctx.inputs[1])]
    if (type?.kind !== 'tensor' || dtype === undefined) return E.left('the element type is unknown')
    return E.right([tensorType(dtype, type.shape)])
  },
  links: (ctx) => {
    const links = scalingsOf(ctx) === undefined || Concat.links === 'opaque' ? 'opaque' : Concat.links(plainNode(ctx))
    const ports = tensorPorts(ctx.inputs.length)
    return links === 'opaque' ? links : links.map((link) => ({ ...link, input: ports[link.input] ?? -1 }))
  },
  constant: (ctx, slices) => {
    const [to, ...from] = scalingsOf(ctx) ?? []
    const dtype = dtypeOf(ctx.outputs[0])
    if (to === undefined || dtype === undefined) return undefined
    return requantizedFact(
      tensorPorts(slices.length).map((port) => slices[port]),
      from,
      to,
      dtype,
    )
  },
  integers: (ctx) => tensorPorts(ctx.inputs.length).map((port) => ({ port, scale: port + 1, zero: port + 2 })),
  mayLoseInputs: true,
  total: true,
  shrink: (s) => {
    const axis = normalizeAxis(s.attrs.axis ?? 0, outputShape(s)?.length ?? 0) ?? 0
    const constants = new Map<ValueId, Tensor>()
    const ports = tensorPorts(s.node.inputs.length).filter((port) => s.keptInput(port, axis)?.length !== 0)
    const inputs = ports.flatMap((port) => {
      const [name = '', scale = '', zero = ''] = s.node.inputs.slice(port, port + 3)
      const tensor = s.constant(port)
      const selected = tensor && gatherOperand(s, port, tensor)
      if (selected === undefined || selected === tensor) return [name, scale, zero]
      const renamed = s.rename(port, name)
      constants.set(renamed, selected)
      return [renamed, scale, zero]
    })
    return { nodes: [{ ...s.node, inputs: [...s.node.inputs.slice(0, 2), ...inputs] }], constants }
  },
  evaluate: (ctx, inputs) => {
    const [to, ...from] = scalingsOf(ctx) ?? []
    const tensors: Dense[] = []
    for (const [i, port] of tensorPorts(inputs.length).entries()) {
      const [x, scaling] = [inputs[port], from[i]]
      const made = x && scaling && to && requantizedTensor(x, scaling, to)
      if (made === undefined) return undefined
      tensors.push(made)
    }
    return Concat.evaluate?.(plainNode(ctx), tensors)
  },
})

const plainNode = (ctx: NodeContext<QLinearConcatAttributes>): NodeContext<QLinearConcatAttributes> => plain(ctx)
