/** Models and masks as the command line names them. */
import { existsSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { sourceOf } from '../package/digest.ts'
import { recoverFiles } from '../export/package.ts'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type Masks, noMasks } from '../masks/mask.ts'
import { type MatchSummary, summariseMatching } from '../masks/match/index.ts'
import { zerosOf } from '../masks/zeros.ts'
import { modelFile, readModel } from '../read/file.ts'
import { type MaskSources, readMatching } from '../read/masks.ts'
import type { Source } from '../report/source.ts'
import type { MaskFlags } from './flags.ts'
import type { Say } from './progress.ts'

export interface Inputs {
  /** What the masks are for: the model that was read, or the same with more constants (see `Matching`). */
  readonly graph: Graph
  readonly read: Graph
  readonly masks: Masks
  /** How masks of a file found their weights. */
  readonly matching?: MatchSummary
}

/** Reads a model and its masks; `zeros` stands for those that the weights carry already. */
export const readInputs = async (model: string, flags: MaskFlags, say: Say): Promise<E.Either<Failure, Inputs>> => {
  say(`reading ${model}`)
  const graph = await readModel(model)()
  return E.isLeft(graph) ? graph : masksFor(graph.right, flags, say)
}

/** Reads masks for a graph, or takes the zeros in its weights. The graph may come back with more constants. */
export const masksFor = async (
  graph: Graph,
  { masks, weights, maskMap }: MaskFlags,
  say: Say,
): Promise<E.Either<Failure, Inputs>> => {
  const helper = weights === undefined ? maskMap && '--mask-map' : '--weights'
  if (helper !== undefined && masks === 'zeros') {
    const help = 'It says where masks of a file belong.'
    return E.left(failure('UsageError', helper, 'a file of masks', '--masks zeros', help))
  }
  if (masks === undefined) return E.right({ graph, read: graph, masks: noMasks })
  say(`reading masks ${masks}`)
  if (masks === 'zeros') return E.right({ graph, read: graph, masks: zerosOf(graph) })
  const matching = await readMatching(masks, graph, maskSources({ weights, maskMap }))()
  if (E.isLeft(matching)) return matching
  return E.right({
    graph: matching.right.graph,
    read: graph,
    masks: matching.right.masks,
    matching: summariseMatching(matching.right),
  })
}

export const maskSources = ({
  weights,
  maskMap,
}: Partial<Record<'weights' | 'maskMap', string | undefined>>): MaskSources => ({
  ...(weights === undefined ? {} : { weights }),
  ...(maskMap === undefined ? {} : { map: maskMap }),
})

/** Puts packages back that writing left aside when it was ended between its two renames; what is there stays as it is. */
export const recoverPackages = async (paths: ReadonlyArray<string>): Promise<void> => {
  for (const path of paths) if (!existsSync(path)) await recoverFiles(path)()
}

export interface Sources {
  readonly model: Source
  readonly masks?: Source
}

/** Begins the digests of the files that were read, for manifests: on threads of their own, where the files are large. */
export const startDigests = async (
  model: string,
  masks: string | undefined,
): Promise<E.Either<Failure, () => Promise<E.Either<Failure, Sources>>>> => {
  const file = await modelFile(model)
  if (E.isLeft(file)) return file
  const hasFile = masks !== undefined && masks !== 'zeros'
  const digests = Promise.all([sourceOf(file.right)(), hasFile ? sourceOf(masks)() : E.right(undefined)])
  return E.right(async () => {
    const [first, second] = await digests
    if (E.isLeft(first)) return first
    if (E.isLeft(second)) return second
    return E.right({ model: first.right, ...(second.right === undefined ? {} : { masks: second.right }) })
  })
}
