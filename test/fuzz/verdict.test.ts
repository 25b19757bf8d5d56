/**
 * Whether the fuzzer's verdict sees what it is there for: pairs of a model and a wrong rewrite of it, as compilers make
 * them, and pairs that differ by rounding only.
 */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { parse } from '../../src/ir/parse.ts'
import { orThrow } from './differential.ts'
import { feedsOf } from './engines.ts'
import type { FloatType } from './numbers.ts'
import { uniforms } from '../inflate.ts'
import { deviations } from './noise.ts'
import { compare } from './property.ts'

const parsed = (...lines: ReadonlyArray<string>): Graph =>
  orThrow(parse(['graph "g" (ir 8, opset 21, opset "com.microsoft" 1)', ...lines, ''].join('\n')))

const graph = (dtype: FloatType, shape: string, ...lines: ReadonlyArray<string>): Graph =>
  parsed(`input x: ${dtype}[${shape}]`, ...lines, `output y: ${dtype}[${shape}]`)

/** The largest difference as a share of what is allowed. */
const shareOf = async (dtype: FloatType, before: Graph, after: Graph, scale = 1): Promise<number> =>
  (await compare(before, after, feedsOf(before, 3, undefined, scale), { dtype, seed: 1 })).share

const rows = (...list: ReadonlyArray<number>): string => list.join(', ')

describe('a wrong rewrite is seen', () => {
  test.each(['float32', 'float16', 'bfloat16', 'float64'] as const)('a sum that cancels, in %s', async (dtype) => {
    const large = { float32: 12582912, float16: 1536, bfloat16: 192, float64: 6755399441055744 }[dtype]
    const constants = [`const c: ${dtype}[] = ${large}`]
    const before = graph(dtype, '2,3,4,4', ...constants, 'a = Add(x, c)', 'y = Sub(a, c)')
    const after = graph(dtype, '2,3,4,4', 'y = Identity(x)')
    expect(await shareOf(dtype, before, after)).toBeGreaterThan(1)
    expect(await shareOf(dtype, before, before)).toBe(0)
  })

  test('a carrier in the tail of a sigmoid', async () => {
    const silu = (bias: string, weight: string): Graph =>
      graph(
        'float32',
        '1,2,4,4',
        'const w: float32[2,2,1,1] = [0, 0, 0, 0]',
        `const b: float32[2] = [${bias}]`,
        `const v: float32[2,2,1,1] = [${weight}]`,
        'a = Conv(x, w, b)',
        's = Sigmoid(a)',
        'z = Mul(a, s)',
        'y = Conv(z, v)',
      )
    // 0.3 · SiLU(1) moved onto SiLU(-16).
    const ratio = 0.7310585786300049 / (-16 * 1.1253516205509499e-7)
    const before = silu('1, -16', rows(0.3, 0.5, -0.2, 0.1))
    const after = silu('1, -16', rows(0, 0.5 + 0.3 * ratio, 0, 0.1 - 0.2 * ratio))
    expect(await shareOf('float32', before, after)).toBeGreaterThan(1)
  })

  test('two factors whose product has lost its digits', async () => {
    const constants = [
      'const big: float32[] = 1e20',
      'const a: float32[] = 1.23456e-12',
      'const b: float32[] = 1.23456e-30',
    ]
    const before = graph(
      'float32',
      '2,3,4,4',
      ...constants,
      'l = Mul(x, big)',
      'k = Abs(l)',
      'm = Mul(k, a)',
      'y = Mul(m, b)',
    )
    const joined = `const ab: float32[] = ${Math.fround(Math.fround(1.23456e-12) * Math.fround(1.23456e-30))}`
    const after = graph(
      'float32',
      '2,3,4,4',
      ...constants.slice(0, 1),
      joined,
      'l = Mul(x, big)',
      'k = Abs(l)',
      'y = Mul(k, ab)',
    )
    expect(await shareOf('float32', before, after)).toBeGreaterThan(1)
  })

  test('half precision weights below its normal numbers', async () => {
    const factor = (name: string, value: number): string => `const ${name}: float16[] = ${value}`
    const before = graph('float16', '2,3,4,4', factor('a', 0.02), factor('b', 1e-5), 'm = Mul(x, a)', 'y = Mul(m, b)')
    const after = graph('float16', '2,3,4,4', factor('ab', 1.8e-7), 'y = Mul(x, ab)')
    expect(await shareOf('float16', before, after, 1e4)).toBeGreaterThan(1)
  })

  test('a new infinity, and a new NaN', async () => {
    const before = graph('float32', '2,3,4,4', 'const c: float32[] = 1', 'y = Mul(x, c)')
    for (const wrong of ['const c: float32[] = inf', 'const c: float32[] = nan']) {
      const after = graph('float32', '2,3,4,4', wrong, 'y = Mul(x, c)')
      expect(await shareOf('float32', before, after)).toBe(Infinity)
    }
  })

  test('an integer that is another one, where nothing is halfway between two', async () => {
    const rounded = (factor: number): Graph =>
      graph(
        'float32',
        '2,3,4,4',
        'const s: float32[] = 0.05',
        'const z: uint8[] = 128',
        `const f: float32[3,1,1] = [1, 1, ${factor}]`,
        'a = Mul(x, f)',
        'q = QuantizeLinear(a, s, z)',
        'y = DequantizeLinear(q, s, z)',
      )
    expect(await shareOf('float32', rounded(1), rounded(1.001))).toBeGreaterThan(1)
    expect(await shareOf('float32', rounded(1), rounded(1 + 2 ** -23))).toBeLessThanOrEqual(1)
  })

  test('a channel that is small beside the others', async () => {
    const scale = (third: number): Graph =>
      graph('float32', '2,3,4,4', `const c: float32[3,1,1] = [1, 1e10, ${third}]`, 'y = Mul(x, c)')
    expect(await shareOf('float32', scale(1e-10), scale(1.00001e-10))).toBeGreaterThan(1)
    expect(await shareOf('float32', scale(1e-10), scale(1e-10 * (1 + 2 ** -23)))).toBeLessThan(1)
  })
})

