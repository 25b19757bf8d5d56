import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, freshNames, onlyReader, soleProducer, usersOf } from '../ir/analysis.ts'
import { gatherOperands } from '../ir/gather-operands.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import type { AxisLink, Node, Rewrite, ShrinkContext, ValueId } from '../ir/op.ts'
import { Gather } from '../ir/ops/gather.ts'
import { Slice } from '../ir/ops/slice.ts'
import { Split } from '../ir/ops/split.ts'
import { Squeeze } from '../ir/ops/squeeze.ts'
import { isOp, opOf } from '../ir/registry.ts'
import { int64s, integersOf, type Tensor } from '../ir/tensor.ts'
import { isStatic, normalizeAxis, type Shape } from '../ir/type.ts'
import type { Pass } from './pass.ts'

/** Some indices in a row along an axis of a value, which `node` takes out of it. */
interface Selection {
  readonly node: Node
  readonly output: ValueId
  readonly axis: number
  readonly start: number
  readonly count: number
  /** Whether the axis, of size 1 then, goes. */
  readonly drops: boolean
}

/** A node between, with the axes that the selected one is of its input and its output. */
interface Step {
  readonly node: Node
  readonly from: number
  readonly to: number
}

/** What is selected of an axis that the first of `steps` splits off an axis of `source`, where `unit` indices belong to one. */
interface Hoist {
  readonly source: ValueId
  readonly unit: number
  readonly steps: ReadonlyArray<Step>
  readonly selections: ReadonlyArray<Selection>
}

/**
 * A part that is selected of an axis that a reshape split off is selected before that, by a Split of the whole axis, or a Slice
 * for each where some of it is not read:
 * `Gather(Transpose(Reshape(x, [.., 3, h, d])), k)` becomes `Squeeze(Transpose(Reshape(Split(x)[k], [.., 1, h, d])))`. Of a
 * projection to queries, keys and values at once each can then lose channels of its own; no more is moved than before.
 *
 * Guards: the axis is the slowest of those split off; the nodes between keep it index by index, have constants for their other
 * operands and no other reader; what is selected are constant runs that do not overlap and are all that is read.
 */
export const hoistSelection: Pass = { name: 'hoist-selection', run: (graph) => E.right(hoisted(graph)) }

const hoisted = (graph: Graph): Graph => {
  const hoists = findHoists(graph)
  if (hoists.length === 0) return graph
  const fresh = freshNames(graph)
  const gone = new Set<Node>()
  const rewrites = new Map<Node, Rewrite>()
  for (const hoist of hoists) {
    for (const { node } of [...hoist.steps, ...hoist.selections]) gone.add(node)
    const [first] = hoist.steps
    if (first !== undefined) rewrites.set(first.node, rebuild(graph, hoist, fresh))
  }
  const constants = new Map(graph.constants)
  for (const rewrite of rewrites.values()) for (const [name, tensor] of rewrite.constants) constants.set(name, tensor)
  const nodes = graph.nodes.flatMap((node) => rewrites.get(node)?.nodes ?? (gone.has(node) ? [] : [node]))
  return withParts(graph, { nodes, constants })
}

const findHoists = (graph: Graph): ReadonlyArray<Hoist> => {
  const hoists: Hoist[] = []
  const taken = new Set<Node>()
  const fixed = fixedNames(graph)
  for (const [value, users] of usersOf(graph)) {
    if (fixed.has(value) || graph.constants.has(value) || users.length === 0) continue
    const found = users.map((node) => selectionsOf(graph, node, value))
    const selections = found.flatMap((one) => one ?? []).toSorted((a, b) => a.start - b.start)
    const [first] = selections
    if (first === undefined || found.includes(undefined)) continue
    const isApart = selections.every(({ axis, start }, i) => {
      const before = selections[i - 1]
      return axis === first.axis && (before === undefined || before.start + before.count <= start)
    })
    const isAll = first.count === shapeOf(graph.types.get(value))?.[first.axis]
    const climbed = isApart && !isAll ? climb(graph, value, first.axis) : undefined
    if (climbed === undefined || climbed.steps.some(({ node }) => taken.has(node))) continue
    for (const { node } of climbed.steps) taken.add(node)
    hoists.push({ ...climbed, selections })
  }
  return hoists
}

