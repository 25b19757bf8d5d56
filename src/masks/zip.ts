/**
 * The directory of zip archives of stored and deflated files; `zip-content.ts` has what is in the files. Sizes come from the
 * directory and are checked before anything is inflated. Zip64 is read wherever sizes, offsets or
 * counts need it, and its end record, which PyTorch always writes, must agree with the plain one. Encryption and archives in
 * several parts are refused.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import * as E from 'fp-ts/lib/Either.js'
import { tensorFileError, type TensorFileError } from './file-entry.ts'

export interface ZipEntry {
  readonly name: string
  /** Bytes after inflating, as the archive declares them. */
  readonly size: number
  /** Whether its bytes are in the archive as they are, so that its content is a view. */
  readonly stored: boolean
  /** Its bytes in the archive, deflated where they are not stored. */
  readonly data: Uint8Array
  /** The CRC-32 of its content; undefined in archives without checksums. */
  readonly checksum: number | undefined
}

export const looksLikeZip = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && ((bytes[2] === 3 && bytes[3] === 4) || (bytes[2] === 5 && bytes[3] === 6))

const localHeader = 0x04034b50
const centralHeader = 0x02014b50
const endRecord = 0x06054b50
const endLength = 22
const end64Record = 0x06064b50
const end64Length = 56
const locatorRecord = 0x07064b50
const locatorLength = 20
/** What the plain records hold where Zip64 has the number. */
const elsewhere32 = 0xffffffff
const elsewhere16 = 0xffff
const longestComment = 0xffff

/** No byte of deflated data stands for more than this: 258 bytes take two bits. */
const deflateRatio = 1032

export const broken = (expected: string, found: string, subject = 'zip archive'): E.Either<TensorFileError, never> =>
  E.left(tensorFileError(subject, expected, found, 'The archive is damaged; write it again.'))

/** The files of an archive in the order of its directory. */
export const readZip = (bytes: Uint8Array): E.Either<TensorFileError, ReadonlyArray<ZipEntry>> => {
  const directory = readDirectory(bytes, 0)
  if (E.isLeft(directory)) return directory
  const { records, start } = directory.right
  return locate(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes, records, start)
}

/** The directory of an archive and where it starts. */
export interface ZipDirectory {
  readonly records: ReadonlyArray<DirectoryRecord>
  readonly start: number
}

/**
 * The directory at the end of an archive of which `tail` is all but the first `before` bytes: of archives that are too large to be
 * held. Places are counted from the start of the archive, {@link ZipDirectory.start} from that of the tail.
 */
export const readDirectory = (tail: Uint8Array, before: number): E.Either<TensorFileError, ZipDirectory> => {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  const end = findEnd(view)
  if (end === undefined) return broken('a directory at its end', 'none')
  const found = findDirectory(view, end, before)
  if (E.isLeft(found)) return found
  const { count, start, limit } = found.right
  const records: DirectoryRecord[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const record = readRecord(view, tail, at, limit)
    if (E.isLeft(record)) return record
    records.push(record.right)
    at = record.right.next
  }
  if (at !== limit) return broken(`${count} entries in the directory`, `${limit - at} bytes more`)
  const names = new Set<string>()
  for (const { name } of records) {
    if (names.has(name)) return broken('every name once', `${name} twice`)
    names.add(name)
  }
  return E.right({ records, start })
}

interface Directory {
  readonly count: number
  readonly start: number
  /** Where it ends. */
  readonly limit: number
}

/** The directory that the end record at `end` describes, by itself or through the Zip64 records before it. */
const findDirectory = (view: DataView, end: number, before: number): E.Either<TensorFileError, Directory> => {
  const count = view.getUint16(end + 10, true)
  const size = view.getUint32(end + 12, true)
  const start = view.getUint32(end + 16, true)
  const overflows = size === elsewhere32 || start === elsewhere32 || count === elsewhere16
  if (!overflows) {
    if (view.getUint32(end + 4, true) !== 0 || view.getUint16(end + 8, true) !== count) {
      return broken('one part', 'one of several')
    }
    if (start + size === before + end) return within({ count, start: start - before, limit: end })
  }
  const locator = end - locatorLength
  if (locator < 0 || view.getUint32(locator, true) !== locatorRecord) {
    return overflows
      ? broken('a Zip64 end record', 'none')
      : broken('a directory right before its end record', `${size} bytes at ${start}`)
  }
  const at = uint64(view, locator + 8) - before
  const parts = view.getUint32(locator + 4, true) + view.getUint32(locator + 16, true)
  if (at < 0 || at + end64Length > locator || view.getUint32(at, true) !== end64Record) {
    return broken('a Zip64 end record', `none at ${at}`)
  }
  const length = uint64(view, at + 4)
  if (at + 12 + length !== locator || length < end64Length - 12) {
    return broken('a Zip64 end record right before its locator', `${length} bytes at ${at}`)
  }
  const wide: Directory = { count: uint64(view, at + 32), start: uint64(view, at + 48), limit: at }
  const wideSize = uint64(view, at + 40)
  const disks = view.getUint32(at + 16, true) + view.getUint32(at + 20, true) + view.getUint32(end + 4, true)
  if (disks !== 0 || parts !== 1 || uint64(view, at + 24) !== wide.count) return broken('one part', 'one of several')
  const agrees =
    (count === elsewhere16 || count === wide.count) &&
    (size === elsewhere32 || size === wideSize) &&
    (start === elsewhere32 || start === wide.start)
  if (!agrees) return broken('the same directory in both end records', 'two')
  if (wide.start + wideSize !== before + at) {
    return broken('a directory right before its end record', `${wideSize} bytes at ${wide.start}`)
  }
  return within({ ...wide, start: wide.start - before })
}

