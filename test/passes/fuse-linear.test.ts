import { describe, expect, test } from 'vitest'
import { fuseLinear } from '../../src/passes/fuse-linear.ts'
import { expectRefusal, expectRewrite, read, runLawful } from './laws.ts'

const weight = (name: string, shape: string, seed = 1): string =>
  `const ${name}: float32[${shape}] = elided(0000000${seed}00000000)`
const ops = (body: string): ReadonlyArray<string> => runLawful(fuseLinear, read(body)).nodes.map((node) => node.op)

describe('contractions', () => {
  /** Sizes that fit each other in every order. */
  const square = (first: string, second: string): string => `input x: float32[8,8]
    ${weight('u', '8,8')}
    ${weight('v', '8,8', 2)}
    ${weight('w', '8,8', 3)}
    a = ${first}
    y = ${second}
    output y: float32[8,8]`

  test('the algebra', () => {
    expectRewrite(
      fuseLinear,
      `input x: float32[N,1]
       const w1: float32[1,2] = [1, 2]
       const b1: float32[2] = [1, 0]
       const w2: float32[2,1] = [10, 100]
       const b2: float32[1] = [5]
       a = Gemm(x, w1, b1)
       y = Gemm(a, w2, b2)
       output y: float32[N,1]`,
      `input x: float32[N,1]
       const w1: float32[1,1] = [210]
       const b1: float32[1] = [15]
       const w2: float32[2,1] = [10, 100]
       const b2: float32[1] = [5]
       y = Gemm(x, w1, b1)
       output y: float32[N,1]`,
    )
  })

  test('two of few channels between them stay, products of matrices too', () => {
    const body = `input x: float32[N,38]
      ${weight('w1', '38,1')}
      ${weight('w2', '1,2', 2)}
      a = MatMul(x, w1)
      y = MatMul(a, w2)
      output y: float32[N,2]`
    expect(ops(body)).toEqual(['MatMul', 'MatMul'])
  })

  const convs = (first: string, second: string, shapes: readonly [string, string]): string => `input x: float32[N,3,5,5]
    ${weight('w1', shapes[0])}
    ${weight('w2', shapes[1], 2)}
    ${weight('b1', '8', 3)}
    ${weight('b2', '2', 4)}
    a = ${first}
    y = ${second}
    output y: float32[*]`

  test.each<readonly [string, string, string]>([
    ['1x1 after 1x1', convs('Conv(x, w1, b1)', 'Conv(a, w2, b2)', ['8,3,1,1', '2,8,1,1']), 'Conv'],
    [
      '1x1 after 3x3 with padding',
      convs('Conv(x, w1, b1) { pads: [1, 1, 1, 1], strides: [2, 2] }', 'Conv(a, w2)', ['8,3,3,3', '2,8,1,1']),
      'Conv',
    ],
    ['3x3 after 1x1', convs('Conv(x, w1, b1)', 'Conv(a, w2, b2) { strides: [2, 2] }', ['8,3,1,1', '2,8,3,3']), 'Conv'],
    [
      'padded 3x3 after 1x1 without bias',
      convs('Conv(x, w1)', 'Conv(a, w2, b2) { pads: [1, 1, 1, 1] }', ['8,3,1,1', '2,8,3,3']),
      'Conv',
    ],
    [
      'MatMul after MatMul',
      `input x: float32[N,5,3]\n${weight('v', '3,8')}\n${weight('w', '8,2')}\na = MatMul(x, v)\ny = MatMul(a, w)\noutput y: float32[N,5,2]`,
      'MatMul',
    ],
    [
      'weights on the left',
      `input x: float32[3,5]\n${weight('v', '8,3')}\n${weight('w', '2,8')}\na = MatMul(v, x)\ny = MatMul(w, a)\noutput y: float32[2,5]`,
      'MatMul',
    ],
    [
      'Gemm after MatMul',
      `input x: float32[N,3]\n${weight('v', '3,8')}\n${weight('w', '2,8')}\n${weight('b', '2')}\na = MatMul(x, v)\ny = Gemm(a, w, b) { transB: 1, alpha: 0.5f, beta: 2f }\noutput y: float32[N,2]`,
      'Gemm',
    ],
    [
      'MatMul after Gemm',
      `input x: float32[3,N]\n${weight('v', '3,8')}\n${weight('w', '8,2')}\n${weight('b', '8')}\na = Gemm(x, v, b) { transA: 1, alpha: 0.5f, beta: 2f }\ny = MatMul(a, w)\noutput y: float32[N,2]`,
      'Gemm',
    ],
    ['the sum over rows, twice', square('MatMul(u, x)', 'Gemm(a, w) { transA: 1 }'), 'Gemm'],
  ])('%s', (_what, body, expected) => {
    expect(ops(body)).toStrictEqual([expected])
  })

  test.each<readonly [string, string]>([
    ['more multiplications', convs('Conv(x, w1)', 'Conv(a, w2)', ['1,3,1,1', '9,1,1,1'])],
    [
      'a biased 1x1 before padding',
      convs('Conv(x, w1, b1)', 'Conv(a, w2) { pads: [1, 1, 1, 1] }', ['8,3,1,1', '2,8,3,3']),
    ],
    ['two kernels', convs('Conv(x, w1)', 'Conv(a, w2)', ['8,3,3,3', '2,8,3,3'])],
    ['a strided 1x1 before a kernel', convs('Conv(x, w1) { strides: [2, 2] }', 'Conv(a, w2)', ['8,3,1,1', '2,8,3,3'])],
    [
      'a padded 1x1 before a kernel',
      convs('Conv(x, w1) { pads: [1, 1, 1, 1] }', 'Conv(a, w2)', ['8,3,1,1', '2,8,3,3']),
    ],
    ['a kernel before a strided 1x1', convs('Conv(x, w1)', 'Conv(a, w2) { strides: [2, 2] }', ['8,3,3,3', '2,8,1,1'])],
    ['groups', convs('Conv(x, w1)', 'Conv(a, w2) { group: 2 }', ['8,3,1,1', '2,4,1,1'])],
    [
      'an activation between',
      convs('Conv(x, w1)', 'Conv(r, w2)', ['8,3,1,1', '2,8,1,1']).replace('y =', 'r = Relu(a)\ny ='),
    ],
    [
      'a second reader',
      convs('Conv(x, w1)', 'Conv(a, w2)', ['8,3,1,1', '2,8,1,1']).replace(
        'output',
        'output a: float32[N,8,5,5]\noutput',
      ),
    ],
    [
      'a bias that is computed',
      `input c: float32[8]\n${convs('Conv(x, w1, c)', 'Conv(a, w2)', ['8,3,1,1', '2,8,1,1'])}`,
    ],
    ['a weight on each side', square('MatMul(x, v)', 'MatMul(u, a)')],
    ['the sum over rows', square('MatMul(x, v)', 'Gemm(a, w) { transA: 1 }')],
  ])('refuses %s', (_what, body) => {
    expectRefusal(fuseLinear, body)
  })
})

