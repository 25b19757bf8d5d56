/**
 * Normalisations that several nodes write out, as exporters do for opsets without the operator. While channels are eliminated
 * one node stands for each, of the operator that knows what may leave it. Behind that, the nodes are there again: as they were
 * where nothing left, else with other constants, so that runtimes find and fuse them as before.
 *
 *     layer normalisation    d = x - mean(x);  d / √(mean(d²) + ε) · scale + bias
 *     RMS normalisation      x / √(mean(x²) + ε) · scale
 *     group normalisation    Reshape to one channel for each group, InstanceNormalization, Reshape to the shape of x
 *
 * the means over the last axis, scale and bias optional. In float32 only: operators compute in that whatever their type is.
 */
import { fixedNames, freshNames, onlyReader, soleProducer, usersOf } from '../../ir/analysis.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import { shapeOf } from '../../ir/links.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, OpDef, Rewrite, ValueId } from '../../ir/op.ts'
import { Add } from '../../ir/ops/add.ts'
import { Div } from '../../ir/ops/div.ts'
import { GroupNormalization } from '../../ir/ops/group-normalization.ts'
import { InstanceNormalization } from '../../ir/ops/instance-normalization.ts'
import { LayerNormalization } from '../../ir/ops/layer-normalization.ts'
import { Mul } from '../../ir/ops/mul.ts'
import { Pow } from '../../ir/ops/pow.ts'
import { Reciprocal } from '../../ir/ops/reciprocal.ts'
import { ReduceMean } from '../../ir/ops/reduce-mean.ts'
import { Reshape } from '../../ir/ops/reshape.ts'
import { RMSNormalization } from '../../ir/ops/rms-normalization.ts'
import { Shape } from '../../ir/ops/shape.ts'
import { Sqrt } from '../../ir/ops/sqrt.ts'
import { Sub } from '../../ir/ops/sub.ts'
import { isOp } from '../../ir/registry.ts'
import { uniformValue } from '../../ir/slices.ts'
import { int64s, integersOf, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { isStatic, sameShape, sizeOf } from '../../ir/type.ts'

/** A graph with one node for each normalisation, and how these are written out again in what becomes of it. */
export interface Gathered {
  readonly graph: Graph
  readonly writeOut: (shrunk: Graph) => Graph
}

/** A normalisation that several nodes compute from `x`. */
interface Written {
  /** In the order of the graph; the last one makes the result. */
  readonly nodes: ReadonlyArray<Node>
  /** What stands for them, with constants of its own. */
  readonly node: Node
  readonly constants: ReadonlyMap<ValueId, Tensor>
  /** The nodes for what became of `node`. */
  readonly write: (node: Node, shrunk: Graph, fresh: (hint: string) => ValueId) => Rewrite
}

/** One node for each normalisation of `graph`. */
export const gatherNormalisations = (graph: Graph): Gathered => {
  const fresh = freshNames(graph)
  const written = new Map<ValueId, Written>()
  const ends = new Map<Node, Written>()
  const gone = new Set<Node>()
  for (const node of graph.nodes) {
    const found = matchNormalisation(graph, node, fresh) ?? matchGroups(graph, node, fresh)
    const end = found?.nodes.at(-1)
    if (found === undefined || end === undefined || found.nodes.some((one) => gone.has(one))) continue
    for (const one of found.nodes) gone.add(one)
    ends.set(end, found)
    written.set(found.node.name, found)
  }
  if (ends.size === 0) return { graph, writeOut: (shrunk) => shrunk }
  const constants = new Map(graph.constants)
  for (const one of ends.values()) for (const [name, tensor] of one.constants) constants.set(name, tensor)
  const nodes = graph.nodes.flatMap((node) => ends.get(node)?.node ?? (gone.has(node) ? [] : [node]))
  return {
    graph: withParts(graph, { nodes, constants }),
    writeOut: (shrunk) => writeOut(graph, shrunk, written, fresh),
  }
}

const writeOut = (
  graph: Graph,
  shrunk: Graph,
  written: ReadonlyMap<ValueId, Written>,
  fresh: (hint: string) => ValueId,
): Graph => {
  const constants = new Map(shrunk.constants)
  const hints = new Map(shrunk.hints)
  // Names that were free in the graph with all nodes may have been taken since.
  const unused = (hint: string): ValueId => {
    let name = fresh(hint)
    while (shrunk.types.has(name)) name = fresh(hint)
    return name
  }
  /**
   * Nodes written out for `node`. What they make between them, and constants that they alone read of the graph as it was, have other
   * names where `shrunk` has given theirs to others: no reader was seen of them there.
   */
  const withOtherNames = (made: ReadonlyArray<Node>, node: Node): ReadonlyArray<Node> => {
    const names = new Map<ValueId, ValueId>()
    for (const name of made.flatMap(({ outputs }) => outputs)) {
      if (shrunk.types.has(name) && !node.outputs.includes(name)) names.set(name, unused(name))
    }
    for (const name of new Set(made.flatMap(({ inputs }) => inputs))) {
      const tensor = graph.constants.get(name)
      if (tensor === undefined || node.inputs.includes(name) || constants.get(name) === tensor) continue
      const other = shrunk.types.has(name) ? unused(name) : name
      constants.set(other, tensor)
      names.set(name, other)
    }
    const rename = (name: ValueId): ValueId => names.get(name) ?? name
    return names.size === 0
      ? made
      : made.map((one) => ({ ...one, inputs: one.inputs.map(rename), outputs: one.outputs.map(rename) }))
  }
  const nodes = shrunk.nodes.flatMap((node) => {
    const found = written.get(node.name)
    if (found?.node.op !== node.op) return [node]
    if (node === found.node) return withOtherNames(found.nodes, node)
    const rewrite = found.write(node, shrunk, unused)
    for (const [name, tensor] of rewrite.constants) constants.set(name, tensor)
    for (const one of found.nodes) for (const name of one.outputs) if (!node.outputs.includes(name)) hints.delete(name)
    return withOtherNames(rewrite.nodes, node)
  })
  const read = new Set(nodes.flatMap((node) => node.inputs))
  for (const one of written.values())
    for (const name of one.constants.keys()) if (!read.has(name)) constants.delete(name)
  return withParts(shrunk, { nodes, constants, hints })
}

/** The node that makes an input of another one, if that is of operator `op`. */
const madeBy = <Name extends string, A>(
  graph: Graph,
  value: ValueId,
  op: OpDef<Name, A>,
): Node<Name, A> | undefined => {
  const node = soleProducer(graph, value)
  return isOp(node, op) ? node : undefined
}

/** The only number of a float constant. */
const numberIn = (graph: Graph, value: ValueId | undefined): number | undefined => {
  const tensor = graph.constants.get(value ?? '')
  return tensor?.dtype === 'float32' && sizeOf(tensor.shape) === 1 ? uniformValue(tensor) : undefined
}

/** The values and the node of a mean over the last axis, which stays with size 1. */
const meanOf = (graph: Graph, value: ValueId): Node | undefined => {
  const node = madeBy(graph, value, ReduceMean)
  const rank = shapeOf(graph.types.get(node?.inputs[0] ?? ''))?.length
  if (node === undefined || rank === undefined || node.attrs.keepdims === 0) return undefined
  const given = graph.constants.get(node.inputs[1] ?? '')
  const [axis, ...others] = node.inputs[1] ? ((given && integersOf(given)) ?? []) : (node.attrs.axes ?? [])
  return others.length === 0 && (axis === -1 || axis === rank - 1) ? node : undefined
}

/** The two operands of a node: the constant `number`, and the other one. */
const besides = (graph: Graph, { inputs: [a = '', b = ''] }: Node, which: (number: number) => boolean) => {
  const [first, second] = [numberIn(graph, a), numberIn(graph, b)]
  if (second !== undefined && which(second)) return { value: a, number: second, name: b }
  return first !== undefined && which(first) ? { value: b, number: first, name: a } : undefined
}

/** What `node` multiplies or divides by the root of: `a / √s`, `a · (1 / √s)`. With the nodes between. */
const rootOf = (
  graph: Graph,
  node: Node,
): { readonly over: ValueId; readonly nodes: ReadonlyArray<Node> } | undefined => {
  const [a = '', b = ''] = node.inputs
  if (isOp(node, Div)) {
    const root = madeBy(graph, b, Sqrt)
    return root && { over: a, nodes: [root, node] }
  }
  if (!isOp(node, Mul)) return undefined
  for (const [over, factor] of [
    [a, b],
    [b, a],
  ] as const) {
    const quotient = madeBy(graph, factor, Div)
    const isInverse = quotient !== undefined && numberIn(graph, quotient.inputs[0]) === 1
    const inverse = isInverse ? quotient : madeBy(graph, factor, Reciprocal)
    const root = inverse && madeBy(graph, inverse.inputs.at(-1) ?? '', Sqrt)
    if (inverse !== undefined && root !== undefined) return { over, nodes: [root, inverse, node] }
  }
  return undefined
}

/** Whether only `readers` read what each of `nodes` makes. */
const isInside = (graph: Graph, nodes: ReadonlyArray<Node>, readers: ReadonlySet<Node>): boolean =>
  nodes.every(({ outputs: [output = ''] }) => {
    const users = usersOf(graph).get(output) ?? []
    return users.length > 0 && users.every((user) => readers.has(user)) && !fixedNames(graph).has(output)
  })

/** A constant of one number a channel of the last axis of `x`, or of one for all, that `node` combines with `value`. */
const parameterOf = (graph: Graph, node: Node, value: ValueId, x: ValueId): ValueId | undefined => {
  const [name, ...others] = node.inputs.filter((input) => input !== value)
  const tensor = graph.constants.get(name ?? '')
  const shape = shapeOf(graph.types.get(x)) ?? []
  if (tensor === undefined || others.length > 0 || tensor.shape.length > shape.length) return undefined
  if (tensor.shape.slice(0, -1).some((size) => size !== 1)) return undefined
  return [1, shape.at(-1), undefined].includes(tensor.shape.at(-1)) ? name : undefined
}

const matchNormalisation = (graph: Graph, node: Node, fresh: (hint: string) => ValueId): Written | undefined => {
  const divided = rootOf(graph, node)
  const [root] = divided?.nodes ?? []
  const sum = root && madeBy(graph, root.inputs[0] ?? '', Add)
  const epsilon = sum && besides(graph, sum, (number) => number >= 0)
  const variance = epsilon && meanOf(graph, epsilon.value)
  const square = variance && soleProducer(graph, variance.inputs[0] ?? '')
  if (divided === undefined || sum === undefined || epsilon === undefined || variance === undefined) return undefined
  const { over } = divided
  const isPower = isOp(square, Pow) && square.inputs[0] === over && numberIn(graph, square.inputs[1]) === 2
  if (square === undefined || !(isPower || (isOp(square, Mul) && square.inputs.every((input) => input === over))))
    return undefined
  const centring = madeBy(graph, over, Sub)
  const mean = centring && meanOf(graph, centring.inputs[1] ?? '')
  const isCentred = centring !== undefined && mean !== undefined && mean.inputs[0] === centring.inputs[0]
  const x = isCentred ? (centring.inputs[0] ?? '') : over
  const type = graph.types.get(x)
  const shape = shapeOf(type)
  if (type?.kind !== 'tensor' || type.dtype !== 'float32' || !isStatic(shape?.at(-1))) return undefined
  if (!sameShape(shape, shapeOf(graph.types.get(node.outputs[0] ?? '')))) return undefined
  const inner = [...(isCentred ? [mean, centring] : []), square, variance, sum, ...divided.nodes.slice(0, -1)]
  if (!isInside(graph, inner, new Set([...inner, node]))) return undefined

  const nodes = [...inner, node]
  const follow = <Name extends string, A>(op: OpDef<Name, A>): readonly [Node, ValueId] | undefined => {
    const [value = ''] = nodes.at(-1)?.outputs ?? []
    const reader = onlyReader(graph, value)
    const name = isOp(reader, op) ? parameterOf(graph, reader, value, x) : undefined
    return reader === undefined || name === undefined ? undefined : [reader, name]
  }
  const scale = follow(Mul)
  if (scale !== undefined) nodes.push(scale[0])
  const bias = isCentred && scale !== undefined ? follow(Add) : undefined
  if (bias !== undefined) nodes.push(bias[0])
  const [y = ''] = nodes.at(-1)?.outputs ?? []

  const ones = fresh(`${y}_ones`)
  const parameters = [scale?.[1] ?? ones, ...(bias === undefined ? [] : [bias[1]])]
  const attrs = { axis: -1, epsilon: epsilon.number }
  const gathered = isCentred
    ? makeNode(LayerNormalization, [x, ...parameters], [y], attrs, y)
    : makeNode(RMSNormalization, [x, ...parameters], [y], attrs, y)
  return {
    nodes,
    node: gathered,
    constants: scale === undefined ? new Map([[ones, tensorOf('float32', [1], [1])]]) : new Map(),
    write: (made, shrunk, unused) => {
      const [from = '', factor = '', shift = ''] = made.inputs
      const [to = ''] = made.outputs
      const constants = new Map<ValueId, Tensor>()
      const after = isOp(made, LayerNormalization) || isOp(made, RMSNormalization) ? made.attrs.epsilon : epsilon.number
      const added = after === epsilon.number ? epsilon.name : unused(epsilon.name)
      if (added !== epsilon.name) constants.set(added, tensorOf('float32', [], [after]))
      const factors = shrunk.constants.get(factor)
      const rescales = scale === undefined && factors !== undefined && uniformValue(factors) !== 1
      const end = rescales ? unused(`${to}_unscaled`) : to
      const renamed = new Map<ValueId, ValueId>([
        [x, from],
        [y, end],
      ])
      const replaced = new Map<Node | undefined, readonly [ValueId, ValueId]>([
        [sum, [epsilon.name, added]],
        [scale?.[0], [scale?.[1] ?? '', factor]],
        [bias?.[0], [bias?.[1] ?? '', shift]],
      ])
      const rewritten = nodes.map((one) => {
        const [old, now] = replaced.get(one) ?? ['', '']
        const inputs = one.inputs.map((name) => renamed.get(name) ?? (name === old ? now : name))
        return { ...one, inputs, outputs: one.outputs.map((name) => renamed.get(name) ?? name) }
      })
      return { nodes: rescales ? [...rewritten, makeNode(Mul, [end, factor], [to])] : rewritten, constants }
    },
  }
}

const matchGroups = (graph: Graph, node: Node, fresh: (hint: string) => ValueId): Written | undefined => {
  if (!isOp(node, InstanceNormalization)) return undefined
  const [merged = '', scale, bias] = node.inputs
  const split = madeBy(graph, merged, Reshape)
  const [x = '', made = ''] = [split?.inputs[0], node.outputs[0]]
  const back = onlyReader(graph, made)
  const [y = ''] = back?.outputs ?? []
  const [type, shape, grouped] = [graph.types.get(x), shapeOf(graph.types.get(x)), shapeOf(graph.types.get(merged))]
  const [channels, groups] = [shape?.[1], grouped?.[1]]
  if (split === undefined || back === undefined || !isOp(back, Reshape) || back.inputs[0] !== made) return undefined
  if (type?.kind !== 'tensor' || type.dtype !== 'float32' || !sameShape(shape, shapeOf(graph.types.get(y))))
    return undefined
  if (shape === undefined || grouped?.length !== 3 || grouped[0] !== shape[0]) return undefined
  if (!isStatic(channels) || !isStatic(groups) || groups === 0 || channels % groups !== 0) return undefined
  const [ones, zeros] = [graph.constants.get(scale ?? ''), graph.constants.get(bias ?? '')]
  if (!ones || !zeros || uniformValue(ones) !== 1 || uniformValue(zeros) !== 0) return undefined
  if (!isInside(graph, [split], new Set([node]))) return undefined
  const { epsilon } = node.attrs
  const names = [fresh(`${y}_ones`), fresh(`${y}_zeros`)] as const
  const filled = (count: number, number: number): Tensor =>
    tensorOf('float32', [count], new Float64Array(count).fill(number))
  const attrs = { num_groups: groups, epsilon }
  return {
    nodes: [split, node, back],
    node: makeNode(GroupNormalization, [x, ...names], [y], attrs, y),
    constants: new Map([
      [names[0], filled(channels, 1)],
      [names[1], filled(channels, 0)],
    ]),
    write: (one, _shrunk, unused) => {
      const left = isOp(one, GroupNormalization) ? one.attrs.num_groups : groups
      const [from = '', to = ''] = [one.inputs[0], one.outputs[0]]
      const [sizes, parts, factors, shifts] = ['sizes', 'groups', 'ones', 'zeros'].map((hint) =>
        unused(`${to}_${hint}`),
      )
      const constants = new Map([
        [parts ?? '', int64s([0, left, -1])],
        [factors ?? '', filled(left, 1)],
        [shifts ?? '', filled(left, 0)],
      ])
      const nodes = [
        makeNode(Shape, [from], [sizes ?? '']),
        { ...split, inputs: [from, parts ?? ''] },
        { ...node, inputs: [merged, factors ?? '', shifts ?? ''] },
        { ...back, inputs: [made, sizes ?? ''], outputs: [to] },
      ]
      return { nodes, constants }
    },
  }
}
