import * as E from 'fp-ts/lib/Either.js'
import type { Pass } from './pass.ts'
import { withConstants } from './propagate-constants.ts'

/**
 * As `propagate-constants`, but values whose channels are constant become constants in full, too, or are expanded to the
 * sizes of inputs of the model: channel elimination has been there, and what it left of them is needed.
 */
export const expandConstants: Pass = { name: 'expand-constants', run: (graph) => E.right(withConstants(graph, true)) }
