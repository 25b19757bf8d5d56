import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { elements, materialize } from '../../src/ir/tensor.ts'
import { axisMask, elementMask, type Mask } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { read, right, write } from './laws.ts'

const masks = (given: Readonly<Record<string, Mask>>) => new Map(Object.entries(given))
const rows = (...kept: number[]) => axisMask([2, 2], 0, Uint8Array.from(kept))
const each = (...kept: number[]) => elementMask([2, 2], Uint8Array.from(kept))

const graph = read(`input x: float32[1,2]
  const w: float32[2,2] = [1, 2, 3, 4]
  const v: float32[2,2] = [5, 6, 7, 8]
  wi = Identity(w)
  wii = Identity(wi)
  u = Constant() { value: tensor float32[2,2] [1, -2, 3, 4] }
  a = MatMul(x, w)
  b = MatMul(a, wii)
  c = MatMul(b, u)
  y = MatMul(c, v)
  output y: float32[1,2]`)

const valuesOf = (name: string, result = graph): ReadonlyArray<number> => {
  const tensor = result.constants.get(name)
  if (tensor === undefined) throw new Error(`no constant ${name}`)
  return Array.from(elements(tensor), Number)
}

test('multiplies masked weights, shares the others, writes to none', () => {
  const before = write(graph)
  const after = right(applyMasks(graph, masks({ w: rows(0, 1) })))
  expect(valuesOf('w', after)).toStrictEqual([0, 0, 3, 4])
  expect(after.constants.get('v')).toBe(graph.constants.get('v'))
  expect(write(graph)).toBe(before)
})

test('several names of one constant mask it together', () => {
  const after = right(applyMasks(graph, masks({ w: rows(0, 1), wii: each(1, 1, 1, 0) })))
  expect(valuesOf('w', after)).toStrictEqual([0, 0, 3, 0])
})

test('a weight that a node holds becomes a constant', () => {
  const after = right(applyMasks(graph, masks({ u: each(1, 0, 1, 0) })))
  expect(valuesOf('u', after)).toStrictEqual([1, 0, 3, 0])
  expect(after.nodes.map((node) => node.op)).toStrictEqual([
    'Identity',
    'Identity',
    'MatMul',
    'MatMul',
    'MatMul',
    'MatMul',
  ])
})

test('nothing to mask is the same graph', () => {
  expect(right(applyMasks(graph, new Map()))).toBe(graph)
  expect(right(applyMasks(graph, masks({ w: each(1, 1, 1, 1), u: rows(1, 1) })))).toBe(graph)
  const masked = right(applyMasks(graph, masks({ w: rows(0, 1), u: rows(1, 0) })))
  expect(right(applyMasks(masked, masks({ w: rows(0, 1), u: rows(1, 0) })))).toBe(masked)
})

describe('every type of number', () => {
  test.each(['float32', 'float16', 'bfloat16', 'float64', 'int8', 'uint8', 'int32', 'int64', 'int4', 'uint2'])(
    '%s',
    (dtype) => {
      const typed = read(`const w: ${dtype}[2,2] = [1, 2, 3, 1]\ny = Identity(w)\noutput y: ${dtype}[2,2]`)
      expect(valuesOf('w', right(applyMasks(typed, masks({ w: each(1, 0, 0, 1) }))))).toStrictEqual([1, 0, 0, 1])
    },
  )

  test('unaligned bytes', () => {
    const [w] = graph.constants.values()
    if (w === undefined) throw new Error('no weight')
    const bytes = new Uint8Array(17)
    bytes.set(materialize(w).bytes, 1)
    const shifted = {
      ...graph,
      constants: new Map([...graph.constants, ['w', { ...materialize(w), bytes: bytes.subarray(1) }]]),
    }
    expect(valuesOf('w', right(applyMasks(shifted, masks({ w: rows(0, 1) }))))).toStrictEqual([0, 0, 3, 4])
  })

  test('a selection is masked where it points', () => {
    const selected = read(
      `const w: float32[2,2] = gather(float32[3,2] [1, 2, 3, 4, 5, 6], [2, 0], _)\ny = Neg(w)\noutput y: float32[2,2]`,
    )
    expect(valuesOf('w', right(applyMasks(selected, masks({ w: rows(1, 0) }))))).toStrictEqual([5, 6, 0, 0])
  })
})

test.each<readonly [string, Readonly<Record<string, Mask>>, string]>([
  ['an unknown name', { q: rows(0, 1) }, 'mask q: expected a constant of the model, found no value of this name.'],
  ['a computed value', { a: rows(0, 1) }, 'mask a: expected a constant of the model, found a computed value.'],
  [
    'another shape',
    { w: axisMask([2, 3], 0, Uint8Array.of(0, 1)) },
    'mask w: expected the shape [2,2] of the weight, found [2,3].',
  ],
])('refuses %s', (_what, given, message) => {
  const result = applyMasks(graph, masks(given))
  expect(E.isLeft(result) && renderError(result.left)).toBe(
    `${message} Name each mask after the initializer that it masks.`,
  )
})

test('refuses strings and the defaults of inputs', () => {
  const odd = read(
    'input d: float32[2,2]\ndefault d: float32[2,2] = [1, 2, 3, 4]\nconst s: string[2,2] = ["a", "b", "c", "d"]\ny = Identity(s)\noutput y: string[2,2]',
  )
  const messages = ['s', 'd'].map((name) => {
    const result = applyMasks(odd, masks({ [name]: rows(0, 1) }))
    return E.isLeft(result) ? `${result.left.expected}; ${result.left.found}. ${result.left.help}` : ''
  })
  expect(messages).toStrictEqual([
    'a weight of numbers; string. Name each mask after the initializer that it masks.',
    'a constant; a model input with a default value, which callers may replace. Take the weights off the list of model inputs, so that only the initializers are left (export without keep_initializers_as_inputs).',
  ])
})
