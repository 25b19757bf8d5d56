import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadedBy, packagesOf } from '../loads.ts'

const main = new URL('../../dist/cli/main.js', import.meta.url)

describe('what chasec loads', () => {
  it('--help: what parses a command line, and a little of our own; what is bundled is not looked up', () => {
    const loaded = loadedBy([fileURLToPath(main), '--help'])
    expect(packagesOf(loaded)).toEqual(['commander'])
    const own = loaded.filter((url) => !url.includes('node_modules'))
    expect(own).toContain(main.href)
    expect(own.every((url) => url.startsWith(new URL('.', main).href))).toBe(true)
    // A third of it is string-width, which is only made ready where it is called.
    expect(own.reduce((sum, url) => sum + statSync(new URL(url)).size, 0)).toBeLessThan(75_000)
  })

  it('a command: none of the others', () => {
    const loaded = loadedBy([fileURLToPath(main), 'inspect', '--help'])
    expect(loaded.filter((url) => /(train|drive|doctor|compile|bench)-[^/]*$/.test(url))).toEqual([])
    expect(loaded.some((url) => /inspect-[^/]*$/.test(url))).toBe(true)
  })
})

describe.skipIf(process.platform === 'win32')('output that nobody reads to its end', () => {
  it('is no error', () => {
    // The pipe is closed before anything is written.
    const script = `{ sleep 1; '${process.execPath}' '${fileURLToPath(main)}' --help; echo "code $?" >&2; } | true`
    const { stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
    expect(stderr).toBe('code 0\n')
  })
})
