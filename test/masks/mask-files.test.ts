import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { decodeMasks, encodeMasks } from '../../src/masks/files.ts'
import { axisMask, elementMask, expandMask, type Masks } from '../../src/masks/mask.ts'
import { uniforms } from '../inflate.ts'
import { concat, npy, npyHeader, safetensors, utf8, zip } from './files.ts'
import { net } from './nets.ts'

const folder = new URL('fixtures/', import.meta.url)
const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)))

const read = (bytes: Uint8Array): Masks => {
  const masks = decodeMasks(bytes, net)
  if (E.isLeft(masks)) throw new Error(renderError(masks.left))
  return masks.right
}

/** What `fixtures/make.py` puts into its files. */
const everyThird = (shape: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.from({ length: sizeOf(shape) }, (_, i) => (i % 3 === 0 ? 0 : 1))

const all = readdirSync(fileURLToPath(folder)).filter((name) => /\.(npz|safetensors)$/.test(name))
const rows = all.filter((name) => name.startsWith('rows.'))
const refused = ['objects.npz', 'structured.npz']

describe('files that Python wrote', () => {
  it.each(all.filter((name) => !rows.includes(name) && !refused.includes(name)))('reads %s', (name) => {
    const masks = read(fixture(name))
    expect(masks.get('conv.weight')?.elements).toEqual(everyThird([4, 2, 3, 3]))
    expect(masks.get('gemm.weight')?.elements).toEqual(everyThird([4, 3]))
    expect(masks.size).toBe(2)
  })

  it.each(rows)('reads %s', (name) => {
    expect([...read(fixture(name))]).toEqual([['conv.weight', axisMask([4, 2, 3, 3], 0, Uint8Array.of(1, 0, 1, 1))]])
  })

  it.each(['version-2.npy', 'version-3.npy'])('reads %s', (name) => {
    const masks = read(zip([{ name: 'gemm.weight.npy', content: fixture(name), deflated: true }]))
    expect(masks.get('gemm.weight')?.elements).toEqual(everyThird([4, 3]))
  })

  it('reads bfloat16, which numpy does not have', () => {
    const data = [...everyThird([4, 3])].flatMap((kept) => [kept === 1 ? 0x80 : 0, kept === 1 ? 0x3f : 0])
    const bytes = safetensors({ 'gemm.weight': { dtype: 'BF16', shape: [4, 3], data_offsets: [0, 24] } }, data)
    expect(read(bytes).get('gemm.weight')?.elements).toEqual(everyThird([4, 3]))
  })
})

const masks: Masks = new Map([
  ['gemm.weight', elementMask([4, 3], everyThird([4, 3]))],
  ['conv.weight', axisMask([4, 2, 3, 3], 0, Uint8Array.of(1, 0, 1, 1))],
])

const python = (
  script: string,
  ...args: ReadonlyArray<string>
): { readonly code: number | null; readonly out: string } => {
  const done = spawnSync('python3', ['-c', script, ...args], { encoding: 'utf8' })
  return { code: done.status, out: `${done.stdout ?? ''}${done.stderr ?? ''}`.trim() }
}

const has = (module: string): boolean => python(`import ${module}`).code === 0
const missing = (module: string): string => (has(module) ? '' : ` (skipped: python3 with ${module} is not here)`)

describe('files that we write', () => {
  const temporary = mkdtempSync(join(tmpdir(), 'chasec-masks-'))
  afterAll(() => rmSync(temporary, { recursive: true }))

  it('reads them back', () => {
    const again = read(concat(...encodeMasks(masks)))
    expect([...again.keys()].sort()).toEqual(['conv.weight', 'gemm.weight'])
    for (const [name, mask] of masks) expect(again.get(name)?.elements).toEqual(expandMask(mask))
  })

  it('gives the same bytes in whatever order the masks were made', () => {
    expect(concat(...encodeMasks(new Map([...masks].reverse())))).toEqual(concat(...encodeMasks(masks)))
  })

  it('gives the bytes that Python gives', () => {
    const same = read(fixture('bool.safetensors'))
    expect(concat(...encodeMasks(same))).toEqual(fixture('bool.safetensors'))
  })

  const script = [
    'import sys',
    'from safetensors.numpy import load_file',
    'masks = load_file(sys.argv[1])',
    'print(*[(k, str(m.dtype), m.shape, m.reshape(-1).astype(int).tolist()) for k, m in sorted(masks.items())], sep="\\n")',
  ].join('\n')

  it.skipIf(!has('safetensors.numpy'))(`are read by the safetensors library${missing('safetensors.numpy')}`, () => {
    const path = join(temporary, 'masks.safetensors')
    writeFileSync(path, concat(...encodeMasks(masks)))
    const list = (name: string): string =>
      `[${[...expandMask(masks.get(name) ?? elementMask([0], new Uint8Array()))].join(', ')}]`
    expect(python(script, path)).toEqual({
      code: 0,
      out: `('conv.weight', 'bool', (4, 2, 3, 3), ${list('conv.weight')})\n('gemm.weight', 'bool', (4, 3), ${list('gemm.weight')})`,
    })
  })
})

describe('files of another kind', () => {
  const found = (bytes: Uint8Array): string => {
    const result = decodeMasks(bytes, net)
    return E.isLeft(result) ? renderError(result.left) : 'read'
  }

  it.each([
    ['nothing', new Uint8Array(), /safetensors, npz or a PyTorch checkpoint, found 0 bytes/],
    ['text', utf8('conv.weight: 1 0 1 1'), /found a text. Save the tensors with/],
    ['a single array', npy(npyHeader("'|b1'", '(1,)'), [1]), /a single numpy array. Save arrays with their names/],
    ['a pickle that ends', Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9), /end of the file/],
  ])('names %s for what it is', (_, bytes, message) => expect(found(bytes)).toMatch(message))

  it('refuses an archive that declares far more than a mask without inflating it', () => {
    const bomb = { name: 'conv.bias.npy', content: new Uint8Array(2 ** 20), deflated: true }
    expect(found(zip([bomb]))).toBe(
      'mask conv.bias: expected 0 and 1 in shape [4], found 1048576 bytes. No such mask takes more than 65568 bytes.',
    )
    expect(found(zip([{ ...bomb, name: 'unknown.npy' }]))).toContain('No such mask takes more')
  })
})

