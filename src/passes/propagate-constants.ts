import * as E from 'fp-ts/lib/Either.js'
import { freshNames, producersOf } from '../ir/analysis.ts'
import { byteLength } from '../ir/dtype.ts'
import { invariant } from '../ir/failure.ts'
import { contextOf, type Graph, readsOf, withParts } from '../ir/graph.ts'
import { countOf, shapeOf } from '../ir/links.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { uniformValue } from '../ir/slices.ts'
import { type Dense, int64s, type Tensor } from '../ir/tensor.ts'
import { type Dim, isStatic, sameType, sizeOf, staticShape, tensorType, unknownType } from '../ir/type.ts'
import { expandTo, handOn, join, pick, sizesOf } from '../ir/wiring.ts'
import { growthInAll, growthPerValue, negligibleGrowth } from './growth.ts'
import { knownValues, type KnownValues, widened } from './known-values.ts'
import type { Pass } from './pass.ts'

/**
 * A value that is the same for every input ({@link knownValues}) is read as a constant, so that what computed it dies: a dead
 * residual branch becomes a bias or nothing, a layer behind a dead one goes with it.
 *
 *  - Where an operand stands for the same when it is left out, it is left out ({@link OpDef.omitted}).
 *  - Where broadcasting applies and the reading node's output types stay as they are (so the value took no part in their
 *    size), the constant has size 1 along every axis along which it does not change.
 *  - Else, where all sizes are static, it has the shape of the value. A graph output is given by an Identity.
 *  - Else it is expanded to the sizes of inputs of the model; a graph output, too.
 *
 * Guards: of the last two, only what costs less than what it makes superfluous, in multiply-accumulates and elements, so a
 * constant that was expanded stays as it is; and not yet a value of which the channels are constant, since a constant
 * channel is better gone (`expand-constants` is for what channel elimination leaves of them). All constants are small
 * ({@link growthPerValue}, {@link growthInAll}). A node that can be evaluated is never left with constants
 * alone: its output is not known for a reason.
 */
export const propagateConstants: Pass = {
  name: 'propagate-constants',
  run: (graph) => E.right(withConstants(graph, false)),
}

/** {@link propagateConstants}; `channelwise` also where a value of constant channels has to be written in full or expanded. */
export const withConstants = (graph: Graph, channelwise: boolean): Graph => {
  const known = knownValues(graph)
  if (known.read.size === 0) return graph
  const plan = choose(graph, known, growthInAll, channelwise) ?? choose(graph, known, 0, channelwise)
  return plan === undefined ? graph : rewrite(graph, known, plan)
}

/** How a port reads a known value: as a small constant, as one of its shape, expanded, or not at all. */
type Way = 'broadcast' | 'whole' | 'expanded' | 'omitted'

/** What is replaced. */
interface Plan {
  /** Per node that stays, the ports that read a constant. */
  readonly ports: ReadonlyMap<Node, ReadonlyMap<number, Way>>
  /** Graph outputs that are constants. */
  readonly outputs: ReadonlySet<ValueId>
}