/** What a node selects of `value`, if that is all it does. */
const selectionsOf = (graph: Graph, node: Node, value: ValueId): ReadonlyArray<Selection> | undefined => {
  const shape = shapeOf(graph.types.get(value))
  if (shape === undefined || node.inputs[0] !== value || node.inputs.lastIndexOf(value) !== 0) return undefined
  if (isOp(node, Gather)) {
    const axis = normalizeAxis(node.attrs.axis, shape.length)
    const indices = graph.constants.get(node.inputs[1] ?? '')
    const size = axis === undefined ? undefined : shape[axis]
    if (axis === undefined || indices === undefined || indices.shape.length > 1 || !isStatic(size)) return undefined
    const places = integersOf(indices)?.map((i) => (i < 0 ? i + size : i)) ?? []
    const [start] = places
    if (start === undefined || places.some((i, k) => i !== start + k || i < 0 || i >= size)) return undefined
    const drops = indices.shape.length === 0
    return [{ node, output: node.outputs[0] ?? '', axis, start, count: places.length, drops }]
  }
  if (isOp(node, Slice)) return sliced(graph, node, shape)
  if (!isOp(node, Split)) return undefined
  const axis = normalizeAxis(node.attrs.axis, shape.length)
  if (axis === undefined) return undefined
  const out: Selection[] = []
  let start = 0
  for (const output of node.outputs) {
    const count = shapeOf(graph.types.get(output))?.[axis]
    if (output === '' || !isStatic(count) || count === 0) return undefined
    out.push({ node, output, axis, start, count, drops: false })
    start += count
  }
  return start === shape[axis] ? out : undefined
}

/** A Slice along one axis, without steps. */
const sliced = (graph: Graph, node: Node, shape: Shape): ReadonlyArray<Selection> | undefined => {
  const [output = ''] = node.outputs
  const result = shapeOf(graph.types.get(output))
  const { links } = opOf(node)
  const all = links === 'opaque' ? 'opaque' : links(contextOf(graph, node))
  const axes = shape.flatMap((dim, axis) => (dim === result?.[axis] ? [] : [axis]))
  const [axis] = axes
  const link = all === 'opaque' ? undefined : all.find((one) => one.input === 0 && one.outputAxis === axis)
  const count = axis === undefined ? undefined : result?.[axis]
  if (axis === undefined || axes.length > 1 || link?.from === undefined || !isStatic(count) || count === 0)
    return undefined
  const start = link.from.at(0)
  const isRun = link.from.first === 0 && link.from.end === count && link.from.at(count - 1) === start + count - 1
  return isRun ? [{ node, output, axis, start, count, drops: false }] : undefined
}

/** The way up from `axis` of `value` to where it is split off. */
const climb = (graph: Graph, value: ValueId, axis: number): Omit<Hoist, 'selections'> | undefined => {
  const steps: Step[] = []
  let [at, along] = [value, axis]
  for (;;) {
    const node = soleProducer(graph, at)
    const [source = '', ...others] = node?.inputs ?? []
    if (node === undefined || source === '' || graph.constants.has(source)) return undefined
    if (others.some((other) => other !== '' && !graph.constants.has(other))) return undefined
    const link = linkInto(graph, node, along)
    if (link === undefined || link.from !== undefined) return undefined
    steps.unshift({ node, from: link.inputAxis, to: along })
    if (link.into !== undefined) {
      const size = shapeOf(graph.types.get(at))?.[along]
      const { digit } = link.into
      const isSlowest = digit !== undefined && digit.size === size && link.into.end === digit.size * digit.unit
      return isSlowest ? { source, unit: digit.unit, steps } : undefined
    }
    if (onlyReader(graph, source) !== node) return undefined
    ;[at, along] = [source, link.inputAxis]
  }
}

