import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { CostTable } from '../../src/cost/table.ts'
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { type Draws, drawsFrom, seededRandom } from '../../src/ir/random.ts'
import { opOf } from '../../src/ir/registry.ts'
import { weightBlocks } from '../../src/ir/slices.ts'
import { elements, tensorOf } from '../../src/ir/tensor.ts'
import type { Dim, Shape } from '../../src/ir/type.ts'
import { elementMask, noMasks } from '../../src/masks/mask.ts'
import { compile, macsOf } from '../../src/passes/compile.ts'
import { partitionsOf, partsOf } from '../../src/passes/split-blocks/partition.ts'
import { splitBlocks } from '../../src/passes/split-blocks/index.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled } from '../fuzz/differential.ts'
import { read, right, runLawful } from './laws.ts'

/** Multiply-accumulates cost a microsecond, all else nearly nothing, so that small layers are worth it. */
const dear: CostTable = {
  about: 'made up',
  block: 1,
  threads: 1,
  kernels: {
    ...Object.fromEntries(
      ['product', 'vector product', 'computed product', 'plain', 'plain pointwise', 'plain grouped'].map((kernel) => [
        kernel,
        [1000, 0, 0, 0, 0],
      ]),
    ),
    'plain depthwise': [1000, 0, 0, 0, 0, 0, 0, 0],
    Add: [1e-3, 0, 0],
  },
}

const pass = splitBlocks({ target: 'cpu', costs: dear })

/** Which weights `[outputs, inputs]` are live. */
interface Live {
  readonly outputs: number
  readonly inputs: number
  readonly has: (o: number, i: number) => boolean
}

/** `count` blocks along the diagonal, rows and columns in the order that is given. */
const diagonal = (
  outputs: number,
  inputs: number,
  count: number,
  order: (at: number) => number = (at) => at,
): Live => ({
  outputs,
  inputs,
  has: (o, i) => Math.floor((order(o) * count) / outputs) === Math.floor((order(i) * count) / inputs),
})

/** Half of the weights, in no blocks. */
const isScattered: Live['has'] = (o, i) => scatter(o, i) < 50

/** A number below 101 for each weight. */
const scatter = (o: number, i: number): number =>
  (Math.imul(Math.imul(o + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b), 0x2c1b3c6d) >>> 16) % 101

/** A number for each live weight, 0 elsewhere; `[outputs, inputs, taps]`, or inputs first. */
const weights = ({ outputs, inputs, has }: Live, { taps = 1, inputsFirst = false } = {}): Float32Array => {
  const values = new Float32Array(outputs * inputs * taps)
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let t = 0; t < taps && has(o, i); t++) {
        values[(inputsFirst ? i * outputs + o : o * inputs + i) * taps + t] =
          0.25 + ((o * 31 + i * 17 + t * 7) % 64) / 64
      }
    }
  }
  return values
}

const product = (live: Live, x: Shape = [5, live.inputs]): Graph =>
  buildGraph({ x }, (b) => {
    const values = weights(live, { inputsFirst: true })
    return [b.op(ops.MatMul, ['x', b.constant('w', tensorOf('float32', [live.inputs, live.outputs], values))])]
  })

const gemm = (live: Live, transB: number, { alpha = 1, transA = 0, rows = 5, bias = [live.outputs] } = {}): Graph =>
  buildGraph({ x: transA === 1 ? [live.inputs, rows] : [rows, live.inputs] }, (b) => {
    const shape = transB === 1 ? [live.outputs, live.inputs] : [live.inputs, live.outputs]
    const weight = b.constant('w', tensorOf('float32', shape, weights(live, { inputsFirst: transB === 0 })))
    return [b.op(ops.Gemm, ['x', weight, ...(bias.length === 0 ? [] : [biasOf(b, bias)])], { alpha, transA, transB })]
  })

const biasOf = (b: GraphBuilder, shape: ReadonlyArray<number>): string => b.weight('b', shape)

