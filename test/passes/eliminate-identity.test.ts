import { describe, expect, test } from 'vitest'
import { eliminateIdentity } from '../../src/passes/eliminate-identity.ts'
import { expectRefusal, expectRewrite, read, right } from './laws.ts'

test('readers of an Identity read its input, through chains', () => {
  expectRewrite(
    eliminateIdentity,
    `input x: float32[2]
     const c: float32[2] = [1, 2]
     a = Identity(x)
     b = Identity(a)
     d = Identity(c)
     y = Add(b, d)
     z = Add(a, c)
     output y: float32[2]
     output z: float32[2]`,
    `input x: float32[2]
     const c: float32[2] = [1, 2]
     y = Add(x, c)
     z = Add(x, c)
     output y: float32[2]
     output z: float32[2]`,
  )
})

test('whatever its operator says is an identity goes: Add of 0, Dropout, Mul by 1', () => {
  expectRewrite(
    eliminateIdentity,
    `input x: float32[2]
     const zero: float32[] = 0
     const one: float32[1] = [1]
     a = Add(zero, x)
     b = Dropout(a)
     c = Mul(b, one)
     y = Relu(c)
     output y: float32[2]`,
    `input x: float32[2]
     const zero: float32[] = 0
     const one: float32[1] = [1]
     y = Relu(x)
     output y: float32[2]`,
  )
})

describe('fixed names', () => {
  test('the producer takes the name of a graph output', () => {
    expectRewrite(
      eliminateIdentity,
      `input x: float32[2]
       a = Relu(x)
       b = Neg(a)
       y = Identity(a)
       z = Identity(y)
       output y: float32[2]
       output b: float32[2]
       output z: float32[2]`,
      `input x: float32[2]
       y = Relu(x)
       b = Neg(y)
       z = Identity(y)
       output y: float32[2]
       output b: float32[2]
       output z: float32[2]`,
    )
  })

  test('one producer takes one name', () => {
    expectRewrite(
      eliminateIdentity,
      `input x: float32[2]
       a = Relu(x)
       y = Identity(a)
       z = Identity(a)
       output y: float32[2]
       output z: float32[2]`,
      `input x: float32[2]
       y = Relu(x)
       z = Identity(y)
       output y: float32[2]
       output z: float32[2]`,
    )
  })

  test('an inner copy of a value that was renamed', () => {
    expectRewrite(
      eliminateIdentity,
      `input x: float32[2]
       a = Relu(x)
       y = Identity(a)
       c = Identity(a)
       z = Neg(c)
       output y: float32[2]
       output z: float32[2]`,
      `input x: float32[2]
       y = Relu(x)
       z = Neg(y)
       output y: float32[2]
       output z: float32[2]`,
    )
  })

  test('inputs and constants wired straight to an output keep their Identity', () => {
    expectRefusal(
      eliminateIdentity,
      `input x: float32[2]
       const c: float32[2] = [1, 2]
       y = Identity(x)
       z = Identity(c)
       output y: float32[2]
       output z: float32[2]`,
    )
  })

  test('a captured name stays, on either side', () => {
    expectRewrite(
      eliminateIdentity,
      `input x: float32[2]
       a = Relu(x)
       seen = Identity(a)
       y = Opaque(x) { opType: "If", captures: [seen] }
       output y: float32[2]`,
      `input x: float32[2]
       seen = Relu(x)
       y = Opaque(x) { opType: "If", captures: [seen] }
       output y: float32[2]`,
      17,
      { unevaluated: true },
    )
    expectRefusal(
      eliminateIdentity,
      `input x: float32[2]
       seen = Relu(x)
       y = Identity(seen)
       z = Opaque(x) { opType: "If", captures: [seen] }
       output y: float32[2]
       output z: float32[2]`,
    )
    expectRefusal(
      eliminateIdentity,
      `uses q
       input x: float32[2]
       q = Identity(x)
       y = Relu(q)
       output y: float32[2]`,
    )
  })
})

test('a Dropout of which the mask is read stays', () => {
  expectRefusal(
    eliminateIdentity,
    `input x: float32[2]
     a, mask = Dropout(x)
     y = Relu(a)
     output y: float32[2]
     output mask: bool[2]`,
  )
})

describe('declared types', () => {
  const opaque = `input x: float32[2]
     a = Opaque(x) { opType: "Odd" }
     b = Identity(a)
     y = Relu(b)
     output y: float32[3]`

  test('what is declared of the copy is declared of the original', () => {
    const graph = read(`hint b: float32[3]\n${opaque}`)
    const after = right(eliminateIdentity.run(graph))
    expect(after.types.get('a')).toStrictEqual(graph.types.get('b'))
    expect(after.nodes.map((node) => node.op)).toStrictEqual(['Opaque', 'Relu'])
    expect([...after.hints.keys()]).toStrictEqual(['a'])
  })

  test('a second, different declaration keeps its node', () => {
    const graph = read(`hint b: float32[3,?]
     hint c: float32[?,4]
     input x: float32[2]
     a = Opaque(x) { opType: "Odd" }
     b = Identity(a)
     c = Identity(a)
     y = Relu(b)
     z = Relu(c)
     output y: float32[3,4]
     output z: float32[3,4]`)
    const after = right(eliminateIdentity.run(graph))
    expect(after.nodes.map((node) => node.op)).toStrictEqual(['Opaque', 'Identity', 'Relu', 'Relu'])
    expect(after.types.get('a')).toStrictEqual({ kind: 'tensor', dtype: 'float32', shape: [3, '?a.1'] })
  })

  test('a graph input cannot take one', () => {
    expectRefusal(
      eliminateIdentity,
      `input x: float32[?,2]
       hint a: float32[4,2]
       a = Identity(x)
       y = Relu(a)
       output y: float32[4,2]`,
    )
  })
})
