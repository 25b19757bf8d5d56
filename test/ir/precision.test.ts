import { expect, test } from 'vitest'
import { coarsestTypes } from '../../src/ir/precision.ts'
import { read } from '../passes/laws.ts'

test('a value is as coarse as the coarsest float type it was computed through', () => {
  const graph = read(`input x: float32[N,4]
     input i: int64[1]
     const w: float16[4] = [1, 2, 3, 4]
     h = Cast(x) { to: 10 }
     g = Add(h, w)
     s = Sigmoid(g)
     back = Cast(s) { to: 1 }
     y = Relu(back)
     wide = Cast(w) { to: 1 }
     z = Add(x, wide)
     sizes = Shape(g)
     f = Cast(sizes) { to: 1 }
     output y: float32[N,4]
     output z: float32[N,4]
     output f: float32[2]`)
  const coarsest = coarsestTypes(graph)
  expect(['h', 's', 'back', 'y'].map((name) => coarsest.get(name))).toEqual(Array(4).fill('float16'))
  // Stored in float16, computed in float32; and a size is exact.
  expect(['wide', 'z', 'f'].map((name) => coarsest.get(name))).toEqual(Array(3).fill('float32'))
  expect(coarsest.has('sizes')).toBe(false)
})