interface ConvolutionHow {
  readonly taps?: number
  readonly bias?: boolean
  readonly strides?: ReadonlyArray<number>
  readonly batch?: Dim
}

const convolution = (live: Live, { taps = 9, bias = true, strides = [1, 1], batch = 2 }: ConvolutionHow = {}): Graph =>
  buildGraph({ x: [batch, live.inputs, 5, 5] }, (b) => {
    const side = Math.sqrt(taps)
    const pad = (side - 1) / 2
    const tensor = tensorOf('float32', [live.outputs, live.inputs, side, side], weights(live, { taps }))
    const inputs = ['x', b.constant('w', tensor), ...(bias ? [b.weight('b', [live.outputs])] : [])]
    return [b.op(ops.Conv, inputs, { pads: [pad, pad, pad, pad], strides })]
  })

const form = (graph: Graph): string => graph.nodes.map(({ op }) => op).join(' ')

const refusals = (graph: Graph): string => (pass.refusals?.(graph) ?? []).map(({ reason }) => reason).join()

const split = (graph: Graph): string => form(runLawful(pass, graph))

const shapesOf = (graph: Graph): string =>
  graph.nodes
    .flatMap(({ op, inputs }) =>
      op === 'MatMul' || op === 'Conv'
        ? inputs.flatMap((name) => graph.constants.get(name)?.shape.join('x') ?? []).slice(0, 1)
        : [],
    )
    .join(', ')

describe('products of matrices', () => {
  const whole = 'Transpose Reshape MatMul Reshape Transpose'
  const moved = 'Transpose Gather Reshape MatMul Reshape Gather Transpose'
  const odd = (at: number): number => (at * 7) % 24

  test('with blocks on the diagonal', () => {
    expect(split(product(diagonal(24, 24, 3)))).toBe(whole)
    expect(shapesOf(runLawful(pass, product(diagonal(24, 24, 3))))).toBe('3x8x8')
    expect(shapesOf(runLawful(pass, product(diagonal(24, 48, 6))))).toBe('6x4x8')
  })

  test('of which rows and columns are permuted', () => {
    expect(split(product(diagonal(24, 24, 3, odd)))).toBe(moved)
  })

  test('with blocks in rows of blocks that read some inputs in common', () => {
    const live: Live = {
      outputs: 24,
      inputs: 24,
      has: (o, i) => [0, 1].includes((Math.floor(o / 8) + Math.floor(i / 8)) % 3),
    }
    const after = runLawful(pass, product(live))
    expect(form(after)).toBe('Transpose Gather Reshape MatMul Reshape Transpose')
    expect(shapesOf(after)).toBe('3x8x16')
  })

  test('with parts that read different numbers of inputs', () => {
    const live: Live = { outputs: 8, inputs: 16, has: (o, i) => (o < 4 ? i < 3 : i >= 8 && i < 14) }
    expect(shapesOf(runLawful(pass, product(live)))).toBe('2x4x6')
  })

  test.each([
    [[1, 24], 'Reshape MatMul Reshape'],
    [[1, 1, 24], 'Reshape MatMul Reshape'],
    [['N', 24], whole],
    [[2, 3, 24], `Reshape ${whole} Reshape`],
    [[2, 'T', 24], `Reshape ${whole} Reshape`],
    [['N', 'T', 24], 'MatMul'],
  ])('of rows %j', (x, expected) => {
    const graph = product(diagonal(24, 24, 3), x)
    expect(split(graph)).toBe(expected)
    expect(refusals(graph)).toBe(expected === 'MatMul' ? 'more than one of the sizes of its rows is open' : '')
    expect(runLawful(pass, graph).types.get(graph.outputs[0]?.name ?? '')).toStrictEqual(graph.outputs[0]?.type)
  })

  test.each([0, 1])('of a Gemm (transB: %s), its bias added behind', (transB) => {
    expect(split(gemm(diagonal(24, 24, 3), transB))).toBe(`${whole} Add`)
    expect(split(gemm(diagonal(24, 24, 3), transB, { bias: [] }))).toBe(whole)
    expect(split(gemm(diagonal(24, 24, 3, odd), transB))).toBe(`${moved} Add`)
  })

  test('of open rows, of which the type stays', () => {
    const graph = buildGraph({ x: [2, 'T', 24] }, (b) => {
      const values = weights(diagonal(24, 24, 3), { inputsFirst: true })
      return [b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.constant('w', tensorOf('float32', [24, 24], values))])])]
    })
    const after = runLawful(pass, graph)
    expect(form(after)).toBe(`Reshape ${whole} Reshape Relu`)
    expect(after.types).toStrictEqual(new Map([...after.types, ...graph.types]))
  })
})

