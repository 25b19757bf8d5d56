/** SliceGPT: at fraction 0 the same function, else what its formulas say, on models that exporters wrote and on small ones. */
import { readFileSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { type Dense, elements, tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { type Sliced, type SliceOptions, sliceStream } from '../../src/package/slice-stream.ts'
import { compile } from '../../src/passes/compile.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { orThrow } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'
import { inputsOf, loadZoo } from '../zoo.ts'

type Feeds = ReadonlyMap<string, Dense>

const ortTensor = (tensor: Dense): ort.Tensor => {
  const values = [...elements(tensor)]
  if (tensor.dtype === 'int64')
    return new ort.Tensor(
      'int64',
      BigInt64Array.from(values, (x) => BigInt(Number(x))),
      tensor.shape,
    )
  if (tensor.dtype === 'int32') return new ort.Tensor('int32', Int32Array.from(values, Number), tensor.shape)
  return new ort.Tensor('float32', Float32Array.from(values, Number), tensor.shape)
}

const outputsOf = async (graph: Graph, feeds: Feeds): Promise<ReadonlyArray<number>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  const given = Object.fromEntries([...feeds].map(([name, tensor]) => [name, ortTensor(tensor)]))
  const results = await session.run(given)
  await session.release()
  return graph.outputs.flatMap(({ name }) => {
    const values: number[] = []
    for (const x of results[name]?.data ?? []) values.push(Number(x))
    return values
  })
}

/** The largest difference over the largest number, or 1. */
const apart = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  expect(b).toHaveLength(a.length)
  const size = a.reduce((most, x) => Math.max(most, Math.abs(x)), 1)
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? NaN)) / size), 0)
}

const slice = async (graph: Graph, sets: ReadonlyArray<Feeds>, options: SliceOptions): Promise<Sliced> =>
  orThrow(await sliceStream(graph, sets, options)())

const refused = async (graph: Graph, sets: ReadonlyArray<Feeds>, options: SliceOptions): Promise<string> => {
  const result = await sliceStream(graph, sets, options)()
  if (E.isRight(result)) throw new Error('not refused')
  return renderError(result.left)
}

/** To rounding: a change of basis adds some units in the last place of each of a few layers. */
const rounding = 1e-5

describe('models as exporters write them', () => {
  it.each([
    'gpt2-dynamic',
    'llama',
    'llama-dynamo-dynamic',
    'conformer',
    'mlp-mixer',
    'swin-dynamo',
    't5-dynamo',
    'vit',
    'whisper-decoder',
  ])('%s is the same at fraction 0, and compiling takes out what is zero at a quarter', async (name) => {
    const model = loadZoo(name)
    const sets = [1, 2, 3].map((seed) => inputsOf(model, seed))
    const feeds = inputsOf(model, 9)
    const before = await outputsOf(model.graph, feeds)
    const turned = await slice(model.graph, sets, { fraction: 0 })
    expect(apart(before, await outputsOf(turned.graph, feeds))).toBeLessThan(rounding)
    expect(turned.values.every(({ channels, kept, held }) => kept === channels && Math.abs(held - 1) < 1e-12)).toBe(
      true,
    )
    const sliced = await slice(model.graph, sets, { fraction: 0.25, multiple: 4 })
    expect(sliced.values.every(({ channels, kept }) => kept === 0.75 * channels - ((0.75 * channels) % 4))).toBe(true)
    const compiled = orThrow(compile(sliced.graph, noMasks))
    const after = await outputsOf(sliced.graph, feeds)
    expect(apart(after, await outputsOf(compiled.graph, feeds))).toBeLessThan(rounding)
    expect(apart(before, after)).toBeGreaterThan(rounding)
    const { before: dense, after: small } = compiled.report
    expect(small.macs).toBeLessThan(0.93 * dense.macs)
  })

  it.each([
    ['bert', /it is not added to another value that is normalised/],
    ['transformer-encoder', /it is not added to another value that is normalised/],
    ['xcit', /neither a normalisation nor part of the stream/],
    ['crnn', /found no normalisation/],
  ])('%s is refused, with the reason', async (name, expected) => {
    const model = loadZoo(name)
    expect(await refused(model.graph, [inputsOf(model, 1)], { fraction: 0.25 })).toMatch(expected)
  })
})

