import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { readTensors } from '../../src/read/tensors.ts'
import { safetensors } from '../masks/files.ts'

const root = mkdtempSync(join(tmpdir(), 'chasec-tensors-'))
afterAll(() => rmSync(root, { recursive: true }))

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../masks/checkpoint/fixtures/${name}`, import.meta.url)))

const put = (path: string, content: Uint8Array | string | object): string => {
  const full = join(root, path)
  mkdirSync(dirname(full), { recursive: true })
  const plain = typeof content === 'string' || content instanceof Uint8Array
  writeFileSync(full, plain ? content : JSON.stringify(content))
  return full
}

const link = (path: string, target: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  symlinkSync(target, join(root, path))
}

const shard = (...names: ReadonlyArray<string>): Uint8Array =>
  safetensors(
    Object.fromEntries(names.map((name, i) => [name, { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }])),
    names.map((_, i) => i),
  )

const index = (weightMap: unknown): object => ({ metadata: { total_size: 3 }, weight_map: weightMap })

const read = async (source: string | Uint8Array): Promise<string> => {
  const file = await readTensors(source)()
  if (E.isLeft(file)) return `${file.left._tag} ${renderError(file.left)}`.replaceAll(root, 'ROOT')
  const decoded = file.right.entries.map(({ name, decode }) => (E.isLeft(decode()) ? `${name}!` : name))
  return [decoded.join(' '), ...file.right.notes].join('; ')
}

const indexName = 'model.safetensors.index.json'
const honest = { a: 'one.safetensors', b: 'two.safetensors', c: 'one.safetensors' }

describe('readTensors', () => {
  it('reads a file of any kind, or its bytes', async () => {
    expect(await read(fixture('types.pt'))).toMatch(/^float32 float64 float16 bfloat16/)
    expect(await read(put('wrong-name.npz', fixture('parameter-legacy.pt')))).toBe('weight')
    expect(await read(put('plain.bin', shard('x')))).toBe('x')
    expect(await read(join(root, 'gone.pt'))).toMatch(/^ReadError .*no such file/)
    expect(await read('a\0b')).toMatch(/^ReadError /)
  })

  it('reads the shards that an index names, by its path or its folder', async () => {
    const path = put(`sharded/${indexName}`, index(honest))
    put('sharded/one.safetensors', shard('a', 'c'))
    put('sharded/two.safetensors', shard('b'))
    expect(await read(path)).toBe('a c b')
    expect(await read(dirname(path))).toBe('a c b')
    const bin = put('bin/pytorch_model.bin.index.json', index({ weight: 'one.bin' }))
    put('bin/one.bin', fixture('parameter.pt'))
    expect(await read(bin)).toBe('weight')
    expect(await read(new Uint8Array(readFileSync(bin)))).toMatch(/the index of a sharded checkpoint. Give its path/)
  })

  it('takes only what the index says is where it is', async () => {
    put(`extra/${indexName}`, index({ a: 'one.safetensors' }))
    const split = put(`split/${indexName}`, index({ 'a.shape': 'one.safetensors', 'a.bitmask': 'two.safetensors' }))
    const sizes = { dtype: 'I64', shape: [2], data_offsets: [0, 16] }
    const bits = { dtype: 'U8', shape: [2, 1], data_offsets: [0, 2] }
    put('split/one.safetensors', safetensors({ 'a.shape': sizes }, [2, ...Array(7).fill(0), 3, ...Array(7).fill(0)]))
    put('split/two.safetensors', safetensors({ 'a.bitmask': bits }, [5, 2]))
    expect(await read(split)).toBe('a.weight')
    put('extra/one.safetensors', shard('a', 'b', 'c'))
    expect(await read(join(root, 'extra'))).toBe(
      'a; 2 tensors that the index does not place where they are were passed over.',
    )
  })

  it('names all files and all tensors that are missing', async () => {
    put(`files/${indexName}`, index({ ...honest, d: 'three.safetensors' }))
    put('files/two.safetensors', shard('b'))
    expect(await read(join(root, 'files'))).toMatch(/found none of one\.safetensors, three\.safetensors\./)
    put(`tensors/${indexName}`, index(honest))
    put('tensors/one.safetensors', shard('x'))
    put('tensors/two.safetensors', shard('a', 'b'))
    expect(await read(join(root, 'tensors'))).toMatch(
      /every tensor in the file that the index names, found none of a, c\./,
    )
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`t${i}`, `s${i}`]))
    expect(await read(put(`many/${indexName}`, index(many)))).toMatch(/s18, s19 and 30 more\./)
  })

  it.each(['../one.safetensors', '/etc/passwd', 'a/b', 'a\\b', '..', '.', '', 'C:x', 'a\0b', 3, null])(
    'refuses a shard by the name %j',
    async (name) => {
      expect(await read(put(`names/${indexName}`, index({ a: name })))).toMatch(
        /expected names of files beside the index/,
      )
    },
  )

  it('refuses an index that is none', async () => {
    expect(await read(put('odd/index.json', '{"weight_map": [1]}'))).toMatch(/an index of JSON with a weight_map/)
    expect(await read(put('odd/index.json', '{"weight_map": {'))).toMatch(/an index of JSON with a weight_map/)
    expect(await read(put('odd/index.json', '{}'))).toMatch(/found a JSON file/)
  })

  it('has __proto__ as a name like any other', async () => {
    put(`proto/${indexName}`, '{"weight_map": {"__proto__": "one.safetensors"}}')
    put('proto/one.safetensors', safetensors('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [1]))
    expect(await read(join(root, 'proto'))).toBe('__proto__')
  })

  it('follows links as the cache of HuggingFace has them, and no others', async () => {
    put('cache/blobs/i', index(honest))
    put('cache/blobs/1', shard('a', 'c'))
    put('cache/blobs/2', shard('b'))
    link(`cache/snapshots/r/${indexName}`, '../../blobs/i')
    link('cache/snapshots/r/one.safetensors', '../../blobs/1')
    link('cache/snapshots/r/two.safetensors', '../../blobs/2')
    expect(await read(join(root, 'cache/snapshots/r'))).toBe('a c b')
    put('secret', shard('a'))
    put(`leads/${indexName}`, index({ a: 'one.safetensors' }))
    link('leads/one.safetensors', '../secret')
    expect(await read(join(root, 'leads'))).toMatch(
      /files beside the index, found one\.safetensors, a link that leads elsewhere/,
    )
    put(`folder/${indexName}`, index({ a: 'one.safetensors' }))
    mkdirSync(join(root, 'folder/one.safetensors'))
    expect(await read(join(root, 'folder'))).toMatch(/found something that is not a regular file/)
  })

  it('reads a folder with one file of weights, and asks where there are several', async () => {
    put('single/model.safetensors', shard('x'))
    put('single/config.json', '{}')
    expect(await read(join(root, 'single'))).toBe('x')
    put('double/model.safetensors', shard('x'))
    put('double/pytorch_model.bin', fixture('parameter.pt'))
    expect(await read(join(root, 'double'))).toMatch(
      /a folder with model\.safetensors and pytorch_model\.bin\. Give the path/,
    )
    mkdirSync(join(root, 'bare'))
    expect(await read(join(root, 'bare'))).toMatch(/found a folder without/)
  })

  it('names the shard that is damaged', async () => {
    put(`damaged/${indexName}`, index({ a: 'one.safetensors' }))
    put('damaged/one.safetensors', shard('a').subarray(0, 30))
    expect(await read(join(root, 'damaged'))).toMatch(
      /^TensorFileError ROOT\/damaged\/one\.safetensors: safetensors file: expected/,
    )
  })

  it('tells memory of one shard from that of another', async () => {
    put('memory/pytorch_model.bin.index.json', index({ weight: 'one.bin', '': 'two.bin' }))
    put('memory/one.bin', fixture('parameter.pt'))
    put('memory/two.bin', fixture('alone.pt'))
    const file = await readTensors(join(root, 'memory'))()
    const storages = E.isRight(file) ? file.right.entries.map(({ storage }) => storage) : []
    expect(storages).toHaveLength(2)
    expect(storages[0]).toMatch(/^one\.bin /)
    expect(storages[1]).toMatch(/^two\.bin /)
  })
})
