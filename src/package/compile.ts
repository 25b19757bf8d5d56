/** The compiler with what it needs to look into subgraphs. */
import type * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import { type Masks, noMasks } from '../masks/mask.ts'
import { compile as compileGraph, type Compiled, type CompileOptions } from '../passes/compile.ts'
import type { PassError } from '../passes/pass.ts'
import { subgraphs } from './subgraphs.ts'

/**
 * Compiles `model` with every weight multiplied by its mask; without masks what is dead already goes. Fails where a mask does not
 * fit the model, a pass cannot do its work, a file that tensors are in has changed, or an option is none; nothing else.
 */
export const compile = (
  model: Graph,
  masks: Masks = noMasks,
  options: CompileOptions = {},
): E.Either<PassError, Compiled> => compileGraph(model, masks, { subgraphs, ...options })
