/** Benchmarks whose models Python exports say what is missing, in a line, where they cannot be exported. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test, vi } from 'vitest'

// Processes are started; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 300_000 })

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'chasec-bench-test-'))

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each(['full-size', 'peers'])('%s without Python', (name) => {
  const args = ['--import', 'tsx', 'bench/main.ts', name, '--models', 'lstm-tagger', '--folder', folder]
  const env = { ...process.env, PYTHON: join(folder, 'no-python') }
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' })
  expect(status).toBe(2)
  expect(stdout).toBe('')
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toContain('lstm-tagger: not exported yet')
  expect(stderr).toContain('PYTHON=path')
})
