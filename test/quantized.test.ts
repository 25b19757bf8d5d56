/**
 * A small network quantized by ONNX Runtime's quantizer, in its formats: the compiled model makes the same numbers as the masked
 * one, to the last bit, whether ONNX Runtime fuses what it computes or not.
 */
import { readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { lower } from '../src/export/lower.ts'
import type { Graph } from '../src/ir/graph.ts'
import { elements } from '../src/ir/tensor.ts'
import { axisMask, intersectMask, type Mask, type Masks } from '../src/masks/mask.ts'
import { applyMasks } from '../src/passes/apply-masks.ts'
import type { Compiled } from '../src/passes/compile.ts'
import { readModelBytes } from '../src/read/model.ts'
import { compileValid, orThrow } from './fuzz/differential.ts'
import { normals, uniforms } from './inflate.ts'

const fileOf = (name: string): Uint8Array => readFileSync(new URL(`models/quantized/${name}.onnx`, import.meta.url))

const load = (name: string): Graph => orThrow(readModelBytes(fileOf(name)))

/** Filters that go from each layer, the first ones, and the shape of its weight. */
const dead = {
  conv1: { shape: [16, 3, 3, 3], filters: 4 },
  conv2: { shape: [16, 16, 1, 1], filters: 6 },
  conv3: { shape: [16, 16, 3, 3], filters: 4 },
  conv4: { shape: [24, 16, 1, 1], filters: 8 },
  conv5: { shape: [32, 40, 1, 1], filters: 10 },
} as const

const masksFor = (nameOf: (layer: string) => string): Masks =>
  new Map(
    Object.entries(dead).map(([layer, { shape, filters }]) => [
      nameOf(layer),
      axisMask(
        shape,
        0,
        Uint8Array.from({ length: shape[0] }, (_, i) => (i < filters ? 0 : 1)),
      ),
    ]),
  )

type Feeds = (seed: number) => Record<string, ort.Tensor>

const image: Feeds = (seed) => ({
  x: new ort.Tensor('float32', Float32Array.from({ length: 192 }, normals(uniforms(seed))), [1, 3, 8, 8]),
})

const run = async (
  graph: Graph,
  level: 'disabled' | 'all',
  feeds: Record<string, ort.Tensor>,
): Promise<ReadonlyArray<number>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: level,
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  })
  const [y] = Object.values(await session.run(feeds))
  await session.release()
  if (!(y?.data instanceof Float32Array)) throw new Error('the output is not float32')
  return Array.from(y.data)
}

/** `rounding` is relative to the largest output: of real numbers that are summed in another order; a rounded integer is a thousandth. */
const expectSame = async (graph: Graph, masks: Masks, feeds = image, rounding = 0): Promise<Compiled> => {
  const masked = orThrow(applyMasks(graph, masks))
  const compiled = compileValid(graph, masks, { widths: 'raw' })
  for (const level of ['disabled', 'all'] as const) {
    for (let seed = 1; seed <= 3; seed++) {
      const [made, expected] = [compiled.graph, masked].map((one) => run(one, level, feeds(seed)))
      const [y, z] = [(await made) ?? [], (await expected) ?? []]
      expect(y.length).toBe(z.length)
      const largest = Math.max(...z.map(Math.abs))
      const difference = Math.max(...z.map((v, i) => Math.abs(v - (y[i] ?? NaN))))
      expect(difference, `${level}, input ${seed}`).toBeLessThanOrEqual(rounding * largest)
    }
  }
  return compiled
}

const bytesOf = (graph: Graph): Uint8Array => orThrow(lower(graph)).model

const outputsOf = ({ report }: Compiled): Record<string, number> =>
  Object.fromEntries(report.layers.map(({ layer, outputs }) => [layer.replace(/_quant$/, ''), outputs.after]))

/** Why channels of a layer stay. */
const staysOf = ({ report }: Compiled, layer: string): ReadonlyArray<string> =>
  report.layers
    .filter((one) => one.layer.startsWith(layer))
    .flatMap(({ stays }) => stays.map(({ reason }) => reason.text))

const paddingText =
  /^is not the same at all positions behind .*conv3.*: a weight that is held as smaller numbers cannot/

