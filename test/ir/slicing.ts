/** Dropping indices of a node's axes together with everything its links tie them to. */
import { gatherOperands } from '../../src/ir/gather-operands.ts'
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import { evaluateNode } from '../../src/ir/interpret.ts'
import { placeOf } from '../../src/ir/links.ts'
import type {
  AxisLink,
  IndexMap,
  Node,
  NodeContext,
  NodeJoint,
  Patterns,
  Rewrite,
  ShrinkContext,
  ValueId,
} from '../../src/ir/op.ts'
import type { AnyOp } from '../../src/ir/registry.ts'
import { type Dense, elements, gather, materialize, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'

/** One side of a node, a port on it, and an axis of that. */
export interface Axis {
  readonly side: 'input' | 'output'
  readonly port: number
  readonly axis: number
}

const keyOf = ({ side, port, axis }: Axis): string => `${side} ${port} ${axis}`

/** Indices dropped per axis. */
export type Drops = ReadonlyMap<string, ReadonlySet<number>>

/**
 * Links that can hold at once with `first`: of several that tie one axis to different axes of the same port (Reshape),
 * one counts.
 */
export const compatible = (first: AxisLink, links: ReadonlyArray<AxisLink>): ReadonlyArray<AxisLink> => {
  const chosen: AxisLink[] = []
  for (const link of [first, ...links.filter((l) => l !== first)]) {
    const clashes = chosen.some(
      (c) =>
        c.input === link.input &&
        c.output === link.output &&
        (c.inputAxis === link.inputAxis || c.outputAxis === link.outputAxis),
    )
    if (!clashes) chosen.push(link)
  }
  return chosen
}

/** The indices that a map takes to `place`. */
export const indicesAt = (map: IndexMap, place: number): ReadonlyArray<number> =>
  Array.from({ length: map.end - map.first }, (_, k) => map.first + k).filter((k) => map.at(k) === place)

/** Output indices that input index `i` is tied to by a link, or input indices that output index `i` is. */
const partners = (link: AxisLink, side: 'input' | 'output', i: number): ReadonlyArray<number> => {
  const map = side === 'input' ? link.into : link.from
  const other = side === 'input' ? link.from : link.into
  if (map !== undefined && other !== undefined) return placeOf(map, i) >= 0 ? indicesAt(other, placeOf(map, i)) : []
  if (map !== undefined) return placeOf(map, i) >= 0 ? [placeOf(map, i)] : []
  const inverse = side === 'input' ? link.from : link.into
  return inverse === undefined ? [i] : indicesAt(inverse, i)
}

/** Everything that goes when `seeds` go. */
export const closure = (seeds: ReadonlyArray<readonly [Axis, number]>, links: ReadonlyArray<AxisLink>): Drops => {
  const drops = new Map<string, Set<number>>()
  const queue = [...seeds]
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [at, index] = next
    const known = drops.get(keyOf(at)) ?? new Set<number>()
    if (known.has(index)) continue
    drops.set(keyOf(at), known.add(index))
    for (const link of links) {
      const ends = {
        input: { side: 'input', port: link.input, axis: link.inputAxis },
        output: { side: 'output', port: link.output, axis: link.outputAxis },
      } as const
      if (keyOf(ends[at.side]) !== keyOf(at)) continue
      const other = at.side === 'input' ? ends.output : ends.input
      for (const partner of partners(link, at.side, index)) queue.push([other, partner])
    }
  }
  return drops
}

/** Indices that stay along an axis of `size`; undefined when all do. */
export const keptAlong = (drops: Drops, at: Axis, size: number): Int32Array | undefined => {
  const gone = drops.get(keyOf(at))
  if (gone === undefined || gone.size === 0) return undefined
  return Int32Array.from(Array.from({ length: size }, (_, i) => i).filter((i) => !gone.has(i)))
}

/**
 * `tensor` without the dropped indices of the port it is on. Of two axes that are told apart together those of the joint axis
 * are dropped: of each index of the outer one others, but as many.
 */
export const dropFrom = (
  tensor: Dense,
  side: 'input' | 'output',
  port: number,
  drops: Drops,
  joints: ReadonlyArray<NodeJoint> = [],
): Dense => {
  const joint = joints.find((one) => one.side === side && one.port === port)
  const own = materialize(
    tensor.shape.reduce<Dense>((t, size, axis) => {
      if (axis === joint?.outer || axis === joint?.inner) return t
      const kept = keptAlong(drops, { side, port, axis }, size)
      return kept === undefined ? t : materialize(gather(t, axis, kept))
    }, tensor),
  )
  if (joint === undefined) return own
  const sizes = { outer: tensor.shape[joint.outer] ?? 0, inner: tensor.shape[joint.inner] ?? 0 }
  const all = (size: number): Int32Array => new Int32Array(size).map((_, i) => i)
  const outer = keptAlong(drops, { side, port, axis: joint.outer }, sizes.outer) ?? all(sizes.outer)
  const cells = sizes.outer * sizes.inner
  const kept = keptAlong(drops, { side, port, axis: tensor.shape.length }, cells) ?? all(cells)
  const parts = Array.from(outer, (o) => {
    const inner = kept.filter((k) => Math.floor(k / sizes.inner) === o).map((k) => k % sizes.inner)
    return materialize(gather(gather(own, joint.outer, Int32Array.of(o)), joint.inner, inner))
  })
  return concatenated(parts, joint.outer)
}