describe('rounding is left alone', () => {
  test('what underflows in double, and not where factors are joined', async () => {
    const constants = ['const a: float64[] = 1e-291', 'const b: float64[] = 1e-41', 'const c: float64[] = 1e22']
    const before = graph('float64', '2,3,4,4', ...constants, 'u = Mul(x, a)', 'v = Mul(u, b)', 'y = Mul(v, c)')
    const joined = (factor: number): Graph =>
      graph('float64', '2,3,4,4', `const abc: float64[] = ${factor}`, 'y = Mul(x, abc)')
    expect(await shareOf('float64', before, joined(1e-310))).toBeLessThanOrEqual(1)
    expect(await shareOf('float64', before, joined(1e-290))).toBeGreaterThan(1)
  })

  test.each(['float32', 'float16', 'bfloat16', 'float64'] as const)(
    'a factor that moves into a sum, in %s',
    async (dtype) => {
      const weights = [0.31, -0.27, 0.55, 0.13, 0.71, -0.62, 0.44, 0.08, -0.91]
      const layer = (factor: number, values: ReadonlyArray<number>): ReadonlyArray<string> => [
        `const w: ${dtype}[3,3,1,1] = [${values.join(', ')}]`,
        `const f: ${dtype}[] = ${factor}`,
        'a = Conv(x, w)',
        'y = Mul(a, f)',
      ]
      const before = graph(dtype, '2,3,4,4', ...layer(0.37, weights))
      const after = graph(
        dtype,
        '2,3,4,4',
        ...layer(
          1,
          weights.map((w) => w * 0.37),
        ),
      )
      const share = await shareOf(dtype, before, after)
      expect(share).toBeLessThan(1)
      expect(share).toBeGreaterThan(0)
    },
  )

  test('a batch normalisation whose mean is far from zero', async () => {
    const stats = 'const s: float32[3] = [1.1, 0.9, 1.3]'
    const mean = 'const m: float32[3] = [1000, -3000, 2000]'
    const before = graph(
      'float32',
      '2,3,4,4',
      stats,
      mean,
      'const b: float32[3] = [1000, -3000, 2000]',
      'y = BatchNormalization(x, s, b, m, s)',
    )
    const scale = [1.1, 0.9, 1.3].map((v) => v / Math.sqrt(v + Math.fround(1e-5)))
    const shift = [1000, -3000, 2000].map((v, i) => v - v * (scale[i] ?? 0))
    const after = graph(
      'float32',
      '2,3,4,4',
      `const k: float32[3,1,1] = [${scale.join(', ')}]`,
      `const t: float32[3,1,1] = [${shift.join(', ')}]`,
      'a = Mul(x, k)',
      'y = Add(a, t)',
    )
    expect(await shareOf('float32', before, after)).toBeLessThan(1)
  })

  test('a gate in its tail, and what is rounded to either of two integers', () => {
    const moved = (before: Graph): number | undefined =>
      deviations(before, feedsOf(before, 3), 20, uniforms(1)).get('y')?.[0]
    const gates = Array.from({ length: 4 }, (_, gate) => (gate === 0 ? -7 : 1))
    const recurrent = parsed(
      'input x: float32[3,1,1]',
      'const w: float32[1,4,1] = [0, 0, 0, 0]',
      'const r: float32[1,4,1] = [0, 0, 0, 0]',
      `const b: float32[1,8] = [${gates.join(', ')}, 0, 0, 0, 0]`,
      'a, h, y = LSTM(x, w, r, b) { hidden_size: 1 }',
      'output y: float32[1,1,1]',
    )
    // One in the last place of 1, of the input gate's logistic(-7).
    expect(moved(recurrent)).toBeGreaterThan(2 ** -25)
    const averaged = parsed(
      'input x: float32[1,2,1,1]',
      'const zero: float32[] = 0',
      'const s: float32[] = 1',
      'const z: uint8[] = 0',
      'const one: float32[1,1,1,2] = [1, 2]',
      'nought = Mul(x, zero)',
      'both = Add(nought, one)',
      'q = QuantizeLinear(both, s, z)',
      'p = com.microsoft.QLinearGlobalAveragePool(q, s, z, s, z)',
      'y = DequantizeLinear(p, s, z)',
      'output y: float32[1,2,1,1]',
    )
    expect(moved(averaged)).toBe(undefined)
  })
})