describe('damaged files', () => {
  const seeds = ['bool.npz', 'compressed.npz', 'fortran.npz', 'big-endian.npz', 'bool.safetensors', 'int64.safetensors']

  /** Bytes overwritten, bits flipped, pieces cut out, repeated or moved. */
  const mutate = (bytes: Uint8Array, uniform: () => number): Uint8Array => {
    let out: Uint8Array = Uint8Array.from(bytes)
    const below = (n: number): number => Math.floor(uniform() * n)
    for (let edits = 1 + below(4); edits > 0; edits--) {
      const at = below(out.length)
      const to = at + below(Math.min(24, out.length - at) + 1)
      const kind = below(6)
      if (kind === 0) out[at] = below(256)
      else if (kind === 1) out[at] = (out[at] ?? 0) ^ (1 << below(8))
      else if (kind === 2) out.fill([0, 0xff, 0x20][below(3)] ?? 0, at, to)
      else if (kind === 3) out = concat(out.subarray(0, at), out.subarray(to))
      else if (kind === 4) out = concat(out.subarray(0, to), out.subarray(at, to), out.subarray(to))
      else out.copyWithin(below(out.length), at, to)
    }
    return out
  }

  it.each(seeds)('gives masks or an error, never an exception, for 2,500 mutants of %s', (name) => {
    const uniform = uniforms(seeds.indexOf(name) + 1)
    const original = fixture(name)
    const intact = read(original)
    const outcomes = { masks: 0, refused: 0 }
    for (let i = 0; i < 2500; i++) {
      const bytes = mutate(original, uniform)
      const result = decodeMasks(bytes, net)
      if (E.isLeft(result)) {
        expect(result.left._tag).toMatch(/^(MaskError|TensorFileError)$/)
        expect(renderError(result.left).length).toBeLessThan(4000)
        outcomes.refused += 1
        continue
      }
      for (const mask of result.right.values())
        expect(expandMask(mask).every((bit) => bit === 0 || bit === 1)).toBe(true)
      outcomes.masks += 1
      // An archive has checksums: damage that does not show does not matter. A safetensors file has none.
      if (name.endsWith('.npz')) expect(result.right).toEqual(intact)
    }
    expect(outcomes.refused).toBeGreaterThan(1000)
  })
})
