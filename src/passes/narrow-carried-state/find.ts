/** Which channels of what crosses the edge of a node are constant or unneeded: greatest fixed points. */
import { forget } from '../../ir/analysis.ts'
import { type Graph, type ValueInfo, withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { opOf } from '../../ir/registry.ts'
import { analyse, type ChannelFacts } from '../channel-elimination/analyse.ts'
import { ownAxesOf, viewOf } from '../channel-elimination/views.ts'
import { type Built, building, freshIn, restore, select } from './build.ts'
import { type Cut, isState, type Lane, outerAxis, type Site } from './lanes.ts'

const none = (size: number): Float64Array => new Float64Array(size).fill(NaN)

/** What may go, of what an attempt is about. */
export interface Attempt {
  readonly lanes: ReadonlyArray<Lane>
  /** Whether what is not needed may go, besides constants. */
  readonly unneeded: boolean
}

/** What an attempt finds along the axes of its lanes. */
export const cutsOf = (site: Site, { lanes, unneeded }: Attempt): ReadonlyArray<Cut> => {
  const { bodies } = site
  const { constants, told } = constantsInFront(site, lanes)
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
  if (unneeded) markNeeded(site, told, cuts)
  told.forEach(forget)
  return cuts
}

/** Along the axes of lanes the constants in front of a node, of a state zeros that come again; and bodies that are told them. */
interface Told {
  readonly constants: ReadonlyMap<Lane, ReadonlyArray<Float64Array | undefined>>
  readonly told: ReadonlyArray<Graph>
}

const constantsInFront = ({ graph, facts, bodies }: Site, lanes: ReadonlyArray<Lane>): Told => {
  const fresh = freshIn(
    graph,
    bodies.map((body) => body.graph),
  )
  const constants = new Map<Lane, Array<Float64Array | undefined>>()
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
    if (isKept) return { constants, told }
    told.forEach(forget)
    told = withHeads()
  }
}

/** Marks what is needed of cuts: behind the node, or in bodies that are told what is constant. */
const markNeeded = ({ graph, facts }: Site, told: ReadonlyArray<Graph>, cuts: ReadonlyArray<Cut>): void => {
  const fresh = freshIn(graph, told)
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
