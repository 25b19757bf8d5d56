/** Mask files built by hand, byte by byte, for tests of the readers. */
import { deflateSync } from 'fflate'

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const little = (width: number, value: number): Uint8Array =>
  Uint8Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256)

/** A safetensors file with this header, taken as it is, and data. */
export const safetensors = (header: string | object, data: ReadonlyArray<number> = [], length?: number): Uint8Array => {
  const json = utf8(typeof header === 'string' ? header : JSON.stringify(header))
  return concat(little(8, length ?? json.length), json, Uint8Array.from(data))
}

export const npyHeader = (descr: string, shape: string, fortran = 'False'): string =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }`

/** A .npy file with this header, taken as it is, and data. */
export const npy = (header: string, data: ReadonlyArray<number>, version = 1, length?: number): Uint8Array => {
  const text = utf8(`${header}\n`)
  const magic = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0)
  return concat(magic, little(version === 1 ? 2 : 4, length ?? text.length), text, Uint8Array.from(data))
}

export interface ZipFile {
  readonly name: string
  readonly content: Uint8Array
  readonly deflated?: boolean
  /** What the archive says instead of the truth. */
  readonly size?: number
  readonly compressed?: number
  readonly crc?: number
  readonly flags?: number
  readonly method?: number
  readonly offset?: number
  readonly localName?: string
}

export const crcOf = (bytes: Uint8Array): number => {
  let c = 0xffffffff
  for (const byte of bytes) {
    c ^= byte
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  }
  return (c ^ 0xffffffff) >>> 0
}

export interface ZipLies {
  readonly count?: number
  readonly directoryOffset?: number
  readonly comment?: string
  readonly before?: Uint8Array
}

export const zip = (files: ReadonlyArray<ZipFile>, lies: ZipLies = {}): Uint8Array => {
  const parts: Uint8Array[] = [lies.before ?? new Uint8Array()]
  const directory: Uint8Array[] = []
  let at = parts[0]?.length ?? 0
  for (const file of files) {
    const data = file.deflated === true ? deflateSync(file.content) : file.content
    const name = utf8(file.name)
    const local = utf8(file.localName ?? file.name)
    const common = concat(
      little(2, 20),
      little(2, file.flags ?? 0),
      little(2, file.method ?? (file.deflated === true ? 8 : 0)),
      little(4, 0),
      little(4, file.crc ?? crcOf(file.content)),
      little(4, file.compressed ?? data.length),
      little(4, file.size ?? file.content.length),
    )
    const header = concat(little(4, 0x04034b50), common, little(2, local.length), little(2, 0), local)
    directory.push(
      concat(
        little(4, 0x02014b50),
        little(2, 20),
        common,
        little(2, name.length),
        little(2, 0),
        little(2, 0),
        little(2, 0),
        little(2, 0),
        little(4, 0),
        little(4, file.offset ?? at),
        name,
      ),
    )
    parts.push(header, data)
    at += header.length + data.length
  }
  const entries = concat(...directory)
  const comment = utf8(lies.comment ?? '')
  const count = lies.count ?? files.length
  const end = concat(
    little(4, 0x06054b50),
    little(4, 0),
    little(2, count),
    little(2, count),
    little(4, entries.length),
    little(4, lies.directoryOffset ?? at),
    little(2, comment.length),
    comment,
  )
  return concat(...parts, entries, end)
}
