/** Numbers at the edge: what is admissible is done, what is just beyond is left as it is, with a reason. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { elements, type Dense, tensorOf } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { eliminateChannels } from '../../src/passes/channel-elimination/index.ts'
import { ownAxesOf } from '../../src/passes/channel-elimination/views.ts'
import { compile, type Compiled } from '../../src/passes/compile.ts'
import { foldAffine } from '../../src/passes/fold-affine.ts'
import { fuseLinear } from '../../src/passes/fuse-linear.ts'
import type { Pass } from '../../src/passes/pass.ts'
import { read, right } from './laws.ts'

const refusal = (pass: Pass, graph: Graph): string | undefined => {
  const after = right(pass.run(graph))
  const [first] = pass.refusals?.(graph) ?? []
  expect(after === graph).toBe(first !== undefined)
  return first?.reason
}

const valuesOf = (graph: Graph, feeds: ReadonlyMap<string, Dense>): ReadonlyArray<number> => {
  const values = right(evaluateGraph(graph, feeds))
  return graph.outputs.flatMap(({ name }) => {
    const value = values.get(name)
    return value === undefined ? [NaN] : Array.from(elements(value), Number)
  })
}

/** What is left when nothing is selected for one reader alone. */
const eliminated = (body: string): Graph => eliminateChannels(read(body), { target: 'cpu', cutTies: false }).after

/** Compiles and compares outputs for an input of `x`: no difference beyond `units` of the last place of the largest. */
const compiled = (body: string, x: number, units = 4): Compiled => {
  const graph = read(body)
  const result = right(compile(graph, noMasks))
  const feeds = new Map(
    graph.inputs.flatMap(({ name, type }) => {
      if (type.kind !== 'tensor' || type.shape === undefined) return []
      const shape = type.shape.map((d) => (typeof d === 'number' ? d : 2))
      const size = shape.reduce((n, d) => n * d, 1)
      return [
        [
          name,
          tensorOf(
            type.dtype,
            shape,
            Float64Array.from({ length: size }, (_, i) => x * (1 + (i % 5))),
          ),
        ],
      ]
    }),
  )
  const [before, after] = [valuesOf(graph, feeds), valuesOf(result.graph, feeds)]
  const [type] = graph.outputs.map((output) => graph.types.get(output.name))
  const digits = type?.kind === 'tensor' && type.dtype === 'float16' ? 11 : 24
  const largest = Math.max(...before.filter(Number.isFinite).map(Math.abs))
  before.forEach((v, i) => {
    if (!Number.isFinite(v)) return
    const difference = Math.abs(v - (after[i] ?? NaN))
    expect(difference, `${before.join(' ')} became ${after.join(' ')}`).toBeLessThanOrEqual(
      units * 2 ** -digits * largest,
    )
  })
  return result
}

describe('digits', () => {
  const scaled = (type: string, weight: number, factor: number): Graph =>
    read(`input x: ${type}[N,1,2,2]
      const w: ${type}[2,1,1,1] = [${weight}, 0.5]
      const s: ${type}[2,1,1] = [${factor}, 1]
      a = Conv(x, w)
      y = Mul(a, s)
      output y: ${type}[N,2,2,2]`)
  test.each<readonly [string, number, number, boolean]>([
    ['float16', 0.01, 0.5, true],
    ['float16', 0.01, 1e-5, false],
    ['float16', 1e-5, 0.5, true],
    ['float16', 1e-5, 0.01, false],
    ['float32', 1e-30, 1e-7, true],
    ['float32', 1e-30, 1e-12, false],
    ['float32', 1e-30, 1e-30, false],
    ['bfloat16', 1e-30, 1e-7, true],
    ['bfloat16', 1e-30, 1e-12, false],
    ['float64', 1e-200, 1e-100, true],
    ['float64', 1e-200, 1e-120, false],
    ['float64', 1e-200, 1e-200, false],
  ])('a %s weight of %d times %d', (type, weight, factor, isFolded) => {
    const reason = refusal(foldAffine, scaled(type, weight, factor))
    expect(reason === undefined).toBe(isFolded)
    if (!isFolded) expect(reason).toContain('as exact as it was')
  })

  const composed = (type: string, v: number, w: number): Graph =>
    read(`input x: ${type}[N,2]
      const v: ${type}[2,8] = [${Array.from({ length: 16 }, (_, i) => v * (1 + i)).join(', ')}]
      const w: ${type}[8,1] = [${Array.from({ length: 8 }, (_, i) => w * (1 + i)).join(', ')}]
      a = MatMul(x, v)
      y = MatMul(a, w)
      output y: ${type}[N,1]`)
  test.each<readonly [string, number, number, boolean]>([
    ['float16', 0.02, 0.02, true],
    ['float16', 1e-4, 1e-4, false],
    ['float32', 1e-19, 1e-18, true],
    ['float32', 1e-23, 1e-23, false],
    ['float64', 1e-158, 1e-158, false],
  ])('%s weights of %d and %d composed', (type, v, w, isFused) => {
    const reason = refusal(fuseLinear, composed(type, v, w))
    expect(reason === undefined).toBe(isFused)
    if (!isFused) expect(reason).toContain('as exact as they are')
  })
})