describe('convolutions', () => {
  test.each([1, 9])('of %s places become ones in groups', (taps) => {
    const after = runLawful(pass, convolution(diagonal(24, 24, 3), { taps }))
    expect(form(after)).toBe('Conv')
    expect(shapesOf(after)).toBe(taps === 1 ? '24x8x1x1' : '24x8x3x3')
  })

  test.each([{ bias: false }, { strides: [2, 2] }, { batch: 'N' }])('with %j', (how) => {
    expect(shapesOf(runLawful(pass, convolution(diagonal(24, 24, 3), how)))).toBe('24x8x3x3')
  })

  test('of channels in another order', () => {
    const odd = (at: number): number => (at * 7) % 24
    expect(split(convolution(diagonal(24, 24, 3, odd)))).toBe('Gather Conv Gather')
  })
})

/** What the masks of a drawn layer leave: blocks of drawn sizes in drawn places, in drawn orders, some of their weights zero. */
const drawLive = (draws: Draws): Live => {
  const [outputs, inputs] = [4 + draws.below(21), 1 + draws.below(24)]
  const [height, width] = [1 + draws.below(outputs), 1 + draws.below(inputs)]
  const share = [0, 0.2, 0.4, 1][draws.below(4)] ?? 0
  const blocks = Array.from({ length: (outputs + 1) * (inputs + 1) }, () => draws.next() < share)
  const isDiagonal = draws.next() < 0.5
  const holes = draws.next() < 0.3 ? 0.1 : 0
  const order = (size: number): ReadonlyArray<number> => {
    const keys = Array.from({ length: size }, (_, at) => at)
    return draws.next() < 0.5
      ? keys
      : keys
          .map((at) => [draws.next(), at] as const)
          .sort(([a], [b]) => a - b)
          .map(([, at]) => at)
  }
  const [rows, columns] = [order(outputs), order(inputs)]
  const dead = new Set(Array.from({ length: outputs * inputs }, (_, at) => at).filter(() => draws.next() < holes))
  return {
    outputs,
    inputs,
    has: (o, i) => {
      const [row, column] = [Math.floor((rows[o] ?? 0) / height), Math.floor((columns[i] ?? 0) / width)]
      const isIn = isDiagonal ? row === column : blocks[row * (inputs + 1) + column] === true
      return isIn && !dead.has(o * inputs + i)
    },
  }
}

