import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import type { FileContents, FileEntry } from '../../../src/masks/file-entry.ts'
import { decodeFile } from '../../../src/masks/files.ts'

const folder = fileURLToPath(new URL('fixtures/', import.meta.url))
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}${name}`))

/** What `fixtures/make.py` had PyTorch and numpy say: by path type, shape and bytes in hexadecimal. */
const expected: Readonly<Record<string, Readonly<Record<string, readonly [string, ReadonlyArray<number>, string]>>>> =
  JSON.parse(readFileSync(`${folder}expected.json`, 'utf8'))

const contentsOf = (bytes: Uint8Array): FileContents => {
  const file = decodeFile(bytes)
  if (E.isLeft(file)) throw new Error(renderError(file.left))
  return file.right
}

const pathOf = ({ within = [], name }: FileEntry): string => [...within, name].join('/')

/** Types as PyTorch and numpy spell them, in our spelling. */
const typeOf = (name: string): string =>
  name
    .replace(/^float8_/, 'float8')
    .replace('e8m0fnu', 'e8m0')
    .replace(/^(e\d)/, '$1')

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('checkpoints that Python wrote', () => {
  it('has an expectation for every file', () => {
    expect(readdirSync(folder).filter((name) => /\.(pt|pkl)$/.test(name))).toEqual(Object.keys(expected).sort())
  })

  it.each(Object.keys(expected))('reads %s', (name) => {
    const { entries } = contentsOf(fixture(name))
    const wanted = expected[name] ?? {}
    expect(entries.map(pathOf).sort()).toEqual(Object.keys(wanted).sort())
    for (const entry of entries) {
      const [dtype = '', shape, data] = wanted[pathOf(entry)] ?? []
      const tensor = entry.decode()
      if (E.isLeft(tensor)) throw new Error(renderError(tensor.left))
      expect(entry).toMatchObject({ dtype: typeOf(dtype), shape, size: tensor.right.bytes.length })
      expect(tensor.right).toMatchObject({ dtype: typeOf(dtype), shape })
      expect(hex(tensor.right.bytes)).toBe(data)
    }
  })
})

const entry = (contents: FileContents, path: string): FileEntry => {
  const found = contents.entries.find((one) => pathOf(one) === path)
  if (found === undefined) throw new Error(`no ${path}`)
  return found
}

describe.each(['views.pt', 'views-legacy.pt'])('views of one memory in %s', (name) => {
  const bytes = fixture(name)
  const contents = contentsOf(bytes)
  const storage = (path: string): string | undefined => entry(contents, path).storage

  it('are told to be the same where they are', () => {
    expect(storage('again')).toBe(storage('base'))
    expect(storage('tied')).toBe(storage('transposed'))
    expect(new Set(contents.entries.map((one) => one.storage)).size).toBe(contents.entries.length - 2)
  })

  it('share the bytes of the file where they have no gaps', () => {
    const shares = (path: string): boolean => {
      const tensor = entry(contents, path).decode()
      return E.isRight(tensor) && tensor.right.bytes.buffer === bytes.buffer
    }
    expect(['base', 'rows', 'again', 'scalar'].filter(shares)).toEqual(['base', 'rows', 'again', 'scalar'])
    expect(['transposed', 'steps', 'column', 'expanded', 'last'].filter(shares)).toEqual([])
  })
})

describe('notes', () => {
  it.each(['run.pt', 'run-legacy.pt'])('name each unknown class once: %s', (name) => {
    expect(contentsOf(fixture(name)).notes).toEqual([
      'Objects of class argparse.Namespace were passed over.',
      'Objects of class project.config.Settings were passed over.',
    ])
  })

  it.each(['others.pt', 'others-legacy.pt'])('say which tensors were passed over, and why: %s', (name) => {
    expect(contentsOf(fixture(name)).notes).toEqual([
      'Quantized tensors were passed over.',
      'Tensors on the meta device, which hold no numbers, were passed over.',
      'Tensors that are to be conjugated or negated when read were passed over.',
      'Sparse tensors of blocks were passed over.',
    ])
  })

  it('say whose tensors were read although the object was not made', () => {
    expect(contentsOf(fixture('mixed.pt')).notes).toContain(
      'Of objects of class project.config.Result only the tensors were read.',
    )
  })

  it('are not made of what everyone saves', () => {
    const quiet = ['module', 'modules', 'pruned', 'ddp', 'parameter', 'alone', 'sparse', 'views', 'types']
    for (const name of quiet) expect([name, contentsOf(fixture(`${name}.pt`)).notes]).toEqual([name, []])
    expect(contentsOf(fixture('script.pt')).notes).toEqual([])
  })
})
