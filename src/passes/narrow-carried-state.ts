import * as E from 'fp-ts/lib/Either.js'
import { forget, freshNames, producersOf, usersOf } from '../ir/analysis.ts'
import { firstPad, isPadded, putBack } from '../ir/families/put-back.ts'
import { contextOf, type Graph, type ValueInfo, withParts } from '../ir/graph.ts'
import { countOf, shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { Gather } from '../ir/ops/gather.ts'
import type { OpaqueAttributes } from '../ir/ops/opaque.ts'
import { isOpaque, opOf } from '../ir/registry.ts'
import { int64s, type Tensor } from '../ir/tensor.ts'
import { isStatic, normalizeAxis, tensorType, type ValueType } from '../ir/type.ts'
import { analyse, type ChannelFacts } from './channel-elimination/analyse.ts'
import { elementPrice, leastElementPrice } from './channel-elimination/price.ts'
import { tooManyChannels } from './channel-elimination/tracking.ts'
import { ownAxesOf, viewOf } from './channel-elimination/views.ts'
import { type Pass, type PassError, runPipeline, type Step } from './pass.ts'
import type { OpaqueNode, Subgraph, Subgraphs } from './subgraphs.ts'

/**
 * Channels of what crosses the edge between a node and its bodies (states that Loop and Scan carry, what they read and make in
 * slices, what a branch makes, what any of them captures) go where they are *constant* or *unneeded*; then the passes take out of the
 * body, and of the model around it, what is left of them.
 *
 * - A channel of a state is constant where it is zero at first and the body, told that it is, makes zero of it again. All that are
 *   zero at first are assumed, and those that are not made again dropped until the rest holds. Other numbers are not followed: what a
 *   step rounds, the next may amplify. Of what is no state any constant will do: as the model knows it in front of the node, as all
 *   bodies know it behind.
 * - A channel is unneeded where nothing behind the node needs it, and in the body nothing that is needed: all that nothing behind
 *   needs are assumed, and those that others need in the body dropped until the rest holds.
 *
 * Both are greatest fixed points, found by the analysis of channel elimination on the body as it would be. Then the node gets a
 * selection; at the head of the body constants are put back, and zeros for what is not needed; what it hands on is selected at its end;
 * behind the node everything is put back. Sizes stay as they were, and so it holds when no step is taken.
 *
 * Guards: float tensors of sizes that are known; what is not needed may not be seen as a zero by what makes no finite number of it: in
 * the body nothing of the zeros may be left, behind the node come operators that are total, or sums over channels. The body, compiled,
 * has to be cheaper than before, with what stays in front of the node and behind it.
 */
export const narrowCarriedState = (
  subgraphs: Subgraphs,
  { steps, planWidths }: { readonly steps: () => ReadonlyArray<Step>; readonly planWidths: boolean },
): Pass => {
  /** What did not pay, by attributes of the node. */
  const refused = new WeakMap<OpaqueAttributes, Set<string>>()
  const work: Work = { subgraphs, steps, perElement: planWidths ? elementPrice : leastElementPrice, refused }
  return {
    name: 'narrow-carried-state',
    run: (graph) => {
      if ((graph.opsets.get('') ?? 0) < firstPad) return E.right(graph)
      let current = graph
      let facts: ChannelFacts | undefined
      for (const node of graph.nodes) {
        if (!isOpaque(node) || node.attrs.defines.length === 0) continue
        const bodies = subgraphs.open(node, current)
        const lanes = bodies && lanesOf(current, node, bodies, subgraphs)
        if (bodies === undefined || lanes === undefined || lanes.length === 0) continue
        if (bodies.some((body) => tooManyChannels(body.graph) !== undefined)) continue
        facts ??= analyse(current)
        const next = narrow({ graph: current, facts, node, bodies, lanes }, work)
        if (E.isLeft(next)) return next
        if (next.right === undefined) continue
        // What is known of the others changes with it.
        current = next.right
        facts = undefined
      }
      return E.right(current)
    },
  }
}

interface Work {
  readonly subgraphs: Subgraphs
  readonly steps: () => ReadonlyArray<Step>
  readonly perElement: number
  readonly refused: WeakMap<OpaqueAttributes, Set<string>>
}

/** A node with what is known around it. */
interface Site {
  readonly graph: Graph
  readonly facts: ChannelFacts
  readonly node: OpaqueNode
  readonly bodies: ReadonlyArray<Subgraph>
  readonly lanes: ReadonlyArray<Lane>
}

/** A value that crosses the edge of a node: what it is called in front, in the body, and behind. A state has all of them. */
interface Lane {
  readonly read?: { readonly outer: ValueId; readonly name: ValueId; readonly port: number | undefined }
  readonly made?: { readonly outer: ValueId; readonly port: number; readonly index: number }
  /** Of what has an axis more outside: which. */
  readonly along: number | undefined
  /** The sizes inside. */
  readonly shape: ReadonlyArray<number | undefined>
}

const outerAxis = ({ along }: Lane, axis: number): number => (along === undefined || axis < along ? axis : axis + 1)

/** Float tensors of known rank that cross the edge of a node. */
const lanesOf = (
  graph: Graph,
  node: OpaqueNode,
  bodies: ReadonlyArray<Subgraph>,
  subgraphs: Subgraphs,
): ReadonlyArray<Lane> | undefined => {
  const crossings = subgraphs.crossings(node, graph)
  if (crossings === undefined) return undefined
  const typeOf = (name: ValueId): ValueType | undefined => graph.types.get(name)
  const lanes: Lane[] = []
  for (const { into, out, along: counted } of crossings) {
    const inside = bodies.flatMap((body): ReadonlyArray<ValueType | undefined> => [
      ...(into === undefined ? [] : [body.graph.inputs[into.index]?.type]),
      ...(out === undefined ? [] : [body.graph.types.get(body.graph.outputs[out.index]?.name ?? '')]),
    ])
    const [before, behind] = [node.inputs[into?.port ?? -1], node.outputs[out?.port ?? -1]]
    const outer = [before, behind].flatMap((name) => (name === undefined || name === '' ? [] : [typeOf(name)]))
    const rank = shapeOf(inside[0])?.length
    if (rank === undefined || ![...inside, ...outer].every(isPadded)) continue
    const along = counted === undefined ? undefined : normalizeAxis(counted, rank + 1)
    const shapes = [...inside.map(shapeOf), ...outer.map((type) => shapeOf(type)?.filter((_, axis) => axis !== along))]
    if (shapes.some((shape) => shape?.length !== rank) || (counted !== undefined && along === undefined)) continue
    const [first] = shapes
    lanes.push({
      along,
      shape: (first ?? []).map((dim, axis) =>
        isStatic(dim) && shapes.every((shape) => shape?.[axis] === dim) ? dim : undefined,
      ),
      ...(into && before !== undefined
        ? { read: { outer: before, name: bodies[0]?.graph.inputs[into.index]?.name ?? '', port: into.port } }
        : {}),
      ...(out && { made: { outer: behind ?? '', ...out } }),
    })
  }
  const own = new Set(lanes.map(({ read }) => read?.name))
  const nested = new Set(
    bodies.flatMap(({ graph: { nodes } }) => nodes.flatMap((one) => (isOpaque(one) ? one.attrs.captures : []))),
  )
  for (const name of node.attrs.captures) {
    const type = typeOf(name)
    const isHere = bodies.some((body) => body.graph.inputs.some((input) => input.name === name))
    if (!isHere || own.has(name) || nested.has(name) || !isPadded(type)) continue
    const shape = shapeOf(type)
    if (shape === undefined) continue
    lanes.push({
      along: undefined,
      shape: shape.map((dim) => (isStatic(dim) ? dim : undefined)),
      read: { outer: name, name, port: undefined },
    })
  }
  return lanes
}

/** Of a lane, along an axis inside: the constants (NaN: none), and 1 for what is needed. */
interface Cut {
  readonly lane: Lane
  readonly axis: number
  readonly constants: Float64Array
  readonly needed: Uint8Array
}

const keptBy = ({ constants, needed }: Cut): ReadonlyArray<number> => {
  const kept = [...needed.keys()].filter((i) => needed[i] === 1 && Number.isNaN(constants[i]))
  return kept.length > 0 ? kept : [0]
}

const isCut = (cut: Cut): boolean => keptBy(cut).length < cut.needed.length

const isState = ({ read, made }: Lane): boolean => read !== undefined && made !== undefined

const none = (size: number): Float64Array => new Float64Array(size).fill(NaN)

/** What may go, of what an attempt is about. */
interface Attempt {
  readonly lanes: ReadonlyArray<Lane>
  /** Whether what is not needed may go, besides constants. */
  readonly unneeded: boolean
}

/** The model with one of its nodes narrowed; undefined where nothing goes, or that does not pay. */
const narrow = (site: Site, work: Work): E.Either<PassError, Graph | undefined> => {
  const all = cutsOf(site, { lanes: site.lanes, unneeded: true }).filter(isCut)
  if (all.length === 0) return E.right(undefined)
  const lanes = [...new Set(all.map(({ lane }) => lane))]
  const attempts: ReadonlyArray<Attempt> = [
    { lanes: site.lanes, unneeded: true },
    { lanes: site.lanes, unneeded: false },
    ...(lanes.length === 1 || lanes.length > mostAlone ? [] : lanes.map((lane) => ({ lanes: [lane], unneeded: true }))),
  ]
  const known = work.refused.get(site.node.attrs) ?? new Set()
  work.refused.set(site.node.attrs, known)
  for (const [i, attempt] of attempts.entries()) {
    const cuts = i === 0 ? all : cutsOf(site, attempt).filter(isCut)
    const key = cuts
      .map((cut) => `${site.lanes.indexOf(cut.lane)} ${cut.axis} ${keptBy(cut).join()} ${cut.needed.join('')}`)
      .join(';')
    if (cuts.length === 0 || known.has(key)) continue
    const next = tryCuts(site, cuts, work)
    if (E.isLeft(next) || next.right !== undefined) return next
    known.add(key)
  }
  return E.right(undefined)
}

/** How many lanes are tried by themselves. */
const mostAlone = 8

/** What an attempt finds along the axes of its lanes. */
const cutsOf = ({ graph, facts, bodies }: Site, { lanes, unneeded }: Attempt): ReadonlyArray<Cut> => {
  const fresh = freshIn(graph, bodies)
  const constants = new Map<Lane, Array<Float64Array | undefined>>()
  /** Constants in front of the node: of a state zeros, which are to come again. */
  for (const lane of lanes) {
    const { read } = lane
    if (read === undefined) continue
    const axes = lane.shape.map((size, axis) => {
      const known = size === undefined ? undefined : facts.constants(read.outer, outerAxis(lane, axis))
      const values = isState(lane) ? known?.map((value) => (value === 0 ? 0 : NaN)) : known?.slice()
      return values?.some((value) => !Number.isNaN(value)) === true ? values : undefined
    })
    if (axes.some((axis) => axis !== undefined)) constants.set(lane, axes)
  }
  const headsOf = (): ReadonlyArray<Cut> =>
    [...constants].flatMap(([lane, axes]) =>
      axes.flatMap((values, axis) =>
        values === undefined ? [] : [{ lane, axis, constants: values, needed: new Uint8Array(values.length).fill(1) }],
      ),
    )
  const withHeads = (): ReadonlyArray<Graph> => bodies.map((body) => withHead(body.graph, headsOf(), fresh))
  let told = withHeads()
  for (;;) {
    let isKept = true
    for (const [body, made] of told.entries()) {
      const known = analyse(made)
      for (const [lane, axes] of constants) {
        if (!isState(lane)) continue
        const name = bodies[body]?.graph.outputs[lane.made?.index ?? 0]?.name ?? ''
        axes.forEach((values, axis) => {
          if (values === undefined) return
          const again = known.constants(name, axis)
          values.forEach((value, i) => {
            if (Number.isNaN(value) || again?.[i] === 0) return
            values[i] = NaN
            isKept = false
          })
        })
      }
    }
    if (isKept) break
    told.forEach(forget)
    told = withHeads()
  }
  const found = told.map((body) => analyse(body))
  const cuts = lanes.flatMap((lane) =>
    lane.shape.flatMap((size, axis): ReadonlyArray<Cut> => {
      if (size === undefined || size === 0) return []
      const { read, made } = lane
      const known = read === undefined ? undefined : constants.get(lane)?.[axis]
      const ofBodies =
        made === undefined || read !== undefined
          ? []
          : found.map((body, i) => body.constants(bodies[i]?.graph.outputs[made.index]?.name ?? '', axis))
      const [first] = ofBodies
      const values =
        known ?? first?.map((value, i) => (ofBodies.every((one) => one?.[i] === value) ? value : NaN)) ?? none(size)
      return [
        { lane, axis, constants: values, needed: new Uint8Array(size).fill(made === undefined || !unneeded ? 1 : 0) },
      ]
    }),
  )
  if (!unneeded) {
    told.forEach(forget)
    return cuts
  }
  for (const cut of cuts) {
    const { outer = '' } = cut.lane.made ?? {}
    const isMade = cut.lane.made !== undefined
    if (!isMade || outer === '') continue
    const live = staysFinite(graph, facts, outer) ? facts.live(outer, outerAxis(cut.lane, cut.axis)) : undefined
    cut.needed.forEach((_, i) => {
      cut.needed[i] = live?.[i] ?? 1
    })
  }
  const indexOf = new Map(cuts.flatMap((cut) => (cut.lane.made === undefined ? [] : [[cut.lane.made.index, cut.lane]])))
  /** What is known of bodies that hand on what is needed so far. */
  const ends = (): ReadonlyArray<ChannelFacts> =>
    told.map((body) => analyse(withEnd(body, (index) => cuts.filter(({ lane }) => lane === indexOf.get(index)), fresh)))
  let known = ends()
  for (;;) {
    let isKept = true
    for (const { lane, axis, needed } of cuts) {
      if (!isState(lane)) continue
      const live = known[0]?.live(lane.read?.name ?? '', axis)
      needed.forEach((mark, i) => {
        if (mark === 1 || live?.[i] === 0) return
        needed[i] = 1
        isKept = false
      })
    }
    if (isKept) break
    known = ends()
  }
  for (const { lane, axis, needed } of cuts) {
    if (lane.made !== undefined) continue
    const name = lane.read?.name ?? ''
    const live = told.flatMap((body, k) => (body.types.has(name) ? [known[k]?.live(name, axis)] : []))
    needed.forEach((_, i) => {
      needed[i] = live.every((one) => one?.[i] === 0) ? 0 : 1
    })
  }
  told.forEach(forget)
  return cuts
}

/** New names that are in none of some graphs. */
const freshIn = (graph: Graph, bodies: ReadonlyArray<Subgraph>): ((hint: string) => ValueId) => {
  const outside = freshNames(graph)
  return (hint) => {
    for (;;) {
      const name = outside(hint)
      if (!bodies.some((body) => body.graph.types.has(name))) return name
    }
  }
}

/** Nodes under construction, with the constants that they read. */
interface Built {
  readonly nodes: Node[]
  readonly constants: Map<ValueId, Tensor>
  readonly fresh: (hint: string) => ValueId
}

const building = (fresh: Built['fresh'], constants: ReadonlyMap<ValueId, Tensor> = new Map()): Built => ({
  nodes: [],
  constants: new Map(constants),
  fresh,
})

/** The indices `kept` of an axis of `x`; the name of that, `y` where it is told. */
const select = (b: Built, x: ValueId, axis: number, kept: ReadonlyArray<number>, y = b.fresh(`${x}_kept`)): ValueId => {
  const indices = b.fresh(`${y}_indices`)
  b.constants.set(indices, int64s(kept))
  b.nodes.push(makeNode(Gather, [x, indices], [y], { axis }))
  return y
}

/** Along an axis of `x`, which has the channels `from`, the channels `to`: those that are not there are numbers. */
const restore = (
  b: Built,
  [x, y]: readonly [ValueId, ValueId],
  type: ValueType | undefined,
  axis: number,
  { from, to, numberOf }: Restored,
): void => {
  const places = new Map(from.map((i, place) => [i, place]))
  const back = [...new Set(to.filter((i) => !places.has(i)).map(numberOf))]
  const padded = b.fresh(`${y}_padded`)
  const rank = shapeOf(type)?.length ?? 0
  const padding = putBack({ inputs: [type], fresh: b.fresh }, [x, padded], [rank, axis], from.length, [
    Float64Array.from(back),
  ])
  b.nodes.push(...padding.nodes)
  for (const [name, tensor] of padding.constants) b.constants.set(name, tensor)
  const order = to.map((i) => places.get(i) ?? from.length + back.indexOf(numberOf(i)))
  select(b, padded, axis, order, y)
}

interface Restored {
  readonly from: ReadonlyArray<number>
  readonly to: ReadonlyArray<number>
  readonly numberOf: (index: number) => number
}

/** A body, to be analysed, of which inputs are restored from what is not constant of them. */
const withHead = (body: Graph, cuts: ReadonlyArray<Cut>, fresh: Built['fresh']): Graph => {
  const b = building(fresh, body.constants)
  const inputs = body.inputs.map((input): ValueInfo => {
    const own = cuts.filter(({ lane }) => lane.read?.name === input.name)
    let name = fresh(`${input.name}_given`)
    if (own.length === 0) return input
    const given = { name, type: input.type }
    for (const [i, { axis, constants }] of own.entries()) {
      const next = i === own.length - 1 ? input.name : fresh(`${input.name}_part`)
      const indices = [...constants.keys()]
      restore(b, [name, next], input.type, axis, {
        // What is constant is not taken from what is there.
        from: indices.map((index) => (Number.isNaN(constants[index]) ? index : -1)),
        to: indices,
        numberOf: (index) => constants[index] ?? 0,
      })
      name = next
    }
    return given
  })
  // Names of the model around it are kept as they are, which says nothing of what the body needs.
  const preserved = { ...body.preserved, uses: [] }
  return withParts(body, { inputs, nodes: [...b.nodes, ...body.nodes], constants: b.constants, preserved })
}

/** A body, to be analysed, that hands on only what is needed of its outputs; `cutsAt` gives what is known of the one at an index. */
const withEnd = (body: Graph, cutsAt: (index: number) => ReadonlyArray<Cut>, fresh: Built['fresh']): Graph => {
  const b = building(fresh, body.constants)
  const outputs = body.outputs.flatMap((output, index): ReadonlyArray<ValueInfo> => {
    let { name } = output
    for (const { axis, constants, needed } of cutsAt(index)) {
      const kept = [...needed.keys()].filter((i) => needed[i] === 1 && Number.isNaN(constants[i]))
      if (kept.length === 0) return []
      if (kept.length < needed.length) name = select(b, name, axis, kept)
    }
    return [{ name, type: output.type }]
  })
  return withParts(body, { outputs, nodes: [...body.nodes, ...b.nodes], constants: b.constants })
}

/** Whether a zero in the place of what is not needed of a value makes finite numbers, as far as it is followed. */
const staysFinite = (graph: Graph, facts: ChannelFacts, value: ValueId): boolean => {
  const changed = new Set([value])
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => changed.has(input))) continue
    // What is constant whatever it is computed of (`0 / x`) counts, too.
    const made = node.outputs.filter((name) => name !== '' && hasRemovable(graph, facts, name))
    if (made.length === 0) continue
    if (opOf(node).total !== true && viewOf(graph, node)?.contraction === undefined) return false
    for (const name of made) changed.add(name)
  }
  return true
}

