/**
 * Reading zip archives of stored and deflated files. Sizes come from the central directory and are checked before
 * anything is inflated; contents are checked against their lengths and CRC-32. Zip64, encryption and archives in several parts
 * are refused.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import { Inflate } from 'fflate'
import * as E from 'fp-ts/lib/Either.js'
import { tensorFileError, type TensorFileError } from './file-entry.ts'

export interface ZipEntry {
  readonly name: string
  /** Bytes after inflating, as the archive declares them. */
  readonly size: number
  /** Inflates the file. Never gives, nor holds, more than a small buffer beyond `size` bytes. */
  readonly content: () => E.Either<TensorFileError, Uint8Array>
}

export const looksLikeZip = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && ((bytes[2] === 3 && bytes[3] === 4) || (bytes[2] === 5 && bytes[3] === 6))

const localHeader = 0x04034b50
const centralHeader = 0x02014b50
const endRecord = 0x06054b50
const endLength = 22
const longestComment = 0xffff

/** No byte of deflated data stands for more than this: 258 bytes take two bits. */
const deflateRatio = 1032

const broken = (expected: string, found: string, subject = 'zip archive'): E.Either<TensorFileError, never> =>
  E.left(tensorFileError(subject, expected, found, 'The archive is damaged; write it again.'))

/** The files of an archive in the order of its directory. */
export const readZip = (bytes: Uint8Array): E.Either<TensorFileError, ReadonlyArray<ZipEntry>> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = findEnd(view)
  if (end === undefined) return broken('a directory at its end', 'none')
  const count = view.getUint16(end + 10, true)
  const size = view.getUint32(end + 12, true)
  const start = view.getUint32(end + 16, true)
  if (size === 0xffffffff || start === 0xffffffff || count === 0xffff) {
    return E.left(
      tensorFileError('zip archive', 'at most 4 GiB', 'a Zip64 archive', 'Use safetensors for files this large.'),
    )
  }
  if (view.getUint32(end + 4, true) !== 0 || view.getUint16(end + 8, true) !== count) {
    return broken('one part', 'one of several')
  }
  if (start + size !== end) return broken('a directory right before its end record', `${size} bytes at ${start}`)
  const records: DirectoryRecord[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const record = readRecord(view, bytes, at, end)
    if (E.isLeft(record)) return record
    records.push(record.right)
    at = record.right.next
  }
  if (at !== end) return broken(`${count} entries in the directory`, `${end - at} bytes more`)
  const names = new Set<string>()
  for (const { name } of records) {
    if (names.has(name)) return broken('every name once', `${name} twice`)
    names.add(name)
  }
  return locate(view, bytes, records, start)
}

/** Where the end record is: it names the length of the comment after it, which must reach the end of the file. */
const findEnd = (view: DataView): number | undefined => {
  const last = view.byteLength - endLength
  for (let at = last; at >= 0 && at >= last - longestComment; at--) {
    if (view.getUint32(at, true) === endRecord && at + endLength + view.getUint16(at + 20, true) === view.byteLength) {
      return at
    }
  }
  return undefined
}

interface DirectoryRecord {
  readonly name: string
  readonly rawName: Uint8Array
  readonly method: number
  readonly crc: number
  readonly compressed: number
  readonly size: number
  readonly offset: number
  readonly next: number
}

