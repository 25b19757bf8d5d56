/** A short run of the fuzzer of files, and what longer ones have found. */
import { describe, expect, it } from 'vitest'
import { fileAt, fileKinds } from './kinds.ts'
import { fuzzFiles } from './main.ts'

describe('made-up files', () => {
  it.each([...fileKinds.keys()])('of the kind %s are accepted, or refused by a tagged error', async (name) => {
    const verdicts = new Set<string>()
    for (let index = 0; index < 150; index++) {
      const { kind, bytes, draw } = fileAt(3, index, [name])
      verdicts.add(await kind.judge(bytes, draw))
    }
    expect(verdicts).toContain('refused')
  })

  it('are the same for the same seed and number', () => {
    for (let index = 0; index < 50; index++) expect(fileAt(1, index).bytes).toEqual(fileAt(1, index).bytes)
  })

  it('are judged in a process of their own', async () => {
    expect(await fuzzFiles(['--count', '40', '--seed', '5', '--kind', 'checkpoint,data'])).toBe(0)
  })
})
