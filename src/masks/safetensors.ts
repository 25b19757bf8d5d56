/**
 * The safetensors format, read strictly and written reproducibly. A file is the length of its header (8 bytes, little-endian), the
 * header (JSON: per name an element type, a shape and a byte range), and the bytes.
 * Format: https://github.com/huggingface/safetensors#format
 */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../ir/record.ts'
import { byteLength, type DType } from '../ir/dtype.ts'
import { invariant } from '../ir/failure.ts'
import { dense, type Dense, materialize, type Tensor } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import { countOf, tensorFileError, type TensorFileError } from './file-entry.ts'

/** The format's own limit on the header. */
const headerLimit = 100_000_000

const dtypeOf: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8e5m2'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['U16', 'uint16'],
  ['I16', 'int16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['U32', 'uint32'],
  ['I32', 'int32'],
  ['F32', 'float32'],
  ['U64', 'uint64'],
  ['I64', 'int64'],
  ['F64', 'float64'],
])

const codeOf: ReadonlyMap<DType, string> = new Map(Array.from(dtypeOf, ([code, dtype]) => [dtype, code]))

export interface TensorFile {
  readonly tensors: ReadonlyMap<string, Dense>
  readonly metadata: ReadonlyMap<string, string>
}

/** Whether bytes begin like a safetensors file. */
export const looksLikeSafetensors = (bytes: Uint8Array): boolean => bytes.length >= 9 && bytes[8] === 0x7b

/** Whether the header that the first eight bytes measure is in the file: so of no pickle, whose first bytes say far more. */
export const holdsHeader = (bytes: Uint8Array): boolean =>
  looksLikeSafetensors(bytes) &&
  new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true) <= BigInt(bytes.length - 8)

const broken = (expected: string, found: string, subject = 'safetensors file'): E.Either<TensorFileError, never> =>
  E.left(
    tensorFileError(
      subject,
      expected,
      found,
      'The file is damaged or was not written by a safetensors library; save it again.',
    ),
  )

/**
 * The tensors of a file, as views of its bytes, in the order of their data. Everything the format promises is checked:
 * the header's size and syntax, no name twice, known element types, byte ranges that match the shapes, follow one another
 * without gaps and end with the file.
 */