/** A directory, unless it starts before the bytes that are there. */
const within = (directory: Directory): E.Either<TensorFileError, Directory> =>
  directory.start < 0 ? broken('a directory of a few megabytes', 'a larger one') : E.right(directory)

/** Above 2^53 it comes out rounded, and is beyond the end of any file all the same. */
const uint64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true))

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

/** What the directory says of a file. */
export interface DirectoryRecord {
  readonly name: string
  readonly rawName: Uint8Array
  readonly flags: number
  /** 0: stored; 8: deflated. */
  readonly method: number
  readonly crc: number
  readonly compressed: number
  readonly size: number
  /** Where its local header is. */
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
  const sizes = sizesOf(view, at, nameLength)
  if (sizes === undefined) return broken('sizes in its Zip64 field', 'none', subject)
  const { size, compressed, offset } = sizes
  if (method === 8 && size > compressed * deflateRatio) {
    return broken(`at most ${compressed * deflateRatio} bytes from ${compressed} deflated ones`, `${size}`, subject)
  }
  if (method === 0 && compressed !== size) return broken(`${size} bytes stored as they are`, `${compressed}`, subject)
  return E.right({
    name: name.right,
    rawName,
    flags,
    method,
    crc: view.getUint32(at + 16, true),
    compressed,
    size,
    offset,
    next,
  })
}

interface Sizes {
  readonly size: number
  readonly compressed: number
  readonly offset: number
}

/** The sizes and the place of the file whose directory entry is at `at`; undefined where they are nowhere. */
const sizesOf = (view: DataView, at: number, nameLength: number): Sizes | undefined => {
  const size = view.getUint32(at + 24, true)
  const compressed = view.getUint32(at + 20, true)
  const offset = view.getUint32(at + 42, true)
  if (size !== elsewhere32 && compressed !== elsewhere32 && offset !== elsewhere32) return { size, compressed, offset }
  const field = zip64Field(view, at + 46 + nameLength, view.getUint16(at + 30, true))
  if (field === undefined) return undefined
  // The field holds only those numbers that did not fit, in this order.
  let next = field.start
  const wide = [size, compressed, offset].map((narrow) => {
    if (narrow !== elsewhere32) return narrow
    next += 8
    return next > field.end ? undefined : uint64(view, next - 8)
  })
  const [wideSize, wideCompressed, wideOffset] = wide
  if (wideSize === undefined || wideCompressed === undefined || wideOffset === undefined) return undefined
  return { size: wideSize, compressed: wideCompressed, offset: wideOffset }
}

interface Range {
  readonly start: number
  readonly end: number
}

/** The Zip64 field among the `length` bytes of extra fields at `start`. */
const zip64Field = (view: DataView, start: number, length: number): Range | undefined => {
  let at = start
  while (at + 4 <= start + length) {
    const end = at + 4 + view.getUint16(at + 2, true)
    if (end > start + length) return undefined
    if (view.getUint16(at, true) === 1) return { start: at + 4, end }
    at = end
  }
  return undefined
}

/**
 * Finds each file's data behind its local header; no two may overlap. An archive whose checksums are all 0 and were to
 * follow the data has none: PyTorch writes such ones when told to.
 */
const locate = (
  view: DataView,
  bytes: Uint8Array,
  records: ReadonlyArray<DirectoryRecord>,
  directory: number,
): E.Either<TensorFileError, ReadonlyArray<ZipEntry>> => {
  const entries = new Map<DirectoryRecord, ZipEntry>()
  const summed = records.some(({ crc, flags }) => crc !== 0 || (flags & 8) === 0)
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
    entries.set(record, {
      name,
      size: record.size,
      stored: record.method === 0,
      data: bytes.subarray(start, free),
      checksum: summed ? record.crc : undefined,
    })
  }
  return E.right(records.flatMap((record) => entries.get(record) ?? []))
}