/** What to replace; undefined where it would take more than `allowance` bytes. 0 leaves only what is negligible. */
const choose = (graph: Graph, known: KnownValues, allowance: number, channelwise: boolean): Plan | undefined => {
  const limit = Math.max(negligibleGrowth, Math.min(growthPerValue, allowance))
  const { waysOf, canBeGiven } = waysInto(graph, known, limit, channelwise)
  const live = new Map<Node, ReadonlyMap<number, Way>>()
  const needed = new Set<ValueId>(graph.preserved.uses)
  const outputs = new Set<ValueId>()
  const expanded = new Set<ValueId>()
  for (const { name } of graph.outputs) (canBeGiven(name) ? outputs : needed).add(name)
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue
    const ways = waysOf(node)
    live.set(node, ways)
    for (const [port, way] of ways) if (way === 'expanded') expanded.add(node.inputs[port] ?? '')
    for (const value of computedReads(node, ways, expanded)) needed.add(value)
  }
  // What costs more than it saves is computed after all.
  for (const value of [...outputs, ...expanded]) {
    const back = needed.has(value) ? new Map() : comingBack(graph, value, live, waysOf, expanded)
    if (back === undefined) continue
    outputs.delete(value)
    expanded.delete(value)
    needed.add(value)
    for (const [node, ways] of back) {
      live.set(node, ways)
      for (const read of computedReads(node, ways, expanded)) needed.add(read)
    }
  }
  const ports = new Map<Node, ReadonlyMap<number, Way>>()
  const sizes = new Map<string, number>()
  for (const [node, ways] of live) {
    const kept = new Map([...ways].filter(([port, way]) => way !== 'expanded' || expanded.has(node.inputs[port] ?? '')))
    if (kept.size > 0) ports.set(node, kept)
    for (const [port, way] of kept) {
      const value = node.inputs[port] ?? ''
      sizes.set(`${way === 'whole' ? 'whole' : 'small'} ${value}`, bytesOf(graph, known, value, way))
    }
  }
  for (const value of outputs) sizes.set(`small ${value}`, bytesOf(graph, known, value, 'expanded'))
  const bytes = [...sizes.values()].reduce((sum, size) => sum + (size > negligibleGrowth ? size : 0), 0)
  return bytes > allowance || (ports.size === 0 && outputs.size === 0) ? undefined : { ports, outputs }
}

/** What a node reads that has to be computed. */
const computedReads = (
  node: Node,
  ways: ReadonlyMap<number, Way>,
  expanded: ReadonlySet<ValueId>,
): ReadonlyArray<ValueId> => {
  const replaced = (input: ValueId, port: number): boolean =>
    ways.has(port) && (ways.get(port) !== 'expanded' || expanded.has(input))
  const replacedInputs = new Set(node.inputs.filter(replaced))
  const others = new Set(node.inputs.filter((input, port) => input !== '' && !replaced(input, port)))
  return readsOf(node).filter((value) => others.has(value) || !replacedInputs.has(value))
}

/**
 * The nodes that would have to be computed if `value` were; undefined where they cost more than to expand it. A node costs
 * its multiply-accumulates and the elements of its outputs, symbolic sizes counted as 1; computing sizes is free.
 */
const comingBack = (
  graph: Graph,
  value: ValueId,
  live: ReadonlyMap<Node, unknown>,
  waysOf: (node: Node) => ReadonlyMap<number, Way>,
  expanded: ReadonlySet<ValueId>,
): ReadonlyMap<Node, ReadonlyMap<number, Way>> | undefined => {
  const producers = producersOf(graph)
  const price = countOf(shapeOf(graph.types.get(value)))
  const back = new Map<Node, ReadonlyMap<number, Way>>()
  const waiting = [value]
  let cost = 0
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const node = producers.get(next)
    if (node === undefined || live.has(node) || back.has(node)) continue
    cost += costOf(graph, node)
    if (cost > price) return undefined
    const ways = waysOf(node)
    back.set(node, ways)
    const others = next === value ? new Set([...expanded].filter((name) => name !== value)) : expanded
    waiting.push(...computedReads(node, ways, others))
  }
  return back
}

const costOf = (graph: Graph, node: Node): number => {
  const macs = opOf(node).macs?.(contextOf(graph, node)) ?? 0
  const isComputed = (name: ValueId): boolean => name !== '' && !graph.contents.has(name)
  return node.outputs.filter(isComputed).reduce((sum, name) => sum + countOf(shapeOf(graph.types.get(name))), macs)
}

/** Bytes of the constant that a known value is read as. */
const bytesOf = (graph: Graph, known: KnownValues, value: ValueId, way: Way): number => {
  const tensor = known.read.get(value)?.tensor
  if (tensor === undefined || way === 'omitted') return 0
  const shape = way === 'whole' ? (staticShape(shapeOf(graph.types.get(value))) ?? []) : tensor.shape
  return byteLength(tensor.dtype, sizeOf(shape))
}

