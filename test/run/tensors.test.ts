/** What moves between JavaScript and ONNX Runtime, and what is refused. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-web'
import { describe, expect, test } from 'vitest'
import { dense, type Dense } from '../../src/ir/tensor.ts'
import { toDense, toTensor, valueInfo } from '../../src/run/runtime/tensors.ts'

const there = (tensor: Dense): E.Either<string, Dense> => {
  const moved = toTensor(ort, 'x', tensor)
  return E.isLeft(moved) ? moved : toDense('x', moved.right, moved.right.data)
}

describe('tensors', () => {
  test.each(['float32', 'uint8', 'bool', 'int16', 'float16', 'int64', 'float64'] as const)(
    '%s goes and comes back',
    (dtype) => {
      // The bytes begin at no multiple of an element.
      const bytes = Uint8Array.from({ length: 17 }, (_, i) => i % 2).subarray(1)
      const tensor = dense(
        dtype,
        [16 / { float32: 4, uint8: 1, bool: 1, int16: 2, float16: 2, int64: 8, float64: 8 }[dtype]],
        bytes,
      )
      expect(there(tensor)).toEqual(E.right(tensor))
    },
  )
  test('texts go and come back', () => {
    const strings = ['a', '', 'ä☃'].map((text) => new TextEncoder().encode(text))
    const tensor: Dense = { tag: 'Dense', dtype: 'string', shape: [3], bytes: new Uint8Array(), strings }
    expect(there(tensor)).toEqual(E.right(tensor))
  })
  test('others are refused by name', () => {
    expect(there(dense('bfloat16', [1], new Uint8Array(2)))).toEqual(E.left(`input 'x' has type bfloat16`))
  })
})

describe('what a session says of a value', () => {
  test('open dimensions are symbols, or null without a name, unless they were fixed', () => {
    const shape = ['N', '', 2 ** 32 - 1, 3, 'C']
    expect(valueInfo('input', { name: 'x', isTensor: true, type: 'float32', shape }, { C: 8 })).toEqual(
      E.right({ name: 'x', dtype: 'float32', shape: ['N', null, null, 3, 8] }),
    )
  })
  test('what cannot be moved is refused by name', () => {
    expect(valueInfo('output', { name: 'y', isTensor: false })).toEqual(E.left(`output 'y' is not a tensor`))
    expect(valueInfo('input', { name: 'x', isTensor: true, type: 'int4', shape: [] })).toEqual(
      E.left(`input 'x' has type int4`),
    )
  })
})
