import { describe, expect, test } from 'vitest'
import * as operators from '../../src/ir/ops/index.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import { fuseParallel } from '../../src/passes/fuse-parallel.ts'
import { refusalsOf } from '../../src/passes/pass.ts'
import { buildGraph } from '../builder.ts'
import { expectRefusal, expectRewrite, read, right, runLawful } from './laws.ts'

const weight = (name: string, shape: string, seed = 1): string =>
  `const ${name}: float32[${shape}] = elided(0000000${seed}00000000)`
const ops = (body: string): ReadonlyArray<string> => runLawful(fuseParallel, read(body)).nodes.map((node) => node.op)

const reasons = (body: string): ReadonlyArray<string> =>
  refusalsOf([fuseParallel], read(body)).map(({ reason }) => reason)

test('the algebra: two convolutions and the value itself', () => {
  expectRewrite(
    fuseParallel,
    `input x: float32[N,1,4]
     const w: float32[1,1,3] = [1, 2, 4]
     const b: float32[1] = [1]
     const v: float32[1,1,1] = [8]
     const c: float32[1] = [16]
     three = Conv(x, w, b) { pads: [1, 1] }
     one = Conv(x, v, c)
     sum = Add(three, one)
     y = Add(x, sum)
     output y: float32[N,1,4]`,
    `input x: float32[N,1,4]
     const w: float32[1,1,3] = [1, 11, 4]
     const b: float32[1] = [17]
     const v: float32[1,1,1] = [8]
     const c: float32[1] = [16]
     y = Conv(x, w, b) { pads: [1, 1] }
     output y: float32[N,1,4]`,
  )
})

/** RepVGG's block as trained: three branches of four channels, the third one a normalisation of `x`. */
const block = (first: string, second: string, third: string, shapes: Readonly<Record<string, string>> = {}): string => {
  const shape = { w: '4,4,3,3', v: '4,4,1,1', ...shapes }
  return `input x: float32[N,4,H,W]
    ${weight('w', shape.w)}
    ${weight('v', shape.v, 2)}
    ${weight('b', '4', 3)}
    ${weight('c', '4', 4)}
    const s: float32[4] = [1, 0.5, -1, 0.25]
    const m: float32[4] = [0.25, 0.5, 0, 1]
    const q: float32[4] = [1, 2, 0.5, 1]
    p = ${first}
    r = ${second}
    z = ${third}
    pr = Add(p, r)
    y = Add(pr, z)
    output y: float32[*]`
}

const three = 'Conv(x, w, b) { pads: [1, 1, 1, 1] }'
const one = 'Conv(x, v, c)'
const same = 'BatchNormalization(x, s, b, m, q)'

describe('branches that become one convolution', () => {
  test.each<readonly [string, string]>([
    ['3x3, 1x1 and a normalisation', block(three, one, same)],
    ['in another order', block(same, three, one)],
    ['1x1 first', block(one, three, same)],
    [
      'a factor for each channel',
      block(three, one, 'Mul(x, k)').replace('p =', 'const k: float32[4,1,1] = [1, 2, 0, -1]\np ='),
    ],
    ['dilated, 1x1 in its middle', block('Conv(x, w) { pads: [2, 2, 2, 2], dilations: [2, 2] }', one, same)],
    [
      '5x3 and 3x3',
      block('Conv(x, w) { pads: [2, 1, 2, 1] }', 'Conv(x, v) { pads: [1, 1, 1, 1] }', same, {
        w: '4,4,5,3',
        v: '4,4,3,3',
      }),
    ],
    [
      'depthwise',
      block('Conv(x, w) { group: 4, pads: [1, 1, 1, 1] }', 'Conv(x, v) { group: 4 }', same, {
        w: '4,1,3,3',
        v: '4,1,1,1',
      }),
    ],
    ['depthwise within a dense one', block(three, 'Conv(x, v) { group: 4 }', same, { v: '4,1,1,1' })],
    ['two groups', block('Conv(x, w) { group: 2, pads: [1, 1, 1, 1] }', same, same, { w: '4,2,3,3' })],
  ])('%s', (_what, body) => {
    expect(ops(body)).toStrictEqual(['Conv'])
  })

  test('with strides, where sizes are known', () => {
    const strided = (sizes: string): string => `input x: float32[1,4,${sizes}]
      ${weight('w', '2,4,3,3')}
      ${weight('v', '2,4,1,1', 2)}
      p = Conv(x, w) { pads: [1, 1, 1, 1], strides: [2, 2] }
      r = Conv(x, v) { strides: [2, 2] }
      y = Add(p, r)
      output y: float32[*]`
    expect(ops(strided('5,5'))).toStrictEqual(['Conv'])
    expect(ops(strided('6,6'))).toStrictEqual(['Conv'])
  })

  test('products of matrices, and the value itself', () => {
    const body = (second: string): string => `input x: float32[N,T,4]
      ${weight('w', '4,4')}
      ${weight('v', '4,4', 2)}
      p = MatMul(x, w)
      r = ${second}
      y = Add(r, p)
      output y: float32[*]`
    expect(ops(body('MatMul(x, v)'))).toStrictEqual(['MatMul'])
    expect(ops(body('Identity(x)').replace('r = Identity(x)\n', '').replace('Add(r, p)', 'Add(x, p)'))).toStrictEqual([
      'MatMul',
    ])
  })

  test('a factor of a Gemm counts', () => {
    expectRewrite(
      fuseParallel,
      `input x: float32[N,1]
       const w: float32[1,1] = [3]
       const b: float32[1] = [1]
       const v: float32[1,1] = [8]
       p = Gemm(x, w, b) { alpha: 2f, beta: 4f }
       r = MatMul(x, v)
       y = Add(p, r)
       output y: float32[N,1]`,
      `input x: float32[N,1]
       const w: float32[1,1] = [7]
       const b: float32[1] = [1]
       const v: float32[1,1] = [8]
       y = Gemm(x, w, b) { alpha: 2f, beta: 4f }
       output y: float32[N,1]`,
    )
  })
})

