/** What is in the files of a zip archive, checked against its length and CRC-32. Only here anything is inflated. */
import { Inflate } from 'fflate'
import * as E from 'fp-ts/lib/Either.js'
import type { TensorFileError } from './file-entry.ts'
import { broken, type ZipEntry } from './zip.ts'

/** The content of a file. Never gives, nor holds, more than a small buffer beyond `size` bytes. */
export const contentOf = ({ name, size, stored, data, checksum }: ZipEntry): E.Either<TensorFileError, Uint8Array> => {
  const subject = `zip entry ${name}`
  const content = stored ? data : inflate(data, size)
  if (content === undefined) return broken(`deflated data of ${size} bytes`, 'other data', subject)
  if (checksum !== undefined && crc32(content) !== checksum)
    return broken('data with the checksum it was written with', 'other data', subject)
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
