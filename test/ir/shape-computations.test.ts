/** Shapes that exporters compute inside the model resolve to what they are, symbols included. */
import { describe, expect, test } from 'vitest'
import { cleanUp } from '../../src/passes/pipeline.ts'
import { runPipeline } from '../../src/passes/pass.ts'
import { printType, unknownType } from '../../src/ir/type.ts'
import { read, right } from '../passes/laws.ts'

const typeOf = (body: string, value: string): string => printType(read(body).types.get(value) ?? unknownType)

describe('Reshape', () => {
  const reshaped = (shape: string, target: string, attributes = ''): string =>
    typeOf(
      `input x: float32[${shape}]
      const t: int64[${target.split(',').length}] = [${target}]
      y = Reshape(x, t)${attributes}
      output y: float32[*]`,
      'y',
    )

  test.each([
    ['N,116,28,28', '0, 2, 58, 28, 28', 'float32[N,2,58,28,28]'],
    ['N,116,28,28', '-1, 2, 58, 28, 28', 'float32[N,2,58,28,28]'],
    ['N,1280,1,1', '0, -1', 'float32[N,1280]'],
    ['N,8,H,W', '0, 8, -1', 'float32[N,8,mul(1,H,W)]'],
    ['N,8,H,W', '0, 0, 0, -1', 'float32[N,8,H,W]'],
    ['?,4', '-1, 2, 2', 'float32[?,2,2]'],
    ['N,4', '3, -1', 'float32[3,?]'],
  ])('[%s] to %s', (shape, target, expected) => expect(reshaped(shape, target)).toBe(expected))

  test('a target whose elements are not known', () => {
    const body = `input x: float32[2,N]
      input t: int64[3]
      input u: int64[K]
      y = Reshape(x, t)
      z = Reshape(x, u)
      output y: float32[*]
      output z: float32[*]`
    expect(typeOf(body, 'y')).toBe('float32[?,?,?]')
    expect(typeOf(body, 'z')).toBe('float32[*]')
  })

  test('one unknown element follows from the others, two do not', () => {
    const body = (t: string): string => `input x: float32[N,6,4]
      input k: int64[1]
      const i: int64[1] = [0]
      const two: int64[1] = [2]
      s = Shape(x)
      n = Gather(s, i)
      t = Concat(${t}) { axis: 0 }
      y = Reshape(x, t)
      output y: float32[*]`
    expect(typeOf(body('n, k, two'), 'y')).toBe('float32[N,12,2]')
    expect(typeOf(body('n, k, k'), 'y')).toBe('float32[N,?,?]')
  })
})

/** Operators left after cleaning up. */
const left = (body: string, opset = 17): ReadonlyArray<string> =>
  right(runPipeline(cleanUp, read(body, opset))).nodes.map((node) => node.op)

describe('shape subgraphs disappear', () => {
  test('a view with a computed batch', () => {
    const body = `input x: float32[N,6,4,4]
      const zero: int64[] = 0
      const one: int64[] = 1
      const two: int64[] = 2
      const at: int64[1] = [0]
      const rest: int64[2] = [-1, 4]
      s = Shape(x)
      n = Gather(s, zero)
      c = Gather(s, one)
      half = Div(c, two)
      nn = Unsqueeze(n, at)
      hh = Unsqueeze(half, at)
      t = Concat(nn, hh, rest) { axis: 0 }
      y = Reshape(x, t)
      output y: float32[*]`
    expect(left(body)).toStrictEqual(['Reshape'])
    expect(typeOf(body, 'y')).toBe('float32[N,3,8,4]')
  })

  test('resizing to the size of another value', () => {
    const body = `input x: float32[N,3,4,4]
      input skip: float32[N,5,8,12]
      const spatial: int64[1] = [2]
      const front: int64[1] = [0]
      const end: int64[1] = [4]
      s = Shape(x)
      f = Slice(s, front, spatial)
      b = Shape(skip)
      h = Slice(b, spatial, end)
      t = Concat(f, h) { axis: 0 }
      y = Resize(x, _, _, t)
      z = Concat(y, skip) { axis: 1 }
      output z: float32[*]`
    expect(left(body)).toStrictEqual(['Resize', 'Concat'])
    expect(typeOf(body, 'z')).toBe('float32[N,8,8,12]')
  })

  test('expanding along the batch, with -1 for what stays', () => {
    const body = `input x: float32[N,3,4]
      const token: float32[1,1,4] = [1, 2, 3, 4]
      const at: int64[1] = [0]
      const stay: int64[2] = [-1, -1]
      const minus: int64[3] = [-1, -1, -1]
      const ones: int64[3] = [1, 1, 1]
      s = Shape(x)
      n = Gather(s, at)
      t = Concat(n, stay) { axis: 0 }
      same = Equal(t, minus)
      u = Where(same, ones, t)
      e = Expand(token, u)
      y = Concat(e, x) { axis: 1 }
      output y: float32[*]`
    expect(typeOf(body, 'y')).toBe('float32[N,4,4]')
  })
})
