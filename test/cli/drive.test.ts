/** `chasec drive` answers a loop that knows only files as the library answers one that knows typed arrays. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { networkOf, policyOf, sparse } from '../../src/api/index.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'
import { dense, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { decodeSafetensors, encodeSafetensors } from '../../src/masks/safetensors.ts'
import { graphWithParameters } from '../../src/train/executor/graph-with-parameters.ts'
import { densityOf } from '../../src/train/loop/counts.ts'
import { busyChase, recipeOf, right, tinyResNet } from '../train/loop/fixtures.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'chasec-drive-'))
afterAll(() => rmSync(temporary, { recursive: true }))

/** A `chasec drive` that runs; requests are sent one at a time. */
const driver = (folder: string) => {
  if (!existsSync(main)) throw new Error(`${main} is not there: run npm run build first`)
  const child = spawn(process.execPath, [main, 'drive', folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => {
    const line = await lines.next()
    return JSON.parse(line.done === true ? 'null' : line.value)
  }
  return {
    send: (line: string): Promise<unknown> => {
      child.stdin.write(`${line}\n`)
      return next()
    },
    ask: (request: unknown): Promise<unknown> => {
      child.stdin.write(`${JSON.stringify(request)}\n`)
      return next()
    },
    end: async (): Promise<{ readonly last: unknown; readonly code: number | null }> => {
      const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
      child.stdin.end()
      return { last: await next(), code: await closed }
    },
  }
}

const graph = tinyResNet()
const method = busyChase({ every: 3, channelsEvery: 3 })
const length = { steps: 20, stepsPerEpoch: 5 }
const start = { request: 'start', method, ...length, seed: 4 }
const policy = policyOf(recipeOf(method).method, length)
const network = networkOf(graph, new Set(graph.constants.keys()))

const folderFor = (name: string, model: Graph = graph): string => {
  const folder = join(temporary, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'model.onnx'), right(lower(model)).model)
  return folder
}

const masksIn = (folder: string, name: string): ReadonlyMap<string, ReadonlyArray<number>> => {
  const { tensors } = right(decodeSafetensors(new Uint8Array(readFileSync(join(folder, name)))))
  return new Map(Array.from(tensors, ([key, { bytes }]) => [key, Array.from(bytes)]))
}

const listed = (masks: ReadonlyArray<Uint8Array>): ReadonlyMap<string, ReadonlyArray<number>> =>
  new Map(network.layers.map(({ name }, l) => [name, Array.from(masks[l] ?? [])]))

const noise = (seed: number): ReadonlyArray<Float32Array> => {
  const { next } = drawsFrom(seededRandom(seed))
  return network.layers.map(({ shape }) => new Float32Array(sizeOf(shape)).map(() => next() - 0.5))
}

const writeSample = (folder: string, name: string, arrays: ReadonlyArray<Float32Array>): void => {
  const tensors = arrays.map((array, l) => {
    const { name: layer, shape } = network.layers[l] ?? { name: '', shape: [] }
    return [layer, tensorOf('float32', shape, array)] as const
  })
  writeFileSync(join(folder, `${name}.safetensors`), Buffer.concat(encodeSafetensors(new Map(tensors))))
}

const due = Array.from({ length: length.steps }, (_, i) => i + 1).filter((s) => sparse.needs(policy, s) !== 'nothing')

/** What the library makes of the same samples. */
const sampleAt = (step: number): sparse.Sample => ({ weights: noise(step), gradients: noise(-step) })

describe('chasec drive', () => {
  it('answers as the library does, also after it was resumed', async () => {
    const folder = folderFor('arrays')
    let drive = driver(folder)
    let state = right(sparse.init(network, policy, 4))
    let answer = await drive.ask(start)
    expect(answer).toMatchObject({ answer: 'start', policy: 'chase', masked: 'zeroed', step: 0, multipliers: [0] })
    expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
    let [removed, restarted] = [0, 0]
    for (const [i, step] of due.entries()) {
      if (i === 3) {
        expect(await drive.ask({ request: 'save', step: step - 1 })).toEqual({ answer: 'save', step: step - 1 })
        expect(await drive.end()).toMatchObject({ last: { answer: 'end', failures: 0 }, code: 0 })
        drive = driver(folder)
        answer = await drive.ask({ ...start, resume: true })
        expect(answer).toMatchObject({ step: step - 1 })
        expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
      }
      const gradients = sparse.needs(policy, step) === 'weights and gradients'
      expect(answer).toMatchObject({ next: { step, gradients } })
      const sample = sampleAt(step)
      writeSample(folder, 'weights', sample.weights)
      if (gradients) writeSample(folder, 'gradients', sample.gradients ?? [])
      else rmSync(join(folder, 'gradients.safetensors'), { force: true })
      answer = await drive.ask({ request: 'update', step })
      const before = state.masks
      const { state: after, event } = right(sparse.update(state, sample, step))
      state = after
      removed += event?.channels.reduce((n, stream) => n + stream.channels.length, 0) ?? 0
      restarted += event?.layers.reduce((n, layer) => n + layer.restarted.length, 0) ?? 0
      expect(answer).toMatchObject({
        event: {
          density: event?.density,
          removed: event?.channels.map(({ stream, original }) => ({ stream, channels: Array.from(original) })),
          layers: event?.layers.map(({ layer, live, pruned }) => ({ layer, live, pruned: pruned.length })),
        },
      })
      expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
      const carried = state.masks.map((mask, l) => {
        const anew = new Set(event?.layers[l]?.restarted)
        return mask.map((kept, at) => (anew.has(at) ? 0 : kept & (before[l]?.[at] ?? 0)))
      })
      expect(masksIn(folder, 'carry.safetensors')).toEqual(listed(carried))
    }
    expect(answer).toMatchObject({ next: null })
    expect(await drive.ask({ request: 'update', step: 19 })).toMatchObject({ event: null })
    expect([removed, restarted].every((count) => count > 0)).toBe(true)
    await drive.end()
  })

  it('finds tensors by their codes under other names and in another layout', async () => {
    // The other program has weights transposed, and one of them frozen.
    const names = [...graph.constants].filter(([, { dtype }]) => dtype === 'float32')
    const frozen = network.layers[1]?.name
    const tensors = names.map(([name, { shape }]) => ({
      name: `their ${name}`,
      shape: shape.toReversed(),
      trained: name !== frozen,
    }))
    let at = 0x00800000
    const coded = names.map(([name, { shape }]) => {
      const size = sizeOf(shape)
      const codes = new Float32Array(Uint32Array.from({ length: size }, (_, i) => at + i).buffer)
      at += size
      return [name, transposed(codes, shape.toReversed())] as const
    })
    const folder = folderFor('coded', graphWithParameters(graph, new Map(coded)))
    const drive = driver(folder)
    const wanted = network.layers.filter(({ name }) => name !== frozen)
    const answer = await drive.ask({ ...start, method: { name: 'rigl', every: 3 }, tensors })
    expect(answer).toMatchObject({ tensors: wanted.map(({ name }) => `their ${name}`) })
    const part = networkOf(graph, new Set(wanted.map(({ name }) => name)))
    const state = right(sparse.init(part, policyOf(recipeOf({ name: 'rigl', every: 3 }).method, length), 4))
    const expected = part.layers.map(({ name, shape }, l) => {
      const mask = Float32Array.from(state.masks[l] ?? [])
      return [`their ${name}`, Array.from(transposed(mask, shape))] as const
    })
    expect(masksIn(folder, 'masks.safetensors')).toEqual(new Map(expected))
    await drive.end()
  })

  it('does before the first step of snip what comes of its gradients, without the step', async () => {
    const folder = folderFor('first')
    const drive = driver(folder)
    const snip = policyOf(recipeOf({ name: 'snip', density: 0.3 }).method, length)
    const before = right(sparse.init(network, snip, 4))
    expect(await drive.ask({ ...start, method: { name: 'snip', density: 0.3 } })).toMatchObject({
      masked: 'zeroed',
      next: { step: 1, gradients: true, skips: true },
    })
    expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(before.masks))
    const sample = sampleAt(1)
    writeSample(folder, 'weights', sample.weights)
    writeSample(folder, 'gradients', sample.gradients ?? [])
    const { state } = right(sparse.update(before, sample, 0))
    expect(await drive.ask({ request: 'update', step: 1 })).toMatchObject({
      event: { density: densityOf(state) },
      next: null,
    })
    expect(masksIn(folder, 'masks.safetensors')).toEqual(listed(state.masks))
    await drive.end()
  })

  it('tells of masked weights that are trained on', async () => {
    const drive = driver(folderFor('trained'))
    const pattern = { name: 'n-of-m', n: 1, m: 2, decay: 'mask', begin: 0.1, until: 0.5, every: 4 }
    expect(await drive.ask({ ...start, method: pattern })).toMatchObject({
      masked: 'trained',
      next: { step: 4, gradients: false },
      multipliers: [1, 1, 1, 0.875],
    })
    await drive.end()
  })

  it('survives what it cannot do', async () => {
    const folder = folderFor('wrong')
    const drive = driver(folder)
    const refused: ReadonlyArray<readonly [unknown, Record<string, unknown>]> = [
      [[1], { _tag: 'RequestError', subject: 'request' }],
      [{ request: 'stop' }, { expected: 'start, update, save', found: '"stop"' }],
      [
        { request: 'update', step: 3 },
        { expected: 'start', found: 'update' },
      ],
      [{ request: 'update', step: -1 }, { subject: 'entry step' }],
      [{ request: 'save', at: 1 }, { subject: 'entry at' }],
      [{ ...start, steps: 0 }, { subject: 'entry steps' }],
      [{ ...start, method: { name: 'chase', densty: 1 } }, { subject: 'recipe entry method.densty' }],
      [{ ...start, method: { name: 'rigl', every: 99 } }, { subject: 'every of method rigl' }],
      [{ ...start, method: { name: 'rigl', every: 2, distribution: 'snip' } }, { found: 'snip' }],
      ...[
        { name: 'iss-p' },
        { name: 'lottery-jackpots' },
        { name: 'dynadiag' },
        { name: 'hesso' },
        { name: 'dhspg' },
        { name: 'wgsef' },
        { name: 'mask-sparsity' },
        { name: 'demp', every: 2 },
        { name: 'bdwp' },
        { name: 's-ste' },
      ].map((method) => {
        const expected = 'a method of masks alone'
        return [
          { ...start, method },
          { subject: 'method', expected, found: method.name },
        ] as const
      }),
      [
        { ...start, method: { name: 'grasp' } },
        { subject: 'method', found: 'grasp' },
      ],
      [{ ...start, resume: 'yes' }, { subject: 'entry resume' }],
      [{ ...start, resume: true }, { subject: join(folder, 'state.safetensors') }],
      [
        { ...start, tensors: [{ name: 'a' }] },
        { subject: 'entry tensors', found: '{"name":"a"}' },
      ],
      [{ ...start, tensors: ['a', 'a'].map((name) => ({ name, shape: [] })) }, { found: 'a twice' }],
      [{ ...start, tensors: [{ name: 'a', shape: [2 ** 32] }] }, { found: `${2 ** 32}` }],
      [{ ...start, tensors: [{ name: 'a', shape: [9] }] }, { expected: 'a layer whose weights are trained' }],
    ]
    for (const [request, error] of refused) expect(await drive.ask(request)).toMatchObject({ error })
    expect(await drive.send('{')).toMatchObject({ error: { subject: 'request', found: '{' } })
    const gone = driver(join(temporary, 'nothing'))
    expect(await gone.ask(start)).toMatchObject({ error: { _tag: 'ReadError' } })
    await gone.end()

    expect(await drive.ask(start)).toMatchObject({ next: { step: 2 } })
    expect(await drive.ask({ request: 'update', step: 3 })).toMatchObject({
      error: { subject: join(folder, 'weights.safetensors'), help: 'Write it before the request.' },
    })
    writeSample(folder, 'weights', noise(1).slice(0, -1))
    const last = network.layers.at(-1)
    expect(await drive.ask({ request: 'update', step: 3 })).toMatchObject({
      error: { expected: expect.any(String), subject: `weights.safetensors: tensor ${last?.name}` },
    })
    writeSample(folder, 'weights', noise(1))
    writeSample(folder, 'gradients', noise(2))
    expect(await drive.ask({ request: 'update', step: 3 })).toMatchObject({ event: { step: 3 } })

    await drive.ask({ request: 'save', step: 3 })
    const other = { error: { expected: 'a state of this training', found: 'one of another training' } }
    expect(await drive.ask({ ...start, seed: 5, resume: true })).toMatchObject(other)
    writeFileSync(
      join(folder, 'state.safetensors'),
      Buffer.concat(encodeSafetensors(new Map([['x', dense('uint8', [1], new Uint8Array(1))]]))),
    )
    expect(await drive.ask({ ...start, resume: true })).toMatchObject({ error: { found: 'another file' } })
    const { last: end, code } = await drive.end()
    expect(end).toMatchObject({ answer: 'end' })
    expect(code).toBe(0)
  })
})

/** Elements of a row-major array of `shape`, row-major after all axes were turned around. */
function transposed(values: Float32Array, shape: ReadonlyArray<number>): Float32Array {
  const out = new Float32Array(values.length)
  const [from, to] = [new Uint32Array(values.buffer), new Uint32Array(out.buffer)]
  for (let i = 0; i < from.length; i++) {
    let [rest, place, step] = [i, 0, 1]
    const index = shape.toReversed().map((d) => {
      const k = rest % d
      rest = Math.floor(rest / d)
      return k
    })
    for (const [a, d] of shape.entries()) {
      place += (index[shape.length - 1 - a] ?? 0) * step
      step *= d
    }
    to[place] = from[i] ?? 0
  }
  return out
}
