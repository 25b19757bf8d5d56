/** Names that subgraphs take from outside and names that they define. */
import type { GraphProto, NodeProto } from '../onnx/onnx_pb.ts'

export interface Scope {
  /** Outer values read by name, nested subgraphs included, each once, in the order of first use. */
  readonly captures: ReadonlyArray<string>
  /** Names defined at any depth. */
  readonly defines: ReadonlyArray<string>
}

interface Level {
  readonly graph: GraphProto
  readonly outer: Level | undefined
  readonly names: ReadonlySet<string>
}

export const subgraphsOf = (node: NodeProto): ReadonlyArray<GraphProto> =>
  node.attribute.flatMap(({ g, graphs }) => (g === undefined ? graphs : [g, ...graphs]))

const namesOf = (graph: GraphProto): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const { name } of graph.input) names.add(name)
  for (const { name } of graph.initializer) names.add(name)
  for (const { values } of graph.sparseInitializer) if (values !== undefined) names.add(values.name)
  for (const node of graph.node) for (const output of node.output) names.add(output)
  names.delete('')
  return names
}

/** What `graphs` and the graphs nested in them take from outside and define. */
export const scopeOf = (graphs: ReadonlyArray<GraphProto>): Scope => {
  const captures = new Set<string>()
  const defines = new Set<string>()
  const levels: Level[] = graphs.map((graph) => ({ graph, outer: undefined, names: namesOf(graph) }))
  const isInner = (name: string, level: Level): boolean => {
    for (let at: Level | undefined = level; at !== undefined; at = at.outer) if (at.names.has(name)) return true
    return false
  }
  // The list grows while it is walked: nested graphs are appended.
  for (const level of levels) {
    for (const name of level.names) defines.add(name)
    const read = (name: string): void => {
      if (name !== '' && !isInner(name, level)) captures.add(name)
    }
    for (const node of level.graph.node) {
      node.input.forEach(read)
      for (const graph of subgraphsOf(node)) levels.push({ graph, outer: level, names: namesOf(graph) })
    }
    for (const { name } of level.graph.output) read(name)
  }
  return { captures: [...captures], defines: [...defines] }
}
