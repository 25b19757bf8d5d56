import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { eliminateChannels } from '../../src/passes/channel-elimination/index.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { mergeChannels } from '../../src/passes/merge-channels.ts'
import { refusalsOf } from '../../src/passes/pass.ts'
import { expectRefusal, expectRewrite, expectSameFunction, read, right, runLawful } from './laws.ts'

const raw = { target: 'cpu', planWidths: false } as const
const pass = mergeChannels(raw)

const weight = (name: string, shape: string, seed = 1): string =>
  `const ${name}: float32[${shape}] = elided(0000000${seed}00000000)`

/** Shape of a value after merging and eliminating. */
const shapeOf = (graph: Graph, name: string): string => {
  const { after } = eliminateChannels(right(pass.run(graph)), raw)
  expectSameFunction(graph, after)
  const type = after.types.get(name)
  return type?.kind === 'tensor' ? String(type.shape) : 'gone'
}

test('the algebra', () => {
  expectRewrite(
    pass,
    `input x: float32[N,1]
     const w: float32[1,3] = [2, 3, 2]
     const b: float32[3] = [1, 1, 1]
     const v: float32[3,2] = [1, 2, 10, 20, 0.5, 0]
     a = Gemm(x, w, b)
     r = Relu(a)
     y = MatMul(r, v)
     output y: float32[N,2]`,
    `input x: float32[N,1]
     const w: float32[1,3] = [2, 3, 2]
     const b: float32[3] = [1, 1, 1]
     const v: float32[3,2] = [1.5, 2, 10, 20, 0, 0]
     a = Gemm(x, w, b)
     r = Relu(a)
     y = MatMul(r, v)
     output y: float32[N,2]`,
  )
})

/** Four channels of which 0 and 2 are equal, and a layer that reads what `between` makes of them as `r`. */
const image = (
  between: string,
  reader = 'Conv(r, v) { pads: [1, 1, 1, 1] }',
  extra = '',
): string => `input x: float32[2,1,6,6]
  const w: float32[4,1,1,1] = [2, 3, 2, 4]
  const b: float32[4] = [1, 2, 1, 1]
  ${weight('v', '3,4,3,3')}
  ${weight('u', '4,4,1,1', 2)}
  ${extra}
  a = Conv(x, w, b)
  ${between}
  y = ${reader}
  output y: float32[*]`

describe('equal channels stay equal through', () => {
  test.each<readonly [string, string, string]>([
    ['an activation', 'r = Relu(a)', ''],
    [
      'a normalisation with equal parameters',
      'r = BatchNormalization(a, s, b, b, s)',
      'const s: float32[4] = [1, 2, 1, 3]',
    ],
    ['pools', 'p = MaxPool(a) { kernel_shape: [2, 2] }\nr = AveragePool(p) { kernel_shape: [2, 2] }', ''],
    ['sums of two that are equal in both', 'c = Conv(x, w)\nr = Add(a, c)', ''],
    ['factors for each channel, equal ones', 'r = Mul(a, k)', 'const k: float32[4,1,1] = [2, 3, 2, 5]'],
    ['a gate for all', 'g = ReduceMean(x) { axes: [2, 3] }\nr = Mul(a, g)', ''],
    [
      'another layout and back',
      't = Transpose(a) { perm: [0, 2, 3, 1] }\ns = Sigmoid(t)\nr = Transpose(s) { perm: [0, 3, 1, 2] }',
      '',
    ],
    [
      'depthwise kernels that are equal',
      'r = Conv(a, d) { group: 4 }',
      'const d: float32[4,1,2,1] = [1, 2, 1, 5, 1, 2, 3, 4]',
    ],
    [
      'a split and a concatenation',
      'p, q = Split(a, n) { axis: 1 }\nr = Concat(p, q) { axis: 1 }',
      'const n: int64[2] = [3, 1]',
    ],
  ])('%s', (_what, between, extra) => {
    const graph = read(image(between, undefined, extra), 13)
    runLawful(pass, graph)
    expect(shapeOf(graph, 'a')).toBe('2,3,6,6')
  })

  test('a flattening: every place of one is the same place of the other', () => {
    const body = `input x: float32[N,1,2]
      const w: float32[4,1,1] = [2, 3, 2, 4]
      ${weight('v', '8,3')}
      const shape: int64[2] = [0, 8]
      a = Conv(x, w)
      r = Relu(a)
      f = Reshape(r, shape)
      y = MatMul(f, v)
      output y: float32[N,3]`
    runLawful(pass, read(body))
    expect(shapeOf(read(body), 'a')).toBe('N,3,2')
  })

  test('layers: what reads equal channels in equal ways is equal', () => {
    const body = image(
      'r = Conv(a, d) { group: 2 }',
      'Conv(r, v)',
      'const d: float32[4,2,1,1] = [1, 2, 1, 2, 1, 2, 1, 3]',
    )
      .replace('[2, 3, 2, 4]', '[2, 3, 2, 3]')
      .replace('[1, 2, 1, 1]', '[1, 2, 1, 2]')
    expect(shapeOf(read(body), 'r')).toBe('2,2,6,6')
  })
})

