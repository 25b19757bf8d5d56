import { stridesOf, forEachIndex } from '../ir/evaluate.ts'
import { onlyReader, producersOf, soleProducer } from '../ir/analysis.ts'
import { type Graph } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import type { Node } from '../ir/op.ts'
import { Flatten } from '../ir/ops/flatten.ts'
import { Gather } from '../ir/ops/gather.ts'
import { Reshape } from '../ir/ops/reshape.ts'
import { Squeeze } from '../ir/ops/squeeze.ts'
import { Transpose } from '../ir/ops/transpose.ts'
import { Unsqueeze } from '../ir/ops/unsqueeze.ts'
import { makeNode } from '../ir/make-node.ts'
import { isOp } from '../ir/registry.ts'
import { productOf } from '../ir/sizes.ts'
import { int64s, integersOf } from '../ir/tensor.ts'
import { isStatic, normalizeAxis, sameShape, type Shape, staticShape } from '../ir/type.ts'
import { rewritePass, type Rule } from './rewrite.ts'

const isReshape = (node: Node | undefined): node is Node =>
  isOp(node, Reshape) || isOp(node, Flatten) || isOp(node, Squeeze) || isOp(node, Unsqueeze)

/** A permutation of one axis: output index `o` is input index `indices[o]`. */
interface Shuffle {
  readonly axis: number
  readonly indices: ReadonlyArray<number>
}

/** Flat places along axes of `shape`, in the order they have after transposing by `perm`. */
const transposedOrder = (shape: ReadonlyArray<number>, perm: ReadonlyArray<number>): ReadonlyArray<number> => {
  const strides = stridesOf(shape)
  const out: number[] = []
  forEachIndex(
    perm.map((a) => shape[a] ?? 0),
    (index) => out.push(perm.reduce((at, a, o) => at + (index[o] ?? 0) * (strides[a] ?? 0), 0)),
  )
  return out
}

/**
 * The axis of `whole` that axes `first .. end` of `split` are the parts of, with some axes around them that the
 * permutation leaves where they are.
 */
const shuffleOf = (whole: Shape, split: Shape, perm: ReadonlyArray<number>): Shuffle | undefined => {
  const first = perm.findIndex((a, i) => a !== i)
  const end = perm.findLastIndex((a, i) => a !== i) + 1
  if (first < 0) return undefined
  const same = (a: Shape, b: Shape): boolean => {
    const product = productOf(a)
    return product !== undefined && product === productOf(b)
  }
  for (const [axis, size] of whole.entries()) {
    if (!isStatic(size)) continue
    for (let from = first; from >= 0; from--) {
      for (let to = end; to <= split.length; to++) {
        const parts = staticShape(split.slice(from, to))
        if (parts === undefined || !same(parts, [size])) continue
        if (!same(whole.slice(0, axis), split.slice(0, from)) || !same(whole.slice(axis + 1), split.slice(to))) continue
        const order = perm.slice(from, to).map((a) => a - from)
        return { axis, indices: transposedOrder(parts, order) }
      }
    }
  }
  return undefined
}

/** `Reshape(Transpose(Reshape(x)))` of one shape with `x`: a permutation of one axis of `x`, if it permutes only one. */
const fuseShuffle: Rule = (graph, node, { fresh }) => {
  if (!isReshape(node)) return undefined
  const transpose = soleProducerOf(graph, node)
  const split = transpose && isOp(transpose, Transpose) ? soleProducerOf(graph, transpose) : undefined
  if (!isOp(transpose, Transpose) || !isReshape(split)) return undefined
  const [x = '', y = ''] = [split.inputs[0], node.outputs[0]]
  const [whole, parts, result] = [x, split.outputs[0] ?? '', y].map((name) => shapeOf(graph.types.get(name)))
  if (whole === undefined || parts === undefined || !sameShape(whole, result)) return undefined
  const perm = transpose.attrs.perm ?? parts.map((_, a) => parts.length - 1 - a)
  const shuffle = shuffleOf(whole, parts, perm)
  if (shuffle === undefined) return undefined
  const name = fresh(`${y}_order`)
  return {
    removes: [split, transpose, node],
    nodes: [makeNode(Gather, [x, name], [y], { axis: shuffle.axis }, transpose.name)],
    constants: new Map([[name, int64s(shuffle.indices)]]),
  }
}

/** The node before `node`, where nothing else needs its output. */
const soleProducerOf = (graph: Graph, node: Node): Node | undefined => {
  const [value = ''] = node.inputs
  return onlyReader(graph, value) === node ? soleProducer(graph, value) : undefined
}

/** `x[i][j] = x[i[j]]` along one axis. */
const composeGathers: Rule = (graph, node, { fresh }) => {
  const [value = '', second = ''] = node.inputs
  const inner = producersOf(graph).get(value)
  if (!isOp(node, Gather) || !isOp(inner, Gather)) return undefined
  const [x = '', first = ''] = inner.inputs
  const shape = shapeOf(graph.types.get(x))
  const [axis, again] = shape ? [inner, node].map((g) => normalizeAxis(g.attrs.axis, shape.length)) : []
  const [i, j] = [vectorOf(graph, first), vectorOf(graph, second)]
  if (axis === undefined || axis !== again || i === undefined || j === undefined) return undefined
  const composed = j.map((at) => i[at < 0 ? at + i.length : at])
  if (composed.some((at) => at === undefined)) return undefined
  const name = fresh(`${node.outputs[0] ?? ''}_order`)
  return {
    removes: [node],
    nodes: [{ ...node, inputs: [x, name], attrs: { axis } }],
    constants: new Map([[name, int64s(composed.flatMap((at) => at ?? []))]]),
  }
}

const vectorOf = (graph: Graph, name: string): ReadonlyArray<number> | undefined => {
  const tensor = graph.constants.get(name)
  return tensor?.shape.length === 1 ? integersOf(tensor) : undefined
}

/**
 * Writes a channel shuffle as one Gather. Exporters reshape `[N, g·c, H, W]` to `[N, g, c, H, W]`, swap the two axes and
 * reshape back; axis by axis it cannot be told which channel goes where, while a Gather with constant indices says it.
 * A Gather of a Gather along the same axis, both with constant indices, becomes one.
 *
 * Guards: input and output have the same shape; the transposed axes are static and make up exactly one axis of it, all
 * others staying where they are; the two values between have no other reader and no fixed name.
 */
export const fuseChannelShuffle = rewritePass('fuse-channel-shuffle', [fuseShuffle, composeGathers])
