/** A model as an ONNX file, and weights that are too large for one in a file beside it. */
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { lower, type Lowered } from '../export/lower.ts'
import type { Failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type WriteFlags, writeFileWhole } from './write-file.ts'

export interface WrittenModel {
  readonly name: string
  readonly bytes: number
}

/** Writes a graph to `path`; gives the files, the model first. */
export const writeModel = async (
  path: string,
  graph: Graph,
  flags: { readonly [flag in keyof WriteFlags]?: boolean },
): Promise<E.Either<Failure, ReadonlyArray<WrittenModel>>> => {
  const lowered = lower(graph, { externalName: `${basename(path)}_data` })
  return E.isLeft(lowered) ? lowered : writeLowered(path, lowered.right, flags)
}

/** The weights are there before the model that names them. */
export const writeLowered = async (
  path: string,
  { model, external }: Lowered,
  flags: { readonly [flag in keyof WriteFlags]?: boolean },
): Promise<E.Either<Failure, ReadonlyArray<WrittenModel>>> => {
  const files: WrittenModel[] = []
  if (external !== undefined) {
    const place = join(dirname(path), external.name)
    const data = await writeFileWhole(place, external.chunks(), flags)
    if (E.isLeft(data)) return data
    files.push({ name: place, bytes: data.right })
  }
  const network = await writeFileWhole(path, [model], flags)
  if (E.isLeft(network)) return network
  return E.right([{ name: path, bytes: network.right }, ...files])
}