describe('refuses', () => {
  test.each<readonly [string, string]>([
    ['other biases', image('r = Relu(a)').replace('[1, 2, 1, 1]', '[1, 2, 2, 1]')],
    ['other parameters on the way', image('r = Mul(a, k)', undefined, 'const k: float32[4,1,1] = [2, 3, 4, 5]')],
    [
      'a sum that is equal in one part only',
      image('c = Conv(x, u4)\nr = Add(a, c)', undefined, 'const u4: float32[4,1,1,1] = [1, 2, 3, 4]'),
    ],
    ['what mixes them', image('r = Softmax(a) { axis: 1 }')],
    ['an output of the model', image('r = Relu(a)').replace('output y', 'output r: float32[*]\noutput y')],
    ['groups that keep unequal numbers', image('r = Relu(a)', 'Conv(r, v2) { group: 2 }', weight('v2', '4,2,1,1'))],
    [
      'random numbers',
      image(
        'r, m = Dropout(a, half, yes) { seed: 1 }',
        undefined,
        'const half: float32[] = 0.5\nconst yes: bool[] = true',
      ),
    ],
    ['constants, which are paid for', image('r = Relu(a)').replace('[2, 3, 2, 4]', '[0, 3, 0, 4]')],
  ])('%s', (_what, body) => {
    const graph = read(body)
    expect(right(pass.run(graph))).toBe(graph)
  })

  const sums = (first: number, second: number, third = 1): string => `input x: float32[N,1]
    const w: float32[1,3] = [2, 2, 3]
    const v: float32[3,1] = [${first}, ${second}, ${third}]
    a = MatMul(x, w)
    r = Relu(a)
    y = MatMul(r, v)
    output y: float32[N,1]`

  test.each<readonly [string, string, string]>([
    ['weights that cancel', sums(2 ** 12, 0.5 - 2 ** 12), 'cancel'],
    ['weights whose sum is not finite', sums(3e38, 3e38), 'has no float32'],
  ])('%s', (_what, body, reason) => {
    expectRefusal(pass, body)
    expect(refusalsOf([pass], read(body)).map((refusal) => refusal.reason)).toStrictEqual([
      expect.stringContaining(reason),
    ])
  })

  test('a sum that grows beyond what its terms may, in half precision', () => {
    const copies = (count: number): string => `input x: float16[N,1]
      const w: float16[1,${count}] = [${Array.from({ length: count }, () => 1).join(', ')}]
      const v: float16[${count},1] = [${Array.from({ length: count }, () => 1).join(', ')}]
      a = MatMul(x, w)
      r = Relu(a)
      y = MatMul(r, v)
      output y: float16[N,1]`
    expectRefusal(pass, copies(257))
    expect(right(pass.run(read(copies(256))))).not.toBe(read(copies(256)))
    expect(refusalsOf([pass], read(copies(256)))).toStrictEqual([])
  })

  test('weights that are held as integers', () => {
    const body = `input x: float32[N,1]
      const w: float32[1,3] = [2, 3, 2]
      const q: int8[3,2] = [1, 2, 10, 20, 5, 0]
      const s: float32[] = 0.5
      v = DequantizeLinear(q, s)
      a = MatMul(x, w)
      r = Relu(a)
      y = MatMul(r, v)
      output y: float32[N,2]`
    const graph = right(foldConstants.run(read(body)))
    expect(graph.constants.get('v')?.tag).toBe('Held')
    expect(right(pass.run(graph))).toBe(graph)
  })

  test.each<readonly [string, string]>([
    ['weights that cancel less', sums(2 ** 9, 1 - 2 ** 9)],
    ['weights that cancel beside one that does not', sums(2 ** 12, 0.5 - 2 ** 12, 16)],
  ])('but not %s', (_what, body) => {
    const graph = read(body)
    expect(right(pass.run(graph))).not.toBe(graph)
  })
})