describe('drawn masks', () => {
  const draws = drawsFrom(seededRandom(3, 'split-blocks'))
  const lives = Array.from({ length: 150 }, () => drawLive(draws))

  test('parts hold each output once, and all inputs that it reads', () => {
    let found = 0
    for (const live of lives) {
      const shape = [live.outputs, live.inputs]
      const blocks = weightBlocks(tensorOf('float32', shape, weights(live)), 0, 1)
      for (const partition of partitionsOf(blocks)) {
        found += 1
        for (const width of [partition.inputs, Math.min(live.inputs, partition.inputs + 2)]) {
          const parts = partsOf(blocks, partition, width)
          expect(Array.from(parts.outputs).sort((a, b) => a - b)).toStrictEqual(
            Array.from({ length: live.outputs }, (_, o) => o),
          )
          const size = live.outputs / partition.parts
          for (let g = 0; g < partition.parts; g++) {
            const inputs = Array.from(parts.inputs.subarray(g * width, (g + 1) * width))
            expect(inputs).toStrictEqual([...new Set(inputs)].sort((a, b) => a - b))
            for (const o of parts.outputs.subarray(g * size, (g + 1) * size)) {
              for (let i = 0; i < live.inputs; i++) if (live.has(o, i)) expect(inputs).toContain(i)
            }
          }
        }
      }
    }
    expect(found).toBeGreaterThan(60)
  })

  test('layers compute the same in less', () => {
    let changed = 0
    for (const [at, live] of lives.entries()) {
      const graph = [product(live), product(live, [1, live.inputs]), gemm(live, at & 1), convolution(live)][at % 4]
      if (graph === undefined) throw new Error('four kinds of layers')
      const after = runLawful(pass, graph)
      if (after === graph) continue
      changed += 1
      expect(macsOf(after)).toBeLessThanOrEqual(0.8 * macsOf(graph))
    }
    expect(changed).toBeGreaterThan(20)
  })
})

/** Work of a kind that is known, so that a layer beside it is a small part of a graph. */
const inputsBeside = 'input a: float32[64,64]\ninput b: float32[64,64]'
const beside = 'z = MatMul(a, b)'

