/** Models and masks as the command line names them. */
import { existsSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { sourceOf } from '../digest.ts'
import { recoverFiles } from '../export/package.ts'
import type { Failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type Masks, noMasks } from '../masks/mask.ts'
import { zerosOf } from '../masks/zeros.ts'
import { readModel } from '../read/file.ts'
import { readMasks } from '../read/masks.ts'
import type { Source } from '../report/source.ts'
import type { Say } from './progress.ts'

export interface Inputs {
  readonly graph: Graph
  readonly masks: Masks
}

/** Reads a model and its masks; `zeros` stands for those that the weights carry already. */
export const readInputs = async (
  model: string,
  masks: string | undefined,
  say: Say,
): Promise<E.Either<Failure, Inputs>> => {
  say(`reading ${model}`)
  const graph = await readModel(model)()
  if (E.isLeft(graph)) return graph
  if (masks === undefined) return E.right({ graph: graph.right, masks: noMasks })
  const read = await masksFor(graph.right, masks, say)
  return E.isLeft(read) ? read : E.right({ graph: graph.right, masks: read.right })
}

/** Reads masks for a graph, or takes the zeros in its weights. */
export const masksFor = async (graph: Graph, masks: string, say: Say): Promise<E.Either<Failure, Masks>> => {
  say(`reading masks ${masks}`)
  return masks === 'zeros' ? E.right(zerosOf(graph)) : readMasks(masks, graph)()
}

/** Puts packages back that writing left aside when it was ended between its two renames; what is there stays as it is. */
export const recoverPackages = async (paths: ReadonlyArray<string>): Promise<void> => {
  for (const path of paths) if (!existsSync(path)) await recoverFiles(path)()
}

export interface Sources {
  readonly model: Source
  readonly masks?: Source
}

/** Digests of the files that were read, for manifests. */
export const digestInputs = async (model: string, masks: string | undefined): Promise<E.Either<Failure, Sources>> => {
  const first = await sourceOf(model)()
  if (E.isLeft(first)) return first
  if (masks === undefined || masks === 'zeros') return E.right({ model: first.right })
  const second = await sourceOf(masks)()
  return E.isLeft(second) ? second : E.right({ model: first.right, masks: second.right })
}
