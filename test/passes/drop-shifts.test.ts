/** Constants that only move the scores of a softmax, all alike, go. */
import { describe, expect, test } from 'vitest'
import { dropShifts } from '../../src/passes/drop-shifts.ts'
import { read, right, runLawful } from './laws.ts'

/** The operators that are left of a sum and what reads it. */
const left = (body: string, constant = 'float32[3,1] = [1, -2, 3]', dtype = 'float32'): string => {
  const graph = read(`
  input x: ${dtype}[2,3,4]
  const c: ${constant}
  ${body}
  output y: ${dtype}[2,3,4]`)
  const after = right(dropShifts.run(graph))
  if (!constant.includes('1024')) runLawful(dropShifts, graph)
  return after.nodes.map(({ op }) => op).join(' ')
}

const gone = 'Identity Softmax'
const stays = 'Add Softmax'

describe('what is added', () => {
  test('goes where it is the same for all that a softmax compares', () => {
    expect(left('h = Add(x, c)\n  y = Softmax(h)')).toBe(gone)
    expect(left('h = Add(c, x)\n  y = Softmax(h)')).toBe(gone)
    expect(left('h = Sub(x, c)\n  y = LogSoftmax(h)')).toBe('Identity LogSoftmax')
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[] = 3')).toBe(gone)
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[3,4] = [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]')).toBe(gone)
    expect(left('h = Add(x, c)\n  y = Softmax(h) {axis: 1}', 'float32[4] = [1, 2, 3, 4]')).toBe('Identity Softmax')
  })
  test('stays where it differs', () => {
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[4] = [1, 2, 3, 4]')).toBe(stays)
    expect(left('h = Add(x, c)\n  y = Softmax(h) {axis: 1}')).toBe(stays)
  })
  test('stays where it is what a constant is taken off from', () => {
    expect(left('h = Sub(c, x)\n  y = Softmax(h)')).toBe('Sub Softmax')
  })
  test('stays where something else reads the sum', () => {
    expect(left('h = Add(x, c)\n  s = Softmax(h)\n  y = Mul(s, h)')).toBe('Add Softmax Mul')
    expect(left('h = Add(x, c)\n  y = Softmax(h)\n  output h: float32[2,3,4]')).toBe(stays)
    expect(left('y = Add(x, c)')).toBe('Add')
  })
  test('stays where it rounds the rest, or is no number', () => {
    // What the model itself rounds by there is a little more than passes may be off by.
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[3,1] = [1, 1024, 3]')).toBe(gone)
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[3,1] = [1, 12582912, 3]')).toBe(stays)
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float32[3,1] = [1, -1025, 3]')).toBe(stays)
  })
  test('stays where it makes the shape', () => {
    const graph = read(`
  input x: float32[4]
  const c: float32[3,1] = [1, 2, 3]
  h = Add(x, c)
  y = Softmax(h)
  output y: float32[3,4]`)
    expect(right(dropShifts.run(graph))).toBe(graph)
  })
  test('stays in half precision, where masks leave no room', () => {
    expect(left('h = Add(x, c)\n  y = Softmax(h)', 'float16[3,1] = [1, -2, 3]', 'float16')).toBe(stays)
  })
  test('stays where it is computed: a mask may be that large', () => {
    const graph = read(`
  input x: float32[2,3,4]
  input m: float32[3,1]
  h = Add(x, m)
  y = Softmax(h)
  output y: float32[2,3,4]`)
    expect(right(dropShifts.run(graph))).toBe(graph)
  })
})
