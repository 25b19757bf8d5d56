import { describe, expect, test } from 'vitest'
import { foldAffine } from '../../src/passes/fold-affine.ts'
import { expectRefusal, expectRewrite, read, runLawful } from './laws.ts'

const weight = (name: string, shape: string): string => `const ${name}: float32[${shape}] = elided(0000000100000000)`
const ops = (body: string): ReadonlyArray<string> => runLawful(foldAffine, read(body)).nodes.map((node) => node.op)

test('the algebra', () => {
  expectRewrite(
    foldAffine,
    `input x: float32[N,2,2,2]
     const w: float32[2,2,1,1] = [1, 2, 3, 4]
     const b: float32[2] = [1, 2]
     const s: float32[1,2,1,1] = [2, 10]
     const t: float32[2,1,1] = [1, -1]
     const before: float32[] = 0.5
     h = Div(x, before)
     a = Conv(h, w, b)
     c = Mul(s, a)
     y = Sub(t, c)
     output y: float32[N,2,2,2]`,
    `input x: float32[N,2,2,2]
     const w: float32[2,2,1,1] = [-4, -8, -60, -80]
     const b: float32[2] = [-1, -21]
     const s: float32[1,2,1,1] = [2, 10]
     const t: float32[2,1,1] = [1, -1]
     const before: float32[] = 0.5
     y = Conv(x, w, b)
     output y: float32[N,2,2,2]`,
  )
})

describe('after', () => {
  const conv = (node: string, c: string, more = ''): string => `input x: float32[2,3,4,4]
    ${weight('w', '4,3,1,1')}
    ${weight('c', c)}
    a = Conv(x, w)
    y = ${node}
    ${more}
    output y: float32[2,4,4,4]`
  const gemm = (node: string, c: string, linear = 'Gemm(x, w)'): string => `input x: float32[4,3]
    ${weight('w', '3,4')}
    ${weight('c', c)}
    a = ${linear}
    y = ${node}
    output y: float32[4,4]`

  test.each<readonly [string, string, ReadonlyArray<string>]>([
    ['Add', conv('Add(a, c)', '4,1,1'), ['Conv']],
    ['Sub of a scalar', conv('Sub(a, c)', ''), ['Conv']],
    ['Sub from', conv('Sub(c, a)', '1,4,1,1'), ['Conv']],
    ['Mul', conv('Mul(c, a)', '4,1,1'), ['Conv']],
    ['Div', conv('Div(a, c)', '4,1,1'), ['Conv']],
    ['a row for Gemm', gemm('Add(a, c)', '4'), ['Gemm']],
    ['a row for MatMul', gemm('Mul(a, c)', '1,4', 'MatMul(x, w)'), ['MatMul']],
    [
      'MatMul with the weight on the left',
      `input x: float32[2,3,5]\n${weight('w', '4,3')}\n${weight('c', '4,1')}\na = MatMul(w, x)\ny = Mul(a, c)\noutput y: float32[2,4,5]`,
      ['MatMul'],
    ],
    [
      'grouped ConvTranspose',
      `input x: float32[N,4,3,3]\n${weight('w', '4,3,2,2')}\n${weight('c', '6,1,1')}\na = ConvTranspose(x, w) { group: 2 }\ny = Mul(a, c)\noutput y: float32[N,6,4,4]`,
      ['ConvTranspose'],
    ],
  ])('%s', (_what, body, expected) => {
    expect(ops(body)).toStrictEqual(expected)
  })

  test.each<readonly [string, string]>([
    ['a constant along the width, as many columns as channels', conv('Add(a, c)', '4')],
    ['a constant along the height', conv('Mul(a, c)', '4,1')],
    ['a constant along the batch', conv('Add(a, c)', '2,1,1,1')],
    ['a constant image', conv('Add(a, c)', '4,4,4')],
    ['a constant that widens the value', conv('Add(a, c)', '2,1,1,1').replace('float32[2,3,4,4]', 'float32[1,3,4,4]')],
    ['a constant of higher rank', conv('Add(a, c)', '1,1,4,1,1').replace('[2,4,4,4]', '[1,2,4,4,4]')],
    ['a column for Gemm', gemm('Add(a, c)', '4,1')],
    ['an Add after MatMul', gemm('Add(a, c)', '4', 'MatMul(x, w)')],
    ['division by the value', conv('Div(c, a)', '4,1,1')],
    ['division by zero', conv('Div(a, c)', '4,1,1').replace('elided(0000000100000000)\n    a', '[1, 0, 1, 1]\n    a')],
    ['an operand that is computed', `input c: float32[4,1,1]\n${conv('Add(a, c)', '').replace(/const c.*\n/, '')}`],
    ['the square of the value', conv('Mul(a, a)', '')],
    ['a second reader', conv('Add(a, c)', '4,1,1', 'z = Relu(a)\noutput z: float32[2,4,4,4]')],
    ['a value that is a graph output', conv('Add(a, c)', '4,1,1', 'output a: float32[2,4,4,4]')],
    [
      'a bias that is computed',
      `input b: float32[4]\n${conv('Mul(a, c)', '4,1,1').replace('Conv(x, w)', 'Conv(x, w, b)')}`,
    ],
    [
      'weights that would overflow',
      conv('Mul(a, c)', '4,1,1').replace(
        /const (w|c)(.*?) = elided\(.*\)/g,
        (_, name: string, type: string) =>
          `const ${name}${type} = [${Array.from({ length: name === 'w' ? 12 : 4 }, () => '1e38').join(', ')}]`,
      ),
    ],
  ])('refuses %s', (_what, body) => {
    expectRefusal(foldAffine, body)
  })
})