describe('growth', () => {
  const grown = (weight: number, factor: number): Graph =>
    read(`input x: float32[N,1,2,2]
      const w: float32[1,1,1,1] = [${weight}]
      const s: float32[1,1,1] = [${factor}]
      a = Conv(x, w)
      y = Mul(a, s)
      output y: float32[N,1,2,2]`)
  test('of a product of two contractions', () => {
    const chain = (w: number): Graph =>
      read(`input x: float32[N,2]
        const v: float32[2,8] = [${Array.from({ length: 16 }, () => 1).join(', ')}]
        const w: float32[8,1] = [${Array.from({ length: 8 }, () => w).join(', ')}]
        a = MatMul(x, v)
        y = MatMul(a, w)
        output y: float32[N,1]`)
    expect(refusal(fuseLinear, chain(2 ** 13))).toBeUndefined()
    expect(refusal(fuseLinear, chain(2 ** 14))).toContain('might overflow')
  })
  test('terms may grow by a limited factor, and beyond it only below their inputs', () => {
    expect(refusal(foldAffine, grown(1, 2 ** 16))).toBeUndefined()
    expect(refusal(foldAffine, grown(1, 2 ** 17))).toContain('might overflow')
    expect(refusal(foldAffine, grown(2 ** -30, 2 ** 17))).toBeUndefined()
  })
})

describe('biases', () => {
  const scaled = (bias: number): Graph =>
    read(`input x: float16[N,1,2,2]
      const w: float16[1,1,1,1] = [0.5]
      const b: float16[1] = [${bias}]
      const s: float16[1,1,1] = [4]
      a = Conv(x, w, b)
      y = Mul(a, s)
      output y: float16[N,1,2,2]`)
  test('stay finite in their type', () => {
    expect(refusal(foldAffine, scaled(16000))).toBeUndefined()
    expect(refusal(foldAffine, scaled(17000))).toContain('the largest float16')
  })
})

describe('cancellation', () => {
  const biased = (type: string, bias: number, c: number, weight = 1): Graph =>
    read(`input x: ${type}[N,1,2,2]
      const w: ${type}[1,1,1,1] = [${weight}]
      const b: ${type}[1] = [${bias}]
      const c: ${type}[] = ${c}
      a = Conv(x, w, b)
      y = Add(a, c)
      output y: ${type}[N,1,2,2]`)
  test.each<readonly [string, number, number, boolean]>([
    ['float32', 0.5, -0.25, true],
    ['float32', 0.5, -0.5, false],
    ['float32', 12582912, -12582912, false],
    ['float32', 0, 12582912, false],
    ['float16', 1, -0.5, true],
    ['float16', 1, -1, false],
    ['float16', 1536, -1536, false],
    ['float16', 0.07, -1536, false],
    ['bfloat16', 192, -192, false],
  ])('a %s bias of %d and %d', (type, bias, c, isFolded) => {
    const reason = refusal(foldAffine, biased(type, bias, c))
    expect(reason === undefined).toBe(isFolded)
    if (!isFolded) expect(reason).toContain('keep few digits')
  })
  test('between two convolutions', () => {
    const chain = (b: number): Graph =>
      read(`input x: float32[N,1]
        const v: float32[1,2] = [1, 1]
        const w: float32[2,1] = [1, 0]
        const b: float32[2] = [${b}, 0]
        const c: float32[1] = [${-b}]
        a = Gemm(x, v, b)
        y = Gemm(a, w, c)
        output y: float32[N,1]`)
    expect(refusal(fuseLinear, chain(0.5))).toBeUndefined()
    expect(refusal(fuseLinear, chain(12582912))).toContain('keep few digits')
  })
})

