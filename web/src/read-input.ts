/** Reads dropped files: a model, what lies beside it, and its masks. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { decodeFile } from '../../src/masks/files.ts'
import { type Masks, noMasks } from '../../src/masks/mask.ts'
import { matchMasks, type MatchSummary, summariseMatching } from '../../src/masks/match/index.ts'
import { readAnyModel } from '../../src/read/any-model.ts'
import type { ExternalReader } from '../../src/read/external.ts'
import type { Input, InputFile } from './messages.ts'

export interface Read {
  /** What the masks are for: the model that was read, or the same with more constants. */
  readonly graph: Graph
  /** Whether it is the model as it was read. */
  readonly asRead: boolean
  readonly masks: Masks
  readonly matching?: MatchSummary
  readonly model: InputBytes
  readonly maskFile?: InputBytes
}

export interface InputBytes {
  readonly name: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

const bytesOf = async ({ name, blob }: InputFile): Promise<E.Either<Failure, InputBytes>> => {
  try {
    return E.right({ name, bytes: new Uint8Array(await blob.arrayBuffer()) })
  } catch (thrown) {
    const help = 'It may have been moved or changed since it was chosen. Choose it again.'
    return E.left(failure('ReadError', name, 'a file that can be read', String(thrown), help))
  }
}

/** Files beside a model by their names; folders are not told by a browser. */
const besideReader = (files: ReadonlyArray<InputBytes>): ExternalReader => {
  const byName = new Map(files.map(({ name, bytes }) => [name, bytes]))
  return (location) => {
    const bytes = byName.get(location.replace(/^\.\//, ''))
    return bytes && { size: bytes.length, read: (offset, length) => bytes.slice(offset, offset + length) }
  }
}

export const readInput = async (input: Input): Promise<E.Either<Failure, Read>> => {
  const model = await bytesOf(input.model)
  if (E.isLeft(model)) return model
  const beside: InputBytes[] = []
  for (const file of input.beside) {
    const bytes = await bytesOf(file)
    if (E.isLeft(bytes)) return bytes
    beside.push(bytes.right)
  }
  const graph = readAnyModel(model.right.bytes, { external: besideReader(beside) })
  if (E.isLeft(graph)) return graph
  const read = { graph: graph.right, asRead: true, masks: noMasks, model: model.right }
  if (input.masks === undefined) return E.right(read)
  const masks = await bytesOf(input.masks)
  return E.isLeft(masks) ? masks : withMasks(read, masks.right)
}

/** The same model with the masks of a file, as the command line takes them. */
export const withMasks = (read: Read, maskFile: InputBytes): E.Either<Failure, Read> => {
  const file = decodeFile(maskFile.bytes)
  if (E.isLeft(file)) return file
  const matching = matchMasks(file.right.entries, read.graph)
  if (E.isLeft(matching)) return matching
  const { graph, masks, notes } = matching.right
  const found = summariseMatching({ ...matching.right, notes: [...file.right.notes, ...notes] })
  return E.right({ ...read, graph, asRead: graph === read.graph, masks, matching: found, maskFile })
}
