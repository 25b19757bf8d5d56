/**
 * Exporter-made graphs with seeded weights under five kinds of masks: the compiled model computes what the masked one
 * computes. `MODELS=all` runs every graph (the larger ones take minutes); `MODELS=name,name` some.
 */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Graph } from '../src/ir/graph.ts'
import { axisMask, type Mask } from '../src/masks/mask.ts'
import { readModelBytes } from '../src/read/model.ts'
import { runPipeline } from '../src/passes/pass.ts'
import { cleanUp } from '../src/passes/pipeline.ts'
import { compareCompiled, orThrow } from './fuzz/differential.ts'
import { maskKinds, randomMasks } from './fuzz/masks.ts'
import { inflate, uniforms } from './inflate.ts'

const small = ['resnet18', 'mobilenet_v2', 'shufflenet_v2_x1_0', 'squeezenet1_1', 'unet', 'crnn_lstm']
const all = readdirSync(new URL('models', import.meta.url)).flatMap((f) =>
  f.endsWith('.onnx') ? [f.slice(0, -5)] : [],
)
const wanted = process.env['MODELS']
const names = wanted === undefined ? small : wanted === 'all' ? all : wanted.split(',')
const kinds = maskKinds.filter((kind) => ['rows', 'columns', 'both', 'dead', 'none'].includes(kind))
const sizes = new Map([['N', 1]])

interface Model {
  readonly graph: Graph
  /** The same with weights told from other constants, also those that the exporter transposes on the fly. */
  readonly clean: Graph
}

const load = (name: string): Model => {
  const graph = orThrow(readModelBytes(inflate(name)))
  return { graph, clean: orThrow(runPipeline(cleanUp, graph)) }
}

describe.each(names)('%s', (name) => {
  const loaded: Model[] = []
  beforeAll(() => {
    loaded.push(load(name))
  })
  afterAll(() => {
    loaded.pop()
  })
  test.each(kinds)('masked by %s', async (kind) => {
    const [{ graph, clean } = load(name)] = loaded
    const model = kind === 'none' ? graph : clean
    const { compiled, worst } = await compareCompiled(model, randomMasks(clean, kind, uniforms(11)), { sizes })
    const { before, after, alone } = compiled.report
    console.log(
      `${name} ${kind}: MACs ${before.macs} -> ${after.macs} (alone ${Math.round(alone)}), ` +
        `parameters ${before.parameters} -> ${after.parameters}, error ${worst.toExponential(1)}`,
    )
    expect(worst).toBeLessThan(1e-4)
    if (kind !== 'none' && kind !== 'dead') expect(after.macs).toBeLessThan(before.macs)
  })
})

test('ResNet-18 with half of the first convolution of every block masked is exact', async () => {
  const graph = orThrow(readModelBytes(inflate('resnet18')))
  const masks = new Map<string, Mask>()
  for (const [name, { shape }] of graph.constants) {
    if (!/^layer\d\.\d\.conv1\.weight$/.test(name)) continue
    masks.set(
      name,
      axisMask(
        shape,
        0,
        Uint8Array.from({ length: shape[0] ?? 0 }, (_, o) => o % 2),
      ),
    )
  }
  expect(masks.size).toBe(8)
  const { compiled, worst } = await compareCompiled(graph, masks, { sizes })
  expect(worst).toBeLessThan(1e-5)
  expect(compiled.graph.nodes.filter(({ op }) => op === 'BatchNormalization')).toHaveLength(0)
  for (const { layer, outputs } of compiled.report.layers.filter((l) => /layer\d\.\d\/conv1/.test(l.layer))) {
    // What the other half adds at padding is added behind the next convolution; that is cheaper than a carrier here.
    expect(outputs.after, layer).toBe(outputs.before / 2)
  }
})