/** Dead filters whose bias is no zero behind the activation: two of these stay, since their numbers meet the padding of conv3. */
const widths = { conv1: 12, conv2: 14, conv3: 12, conv4: 16, conv5: 22, fc: 10 }

describe.each(['qdq_by_channel', 'qdq_by_tensor'])('%s', (name) => {
  test('loses what is masked, under each name of its weights', async () => {
    const graph = load(name)
    const compiled = await expectSame(
      graph,
      masksFor((layer) => `${layer}.weight_quantized`),
    )
    expect(outputsOf(compiled)).toEqual(widths)
    expect(staysOf(compiled, 'conv2')).toContainEqual(expect.stringMatching(paddingText))
    const byFloatName = compileValid(
      graph,
      masksFor((layer) => `${layer}.weight_DequantizeLinear_Output`),
      { widths: 'raw' },
    )
    expect(bytesOf(byFloatName.graph)).toEqual(bytesOf(compiled.graph))
  })

  test('keeps its weights as integers, under their names', () => {
    const graph = load(name)
    const { graph: compiled } = compileValid(
      graph,
      masksFor((layer) => `${layer}.weight_quantized`),
      { widths: 'raw' },
    )
    const written = orThrow(readModelBytes(bytesOf(compiled)))
    const { constants } = written
    for (const [key, tensor] of constants) expect(tensor.dtype, key).toBe(graph.constants.get(key)?.dtype)
    for (const key of graph.constants.keys()) if (/_quantized$/.test(key)) expect(constants.has(key), key).toBe(true)
    const ops = (g: Graph): ReadonlyArray<string> => g.nodes.map(({ op, name: label }) => `${op} ${label}`).toSorted()
    expect(ops(written)).toEqual(ops(graph))
  })

  test('compiles to itself without masks, and when it is compiled', () => {
    const graph = load(name)
    const whole = compileValid(graph, new Map(), { widths: 'raw' })
    const { before, after } = whole.report
    expect({ macs: after.macs, nodes: after.nodes }).toEqual({ macs: before.macs, nodes: before.nodes })
    const compiled = compileValid(
      graph,
      masksFor((layer) => `${layer}.weight_quantized`),
      { widths: 'raw' },
    )
    const bytes = bytesOf(compiled.graph)
    expect(bytesOf(compileValid(orThrow(readModelBytes(bytes)), new Map(), { widths: 'raw' }).graph)).toEqual(bytes)
  })
})

describe.each(['qoperator_by_channel', 'qoperator_by_tensor'])('%s', (name) => {
  test('loses what is masked', async () => {
    const graph = load(name)
    const compiled = await expectSame(
      graph,
      masksFor((layer) => `${layer}.weight_quantized`),
    )
    expect(outputsOf(compiled)).toEqual(widths)
    expect(staysOf(compiled, 'conv2')).toContainEqual(expect.stringMatching(paddingText))
    expect(compiled.report.opaque).toEqual([])
    const bytes = bytesOf(compiled.graph)
    expect(bytesOf(compileValid(orThrow(readModelBytes(bytes)), new Map(), { widths: 'raw' }).graph)).toEqual(bytes)
  })
})

test('dynamically quantized layers lose channels that are zero, since their scales cannot depend on these', async () => {
  const graph = load('dynamic')
  const first = (shape: ReadonlyArray<number>, axis: number, count: number, start = 0): Mask =>
    axisMask(
      shape,
      axis,
      Uint8Array.from({ length: shape[axis] ?? 0 }, (_, i) => (i >= start && i < start + count ? 0 : 1)),
    )
  const weights: Masks = new Map([
    ['conv4.weight_quantized', first([24, 16, 1, 1], 0, 8)],
    ['conv5.weight_quantized', intersectMask(first([32, 40, 1, 1], 0, 10), first([32, 40, 1, 1], 1, 8, 16))],
    ['fc.weight_quantized', first([32, 10], 0, 10)],
  ])
  const kept = await expectSame(graph, weights)
  // Filters of a negative bias are zero behind the activation, the others hold a number that counts for the range.
  expect(outputsOf(kept)).toMatchObject({ conv4: 21, conv5: 28 })
  const all: Masks = new Map([...weights, ['conv4.bias', first([24], 0, 8)], ['conv5.bias', first([32], 0, 10)]])
  const compiled = await expectSame(graph, all)
  expect(outputsOf(compiled)).toMatchObject({ conv4: 16, conv5: 22 })
  // Zeros need not be masked in the layer that reads them.
  const made = await expectSame(graph, new Map([...all, ['conv5.weight_quantized', first([32, 40, 1, 1], 0, 10)]]))
  expect(outputsOf(made)).toMatchObject({ conv4: 16, conv5: 22 })
  expect(compiled.report.opaque).toEqual([])
})