const hasRemovable = (graph: Graph, facts: ChannelFacts, value: ValueId): boolean =>
  ownAxesOf(graph, value).some((_, axis) => facts.removable(value, axis) > 0)

/** A node and its bodies with what goes gone. */
interface Narrowed {
  readonly node: OpaqueNode
  readonly bodies: ReadonlyArray<Subgraph>
  readonly front: Built
  readonly behind: Built
  readonly hints: ReadonlyMap<ValueId, ValueType>
  /** Values in bodies that hold zeros for what is not needed. */
  readonly zeros: ReadonlyArray<ValueId>
}

const withSizes = (type: ValueType, sizes: ReadonlyMap<number, number>): ValueType =>
  type.kind === 'tensor'
    ? tensorType(
        type.dtype,
        type.shape?.map((dim, axis) => sizes.get(axis) ?? dim),
      )
    : type

/** Takes channels out of what crosses the edge of a node. */
const apply = ({ graph, node, bodies }: Site, cuts: ReadonlyArray<Cut>): Narrowed => {
  const fresh = freshIn(graph, bodies)
  const [front, behind] = [building(fresh), building(fresh)]
  const hints = new Map<ValueId, ValueType>()
  const zeros: ValueId[] = []
  const [inputs, outputs] = [[...node.inputs], [...node.outputs]]
  const parts = bodies.map(({ graph: body }) => ({
    body,
    inputs: [...body.inputs],
    outputs: [...body.outputs],
    head: building(fresh),
    end: building(fresh),
    renamed: new Map<ValueId, ValueId>(),
  }))
  const added: ValueId[] = []
  for (const lane of new Set(cuts.map((cut) => cut.lane))) {
    const own = cuts.filter((cut) => cut.lane === lane)
    const inside = new Map(own.map((cut) => [cut.axis, keptBy(cut).length]))
    const outside = new Map(own.map((cut) => [outerAxis(lane, cut.axis), keptBy(cut).length]))
    const { read, made } = lane
    if (read !== undefined) {
      let outer = read.outer
      for (const cut of own)
        outer = select(front, outer, outerAxis(lane, cut.axis), keptBy(cut), fresh(`${read.outer}_kept`))
      added.push(outer)
      if (read.port !== undefined) inputs[read.port] = outer
      for (const part of parts) {
        const at = part.inputs.findIndex(({ name }) => name === read.name)
        const input = part.inputs[at]
        if (input === undefined) continue
        // What is captured is called inside as it is outside, and what is restored of it something else.
        const isOwn = read.port !== undefined
        let name = isOwn ? fresh(`${read.name}_kept`) : outer
        const restored = isOwn ? read.name : fresh(`${read.name}_inside`)
        if (!isOwn) part.renamed.set(read.name, restored)
        let type = withSizes(input.type, inside)
        part.inputs[at] = { name, type }
        // Zeros first: what is not needed is not where constants are known, which come back at all positions.
        const steps = own.flatMap(
          (cut): ReadonlyArray<{ readonly axis: number; readonly isZero: boolean } & Restored> => {
            const kept = keptBy(cut)
            const all = [...cut.needed.keys()]
            const isConstant = (index: number): boolean => !Number.isNaN(cut.constants[index])
            const known = all.filter((index) => kept.includes(index) || !isConstant(index))
            const zero = { axis: cut.axis, isZero: true, from: kept, to: known, numberOf: () => 0 }
            // The channel that stays where none has to is one of them.
            const from = known.map((index) => (isConstant(index) ? -1 : index))
            const constant = {
              axis: cut.axis,
              isZero: false,
              from,
              to: all,
              numberOf: (i: number) => cut.constants[i] ?? 0,
            }
            return [...(known.length > kept.length ? [zero] : []), ...(all.some(isConstant) ? [constant] : [])]
          },
        )
        steps.sort((one, other) => Number(other.isZero) - Number(one.isZero))
        for (const [i, step] of steps.entries()) {
          const to = i === steps.length - 1 ? restored : fresh(`${read.name}_part`)
          const from = part.head.nodes.length
          restore(part.head, [name, to], type, step.axis, step)
          const added = part.head.nodes.slice(from).flatMap((one) => one.outputs)
          if (step.isZero) zeros.push(...added.filter((one) => one !== restored))
          type = withSizes(type, new Map([[step.axis, step.to.length]]))
          name = to
        }
      }
    }
    if (made === undefined) continue
    for (const part of parts) {
      const output = part.outputs[made.index]
      if (output === undefined) continue
      let { name } = output
      for (const cut of own) name = select(part.end, name, cut.axis, keptBy(cut), fresh(`${output.name}_kept`))
      part.outputs[made.index] = { name, type: withSizes(output.type, inside) }
    }
    const type = graph.types.get(made.outer)
    if (made.outer === '' || type === undefined) continue
    let name = fresh(`${made.outer}_kept`)
    outputs[made.port] = name
    let current = withSizes(type, outside)
    hints.set(name, current)
    added.push(name)
    for (const [i, cut] of own.entries()) {
      const axis = outerAxis(lane, cut.axis)
      const next = i === own.length - 1 ? made.outer : fresh(`${made.outer}_part`)
      const all = [...cut.needed.keys()]
      restore(behind, [name, next], current, axis, {
        from: keptBy(cut),
        to: all,
        numberOf: (index) => (Number.isNaN(cut.constants[index]) ? 0 : (cut.constants[index] ?? 0)),
      })
      current = withSizes(current, new Map([[axis, all.length]]))
      name = next
    }
  }
  const narrowed = parts.map(({ body, head, end, renamed, ...ports }, i): Subgraph => {
    const nameOf = (name: ValueId): ValueId => renamed.get(name) ?? name
    const inner = [...body.nodes, ...end.nodes].map((one) =>
      one.inputs.some((input) => renamed.has(input)) ? { ...one, inputs: one.inputs.map(nameOf) } : one,
    )
    return {
      name: bodies[i]?.name ?? '',
      graph: withParts(body, {
        inputs: ports.inputs,
        outputs: ports.outputs.map((output) => ({ ...output, name: nameOf(output.name) })),
        nodes: [...head.nodes, ...inner],
        constants: new Map([...body.constants, ...head.constants, ...end.constants]),
        preserved: { ...body.preserved, uses: [...body.preserved.uses, ...added] },
      }),
    }
  })
  const captures = [...new Set([...node.attrs.captures, ...added])]
  return {
    node: { ...node, inputs, outputs, attrs: { ...node.attrs, captures } },
    bodies: narrowed,
    front,
    behind,
    hints,
    zeros,
  }
}

