import { test } from 'vitest'
import { eliminateDead } from '../../src/passes/eliminate-dead.ts'
import { expectRefusal, expectRewrite } from './laws.ts'

test('drops nodes, constants and hints that nothing reaches', () => {
  expectRewrite(
    eliminateDead,
    `input x: float32[2]
     input unread: float32[2]
     const c: float32[2] = [1, 2]
     const dead: float32[2] = [1, 2]
     const half: float32[2] = [3, 4]
     hint a: float32[2]
     hint b: float32[2]
     hint gone: float32[2]
     a = Relu(x)
     b = Add(x, half)
     d = Relu(b)
     y = Add(a, c)
     output y: float32[2]`,
    `input x: float32[2]
     input unread: float32[2]
     const c: float32[2] = [1, 2]
     hint a: float32[2]
     a = Relu(x)
     y = Add(a, c)
     output y: float32[2]`,
  )
})

test('drops opaque nodes that nothing reads', () => {
  expectRewrite(
    eliminateDead,
    `input x: float32[2]
     a = Opaque(x) { opType: "RandomNormalLike" }
     y = Relu(x)
     output y: float32[2]`,
    `input x: float32[2]
     y = Relu(x)
     output y: float32[2]`,
    17,
    { unevaluated: true },
  )
})

test('keeps what subgraphs capture, what preserved parts name, defaults, and all outputs of a node that is read', () => {
  expectRefusal(
    eliminateDead,
    `uses scale
     input x: float32[2]
     input z: float32[2]
     default z: float32[2] = [1, 2]
     const scale: float32[] = 2
     const captured: float32[2] = [1, 2]
     hint inner: float32[2]
     hint second: float32[1]
     inner = Relu(x)
     first, second = Split(x) { axis: 0 }
     y = Opaque(x) { opType: "If", captures: [captured, inner] }
     output y: float32[2]
     output first: float32[1]`,
  )
})