describe('payments', () => {
  // The first 8 channels hold max(0, bias), the others depend on the input.
  const layers = (type: string, bias: number, tail: string): string => `input x: ${type}[N,1,4,4]
      const v: ${type}[16,1,1,1] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: ${type}[16] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? bias : 0.25)).join(', ')}]
      h = Conv(x, v, b)
      a = Relu(h)
      ${tail}
      output y: ${type}[N,1,4,4]`
  const weights = (c: number): string => Array.from({ length: 16 }, (_, i) => (i < 8 ? c : 0.5)).join(', ')
  const conv = (type: string, c: number, own: number): string =>
    `const w: ${type}[1,16,1,1] = [${weights(c)}]\nconst d: ${type}[1] = [${own}]\ny = Conv(a, w, d)`

  test('into a bias that stays finite', () => {
    const { graph, report } = compiled(layers('float16', 10, conv('float16', 10, 100)), 1)
    expect(report.layers[0]?.outputs.after).toBe(8)
    expect(graph.nodes.map(({ op }) => op)).toStrictEqual(['Conv', 'Relu', 'Conv'])
  })
  test('not into one that would not', () => {
    // 8 · 100 · 80 and the bias of 40000 are 104000; the sum over the others is far below zero.
    const far = layers('float16', 100, conv('float16', 80, 40000)).replaceAll('0.5', '-60')
    const { report } = compiled(far.replaceAll('-60]', '-60]').replaceAll('0.25', '100'), -1)
    expect(report.layers[0]?.stays.map(({ reason }) => reason.text).join()).toContain('cannot be paid for')
  })
  test('into a Gemm of a tiny beta', () => {
    const matrix = (beta: string): string => `input x: float16[N,1]
      const v: float16[16,1] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: float16[16] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 1.5 : 0.25)).join(', ')}]
      const w: float16[16,1] = [${weights(0.5)}]
      const d: float16[1] = [3]
      h = Gemm(x, v, b) { transB: 1 }
      a = Relu(h)
      y = Gemm(a, w, d) { beta: ${beta}f }
      output y: float16[N,1]`
    for (const beta of ['1', '0.5', '1e-30', '0']) {
      expect(compiled(matrix(beta), 1).report.layers[0]?.outputs.after, beta).toBe(8)
    }
  })
})

describe('constants that undo each other', () => {
  const body = (second: number): string => `input x: bfloat16[N,2,2,2]
      const w: bfloat16[1,2,1,1] = [20, 20]
      const t: bfloat16[1,1,1] = [32]
      const u: bfloat16[1,1,1] = [${second}]
      a = Conv(x, w)
      b = Add(a, t)
      y = Add(b, u)
      output y: bfloat16[N,1,2,2]`
  test('are there to round, whatever the size of the sum may be', () => {
    expect(right(foldAffine.run(read(body(-32)))).nodes).toHaveLength(2)
    expect(right(foldAffine.run(read(body(-16)))).nodes).toHaveLength(1)
  })
})

describe('carriers', () => {
  // Channel 0 is needed elsewhere and holds `kept`; channels 1 to 7 hold `gone`; 8 to 15 depend on the input.
  const padded = (kept: number, gone: number): string => `input x: float32[N,1,H,W]
      const v: float32[16,1,1,1] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: float32[16] = [${Array.from({ length: 16 }, (_, i) => (i === 0 ? kept : i < 8 ? gone : 0.25)).join(', ')}]
      const w: float32[1,16,3,3] = [${Array.from({ length: 144 }, (_, i) => 0.1 + (i % 7)).join(', ')}]
      const u: float32[16,1,1,1] = [${Array.from({ length: 16 }, (_, i) => (i === 0 ? 1 : 0)).join(', ')}]
      h = Conv(x, v, b)
      tied = Conv(x, u)
      z = Add(h, tied)
      a = Abs(h)
      y = Conv(a, w) { pads: [1, 1, 1, 1] }
      const e: float32[1,16,1,1] = [${Array.from({ length: 16 }, (_, i) => (i === 0 ? 1 : 0)).join(', ')}]
      q = Conv(z, e)
      output y: float32[N,1,H,W]
      output q: float32[N,1,H,W]`
  test('of the magnitude of what they carry', () => {
    // 8 channels depend on the input. A carrier too small for what goes gets another one beside it.
    for (const [kept, gone, width] of [
      [1, 1, 9],
      [0.25, 1, 9],
      [0.2, 1, 10],
      [1e-7, 1, 10],
      [1, 1e-7, 9],
      [1e-30, 1e3, 10],
    ] as const) {
      compiled(padded(kept, gone), 0.5, 16)
      expect(ownAxesOf(eliminated(padded(kept, gone)), 'h')[1], `${kept} for ${gone}`).toBe(width)
    }
  })
})

