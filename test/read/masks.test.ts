import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { encodeMasks } from '../../src/masks/files.ts'
import { elementMask } from '../../src/masks/mask.ts'
import { readMasks } from '../../src/read/masks.ts'
import { concat } from '../masks/files.ts'
import { net } from '../masks/nets.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`../masks/fixtures/${name}`, import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'chasec-read-masks-'))
afterAll(() => rmSync(folder, { recursive: true }))

const found = async (source: string | Uint8Array): Promise<string> => {
  const masks = await readMasks(source, net)()
  return E.isLeft(masks) ? `${masks.left._tag} ${renderError(masks.left)}` : [...masks.right.keys()].join(' ')
}

describe('readMasks', () => {
  it('tells formats apart by content, whatever the file is called', async () => {
    const renamed = join(folder, 'masks.npz')
    const masks = await readMasks(fixture('bool.safetensors'), net)()
    if (E.isLeft(masks)) throw new Error(renderError(masks.left))
    writeFileSync(renamed, concat(...encodeMasks(masks.right)))
    expect(await found(renamed)).toBe('conv.weight gemm.weight')
    expect(await readMasks(renamed, net)()).toEqual(masks)
    expect(await found(fixture('compressed.npz'))).toBe('conv.weight gemm.weight')
  })

  it('reads bytes as well', async () => {
    expect(await found(new Uint8Array())).toMatch(
      /^TensorFileError file of tensors: expected safetensors, npz or a PyTorch checkpoint, found 0 bytes/,
    )
  })

  it('says what keeps it from reading a file', async () => {
    mkdirSync(join(folder, 'folder'))
    expect(await found(join(folder, 'none.npz'))).toMatch(
      /^ReadError .*none\.npz: expected a file that can be read, found no such file/,
    )
    expect(await found(join(folder, 'folder'))).toMatch(/^TensorFileError .*found a folder without/)
    expect(await found('a\0b')).toMatch(/^ReadError /)
  })

  it('names a mask that does not fit', async () => {
    const path = join(folder, 'wrong.safetensors')
    writeFileSync(path, concat(...encodeMasks(new Map([['conv.wight', elementMask([2], Uint8Array.of(0, 1))]]))))
    expect(await found(path)).toMatch(/^MaskError mask conv\.wight: .*The closest names are conv\.weight \[4,2,3,3\]/)
  })
})