export const decodeSafetensors = (bytes: Uint8Array): E.Either<TensorFileError, TensorFile> => {
  if (bytes.length < 8) return broken('at least 8 bytes', `${bytes.length}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getBigUint64(0, true)
  if (length > BigInt(headerLimit)) return broken(`a header of at most ${headerLimit} bytes`, `${length}`)
  const start = 8 + Number(length)
  if (start > bytes.length) return broken(`a header of ${length} bytes`, `${bytes.length - 8} bytes after its length`)
  const header = parseHeader(bytes.subarray(8, start))
  if (E.isLeft(header)) return header
  const data = bytes.subarray(start)
  const metadata = new Map<string, string>()
  const infos: Info[] = []
  for (const [name, entry] of Object.entries(header.right)) {
    if (name === '__metadata__') {
      if (!isRecord(entry)) return broken('an object of strings', describe(entry), '__metadata__')
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string') return broken('a string', describe(value), `__metadata__ ${key}`)
        metadata.set(key, value)
      }
      continue
    }
    const info = infoOf(name, entry)
    if (E.isLeft(info)) return info
    infos.push(info.right)
  }
  infos.sort((a, b) => a.begin - b.begin || a.end - b.end)
  const tensors = new Map<string, Dense>()
  let at = 0
  for (const { name, dtype, shape, begin, end } of infos) {
    if (begin !== at)
      return broken(`data that starts at byte ${at}, where the data before it ends`, `${begin}`, `tensor ${name}`)
    if (end > data.length)
      return broken(`data within the ${data.length} bytes there are`, `an end at ${end}`, `tensor ${name}`)
    tensors.set(name, dense(dtype, shape, data.subarray(begin, end)))
    at = end
  }
  if (at !== data.length) return broken(`${at} bytes of data, as the header says`, `${data.length}`)
  return E.right({ tensors, metadata })
}

interface Info {
  readonly name: string
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  readonly begin: number
  readonly end: number
}

const infoOf = (name: string, entry: unknown): E.Either<TensorFileError, Info> => {
  const subject = `tensor ${name}`
  if (!isRecord(entry)) return broken('an object', describe(entry), subject)
  const extra = Object.keys(entry).find((key) => key !== 'dtype' && key !== 'shape' && key !== 'data_offsets')
  if (extra !== undefined) return broken('dtype, shape and data_offsets only', extra, subject)
  const { dtype: code, shape, data_offsets: offsets } = entry
  const dtype = typeof code === 'string' ? dtypeOf.get(code) : undefined
  if (dtype === undefined)
    return broken(`an element type of ${[...dtypeOf.keys()].join(', ')}`, describe(code), subject)
  if (!isCounts(shape)) return broken('a shape of whole numbers', describe(shape), subject)
  const count = countOf(shape)
  if (count === undefined) return broken('fewer than 2^53 elements', `shape [${shape.join(',')}]`, subject)
  if (!isCounts(offsets) || offsets.length !== 2) return broken('two data_offsets', describe(offsets), subject)
  const [begin = 0, end = 0] = offsets
  const size = byteLength(dtype, count)
  if (end - begin !== size) return broken(`${size} bytes for ${code}[${shape.join(',')}]`, `${end - begin}`, subject)
  return E.right({ name, dtype, shape, begin, end })
}

const isCounts = (x: unknown): x is ReadonlyArray<number> =>
  Array.isArray(x) && x.every((d) => Number.isSafeInteger(d) && d >= 0)

const describe = (x: unknown): string => (x === undefined ? 'none' : JSON.stringify(x).slice(0, 80))

const parseHeader = (bytes: Uint8Array): E.Either<TensorFileError, Readonly<Record<string, unknown>>> => {
  if (bytes[0] !== 0x7b) return broken('a header that starts with {', `byte ${bytes[0] ?? 'none'}`)
  const parsed = E.tryCatch(
    () => {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      const value: unknown = JSON.parse(text)
      return { text, value }
    },
    (cause) => (cause instanceof Error ? cause.message : String(cause)),
  )
  if (E.isLeft(parsed)) return broken('a header of JSON in UTF-8', parsed.left)
  const twice = repeatedKey(parsed.right.text)
  if (twice !== undefined) return broken('every name once', `${twice} twice`)
  return isRecord(parsed.right.value) ? E.right(parsed.right.value) : broken('a header that is an object', 'none')
}

/** A key that some object of well-formed JSON has twice. JSON.parse would silently take the last. */
const repeatedKey = (json: string): string | undefined => {
  const scopes: Array<Set<string>> = []
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g
  for (let match = token.exec(json); match !== null; match = token.exec(json)) {
    const [text, colon] = match
    if (text === '{') scopes.push(new Set())
    else if (text === '}') scopes.pop()
    else if (colon !== undefined) {
      const key: unknown = JSON.parse(text.slice(0, -colon.length))
      const scope = scopes.at(-1)
      if (typeof key !== 'string' || scope === undefined) continue
      if (scope.has(key)) return key
      scope.add(key)
    }
  }
  return undefined
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * A file with these tensors, as pieces to be written one after the other; a weight's bytes are not copied. The same
 * tensors give the same bytes: they are ordered by element size, largest first, then by name, and the header is padded to
 * a multiple of 8 bytes, so that every tensor is aligned to its elements. String and packed types have no place in the format.
 */
export const encodeSafetensors = (
  tensors: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): ReadonlyArray<Uint8Array> => {
  const width = (tensor: Tensor): number => byteLength(tensor.dtype, 1)
  const ordered = [...tensors].sort(([a, x], [b, y]) => width(y) - width(x) || byCodeUnits(a, b))
  const fields: string[] = []
  if (metadata.size > 0) {
    const pairs = [...metadata].sort(([a], [b]) => byCodeUnits(a, b))
    fields.push(`"__metadata__":{${pairs.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`)
  }
  let at = 0
  for (const [name, { dtype, shape }] of ordered) {
    const code = codeOf.get(dtype)
    invariant(code !== undefined && name !== '__metadata__', `a ${dtype} tensor ${name} in a safetensors file`)
    const end = at + byteLength(dtype, sizeOf(shape))
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${code}","shape":[${shape.join(',')}],"data_offsets":[${at},${end}]}`,
    )
    at = end
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`)
  const length = Math.ceil(json.length / 8) * 8
  const header = new Uint8Array(8 + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, 8)
  return [header, ...ordered.map(([, tensor]) => materialize(tensor).bytes)]
}
