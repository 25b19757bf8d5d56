/** Elements that are read one by one are those of the whole tensor, whatever it is made from. */
import * as E from 'fp-ts/lib/Either.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editElements } from '../../src/ir/edits.ts'
import { scaleWeight } from '../../src/ir/families/weights.ts'
import { contextOf } from '../../src/ir/graph.ts'
import { opOf } from '../../src/ir/registry.ts'
import { elements, gather, materialize, sampleReader, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { axisMask, elementMask } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { read, right } from '../passes/laws.ts'

/** Layers whose weights are so large that what is made of them is made when it is read. */
const layers = {
  convolution: ['Conv(x, w)', [600, 110, 3, 3], 110, 600, 6],
  'groups of a convolution': ['Conv(x, w) { group: 2 }', [600, 110, 3, 3], 220, 600, 6],
  'groups of a transposed convolution': ['ConvTranspose(x, w) { group: 2 }', [440, 150, 3, 3], 440, 300, 10],
} as const

const edges = [0, -0, 1, -1, 2 ** -149, 2 ** -126, 65504, 2 ** -24, 3e38, 0.1]

const weightOf = (dtype: 'float16' | 'float32' | 'float64', shape: ReadonlyArray<number>, isPlain = false): Tensor =>
  tensorOf(
    dtype,
    shape,
    Float64Array.from({ length: sizeOf(shape) }, (_, i) =>
      i % 97 === 0 && !isPlain ? (edges[i % 10] ?? 0) : 1.5 + Math.sin(i),
    ),
  )

/** Reads some elements of `tensor` both ways. */
const expectSampled = (tensor: Tensor, seed: number): void => {
  const at = sampleReader(tensor)
  if (at === undefined) throw new Error('cannot be sampled')
  const all = elements(materialize(tensor))
  for (let k = 0; k < 2000; k++) {
    const i = Math.abs(Math.imul(k + seed, 2654435761)) % all.length
    if (!Object.is(at(i), Number(all[i]))) expect([i, at(i)]).toEqual([i, Number(all[i])])
  }
}

for (const [name, [call, shape, inputs, outputs, size]] of Object.entries(layers)) {
  for (const dtype of ['float16', 'float32', 'float64'] as const) {
    test(`${name} of ${dtype}, masked, scaled and selected from`, () => {
      const graph = read(`input x: ${dtype}[1,${inputs},8,8]
        input w: ${dtype}[${shape.join(',')}]
        y = ${call}
        output y: ${dtype}[1,${outputs},${size},${size}]`)
      const [node] = graph.nodes
      if (node === undefined) throw new Error('no node')
      let scalings = 0
      fc.assert(
        fc.property(fc.nat(), fc.constantFrom(2, 0.5, 1.1, 2 ** -30, 65504), (seed, most) => {
          const given = {
            ...graph,
            constants: new Map([['w', weightOf(dtype, shape, seed % 2 === 0)]]),
            inputs: graph.inputs.filter(({ name }) => name !== 'w'),
          }
          const bits = Uint8Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7 + seed) % 5 === 0 ? 0 : 1))
          const rows = Uint8Array.from({ length: shape[0] }, (_, i) => ((i + seed) % 7 === 0 ? 0 : 1))
          for (const mask of [elementMask(shape, bits), axisMask(shape, 0, rows)]) {
            const masked = right(applyMasks(given, new Map([['w', mask]])))
            const weight = masked.constants.get('w')
            const ctx = contextOf(masked, node)
            const c = opOf(node).contraction?.(ctx)
            if (weight === undefined || c === undefined) throw new Error('no weight')
            expect(weight.tag).toBe('Edited')
            expectSampled(weight, seed)
            const factors = Float64Array.from({ length: outputs }, (_, o) => most * (1 + o / outputs))
            const scaled = scaleWeight(weight, c, { outputs: factors })
            if (E.isLeft(scaled)) continue
            scalings += 1
            expectSampled(scaled.right, seed)
            const kept = Int32Array.from({ length: 20 }, (_, i) => (i * 11 + (seed % 13)) % shape[1])
            expectSampled(gather(gather(scaled.right, 1, kept), 0, Int32Array.of(5, 5, 3)), seed)
          }
        }),
        { numRuns: 4 },
      )
      expect(scalings).toBeGreaterThan(0)
    })
  }
}

test('what changes together is not sampled, nor are bits and integers', () => {
  const large = weightOf('float32', [600, 600])
  const turned = editElements(large, (values) => values.reverse())
  expect(turned.tag).toBe('Edited')
  expect(sampleReader(turned)).toBeUndefined()
  expect(sampleReader(tensorOf('int4', [2], [1, 2]))).toBeUndefined()
  expect(sampleReader(tensorOf('int8', [2], [1, 2]))).toBeUndefined()
})
