import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { byteLength } from '../../../src/ir/dtype.ts'
import { sizeOf } from '../../../src/ir/type.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import { decodeFile } from '../../../src/masks/files.ts'
import { looksLikeZip, readZip } from '../../../src/masks/zip.ts'
import { contentOf } from '../../../src/masks/zip-content.ts'
import { uniforms } from '../../inflate.ts'
import { zip } from '../files.ts'

const folder = fileURLToPath(new URL('fixtures/', import.meta.url))
const names = readdirSync(folder).filter((name) => /\.(pt|pkl)$/.test(name))
const files = names.map((name) => new Uint8Array(readFileSync(`${folder}${name}`)))

const total = 100_000
const count = Math.ceil(total / names.length)

type Below = (n: number) => number

/** A piece of `from` put into `bytes` at `at` in place of `length` bytes. */
const splice = (bytes: Uint8Array, at: number, length: number, from: Uint8Array): Uint8Array => {
  const out = new Uint8Array(bytes.length - length + from.length)
  out.set(bytes.subarray(0, at))
  out.set(from, at)
  out.set(bytes.subarray(at + length), at + from.length)
  return out
}

/** Numbers that sizes and lengths go wrong at. */
const edges = [0, 1, 0x7f, 0x80, 0xff] as const

/** One to four edits: bytes set, bits flipped, pieces cut out, repeated, moved here from any fixture, or the end cut off. */
const mutate = (bytes: Uint8Array, below: Below): Uint8Array => {
  let out = Uint8Array.from(bytes)
  for (let edits = 1 + below(4); edits > 0; edits--) {
    const at = below(out.length)
    const length = Math.min(out.length - at, 1 + below(12))
    const kind = below(8)
    if (kind === 0) out[at] = below(256)
    else if (kind === 1) out[at] = (out[at] ?? 0) ^ (1 << below(8))
    else if (kind === 2) out.fill(edges[below(edges.length)] ?? 0, at, at + length)
    else if (kind === 3) out = Uint8Array.from(splice(out, at, length, new Uint8Array()))
    else if (kind === 4) out = Uint8Array.from(splice(out, at, 0, out.slice(at, at + length)))
    else if (kind === 5) {
      const other = files[below(files.length)] ?? out
      const start = below(other.length)
      out = Uint8Array.from(splice(out, at, length, other.subarray(start, start + 1 + below(40))))
    } else if (kind === 6) out.copyWithin(at, below(out.length), below(out.length))
    else if (below(4) === 0) out = out.slice(0, at)
  }
  return out
}

interface Part {
  readonly name: string
  readonly content: Uint8Array
}

/** The files of an archive, to be mutated one by one and zipped again, with the checksums of what they became. */
const partsOf = (bytes: Uint8Array): ReadonlyArray<Part> | undefined => {
  if (!looksLikeZip(bytes)) return undefined
  const entries = readZip(bytes)
  if (E.isLeft(entries)) return undefined
  return entries.right.flatMap((entry) => {
    const read = contentOf(entry)
    return E.isLeft(read) || entry.name.includes('.data/') ? [] : [{ name: entry.name, content: read.right }]
  })
}

const zipped = (parts: ReadonlyArray<Part>, below: Below): Uint8Array => {
  const pickle = parts.findIndex(({ name }) => name.endsWith('data.pkl'))
  const chosen = below(4) === 0 ? below(parts.length) : pickle
  return zip(
    parts.map(({ name, content }, i) => {
      const mutant = i === chosen && content.length > 0 ? mutate(content, below) : content
      return { name, content: mutant, crc: crc32(mutant) }
    }),
  )
}

/** Whether elements of a view share memory, as `FileEntry.storage` has its sizes and strides. */
const repeats = ({ storage = '', shape = [] }: FileEntry): boolean => {
  const strides = /with strides \[([\d,]*)\]/.exec(storage)?.[1]?.split(',').map(Number) ?? []
  const span = shape.reduce((at, size, axis) => at + (size - 1) * (strides[axis] ?? 0), 1)
  return span < sizeOf(shape)
}

describe('mutants of every fixture', () => {
  it.each(names.map((name, i) => [name, files[i] ?? new Uint8Array(), i] as const))(
    `give tensors or a tagged error: %s`,
    (_, bytes, seed) => {
      const uniform = uniforms(seed + 1)
      const below: Below = (n) => Math.floor(uniform() * n)
      const parts = partsOf(bytes)
      let accepted = 0
      let refused = 0
      for (let i = 0; i < count; i++) {
        const mutant = parts !== undefined && i % 4 !== 0 ? zipped(parts, below) : mutate(bytes, below)
        const file = decodeFile(mutant)
        if (E.isLeft(file)) {
          refused += 1
          if (file.left._tag !== 'TensorFileError' || /undefined|NaN/.test(renderError(file.left))) {
            expect(renderError(file.left)).toBe('an error that says what is wrong')
          }
          continue
        }
        accepted += 1
        for (const entry of file.right.entries) {
          const { shape = [], dtype = 'bool', size } = entry
          const honest = size === byteLength(dtype, sizeOf(shape)) && (size <= 2 ** 28 || size <= mutant.length)
          // What takes more than the file is a view of the same elements many times, or sparse.
          const bounded = size <= mutant.length || repeats(entry) || entry.storage?.startsWith('object ') === true
          if (!honest || !bounded) expect({ ...entry, length: mutant.length }).toBe('bounded')
          if (size > 2 ** 16) continue
          const tensor = entry.decode()
          if (E.isLeft(tensor) ? tensor.left._tag !== 'TensorFileError' : tensor.right.bytes.length !== size) {
            expect(tensor).toBe('a tensor of the declared size')
          }
        }
      }
      expect(accepted).toBeGreaterThan(0)
      expect(refused).toBeGreaterThan(0)
      expect(accepted + refused).toBe(count)
    },
  )

  it('are a hundred thousand', () => expect(count * names.length).toBeGreaterThanOrEqual(total))
})
