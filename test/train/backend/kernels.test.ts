/** Every kernel that we register for wasm computes what the cpu backend computes, over drawn shapes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Backend, Tensor } from '../../../src/train/backend/index.ts'
import { scoped } from '../../../src/train/backend/scope.ts'
import { columnImplementations } from '../../../src/train/backend/wasm/column-implementations.ts'
import { convolutionImplementations } from '../../../src/train/backend/wasm/convolution-implementations.ts'
import { matrixImplementations } from '../../../src/train/backend/wasm/matrix-implementations.ts'
import { normals, uniforms } from '../../inflate.ts'
import { open, relativeError } from '../executor/helpers.ts'

const cpu = await open('cpu')
const wasm = await open('wasm')

type Make = (backend: Backend, random: (shape: ReadonlyArray<number>) => Tensor) => ReadonlyArray<Tensor>

/** Numbers of all tensors that `make` gives on a backend, for the same inputs everywhere. */
const resultsOn = (backend: Backend, make: Make): ReadonlyArray<Float32Array> => {
  backend.activate()
  const before = backend.core.memory().numTensors
  const results: Float32Array[] = []
  scoped(
    backend.core,
    () => {
      const normal = normals(uniforms(7))
      const random = (shape: ReadonlyArray<number>): Tensor =>
        backend.ops.tensor(Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, normal), shape)
      for (const tensor of make(backend, random)) results.push(Float32Array.from(tensor.dataSync()))
    },
    () => [],
  )
  expect(backend.core.memory().numTensors).toBe(before)
  return results
}

const agree = (make: Make, tolerance = 1e-5): void => {
  const [expected, found] = [resultsOn(cpu, make), resultsOn(wasm, make)]
  expect(found.length).toBe(expected.length)
  for (const [i, values] of expected.entries()) expect(relativeError(values, found[i] ?? [])).toBeLessThan(tolerance)
}

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })

/** Channel numbers around the sizes of blocks. */
const channels = fc.oneof(between(1, 9), fc.constantFrom(15, 16, 17, 21, 32))

const windows = fc
  .record({
    batch: between(1, 3),
    height: between(1, 9),
    width: between(1, 9),
    inputs: channels,
    outputs: channels,
    kernel: fc.tuple(between(1, 4), between(1, 4)),
    strides: fc.tuple(between(1, 3), between(1, 3)),
    pads: fc.tuple(between(0, 3), between(0, 3), between(0, 3), between(0, 3)),
  })
  .map((w) => {
    const [top, bottom, left, right] = w.pads
    const rows = Math.floor((w.height + top + bottom - w.kernel[0]) / w.strides[0]) + 1
    const columns = Math.floor((w.width + left + right - w.kernel[1]) / w.strides[1]) + 1
    return { ...w, rows, columns }
  })
  .filter(({ rows, columns }) => rows > 0 && columns > 0)

const runs = { numRuns: 150, seed: 1 }

/** Composed operations on cpu, the kernel of that name on wasm. */
const covered: string[] = []

const kernel = (names: ReadonlyArray<string>, body: () => void): void => {
  covered.push(...names)
  test(names.join(', '), body)
}

describe('convolutions', () => {
  kernel(['Conv2D', 'Conv2DBackpropFilter', 'Conv2DBackpropInput'], () => {
    fc.assert(
      fc.property(windows, ({ batch, height, width, inputs, outputs, kernel, rows, columns, strides, pads }) => {
        const steps = { strides, pads }
        agree(({ ops }, random) => {
          const [x, dy] = [random([batch, height, width, inputs]), random([batch, rows, columns, outputs])]
          const filter = random([...kernel, inputs, outputs])
          return [
            ops.conv(x, filter, steps),
            ops.convFilterGradient(x, dy, [...kernel, inputs, outputs], steps),
            ops.convInputGradient(dy, filter, [batch, height, width, inputs], steps),
          ]
        })
      }),
      runs,
    )
  })

  kernel(['DepthwiseConv2dNativeBackpropFilter', 'DepthwiseConv2dNativeBackpropInput'], () => {
    fc.assert(
      fc.property(
        windows,
        between(1, 3),
        ({ batch, height, width, inputs, kernel, rows, columns, strides, pads }, multiplier) => {
          const steps = { strides, pads }
          agree(({ ops }, random) => {
            const x = random([batch, height, width, inputs])
            const dy = random([batch, rows, columns, inputs * multiplier])
            const filter = random([...kernel, inputs, multiplier])
            return [
              ops.depthwiseFilterGradient(x, dy, [...kernel, inputs, multiplier], steps),
              ops.depthwiseInputGradient(dy, filter, [batch, height, width, inputs], steps),
            ]
          })
        },
      ),
      runs,
    )
  })

  kernel(['MaxPoolGrad'], () => {
    fc.assert(
      fc.property(
        windows.filter(({ kernel, pads }) => pads.every((pad, side) => pad < (kernel[side < 2 ? 0 : 1] ?? 0))),
        ({ batch, height, width, inputs, kernel, rows, columns, strides, pads }) => {
          const steps = { size: kernel, strides, pads }
          agree(({ ops }, random) => {
            // Rectified, so that several elements of a window are the largest.
            const x = ops.unary('Relu', random([batch, height, width, inputs]))
            const dy = random([batch, rows, columns, inputs])
            return [ops.maxPoolGradient(dy, x, ops.maxPool(x, steps), steps)]
          })
        },
      ),
      runs,
    )
  })
})