describe('tails', () => {
  const tail = (op: string, bias: number): string => `input x: float32[N,1,4,4]
      const v: float32[8,1,1,1] = [${Array.from({ length: 8 }, (_, i) => (i < 4 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: float32[8] = [${Array.from({ length: 8 }, (_, i) => (i < 4 ? bias * (1 + i / 1024) : 0.25)).join(', ')}]
      const w: float32[1,8,1,1] = [1, 2, 3, 4, 5, 6, 7, 8]
      h = Conv(x, v, b)
      a = ${op}(h)
      y = Conv(a, w)
      output y: float32[N,1,4,4]`
  const width = (op: string, bias: number): number | undefined =>
    right(compile(read(tail(op, bias), op === 'Gelu' ? 20 : 18), noMasks)).report.layers[0]?.outputs.after
  test.each<readonly [string, number, number]>([
    ['Sigmoid', -2, -17],
    ['Softplus', -2, -17],
    ['Gelu', -1, -5],
    ['Mish', -1, -17],
    ['Elu', -1, -1e-6],
  ])('of %s are not known as constants', (op, near, far) => {
    expect(width(op, near)).toBe(4)
    expect(width(op, far)).toBe(8)
  })
  test('a sum of constants that cancels is not known either', () => {
    const cancelled = (c: number): string =>
      tail('Abs', 1)
        .replace('a = Abs(h)', `const c: float32[] = ${c}\na = Add(h, c)\ne = Exp(a)`)
        .replace('(a, w)', '(e, w)')
    const layer = (c: number): number | undefined =>
      right(compile(read(cancelled(c)), noMasks)).report.layers[0]?.outputs.after
    expect(layer(1)).toBe(4)
  })
})

describe('carried weights', () => {
  test('keep their digits', () => {
    // 1 carries 0.3: of weights of 1e-6 a third lies between two numbers of float16.
    const body = (weight: number): string => `input x: float16[N,1,H,W]
      const v: float16[4,1,1,1] = [0, 0, 0.5, 0.625]
      const b: float16[4] = [1, 0.3, 0.25, 0.25]
      const w: float16[1,4,3,3] = [${Array.from({ length: 36 }, (_, i) => (i < 18 ? weight : 0.5)).join(', ')}]
      h = Conv(x, v, b)
      a = Relu(h)
      y = Conv(a, w) { pads: [1, 1, 1, 1] }
      output y: float16[N,1,H,W]`
    const kept = (weight: number): ReadonlyArray<number> | undefined =>
      right(compile(read(body(weight)), noMasks)).report.layers[0]?.outputs.kept
    expect(kept(0.01)).toStrictEqual([0, 2, 3])
    expect(kept(1e-6)).toBeUndefined()
  })
})

