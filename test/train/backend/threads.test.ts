/** How the work of a kernel is split over threads, and which build of the kernels computes, is for speed only. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plainKernels, relaxedKernels } from '../../../src/train/backend/wasm/built.ts'
import { chooseKernels, withSharedMemory } from '../../../src/train/backend/wasm/kernels.ts'
import { nodeHost } from '../../../src/train/backend/wasm/node-host.ts'
import { oneThread, severalThreads } from '../../../src/train/backend/wasm/threads.ts'
import { normals, uniforms } from '../../inflate.ts'
import { relativeError } from '../executor/helpers.ts'

declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number; readonly shared: boolean }) => {
    readonly buffer: SharedArrayBuffer
  }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
  readonly validate: (bytes: Uint8Array) => boolean
}

type Kernel = (...parameters: ReadonlyArray<number>) => void

const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true })

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'))

const start = (bytes: Uint8Array) => {
  const module = new WebAssembly.Module(withSharedMemory(bytes))
  return { module, exports: new WebAssembly.Instance(module, { env: { memory } }).exports }
}

const { module, exports } = start(chooseKernels().bytes)

const kernelOf = (name: string, from = exports): Kernel => {
  const found = from[name]
  if (typeof found !== 'function') throw new Error(`no kernel ${name}`)
  return (...parameters) => void found(...parameters)
}

interface Work {
  readonly kernel: string
  readonly units: number
  /** Addresses are counted in floats here. */
  readonly addresses: ReadonlyArray<number>
  readonly rest: ReadonlyArray<number>
  /** Where every thread has a place of its own, zero at first, up to the end; what is left in it is nobody's. */
  readonly scratch?: number
}

/** As many floats as each tensor takes, one behind the other from the second on; the outputs are 0 or what was there. */
const layOut = (sizes: ReadonlyArray<number>): ReadonlyArray<number> => {
  const at: number[] = []
  let next = 64
  for (const size of sizes) {
    at.push(next)
    next += size + 4
  }
  return at
}

const floats = new Float32Array(memory.buffer)

const drawn = Float32Array.from({ length: 60_000 }, normals(uniforms(3)))

/** All of the memory that is used, after `run` on drawn numbers. */
const after = ({ scratch = drawn.length }: Work, run: () => void): Float32Array => {
  floats.set(drawn)
  floats.fill(0, scratch, drawn.length)
  run()
  return floats.slice(0, scratch)
}

/** Whether two arrays are equal to the bit. */
const same = (a: Float32Array, b: Float32Array): boolean => Buffer.from(a.buffer).equals(Buffer.from(b.buffer))

const size = fc.integer({ min: 1, max: 6 })
const channels = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 17, 21))

const images = fc.record({ batch: size, side: size, channels, outputs: channels })

/** Kernels over images with taps of 3x3, one row and column of padding. */
const gradients = images.chain(({ batch, side, channels, outputs }) => {
  const geometry = (last: number) => [batch, side, side, channels, side, side, last, 3, 3, 1, 1, 1, 1]
  const pixels = batch * side * side
  const blocks = Math.ceil(channels / 4)
  const work = (kernel: string, units: number, sizes: ReadonlyArray<number>, last: number): Work => ({
    kernel,
    units,
    addresses: layOut(sizes),
    rest: geometry(last),
  })
  return fc.constantFrom(
    work('convFilterGradient', 9 * blocks, [pixels * channels, pixels * outputs, 9 * channels * outputs], outputs),
    work('depthwiseFilterGradient', blocks, [pixels * channels, pixels * channels, 9 * channels], channels),
    work('depthwiseInputGradient', batch, [pixels * channels, pixels * channels, 9 * channels], channels),
    work('maxPoolGradient', batch, new Array<number>(4).fill(pixels * channels), channels),
  )
})

const convolutions = images.map(({ batch, side, channels, outputs }): Work => {
  const padded = side + 2
  const sizes = [batch * side * side * channels, 9 * channels * (outputs + 3), batch * side * side * outputs, 0]
  const addresses = layOut(sizes)
  const source = [side, side, channels, 1, 1, padded, padded]
  const target = [side * side * outputs, side * outputs, outputs]
  return {
    kernel: 'convolve',
    units: batch,
    addresses,
    rest: [...source, side, side, outputs, 3, 3, 1, 1, ...target, 1],
    scratch: addresses[3] ?? 0,
  }
})

