/** Masks from disk. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import type { FileContents } from '../masks/file-entry.ts'
import { masksAlone } from '../masks/files.ts'
import type { Masks } from '../masks/mask.ts'
import {
  decodeMap,
  type MaskError,
  type MaskFileError,
  type MaskMap,
  type Matching,
  matchMasks,
  type MatchOptions,
} from '../masks/match/index.ts'
import { readBytes } from './bytes.ts'
import type { ReadError } from './error.ts'
import { readTensors } from './tensors.ts'
import { parseYaml } from './yaml.ts'

/** What helps masks of another origin to find their weights. */
export interface MaskSources {
  /** A file of the weights that the masks belong to. */
  readonly weights?: string | Uint8Array
  /** A file, JSON or YAML, that says where masks belong. */
  readonly map?: string
}

/**
 * The masks for `graph` that a file, or its bytes, hold; told apart by content, whatever the file is called. See `matchMasks`
 * for how they find their weights. A graph that would have to be changed for them is refused: {@link readMatching} changes it.
 */
export const readMasks =
  (
    source: string | Uint8Array,
    graph: Graph,
    sources: MaskSources = {},
  ): TaskEither<ReadError | MaskFileError, Masks> =>
  async () => {
    const matching = await readMatching(source, graph, sources)()
    return E.isLeft(matching) ? matching : masksAlone(matching.right, graph)
  }

/** The masks in a file and how each found its weight, with the graph that they are for. */
export const readMatching =
  (
    source: string | Uint8Array,
    graph: Graph,
    sources: MaskSources = {},
  ): TaskEither<ReadError | MaskFileError, Matching> =>
  async () => {
    const files = await readMaskFiles(source, sources)()
    if (E.isLeft(files)) return files
    const { contents, options } = files.right
    return E.map((matching: Matching) => ({ ...matching, notes: [...contents.notes, ...matching.notes] }))(
      matchMasks(contents.entries, graph, options),
    )
  }

export interface MaskFiles {
  readonly contents: FileContents
  readonly options: MatchOptions
}

/** The tensors of a file of masks, and what was given along with it. */
export const readMaskFiles =
  (source: string | Uint8Array, { weights, map }: MaskSources): TaskEither<ReadError | MaskFileError, MaskFiles> =>
  async () => {
    const contents = await readTensors(source)()
    if (E.isLeft(contents)) return contents
    const given = weights === undefined ? undefined : await readTensors(weights)()
    if (given !== undefined && E.isLeft(given)) return given
    const places = map === undefined ? undefined : await readMaskMap(map)()
    if (places !== undefined && E.isLeft(places)) return places
    return E.right({
      contents: contents.right,
      options: {
        ...(given === undefined ? {} : { weights: given.right.entries }),
        ...(places === undefined ? {} : { map: places.right }),
      },
    })
  }

/** A file that says where masks belong, in JSON or YAML. */
export const readMaskMap =
  (path: string): TaskEither<ReadError | MaskError, MaskMap> =>
  async () => {
    const bytes = await readBytes(path)
    if (E.isLeft(bytes)) return bytes
    return decodeMaskMap(path, bytes.right)
  }

/** The map that bytes hold; `path` is what errors call them. */
export const decodeMaskMap = (path: string, bytes: Uint8Array): E.Either<MaskError, MaskMap> => {
  const value = parseYaml(new TextDecoder().decode(bytes))
  if (E.isRight(value)) return decodeMap(value.right)
  return E.left(failure('MaskError', path, 'JSON or YAML', value.left, 'Mend it at the place it names.'))
}
