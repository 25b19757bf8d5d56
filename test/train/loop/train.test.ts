import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { renderError } from '../../../src/ir/failure.ts'
import { expandMask } from '../../../src/masks/mask.ts'
import { compile } from '../../../src/passes/compile.ts'
import { batchesInOrder, loadBatch } from '../../../src/train/data/index.ts'
import {
  type History,
  historyLines,
  historyTable,
  type Progress,
  train,
  type Trained,
  type TrainOptions,
} from '../../../src/train/index.ts'
import { countRows } from '../../../src/train/loop/score.ts'
import { describeMethods } from '../../../src/train/recipe/describe-methods.ts'
import { learningRateAt, policyOf } from '../../../src/train/recipe/index.ts'
import { dueSteps } from '../../../src/train/sparse/index.ts'
import { runGraph } from '../../models-ir/run.ts'
import { backendName, busyChase, recipeOf, right, tinyData, tinyResNet, weightsOf } from './fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-train-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = async (options: TrainOptions = {}, method = busyChase(), others = {}): Promise<Trained> =>
  right(await train(tinyResNet(), tinyData, recipeOf(method, others), { backend: backendName, ...options })())

const timeless = (history: History): ReadonlyArray<unknown> =>
  history.map((entry) => (entry.kind === 'epoch' ? { ...entry, seconds: 0, stepsPerSecond: 0 } : entry))

/** A method by its defaults, with intervals of 3 steps. */
const busy = ({ name, entries }: Pick<ReturnType<typeof describeMethods>[number], 'name' | 'entries'>) => ({
  name,
  ...Object.fromEntries(entries.filter(({ key }) => /^every$|Every$/.test(key)).map(({ key }) => [key, 3])),
})

describe('the result', () => {
  it.each([
    { name: 'busy Chase', method: busyChase() },
    ...describeMethods().map((described) => ({ name: described.name, method: busy(described) })),
  ])(
    'of $name is a masked graph that scores in ONNX Runtime what training said, and compiles to the same',
    async (one) => {
      const { graph, masks, history } = await run({}, one.method)
      for (const [name, mask] of masks) {
        const [weights, kept] = [weightsOf(graph).get(name), expandMask(mask)]
        expect(weights?.some((w, i) => kept[i] === 0 && w !== 0)).toBe(false)
      }
      const compiled = right(compile(graph, masks)).graph
      const [drawn] = batchesInOrder(tinyData.test.size, tinyData.test.size)
      const { images, labels } = right(
        await loadBatch(tinyData, tinyData.test, drawn ?? { indices: new Uint32Array() })(),
      )
      const input = { shape: [labels.length, ...tinyData.shape], data: images }
      const [masked, small] = [await runGraph(graph, input), await runGraph(compiled, input)].map(
        (outputs) => outputs.get('logits')?.data ?? new Float32Array(),
      )
      if (masked === undefined || small === undefined) throw new Error('no logits')
      expect(masked.length).toBe(3 * labels.length)
      expect(masked.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (small[i] ?? NaN))), 0)).toBeLessThan(1e-4)
      const said = history.at(-1)
      if (said?.kind !== 'test') throw new Error('no test score')
      for (const logits of [masked, small]) {
        const { correct, loss } = countRows(logits, labels)
        expect(correct / labels.length).toBe(said.accuracy)
        expect(loss / labels.length).toBeCloseTo(said.loss, 4)
      }
    },
  )

  it('is the same for the same arguments, and another for another seed', async () => {
    const [a, b, c] = [await run(), await run(), await run({}, busyChase(), { seed: 4 })]
    expect(weightsOf(a.graph)).toEqual(weightsOf(b.graph))
    expect(timeless(a.history)).toEqual(timeless(b.history))
    expect(weightsOf(a.graph)).not.toEqual(weightsOf(c.graph))
  })

  it('of lottery jackpots has the weights that were given, others chosen than at first, and statistics that went on', async () => {
    const given = weightsOf(tinyResNet())
    const { graph, masks } = await run({}, { name: 'lottery-jackpots', density: 0.4 })
    const magnitudes = [...masks.keys()].flatMap((name) => [...(given.get(name) ?? [])].map(Math.abs))
    const threshold = magnitudes.sort((a, b) => b - a)[Math.round(0.4 * magnitudes.length) - 1] ?? NaN
    let [kept, exchanged, moved] = [0, 0, 0]
    for (const [name, values] of weightsOf(graph)) {
      const [before, mask] = [given.get(name), masks.get(name)]
      const bits = mask === undefined ? undefined : expandMask(mask)
      if (name.includes('running')) {
        moved += values.some((x, i) => x !== before?.[i]) ? 1 : 0
        continue
      }
      expect(values).toEqual(before?.map((x, i) => (bits?.[i] === 0 ? 0 : x)))
      for (const [i, bit] of bits?.entries() ?? []) {
        kept += bit
        exchanged += bit === 1 && Math.abs(before?.[i] ?? NaN) < threshold ? 1 : 0
      }
    }
    expect(kept).toBe(Math.round(0.4 * magnitudes.length))
    expect([exchanged, moved].every((n) => n > 0)).toBe(true)
  })

  it('of dense training has no masks', async () => {
    const { masks, history, completed } = await run({}, { name: 'dense' }, { epochs: 1, augmentation: null })
    expect([masks.size, completed]).toEqual([0, true])
    expect(history.map(({ kind }) => kind)).toEqual(['plan', 'epoch', 'test'])
  })

  it('learns: the loss falls by half on images it can tell apart', async () => {
    const learningRate = { schedule: 'cosine', peak: 0.05, warmup: 1 }
    const { history } = await run(
      {},
      { name: 'static', density: 0.5 },
      { epochs: 12, augmentation: null, learningRate },
    )
    const losses = history.flatMap((entry) => (entry.kind === 'epoch' ? [entry.loss] : []))
    expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] ?? 0))
  })
})