/** How nodes can read known values as constants of up to `limit` bytes, and which graph outputs can be such. */
const waysInto = (graph: Graph, known: KnownValues, limit: number, channelwise: boolean) => {
  const types = new Map(graph.types)
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const fresh = freshNames(graph)
  const names = new Map<ValueId, ValueId>()
  const fits = (value: ValueId, way: Way): boolean =>
    known.read.has(value) &&
    !graph.contents.has(value) &&
    (way === 'broadcast' || channelwise || known.read.get(value)?.isChannelwise === false) &&
    bytesOf(graph, known, value, way) <= limit
  const canExpand = (value: ValueId): boolean => {
    const shape = shapeOf(graph.types.get(value))
    return fits(value, 'expanded') && opsetOf(graph) >= firstExpand && sourcesOfSizes(graph, shape) !== undefined
  }
  const isStaticValue = (value: ValueId): boolean => staticShape(shapeOf(graph.types.get(value))) !== undefined
  const found = new Map<Node, ReadonlyMap<number, Way>>()
  const waysOf = (node: Node): ReadonlyMap<number, Way> => {
    const before = found.get(node)
    if (before) return before
    const ways = new Map<number, Way>()
    const op = opOf(node)
    let current = node
    node.inputs.forEach((input, port) => {
      const tensor = known.read.get(input)?.tensor
      if (tensor === undefined) return
      const absent = op.omitted?.(port)
      if (absent !== undefined && uniformValue(tensor) === absent) {
        const next = { ...current, inputs: current.inputs.map((i, p) => (p === port ? '' : i)) }
        if (keepsTypes(graph, next, types, constants)) {
          current = next
          ways.set(port, 'omitted')
          return
        }
      }
      if (op.broadcasts?.(port) === true && fits(input, 'broadcast')) {
        const name = names.get(input) ?? fresh(input)
        names.set(input, name)
        constants.set(name, tensor)
        types.set(name, tensorType(tensor.dtype, tensor.shape))
        const next = { ...current, inputs: current.inputs.map((i, p) => (p === port ? name : i)) }
        if (keepsTypes(graph, next, types, constants)) {
          current = next
          ways.set(port, 'broadcast')
          return
        }
      }
      if (isStaticValue(input)) {
        if (fits(input, 'whole')) ways.set(port, 'whole')
      } else if (canExpand(input)) ways.set(port, 'expanded')
    })
    // A node of which all inputs are known and the output is not, though it can be evaluated, is no constant for a reason: it
    // must not be folded either.
    const isRead = (input: ValueId, port: number): boolean =>
      input !== '' && !graph.constants.has(input) && (ways.get(port) ?? 'expanded') === 'expanded'
    const result = op.evaluate === undefined || node.inputs.some(isRead) ? ways : new Map<number, Way>()
    found.set(node, result)
    return result
  }
  const canBeGiven = (value: ValueId): boolean =>
    !graph.preserved.uses.includes(value) && (isStaticValue(value) ? fits(value, 'whole') : canExpand(value))
  return { waysOf, canBeGiven }
}

const keepsTypes = (
  graph: Graph,
  node: Node,
  types: Graph['types'],
  constants: ReadonlyMap<ValueId, Tensor>,
): boolean => {
  const ctx = contextOf({ ...graph, types, constants }, node)
  const inferred = opOf(node).inferTypes(ctx)
  return (
    E.isRight(inferred) &&
    ctx.outputs.every((before, i) => {
      const type = inferred.right[i]
      return type !== undefined && sameType(type, before)
    })
  )
}

const opsetOf = (graph: Graph): number => graph.opsets.get('') ?? 1

/** The first opsets with Expand, and with a Shape of some axes. */
const firstExpand = 8
const firstShapeOfAxes = 15

/** A size that is an axis of a graph input. */
interface InputAxis {
  readonly input: ValueId
  readonly axis: number
}

/** Where each symbol of a shape is a size of a graph input; undefined where one is of none. */
const sourcesOfSizes = (
  graph: Graph,
  shape: ReadonlyArray<Dim> | undefined,
): ReadonlyArray<number | InputAxis> | undefined => {
  const out: Array<number | InputAxis> = []
  for (const dim of shape ?? ['']) {
    const found = isStatic(dim) ? dim : inputAxisOf(graph, dim)
    if (found === undefined) return undefined
    out.push(found)
  }
  return out
}

