import { onlyReader, soleProducer } from '../ir/analysis.ts'
import type { Graph } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Node } from '../ir/op.ts'
import { canonicalTarget, Reshape } from '../ir/ops/reshape.ts'
import { Transpose } from '../ir/ops/transpose.ts'
import { isOp, opOf } from '../ir/registry.ts'
import { productOf } from '../ir/sizes.ts'
import { int64s } from '../ir/tensor.ts'
import { type Dim, isStatic, type Shape } from '../ir/type.ts'
import { rewritePass, type Rule } from './rewrite.ts'

/**
 * `Reshape(Transpose(Reshape(x)))` in which the second reshape only splits axes: split them at once, then transpose. Attention
 * in PyTorch merges batch and heads, transposes, and takes them apart again.
 *
 * Guards: what is between has no other reader; the split shape can be written as a constant.
 */
const splitAtOnce: Rule = (graph, node, { fresh }) => {
  const transpose = isOp(node, Reshape) ? soleProducerOf(graph, node) : undefined
  const reshape = isOp(transpose, Transpose) ? soleProducerOf(graph, transpose) : undefined
  if (!isOp(transpose, Transpose) || !isOp(reshape, Reshape)) return undefined
  const [x = ''] = reshape.inputs
  const [from, merged, transposed, to] = [x, reshape.outputs[0], transpose.outputs[0], node.outputs[0]].map((name) =>
    shapeOf(graph.types.get(name ?? '')),
  )
  if (from === undefined || merged === undefined || transposed === undefined || to === undefined) return undefined
  const groups = splitInto(transposed, to)
  if (groups === undefined || groups.every((group) => group.length === 1)) return undefined
  const perm = transpose.attrs.perm ?? merged.map((_, a) => merged.length - 1 - a)
  // Where each axis of the merged shape starts once it is split.
  const parts = merged.map((_, axis) => groups[perm.indexOf(axis)] ?? [])
  const starts = parts.map((_, axis) => parts.slice(0, axis).reduce((n, group) => n + group.length, 0))
  const split = parts.flat()
  const target = canonicalTarget(from, split)
  if (target === undefined) return undefined
  const [name, middle] = [fresh(`${node.outputs[0] ?? ''}_split`), fresh(reshape.outputs[0] ?? '')]
  const order = perm.flatMap((axis) => (parts[axis] ?? []).map((_, k) => (starts[axis] ?? 0) + k))
  return {
    removes: [reshape, transpose, node],
    nodes: [
      { ...reshape, inputs: [x, name], outputs: [middle], attrs: { allowzero: 0 } },
      makeNode(Transpose, [middle], node.outputs, { perm: order }, transpose.name),
    ],
    constants: new Map([[name, int64s(target)]]),
  }
}

/** Two transposes in a row are one. */
const transposeAtOnce: Rule = (graph, node) => {
  const before = isOp(node, Transpose) ? soleProducerOf(graph, node) : undefined
  const rank = shapeOf(graph.types.get(node.outputs[0] ?? ''))?.length
  if (!isOp(node, Transpose) || !isOp(before, Transpose) || rank === undefined) return undefined
  const reversed = Array.from({ length: rank }, (_, a) => rank - 1 - a)
  const [first, second] = [before.attrs.perm ?? reversed, node.attrs.perm ?? reversed]
  const perm = second.map((axis) => first[axis] ?? 0)
  return {
    removes: [before, node],
    nodes: [makeNode(Transpose, before.inputs, node.outputs, { perm }, node.name)],
    constants: new Map(),
  }
}

/** Whether a node holds the same elements in the same order under another shape, and reads no other computed value. */
const isReshape = (graph: Graph, node: Node | undefined): node is Node =>
  node !== undefined &&
  opOf(node).isView === true &&
  node.inputs.slice(1).every((x) => x === '' || graph.constants.has(x))

