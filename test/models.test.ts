/**
 * Exporter-made graphs with seeded weights under five kinds of masks: the compiled model computes what the masked one
 * computes. `MODELS=all` runs every graph (the larger ones take minutes); `MODELS=name,name` some.
 */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readModelBytes } from '../src/read/model.ts'
import { runPipeline } from '../src/passes/pass.ts'
import { cleanUp } from '../src/passes/pipeline.ts'
import { compareCompiled, orThrow } from './fuzz/differential.ts'
import { maskKinds, randomMasks } from './fuzz/masks.ts'
import { inflate, uniforms } from './inflate.ts'

const small = ['resnet18', 'mobilenet_v2', 'shufflenet_v2_x1_0', 'squeezenet1_1', 'unet', 'crnn_lstm']
const all = readdirSync(new URL('models', import.meta.url)).flatMap((f) => (f.endsWith('.onnx') ? [f.slice(0, -5)] : []))
const wanted = process.env['MODELS']
const names = wanted === undefined ? small : wanted === 'all' ? all : wanted.split(',')
const kinds = maskKinds.filter((kind) => ['rows', 'columns', 'both', 'dead', 'none'].includes(kind))
const sizes = new Map([['N', 1]])

describe.each(names)('%s', (name) => {
  const graph = orThrow(readModelBytes(inflate(name)))
  // Weights are told from other constants on the cleaned-up graph; their names are those of the file.
  const clean = orThrow(runPipeline(cleanUp, graph))
  test.each(kinds)('masked by %s', { timeout: 300_000 }, async (kind) => {
    const masks = randomMasks(clean, kind, uniforms(11))
    const { compiled, worst } = await compareCompiled(graph, masks, { sizes })
    const { before, after, alone } = compiled.report
    console.log(`${name} ${kind}: MACs ${before.macs} -> ${after.macs} (alone ${Math.round(alone)}), parameters ${before.parameters} -> ${after.parameters}, error ${worst.toExponential(1)}`)
    expect(worst).toBeLessThan(1e-4)
    if (kind === 'rows' || kind === 'both') expect(after.macs).toBeLessThan(before.macs)
  })
})