describe('refuses', () => {
  const pair = (first: string, second: string, shapes: Readonly<Record<string, string>> = {}): string =>
    block(first, second, 'Relu(x)', shapes)
  test.each<readonly [string, string]>([
    ['another value', pair(three, 'Conv(x2, v)').replace('p =', 'x2 = Relu(x)\np =')],
    ['a branch that something else reads', pair(three, one).replace('output y', 'output r: float32[*]\noutput y')],
    ['kernels of which neither has room', pair('Conv(x, w)', 'Conv(x, v)', { w: '4,4,1,3', v: '4,4,3,1' })],
    [
      'a 1x1 that is not in its middle',
      pair('Conv(x, w) { pads: [0, 1, 1, 0] }', one, { w: '4,4,2,2' }).replace(
        'x, v, c)',
        'x, v, c) { pads: [1, 0, 0, 1] }',
      ),
    ],
    [
      'a kernel between the elements of a dilated one',
      pair('Conv(x, w) { pads: [2, 2, 2, 2], dilations: [2, 2] }', 'Conv(x, v) { pads: [1, 1, 1, 1] }', {
        v: '4,4,3,3',
      }),
    ],
    ['groups that read across groups', pair('Conv(x, w) { group: 2, pads: [1, 1, 1, 1] }', one, { w: '4,2,3,3' })],
    ['a sum of one position for all', pair('Conv(x, w)', one).replace('x: float32[N,4,H,W]', 'x: float32[N,4,3,3]')],
    [
      'the value itself, turned around',
      `input x: float32[4,4]\n${weight('w', '4,4')}\np = Gemm(x, w) { transA: 1 }\ny = Add(p, x)\noutput y: float32[4,4]`,
    ],
    [
      'an affine map of a value that it widens',
      pair(three, 'Mul(x, k)')
        .replace('p =', 'const k: float32[2,4,1,1] = [1, 1, 1, 1, 1, 1, 1, 1]\np =')
        .replace('[N,4', '[1,4'),
    ],
    [
      'automatic padding of an unknown size',
      pair('Conv(x, w) { auto_pad: "SAME_UPPER", strides: [2, 2] }', 'Conv(x, v) { strides: [2, 2] }'),
    ],
  ])('%s', (_what, body) => {
    expectRefusal(fuseParallel, body)
  })

  test('a bias that is computed', () => {
    const body = pair(three, 'Conv(x, v, k)').replace('input x', 'input k: float32[4]\ninput x')
    expectRefusal(fuseParallel, body)
    expect(reasons(body)).toStrictEqual(['the bias of a branch is computed'])
  })

  const numbers = (w: number, v: number, b = 0, c = 0, dtype = 'float32'): string => `input x: ${dtype}[N,1]
    const w: ${dtype}[1,1] = [${w}]
    const b: ${dtype}[1] = [${b}]
    const v: ${dtype}[1,1] = [${v}]
    const c: ${dtype}[1] = [${c}]
    p = Gemm(x, w, b)
    r = Gemm(x, v, c)
    y = Add(p, r)
    output y: ${dtype}[N,1]`

  test.each<readonly [string, string, string]>([
    ['weights that cancel', numbers(2 ** 12, 1 - 2 ** 12), 'its weights cancel'],
    ['weights whose sum is not finite', numbers(3e38, 3e38), 'has no float32 as exact'],
    ['biases that undo each other', numbers(1, 1, 2 ** 12, 1 - 2 ** 12), 'leave few digits'],
    ['biases whose sum is not finite', numbers(1, 1, 3e38, 3e38), 'is beyond'],
  ])('%s', (_what, body, expected) => {
    expectRefusal(fuseParallel, body)
    expect(reasons(body)).toStrictEqual([expect.stringContaining(expected)])
  })

  test.each<readonly [string, string]>([
    ['weights that cancel less', numbers(2 ** 9, 1 - 2 ** 9)],
    ['biases that undo each other less', numbers(1, 1, 2 ** 9, 1 - 2 ** 9)],
  ])('but not %s', (_what, body) => {
    expect(right(fuseParallel.run(read(body))).nodes.map((node) => node.op)).toStrictEqual(['Gemm'])
  })
})

