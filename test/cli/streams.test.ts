/** Where output goes: a reader that leaves, a disk without room. */
import { spawn, spawnSync, type StdioOptions } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { net, netMasks, writeMasks, writeModel } from './nets.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'chasec-streams-'))
const compileTo = (output: string): ReadonlyArray<string> => [
  main,
  ...['compile', 'net.onnx', '--masks', 'masks.safetensors', '--no-verify', '--progress', '-o', output],
]

beforeAll(() => {
  writeModel(join(folder, 'net.onnx'), net())
  writeMasks(join(folder, 'masks.safetensors'), netMasks())
})

afterAll(() => rmSync(folder, { recursive: true }))

/** Runs with a reader of stdout and stderr that is gone before anything is said. */
const unread = (output: string, stream: 'stdout' | 'stderr'): Promise<number | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, compileTo(output), { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    child[stream].destroy()
    child[stream === 'stdout' ? 'stderr' : 'stdout'].resume()
    child.once('close', resolve)
  })

describe('a reader that leaves', () => {
  it.each(['stdout', 'stderr'] as const)('of %s ends no work', async (stream) => {
    expect(await unread(`left-${stream}`, stream)).toBe(0)
    expect(existsSync(join(folder, `left-${stream}`, 'model.onnx'))).toBe(true)
  })
})

describe.runIf(existsSync('/dev/full'))('a disk without room', () => {
  const runFull = (output: string, stream: 'stdout' | 'stderr') => {
    const full = openSync('/dev/full', 'w')
    const stdio: StdioOptions = stream === 'stdout' ? ['ignore', full, 'pipe'] : ['ignore', 'pipe', full]
    const [program = '', ...args] = [process.execPath, ...compileTo(output)]
    const { status, stderr } = spawnSync(program, args, { cwd: folder, stdio, encoding: 'utf8' })
    closeSync(full)
    return { status, stderr }
  }

  it('for results is told, in a sentence and by the exit code; files are whole', () => {
    const { status, stderr } = runFull('full-stdout', 'stdout')
    expect(status).toBe(2)
    expect(stderr).toMatch(/error: standard output: .* found no space left on device\./)
    expect(stderr).not.toMatch(/^ +at /m)
    expect(existsSync(join(folder, 'full-stdout', 'model.onnx'))).toBe(true)
  })

  it('for what is said besides ends no work', () => {
    expect(runFull('full-stderr', 'stderr').status).toBe(0)
    expect(existsSync(join(folder, 'full-stderr', 'model.onnx'))).toBe(true)
  })
})