interface Case {
  readonly centres: boolean
  readonly net: { readonly [name: string]: unknown }
  readonly inputs: ReadonlyArray<number>
  readonly dense: ReadonlyArray<number>
  readonly sliced: Readonly<Record<string, ReadonlyArray<number>>>
}

interface Recorded {
  readonly samples: number
  readonly tokens: number
  readonly features: number
  readonly width: number
  readonly hidden: number
  readonly outputs: number
  readonly epsilon: number
  readonly cases: ReadonlyArray<Case>
}

const numbersIn = (x: unknown): ReadonlyArray<number> => (Array.isArray(x) ? x.map(Number) : [])

/** A normalisation with scale and bias. */
const norm = (b: GraphBuilder, x: string, scale: string, bias: string, centres: boolean, epsilon: number): string => {
  if (centres) return b.op(ops.LayerNormalization, [x, scale, bias], { epsilon })
  return b.op(ops.RMSNormalization, [x, scale], { epsilon })
}

describe('what the formulas of the paper say, in numpy', () => {
  const url = new URL('../passes/oracles/slicegpt.json', import.meta.url)
  const { cases, ...sizes }: Recorded = JSON.parse(readFileSync(url, 'utf8'))
  const { samples, tokens, features, width, hidden, outputs, epsilon } = sizes

  const graphOf = ({ net, centres }: Case): Graph =>
    buildGraph(
      { x: ['N', tokens, features] },
      (b) => {
        const held = (name: string, values: unknown, shape: ReadonlyArray<number>): string =>
          b.floats(name, numbersIn(values), shape)
        let stream = b.op(ops.Add, [
          b.op(ops.MatMul, ['x', held('embedding', net['embedding'], [features, width])]),
          held('positions', net['positions'], [tokens, width]),
        ])
        const blocks: ReadonlyArray<Readonly<Record<string, unknown>>> = Array.isArray(net['blocks'])
          ? net['blocks']
          : []
        for (const [i, block] of blocks.entries()) {
          const [scale, bias] = [held(`s${i}`, block['scale'], [width]), held(`b${i}`, block['bias'], [width])]
          const normed = norm(b, stream, scale, bias, centres, epsilon)
          const up = b.op(ops.MatMul, [normed, held(`up${i}`, block['up'], [width, hidden])])
          const active = b.op(ops.Relu, [b.op(ops.Add, [up, held(`ub${i}`, block['upBias'], [hidden])])])
          const down = b.op(ops.MatMul, [active, held(`down${i}`, block['down'], [hidden, width])])
          stream = b.op(ops.Add, [stream, b.op(ops.Add, [down, held(`db${i}`, block['downBias'], [width])])])
        }
        const end = norm(b, stream, held('s', net['scale'], [width]), held('b', net['bias'], [width]), centres, epsilon)
        return [b.op(ops.MatMul, [end, held('head', net['head'], [width, outputs])])]
      },
      { opset: 23 },
    )

  it.each(
    cases.flatMap((one) => Object.keys(one.sliced).map((kept) => ({ name: one.centres ? 'layer' : 'RMS', kept, one }))),
  )('$name normalisation, $kept channels kept', async ({ one, kept }) => {
    const graph = graphOf(one)
    const per = tokens * features
    const sample = (from: number, count: number): Dense =>
      tensorOf('float32', [count, tokens, features], one.inputs.slice(from * per, (from + count) * per))
    const sets = Array.from({ length: samples - 2 }, (_, i) => new Map([['x', sample(i, 1)]]))
    const test = new Map([['x', sample(samples - 2, 2)]])
    expect(apart(one.dense, await outputsOf(graph, test))).toBeLessThan(1e-5)
    const { graph: small } = await slice(graph, sets, { fraction: 1 - Number(kept) / width, multiple: 1 })
    const expected = one.sliced[kept] ?? []
    expect(apart(expected, await outputsOf(small, test))).toBeLessThan(1e-5)
    const compiled = orThrow(compile(small, noMasks)).graph
    expect(apart(expected, await outputsOf(compiled, test))).toBeLessThan(1e-5)
  })
})

