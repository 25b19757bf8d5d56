import { describe, expect, test } from 'vitest'
import { elements } from '../../src/ir/tensor.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { expectRefusal, expectRewrite, read, right, runLawful } from './laws.ts'

test('nodes of constants become constants, and so on', () => {
  expectRewrite(
    foldConstants,
    `input x: float32[2]
     const c: float32[2] = [1, 2]
     a = Constant() { value_floats: [3f, 4f] }
     b = Add(c, a)
     d = Mul(b, b)
     y = Add(x, d)
     output y: float32[2]`,
    `input x: float32[2]
     const c: float32[2] = [1, 2]
     const a: float32[2] = [3, 4]
     const b: float32[2] = [4, 6]
     const d: float32[2] = [16, 36]
     y = Add(x, d)
     output y: float32[2]`,
  )
})

test('each operator rounds once, as at run time', () => {
  const graph = read(`input x: float32[1]
     const a: float32[1] = [16777216]
     const b: float32[1] = [1]
     s = Add(a, b)
     t = Add(s, b)
     y = Mul(x, t)
     output y: float32[1]`)
  const t = right(foldConstants.run(graph)).constants.get('t')
  expect(t && [...elements(t)]).toStrictEqual([16777216])
})

test('weights standardised by a normalisation in training mode', () => {
  const graph = right(
    foldConstants.run(
      read(`input x: float32[N,1,2,2]
     const w: float32[1,2,4] = [1, 2, 3, 4, 0, 0, 8, 8]
     const gain: float32[2] = [1, 2]
     const zero: float32[2] = [0, 0]
     const shape: int64[4] = [2, 1, 2, 2]
     n, mean, var = BatchNormalization(w, gain, zero, zero, zero) { epsilon: 0f, training_mode: 1 }
     k = Reshape(n, shape)
     y = Conv(x, k)
     output y: float32[N,2,1,1]`),
    ),
  )
  const k = graph.constants.get('k')
  expect(k && Array.from(elements(k), Number)).toEqual(
    [-3, -1, 1, 3].map((v) => Math.fround(v / Math.sqrt(5))).concat([-2, -2, 2, 2]),
  )
  expect(graph.nodes.map((node) => node.op)).toEqual(['Conv'])
})

test('integers that follow from shapes', () => {
  expectRewrite(
    foldConstants,
    `input x: float32[N,3,4]
     const one: int64[] = 1
     const two: int64[] = 2
     const rest: int64[1] = [-1]
     const zero: int64[1] = [0]
     s = Shape(x)
     c = Gather(s, one)
     d = Gather(s, two)
     cd = Mul(c, d)
     u = Unsqueeze(cd, zero)
     to = Concat(rest, u) { axis: 0 }
     y = Reshape(x, to)
     output y: float32[N,12]`,
    `input x: float32[N,3,4]
     const one: int64[] = 1
     const two: int64[] = 2
     const rest: int64[1] = [-1]
     const zero: int64[1] = [0]
     const c: int64[] = 3
     const d: int64[] = 4
     const cd: int64[] = 12
     const u: int64[1] = [12]
     const to: int64[2] = [-1, 12]
     s = Shape(x)
     y = Reshape(x, to)
     output y: float32[N,12]`,
  )
})

test('a symbol is no constant', () => {
  expectRefusal(
    foldConstants,
    `input x: float32[N,3]
     s = Shape(x)
     y = Reshape(x, s)
     output y: float32[N,3]`,
  )
})

describe('graph outputs', () => {
  test('are handed their constant through an Identity, once', () => {
    expectRewrite(
      foldConstants,
      `input x: float32[2]
       const c: float32[2] = [1, 2]
       y = Neg(c)
       z = Add(x, y)
       output y: float32[2]
       output z: float32[2]`,
      `input x: float32[2]
       const c: float32[2] = [1, 2]
       const y_value: float32[2] = [-1, -2]
       y = Identity(y_value)
       z = Add(x, y)
       output y: float32[2]
       output z: float32[2]`,
    )
  })

  test('a captured result keeps its name', () => {
    expectRewrite(
      foldConstants,
      `input x: float32[2]
       const c: float32[2] = [1, 2]
       n = Neg(c)
       y = Opaque(x) { opType: "If", captures: [n] }
       output y: float32[2]`,
      `input x: float32[2]
       const c: float32[2] = [1, 2]
       const n: float32[2] = [-1, -2]
       y = Opaque(x) { opType: "If", captures: [n] }
       output y: float32[2]`,
      17,
      { unevaluated: true },
    )
  })
})

test('what is declared of a result that is a constant now goes', () => {
  const graph = read(`hint n: float32[2]
     input x: float32[2]
     const c: float32[2] = [1, 2]
     n = Neg(c)
     y = Add(x, n)
     output y: float32[2]`)
  expect(runLawful(foldConstants, graph).hints.size).toBe(0)
})

test('opaque nodes and Dropout in training are never folded', () => {
  expectRefusal(
    foldConstants,
    `const c: float32[2] = [1, 2]
     const on: bool[] = true
     a = Opaque() { opType: "RandomNormal" }
     b, _ = Dropout(c, _, on)
     output a: float32[2]
     output b: float32[2]`,
  )
})