describe('progress and history', () => {
  it('are told of at every step and epoch', async () => {
    const seen: Progress[] = []
    const { history } = await run({ onProgress: (progress) => seen.push(progress) })
    expect(seen.map(({ step }) => step)).toEqual(Array.from({ length: 28 }, (_, i) => i + 1))
    expect(seen.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 28 }, (_, i) => 1 + Math.floor(i / 7)))
    expect(seen.at(-1)?.secondsLeft).toBe(0)
    expect(seen.every(({ stepsPerSecond, secondsLeft }) => stepsPerSecond > 0 && secondsLeft >= 0)).toBe(true)
    expect(seen[0]?.channels).toEqual({ left: 34, of: 34 })
    const epochs = history.filter((entry) => entry.kind === 'epoch')
    expect(epochs.map(({ epoch, step }) => [epoch, step])).toEqual([1, 2, 3, 4].map((epoch) => [epoch, 7 * epoch]))
    const last = epochs.at(-1)
    expect([seen.at(-1)?.density, seen.at(-1)?.channels.left]).toEqual([last?.density, last?.channels])
    expect(seen.at(-1)?.loss).toBe(last?.loss)
    const lines = historyLines(history).trimEnd().split('\n')
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(history)
    const [names, ...rows] = historyTable(history)
      .trimEnd()
      .split('\n')
      .map((row) => row.split(','))
    expect(rows.map((row) => Number(row[names?.indexOf('validation_accuracy') ?? -1]))).toEqual(
      epochs.map(({ validation }) => validation.accuracy),
    )
  })
})

