/** What the phases ask of an operator that mixes channels in more ways than one contraction (`OpDef.mixes`). */
import type { Graph } from '../../ir/graph.ts'
import { inputShape, outputShape } from '../../ir/links.ts'
import type { Mixing, MixingRemoval, Node, NodeAxis, NodeContext, UnpaidChannels, ValueId } from '../../ir/op.ts'
import { isStatic } from '../../ir/type.ts'
import type { ChannelFacts } from './analyse.ts'
import type { Constants } from './constants.ts'
import { at, type Known, type Marks } from './slice-readers.ts'
import { isJointOf } from './joints.ts'
import { axesOf, jointOf, type NodeView, ownAxesOf } from './views.ts'

/** An axis of a bundle on a value that is no constant. */
export interface BundledAxis extends NodeAxis {
  readonly value: ValueId
}

export const valueAt = (node: Node, { side, port }: NodeAxis): ValueId =>
  (side === 'input' ? node.inputs : node.outputs)[port] ?? ''

/** By bundle its axes on values that are no constants, joint ones where the value has them. */
export const bundlesOf = (
  graph: Graph,
  { node, mixing }: Pick<NodeView, 'node' | 'mixing'>,
): ReadonlyArray<ReadonlyArray<BundledAxis>> =>
  (mixing?.bundles ?? []).map((bundle) =>
    bundle.flatMap((one) => {
      const value = valueAt(node, one)
      if (value === '' || graph.constants.has(value)) return []
      // States that come from elsewhere may have no joint axis, or one of other axes; those of the outputs are bound then.
      const joint = mixing?.joints.find(({ side, port }) => side === one.side && port === one.port)
      const isOwn = one.axis < ownAxesOf(graph, value).length
      return isOwn || (joint !== undefined && isJointOf(joint, jointOf(graph, value))) ? [{ ...one, value }] : []
    }),
  )

export const isAt = (one: NodeAxis, side: NodeAxis['side'], port: number, axis: number): boolean =>
  one.side === side && one.port === port && one.axis === axis

/** Whether an axis of a value on a port is in a bundle, of an input one of its own. */
export const isBundled = (mixing: Mixing | undefined, side: NodeAxis['side'], port: number, axis: number): boolean =>
  mixing?.bundles.some((bundle) => bundle.some((one) => isAt(one, side, port, axis))) === true

/** By bundle what has to be computed when the outputs that `wanted` marks have to; see {@link Mixing.needed}. */
export const neededByBundle = (
  graph: Graph,
  { node, mixing }: NodeView,
  wanted: ReadonlyArray<ReadonlyArray<Marks> | undefined>,
  constants: Constants,
): ReadonlyArray<Uint8Array> => {
  if (mixing === undefined) return []
  const sizeOf = (one: NodeAxis): number => axesOf(graph, valueAt(node, one))[one.axis] ?? 0
  const marks = mixing.bundles.map((bundle) => {
    const [first] = bundle
    const out = new Uint8Array(first === undefined ? 0 : sizeOf(first))
    for (const { side, port, axis } of bundle) {
      const found = side === 'output' ? wanted[port]?.[axis] : undefined
      if (found !== undefined) for (let i = 0; i < out.length; i++) if (at(found, i) === 1) out[i] = 1
    }
    return out
  })
  return mixing.needed(marks, (one) => {
    const given = constants.given(valueAt(node, one), one.axis)
    return typeof given === 'number' ? new Uint8Array(sizeOf(one)).fill(given) : given
  })
}

/** Constants along the axes of outputs, and how far what a runtime computes may be from each. */
export const constantsByAxis = (
  { node, mixing }: NodeView,
  known: (value: ValueId, axis: number) => Known,
  errors: (value: ValueId, axis: number) => Known,
): ReturnType<Mixing['constants']> =>
  mixing?.constants((one) => {
    const value = valueAt(node, one)
    return { values: known(value, one.axis), errors: errors(value, one.axis) }
  }) ?? (() => undefined)

/** Channels that have to come back, by value and axis. */
export const unpaidBy = (
  graph: Graph,
  view: NodeView,
  facts: ChannelFacts,
  goes: (value: ValueId, axis: number, index: number) => boolean,
): (UnpaidChannels & { readonly axis: BundledAxis }) | undefined => {
  const { mixing, node } = view
  if (mixing === undefined) return undefined
  const bundles = bundlesOf(graph, view)
  const exact = bundles.map((bundle) =>
    bundle.flatMap(({ side, value, axis }) => (side === 'output' ? [facts.exact(value, axis)] : [])),
  )
  const removal: MixingRemoval = {
    keeps: (bundle, i) => {
      const [one] = bundles[bundle] ?? []
      return one === undefined || !goes(one.value, one.axis, i)
    },
    isExact: (bundle, i) => exact[bundle]?.some((marks) => marks?.[i] !== 0) === true,
    constants: (one) => facts.constants(valueAt(node, one), one.axis),
  }
  const found = mixing.unpaid(removal)
  const [axis] = bundles[found?.bundle ?? -1] ?? []
  return found === undefined || axis === undefined ? undefined : { ...found, axis }
}

/** How many channels of each bundle a count along its axes gives. */
export const countsOf = (
  graph: Graph,
  view: NodeView,
  count: (value: ValueId, axis: number) => number,
): ReadonlyArray<number> =>
  bundlesOf(graph, view).map(([one]) => (one === undefined ? NaN : count(one.value, one.axis)))

/** How many channels a layer that mixes them reads and makes. */
export const channelsMixed = (
  ctx: NodeContext<unknown>,
  { bundles, joints, layer }: Mixing,
): { readonly inputs: number; readonly outputs: number } => {
  const sizeOf = ({ side, port, axis }: NodeAxis): number => {
    const shape = (side === 'input' ? inputShape(ctx, port) : outputShape(ctx, port)) ?? []
    const joint = joints.find((one) => one.side === side && one.port === port)
    const axes = axis < shape.length ? [axis] : [joint?.outer ?? axis, joint?.inner ?? axis]
    return axes.reduce((size, own) => {
      const dim = shape[own]
      return isStatic(dim) ? size * dim : NaN
    }, 1)
  }
  const [read, made] = [layer.inputs, layer.outputs].map((bundle) => bundles[bundle]?.[0])
  return { inputs: read === undefined ? 0 : sizeOf(read), outputs: made === undefined ? 0 : sizeOf(made) }
}
