import { expect, test } from 'vitest'
import { type Graph, withParts } from '../../src/ir/graph.ts'
import { dense, type External } from '../../src/ir/tensor.ts'
import { shareConstants } from '../../src/passes/share-constants.ts'
import { expectRefusal, expectRewrite, read, right } from './laws.ts'

test('equal constants become the first of them', () => {
  expectRewrite(
    shareConstants,
    `input x: float32[2]
     const a: float32[2] = [1, 2]
     const other: float32[2] = [1, 3]
     const b: float32[2] = [1, 2]
     const c: float32[2] = gather(float32[3] [2, 5, 1], [2, 0])
     const column: float32[2,1] = [1, 2]
     const whole: int32[2] = [1, 2]
     p = Add(x, b)
     q = Mul(p, a)
     r = Sub(q, c)
     s = Max(r, other, b)
     y = Add(s, column)
     z = Cast(whole) { to: 1 }
     output y: float32[2,2]
     output z: float32[2]`,
    `input x: float32[2]
     const a: float32[2] = [1, 2]
     const other: float32[2] = [1, 3]
     const column: float32[2,1] = [1, 2]
     const whole: int32[2] = [1, 2]
     p = Add(x, a)
     q = Mul(p, a)
     r = Sub(q, a)
     s = Max(r, other, a)
     y = Add(s, column)
     z = Cast(whole) { to: 1 }
     output y: float32[2,2]
     output z: float32[2]`,
  )
})

test('0 and -0, other documentation, fixed names and defaults stay', () => {
  expectRefusal(
    shareConstants,
    `uses d
     input x: float32[1]
     input e: float32[1]
     default e: float32[1] = [0]
     const a: float32[1] = [0]
     const b: float32[1] = [-0]
     const c: float32[1] = [0] meta "AA=="
     const d: float32[1] = [0]
     const f: float32[1] = [0] meta "AQ=="
     const captured: float32[1] = [0]
     y = Sum(x, a, b, c, d, e, f)
     z = Opaque(x) { opType: "If", captures: [captured] }
     output y: float32[1]
     output z: float32[1]`,
  )
})

test('strings are compared as strings', () => {
  expectRefusal(
    shareConstants,
    `const a: string[2] = ["a", "bc"]
     const b: string[2] = ["ab", "c"]
     y = Identity(a)
     z = Identity(b)
     output y: string[2]
     output z: string[2]`,
  )
})

test('a constant that is alone with its type is not read', () => {
  const reads: string[] = []
  const external = (location: string, shape: ReadonlyArray<number>): External => ({
    tag: 'External',
    dtype: 'float32',
    shape,
    location,
    offset: 0,
    length: 8,
    read: () => {
      reads.push(location)
      return dense('float32', [2], new Uint8Array(8)).bytes
    },
  })
  const graph: Graph = read('input x: float32[2]\nconst a: float32[2] = [0, 0]\ny = Add(x, a)\noutput y: float32[2]')
  const more = withParts(graph, {
    constants: new Map([...graph.constants, ['alone', external('alone', [1, 2])], ['same', external('same', [2])]]),
  })
  expect([...right(shareConstants.run(more)).constants.keys()]).toStrictEqual(['a', 'alone'])
  expect(new Set(reads)).toStrictEqual(new Set(['same']))
})