describe('checkpoints', () => {
  it('a stopped run, resumed, ends like one that was not', async () => {
    const path = join(folder, 'stopped.safetensors')
    const whole = await run()
    for (const stop of [3, 7, 19]) {
      const controller = new AbortController()
      const onProgress = ({ step }: Progress): void => {
        if (step === stop) controller.abort()
      }
      const checkpoint = { path, every: 100, resume: true }
      const part = await run({ checkpoint, signal: controller.signal, onProgress })
      expect(part.completed).toBe(false)
      expect(part.history.some(({ kind }) => kind === 'test')).toBe(false)
    }
    const steps: number[] = []
    const rest = await run({ checkpoint: { path, resume: true }, onProgress: ({ step }) => steps.push(step) })
    expect(steps[0]).toBe(20)
    expect(rest.completed).toBe(true)
    expect(weightsOf(rest.graph)).toEqual(weightsOf(whole.graph))
    expect([rest.masks, rest.channels]).toEqual([whole.masks, whole.channels])
    expect(timeless(rest.history)).toEqual(timeless(whole.history))
    const again = await run({ checkpoint: { path, resume: true } })
    expect(weightsOf(again.graph)).toEqual(weightsOf(whole.graph))
    expect(readdirSync(folder)).toEqual(['stopped.safetensors'])
  })

  it.each(describeMethods())('of $name, stopped and resumed, ends with the same bits', async ({ name, entries }) => {
    const path = join(folder, `method-${name}.safetensors`)
    const [method, others] = [busy({ name, entries }), { epochs: 2 }]
    const whole = await run({}, method, others)
    for (const stop of [4, 9]) {
      const controller = new AbortController()
      const onProgress = ({ step }: Progress): void => {
        if (step === stop) controller.abort()
      }
      const part = await run(
        { checkpoint: { path, resume: true }, signal: controller.signal, onProgress },
        method,
        others,
      )
      expect(part.completed).toBe(false)
    }
    const rest = await run({ checkpoint: { path, resume: true } }, method, others)
    expect(weightsOf(rest.graph)).toEqual(weightsOf(whole.graph))
    expect(rest.masks).toEqual(whole.masks)
    expect(timeless(rest.history)).toEqual(timeless(whole.history))
    rmSync(path)
  })

  it('a run stopped while it is evaluated, resumed, ends like one that was not', async () => {
    const whole = await run()
    for (const part of ['validation', 'test'] as const) {
      const path = join(folder, `${part}.safetensors`)
      const controller = new AbortController()
      const stopped = await run({
        checkpoint: { path },
        signal: controller.signal,
        onEvaluation: (progress) => {
          if (progress.part === part) controller.abort()
        },
      })
      expect([stopped.completed, stopped.history.some(({ kind }) => kind === 'test')]).toEqual([false, false])
      expect(stopped.history.filter(({ kind }) => kind === 'epoch')).toHaveLength(part === 'test' ? 4 : 0)
      const rest = await run({ checkpoint: { path, resume: true } })
      expect(timeless(rest.history)).toEqual(timeless(whole.history))
      expect(weightsOf(rest.graph)).toEqual(weightsOf(whole.graph))
      rmSync(path)
    }
  })

  describe('of a run that is made longer', () => {
    const path = join(folder, 'longer.safetensors')
    const longer = (epochs: number, options: TrainOptions = {}) =>
      run({ checkpoint: { path, resume: true }, ...options }, busyChase(), { epochs })

    it('go on by the learning rate and the schedules of the longer training, whether the run had ended or not', async () => {
      const ended = await longer(4)
      expect(ended.history.at(-1)).toMatchObject({ kind: 'test', step: 28 })
      const more = await longer(6)
      rmSync(path)
      expect(more.completed).toBe(true)
      // What was is kept, the score on the test images too: they have been looked at twice.
      expect(more.history.slice(0, ended.history.length)).toEqual(ended.history)
      const added = more.history.slice(ended.history.length)
      expect(added[0]).toMatchObject({ kind: 'plan', step: 28, epochs: 6 })
      expect(added.at(-1)).toMatchObject({ kind: 'test', step: 42 })
      const length = { steps: 42, stepsPerEpoch: 7 }
      const { learningRate, method } = recipeOf(busyChase(), { epochs: 6 })
      const rates = added.flatMap((entry) => (entry.kind === 'epoch' ? [entry.learningRate] : []))
      expect(rates).toEqual([35, 42].map((step) => learningRateAt(learningRate, step, length)))
      const due = policyOf(method, length).phases.flatMap((phase) => dueSteps(phase, 42))
      const updates = added.flatMap((entry) => (entry.kind === 'update' ? [entry.step] : []))
      expect(updates).toEqual([...new Set(due.filter((step) => step > 28))].toSorted((a, b) => a - b))
      expect(updates.length).toBeGreaterThan(0)
      // The budget is met all the same, and no channel has come back.
      const last = more.history.findLast((entry) => entry.kind === 'epoch')
      const before = ended.history.findLast((entry) => entry.kind === 'epoch')
      expect(last?.density).toBeCloseTo(before?.density ?? NaN, 10)
      for (const [name, kept] of more.channels)
        expect(ended.channels.get(name)).toEqual(expect.arrayContaining([...kept]))
    })

    it('are resumed to the same bits as a longer run that was not stopped', async () => {
      await longer(4)
      const whole = await longer(6)
      rmSync(path)
      await longer(4)
      const controller = new AbortController()
      const onProgress = ({ step }: Progress): void => {
        if (step === 33) controller.abort()
      }
      expect((await longer(6, { signal: controller.signal, onProgress })).completed).toBe(false)
      const rest = await longer(6)
      expect(timeless(rest.history)).toEqual(timeless(whole.history))
      expect(weightsOf(rest.graph)).toEqual(weightsOf(whole.graph))
    })

    it('are refused for fewer epochs than were planned', async () => {
      const options: TrainOptions = { backend: backendName, checkpoint: { path, resume: true } }
      const result = await train(tinyResNet(), tinyData, recipeOf(busyChase(), { epochs: 5 }), options)()
      expect(E.isLeft(result) ? renderError(result.left) : '').toMatch(
        /epochs: expected at least the 6 that the run was begun with, found 5/,
      )
      rmSync(path)
    })
  })

  it('of something else are refused, as are files that cannot be written', async () => {
    const path = join(folder, 'other.safetensors')
    const attempt = async (
      others: Record<string, unknown>,
      checkpoint: TrainOptions['checkpoint'],
    ): Promise<string> => {
      const recipe = recipeOf(busyChase(), { epochs: 1, ...others })
      const options: TrainOptions = { backend: backendName, ...(checkpoint === undefined ? {} : { checkpoint }) }
      const result = await train(tinyResNet(), tinyData, recipe, options)()
      return E.isLeft(result) ? renderError(result.left) : 'no error'
    }
    expect(await attempt({}, { path })).toBe('no error')
    expect(await attempt({ momentum: 0.8 }, { path, resume: true })).toMatch(/expected a checkpoint of this recipe/)
    writeFileSync(path, 'no tensors')
    expect(await attempt({}, { path, resume: true })).toMatch(/other.safetensors: expected a checkpoint: a header of/)
    expect(await attempt({}, { path: join(folder, 'none', 'x') })).toMatch(
      /expected a file that can be written, found no such file/,
    )
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })
})

describe('errors', () => {
  it.each([
    ['classes', { ...tinyData, classes: ['a', 'b'] }, /first graph output: expected logits of 2 classes/],
    [
      'image size',
      { ...tinyData, shape: [2, 3, 12] as const },
      /graph inputs: expected one input for images of 2x3x12/,
    ],
  ])('%s', async (_, data, message) => {
    const result = await train(tinyResNet(), data, recipeOf({ name: 'dense' }), { backend: backendName })()
    expect(E.isLeft(result) ? renderError(result.left) : '').toMatch(message)
  })

  it('a loss that is no number', async () => {
    const recipe = recipeOf({ name: 'dense' }, { learningRate: { schedule: 'constant', peak: 1e30 } })
    const result = await train(tinyResNet(), tinyData, recipe, { backend: backendName })()
    expect(E.isLeft(result) ? renderError(result.left) : '').toMatch(/loss at step \d+: expected a finite number/)
  })
})
