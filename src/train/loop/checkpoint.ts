/** A training run as one safetensors file, and back. */
import * as E from 'fp-ts/lib/Either.js'
import { digestOf } from '../../ir/digest.ts'
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { dense, type Dense, float32View, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { isRecord } from '../../ir/record.ts'
import { sizeOf } from '../../ir/type.ts'
import { decodeSafetensors, encodeSafetensors } from '../../masks/safetensors.ts'
import { cursorFrom, cursorWords, type DataSet } from '../data/index.ts'
import { fromArrays, toArrays } from '../sparse/index.ts'
import { trainError, type TrainError } from './error.ts'
import { gateArrays } from './gates.ts'
import { type HistoryEntry, isEntry, revived } from './history.ts'
import type { Recipe } from '../recipe/index.ts'
import { type Held, moveRun, namesHeld, readHeld, type Run, type Tally, type Trainable } from './run.ts'
import { slimGraph } from './slim-graph.ts'

/** What a checkpoint belongs to; one of anything else is refused. */
export type Identity = Readonly<Record<'recipe' | 'graph' | 'data', string>>

/** Of plain data, whatever the order of keys. */
const digestOfData = (x: unknown): string => digestOf(new TextEncoder().encode(JSON.stringify(x, withSortedKeys)))

const withSortedKeys = (_: string, x: unknown): unknown =>
  typeof x === 'object' && x !== null && !Array.isArray(x)
    ? Object.fromEntries(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)))
    : x

/** A run may be made longer: how many epochs a recipe has is no part of what it is. */
export const identityOf = (graph: Graph, data: DataSet, { epochs: _epochs, ...recipe }: Recipe): Identity => ({
  recipe: digestOfData(recipe),
  graph: digestOfData([
    graph.nodes.map(({ op, inputs, outputs }) => [op, inputs, outputs]),
    Array.from(graph.constants, ([name, { dtype, shape }]) => [name, dtype, shape]),
  ]),
  data: digestOfData([
    data.classes,
    data.shape,
    data.mean,
    data.deviation,
    [data.train, data.validation, data.test].map(({ labels }) => Array.from(labels)),
  ]),
})

/** The numbers of a run that are not arrays. */
interface Saved {
  readonly version: 2
  readonly identity: Identity
  readonly step: number
  readonly tally: Tally
  readonly history: ReadonlyArray<HistoryEntry>
  /** Layer densities that do not follow from the recipe alone. */
  readonly densities?: ReadonlyArray<number>
}

const groups = ['parameters', 'statistics', 'moments', 'scores', 'gates'] as const

/** Where the checkpoint of a run is kept. */
export interface Store {
  /** What errors call it. */
  readonly name: string
  /** What was written last; undefined where nothing was. */
  readonly read: () => Promise<E.Either<TrainError, Uint8Array | undefined>>
  /** Puts this in the place of what was written before, whole or not at all. */
  readonly write: (chunks: Iterable<Uint8Array>) => Promise<E.Either<TrainError, undefined>>
}

/** Writes the run to `store`. */
export const saveRun = async (run: Run, store: Store, identity: Identity): Promise<E.Either<TrainError, undefined>> => {
  const held = await readHeld(run)
  const shapes = new Map(
    [...run.executor.parameters, ...run.executor.statistics].map(({ name, shape }) => [name, shape]),
  )
  const tensors = new Map<string, Tensor>()
  for (const group of groups) {
    for (const [name, values] of held[group]) {
      const shape = group === 'gates' ? undefined : shapes.get(name)
      tensors.set(`${group}/${name}`, tensorOf('float32', shape ?? [values.length], values))
    }
  }
  for (const [name, array] of toArrays(run.sparse)) tensors.set(`sparse/${name}`, integers(array))
  tensors.set('cursor', integers(cursorWords(run.cursor)))
  const { step, tally, history } = run
  const { distribution } = run.sparse.policy
  const given = distribution.kind === 'given' ? { densities: distribution.densities } : {}
  const record: Saved = { version: 2, identity, step, tally, history, ...given }
  const chunks = encodeSafetensors(tensors, new Map([['chasec', JSON.stringify(record)]]))
  return store.write(chunks)
}

const integers = (array: Uint8Array | Uint32Array): Dense =>
  dense(
    array instanceof Uint32Array ? 'uint32' : 'uint8',
    [array.length],
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  )

const arrayOf = (tensor: Dense): Uint8Array | Uint32Array =>
  tensor.dtype === 'uint32' ? new Uint32Array(tensor.bytes.slice().buffer) : tensor.bytes.slice()

const notOurs = (path: string, expected: string, found: string): E.Either<TrainError, never> =>
  E.left(trainError(path, expected, found, 'Resume with what the checkpoint was made with, or start anew without it.'))

/** A checkpoint that belongs to what is trained. */
export interface Checkpoint {
  readonly path: string
  readonly saved: Saved
  readonly tensors: ReadonlyMap<string, Dense>
}

/**
 * The checkpoint that `store` keeps; undefined where there is none.
 *
 * Errors: what is no checkpoint, or one of another graph, recipe or data set.
 */
export const readCheckpoint = async (
  store: Store,
  identity: Identity,
): Promise<E.Either<TrainError, Checkpoint | undefined>> => {
  const bytes = await store.read()
  if (E.isLeft(bytes)) return bytes
  return bytes.right === undefined ? E.right(undefined) : decodeCheckpoint(store.name, bytes.right, identity)
}