describe('borders', () => {
  test('stay finite output by output', () => {
    // Each of 256 outputs gets 9 taps of 40 at most; all together they are beyond float16.
    const body = (c: number): string => `input x: float16[N,1,4,4]
      const v: float16[16,1,1,1] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: float16[16] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 10 : 0.25)).join(', ')}]
      const w: float16[256,16,3,3] = [${Array.from({ length: 256 * 144 }, (_, k) => c * (1 - ((k * k) % 13) / 400)).join(', ')}]
      h = Conv(x, v, b)
      a = Relu(h)
      y = Conv(a, w) { pads: [1, 1, 1, 1] }
      output y: float16[N,256,4,4]`
    const after = (c: number) => right(compile(read(body(c)), noMasks, { target: 'cuda' })).report.layers[0]
    expect(after(0.5)?.outputs.after).toBe(8)
    expect(after(100)?.stays.map(({ reason }) => reason.kind)).toContain('numbers')
  })
  test('are rounded as one with the bias that they cancel', () => {
    // Five constants of 300.25 times -1 are -1501.25, of which float16 keeps -1501; with the bias it is -0.25.
    const taps = Array.from({ length: 256 * 144 }, (_, k) => (k % 9 === 4 && Math.floor(k / 9) % 16 < 5 ? -1 : 0))
    const graph = read(`input x: float16[N,1,4,4]
      const v: float16[16,1,1,1] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 0.5 - i / 256)).join(', ')}]
      const b: float16[16] = [${Array.from({ length: 16 }, (_, i) => (i < 8 ? 300.25 : 0.25)).join(', ')}]
      const w: float16[256,16,3,3] = [${taps.map((tap, k) => (Math.floor(k / 9) % 16 >= 8 ? 0.01 : tap)).join(', ')}]
      const c: float16[256] = [${Array.from({ length: 256 }, () => 1501).join(', ')}]
      h = Conv(x, v, b)
      a = Relu(h)
      y = Conv(a, w, c) { pads: [1, 1, 1, 1] }
      output y: float16[N,256,4,4]`)
    const { graph: small } = right(compile(graph, noMasks, { target: 'cuda' }))
    expect(small.nodes.map((node) => node.op)).toContain('Add')
    const feeds = new Map([['x', tensorOf('float16', [1, 1, 4, 4], new Float64Array(16))]])
    const [before, after] = [valuesOf(graph, feeds), valuesOf(small, feeds)]
    expect(before[5]).toBeCloseTo(-0.25 + 8 * 9 * 0.01 * 0.25, 2)
    after.forEach((y, k) => expect(y).toBeCloseTo(before[k] ?? NaN, 3))
  })
  test('are terms of the sum that a constant behind them rounds', () => {
    const body = (weight: number, border: number): string => `input x: float32[N,1,2,2]
      const w: float32[1,1,1,1] = [${weight}]
      const k: float32[1,1,2,2] = [0, 0, 0, ${border}]
      const t: float32[1,1,1] = [12582912]
      const u: float32[1,1,1] = [-12582912]
      a = Conv(x, w)
      b = Add(a, k)
      c = Add(b, t)
      y = Add(c, u)
      output y: float32[N,1,2,2]`
    const left = (weight: number, border: number): number =>
      right(foldAffine.run(read(body(weight, border)))).nodes.length
    // Rounded to whole numbers, as long as there is anything to round.
    expect([left(0.3, 0.4), left(0, 0.4), left(0, 0)]).toEqual([4, 4, 2])
  })
})

describe('normalisations of constants', () => {
  test('are not known without an epsilon', () => {
    const body = (epsilon: string): string =>
      `input x: float32[N,1,4,4]
      const v: float32[8,1,1,1] = [${Array.from({ length: 8 }, (_, i) => (i < 4 ? 0 : 0.5 - i / 256)).join(', ')}]
      const s: float32[8] = [1, 1, 1, 1, 1, 1, 1, 1]
      const t: float32[8] = [1, 2, 3, 4, 5, 6, 7, 8]
      const w: float32[1,8,1,1] = [1, 2, 3, 4, 5, 6, 7, 8]
      h = Conv(x, v)
      a = InstanceNormalization(h, s, t) { epsilon: ${epsilon}f }
      y = Conv(a, w)
      output y: float32[N,1,4,4]`
    const width = (epsilon: string): number | undefined =>
      right(compile(read(body(epsilon)), noMasks)).report.layers[0]?.outputs.after
    expect(width('1e-5')).toBe(4)
    expect(width('0')).toBe(8)
  })
})

describe('dead channels that stay', () => {
  test('are written as zeros', () => {
    const body = `input x: float32[N,2,4,4]
      const v: float32[2,2,1,1] = [1, 2, 3, 4]
      const b: float32[2] = [5, 6]
      const u: float32[2,2,1,1] = [1, 2, 3, 4]
      const w: float32[2,2,1,1] = [1, 0, 2, 0]
      h = Conv(x, v, b)
      tied = Conv(x, u)
      z = Add(h, tied)
      y = Conv(h, w)
      q = Conv(z, w)
      e = Conv(x, v)
      f = Conv(e, w)
      output f: float32[N,2,4,4]
      output tied: float32[N,2,4,4]
      output y: float32[N,2,4,4]
      output q: float32[N,2,4,4]`
    compiled(body, 1)
    const graph = eliminated(body)
    const conv = graph.nodes.find(({ outputs }) => outputs[0] === 'h')
    const weight = graph.constants.get(conv?.inputs[1] ?? '')
    const bias = graph.constants.get(conv?.inputs[2] ?? '')
    expect(weight && Array.from(elements(weight), Number).slice(-2)).toStrictEqual([0, 0])
    expect(bias && Array.from(elements(bias), Number).at(-1)).toBe(0)
  })
})
