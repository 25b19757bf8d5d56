/** `chasec compare` on folders as training leaves them, at every stage of a run. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { historyLines } from '../../src/train/index.ts'
import { training } from '../report/fixtures.ts'
import { chasec, type Ran } from './chasec.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-compare-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const compare = (...args: ReadonlyArray<string>): Ran => chasec(['compare', ...args], { cwd: folder })

const { history, recipe, ...rest } = training

const writeRun = (name: string, until: number, change: object = {}, dense = false): void => {
  mkdirSync(at(name))
  const settings = { chasec: '1.2.3', model: 'net', data: 'mnist:x', dense, recipe: { ...recipe, ...change } }
  writeFileSync(at(name, 'run.json'), JSON.stringify(settings))
  writeFileSync(at(name, 'history.jsonl'), historyLines(history.filter(({ step }) => step <= until)))
}

const writePackage = (name: string, epochs: number): void => {
  mkdirSync(at(name, 'package'))
  const manifest = { format: 1, training: { ...rest, recipe: { ...recipe, epochs } } }
  writeFileSync(at(name, 'package', 'chasec.json'), JSON.stringify(manifest))
}

beforeAll(() => {
  writeRun('ended', 40, {}, true)
  writePackage('ended', 4)
  mkdirSync(at('ended', 'dense'))
  cpSync(at('ended', 'history.jsonl'), at('ended', 'dense', 'history.jsonl'))
  writeRun('going', 20, { seed: 7 })
  // Made longer after it had ended: the package is still the one of three epochs.
  writeRun('longer', 30)
  writePackage('longer', 3)
  mkdirSync(at('begun'))
  cpSync(at('going', 'run.json'), at('begun', 'run.json'))
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('compare', () => {
  it('puts runs at every stage beside each other, and writes a page', () => {
    const { code, stdout, stderr } = compare('ended', 'going', 'longer', 'begun', '-o', 'page.html')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^ended +ended, 4 epochs +gmp +72.00 %/m)
    expect(stdout).toMatch(/^going +at epoch 2 of 4 +gmp +– +80.00 %/m)
    expect(stdout).toMatch(/^longer +at epoch 3 of 4 +gmp +– /m)
    expect(stdout).toMatch(/^begun +not begun/m)
    expect(stdout).toMatch(/^seed +0 +7 +0 +7$/m)
    expect(stdout).toMatch('1 of 4 runs has ended. Highest test accuracy: ended, 72.00 %.')
    const page = readFileSync(at('page.html'), 'utf8')
    expect(page).toMatch('4 runs compared')
    expect(page).toMatch('going 80 %')
  })

  it('knows the dense network that a run trained to compare with', () => {
    const { runs, differences } = JSON.parse(compare('ended', 'ended/dense', '--json').stdout)
    expect(runs[1]).toMatchObject({ name: 'dense', state: 'ended, 4 epochs', figures: { speedup: { median: 1 } } })
    expect(differences[0]).toEqual({ entry: 'method.name', values: ['gmp', 'dense'] })
  })

  it('leaves a page that is there, unless it is told to replace it', () => {
    writeFileSync(at('mine.html'), 'mine')
    const { code, stderr } = compare('ended', '-o', 'mine.html')
    expect([code, readFileSync(at('mine.html'), 'utf8')]).toEqual([2, 'mine'])
    expect(stderr).toMatch('--force')
    expect(compare('ended', '-o', 'mine.html', '--force').code).toBe(0)
    expect(readFileSync(at('mine.html'), 'utf8')).toMatch('1 run compared')
  })

  it('names every folder that is no run, and writes nothing', () => {
    mkdirSync(at('other'))
    mkdirSync(at('other', 'dense'))
    writeFileSync(at('file'), 'mine')
    mkdirSync(at('strange'))
    writeFileSync(at('strange', 'run.json'), '{"chasec":"1"}')
    const told = (...args: ReadonlyArray<string>): string => {
      const { code, stdout, stderr } = compare(...args, '-o', 'none.html')
      expect([code, stdout]).toEqual([2, ''])
      return stderr
    }
    expect(told('ended', 'nowhere')).toMatch(
      'folder nowhere: expected the folder of a training run, found no such folder',
    )
    expect(told('ended', 'other')).toMatch(
      'folder other: expected the folder of a training run, found no run.json in it',
    )
    expect(told('other/dense')).toMatch('folder other/dense: ')
    expect(told('file')).toMatch('folder file: ')
    expect(told('strange')).toMatch('strange/run.json: expected the settings of a run')
    const both = told('nowhere', 'other', 'ended')
    expect(both).toMatch('2 that are not')
    expect(both).toMatch('folder nowhere')
    expect(both).toMatch('folder other')
    expect(told('ended', 'going', './ended/')).toMatch('folder ./ended/: expected each run once')
    expect(existsSync(at('none.html'))).toBe(false)
  })

  it('says where a history is none', () => {
    writeRun('damaged', 20)
    writeFileSync(at('damaged', 'history.jsonl'), `${historyLines(history.slice(0, 1))}{"kind":"epoch"}\n`)
    const { code, stderr } = compare('damaged')
    expect(code).toBe(2)
    expect(stderr).toMatch('damaged/history.jsonl, line 2: expected an entry of the history of a run')
  })
})
