/**
 * Packed masks: several small tensors in the place of one mask, told by the last parts of their names. With `NAME.shape`, int64, the
 * shape of the weight, stand the parts of one layout, `NAME.bitmask` for example; each has a file here, a line in `layouts`, and one in `pack.ts`.
 */
import * as E from 'fp-ts/lib/Either.js'
import { dense, type Dense, elements } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { countOf, type FileEntry, tensorFileError, type TensorFileError } from '../file-entry.ts'
import { bitmask } from './bitmask.ts'
import { blocks } from './blocks.ts'
import { diagonals } from './diagonals.ts'
import { fanIn } from './fan-in.ts'
import { groups } from './groups.ts'
import type { PackedLayout } from './layout.ts'

const layouts: ReadonlyArray<PackedLayout> = [bitmask, diagonals, blocks, fanIn, groups]

/** Parts of compressed weights that hold no places: their numbers. */
const numbers = ['compressed', 'row_offsets', 'values'] as const

/** Says in a file's metadata that NAME is all of a weight's name. */
export const packedKey = 'chasec.masks'

const help = 'Mend the file, or save the mask as one tensor of 0 and 1.'

/**
 * The entries of a file with those of packed masks replaced by the masks, which are expanded when they are decoded. NAME is the
 * weight's name where the file says so (`isOurs`); else it may lack its `.weight`, as some of compressed-tensors, and beside other
 * tensors, which are weights then, masks are called masks.
 *
 * Errors: two layouts for one weight, a part that is missing, a shape that is none.
 */
export const unpackEntries = (
  entries: ReadonlyArray<FileEntry>,
  isOurs: boolean,
): E.Either<TensorFileError, ReadonlyArray<FileEntry>> => {
  const known = new Map(entries.map((entry) => [entry.name, entry]))
  const found = new Map<string, PackedLayout>()
  for (const { name } of entries) {
    const at = name.lastIndexOf('.')
    const [owner, part] = [name.slice(0, at), name.slice(at + 1)]
    const layout = layouts.find(({ key }) => key === part)
    if (at < 1 || layout === undefined || !known.has(`${owner}.shape`)) continue
    const other = found.get(owner)
    if (other !== undefined) {
      return E.left(tensorFileError(`packed mask ${owner}`, 'one layout', `${other.name} and ${layout.name}`, help))
    }
    found.set(owner, layout)
  }
  if (found.size === 0) return E.right(entries)
  const taken = new Set<string>()
  const masks: FileEntry[] = []
  for (const [owner, layout] of found) {
    const one = packedEntry(owner, layout, known)
    if (E.isLeft(one)) return one
    masks.push(one.right)
    const parts = ['shape', layout.key, ...layout.required, ...layout.optional, ...numbers]
    for (const part of parts) taken.add(`${owner}.${part}`)
  }
  const others = entries.filter(({ name }) => !taken.has(name))
  const nameOf = (owner: string): string => {
    if (isOurs) return owner
    return `${owner.endsWith('.weight') ? owner : `${owner}.weight`}${others.length === 0 ? '' : '_mask'}`
  }
  return E.right([...masks.map((mask) => ({ ...mask, name: nameOf(mask.name) })), ...others])
}

const packedEntry = (
  owner: string,
  layout: PackedLayout,
  known: ReadonlyMap<string, FileEntry>,
): E.Either<TensorFileError, FileEntry> => {
  const problem = (subject: string, expected: string, found: string): E.Either<TensorFileError, never> =>
    E.left(tensorFileError(subject, expected, found, help))
  const missing = layout.required.find((part) => !known.has(`${owner}.${part}`))
  if (missing !== undefined) return problem(`tensor ${owner}.${missing}`, `a part of the ${layout.name}`, 'none')
  const sizes = known.get(`${owner}.shape`)
  const decoded = sizes?.decode()
  if (decoded === undefined || E.isLeft(decoded)) return decoded ?? problem(owner, 'a shape', 'none')
  const shape = shapeOf(decoded.right)
  if (shape === undefined) {
    return problem(
      `tensor ${owner}.shape`,
      'the shape of a weight of fewer than 2^31 elements',
      shapeText(decoded.right),
    )
  }
  return E.right({
    name: owner,
    size: sizeOf(shape),
    shape,
    dtype: 'bool',
    decode: () => {
      // An axis of any length costs nothing where there is nothing along it.
      if (sizeOf(shape) === 0) return E.right(dense('bool', shape, new Uint8Array(0)))
      const parts = new Map<string, Dense>()
      for (const part of [layout.key, ...layout.required, ...layout.optional]) {
        const tensor = known.get(`${owner}.${part}`)?.decode()
        if (tensor === undefined) continue
        if (E.isLeft(tensor)) return tensor
        parts.set(part, tensor.right)
      }
      const kept = layout.unpack(parts, shape)
      if (E.isRight(kept)) return E.right(dense('bool', shape, kept.right))
      const { part, expected, found } = kept.left
      return problem(`tensor ${owner}.${part}`, expected, found)
    },
  })
}

/** Elements of any weight: as many bytes as one array may have everywhere. */
const mostElements = 2 ** 31 - 1

/** Axes of any weight: more are no shape. */
const mostAxes = 64

const shapeText = (tensor: Dense): string =>
  `${tensor.dtype} [${Array.from(elements(tensor), String).slice(0, 8).join(',')}]`

/** A shape that a tensor of integers holds, in whatever shape it is itself; undefined where it holds none. */
const shapeOf = (tensor: Dense): ReadonlyArray<number> | undefined => {
  if (tensor.dtype !== 'int64' && tensor.dtype !== 'int32') return undefined
  if (sizeOf(tensor.shape) > mostAxes) return undefined
  const shape = Array.from(elements(tensor), Number)
  const count = countOf(shape)
  return count === undefined || count > mostElements ? undefined : shape
}