describe('what stays', () => {
  const three = diagonal(24, 24, 3)

  test('a layer whose weights are live everywhere, or nowhere in blocks', () => {
    expect(split(product({ ...three, has: () => true }))).toBe('MatMul')
    expect(split(product({ ...three, has: (o, i) => isScattered(o, i) }))).toBe('MatMul')
  })

  test('a layer of which each output reads others, few as they are', () => {
    const few: Live = { outputs: 256, inputs: 256, has: (o, i) => scatter(o, i) < 5 }
    expect(split(product(diagonal(256, 256, 8)))).not.toBe('MatMul')
    expect(split(product(few))).toBe('MatMul')
  })

  test('what is computed with zeros only', () => {
    expect(split(product({ ...three, has: () => false }))).toBe('MatMul')
  })

  test('a layer that takes as long in parts by the times of the target', () => {
    const usual = splitBlocks({ target: 'cpu' })
    expect(form(runLawful(usual, product(three)))).toBe('MatMul')
    const large = product(diagonal(512, 512, 8), [64, 512])
    expect(form(right(usual.run(large)))).toBe('Transpose Reshape MatMul Reshape Transpose')
    // Of one row a part is read as often.
    expect(form(right(usual.run(product(diagonal(128, 128, 8), ['N', 128]))))).toBe('MatMul')
  })

  test('a layer that several threads compute faster whole, since one of them turns what parts read', () => {
    const usual = splitBlocks({ target: 'cpu' })
    const run = (live: Live): string => form(right(usual.run(product(live, [64, live.inputs]))))
    expect(run(diagonal(1024, 256, 8))).toContain('Transpose')
    expect(run(diagonal(1024, 256, 2))).toBe('MatMul')
  })

  test('a layer of open rows where few of them take longer in parts', () => {
    const usual = splitBlocks({ target: 'cpu' })
    expect(form(right(usual.run(product(diagonal(512, 512, 8), [64, 512]))))).toContain('Transpose')
    expect(form(right(usual.run(product(diagonal(512, 512, 8), [1, 'T', 512]))))).toBe('MatMul')
  })

  test('a layer of which the parts read so much more in all that it does not stay in caches', () => {
    const usual = splitBlocks({ target: 'cpu' })
    /** Each of 24 blocks of outputs reads `count` blocks of inputs. */
    const rowsOfBlocks = (size: number, count: number): Live => ({
      outputs: 24 * size,
      inputs: 24 * size,
      has: (o, i) => (Math.floor(i / size) * 7 + Math.floor(o / size) * 5) % 24 < count,
    })
    const run = (rows: number): string => form(right(usual.run(product(rowsOfBlocks(32, 6), [rows, 768]))))
    expect(run(16)).toContain('Transpose')
    expect(run(512)).toBe('MatMul')
    const image = (size: number): string =>
      form(
        right(
          usual.run(
            buildGraph({ x: [1, 16, size, size] }, (b) => {
              const values = weights(rowsOfBlocks(16, 3))
              const front = b.op(ops.Conv, ['x', b.weight('front', [384, 16, 1, 1])])
              return [b.op(ops.Conv, [front, b.constant('w', tensorOf('float32', [384, 384, 1, 1], values))])]
            }),
          ),
        ),
      )
    expect(image(14)).toBe('Conv Gather Conv')
    expect(image(56)).toBe('Conv Conv')
  })

  test('a layer of which the parts save less than what is lost by chance', () => {
    const cheap = Object.fromEntries(Object.keys(dear.kernels).map((kernel) => [kernel, [1, 0, 0, 0, 0]]))
    const run = (rows: number): Graph =>
      right(
        splitBlocks({ target: 'cpu', costs: { ...dear, kernels: { ...cheap, Add: [1e-3] } } }).run(
          product(three, [rows, 24]),
        ),
      )
    expect(form(run(5))).toBe('MatMul')
    expect(form(run(50))).toContain('Transpose')
  })

  test('a weight that is held as integers', () => {
    const graph = read(`${inputsBeside}
      input x: float32[5,24]
      const q: int8[24,24] = [${Array.from(weights(three, { inputsFirst: true }), (x) => Math.ceil(60 * x)).join(', ')}]
      const s: float32[] = 0.01
      w = DequantizeLinear(q, s)
      y = MatMul(x, w)
      ${beside}
      output y: float32[5,24]
      output z: float32[64,64]`)
    const { graph: compiled } = right(compile(graph, noMasks, { costs: dear }))
    expect(form(compiled)).toBe('MatMul MatMul')
    expect([...compiled.constants.values()].map(({ tag }) => tag)).toStrictEqual(['Held'])
  })

  test('a layer of a model whose opset has no Reshape by a computed size, or no Add that repeats its operand', () => {
    expect(form(right(pass.run({ ...product(three), opsets: new Map([['', 4]]) })))).toBe('MatMul')
  })

  test('a layer of which the parts take a tenth less', () => {
    const slow = { ...dear, kernels: { ...dear.kernels, 'computed product': [2700, 0, 0, 0, 0] } }
    expect(form(runLawful(splitBlocks({ target: 'cpu', costs: slow }), product(three)))).toBe('MatMul')
  })

  test('everything where times are not known, or widths are to be as they are', () => {
    for (const options of [
      { target: 'cuda' },
      { target: 'webgpu' },
      { target: 'cpu', costs: dear, planWidths: false },
    ] as const)
      expect(form(right(splitBlocks(options).run(product(three))))).toBe('MatMul')
    const { kernels } = dear
    const some = Object.fromEntries(Object.entries(kernels).filter(([kernel]) => kernel !== 'computed product'))
    expect(form(right(splitBlocks({ target: 'cpu', costs: { ...dear, kernels: some } }).run(product(three))))).toBe(
      'MatMul',
    )
  })

  test('a graph of which most is not known', () => {
    const values = Array.from(weights(three, { inputsFirst: true })).join(', ')
    const graph = (rows: number): Graph =>
      read(`input x: float32[5,24]
        input a: uint8[${rows},64]
        const w: float32[24,24] = [${values}]
        const v: uint8[64,64] = [${Array.from({ length: 64 * 64 }, (_, i) => i % 251).join(', ')}]
        y = MatMul(x, w)
        z = MatMulInteger(a, v)
        output y: float32[5,24]
        output z: int32[${rows},64]`)
    expect(form(right(pass.run(graph(64))))).toBe('MatMul MatMulInteger')
    expect(form(right(pass.run(graph(0))))).toContain('Transpose')
  })

  test('half precision, of which times are not known', () => {
    const graph = read(`input x: float16[5,24]
      const w: float16[24,24] = [${Array.from(weights(three, { inputsFirst: true })).join(', ')}]
      y = MatMul(x, w)
      output y: float16[5,24]`)
    expect(split(graph)).toBe('MatMul')
    expect(refusals(graph)).toBe('how long products of float16 take is not known')
  })

  test('a scaled product, a transposed operand, a weight on the left', () => {
    expect(split(gemm(three, 0, { alpha: 0.5 }))).toBe('Gemm')
    expect(split(gemm(three, 0, { transA: 1, rows: 50 }))).toBe('Gemm')
    const graph = buildGraph({ x: [24, 7] }, (b) => [
      b.op(ops.MatMul, [b.constant('w', tensorOf('float32', [24, 24], weights(three))), 'x']),
    ])
    expect(split(graph)).toBe('MatMul')
  })

  test('a bias that is computed, or differs from row to row', () => {
    const computed = buildGraph({ x: [2, 24, 5, 5], c: [24] }, (b) => {
      const tensor = tensorOf('float32', [24, 24, 3, 3], weights(three, { taps: 9 }))
      return [b.op(ops.Conv, ['x', b.constant('w', tensor), 'c'])]
    })
    expect(split(computed)).toBe('Conv')
    expect(refusals(computed)).toBe('its bias is not a constant for each channel')
    const rows = gemm(three, 0, { bias: [5, 24] })
    expect(split(rows)).toBe('Gemm')
    expect(refusals(rows)).toBe('its bias is not a constant for each channel')
  })

  test('groups, transposed convolutions, and products of integers', () => {
    const grouped = buildGraph({ x: [1, 48, 5, 5] }, (b) => {
      const tensor = tensorOf('float32', [24, 24, 3, 3], weights(three, { taps: 9 }))
      return [b.op(ops.Conv, ['x', b.constant('w', tensor)], { group: 2 })]
    })
    expect(right(pass.run(grouped))).toBe(grouped)
    const transposed = buildGraph({ x: [1, 24, 5, 5] }, (b) => {
      const values = weights(diagonal(24, 48, 3), { taps: 9 })
      return [b.op(ops.ConvTranspose, ['x', b.constant('w', tensorOf('float32', [24, 48, 3, 3], values))])]
    })
    expect(right(pass.run(transposed))).toBe(transposed)
    const integers = read(`${inputsBeside}
      input x: uint8[5,24]
      const w: int8[24,24] = [${Array.from(weights(three, { inputsFirst: true }), (x) => Math.ceil(x)).join(', ')}]
      y = MatMulInteger(x, w)
      ${beside}
      output y: int32[5,24]
      output z: float32[64,64]`)
    expect(right(pass.run(integers))).toBe(integers)
  })
})

