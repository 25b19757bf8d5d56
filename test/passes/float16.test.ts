/** Half precision: which nodes go to it and which do not, what meets where, and what is said of it. */
import { describe, expect, test } from 'vitest'
import { float32BitsToFloat16, fromFloat16, toFloat16 as nearest } from '../../src/ir/dtype.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { clampedTo, lossOf, toHalf } from '../../src/passes/float16/constants.ts'
import { type Float16Options, toFloat16 } from '../../src/passes/float16/index.ts'
import { onnxRuntime } from '../fuzz/engines.ts'
import { read, right, write } from './laws.ts'

const half = (body: string, options: Float16Options = {}, opset = 17) => right(toFloat16(read(body, opset), options))

/** The lines of what became of a graph, without inner types. */
const lines = (body: string, options: Float16Options = {}, opset = 17): ReadonlyArray<string> =>
  write(half(body, options, opset).graph)
    .split('\n')
    .map((line) =>
      line
        .replace(/ {2}#.*$/, '')
        .replace(/ +/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')

const reasons = (body: string, options: Float16Options = {}): ReadonlyArray<string> =>
  half(body, options).report.kept.map(({ node, reason }) => `${node}: ${reason}`)

const layer = `input x: float32[2,3]
  const w: float32[3,2] = [1, 2, 3, 4, 5, 6]
  a = MatMul(x, w) name "first"
  y = Relu(a)
  output y: float32[2,2]`

describe('conversions', () => {
  test('inputs and outputs stay float32, what lies between does not', () => {
    expect(lines(layer)).toEqual([
      'input x: float32[2,3]',
      'const w: float16[3,2] = [1, 2, 3, 4, 5, 6]',
      'x_float16 = Cast(x) { to: 10 }',
      'a = MatMul(x_float16, w) name "first"',
      'y_float16 = Relu(a)',
      'y = Cast(y_float16) { to: 1 }',
      'output y: float32[2,2]',
    ])
  })

  test('or become half precision, too', () => {
    expect(lines(layer, { keepIoTypes: false })).toEqual([
      'input x: float16[2,3]',
      'const w: float16[3,2] = [1, 2, 3, 4, 5, 6]',
      'a = MatMul(x, w) name "first"',
      'y = Relu(a)',
      'output y: float16[2,2]',
    ])
  })

  test('of a value are made once, and a constant that both need is there twice', () => {
    const body = `input x: float32[2,3]
      const w: float32[3] = [1, 2, 3]
      a = Add(x, w)
      b = Exp(a)
      c = Mul(b, w)
      d = Add(a, c)
      y = Sub(d, b)
      output y: float32[2,3]`
    const after = lines(body)
    expect(after.filter((line) => line.includes('Cast('))).toEqual([
      'x_float16 = Cast(x) { to: 10 }',
      'a_float32 = Cast(a) { to: 1 }',
      'c_float16 = Cast(c) { to: 10 }',
      'b_float16 = Cast(b) { to: 10 }',
      'y = Cast(y_float16) { to: 1 }',
    ])
    expect(after.filter((line) => line.startsWith('const'))).toEqual([
      'const w: float32[3] = [1, 2, 3]',
      'const w_float16: float16[3] = [1, 2, 3]',
    ])
  })

  test('an output that is an input, or a constant, keeps its name and type', () => {
    const body = `input x: float32[2]
      const c: float32[2] = [1, 2]
      y = Add(x, c)
      output x: float32[2]
      output c: float32[2]
      output y: float32[2]`
    expect(half(body).graph.outputs.map(({ type }) => type)).toEqual(read(body).outputs.map(({ type }) => type))
    const changed = half(body, { keepIoTypes: false }).graph
    for (const { name, type } of changed.outputs) {
      expect(type).toMatchObject({ dtype: 'float16' })
      expect(changed.types.get(name)).toMatchObject({ dtype: 'float16' })
    }
  })

  test('what a body reads stays float32 under its name, also where inputs do not', () => {
    const body = `input x: float32[2]
      input c: bool[]
      a = Relu(x)
      y = Opaque(c) { opType: "If", captures: [a, x] }
      z = Relu(a)
      output y: float32[2]
      output z: float32[2]`
    const { graph } = half(body, { keepIoTypes: false })
    expect(graph.types.get('a')).toMatchObject({ dtype: 'float32' })
    expect(graph.types.get('x')).toMatchObject({ dtype: 'float32' })
    expect(graph.types.get('z')).toMatchObject({ dtype: 'float16' })
  })

  test('a model without float32 stays the same', () => {
    const body = `input x: float16[2]
      y = Exp(x)
      output y: float16[2]`
    expect(half(body)).toMatchObject({ report: { casts: 0, nodes: { float16: 0, float32: 0 } } })
    expect(lines(body).join('\n')).not.toContain('Cast')
  })
})

describe('what stays in float32', () => {
  test('what reads a value of which no type is known, as a loop may make them', () => {
    const numbers = new Array<string>(256).fill('0.5').join(', ')
    const body = `input c: bool[]
      input x: float32[2,16]
      const w: float32[16,16] = [${numbers}]
      h = Opaque(c) { opType: "If", captures: [x] }
      y = MatMul(h, w) name "product"
      output y: float32[2,16]`
    const { graph, report } = half(body)
    expect(report.kept).toContainEqual({
      node: 'MatMul product',
      reason: 'the model does not say of what type h is',
    })
    expect(graph.types.get('w')).toMatchObject({ dtype: 'float32' })
  })

  test.each([{}, { nodeBlockList: ['product'] }])('what is turned before a product, with %j', async (options) => {
    const body = `input x: float32[2,3,4]
      const axes: int64[1] = [0]
      const w: float32[4,2] = [1, 2, 3, 4, 5, 6, 7, 8]
      const c: float32[4] = [1, 2, 3, 4]
      a = Relu(x)
      b = Transpose(a) { perm: [1, 0, 2] } name "turn"
      d = ReduceMean(b, axes) name "mean"
      e = Mul(d, c)
      f = Relu(e)
      y = MatMul(f, w) name "product"
      output y: float32[1,2,2]`
    const reason = 'ONNX Runtime does not load it in half precision before a product on a CPU'
    const { graph, report } = half(body, options, 18)
    expect(report.kept.filter((kept) => kept.reason === reason).map(({ node }) => node)).toEqual([
      'Transpose turn',
      'ReduceMean mean',
      'Mul e',
      'Relu f',
    ])
    for (const name of ['b', 'd', 'e', 'f']) expect(graph.types.get(name)).toMatchObject({ dtype: 'float32' })
    expect(graph.types.get('a')).toMatchObject({ dtype: 'float16' })
    const others = body
      .replace('[1, 0, 2]', '[0, 2, 1]')
      .replace('[4,2] =', '[3,2] =')
      .replace(', 7, 8]', ']')
      .replace('[4] = [1, 2, 3, 4]', '[3] = [1, 2, 3]')
    expect(half(others.replace('[1,2,2]', '[1,4,2]'), {}, 18).report.kept).toEqual([])
    for (const target of ['cuda', 'webgpu'] as const) expect(half(body, { target }, 18).report.kept).toEqual([])
    await (await onnxRuntime(graph, 'all')).close()
  })

  test('operators that say so, with the reason', () => {
    const body = `input x: float32[2,3]
      const two: float32[] = 2
      a = Relu(x)
      b = Pow(a, two)
      y = Add(a, b)
      output y: float32[2,3]`
    expect(reasons(body)).toEqual(['Pow b: what it makes of usual numbers leaves the range of half precision'])
  })

  test('what reads nothing in half precision: statistics that are written out, to where they meet the rest', () => {
    const body = `input x: float32[2,4]
      const two: float32[] = 2
      const eps: float32[] = 0.00001
      p = Pow(x, two)
      q = ReduceMean(p) { axes: [1] }
      e = Add(q, eps)
      s = Sqrt(e)
      y = Div(x, s)
      output y: float32[2,4]`
    const { graph, report } = half(body)
    for (const name of ['p', 'q', 'e', 's']) expect(graph.types.get(name)).toMatchObject({ dtype: 'float32' })
    expect(graph.nodes.at(-2)?.inputs).toEqual(['x_float16', 's_float16'])
    expect(report.nodes).toEqual({ float16: 1, float32: 4 })
  })

  test('those that ONNX does not define for it', () => {
    const body = `input n: float32[]
      const zero: float32[] = 0
      const one: float32[] = 1
      y = Range(zero, n, one)
      output y: float32[*]`
    expect(reasons(body)).toEqual(['Range y: ONNX defines it for float32, not for half precision'])
  })

  test('a number times itself', () => {
    const body = `input x: float32[2]
      a = Mul(x, x)
      y = Add(a, x)
      output y: float32[2]`
    expect(reasons(body)).toEqual(['Mul a: it squares, which leaves the range of half precision'])
  })

  test('single operands: the scales of Resize, which is in half precision besides', () => {
    const body = `input x: float32[1,2,2,2]
      const scales: float32[4] = [1, 1, 2, 2]
      y = Resize(x, _, scales)
      output y: float32[1,2,4,4]`
    const { graph } = half(body)
    expect(graph.constants.get('scales')?.dtype).toBe('float32')
    expect(graph.nodes.find(({ op }) => op === 'Resize')?.inputs[0]).toBe('x_float16')
  })

  test('what is about integers of few bits', () => {
    const body = `input x: float32[2]
      const s: float32[] = 0.5
      const z: int8[] = 0
      a = Relu(x)
      q = QuantizeLinear(a, s, z)
      d = DequantizeLinear(q, s, z)
      y = Neg(d)
      output y: float32[2]`
    const { graph, report } = half(body)
    expect(report.kept.map(({ node }) => node)).toEqual(['QuantizeLinear q', 'DequantizeLinear d'])
    // Nothing that Neg reads is in half precision.
    expect(graph.types.get('y')).toMatchObject({ dtype: 'float32' })
    expect(report.nodes).toEqual({ float16: 1, float32: 3 })
  })

  test('nodes and operators by name, and no others', () => {
    const all = { float16: 2, float32: 0 }
    expect(half(layer).report.nodes).toEqual(all)
    expect(reasons(layer, { opBlockList: ['Relu'] })).toEqual(['Relu y: its name was given'])
    expect(reasons(layer, { nodeBlockList: ['first'] })).toEqual(['MatMul first: its name was given'])
    expect(half(layer, { opBlockList: ['Relu', 'MatMul'] }).report.casts).toBe(0)
  })

  test('a table that is looked up in goes to half precision though nothing that is computed does', () => {
    const table = (rows: number): string => `input i: int64[2]
      const t: float32[${rows},8] = elided(0000000100000000)
      y = Gather(t, i)
      output y: float32[2,8]`
    expect(half(table(32)).graph.constants.get('t')?.dtype).toBe('float16')
    expect(half(table(2)).graph.constants.get('t')?.dtype).toBe('float32')
  })
})

describe('numbers that half precision does not hold', () => {
  test('a small term stays', () => {
    const body = (eps: string): string => `input x: float32[2]
      const eps: float32[] = ${eps}
      y = Add(x, eps)
      output y: float32[2]`
    expect(reasons(body('0.001'))).toEqual([])
    expect(reasons(body('1e-12'))).toEqual(['Add y: half precision holds too few digits of eps'])
    // Below the normal numbers, between two of those that are left.
    expect(reasons(body('1e-5'))).toEqual(['Add y: half precision holds too few digits of eps'])
  })

  test('a weight of which a row loses its digits keeps its layer; one row that is next to nothing does not', () => {
    const body = (row: string): string => `input x: float32[1,2]
      const w: float32[2,2] = [1, 2, ${row}]
      y = Gemm(x, w) { transB: 1 }
      output y: float32[1,2]`
    expect(reasons(body('0.001, 0.002'))).toEqual([])
    expect(reasons(body('1e-9, 2e-9'))).toEqual([])
    const small = body('1e-6, 2e-6').replace('[1, 2,', '[2e-6, 1e-6,')
    expect(reasons(small)).toEqual(['Gemm y: half precision holds too few digits of w'])
  })

  test('of what is divided by each number counts by itself', () => {
    const normalised = (variance: string, epsilon: string): string => `input x: float32[1,3]
      const s: float32[3] = [1, 2, 3]
      const v: float32[3] = [1, 0.5, ${variance}]
      y = BatchNormalization(x, s, s, s, v) { epsilon: ${epsilon} }
      output y: float32[1,3]`
    const reason = 'BatchNormalization y: half precision holds too few digits of v to divide by'
    // Half precision would hold 0 of it: 1000 times as large a result, beyond half precision.
    expect(reasons(normalised('1e-8', '1e-12'))).toEqual([reason])
    expect(reasons(normalised('1e-8', '1e-5'))).toEqual([])
    expect(reasons(normalised('0.25', '1e-12'))).toEqual([])
    const divided = (least: string): string => `input x: float32[1,3]
      const c: float32[3] = [1, 0.5, ${least}]
      y = Div(x, c)
      output y: float32[1,3]`
    expect(reasons(divided('1e-8'))).toEqual(['Div y: half precision holds too few digits of c to divide by'])
    expect(reasons(divided('0.25'))).toEqual([])
  })

  test('rows are those of output channels', () => {
    const columns = [1, 1e-9, 2, 3e-9]
    expect(lossOf(tensorOf('float32', [2, 2], columns), 1)).toEqual({ beyond: 0, lost: 0 })
    const near = [2 ** -4, 1e-6, 2 ** -4, 1.03e-6]
    // The second column is small, but not against the first one's last digit.
    const scaled = tensorOf(
      'float32',
      [2, 2],
      near.map((x, i) => (i % 2 === 0 ? x / 64 : x)),
    )
    expect(lossOf(scaled, 1).lost).toBe(1)
    expect(lossOf(scaled, 0).lost).toBe(0)
  })

  test('a mask that is chosen from is clamped, and said to be', () => {
    const body = `input x: float32[2]
      input c: bool[2]
      const low: float32[] = -3.4e38
      s = Where(c, x, low)
      y = Softmax(s)
      output y: float32[2]`
    const { graph, report } = half(body)
    expect(report.clamped).toEqual([{ constant: 'low', elements: 1 }])
    expect(graph.constants.get('low')).toEqual(tensorOf('float16', [], [-clampedTo]))
    expect(report.nodes.float32).toBe(0)
  })

  test('an infinite one stays infinite', () => {
    expect(toHalf(tensorOf('float32', [4], [-Infinity, Infinity, 1e9, -65504]))).toEqual(
      tensorOf('float16', [4], [-Infinity, Infinity, clampedTo, -65504]),
    )
    expect(lossOf(tensorOf('float32', [2], [-Infinity, 1]), undefined)).toEqual({ beyond: 0, lost: 0 })
    expect(lossOf(tensorOf('float32', [2], [65519, 65520]), undefined).beyond).toBe(1)
  })

  test('a mask that is multiplied stays, and what it makes is clamped where it meets half precision', () => {
    const body = `input x: float32[2]
      input m: float32[2]
      const low: float32[] = -3.4e38
      l = Mul(m, low)
      y = Add(x, l)
      output y: float32[2]`
    expect(reasons(body)).toEqual(['Mul l: low has numbers beyond half precision'])
    expect(lines(body).slice(-5)).toEqual([
      'l_clamped = Clip(l, l_clamped_least, l_clamped_most)',
      'l_float16 = Cast(l_clamped) { to: 10 }',
      'y_float16 = Add(x_float16, l_float16)',
      'y = Cast(y_float16) { to: 1 }',
      'output y: float32[2]',
    ])
    expect(lines(body, {}, 10).join('\n')).toContain('l_clamped = Clip(l) { min: -32768f, max: 32768f }')
  })

  test('behind a softmax nothing is beyond', () => {
    const body = `input m: float32[2]
      input x: float32[2]
      const low: float32[] = -3.4e38
      l = Mul(m, low)
      s = Softmax(l)
      y = Mul(s, x)
      output y: float32[2]`
    const after = lines(body)
    expect(after.filter((line) => line.includes('Clip('))).toEqual([])
    expect(after).toContain('y_float16 = Mul(s_float16, x_float16)')
  })

  test('what may be beyond is no factor in half precision', () => {
    const body = `input x: float32[2]
      input m: float32[2]
      const low: float32[] = -3.4e38
      l = Mul(m, low)
      r = Relu(x)
      y = Mul(r, l)
      output y: float32[2]`
    expect(reasons(body)).toContain('Mul y: a factor may be beyond half precision')
  })
})

test('bits of float32 become the nearest half', () => {
  const view = new DataView(new ArrayBuffer(4))
  const check = (word: number): void => {
    view.setUint32(0, word)
    expect(float32BitsToFloat16(word)).toBe(nearest(view.getFloat32(0)))
  }
  for (let word = 0; word < 2 ** 32; word += 999_983) check(word)
  // Halfway between two neighbours, and next to that.
  for (let bits = 0; bits < 0x7c00; bits += 37) {
    view.setFloat32(0, (fromFloat16(bits) + (bits + 1 === 0x7c00 ? 65536 : fromFloat16(bits + 1))) / 2)
    const middle = view.getUint32(0)
    for (const word of [middle - 1, middle, middle + 1]) for (const sign of [0, 2 ** 31]) check(word + sign)
  }
})

describe('errors', () => {
  test.each<readonly [Float16Options, string]>([
    [{ opBlockList: ['Relo'] }, 'Relu'],
    [{ nodeBlockList: ['firs'] }, 'first'],
  ])('%o', (options, close) => {
    expect(toFloat16(read(layer), options)).toMatchObject({
      left: { _tag: 'Float16Error', help: expect.stringContaining(close) },
    })
  })

  test('options that there are not', () => {
    const wrong: object = { keepIo: true }
    expect(toFloat16(read(layer), wrong)).toMatchObject({ left: { _tag: 'OptionError' } })
  })

  test('an opset without conversions', () => {
    expect(toFloat16(read('input x: float32[2]\noutput x: float32[2]', 5))).toMatchObject({
      left: { _tag: 'Float16Error', found: 'opset 5' },
    })
  })
})