const readRecord = (
  view: DataView,
  bytes: Uint8Array,
  at: number,
  end: number,
): E.Either<TensorFileError, DirectoryRecord> => {
  if (at + 46 > end || view.getUint32(at, true) !== centralHeader) return broken('a directory entry', `none at ${at}`)
  const flags = view.getUint16(at + 8, true)
  const nameLength = view.getUint16(at + 28, true)
  const next = at + 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  if (next > end) return broken('a directory entry that ends with the directory', `${next - end} bytes more`)
  const rawName = bytes.subarray(at + 46, at + 46 + nameLength)
  const name = E.tryCatch(
    () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(rawName),
    () => undefined,
  )
  if (E.isLeft(name)) return broken('names in UTF-8', 'another encoding')
  const subject = `zip entry ${name.right}`
  if ((flags & 0x2041) !== 0) return broken('no encryption', 'an encrypted file', subject)
  const method = view.getUint16(at + 10, true)
  if (method !== 0 && method !== 8) return broken('a stored or deflated file', `compression method ${method}`, subject)
  const compressed = view.getUint32(at + 20, true)
  const size = view.getUint32(at + 24, true)
  const offset = view.getUint32(at + 42, true)
  if (compressed === 0xffffffff || size === 0xffffffff || offset === 0xffffffff) {
    return E.left(tensorFileError(subject, 'at most 4 GiB', 'a Zip64 entry', 'Use safetensors for files this large.'))
  }
  if (method === 8 && size > compressed * deflateRatio) {
    return broken(`at most ${compressed * deflateRatio} bytes from ${compressed} deflated ones`, `${size}`, subject)
  }
  if (method === 0 && compressed !== size) return broken(`${size} bytes stored as they are`, `${compressed}`, subject)
  return E.right({
    name: name.right,
    rawName,
    method,
    crc: view.getUint32(at + 16, true),
    compressed,
    size,
    offset,
    next,
  })
}

/** Finds each file's data behind its local header; no two may overlap. */
const locate = (
  view: DataView,
  bytes: Uint8Array,
  records: ReadonlyArray<DirectoryRecord>,
  directory: number,
): E.Either<TensorFileError, ReadonlyArray<ZipEntry>> => {
  const entries = new Map<DirectoryRecord, ZipEntry>()
  let free = 0
  for (const record of records.toSorted((a, b) => a.offset - b.offset)) {
    const { name, rawName, offset, compressed } = record
    const subject = `zip entry ${name}`
    if (offset < free) return broken('files that do not overlap', `a file at ${offset}`, subject)
    if (offset + 30 > directory || view.getUint32(offset, true) !== localHeader) {
      return broken('a header', `none at ${offset}`, subject)
    }
    const nameLength = view.getUint16(offset + 26, true)
    const start = offset + 30 + nameLength + view.getUint16(offset + 28, true)
    free = start + compressed
    if (free > directory)
      return broken('a file that ends before the directory', `${free - directory} bytes more`, subject)
    const localName = bytes.subarray(offset + 30, offset + 30 + nameLength)
    if (localName.length !== rawName.length || localName.some((b, i) => b !== rawName[i])) {
      return broken('the same name in its header', 'another', subject)
    }
    const data = bytes.subarray(start, free)
    entries.set(record, { name, size: record.size, content: () => contentOf(record, data) })
  }
  return E.right(records.flatMap((record) => entries.get(record) ?? []))
}

const contentOf = (record: DirectoryRecord, data: Uint8Array): E.Either<TensorFileError, Uint8Array> => {
  const subject = `zip entry ${record.name}`
  const content = record.method === 0 ? data : inflate(data, record.size)
  if (content === undefined) return broken(`deflated data of ${record.size} bytes`, 'other data', subject)
  if (crc32(content) !== record.crc) return broken('data with the checksum it was written with', 'other data', subject)
  return E.right(content)
}

/** Deflated bytes inflated at a time: a thousandfold of this is what one step can take. */
const step = 16_384

/** Inflates to exactly `size` bytes, stopping as soon as there are more. */
const inflate = (data: Uint8Array, size: number): Uint8Array | undefined => {
  const out = new Uint8Array(size)
  let at = 0
  const stream = new Inflate((chunk) => {
    if (at + chunk.length <= size) out.set(chunk, at)
    at += chunk.length
  })
  try {
    for (let start = 0; start < data.length && at <= size; start += step) {
      stream.push(data.subarray(start, start + step), start + step >= data.length)
    }
  } catch {
    return undefined
  }
  return at === size ? out : undefined
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

const crc32 = (bytes: Uint8Array): number => {
  let c = 0xffffffff
  for (const b of bytes) c = (c >>> 8) ^ (crcTable[(c ^ b) & 0xff] ?? 0)
  return (c ^ 0xffffffff) >>> 0
}