describe('matrices', () => {
  kernel(['BatchMatMul'], () => {
    const sizes = fc.oneof(between(1, 13), fc.constantFrom(31, 40))
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(1, 3), fc.constantFrom(1, 3)),
        fc.tuple(sizes, sizes, sizes),
        fc.boolean(),
        fc.boolean(),
        ([left, right], [m, k, n], transposeA, transposeB) => {
          agree(({ ops }, random) => {
            const a = random([left, ...(transposeA ? [k, m] : [m, k])])
            const b = random([right, ...(transposeB ? [n, k] : [k, n])])
            return [ops.matMul(a, b, transposeA, transposeB)]
          })
        },
      ),
      runs,
    )
  })
})

describe('columns', () => {
  const rowCounts = fc.oneof(between(1, 9), fc.constantFrom(255, 256, 257, 600))

  kernel(['ColumnSums', 'ColumnSquares', 'ColumnProducts', 'ScaleColumns', 'CombineColumns'], () => {
    fc.assert(
      fc.property(rowCounts, channels, (rows, columns) => {
        agree(({ ops }, random) => {
          const x = random([rows, columns])
          const [scale, shift] = [random([columns]), random([columns])]
          const { y, mean, variance, gradient } = ops.normalizeColumns(x, scale, shift, 0.1)
          return [
            ops.columnSums(x),
            ops.scaleColumns(x, scale, shift),
            y,
            mean,
            variance,
            ...gradient(random([rows, columns])),
          ]
        }, 1e-4)
      }),
      runs,
    )
  })

  kernel(['ReluGradient', 'ClipGradient'], () => {
    fc.assert(
      fc.property(between(1, 70), (size) => {
        agree(({ ops }, random) => {
          const [dy, x] = [random([size]), random([size])]
          return [
            ops.reluGradient(dy, ops.unary('Relu', x)),
            ops.clipGradient(dy, x, -0.5, 0.7),
            ops.clipGradient(dy, x, -Infinity, 0.7),
          ]
        })
      }),
      runs,
    )
  })
})

describe('elements', () => {
  kernel(['Relu', 'Add'], () => {
    // Around the size from which on the kernels are ours, which is 2^15.
    const shapes = fc.tuple(fc.constantFrom(2, 127, 128, 129), fc.constantFrom(1, 255, 256, 257))
    fc.assert(
      fc.property(shapes, fc.boolean(), ([rows, columns], broadcasts) => {
        agree(({ ops }, random) => {
          const x = random([rows, columns])
          return [ops.unary('Relu', x), ops.add(x, random(broadcasts ? [columns] : [rows, columns]))]
        })
      }),
      { ...runs, numRuns: 20 },
    )
  })

  test('no number and both zeros come out as they are computed by TensorFlow.js', () => {
    const special = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-45, 3]
    const values = Float32Array.from({ length: 1 << 15 }, (_, i) => special[i % special.length] ?? 0)
    const [large, small] = [values.length, special.length].map(
      (size) => resultsOn(wasm, ({ ops }) => [ops.unary('Relu', ops.tensor(values.subarray(0, size), [size]))])[0],
    )
    expect(large?.subarray(0, special.length)).toEqual(small)
  })
})

test('no registered kernel is left out', () => {
  const all = { ...columnImplementations, ...convolutionImplementations, ...matrixImplementations }
  expect(covered.sort()).toEqual(Object.keys(all).sort())
})