/** The checkpoint that bytes hold; `path` is what errors call them. Errors: as {@link readCheckpoint}. */
export const decodeCheckpoint = (
  path: string,
  bytes: Uint8Array,
  identity: Identity,
): E.Either<TrainError, Checkpoint> => {
  const file = decodeSafetensors(bytes)
  if (E.isLeft(file)) return notOurs(path, `a checkpoint: ${file.left.expected}`, file.left.found)
  const { metadata, tensors } = file.right
  const saved = savedOf(metadata.get('chasec'))
  if (saved === undefined) return notOurs(path, 'a checkpoint of chasec', 'another file, or one that was changed')
  for (const what of ['graph', 'data', 'recipe'] as const) {
    if (saved.identity[what] !== identity[what]) return notOurs(path, `a checkpoint of this ${what}`, 'one of another')
  }
  for (const [name, { dtype }] of tensors) {
    const expected = groups.some((group) => name.startsWith(`${group}/`)) ? ['float32'] : ['uint8', 'uint32']
    if (!expected.includes(dtype)) return notOurs(path, `${expected.join(' or ')} in ${name}`, dtype)
  }
  return E.right({ path, saved, tensors })
}

/**
 * Puts `run`, which has not begun, where the run that wrote the checkpoint was, with so many training images. The graph is shrunk as that run had shrunk it.
 *
 * Errors: a checkpoint that lacks something.
 */
export const resumeRun = (
  run: Run,
  { network }: Trainable,
  { path, saved, tensors }: Checkpoint,
  images: number,
): E.Either<TrainError, undefined> => {
  const { policy } = run.sparse
  const sparse = fromArrays(network, policy, withPrefix(tensors, 'sparse/', arrayOf))
  if (E.isLeft(sparse)) return sparse
  const cursor = cursorFrom(Uint32Array.from(arrayOf(tensors.get('cursor') ?? integers(new Uint32Array(0)))))
  if (cursor === undefined || cursor.position >= images) {
    return notOurs(path, `a place in ${images} images`, cursor === undefined ? 'none' : `${cursor.position}`)
  }
  const graph = graphFor(run, sparse.right.channels)
  const held: Held = {
    parameters: withPrefix(tensors, 'parameters/', copied),
    statistics: withPrefix(tensors, 'statistics/', copied),
    moments: withPrefix(tensors, 'moments/', copied),
    scores: withPrefix(tensors, 'scores/', copied),
    gates: withPrefix(tensors, 'gates/', copied),
  }
  const { parameters, statistics } = run.executor
  for (const [group, list] of [
    ['parameters', parameters],
    ['statistics', statistics],
    ['moments', parameters],
    ['scores', parameters.filter(({ name }) => run.scores.has(name))],
  ] as const) {
    const misfit = list.find(({ name }) => held[group].get(name)?.length !== sizeIn(graph, name))
    if (misfit !== undefined) {
      const found = held[group].get(misfit.name)
      const expected = `${sizeIn(graph, misfit.name)} numbers in ${group}/${misfit.name}`
      return notOurs(path, expected, found === undefined ? 'none' : `${found.length}`)
    }
    const known = new Set(list.map(({ name }) => name))
    for (const name of held[group].keys()) {
      if (!known.has(name)) return notOurs(path, `${group} of this network`, `those of ${name}`)
    }
  }
  const gated = gateArrays(run.gates)
  const other = [...gated.keys(), ...held.gates.keys()].find(
    (name) => held.gates.get(name)?.length !== gated.get(name)?.length,
  )
  if (other !== undefined) {
    const [expected, found] = [gated, held.gates].map((arrays) => arrays.get(other)?.length ?? 'none')
    return notOurs(path, `${expected} numbers in gates/${other}`, `${found}`)
  }
  const moved = moveRun(run, graph, sparse.right, held)
  if (E.isLeft(moved)) return moved
  Object.assign(run, { cursor, step: saved.step, tally: saved.tally, history: [...saved.history] })
  return E.right(undefined)
}

const sizeIn = (graph: Graph, name: ValueId): number => sizeOf(graph.constants.get(name)?.shape ?? [])

const copied = (tensor: Dense): Float32Array => float32View(tensor).slice()

const withPrefix = <T>(
  tensors: ReadonlyMap<string, Dense>,
  prefix: string,
  of: (tensor: Dense) => T,
): ReadonlyMap<ValueId, T> => {
  const out = new Map<ValueId, T>()
  for (const [name, tensor] of tensors) if (name.startsWith(prefix)) out.set(name.slice(prefix.length), of(tensor))
  return out
}

/** The graph without the channels that a later state of the run has lost. */
const graphFor = (run: Run, channels: ReadonlyArray<Uint32Array>): Graph => {
  const removed = run.sparse.removed.map((marks, s) => {
    const left = new Set(channels[s])
    return marks.map((_, c) => (left.has(c) ? 0 : 1))
  })
  const { graph } = run.executor
  return slimGraph(graph, { ...run.sparse, removed }, namesHeld(run.executor))?.graph ?? graph
}

const isCount = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x >= 0

const isSaved = (x: unknown): x is Saved => {
  if (!isRecord(x) || x['version'] !== 2) return false
  const { identity, step, tally, history, densities } = x
  if (!isRecord(identity) || !isCount(step) || !isRecord(tally) || !Array.isArray(history)) return false
  return (
    ['loss', 'correct', 'images', 'steps', 'seconds'].every((key) => Number.isFinite(tally[key])) &&
    history.every(isEntry) &&
    (densities === undefined || (Array.isArray(densities) && densities.every((d) => typeof d === 'number')))
  )
}

const savedOf = (text: string | undefined): Saved | undefined => {
  const parsed = E.tryCatch((): unknown => JSON.parse(text ?? '', revived), E.toError)
  return E.isRight(parsed) && isSaved(parsed.right) ? parsed.right : undefined
}
