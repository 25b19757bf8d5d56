/** The input of a trained network, made one for images of another size, channels first. */
import * as E from 'fp-ts/lib/Either.js'
import { usersOf } from '../../ir/analysis.ts'
import type { Graph, ValueInfo } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import * as ops from '../../ir/ops/index.ts'
import { isOp } from '../../ir/registry.ts'
import { int64s, integersOf, type Tensor } from '../../ir/tensor.ts'
import { type Dim, isAnonymous, isStatic, printType, type Shape, tensorType } from '../../ir/type.ts'
import { namesFor } from '../../passes/rewrite.ts'
import type { ImageShape } from '../data/index.ts'
import { type AdaptError, adaptError } from './error.ts'

/** Where the axes of `[N, channels, height, width]` lie in `[N, height, width, channels]`, and the reverse. */
const [toFirst, toLast] = [
  [0, 3, 1, 2],
  [0, 2, 3, 1],
] as const

export interface Entry {
  readonly input: ValueInfo
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyMap<ValueId, Tensor>
}

/**
 * The input for images of `shape` (absent: of the size that it takes), and nodes that read it. A network of images with channels last gets them first: they are moved
 * behind the padding that comes first, if any, where such networks mostly move them back.
 *
 * Errors: several inputs, one that is no image of floats, another number of channels.
 */
export const withImages = (graph: Graph, shape: ImageShape | undefined): E.Either<AdaptError, Entry> => {
  const [input, ...others] = graph.inputs
  const expected = `one input of float32 images${shape === undefined ? '' : ` of ${shape[0]} channels`}`
  const refused = (found: string): E.Either<AdaptError, never> =>
    E.left(adaptError('graph inputs', expected, found, 'Give a network that takes such images, or other data.'))
  if (input === undefined || others.length > 0) return refused(`${graph.inputs.length} inputs`)
  const { type } = input
  if (type.kind !== 'tensor' || type.dtype !== 'float32' || type.shape?.length !== 4) return refused(printType(type))
  const isLast = hasChannelsLast(graph, input.name, type.shape, shape?.[0])
  const own = isLast ? toFirst.map((axis) => type.shape?.[axis] ?? 'N') : type.shape
  const [batch = 'N', held] = own
  if (shape !== undefined && isStatic(held) && held !== shape[0]) return refused(printType(type))
  const open = isStatic(batch) || isAnonymous(batch) ? 'N' : batch
  const adapted: ValueInfo = { name: input.name, type: tensorType('float32', [open, ...(shape ?? own.slice(1))]) }
  if (!isLast) return E.right({ input: adapted, nodes: graph.nodes, constants: graph.constants })
  return E.right({ input: adapted, ...moved(graph, input.name) })
}

const isMove = (node: Node, order: ReadonlyArray<number>): boolean =>
  isOp(node, ops.Transpose) && order.every((axis, at) => node.attrs.perm?.[at] === axis)

/** By what reads it, else by the sizes. */
const hasChannelsLast = (graph: Graph, name: ValueId, shape: Shape, channels: number | undefined): boolean => {
  const users = usersOf(graph).get(name) ?? []
  const [only] = users
  const read = users.length === 1 && isOp(only, ops.Pad) ? usersOf(graph).get(only.outputs[0] ?? '') : users
  if (read?.some((node) => isMove(node, toFirst)) === true) return true
  const isChannels = (size: Dim | undefined): boolean =>
    channels === undefined ? size === 1 || size === 3 : size === channels
  return isChannels(shape[3]) && !isChannels(shape[1])
}

/** What the only reader of a value pads `[N, height, width, channels]` by; undefined where that is computed, or another reader is there. */
const padsBehind = (
  graph: Graph,
  name: ValueId,
): { readonly node: Node; readonly pads: ReadonlyArray<number> } | undefined => {
  const users = usersOf(graph).get(name) ?? []
  const [node] = users
  if (users.length !== 1 || !isOp(node, ops.Pad) || node.inputs[3]) return undefined
  const held = graph.constants.get(node.inputs[1] ?? '')
  const pads = held === undefined ? undefined : integersOf(held)
  return pads?.length === 8 ? { node, pads } : undefined
}

const moved = (graph: Graph, input: ValueId): Omit<Entry, 'input'> => {
  const { fresh } = namesFor(graph)
  const padding = padsBehind(graph, input)
  if (padding === undefined) {
    const last = fresh(`${input}_last`)
    const nodes = graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((name) => (name === input ? last : name)),
    }))
    const move = makeNode(ops.Transpose, [input], [last], { perm: toLast }, last)
    return { nodes: [move, ...nodes], constants: graph.constants }
  }
  const { node, pads } = padding
  const [first, order] = [fresh(`${input}_padded`), fresh('pads')]
  const ordered = [...toFirst.map((axis) => pads[axis] ?? 0), ...toFirst.map((axis) => pads[axis + 4] ?? 0)]
  const padded = { ...node, inputs: node.inputs.with(1, order), outputs: [first] }
  const move = makeNode(ops.Transpose, [first], node.outputs, { perm: toLast }, `${first}_last`)
  return {
    nodes: graph.nodes.flatMap((one) => (one === node ? [padded, move] : [one])),
    constants: new Map([...graph.constants, [order, int64s(ordered)]]),
  }
}