/** Tensors of one shape behind one another along `axis`, of which each has one index. */
const concatenated = (parts: ReadonlyArray<Dense>, axis: number): Dense => {
  const [first] = parts
  if (first === undefined) throw new Error('nothing to concatenate')
  const inner = sizeOf(first.shape.slice(axis + 1))
  const values = parts.map((part) => elements(part))
  const shape = first.shape.with(axis, parts.length)
  return tensorOf(
    first.dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, k) => {
      const [row, part] = [Math.floor(k / inner / parts.length), Math.floor(k / inner) % parts.length]
      return Number(values[part]?.[row * inner + (k % inner)])
    }),
  )
}

export interface Facts {
  readonly constantsOf?: (port: number, axis: number) => Float64Array | undefined
  readonly constantsOfOutput?: (output: number, axis: number) => Float64Array | undefined
  readonly patternsOf?: (port: number, axis: number) => Patterns | undefined
  readonly isBordered?: boolean
  readonly exactOutput?: (output: number, axis: number) => Uint8Array | undefined
  readonly joints?: ReadonlyArray<NodeJoint>
}

export const shrinkContext = (
  ctx: NodeContext<unknown>,
  drops: Drops,
  outputs: ReadonlyArray<Dense>,
  inputs: ReadonlyArray<Dense | undefined>,
  facts: Facts = {},
): ShrinkContext<unknown> => {
  let count = 0
  const sizeAlong = (side: 'input' | 'output', port: number, axis: number): number => {
    const { shape = [] } = (side === 'input' ? inputs : outputs)[port] ?? {}
    const joint = facts.joints?.find((one) => one.side === side && one.port === port)
    const isJoint = joint !== undefined && axis === shape.length
    return isJoint ? (shape[joint.outer] ?? 0) * (shape[joint.inner] ?? 0) : (shape[axis] ?? 0)
  }
  const fresh = (hint: string): ValueId => {
    if (hint === '') throw new Error(`${ctx.node.op} makes a new name from an empty hint`)
    return `${hint}#${count++}`
  }
  return {
    ...ctx,
    keptInput: (port, axis) => keptAlong(drops, { side: 'input', port, axis }, sizeAlong('input', port, axis)),
    keptOutput: (output, axis) =>
      keptAlong(drops, { side: 'output', port: output, axis }, sizeAlong('output', output, axis)),
    constantsOf: facts.constantsOf ?? (() => undefined),
    constantsOfOutput: facts.constantsOfOutput ?? (() => undefined),
    patternsOf: facts.patternsOf ?? (() => undefined),
    isBordered: facts.isBordered ?? false,
    exactOutput: facts.exactOutput ?? (() => undefined),
    rename: (_port, hint) => fresh(hint),
    fresh,
  }
}

/** Values of the node's outputs after `op` shrank it, the computed inputs without what was dropped. */
export const evaluateShrunk = (
  op: AnyOp,
  graph: Graph,
  node: Node,
  drops: Drops,
  inputs: ReadonlyArray<Dense | undefined>,
  outputs: ReadonlyArray<Dense>,
  facts: Facts = {},
): ReadonlyMap<ValueId, Dense> => {
  const s = shrinkContext(contextOf(graph, node), drops, outputs, inputs, facts)
  const rewrite = op.shrink === undefined ? gatherOperands(s) : op.shrink(s)
  const values = new Map<ValueId, Dense>()
  node.inputs.forEach((name, port) => {
    const tensor = inputs[port]
    if (tensor === undefined) return
    values.set(name, graph.constants.has(name) ? tensor : dropFrom(tensor, 'input', port, drops, facts.joints))
  })
  return evaluateRewrite(graph, rewrite, values)
}

/** Runs the nodes of a rewrite on known values. */
export const evaluateRewrite = (
  graph: Graph,
  rewrite: Rewrite,
  known: ReadonlyMap<ValueId, Dense>,
): ReadonlyMap<ValueId, Dense> => {
  const values = new Map(known)
  for (const [name, tensor] of rewrite.constants) values.set(name, materialize(tensor))
  for (const node of rewrite.nodes) {
    const outputs = evaluateNode(
      graph,
      node,
      node.inputs.map((name) => values.get(name)),
    )
    if (outputs === undefined) throw new Error(`${node.op} is not evaluated once shrunk`)
    node.outputs.forEach((name, i) => {
      const value = outputs[i]
      if (name !== '' && value !== undefined) values.set(name, value)
    })
  }
  return values
}
