import { contextOf } from '../ir/graph.ts'
import { opOf } from '../ir/registry.ts'
import { rewritePass } from './rewrite.ts'

/**
 * Replaces nodes by the simpler equivalents that their operators know (`OpDef.simplify`), until none knows one. Which
 * equivalent is exact, and under which conditions, each operator says in its own file.
 */
export const simplify = rewritePass('simplify', [
  (graph, node, { fresh }) => {
    const rewrite = opOf(node).simplify?.(contextOf(graph, node), fresh)
    return rewrite && { ...rewrite, removes: [node] }
  },
])