test('defaults of inputs are no constants', () => {
  expectRefusal(
    foldConstants,
    `input x: float32[2]
     default x: float32[2] = [1, 2]
     y = Neg(x)
     output y: float32[2]`,
  )
})

describe('budget', () => {
  const ones = (name: string, shape: string): string =>
    `y${name} = Expand(c, ${name})\nconst ${name}: int64[3] = [${shape}]`
  const graphOf = (shapes: ReadonlyArray<string>): string =>
    `const c: float32[1] = [1]
     ${shapes.map((shape, i) => ones(`s${i}`, shape)).join('\n')}
     input x: float32[1]
     ${shapes.map((_, i) => `z${i} = Mul(x, ys${i})`).join('\n')}
     ${shapes.map((_, i) => `output z${i}: float32[*]`).join('\n')}`
  const folded = (body: string): number => {
    const graph = read(body)
    const after = right(foldConstants.run(graph))
    expect(right(foldConstants.run(after))).toBe(after)
    return graph.nodes.length - after.nodes.length
  }

  test('4 MiB for one node', () => {
    expect(folded(graphOf(['1024,1024,1']))).toBe(1)
    expect(folded(graphOf(['1024,1025,1']))).toBe(0)
    // Refused without being computed: this one would take 4 TiB.
    expect(folded(graphOf(['1048576,1048576,1']))).toBe(0)
  })

  test('64 MiB for all; then only what adds next to nothing', () => {
    const big = Array.from({ length: 16 }, () => '1024,1023,1')
    expect(folded(graphOf(big))).toBe(16)
    expect(folded(graphOf([...big, '1024,1023,1', '128,128,1', '128,1,1']))).toBe(2)
  })

  test('a node that does not fit what its operands turn out to be is kept as it is', () => {
    const sizes = Array.from({ length: 100 }, () => '1').join(', ')
    const text = `const start: int64[1] = [0]
      const one: int64[100] = [${sizes}]
      input x: float32[4]
      s = Add(one, start)
      y = Split(x, s)
      output y: float32[*]`
    const [node, ...others] = right(foldConstants.run(read(text))).nodes
    expect(node).toMatchObject({ op: 'Opaque', inputs: ['x', 's'], outputs: ['y'], attrs: { opType: 'Split' } })
    expect(others).toEqual([])
  })

  test('so many steps, whatever the size of the result', () => {
    // Two constants of 1 MiB each, a product of as much, and 2^30 multiply-accumulates: seconds, and minutes for more of them.
    const product = (size: number): string => `const s: int64[2] = [${size}, ${size}]
      a = ConstantOfShape(s)
      y = MatMul(a, a)
      output y: float32[*]`
    const ops = (size: number): ReadonlyArray<string> =>
      right(foldConstants.run(read(product(size)))).nodes.map((n) => n.op)
    expect(ops(1024)).toEqual(['MatMul'])
    expect(ops(64)).toEqual(['Identity'])
    // Half precision and 64-bit integers take many times as long as other types.
    const sums = (dtype: string): string => `const s: int64[1] = [250000]
      ${Array.from(
        { length: 10 },
        (_, i) => `c${i} = ConstantOfShape(s) { value: tensor ${dtype}[1] [1] }
      y${i} = Add(c${i}, c${i})
      output y${i}: ${dtype}[250000]`,
      ).join('\n')}`
    const kinds = (dtype: string): ReadonlySet<string> =>
      new Set(right(foldConstants.run(read(sums(dtype)))).nodes.map((n) => n.op))
    expect([...kinds('float32')]).toEqual(['Identity'])
    expect([...kinds('float16')]).toEqual(['ConstantOfShape', 'Add'])
    const pooled = `const s: int64[3] = [1, 1, 100000]
      a = ConstantOfShape(s)
      y = MaxPool(a) { kernel_shape: [50000] }
      output y: float32[*]`
    expect(right(foldConstants.run(read(pooled))).nodes.map((n) => n.op)).toEqual(['MaxPool'])
  })

  test('constants that nothing else reads make room for the result', () => {
    const large = (reader: string): string => `
      input x: float32[1,1100]
      const w: float32[1100,1100] = elided(0000000000000001)
      t = Transpose(w) { perm: [1, 0] }
      y = MatMul(x, t)
      ${reader}
      output y: float32[1,1100]`
    expect(folded(large(''))).toBe(1)
    // The weight stays for its other reader, so the transposed copy is all growth.
    expect(folded(large('z = MatMul(x, w)\noutput z: float32[1,1100]'))).toBe(0)
  })

  test('a Constant node adds nothing, whatever its size', () => {
    const values = Array.from({ length: 30_000 }, () => '1').join(', ')
    expect(
      folded(
        `input x: float32[1]\nc = Constant() { value: tensor float32[30000] [${values}] }\ny = Mul(x, c)\noutput y: float32[30000]`,
      ),
    ).toBe(1)
  })
})
