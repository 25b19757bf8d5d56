import { describe, expect, test } from 'vitest'
import { foldAffine } from '../../src/passes/fold-affine.ts'
import { expectRefusal, expectRewrite, read, right, runLawful, write } from './laws.ts'

/** Parameters of one BatchNormalization for `n` channels, other ones for each name. */
const parameters = (name: string, n: number): string => {
  const list = (f: (i: number) => number): string => Array.from({ length: n }, (_, i) => f(i)).join(', ')
  return `const ${name}s: float32[${n}] = [${list((i) => 1 + i / 2)}]
  const ${name}b: float32[${n}] = [${list((i) => i - 0.5)}]
  const ${name}m: float32[${n}] = [${list((i) => 0.25 * i + name.length)}]
  const ${name}v: float32[${n}] = [${list((i) => 0.5 + i)}]`
}
const norm = (name: string, x: string): string => `BatchNormalization(${x}, ${name}s, ${name}b, ${name}m, ${name}v)`
const weight = (name: string, shape: string, seed = 1): string =>
  `const ${name}: float32[${shape}] = elided(${seed.toString().padStart(8, '0')}00000000)`

const ops = (body: string, opset = 17): ReadonlyArray<string> =>
  runLawful(foldAffine, read(body, opset)).nodes.map((node) => node.op)

test('the algebra: scale into the weight, shift into the bias', () => {
  expectRewrite(
    foldAffine,
    `input x: float32[N,1,2,2]
     const w: float32[2,1,1,1] = [1, 3]
     const c: float32[2] = [10, 20]
     const s: float32[2] = [2, 4]
     const b: float32[2] = [0.5, 0.25]
     const m: float32[2] = [1, -1]
     const v: float32[2] = [4, 1]
     a = Conv(x, w, c) name "conv"
     y = BatchNormalization(a, s, b, m, v) { epsilon: 0f } name "norm"
     output y: float32[N,2,2,2]`,
    `input x: float32[N,1,2,2]
     const w: float32[2,1,1,1] = [1, 12]
     const c: float32[2] = [9.5, 84.25]
     const s: float32[2] = [2, 4]
     const b: float32[2] = [0.5, 0.25]
     const m: float32[2] = [1, -1]
     const v: float32[2] = [4, 1]
     y = Conv(x, w, c) name "conv"
     output y: float32[N,2,2,2]`,
  )
})

