/** `chasec tune`, and the tables that `--costs` names. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec, json, type Ran } from './chasec.ts'
import { net, netMasks, writeMasks, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-tune-'))
const at = (name: string): string => join(folder, name)
const run = (...args: ReadonlyArray<string>): Ran => chasec(args, { cwd: folder })

const native = await import('onnxruntime-node').then(
  () => true,
  () => false,
)
if (!native) console.log('skipped: chasec tune needs onnxruntime-node')

beforeAll(() => {
  writeModel(at('net.onnx'), net())
  writeMasks(at('masks.safetensors'), netMasks())
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

const compiling = ['compile', 'net.onnx', '--masks', 'masks.safetensors', '--no-verify']

describe('chasec tune', () => {
  it.skipIf(!native)('writes a table that compiling takes', () => {
    const tuned = run('tune', '--layers', '100', '-o', 'costs.json', '--json')
    expect(tuned.code, tuned.stderr).toBe(0)
    expect(json(tuned)).toMatchObject({ output: 'costs.json', layers: 100 })
    expect(JSON.parse(readFileSync(at('costs.json'), 'utf8'))).toMatchObject({ threads: 1 })
    const compiled = run(...compiling, '-o', 'out', '--costs', 'costs.json')
    expect(compiled.code, compiled.stderr).toBe(0)
    expect(run('inspect', 'net.onnx', '--costs', 'costs.json').code).toBe(0)
  })
  it('does not measure what it could not write', () => {
    writeFileSync(at('there.json'), 'mine')
    const { code, stderr } = run('tune', '-o', 'there.json')
    expect([code, stderr]).toEqual([2, expect.stringContaining('Give --force to replace it')])
    expect(readFileSync(at('there.json'), 'utf8')).toBe('mine')
  })
  it('says that there is no room for its table before it measures', () => {
    writeFileSync(at('file'), '')
    for (const dry of [[], ['--dry-run']]) {
      const { code, stderr } = chasec(['tune', ...dry], { cwd: folder, env: { XDG_CACHE_HOME: at('file') } })
      expect(code).toBe(2)
      expect(stderr).toMatch(/file\/chasec: .* found not a directory\. Set XDG_CACHE_HOME/)
    }
  })
  it.skipIf(!native)('needs no cache yet for a dry run, which makes none', () => {
    const env = { XDG_CACHE_HOME: at('no-cache') }
    const { code, stdout } = chasec(['tune', '--layers', '100', '--dry-run'], { cwd: folder, env })
    expect([code, stdout]).toEqual([0, expect.stringContaining('Dry run: nothing was written')])
    expect(existsSync(join(at('no-cache'), 'chasec'))).toBe(false)
  })
})

describe('--costs', () => {
  it.each(['avx2', 'avx512'])('%s is a table that comes with chasec', (name) => {
    const ran = run(...compiling, '-o', name, '--costs', name)
    expect(ran.code, ran.stderr).toBe(0)
  })
  it.each([
    [['--costs', 'measured'], 'Run `chasec tune` first'],
    [['--costs', 'nowhere.json'], 'expected a table of chasec tune that exists, or measured, avx512, avx2'],
    [['--costs', 'masks.safetensors'], 'masks.safetensors: expected JSON'],
    [['--costs', 'table.json', '--target', 'cuda'], 'since they are those of a CPU, found target cuda'],
  ])('%j is an error that says why, and nothing is written', (flags, message) => {
    writeFileSync(at('table.json'), '{"about":"a test","block":8,"threads":1,"kernels":{"product":[1]}}')
    const ran = chasec([...compiling, '-o', 'none', ...flags], { cwd: folder, env: { XDG_CACHE_HOME: at('cache') } })
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining(message)])
    expect(existsSync(at('none'))).toBe(false)
  })
})
