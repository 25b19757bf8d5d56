/**
 * What it takes to compute a node on the device. An operator is lowered by the one entry of its name in the tables of
 * `ops/`, for static shapes.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { NodeContext, OpDef } from '../../ir/op.ts'
import { isOp } from '../../ir/registry.ts'
import { staticShape, type ValueType } from '../../ir/type.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import type { DeviceOps } from '../backend/ops/types.ts'
import { type Layout, onnxOrder } from './layout.ts'

export type Mode = 'train' | 'eval'

/**
 * How a port is read. An `operand` that is a float constant of more than one element is trained, a `weight` of any size
 * is. What is `fixed` is known when the node is lowered and never reaches the device; `statistic` is a running statistic.
 */
export type Read =
  { readonly as: 'operand' | 'weight' | 'statistic'; readonly layout: Layout } | { readonly as: 'fixed' }

export const operand = (layout: Layout): Read => ({ as: 'operand', layout })
export const weight = (layout: Layout): Read => ({ as: 'weight', layout })
export const statistic: Read = { as: 'statistic', layout: [0] }
export const fixed: Read = { as: 'fixed' }

/** The result of a node, and how to go back through it. */
export interface Result {
  readonly outputs: ReadonlyArray<Tensor>
  /**
   * Gradients of the inputs from those of the outputs (undefined where nothing depends on one). May leave out the ports
   * that are not `wanted`. Reads inputs, outputs and `saved`, which stay until then.
   */
  readonly gradient?: Gradient
  /** What else the gradient reads. */
  readonly saved?: ReadonlyArray<Tensor>
  /** New values of `statistic` ports, by port. */
  readonly statistics?: ReadonlyArray<readonly [port: number, value: Tensor]>
}

/** `instead`: by port, what the gradients of the other inputs read in place of an input; only where the node `splits`. */
export type Gradient = (
  dys: ReadonlyArray<Tensor | undefined>,
  wanted: ReadonlyArray<boolean>,
  instead: Inputs,
) => ReadonlyArray<Tensor | undefined>

/** Inputs by port; those that are omitted or fixed are undefined. */
export type Inputs = ReadonlyArray<Tensor | undefined>

export interface Lowered {
  readonly reads: ReadonlyArray<Read>
  readonly gives: ReadonlyArray<Layout>
  /** The ports of which the gradients of other inputs can read something else. */
  readonly splits?: ReadonlyArray<number>
  /** Whether what is on port 0 is summed along its last axis in memory, times the weights on port 1. */
  readonly sums?: boolean
  readonly run: (inputs: Inputs, mode: Mode) => Result
}

/** Why a node cannot be trained. */
export type Reason = string

/** A node to lower: what its operator sees, and how its inputs lie in memory. */
export interface Site<A> extends NodeContext<A> {
  readonly ops: DeviceOps
  /** How the value on a port lies in memory already; constants have no layout yet. */
  readonly layoutOf: (port: number) => Layout | undefined
  readonly shapeOf: (port: number) => ReadonlyArray<number>
  readonly outputShape: (output?: number) => ReadonlyArray<number>
}

export interface Lowering {
  readonly op: string
  readonly lower: (site: Site<unknown>) => E.Either<Reason, Lowered>
}

const isSite = <Name extends string, A>(site: Site<unknown>, op: OpDef<Name, A>): site is Site<A> => isOp(site.node, op)

export const lowering = <Name extends string, A>(
  op: OpDef<Name, A>,
  lower: (site: Site<A>) => E.Either<Reason, Lowered>,
): Lowering => ({
  op: op.name,
  lower: (site) => (isSite(site, op) ? lower(site) : E.left(`not a ${op.name}`)),
})

export const shapeOfType = (type: ValueType | undefined): ReadonlyArray<number> | undefined =>
  type?.kind === 'tensor' ? staticShape(type.shape) : undefined

/** The site of a node whose types are all static; undefined where one is not. */
export const siteOf = <A>(
  ctx: NodeContext<A>,
  { ops }: Backend,
  layoutOf: (port: number) => Layout | undefined,
): Site<A> | undefined => {
  const inputs = ctx.inputs.map(shapeOfType)
  const outputs = ctx.outputs.map(shapeOfType)
  if (ctx.inputs.some((type, i) => type !== undefined && inputs[i] === undefined)) return undefined
  if (outputs.some((shape, i) => shape === undefined && ctx.node.outputs[i] !== '')) return undefined
  return {
    ...ctx,
    ops,
    layoutOf,
    shapeOf: (port) => inputs[port] ?? [],
    outputShape: (output = 0) => outputs[output] ?? [],
  }
}

/** The layout of the value on a port, ONNX's where it has none yet. */
export const layoutOr = (site: Site<unknown>, port: number, fallback?: Layout): Layout =>
  site.layoutOf(port) ?? fallback ?? onnxOrder(site.shapeOf(port).length)

/** The input on a port that the lowering declared as an operand. */
export const given = (inputs: Inputs, port: number): Tensor => {
  const tensor = inputs[port]
  if (tensor === undefined) throw new Error(`chasec: internal invariant broken: no tensor on port ${port}.`)
  return tensor
}

/** One input, one output, both in `layout`. */
export const oneToOne = (
  layout: Layout,
  gives: Layout,
  forward: (x: Tensor) => Tensor,
  backward: (dy: Tensor, x: Tensor, y: Tensor) => Tensor,
  others: ReadonlyArray<Read> = [],
): Lowered => ({
  reads: [operand(layout), ...others],
  gives: [gives],
  run: (inputs) => {
    const x = given(inputs, 0)
    const y = forward(x)
    return { outputs: [y], gradient: ([dy]) => [dy && backward(dy, x, y)] }
  },
})