describe('after', () => {
  test.each<readonly [string, string, ReadonlyArray<string>]>([
    [
      'Conv without bias',
      `input x: float32[N,3,5,4]\n${weight('w', '4,3,3,3')}\n${parameters('n', 4)}\na = Conv(x, w) { pads: [1, 1, 1, 1] }\ny = ${norm('n', 'a')}\noutput y: float32[N,4,5,4]`,
      ['Conv'],
    ],
    [
      'grouped Conv',
      `input x: float32[N,4,3,3]\n${weight('w', '6,2,1,1')}\n${parameters('n', 6)}\na = Conv(x, w) { group: 2 }\ny = ${norm('n', 'a')}\noutput y: float32[N,6,3,3]`,
      ['Conv'],
    ],
    [
      'ConvTranspose',
      `input x: float32[N,3,3,3]\n${weight('w', '3,4,2,2')}\n${weight('c', '4')}\n${parameters('n', 4)}\na = ConvTranspose(x, w, c) { strides: [2, 2] }\ny = ${norm('n', 'a')}\noutput y: float32[N,4,6,6]`,
      ['ConvTranspose'],
    ],
    [
      'grouped ConvTranspose',
      `input x: float32[N,4,3,3]\n${weight('w', '4,3,2,2')}\n${parameters('n', 6)}\na = ConvTranspose(x, w) { group: 2 }\ny = ${norm('n', 'a')}\noutput y: float32[N,6,4,4]`,
      ['ConvTranspose'],
    ],
    [
      'Gemm with alpha and beta',
      `input x: float32[N,3]\n${weight('w', '3,4')}\n${weight('c', '4', 2)}\n${parameters('n', 4)}\na = Gemm(x, w, c) { alpha: 0.5f, beta: 3f }\ny = ${norm('n', 'a')}\noutput y: float32[N,4]`,
      ['Gemm'],
    ],
    [
      'Gemm, transposed, scalar C',
      `input x: float32[3,N]\n${weight('w', '4,3')}\nconst c: float32[1] = [2]\n${parameters('n', 4)}\na = Gemm(x, w, c) { beta: 3f, transA: 1, transB: 1 }\ny = ${norm('n', 'a')}\noutput y: float32[N,4]`,
      ['Gemm'],
    ],
    [
      'MatMul',
      `input x: float32[N,3]\n${weight('w', '3,4')}\n${parameters('n', 4)}\na = MatMul(x, w)\ny = ${norm('n', 'a')}\noutput y: float32[N,4]`,
      ['MatMul', 'Add'],
    ],
    [
      'two of them',
      `input x: float32[N,3,2,2]\n${weight('w', '4,3,1,1')}\n${parameters('n', 4)}\n${parameters('mm', 4)}\na = Conv(x, w)\nb = ${norm('n', 'a')}\ny = ${norm('mm', 'b')}\noutput y: float32[N,4,2,2]`,
      ['Conv'],
    ],
    [
      'a weight with two readers',
      `input x: float32[N,4,2,2]\n${weight('w', '4,4,1,1')}\n${parameters('n', 4)}\na = Conv(x, w)\nb = ${norm('n', 'a')}\ny = Conv(b, w)\noutput y: float32[N,4,2,2]`,
      ['Conv', 'Conv'],
    ],
  ])('%s', (_what, body, expected) => {
    expect(ops(body)).toStrictEqual(expected)
  })

  const conv = (more: string, a = 'a'): string => `input x: float32[N,3,4,4]
    ${weight('w', '4,3,1,1')}
    ${parameters('n', 4)}
    a = Conv(x, w)
    y = ${norm('n', a)}
    ${more}
    output y: float32[N,4,4,4]`
  test.each<readonly [string, string]>([
    ['a second reader of the convolution', conv('z = Relu(a)\noutput z: float32[N,4,4,4]')],
    ['a convolution that is a graph output', conv('output a: float32[N,4,4,4]')],
    [
      'a convolution that a subgraph captures',
      conv('z = Opaque(x) { opType: "If", captures: [a] }\noutput z: float32[1]'),
    ],
    [
      'training',
      conv('')
        .replace(norm('n', 'a'), `${norm('n', 'a')} { training_mode: 1 }`)
        .replace('y = Batch', 'y, rm, rv = Batch'),
    ],
    [
      'a parameter that is computed',
      conv('').replace('const nm: float32[4] = [1, 1.25, 1.5, 1.75]', 'input nm: float32[4]'),
    ],
    ['a weight that is computed', `input w: float32[4,3,1,1]\n${conv('').replace(/const w.*\n/, '')}`],
    ['a bias that is computed', `input c: float32[4]\n${conv('').replace('Conv(x, w)', 'Conv(x, w, c)')}`],
    [
      'a variance of which the square root is no number',
      conv('').replace('[0.5, 1.5, 2.5, 3.5]', '[0.5, -1, 2.5, 3.5]'),
    ],
    [
      'a Gemm that adds a matrix',
      `input x: float32[2,3]\n${weight('w', '3,4')}\n${weight('c', '2,4')}\n${parameters('n', 4)}\na = Gemm(x, w, c)\ny = ${norm('n', 'a')}\noutput y: float32[2,4]`,
    ],
    [
      'a MatMul of which the columns are not axis 1',
      `input x: float32[N,4,3]\n${weight('w', '3,4')}\n${parameters('n', 4)}\na = MatMul(x, w)\ny = ${norm('n', 'a')}\noutput y: float32[N,4,4]`,
    ],
  ])('refuses %s', (_what, body) => {
    expectRefusal(foldAffine, body)
  })
})

