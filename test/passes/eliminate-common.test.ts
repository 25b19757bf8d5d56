import { expect, test } from 'vitest'
import { eliminateCommon } from '../../src/passes/eliminate-common.ts'
import { expectRefusal, expectRewrite, read, right } from './laws.ts'

test('equal nodes are computed once, and then their readers are equal too', () => {
  expectRewrite(
    eliminateCommon,
    `input x: float32[2,3]
     a = LeakyRelu(x) { alpha: 0.5f } name "first"
     b = LeakyRelu(x) { alpha: 0.5f } name "second"
     c = LeakyRelu(x) { alpha: 0.25f }
     d = Neg(a)
     e = Neg(b)
     f = Neg(c)
     y = Sum(d, e, f)
     output y: float32[2,3]`,
    `input x: float32[2,3]
     a = LeakyRelu(x) { alpha: 0.5f } name "first"
     c = LeakyRelu(x) { alpha: 0.25f }
     d = Neg(a)
     f = Neg(c)
     y = Sum(d, d, f)
     output y: float32[2,3]`,
  )
})

test('attributes are compared exactly: lists, strings, tensors, and 0 is not -0', () => {
  expectRewrite(
    eliminateCommon,
    `input x: float32[2,2]
     a = Transpose(x) { perm: [1, 0] }
     b = Transpose(x) { perm: [1, 0] }
     c = Constant() { value: tensor float32[2] [0, 1] }
     d = Constant() { value: tensor float32[2] [0, 1] }
     e = Constant() { value: tensor float32[2] [-0, 1] }
     f = Constant() { value_string: "a" }
     g = Constant() { value_string: "b" }
     h = Constant() { value_ints: [1, 2] }
     i = Constant() { value_ints: [12] }
     y = Sum(a, b, c, d, e)
     output y: float32[2,2]
     output f: string[]
     output g: string[]
     output h: int64[2]
     output i: int64[1]`,
    `input x: float32[2,2]
     a = Transpose(x) { perm: [1, 0] }
     c = Constant() { value: tensor float32[2] [0, 1] }
     e = Constant() { value: tensor float32[2] [-0, 1] }
     f = Constant() { value_string: "a" }
     g = Constant() { value_string: "b" }
     h = Constant() { value_ints: [1, 2] }
     i = Constant() { value_ints: [12] }
     y = Sum(a, a, c, c, e)
     output y: float32[2,2]
     output f: string[]
     output g: string[]
     output h: int64[2]
     output i: int64[1]`,
  )
})

test('opaque nodes and nodes with a seed may be random', () => {
  expectRefusal(
    eliminateCommon,
    `input x: float32[2]
     const half: float32[] = 0.5
     const on: bool[] = true
     a = Opaque(x) { opType: "RandomNormalLike" }
     b = Opaque(x) { opType: "RandomNormalLike" }
     c = Dropout(x, half, on)
     d = Dropout(x, half, on)
     y = Sum(c, d)
     z = Opaque(a, b) { opType: "Both" }
     output y: float32[2]
     output z: float32[2]`,
  )
})

test('fixed names and other sets of outputs stay', () => {
  expectRefusal(
    eliminateCommon,
    `input x: float32[4]
     const k: int64[1] = [2]
     a = Relu(x)
     y = Relu(x)
     v, _ = TopK(x, k)
     w, i = TopK(x, k)
     z = Add(v, w)
     output y: float32[4]
     output a: float32[4]
     output z: float32[2]
     output i: int64[2]`,
  )
})

test('a declaration that says more keeps its node', () => {
  const body = `input x: float32[*]
     hint b: float32[2,3]
     a = Relu(x)
     b = Relu(x)
     y = Add(a, b)
     output y: float32[2,3]`
  expectRefusal(eliminateCommon, body)
  const merged = right(eliminateCommon.run(read(body.replace('hint b', 'hint a'))))
  expect(merged.nodes.map((node) => node.inputs)).toStrictEqual([['x'], ['a', 'a']])
})
