/** Taking files out of a wheel, which is a zip archive, on disk: neither the archive nor a file of it is ever held. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { crc32, createInflateRaw } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { type DirectoryRecord, readDirectory } from '../../../masks/zip.ts'
import { cudaError, Interruption } from './error.ts'

/** A file in an archive. */
export interface Member {
  readonly name: string
  readonly bytes: number
  /** Its content, inflated. Throws an {@link Interruption} where it is damaged. */
  readonly chunks: AsyncIterable<Uint8Array>
}

/** Where the directory of an archive has to be: in so many of its last bytes. */
const directoryBytes = 2 ** 23

const localLength = 30

/** The files of the archive at `path` whose names are `wanted`. Throws an {@link Interruption} where it is no archive. */
export const membersOf = async (path: string, wanted: (name: string) => boolean): Promise<ReadonlyArray<Member>> => {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const before = Math.max(0, size - directoryBytes)
    const directory = readDirectory(await read(file, before, size - before), before)
    if (E.isLeft(directory)) {
      const { expected, found } = directory.left
      throw new Interruption(cudaError(path, `a wheel with ${expected}`, found, damaged))
    }
    const members: Member[] = []
    for (const record of directory.right.records.filter(({ name }) => wanted(name))) {
      const header = await read(file, record.offset, localLength)
      const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
      const start = record.offset + localLength + view.getUint16(26, true) + view.getUint16(28, true)
      members.push({ name: record.name, bytes: record.size, chunks: contentOf(path, record, start) })
    }
    return members
  } finally {
    await file.close()
  }
}

const damaged = 'Nothing was changed. Name another index with --index-url: this one has a damaged file.'

const read = async (file: FileHandle, start: number, length: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length)
  let at = 0
  while (at < length) {
    const { bytesRead } = await file.read(bytes, at, length - at, start + at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return bytes
}

async function* contentOf(
  path: string,
  { name, method, compressed, size, crc }: DirectoryRecord,
  start: number,
): AsyncGenerator<Uint8Array> {
  const wrong = (): Interruption => new Interruption(cudaError(name, `${size} bytes in ${path}`, 'others', damaged))
  let [length, sum] = [0, 0]
  if (compressed > 0) {
    const stored = createReadStream(path, { start, end: start + compressed - 1, highWaterMark: 2 ** 20 })
    const content = method === 0 ? stored : pipeline(stored, createInflateRaw({ chunkSize: 2 ** 20 }), () => undefined)
    try {
      for await (const chunk of content) {
        if (!(chunk instanceof Uint8Array)) throw wrong()
        length += chunk.byteLength
        if (length > size) throw wrong()
        sum = crc32(chunk, sum)
        yield chunk
      }
    } catch (thrown) {
      const isInflate = thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('Z_')
      throw isInflate ? wrong() : thrown
    }
  }
  if (length !== size || sum !== crc) throw wrong()
}