const tryCuts = (site: Site, cuts: ReadonlyArray<Cut>, work: Work): E.Either<PassError, Graph | undefined> => {
  const { graph, node, bodies } = site
  const { subgraphs, perElement } = work
  const next = apply(site, cuts)
  const compiled: Subgraph[] = []
  for (const body of next.bodies) {
    const made = runPipeline(work.steps(), body.graph)
    if (E.isLeft(made)) return made
    if (next.zeros.some((name) => made.right.types.has(name))) return E.right(undefined)
    compiled.push({ ...body, graph: made.right })
  }
  const times = subgraphs.macs(node, graph, () => 1)
  const price = (all: ReadonlyArray<Subgraph>): number =>
    times * all.reduce((sum, one) => sum + priceOf(one.graph, subgraphs, perElement), 0)
  if (price(compiled) + priceAround(site, cuts) * perElement >= price(bodies)) return E.right(undefined)
  const closed = subgraphs.close(next.node, graph, compiled)
  if (closed === next.node) return E.right(undefined)
  const at = graph.nodes.indexOf(node)
  return E.right(
    withParts(graph, {
      nodes: graph.nodes.toSpliced(at, 1, ...next.front.nodes, closed, ...next.behind.nodes),
      constants: new Map([...graph.constants, ...next.front.constants, ...next.behind.constants]),
      hints: new Map([...graph.hints, ...next.hints]),
    }),
  )
}

