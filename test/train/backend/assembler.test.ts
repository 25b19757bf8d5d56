import { expect, test } from 'vitest'
import {
  assemble,
  bits,
  choose,
  copy,
  define,
  equal,
  type WasmFunction,
  int,
  larger,
  less,
  minus,
  over,
  plus,
  single,
  smaller,
  storeLane,
  times,
  vector,
} from '../../../src/train/backend/wasm/assembler.ts'

declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

/** Runs a function of a module on a page of floats. */
const run = (made: WasmFunction, floats: ReadonlyArray<number>, ...parameters: ReadonlyArray<number>): Float32Array => {
  const memory = new WebAssembly.Memory({ initial: 1 })
  new Float32Array(memory.buffer).set(floats)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble([made])), { env: { memory } })
  const entry = exports[made.name]
  if (typeof entry !== 'function') throw new Error('no function')
  entry(...parameters)
  return new Float32Array(memory.buffer)
}

test('numbers of any size are encoded', () => {
  for (const value of [0, 1, 63, 64, 127, 128, 8191, 8192, 65535, 2 ** 30, -1, -64, -65, -8193, -(2 ** 31)]) {
    // The parameter is this number exactly when the difference is 0.
    const made = define('difference', 1, (b, parameter) => {
      const place = times(larger(int(-1), smaller(int(1), minus(parameter(0), int(value)))), int(4))
      b.put(single.store(plus(int(8), place), single.load(int(4))))
    })
    expect([...run(made, [0, 7, 0], value).slice(0, 4)], String(value)).toEqual([0, 7, 7, 0])
    expect([...run(made, [0, 7, 0], value === 2 ** 31 - 1 ? 0 : value + 1).slice(0, 4)]).toEqual([0, 7, 0, 7])
  }
})

test('integers divide towards zero and compare with their sign', () => {
  const made = define('divide', 1, (b, parameter) => {
    const quotient = over(parameter(0), int(4))
    b.put(single.store(times(plus(quotient, int(8)), int(4)), single.load(int(0))))
  })
  expect(run(made, [5], -7)[7]).toBe(5)
  expect(run(made, [5], 7)[9]).toBe(5)
})

test('loops run from the first index by their step and may be nested', () => {
  const made = define('count', 1, (b, parameter) => {
    b.loop(int(0), parameter(0), 2, (i) => {
      b.loop(i, parameter(0), 1, (j) => {
        const place = times(j, int(4))
        b.put(single.store(place, single.add(single.load(place), single.load(int(256)))))
      })
    })
  })
  const floats = new Array<number>(65).fill(0)
  floats[64] = 1
  expect([...run(made, floats, 5).slice(0, 6)]).toEqual([1, 1, 2, 2, 3, 0])
  expect([...run(made, floats, 0).slice(0, 2)]).toEqual([0, 0])
})

test('vectors compute four floats as a single computes one', () => {
  const values = [1.5, -2, 0, 4, 0.5, -3, 0, 7]
  const body = (kind: 'single' | 'vector'): WasmFunction =>
    define('lanes', 0, (b) => {
      if (kind === 'single') {
        for (let i = 0; i < 4; i++) {
          const [x, y] = [single.load(int(4 * i)), single.load(int(16 + 4 * i))]
          b.put(single.store(int(32 + 4 * i), single.mul(single.sub(x, y), single.spread(int(0)))))
          b.put(single.store(int(48 + 4 * i), single.wherePositive(x, y)))
          b.put(single.store(int(64 + 4 * i), single.whereEqual(x, y, single.add(x, single.load(int(0))))))
        }
      } else {
        const [x, y] = [vector.load(int(0)), vector.load(int(16))]
        b.put(vector.store(int(32), vector.mul(vector.sub(x, y), vector.spread(int(0)))))
        b.put(vector.store(int(48), vector.wherePositive(x, y)))
        b.put(vector.store(int(64), vector.whereEqual(x, y, vector.add(x, vector.spread(int(0))))))
      }
    })
  const [one, four] = [run(body('single'), values), run(body('vector'), values)]
  expect([...four.slice(8, 20)]).toEqual([...one.slice(8, 20)])
  expect([...one.slice(8, 20)]).toEqual([1.5, 1.5, 0, -4.5, 0.5, 0, 0, 7, 0, 0, 1.5, 0])
})

test('what depends on a condition is done where it is not 0', () => {
  const made = define('conditions', 1, (b, parameter) => {
    const x = parameter(0)
    const put = (place: number): void => b.put(single.store(int(4 * place), single.load(int(0))))
    b.when(x, () => put(1))
    b.when(equal(x, int(-2)), () => put(2))
    b.when(less(x, int(3)), () => b.when(less(int(-3), x), () => put(3)))
    b.put(single.store(choose(int(16), int(20), x), single.load(int(0))))
  })
  expect([...run(made, [9], 0).slice(0, 6)]).toEqual([9, 0, 0, 9, 0, 9])
  expect([...run(made, [9], -2).slice(0, 6)]).toEqual([9, 9, 9, 9, 9, 0])
  expect([...run(made, [9], 3).slice(0, 6)]).toEqual([9, 9, 0, 0, 9, 0])
})

test('bytes are copied and single lanes stored where they belong', () => {
  const made = define('copies', 1, (b, parameter) => {
    b.put(copy(int(32), int(4), parameter(0)))
    for (const lane of [0, 1, 3]) b.put(storeLane(int(64), vector.load(int(0)), lane, 16))
    b.put(vector.store(int(112), vector.wherePositive(bits(0, 1, 0, 1), vector.load(int(0)))))
  })
  const out = run(made, [1, 2, 3, 4], 12)
  expect([...out.slice(8, 12)]).toEqual([2, 3, 4, 0])
  expect([...out.slice(20, 24)]).toEqual([1, 2, 0, 4])
  expect([...out.slice(28, 32)]).toEqual([0, 2, 0, 4])
})