const columns = fc
  .record({ rows: fc.constantFrom(1, 7, 256, 257, 700), columns: channels })
  .chain(({ rows, columns }) => {
    const [all, chunks] = [rows * columns, Math.ceil(rows / 256)]
    const work = (kernel: string, units: number, sizes: ReadonlyArray<number>, rest: ReadonlyArray<number>): Work => ({
      kernel,
      units,
      addresses: layOut(sizes),
      rest,
    })
    return fc.constantFrom(
      work('columnSums', chunks, [all, chunks * columns], [rows, columns]),
      work('columnSquares', chunks, [all, columns, chunks * columns], [rows, columns]),
      work('columnProducts', chunks, [all, all, columns, chunks * columns, chunks * columns], [rows, columns]),
      work('scaleColumns', rows, [all, columns, columns, all], [columns]),
      work('combineColumns', rows, [all, all, columns, columns, columns, all], [columns]),
      work('reluGradient', Math.ceil(all / 1024), [all, all, all], [all]),
    )
  })

const products = fc.tuple(size, channels, channels, channels).map(([batch, m, n, k]): Work => ({
  kernel: 'matrixProduct',
  units: batch * Math.ceil(m / 4),
  addresses: layOut([batch * m * k, batch * k * n, batch * m * n]),
  rest: [m, n, k, k, 1, m * k, k * n],
}))

const works = fc.oneof(gradients, convolutions, columns, products)

const parametersOf = ({ addresses, rest }: Work): ReadonlyArray<number> => [...addresses.map((at) => 4 * at), ...rest]

describe('the work of a kernel', () => {
  test('gives the same bits in parts, in any order of them', () => {
    fc.assert(
      fc.property(works, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }), (work, cuts) => {
        const run = kernelOf(work.kernel)
        const parameters = parametersOf(work)
        const whole = after(work, () => run(0, 0, work.units, ...parameters))
        const ends = [...cuts.map((cut) => Math.floor(cut * work.units)), work.units].sort((a, b) => a - b)
        const parts = after(work, () => {
          for (const [part, end] of [...ends.entries()].toReversed()) {
            run(part, ends[part - 1] ?? 0, end, ...parameters)
          }
        })
        expect(same(parts, whole)).toBe(true)
      }),
      { numRuns: 400, seed: 1 },
    )
  })

  test('gives the same bits on several threads', async () => {
    const [alone, together] = [
      oneThread(exports),
      await severalThreads(nodeHost.startThread, exports, module, memory, 3),
    ]
    fc.assert(
      fc.property(works, (work) => {
        const parameters = parametersOf(work)
        const expected = after(work, () => alone(work.kernel, work.units, parameters))
        const found = after(work, () => together(work.kernel, work.units, parameters))
        expect(same(found, expected)).toBe(true)
      }),
      { numRuns: 200, seed: 1 },
    )
  })

  test('that a thread cannot do is an error, not a wrong result', async () => {
    const together = await severalThreads(nodeHost.startThread, exports, module, memory, 2)
    // The second thread's rows lie behind the end of the memory.
    const rows = Math.floor(memory.buffer.byteLength / 64) * 2 - 64
    expect(() => together('scaleColumns', rows, [64, 0, 0, 64, 16])).toThrow('scaleColumns failed in a thread')
  })
})

test('relaxed SIMD changes no more than the rounding of products', () => {
  if (!WebAssembly.validate(bytesOf(relaxedKernels))) return
  const [plain, relaxed] = [plainKernels, relaxedKernels].map((text) => start(bytesOf(text)).exports)
  fc.assert(
    fc.property(works, (work) => {
      const parameters = parametersOf(work)
      const expected = after(work, () => kernelOf(work.kernel, plain)(0, 0, work.units, ...parameters))
      const found = after(work, () => kernelOf(work.kernel, relaxed)(0, 0, work.units, ...parameters))
      expect(relativeError(expected, found)).toBeLessThan(1e-5)
    }),
    { numRuns: 200, seed: 1 },
  )
})