/** Inputs `[2, 3, width]` with normal numbers in so many directions. */
const lowRank = (width: number, rank: number, seed: number): Feeds => {
  const normal = normals(uniforms(seed))
  const directions = normals(uniforms(99))
  const basis = Array.from({ length: rank * width }, directions)
  const values = Array.from({ length: 6 }, () => Array.from({ length: rank }, normal)).flatMap((parts) =>
    Array.from({ length: width }, (_, c) => parts.reduce((sum, p, r) => sum + p * (basis[r * width + c] ?? 0), 0)),
  )
  return new Map([['x', tensorOf('float32', [2, 3, width], values)]])
}

describe('small networks', () => {
  /** Blocks of a scaled copy of what each reads, whose stream stays in the directions of the input. */
  const echo = (opset: number): Graph =>
    buildGraph(
      { x: ['N', 3, 8] },
      (b) => {
        const factor = b.floats('half', [0.5])
        let stream = b.op(ops.Mul, ['x', factor])
        for (let i = 0; i < 3; i++) {
          const squares = b.op(
            ops.ReduceMean,
            opset < 18
              ? [b.op(ops.Mul, [stream, stream])]
              : [b.op(ops.Mul, [stream, stream]), b.ints(`axes${i}`, [-1])],
            opset < 18 ? { axes: [-1] } : {},
          )
          const root = b.op(ops.Sqrt, [b.op(ops.Add, [squares, b.floats(`epsilon${i}`, [1e-5], [])])])
          const normed = b.op(ops.Div, [stream, root])
          stream = b.op(ops.Add, [stream, b.op(ops.Mul, [b.op(ops.Tanh, [normed]), factor])])
        }
        return [
          b.op(ops.MatMul, [
            b.op(ops.LayerNormalization, [stream, b.floats('ones', new Array<number>(8).fill(1))]),
            b.weight('w', [8, 3]),
          ]),
        ]
      },
      { opset },
    )

  it.each([17, 18])(
    'written out in opset %d, with a layer normalisation at the end, are the same at fraction 0',
    async (opset) => {
      const graph = echo(opset)
      const result = await slice(graph, [lowRank(8, 3, 1)], { fraction: 0, multiple: 1 })
      expect(result.values).toHaveLength(4)
      const feeds = lowRank(8, 8, 2)
      expect(apart(await outputsOf(graph, feeds), await outputsOf(result.graph, feeds))).toBeLessThan(rounding)
    },
  )

  /** A network in which the stream is a product with a matrix of low rank and sums of such. */
  const flat = (rank: number): Graph =>
    buildGraph(
      { x: ['N', 3, 8] },
      (b) => {
        const narrow = (name: string, x: string, inputs: number): string =>
          b.op(ops.MatMul, [b.op(ops.MatMul, [x, b.weight(name, [inputs, rank])]), 'spread'])
        b.weight('spread', [rank, 8])
        let stream = narrow('a', 'x', 8)
        for (const i of [0, 1, 2]) {
          const normed = b.op(ops.RMSNormalization, [stream, b.positive(`scale${i}`, [8])])
          stream = b.op(ops.Add, [narrow(`n${i}`, b.op(ops.Tanh, [normed]), 8), stream])
        }
        return [
          b.op(
            ops.Gemm,
            [
              b.op(ops.Reshape, [
                b.op(ops.RMSNormalization, [stream, b.positive('end', [8])]),
                b.ints('rows', [-1, 8]),
              ]),
              b.weight('w', [5, 8]),
              b.weight('c', [5]),
            ],
            { transB: 1, alpha: 0.5, beta: 2 },
          ),
        ]
      },
      { opset: 23 },
    )

  it('nothing is lost where the components that go are zero on all inputs', async () => {
    const graph = flat(4)
    const { graph: small, values } = await slice(graph, [lowRank(8, 8, 1), lowRank(8, 8, 2)], {
      fraction: 0.5,
      multiple: 4,
    })
    expect(values.map(({ kept }) => kept)).toEqual([4, 4, 4, 4])
    for (const { held } of values) expect(held).toBeCloseTo(1, 10)
    const feeds = lowRank(8, 8, 3)
    expect(apart(await outputsOf(graph, feeds), await outputsOf(small, feeds))).toBeLessThan(rounding)
    const less = await slice(graph, [lowRank(8, 8, 1)], { fraction: 0.625, multiple: 1 })
    expect(less.values[0]?.held).toBeLessThan(0.999)
    expect(apart(await outputsOf(graph, feeds), await outputsOf(less.graph, feeds))).toBeGreaterThan(1e-3)
  })

  it.each([
    ['an output of the model', 'output', /it is an output of the model/],
    ['read by something else', 'read', /Tanh tanh\d reads it/],
    ['an input of the model', 'input', /it is an input of the model/],
    ['broadcast by what is added', 'broadcast', /adds what has another size/],
    ['centred, and then not', 'mixed', /joins streams that are normalised in two ways/],
    ['normalised in two ways at once', 'both', /it is normalised in two ways/],
  ] as const)('a stream that is %s is left as it is', async (_, what, expected) => {
    const graph = buildGraph(
      { x: ['N', 3, 8], y: ['N', 3, 1] },
      (b) => {
        const first = what === 'input' ? 'x' : b.op(ops.MatMul, ['x', b.weight('e', [8, 8])])
        const isMixed = what === 'mixed' || what === 'both'
        const normed = b.op(isMixed ? ops.LayerNormalization : ops.RMSNormalization, [first, b.positive('s', [8])])
        const branch = b.op(ops.MatMul, [normed, b.weight('u', [8, 8])])
        const whole = what === 'broadcast' ? b.op(ops.Add, [branch, 'y']) : branch
        const stream = b.op(ops.Add, [first, whole])
        const second = what === 'broadcast' ? b.op(ops.Add, ['y', stream]) : stream
        const end = b.op(ops.MatMul, [
          b.op(ops.RMSNormalization, [second, b.positive('t', [8])]),
          b.weight('w', [8, 2]),
        ])
        if (what === 'output') return [end, first]
        if (what === 'both') return [end, b.op(ops.RMSNormalization, [first, b.positive('r', [8])])]
        return what === 'read' ? [end, b.op(ops.Tanh, [first])] : [end]
      },
      { opset: 23 },
    )
    const set = new Map([...lowRank(8, 8, 1), ['y', tensorOf('float32', [2, 3, 1], [1, 2, 3, 4, 5, 6])]])
    expect(await refused(graph, [set], { fraction: 0.5, multiple: 1 })).toMatch(expected)
  })

  it('options and inputs that make no sense are refused', async () => {
    const graph = flat(4)
    const set = [lowRank(8, 8, 1)]
    for (const fraction of [-0.1, 1, NaN]) expect(await refused(graph, set, { fraction })).toMatch('fraction: expected')
    for (const multiple of [0, 1.5])
      expect(await refused(graph, set, { fraction: 0.5, multiple })).toMatch('multiple: expected')
    const odd = new Map([['x', tensorOf('float32', [2, 3, 8], new Array<number>(48).fill(NaN))]])
    expect(await refused(graph, [odd], { fraction: 0.5 })).toMatch('expected finite activations')
    expect(await refused(graph, [], { fraction: 0.5 })).toMatch('at least one sample')
  })
})