describe('before', () => {
  const gated = (gate: string): string => `input x: float32[N,3]
    const w: float32[3,4] = elided(0000000100000000)
    const root: float32[] = 1.5
    const one: float32[] = 1
    const half: float32[] = 0.5
    const gain: float32[3] = [1, 2, 3]
    scaled = Div(x, root)
    erf = Erf(scaled)
    up = Add(erf, one)
    ${gate}
    y = Gemm(a, w)
    output y: float32[N,4]`
  test.each<readonly [string, string]>([
    ['the half of a GELU', gated('p = Mul(x, up)\na = Mul(p, half)')],
    ['gain and shift of a normalisation', gated('q = Div(x, up)\np = Mul(q, gain)\na = Add(p, half)')],
  ])('leaves %s to the runtime', (_what, body) => {
    expectRefusal(foldAffine, body)
  })

  test('a product with a constant is no gate', () => {
    expect(ops(gated('p = Mul(erf, gain)\na = Mul(p, half)'))).toStrictEqual(['Div', 'Erf', 'Add', 'Gemm'])
  })

  const conv = (node: string, c: string, attributes = ''): string => `input x: float32[2,3,3,3]
    ${weight('w', '4,3,2,2')}
    ${weight('c', c)}
    a = ${node}
    y = Conv(a, w)${attributes}
    output y: float32[*]`
  test.each<readonly [string, string]>([
    ['Mul, padding and all', conv('Mul(x, c)', '3,1,1', ' { pads: [1, 1, 1, 1] }')],
    [
      'BatchNormalization without padding',
      conv('BatchNormalization(x, c, c, c, v)', '3').replace('a =', 'const v: float32[3] = [1, 2, 3]\n    a ='),
    ],
    [
      'Add that shifts only channels nobody reads',
      `input x: float32[2,3,3,3]\nconst w: float32[1,3,1,1] = [1, 0, 2]\nconst c: float32[3,1,1] = [0, 5, 0]\na = Add(x, c)\ny = Conv(a, w) { pads: [1, 1, 1, 1] }\noutput y: float32[2,1,5,5]`,
    ],
  ])('%s', (_what, body) => {
    expect(ops(body)).toStrictEqual(['Conv'])
  })

  test.each<readonly [string, string]>([
    ['a sum that is exact where it cancels', conv('Sub(x, c)', '3,1,1')],
    ['a shift with padding', conv('Add(x, c)', '3,1,1', ' { pads: [1, 0, 0, 0] }')],
    ['a constant along the width', conv('Mul(x, c)', '3')],
    [
      'a shift before MatMul, which has no bias',
      `input x: float32[N,3]\n${weight('w', '3,4')}\n${weight('c', '3')}\na = Add(x, c)\ny = MatMul(a, w)\noutput y: float32[N,4]`,
    ],
    ['a second reader', conv('Mul(x, c)', '3,1,1').replace('output y', 'output a: float32[2,3,3,3]\noutput y')],
    [
      'a value that is the weight',
      `input x: float32[3,3]\n${weight('c', '3,1')}\na = Mul(x, c)\n${weight('w', '2,3')}\ny = MatMul(w, a)\nz = MatMul(a, a)\noutput y: float32[2,3]\noutput z: float32[3,3]`,
    ],
  ])('refuses %s', (_what, body) => {
    expectRefusal(foldAffine, body)
  })

  test('rows of the right operand', () => {
    expect(
      ops(
        `input x: float32[3,5]\n${weight('c', '3,1')}\n${weight('w', '2,3')}\na = Mul(x, c)\ny = MatMul(w, a)\noutput y: float32[2,5]`,
      ),
    ).toStrictEqual(['MatMul'])
  })
})

test('one constant as weight and as C is replaced for one of them only', () => {
  const after = runLawful(
    foldAffine,
    read(
      `input x: float32[2,2]\nconst w: float32[2,2] = [1, 2, 1, 2]\nconst s: float32[2] = [2, 3]\na = Gemm(x, w, w)\ny = Mul(a, s)\noutput y: float32[2,2]`,
    ),
  )
  expect(after.nodes.map((node) => node.op)).toStrictEqual(['Gemm'])
})