/** A Transpose that moves only axes of size 1 is a reshape, and of reshapes in a row the last one counts. */
const reshapeAtOnce: Rule = (graph, node, { fresh }) => {
  const [input = ''] = node.inputs
  const from = shapeOf(graph.types.get(input))
  const to = shapeOf(graph.types.get(node.outputs[0] ?? ''))
  if (from === undefined || to === undefined) return undefined
  const isTurned = isOp(node, Transpose) && keepsOrder(node.attrs.perm ?? from.map((_, a) => from.length - 1 - a), from)
  if (!isTurned && !isReshape(graph, node)) return undefined
  const before = soleProducerOf(graph, node)
  const first = isReshape(graph, before) ? before : undefined
  if (!isTurned && first === undefined) return undefined
  const source = first === undefined ? input : (first.inputs[0] ?? '')
  const whole = shapeOf(graph.types.get(source))
  const target = whole && canonicalTarget(whole, to)
  if (target === undefined) return undefined
  const name = fresh(`${node.outputs[0] ?? ''}_shape`)
  return {
    removes: first === undefined ? [node] : [first, node],
    nodes: [makeNode(Reshape, [source, name], node.outputs, { allowzero: 0 }, node.name)],
    constants: new Map([[name, int64s(target)]]),
  }
}

/** Whether a permutation keeps the axes in order that are not of size 1. */
const keepsOrder = (perm: ReadonlyArray<number>, shape: Shape): boolean => {
  const places = perm.filter((axis) => shape[axis] !== 1)
  return places.every((axis, i) => i === 0 || axis > (places[i - 1] ?? 0))
}

/** The node before `node`, where nothing else needs its output. */
const soleProducerOf = (graph: Graph, node: Node): Node | undefined => {
  const [value = ''] = node.inputs
  return onlyReader(graph, value) === node ? soleProducer(graph, value) : undefined
}

/** What axes are split into, in order, and how many axes of the other side that takes. */
interface Groups {
  readonly groups: ReadonlyArray<ReadonlyArray<Dim>>
  readonly taken: number
}

/** For each axis of `from` the axes of `to` that it is split into, those in front; undefined where one has parts of several. */
const splitInFront = (from: Shape, to: Shape): Groups | undefined => {
  const groups: Dim[][] = []
  let taken = 0
  for (const dim of from) {
    const group: Dim[] = []
    while (group.length === 0 || productOf(group) !== dim) {
      const next = to[taken]
      if (next === undefined) return undefined
      group.push(next)
      taken += 1
    }
    groups.push(group)
  }
  return { groups, taken }
}

/**
 * The same for all of `to`. One axis may be of unknown size, which both sides holding equally many elements tells: where
 * all others are as long as on the other side, it is as long as what is left there.
 */
const splitInto = (from: Shape, to: Shape): ReadonlyArray<ReadonlyArray<Dim>> | undefined => {
  const whole = splitInFront(from, to)
  if (whole !== undefined && to.slice(whole.taken).every((dim) => dim === 1)) {
    return whole.groups.map((group, i) => (i === from.length - 1 ? [...group, ...to.slice(whole.taken)] : group))
  }
  const open = from.findIndex((dim) => !isStatic(dim) && !to.includes(dim))
  if (open < 0) return undefined
  const before = splitInFront(from.slice(0, open), to)
  if (before === undefined) return undefined
  const rest = to.slice(before.taken)
  const behind = splitInFront(from.slice(open + 1).toReversed(), rest.toReversed())
  if (behind === undefined) return undefined
  const left = rest.slice(0, rest.length - behind.taken)
  if (left.length === 0) return undefined
  return [...before.groups, left, ...behind.groups.map((group) => group.toReversed()).toReversed()]
}

/** Reshapes and transposes in a row, as one of each. */
export const fuseReshape = rewritePass('fuse-reshape', [splitAtOnce, transposeAtOnce, reshapeAtOnce])