const inputAxisOf = (graph: Graph, symbol: string): InputAxis | undefined => {
  for (const { name } of graph.inputs) {
    const axis = shapeOf(graph.types.get(name))?.indexOf(symbol) ?? -1
    if (axis >= 0) return { input: name, axis }
  }
  return undefined
}

const rewrite = (graph: Graph, known: KnownValues, plan: Plan): Graph => {
  const fresh = freshNames(graph)
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const nodes: Node[] = []
  const made = new Map<string, ValueId>()
  const once = (key: string, make: () => ValueId): ValueId => {
    const name = made.get(key) ?? make()
    made.set(key, name)
    return name
  }
  const constant = (hint: string, tensor: Tensor): ValueId => {
    const name = fresh(hint)
    constants.set(name, tensor)
    return name
  }
  const tensorFor = (value: ValueId): Dense => {
    const tensor = known.read.get(value)?.tensor
    invariant(tensor !== undefined, `${value} is not known`)
    return tensor
  }
  const small = (value: ValueId): ValueId =>
    once(`small ${value}`, () => constant(`${value}_constant`, tensorFor(value)))
  const whole = (value: ValueId): ValueId => {
    const shape = staticShape(shapeOf(graph.types.get(value))) ?? []
    const tensor = widened(tensorFor(value), shape)
    return tensor === tensorFor(value)
      ? small(value)
      : once(`whole ${value}`, () => constant(`${value}_constant`, tensor))
  }
  const sizeOfAxis = ({ input, axis }: InputAxis): ValueId =>
    once(`size ${axis} ${input}`, () => {
      const size = fresh(`${input}_size`)
      if (opsetOf(graph) >= firstShapeOfAxes) {
        nodes.push(sizesOf(input, size, axis))
        return size
      }
      const all = fresh(`${input}_sizes`)
      nodes.push(sizesOf(input, all))
      nodes.push(pick(all, constant(`${input}_axis`, int64s([axis])), size, 0))
      return size
    })
  /** The sizes that a constant is widened to: 1 where it has the static size already. */
  const target = (value: ValueId): ValueId => {
    const { shape } = tensorFor(value)
    const sizes = sourcesOfSizes(graph, shapeOf(graph.types.get(value))) ?? []
    const entries = sizes.map((size, axis) => (size === shape[axis] ? 1 : size))
    const key = entries.map((entry) => (typeof entry === 'number' ? entry : `${entry.input} ${entry.axis}`)).join()
    return once(`target ${key}`, () => {
      const pieces: ValueId[] = []
      let run: number[] = []
      const close = (): void => {
        if (run.length > 0) pieces.push(constant('sizes', int64s(run)))
        run = []
      }
      for (const entry of entries) {
        if (typeof entry === 'number') run.push(entry)
        else {
          close()
          pieces.push(sizeOfAxis(entry))
        }
      }
      close()
      const [only = '', ...others] = pieces
      if (others.length === 0) return only
      const name = fresh('sizes')
      nodes.push(join(pieces, name, 0))
      return name
    })
  }
  const expanded = (value: ValueId): ValueId =>
    once(`expanded ${value}`, () => {
      const name = fresh(`${value}_expanded`)
      nodes.push(expandTo(small(value), target(value), name))
      return name
    })
  const read = { broadcast: small, whole, expanded, omitted: () => '' }
  for (const node of graph.nodes) {
    const ways = plan.ports.get(node)
    const inputs = node.inputs.map((input, port) => {
      const way = ways?.get(port)
      return way === undefined ? input : read[way](input)
    })
    const given = node.outputs.filter((output) => plan.outputs.has(output))
    const outputs = node.outputs.map((output) => (given.includes(output) ? fresh(`${output}_computed`) : output))
    nodes.push(ways === undefined && given.length === 0 ? node : { ...node, inputs, outputs })
    for (const output of given) {
      const isWhole = staticShape(shapeOf(graph.types.get(output))) !== undefined
      nodes.push(isWhole ? handOn(whole(output), output) : expandTo(small(output), target(output), output))
    }
  }
  const next = withParts(graph, { nodes, constants })
  for (const { name } of graph.outputs) {
    invariant(
      sameType(next.types.get(name) ?? unknownType, graph.types.get(name) ?? unknownType),
      `the type of ${name} changed`,
    )
  }
  return next
}
