/** Digests on a thread are those on this one, however the bytes come. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { sha256OfFile, startSha256 } from '../../src/disk/sha256.ts'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-sha256-'))
afterAll(() => rmSync(folder, { recursive: true }))

const draws = drawsFrom(seededRandom(1, 'sha256'))
const bytes = Uint8Array.from({ length: 2 ** 24 + 12_345 }, () => draws.below(256))
const expected = createHash('sha256').update(bytes).digest('hex')

describe.each([
  ['on this thread', 0],
  ['on a thread of its own', bytes.length],
])('a digest %s', (_, length) => {
  it.each([
    ['whole', () => bytes.length],
    ['in pieces of a few bytes and of many', () => draws.below(2) * draws.below(300) + draws.below(2 ** 20)],
  ])('of bytes that come %s', async (__, next) => {
    const sha256 = startSha256(length, () => [bytes])
    for (let at = 0; at < bytes.length;) {
      const end = at + next()
      await sha256.update(bytes.subarray(at, end))
      at = end
    }
    expect(await sha256.digest()).toBe(expected)
    sha256.end()
  })

  it('of nothing', async () => {
    const sha256 = startSha256(length, () => [bytes])
    expect(await sha256.digest()).toBe(createHash('sha256').digest('hex'))
  })

  it('does not depend on how long its thread lives', async () => {
    for (const given of [0, 1000, bytes.length]) {
      const sha256 = startSha256(length, () => [bytes])
      await sha256.update(bytes.subarray(0, given))
      sha256.end()
      await sha256.update(bytes.subarray(given))
      expect(await sha256.digest()).toBe(expected)
    }
  })
})

describe('a digest of a file', () => {
  it.each([100, bytes.length])('of %i bytes', async (length) => {
    const path = join(folder, String(length))
    writeFileSync(path, bytes.subarray(0, length))
    const own = createHash('sha256').update(bytes.subarray(0, length)).digest('hex')
    expect(await sha256OfFile(path)).toBe(own)
  })

  it('that is not there is an error of the system', async () => {
    await expect(sha256OfFile(join(folder, 'nothing'))).rejects.toThrow('ENOENT')
  })
})
