/** Pickles and checkpoints put together by hand, instruction by instruction, for tests of the reader. */
import { concat, utf8, zip, type ZipFile } from '../files.ts'

/** Instructions as text, each character a byte, or as bytes. */
export type Part = string | Uint8Array

const bytesOf = (part: Part): Uint8Array =>
  typeof part === 'string' ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part

export const join = (...parts: ReadonlyArray<Part>): Uint8Array => concat(...parts.map(bytesOf))

/** A number in so many bytes, little-endian. */
export const little = (width: number, value: number | bigint): Uint8Array =>
  Uint8Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n))

export const pickle = (...parts: ReadonlyArray<Part>): Uint8Array => join('\x80\x02', ...parts, '.')

export const str = (text: string): Uint8Array => join('X', little(4, utf8(text).length), utf8(text))
export const int = (value: number | bigint): Uint8Array => join('\x8a\x09', little(9, value))
export const bytes = (content: Uint8Array): Uint8Array => join('B', little(4, content.length), content)
export const global = (module: string, name: string): Uint8Array => join(`c${module}\n${name}\n`)
export const tuple = (...items: ReadonlyArray<Part>): Uint8Array => join('(', ...items, 't')
export const ints = (...values: ReadonlyArray<number | bigint>): Uint8Array => tuple(...values.map(int))
export const list = (...items: ReadonlyArray<Part>): Uint8Array => join('](', ...items, 'e')
export const dict = (pairs: Readonly<Record<string, Part>>): Uint8Array =>
  join('}(', ...Object.entries(pairs).flatMap(([key, value]) => [str(key), value]), 'u')
export const call = (callee: Part, ...args: ReadonlyArray<Part>): Uint8Array => join(callee, tuple(...args), 'R')

export interface Memory {
  readonly type?: string
  readonly key?: string
  readonly count?: number | bigint
  readonly device?: string
}

export const storage = ({ type = 'Float', key = '0', count = 6, device = 'cpu' }: Memory = {}): Uint8Array =>
  join(tuple(str('storage'), global('torch', `${type}Storage`), str(key), str(device), int(count)), 'Q')

export interface Strided extends Memory {
  readonly offset?: number | bigint
  readonly shape?: ReadonlyArray<number | bigint>
  readonly strides?: ReadonlyArray<number | bigint>
}

/** A float tensor [2, 3] in the memory 0, unless said otherwise. */
export const tensor = ({ offset = 0, shape = [2, 3], strides = [3, 1], ...memory }: Strided = {}): Uint8Array =>
  call(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage(memory),
    int(offset),
    ints(...shape),
    ints(...strides),
    '\x89',
    call(global('collections', 'OrderedDict')),
  )

/** A checkpoint with this pickle, and memory; six floats in memory 0 unless said otherwise. */
export const archive = (
  content: Uint8Array,
  memory: Readonly<Record<string, Uint8Array>> = { 0: new Uint8Array(24) },
  others: ReadonlyArray<ZipFile> = [],
): Uint8Array =>
  zip([
    { name: 'archive/data.pkl', content },
    ...Object.entries(memory).map(([key, data]) => ({ name: `archive/data/${key}`, content: data })),
    ...others,
  ])