describe('before', () => {
  const into = (node: string, w: string, output: string): string => `input x: float32[N,3,4,4]
    ${weight('w', w)}
    ${weight('c', '4', 2)}
    ${parameters('n', 3)}
    a = ${norm('n', 'x')}
    y = ${node}
    output y: float32[${output}]`
  const unshifted = (body: string): string =>
    body
      .replace('const nb: float32[3] = [-0.5, 0.5, 1.5]', 'const nb: float32[3] = [0, 0, 0]')
      .replace('[1, 1.25, 1.5]', '[0, 0, 0]')

  test.each<readonly [string, string, ReadonlyArray<string>]>([
    ['Conv without padding', into('Conv(a, w, c)', '4,3,3,3', 'N,4,2,2'), ['Conv']],
    ['Conv without bias', into('Conv(a, w) { strides: [2, 2] }', '4,3,1,1', 'N,4,2,2'), ['Conv']],
    ['padded Conv, no shift', unshifted(into('Conv(a, w, c) { pads: [1, 1, 1, 1] }', '4,3,3,3', 'N,4,4,4')), ['Conv']],
    ['depthwise Conv', into('Conv(a, w) { group: 3 }', '6,1,2,2', 'N,6,3,3'), ['Conv']],
    ['ConvTranspose, kernel 1', into('ConvTranspose(a, w, c)', '3,4,1,1', 'N,4,4,4'), ['ConvTranspose']],
    [
      'Gemm with alpha and beta',
      `input x: float32[N,3]\n${weight('w', '3,4')}\n${weight('c', '4', 2)}\n${parameters('n', 3)}\na = ${norm('n', 'x')}\ny = Gemm(a, w, c) { alpha: 0.5f, beta: 3f }\noutput y: float32[N,4]`,
      ['Gemm'],
    ],
    [
      'no shift, and a C that is computed',
      unshifted(
        `input x: float32[N,3]\ninput c: float32[4]\n${weight('w', '3,4')}\n${parameters('n', 3)}\na = ${norm('n', 'x')}\ny = Gemm(a, w, c)\noutput y: float32[N,4]`,
      ),
      ['Gemm'],
    ],
  ])('%s', (_what, body, expected) => {
    expect(ops(body)).toStrictEqual(expected)
  })

  test.each<readonly [string, string]>([
    ['padded Conv', into('Conv(a, w, c) { pads: [1, 1, 1, 1] }', '4,3,3,3', 'N,4,4,4')],
    ['automatic padding', into('Conv(a, w, c) { auto_pad: "SAME_UPPER" }', '4,3,3,3', 'N,4,4,4')],
    ['ConvTranspose with a border', into('ConvTranspose(a, w, c)', '3,4,2,2', 'N,4,5,5')],
    ['a second reader', `${into('Conv(a, w, c)', '4,3,1,1', 'N,4,4,4')}\nz = Relu(a)\noutput z: float32[N,3,4,4]`],
    ['an activation between', into('Conv(r, w, c)', '4,3,1,1', 'N,4,4,4').replace('y =', 'r = Relu(a)\ny =')],
    ['a bias that is computed', `input b: float32[4]\n${into('Conv(a, w, b)', '4,3,1,1', 'N,4,4,4')}`],
    [
      'a value that is the weight, too',
      `input x: float32[3,3]\n${parameters('n', 3)}\na = ${norm('n', 'x')}\ny = Gemm(a, a)\noutput y: float32[3,3]`,
    ],
  ])('refuses %s', (_what, body) => {
    expectRefusal(foldAffine, body)
  })
})

test('the weights are scaled in double and rounded once', () => {
  const graph = read(`input x: float16[1,1,1]
    const w: float16[1,1,1] = [17]
    const s: float16[1] = [0.1]
    const b: float16[1] = [0]
    const m: float16[1] = [0]
    const v: float16[1] = [0.3]
    a = Conv(x, w)
    y = BatchNormalization(a, s, b, m, v) { epsilon: 0f }
    output y: float16[1,1,1]`)
  const after = right(foldAffine.run(graph))
  // 17 · 0.1 / √0.3 of these float16 numbers is 3.10275; rounding after each operation would give 3.1016.
  expect(write(after)).toContain('const   w: float16[1,1,1] = [3.104]\n')
})