/**
 * Numbers that are moved in front of a node and behind it besides: in front the selection, unless what makes them makes no more than
 * that, or they are constants; behind what is restored of a result of the model.
 */
const priceAround = ({ graph }: Site, cuts: ReadonlyArray<Cut>): number => {
  const fixed = new Set(graph.outputs.map(({ name }) => name))
  let moved = 0
  for (const lane of new Set(cuts.map((cut) => cut.lane))) {
    const share = cuts.reduce(
      (all, cut) => (cut.lane === lane ? (all * keptBy(cut).length) / cut.needed.length : all),
      1,
    )
    const { read, made } = lane
    if (read !== undefined && !graph.constants.has(read.outer)) {
      const whole = countOf(shapeOf(graph.types.get(read.outer)))
      const isMadeForIt = producersOf(graph).has(read.outer) && usersOf(graph).get(read.outer)?.length === 1
      moved += isMadeForIt ? share * whole - whole : share * whole
    }
    if (made !== undefined && fixed.has(made.outer)) moved += 2 * countOf(shapeOf(graph.types.get(made.outer)))
  }
  return moved
}

/** What a step takes: multiply-accumulates, and numbers that are made in other ways. */
const priceOf = (graph: Graph, subgraphs: Subgraphs, perElement: number): number =>
  graph.nodes.reduce((sum, node) => {
    const elements = node.outputs.reduce((count, name) => count + countOf(shapeOf(graph.types.get(name))), 0)
    if (isOpaque(node))
      return sum + elements * perElement + subgraphs.macs(node, graph, (inner) => priceOf(inner, subgraphs, perElement))
    const macs = opOf(node).macs?.(contextOf(graph, node)) ?? 0
    return sum + (macs > 0 ? macs : elements * perElement)
  }, 0)
