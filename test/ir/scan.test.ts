/** Scans of tensors see what is in them, and what is noted of extremes bounds what was made. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editElements } from '../../src/ir/edits.ts'
import { extremesOf, noteExtremes, scan } from '../../src/ir/scan.ts'
import { dense, elements, gather, type Tensor, tensorOf } from '../../src/ir/tensor.ts'

const numbers = fc.oneof(
  fc.double({ noNaN: false }),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 2 ** -149, 2 ** -126, -(2 ** -127), 3.4e38, 65504, 2 ** -24),
)
const floats = fc.constantFrom('float16' as const, 'bfloat16' as const, 'float32' as const, 'float64' as const)

/** The same tensor with its bytes at an odd place of a larger buffer. */
const moved = (tensor: ReturnType<typeof tensorOf>): Tensor => {
  const bytes = new Uint8Array(tensor.bytes.byteLength + 3)
  bytes.set(tensor.bytes, 3)
  return dense(tensor.dtype, tensor.shape, bytes.subarray(3))
}

const scanned = (tensor: Tensor): ReadonlyArray<number> => [...scan(tensor)].flatMap(({ values }) => [...values])

test('all numbers are seen in order, wherever they lie', () => {
  fc.assert(
    fc.property(floats, fc.array(numbers, { maxLength: 40 }), (dtype, list) => {
      const tensor = tensorOf(dtype, [list.length], list)
      expect(scanned(moved(tensor))).toEqual([...elements(tensor)].map(Number))
    }),
  )
  const long = tensorOf(
    'float32',
    [1000, 700],
    Float32Array.from({ length: 700_000 }, (_, i) => i),
  )
  let at = 0
  for (const { first, end, values } of scan(moved(long))) {
    expect(values.length).toBe((end - first) * 700)
    for (const value of values) if (value !== at++) expect(value).toBe(at - 1)
  }
  expect(at).toBe(700_000)
})

test('extremes bound every number but zero, of a selection as well', () => {
  fc.assert(
    fc.property(floats, fc.array(numbers, { minLength: 1, maxLength: 20 }), (dtype, list) => {
      const tensor = tensorOf(dtype, [list.length], list)
      expectBounded(tensor)
      expectBounded(gather(tensor, 0, Int32Array.of(list.length - 1)))
    }),
  )
})

test('what is noted bounds numbers that were multiplied and rounded, below the normal ones too', () => {
  const factors = fc.double({ min: 2 ** -140, max: 2 ** 20, noNaN: true })
  fc.assert(
    fc.property(floats, fc.array(numbers, { minLength: 1, maxLength: 20 }), factors, factors, (dtype, list, a, b) => {
      let tensor: Tensor = tensorOf(dtype, [list.length], list)
      for (const factor of [a, b]) {
        const scaled = editElements(tensor, (values) => values.forEach((x, i) => (values[i] = x * factor)))
        noteExtremes(tensor, scaled, { least: factor, largest: factor })
        // What overflows is refused before.
        if (![...elements(scaled)].every((x) => Number.isFinite(Number(x)))) return
        expectBounded(scaled)
        tensor = scaled
      }
    }),
    { numRuns: 1000 },
  )
})

const expectBounded = (tensor: Tensor): void => {
  const { least, largest } = extremesOf(tensor)
  for (const x of elements(tensor)) {
    const size = Math.abs(Number(x))
    if (Number.isNaN(size)) expect(largest).toBe(Infinity)
    else expect(size).toBeLessThanOrEqual(largest)
    if (size !== 0 && !Number.isNaN(size)) expect(size).toBeGreaterThanOrEqual(least)
  }
}