describe('constants', () => {
  const chain = (op: string, c1: string, c2: string, more = ''): string => `input x: float32[2,3]
    const c: ${c1}
    const d: ${c2}
    a = ${op}(c, x)
    y = ${op}(a, d)
    ${more}
    output y: float32[2,3]`

  test('the algebra', () => {
    expectRewrite(
      fuseLinear,
      chain('Add', 'float32[3] = [1, 2, 3]', 'float32[] = 10'),
      `input x: float32[2,3]
       const c: float32[3] = [11, 12, 13]
       const d: float32[] = 10
       y = Add(c, x)
       output y: float32[2,3]`,
    )
    expectRewrite(
      fuseLinear,
      chain('Mul', 'float32[1] = [2]', 'float32[1,3] = [1, 2, 3]'),
      `input x: float32[2,3]
       const c: float32[1,3] = [2, 4, 6]
       const d: float32[1,3] = [1, 2, 3]
       y = Mul(c, x)
       output y: float32[2,3]`,
    )
  })

  test.each<readonly [string, string]>([
    ['a constant larger than both', chain('Add', 'float32[3] = [1, 2, 3]', 'float32[2,1] = [1, 2]')],
    ['a sum that overflows', chain('Add', 'float32[] = 3e38', 'float32[] = 3e38')],
    ['a product that vanishes', chain('Mul', 'float32[] = 1e-30', 'float32[] = 1e-30')],
    ['a product that loses digits', chain('Mul', 'float32[] = 1e-20', 'float32[] = 1e-20')],
    ['a constant far above another one', chain('Add', 'float32[] = -1.68', 'float32[] = 12582912')],
    ['a rounding to whole numbers', chain('Add', 'float32[] = 12582912', 'float32[] = -12582912')],
    [
      'a rounding to whole numbers in half precision',
      chain('Add', 'float16[] = 1536', 'float16[] = -1536').replaceAll('float32[2,3]', 'float16[2,3]'),
    ],
    ['integers', chain('Add', 'int32[] = 1', 'int32[] = 2').replaceAll('float32[2,3]', 'int32[2,3]')],
    ['different operators', chain('Add', 'float32[] = 1', 'float32[] = 2').replace('y = Add', 'y = Mul')],
    ['a second reader', chain('Add', 'float32[] = 1', 'float32[] = 2', 'output a: float32[2,3]')],
    ['doubling', chain('Add', 'float32[] = 1', 'float32[] = 2').replace('Add(a, d)', 'Add(a, a)')],
  ])('refuses %s', (_what, body) => {
    expectRefusal(fuseLinear, body)
  })
})
