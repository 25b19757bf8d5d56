/** What crosses the edge between a node and its bodies, and what may go of it. */
import type { Graph } from '../../ir/graph.ts'
import { isPadded } from '../../ir/families/put-back.ts'
import { shapeOf } from '../../ir/links.ts'
import type { ValueId } from '../../ir/op.ts'
import { isOpaque } from '../../ir/registry.ts'
import { isStatic, normalizeAxis, type ValueType } from '../../ir/type.ts'
import type { ChannelFacts } from '../channel-elimination/analyse.ts'
import type { OpaqueNode, Subgraph, Subgraphs } from '../subgraphs.ts'

/** A node with what is known around it. */
export interface Site {
  readonly graph: Graph
  readonly facts: ChannelFacts
  readonly node: OpaqueNode
  readonly bodies: ReadonlyArray<Subgraph>
  readonly lanes: ReadonlyArray<Lane>
}

/** A value that crosses the edge of a node: what it is called in front, in the body, and behind. A state has all of them. */
export interface Lane {
  readonly read?: { readonly outer: ValueId; readonly name: ValueId; readonly port: number | undefined }
  readonly made?: { readonly outer: ValueId; readonly port: number; readonly index: number }
  /** Of what has an axis more outside: which. */
  readonly along: number | undefined
  /** The sizes inside. */
  readonly shape: ReadonlyArray<number | undefined>
}

export const outerAxis = ({ along }: Lane, axis: number): number =>
  along === undefined || axis < along ? axis : axis + 1

/** Float tensors of known rank that cross the edge of a node. */
export const lanesOf = (
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
export interface Cut {
  readonly lane: Lane
  readonly axis: number
  readonly constants: Float64Array
  readonly needed: Uint8Array
}

export const keptBy = ({ constants, needed }: Cut): ReadonlyArray<number> => {
  const kept = [...needed.keys()].filter((i) => needed[i] === 1 && Number.isNaN(constants[i]))
  return kept.length > 0 ? kept : [0]
}

export const isCut = (cut: Cut): boolean => keptBy(cut).length < cut.needed.length

export const isState = ({ read, made }: Lane): boolean => read !== undefined && made !== undefined