/** The only link into an axis of a node's output, if it is one from its first input and constants have no part in it. */
const linkInto = (graph: Graph, node: Node, axis: number): AxisLink | undefined => {
  const { links } = opOf(node)
  const all = links === 'opaque' ? 'opaque' : links(contextOf(graph, node))
  const [link, ...others] = all === 'opaque' ? [] : all.filter(({ outputAxis }) => outputAxis === axis)
  return link?.input === 0 && others.length === 0 ? link : undefined
}

const rebuild = (
  graph: Graph,
  { source, unit, steps, selections }: Hoist,
  fresh: (hint: string) => ValueId,
): Rewrite => {
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>()
  const put = (hint: string, tensor: Tensor): ValueId => {
    const name = fresh(hint)
    constants.set(name, tensor)
    return name
  }
  const opset = graph.opsets.get('') ?? 1
  const axis = steps[0]?.from ?? 0
  const whole = Number(shapeOf(graph.types.get(source))?.[axis] ?? 0)
  const chains = selections.map((selection) => ({ selection, input: fresh(`${selection.output}_part`) }))
  const sizes = selections.map(({ count }) => count * unit)
  const names = chains.map(({ input }) => input)
  if (sizes.reduce((sum, size) => sum + size, 0) < whole) {
    // A Split would write what nothing reads as well.
    for (const { selection, input } of chains) {
      const [from, to] = [selection.start * unit, (selection.start + selection.count) * unit]
      const bounds = { starts: [BigInt(from)], ends: [BigInt(to)], axes: [BigInt(axis)] }
      const ports = [from, to, axis].map((bound) => int64s([bound]))
      if (opset < 10) nodes.push(makeNode(Slice, [source], [input], bounds))
      else nodes.push(makeNode(Slice, [source, ...ports.map((bound) => put(`${input}_bounds`, bound))], [input]))
    }
  } else if (opset < 13) nodes.push(makeNode(Split, [source], names, { axis, split: sizes }))
  else nodes.push(makeNode(Split, [source, put(`${source}_sizes`, int64s(sizes))], names, { axis }))

  for (const [place, { selection, input }] of chains.entries()) {
    const { start, count, drops, output } = selection
    const kept = Int32Array.from({ length: count }, (_, i) => start + i)
    let at = input
    steps.forEach(({ node, from, to }, k) => {
      const made = !drops && k === steps.length - 1 ? output : fresh(`${output}_${k}`)
      const keptFrom = k === 0 ? Int32Array.from({ length: count * unit }, (_, i) => start * unit + i) : kept
      const name = place === 0 ? node.name : ''
      const renamed = { ...node, inputs: [at, ...node.inputs.slice(1)], outputs: [made], name }
      const context: ShrinkContext<unknown> = {
        ...contextOf(graph, node),
        node: renamed,
        keptInput: (port, along) => (port === 0 && along === from ? keptFrom : undefined),
        keptOutput: (_, along) => (along === to ? kept : undefined),
        constantsOf: () => undefined,
        constantsOfOutput: () => undefined,
        patternsOf: () => undefined,
        isBordered: false,
        exactOutput: () => undefined,
        rename: (port, hint) => fresh(renamed.inputs[port] || hint),
        fresh,
      }
      const rewrite = opOf(node).shrink?.(context) ?? gatherOperands(context)
      nodes.push(...rewrite.nodes)
      for (const [name, tensor] of rewrite.constants) constants.set(name, tensor)
      at = made
    })
    if (!drops) continue
    const axes = [selection.axis]
    const inputs = opset < 13 ? [at] : [at, put(`${output}_axes`, int64s(axes))]
    nodes.push(makeNode(Squeeze, inputs, [output], opset < 13 ? { axes } : {}, selection.node.name))
  }
  return { nodes, constants }
}