describe('a contraction beside two after one another', () => {
  const adapted = (first: string, second: string, more = '', shapes = { w: '16,16', a: '16,2', b: '2,16' }): string => `
    input x: float32[N,16]
    input z: float32[N,16]
    ${weight('w', shapes.w)}
    ${weight('a', shapes.a, 2)}
    ${weight('b', shapes.b, 3)}
    ${weight('c', '16', 4)}
    p = ${first}
    q = ${second}
    r = MatMul(q, b)
    y = Add(p, r)
    output y: float32[N,16]
    ${more}`
  const fused = (body: string): string => ops(body).join(' ')

  test('is one of the sum of their weights', () => {
    expect(fused(adapted('MatMul(x, w)', 'MatMul(x, a)'))).toBe('MatMul')
    expect(fused(adapted('Gemm(x, w, c)', 'MatMul(x, a)'))).toBe('Gemm')
    expectRewrite(
      fuseParallel,
      `input x: float32[N,2]
       const w: float32[2,2] = [1, 2, 3, 4]
       const a: float32[2,1] = [1, 10]
       const b: float32[1,2] = [100, 1000]
       p = MatMul(x, w)
       q = MatMul(x, a)
       r = MatMul(q, b)
       y = Add(r, p)
       output y: float32[N,2]`,
      `input x: float32[N,2]
       const w: float32[2,2] = [101, 1002, 1003, 10004]
       const a: float32[2,1] = [1, 10]
       const b: float32[1,2] = [100, 1000]
       y = MatMul(x, w)
       output y: float32[N,2]`,
    )
  })

  describe('behind the bias of one', () => {
    const biased = (bias: string, second = 'MatMul(x, a)', more = ''): string =>
      adapted('MatMul(x, w)', second, more)
        .replace('y = Add(p, r)', 'pb = Add(p, bias)\n    y = Add(r, pb)')
        .replace('p = ', `const bias: float32[1] = [${bias}]\n    p = `)
    const whole = 'MatMul MatMul MatMul Add Add'

    test('is one', () => {
      expect(fused(biased('0.5'))).toBe('MatMul Add')
    })

    test('stays where that is read elsewhere, reads something else or is large', () => {
      expect(fused(biased('0.5', 'MatMul(z, a)'))).toBe(whole)
      expect(fused(biased('0.5', 'MatMul(x, a)', 'output pb: float32[*]'))).toBe(whole)
      expect(fused(biased('0.5', 'MatMul(x, a)', 'output p: float32[*]'))).toBe(whole)
      expect(fused(biased('12582912'))).toBe(whole)
      expect(reasons(biased('12582912')).join()).toContain('few digits')
    })
  })

  test('of other values, or read elsewhere, stays', () => {
    expect(fused(adapted('MatMul(x, w)', 'MatMul(z, a)'))).toBe('MatMul MatMul MatMul Add')
    for (const read of ['p', 'q', 'r']) {
      const body = adapted('MatMul(x, w)', 'MatMul(x, a)', `output ${read}: float32[*]`)
      expect(fused(body)).toBe('MatMul MatMul MatMul Add')
    }
  })

  test('whose weights cancel stays', () => {
    const body = `input x: float32[N,2]
       const w: float32[2,2] = [-1, 0, 0, 1]
       const a: float32[2,1] = [1, 0]
       const b: float32[1,2] = [1.0001, 0]
       p = MatMul(x, w)
       q = MatMul(x, a)
       r = MatMul(q, b)
       y = Add(p, r)
       output y: float32[N,2]`
    expectRefusal(fuseParallel, body)
    expect(reasons(body).join()).toContain('cancel')
  })
})

test('a report says which layer computes the others', () => {
  const graph = buildGraph({ x: ['N', 6] }, (b) => {
    const linear = (name: string, x: string, outs: number, ins: number): string =>
      b.op(operators.Gemm, [x, b.weight(name, [ins, outs]), b.weight(`${name}.bias`, [outs])])
    const chain = linear('third', linear('second', linear('first', 'x', 9, 6), 9, 9), 4, 9)
    return [b.op(operators.Relu, [b.op(operators.Add, [chain, linear('beside', 'x', 4, 6)])])]
  })
  const { report } = right(compile(graph, noMasks))
  expect(report.layers.map(({ weight, joined, outputs }) => [weight, joined, outputs.after])).toEqual([
    ['first', undefined, 9],
    ['second', 'gemm0', 9],
    ['third', 'gemm0', 4],
    ['beside', 'gemm0', 4],
  ])
})
