/** Which tensors of a file are masks, which are the weights beside them, and the masks decoded. */
import * as E from 'fp-ts/lib/Either.js'
import { stridesOf } from '../../ir/evaluate.ts'
import { failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { type Dense, elements, isNumeric, type Tensor } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { FileEntry } from '../file-entry.ts'
import type { MaskFileError } from './error.ts'
import { resolveWeights } from '../weights.ts'
import { namesMask, parameterName, type ParameterName } from './parameter-name.ts'

/** A mask of a file: 0 and 1, one for each element. */
export interface MaskTensor {
  /** As messages call it. */
  readonly label: string
  readonly name: ParameterName
  readonly shape: ReadonlyArray<number>
  readonly kept: Uint8Array
  /** Whether it keeps everything. */
  readonly whole: boolean
}

export interface Sorted {
  readonly masks: ReadonlyArray<FileEntry>
  readonly weights: ReadonlyArray<FileEntry>
}

/**
 * A file that holds masks alone holds nothing else. Else they are in a container that is called after masks
 * (`{'state_dict': .., 'masks': ..}`), or their names say it (`conv1.weight_mask` beside `conv1.weight_orig`).
 */
export const sortEntries = (entries: ReadonlyArray<FileEntry>): Sorted => {
  const inContainer = (entry: FileEntry): boolean => entry.within?.some((key) => /masks?$/i.test(key)) ?? false
  const named = (entry: FileEntry): boolean => namesMask(entry.name)
  for (const isMask of [inContainer, named]) {
    const masks = entries.filter(isMask)
    if (masks.length > 0) return { masks, weights: entries.filter((entry) => !isMask(entry)) }
  }
  return { masks: entries, weights: [] }
}

/** Bytes that a mask may take beyond eight for each element of its weight: a file format's header. */
const headerAllowance = 65_536

/**
 * The masks of `entries` decoded. An entry that takes more bytes than a mask of the largest constant of `graph` could is
 * refused without being decoded, and so is one of a known name that is larger than its weight's could be.
 */
export const decodeMaskTensors = (
  entries: ReadonlyArray<FileEntry>,
  graph: Graph,
): { readonly masks: ReadonlyArray<MaskTensor>; readonly problems: ReadonlyArray<MaskFileError> } => {
  const { constants, defaults } = resolveWeights(graph).graph
  let largest = 0
  for (const { shape } of [...constants.values(), ...defaults.values()]) {
    largest = Math.max(largest, sizeOf(shape))
  }
  const masks: MaskTensor[] = []
  const problems: MaskFileError[] = []
  for (const entry of entries) {
    const known = constants.get(entry.name)
    const limit = 8 * (known === undefined ? largest : sizeOf(known.shape)) + headerAllowance
    const mask = decodeMask(entry, limit, known === undefined ? 'a mask of a weight of the model' : shapeOf(known))
    if (E.isLeft(mask)) problems.push(mask.left)
    else masks.push(mask.right)
  }
  return { masks, problems }
}

const shapeOf = ({ shape }: Tensor): string => `0 and 1 in shape [${shape.join(',')}]`

/** What errors and maps call it: its key, behind those of the containers that it is in. */
export const labelOf = ({ within = [], name }: FileEntry): string => [...within, name].join('/')

const decodeMask = (entry: FileEntry, limit: number, expected: string): E.Either<MaskFileError, MaskTensor> => {
  const label = labelOf(entry)
  const broken = (expected: string, found: string, help: string): E.Either<MaskFileError, never> =>
    E.left(failure('MaskError', `mask ${label}`, expected, found, help))
  if (entry.size > limit) {
    return broken(expected, `${entry.size} bytes`, `No such mask takes more than ${limit} bytes.`)
  }
  const tensor = entry.decode()
  if (E.isLeft(tensor)) return tensor
  const { shape, dtype } = tensor.right
  if (!isNumeric(dtype)) {
    return broken('only 0 (masked) and 1 (kept)', `elements of type ${dtype}`, 'Save the mask as booleans.')
  }
  const kept = bits(tensor.right)
  if (E.isLeft(kept)) {
    const { at, value } = kept.left
    return broken(
      'only 0 (masked) and 1 (kept)',
      `${value} at [${indexOf(at, shape).join(',')}]`,
      'Masks are not weights: save where the weights are kept, for example as booleans. Of a model that was exported ' +
        'with its masked weights at zero, --masks zeros takes the zeros.',
    )
  }
  return E.right({
    label,
    name: parameterName(entry.name),
    shape,
    kept: kept.right,
    whole: !kept.right.includes(0),
  })
}

/** A tensor of 0 and 1 as bytes, or the first element that is neither. */
const bits = (tensor: Dense): E.Either<{ readonly at: number; readonly value: string }, Uint8Array> => {
  if (tensor.dtype === 'bool' || tensor.dtype === 'uint8') {
    const { bytes } = tensor
    for (let i = 0; i < bytes.length; i++) if ((bytes[i] ?? 0) > 1) return E.left({ at: i, value: String(bytes[i]) })
    return E.right(bytes)
  }
  const values = elements(tensor)
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i])
    if (value !== 0 && value !== 1) return E.left({ at: i, value: String(values[i]) })
  }
  return E.right(Uint8Array.from(values, Number))
}

/** Whether two masks of one shape keep the same. */
export const isSameMask = (a: MaskTensor, b: MaskTensor): boolean =>
  a.shape.length === b.shape.length &&
  a.shape.every((d, i) => d === b.shape[i]) &&
  a.kept.every((keep, i) => keep === b.kept[i])

const indexOf = (flat: number, shape: ReadonlyArray<number>): ReadonlyArray<number> =>
  stridesOf(shape).map((stride, axis) => Math.floor(flat / stride) % (shape[axis] ?? 1))
