import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const main = new URL('../../dist/cli/main.js', import.meta.url)

/** What Node loads for a command line of the build, Node's own modules left out. */
const loadedBy = (...args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const asModule = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`
  const hooks = `
    import { writeSync } from 'node:fs'
    export const load = (url, context, next) => (writeSync(2, url + String.fromCharCode(10)), next(url, context))`
  const register = `import { register } from 'node:module'; register(${JSON.stringify(asModule(hooks))})`
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', asModule(register), fileURLToPath(main), ...args],
    {
      encoding: 'utf8',
    },
  )
  expect(status).toBe(0)
  return stderr.split('\n').filter((line) => line.startsWith('file:'))
}

describe('what chasec loads', () => {
  it('--help: what parses a command line, and a little of our own; what is bundled is not looked up', () => {
    const loaded = loadedBy('--help')
    const packages = loaded.flatMap((url) => /node_modules\/([^/]+)/.exec(url)?.[1] ?? [])
    expect([...new Set(packages)]).toEqual(['commander'])
    const own = loaded.filter((url) => !url.includes('node_modules'))
    expect(own).toContain(main.href)
    expect(own.every((url) => url.startsWith(new URL('.', main).href))).toBe(true)
    // A third of it is string-width, which is only made ready where it is called.
    expect(own.reduce((sum, url) => sum + statSync(new URL(url)).size, 0)).toBeLessThan(75_000)
  })

  it('a command: none of the others', () => {
    const loaded = loadedBy('inspect', '--help')
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
