/** TensorFlow.js models on disk: the path of `model.json`, of its folder, and what is wrong with files. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tfl from '@tensorflow/tfjs-layers'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { print } from '../../../src/ir/print.ts'
import { readModel } from '../../../src/read/file.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { quiet, read, save, type Saved, weightsFile } from './tensorflow-js.ts'

const root = mkdtempSync(join(tmpdir(), 'chasec-tfjs-'))
const saved: Saved[] = []

beforeAll(async () => {
  await quiet()
  saved.push(await save(tfl.sequential({ layers: [tfl.layers.dense({ units: 3, inputShape: [4] })] })))
})

afterAll(() => {
  rmSync(root, { recursive: true })
})

/** A folder with the model, and what it holds. */
const folderOf = (name: string, change: Readonly<Record<string, unknown>> = {}): { path: string; model: Saved } => {
  const [model] = saved
  if (model === undefined) throw new Error('nothing saved')
  const path = join(root, name)
  mkdirSync(path)
  writeFileSync(join(path, 'model.json'), JSON.stringify({ ...model.json, ...change }))
  writeFileSync(join(path, weightsFile), model.weights)
  return { path, model }
}

const errorOf = async (path: string): Promise<string> => {
  const result = await readModel(path)()
  return E.isLeft(result) ? `${result.left.code} ${renderError(result.left)}` : 'read'
}

test('by its path, by its folder, and in memory, it is the same graph', async () => {
  const { path, model } = folderOf('whole')
  const wanted = print(orThrow(read(model)))
  expect(print(orThrow(await readModel(path)()))).toBe(wanted)
  expect(print(orThrow(await readModel(join(path, 'model.json'))()))).toBe(wanted)
})

test('files of weights stay in the folder of the model', async () => {
  const { path } = folderOf('lost')
  rmSync(join(path, weightsFile))
  expect(await errorOf(path)).toMatch(/^external-data-file-missing weights weights\.bin: .*Copy all files of the model/)
  symlinkSync('/etc/hostname', join(path, weightsFile))
  expect(await errorOf(path)).toMatch(/^external-data-invalid .*a link that leads out of it/)
  const { path: other } = folderOf('upwards', { weightsManifest: [{ paths: ['../x'], weights: [] }] })
  expect(await errorOf(other)).toMatch(/^external-data-invalid .*a step to a parent folder/)
})

test('what is broken is said', async () => {
  expect(await errorOf(folderOf('no topology', { modelTopology: null }).path)).toMatch(
    /^tfjs-invalid model\.json: expected a modelTopology, found none/,
  )
  expect(await errorOf(folderOf('text', { weightsManifest: 'x' }).path)).toMatch(
    /^tfjs-invalid model\.json: expected a weightsM/,
  )
  const { path } = folderOf('cut')
  writeFileSync(join(path, 'model.json'), '{"modelTopology": {')
  expect(await errorOf(path)).toMatch(/^tfjs-invalid model\.json: expected JSON/)
})