describe('compiled', () => {
  const network = (order?: (at: number) => number, x: Shape = [64, 512]): Graph =>
    buildGraph({ x }, (b) => {
      const matrix = (name: string, live: Live): string =>
        b.constant(name, tensorOf('float32', [live.inputs, live.outputs], weights(live, { inputsFirst: true })))
      const first = b.op(ops.MatMul, ['x', matrix('w', diagonal(1024, 512, 8, order))])
      const inner = b.op(ops.Relu, [b.op(ops.Add, [first, b.weight('c', [1024])])])
      return [b.op(ops.MatMul, [inner, matrix('v', diagonal(512, 1024, 8))])]
    })

  test('layers in the same order share its indices', () => {
    const odd = (at: number): number => (at * 7) % 24
    const twice = buildGraph({ x: [5, 24] }, (b) => {
      const matrix = (name: string, factor: number): string => {
        const values = weights(diagonal(24, 24, 3, odd), { inputsFirst: true }).map((w) => factor * w)
        return b.constant(name, tensorOf('float32', [24, 24], values))
      }
      const inner = b.op(ops.Relu, [b.op(ops.MatMul, ['x', matrix('w', 1)])])
      return [b.op(ops.MatMul, [inner, matrix('v', 2)])]
    })
    const { graph } = right(compile(twice, noMasks, { costs: dear }))
    const gathers = graph.nodes.filter(({ op }) => op === 'Gather')
    expect(gathers).toHaveLength(4)
    expect(new Set(gathers.map(({ inputs }) => inputs[1])).size).toBe(2)
    expect(right(compile(graph, noMasks, { costs: dear })).graph).toBe(graph)
  })

  test.each([undefined, (at: number) => (at * 5) % 512])(
    'a network computes the same in ONNX Runtime',
    async (order) => {
      const { compiled, worst } = await compareCompiled(network(order), noMasks)
      expect(worst).toBeLessThan(1e-6)
      expect(form(compiled.graph).match(/MatMul/g)).toHaveLength(2)
      expect(form(compiled.graph)).toContain('Transpose')
      const again = right(compile(compiled.graph, noMasks))
      expect(again.graph).toBe(compiled.graph)
    },
  )

  test('reports count what is left of a layer, by its name', () => {
    const { report } = right(compile(network(), noMasks))
    const macs = 64 * 512 * 1024
    expect(report.layers.map((one) => one.macs)).toStrictEqual([
      { before: macs, after: macs / 8, alone: macs },
      { before: macs, after: macs / 8, alone: macs },
    ])
    expect(report.layers.map(({ outputs }) => outputs.after)).toStrictEqual([1024, 512])
    expect([report.before.macs, report.after.macs]).toStrictEqual([2 * macs, macs / 4])
    expect(report.after.parameters).toBeLessThan(report.before.parameters / 7)
    expect(report.predicted?.after).toBeLessThan(0.6 * (report.predicted?.before ?? NaN))
    expect(report.passes['split-blocks']).toBe(1)
  })

  test('a mask of blocks takes effect', () => {
    const dense = buildGraph({ x: [64, 512] }, (b) => [b.op(ops.MatMul, ['x', b.weight('w', [512, 512])])])
    const live = diagonal(512, 512, 8)
    const kept = (has: Live['has']) => Uint8Array.from({ length: 512 * 512 }, (_, k) => (has(k % 512, k >> 9) ? 1 : 0))
    const masked = (has: Live['has']) => right(compile(dense, new Map([['w', elementMask([512, 512], kept(has))]])))
    expect(masked(live.has).report.idleMasks).toStrictEqual([])
    expect(masked((o, i) => isScattered(o, i)).report.idleMasks.map(({ mask }) => mask)).toStrictEqual(['w'])
  })

  test('an observer that ends the pipeline ends it before', () => {
    const stopped = right(compile(network(), noMasks, { observer: () => 'stop' }))
    expect(form(stopped.graph)).toBe('MatMul Add Relu MatMul')
  })
})

test('large weights are made when they are read, part by part', () => {
  const live = diagonal(2048, 2048, 4)
  const after = right(splitBlocks({ target: 'cpu' }).run(product(live, [64, 2048])))
  const weight = [...after.constants.values()].find(({ shape }) => shape.length === 3)
  expect(weight?.tag).toBe('Edited')
  const node = after.nodes.find(({ op }) => op === 'MatMul')
  expect(node && opOf(node).macs?.(contextOf(after, node))).toBe((64 * 2048 * 2048) / 4)
  expect(weight && elements(weight).every((x) => x !== 0)).toBe(true)
  expect(E.isRight(pass.run(after))).toBe(true)
})