describe('BERT, optimised and then dynamically quantized', () => {
  const words: Feeds = (seed) => {
    const uniform = uniforms(seed)
    const ids = BigInt64Array.from({ length: 20 }, () => BigInt(Math.floor(96 * uniform())))
    return {
      input_ids: new ort.Tensor('int64', ids, [2, 10]),
      attention_mask: new ort.Tensor(
        'int64',
        ids.map((_, i) => (i % 10 < 7 ? 1n : 0n)),
        [2, 10],
      ),
    }
  }
  const without = (shape: ReadonlyArray<number>, axis: number, isGone: (i: number) => boolean): Mask =>
    axisMask(
      shape,
      axis,
      Uint8Array.from({ length: shape[axis] ?? 0 }, (_, i) => (isGone(i) ? 0 : 1)),
    )
  const attention = (layer: number, isGone: (i: number) => boolean): Masks =>
    new Map([
      [`Attention_${layer}_qkv_weight_quantized`, without([48, 144], 1, isGone)],
      [`Attention_${layer}_qkv_bias`, without([144], 0, isGone)],
    ])
  const attentionsOf = ({ graph }: Compiled) =>
    graph.nodes.filter(({ op }) => op.includes('Attention')).map(({ op, attrs }) => ({ op, attrs }))

  test('loses heads and neurons, and stays as fused as it was', async () => {
    const graph = load('bert_optimised_dynamic')
    const masks: Masks = new Map([
      ...attention(0, (i) => i % 48 >= 12 && i % 48 < 24),
      ['onnx::MatMul_388_quantized', without([48, 96], 1, (i) => i % 3 === 1)],
      ['model.encoder.layer.0.intermediate.dense.bias', without([96], 0, (i) => i % 3 === 1)],
      ['model.embeddings.word_embeddings.weight_quantized', without([96, 48], 1, (i) => i < 8)],
    ])
    const masked = orThrow(applyMasks(graph, masks)).constants.get('model.embeddings.word_embeddings.weight_quantized')
    expect(masked && Array.from(elements(masked).slice(0, 8), Number)).toEqual(Array<number>(8).fill(127))
    const compiled = await expectSame(graph, masks, words)
    expect(compiled.report.opaque).toEqual([])
    expect(attentionsOf(compiled)).toMatchObject([
      { op: 'com.microsoft.QAttention', attrs: { num_heads: 3 } },
      { op: 'com.microsoft.QAttention', attrs: { num_heads: 4 } },
    ])
    const bytes = bytesOf(compiled.graph)
    expect(bytesOf(compileValid(orThrow(readModelBytes(bytes)), new Map(), { widths: 'raw' }).graph)).toEqual(bytes)
    expect(compiled.report.layers.slice(0, 4).map(({ inputs, outputs }) => [inputs.after, outputs.after])).toEqual([
      [48, 108],
      [36, 48],
      [48, 64],
      [64, 48],
    ])
  })

  test('loses places of queries and keys, which are multiplied apart from then on', async () => {
    const graph = load('bert_optimised_dynamic')
    const compiled = await expectSame(
      graph,
      attention(1, (i) => i < 96 && i % 12 >= 9),
      words,
      2 ** -20,
    )
    expect(attentionsOf(compiled).map(({ op }) => op)).toEqual([
      'com.microsoft.QAttention',
      'com.microsoft.MultiHeadAttention',
    ])
    expect(compiled.report.layers.find(({ layer }) => layer === 'Attention_1_quant')?.outputs.after).toBe(120)
  })

  test('is taken apart nowhere without masks', async () => {
    const compiled = await expectSame(load('bert_optimised_dynamic'), new Map(), words, 2 ** -20)
    expect(attentionsOf(compiled).map(({ op }) => op)).toEqual(Array(2).fill('com.microsoft.QAttention'))
  })
})
