/** The layers that are measured: products of matrices, convolutions and mixtures of experts, with what they compute in float64. */
import * as E from 'fp-ts/lib/Either.js'
import { noMasks } from '../../src/api/index.ts'
import { compile } from '../../src/api/promise.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { splitBlocks } from '../../src/passes/split-blocks/index.ts'
import { buildGraph } from '../../test/builder.ts'
import { channelsAround, convolutionForms, type Form, productForms } from './forms.ts'
import { densityOf, elementAt, type SparseWeight, sparseWeight, type Structure, structures } from './weights.ts'

export interface Case {
  /** Operator and sizes of the layer: `MatMul 768x3072`. */
  readonly layer: string
  /** Rows of a product, or height and width of an image. */
  readonly rows: number
  readonly structure: Structure | 'experts'
  /** What was asked for; what the weight has is `density` of {@link LayerForms}. */
  readonly density: number
  /** The weights are made when they are needed; undefined where the structure has none of that density. */
  readonly make: () => Promise<LayerForms | undefined>
}

export interface LayerForms {
  readonly density: number
  readonly shape: ReadonlyArray<number>
  /** The first is dense. */
  readonly forms: ReadonlyArray<Form>
  /** Some of the elements of the output: where they lie, and what they are. */
  readonly expected: (x: Float32Array) => ReadonlyArray<readonly [at: number, value: number]>
}

const densities = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]

const matrices: ReadonlyArray<readonly [inputs: number, outputs: number, rows: ReadonlyArray<number>]> = [
  [768, 768, [1, 16, 197, 512]],
  [768, 3072, [1, 16, 197, 512]],
  [3072, 768, [1, 16, 197, 512]],
  [256, 1024, [1, 16, 197, 512]],
  [4096, 4096, [1, 16]],
]

const images: ReadonlyArray<readonly [channels: number, taps: number, size: number]> = [
  [256, 1, 14],
  [256, 1, 56],
  [256, 9, 14],
  [128, 9, 28],
]

/** Rows of which the outputs are compared with their sums in float64: as many as are quickly summed up. */
const compared = 4

export const cases = (): ReadonlyArray<Case> => [
  ...matrices.flatMap(([inputs, outputs, counts]) =>
    structures.flatMap((structure) =>
      densities.flatMap((density) =>
        counts.map((rows) => ({
          ...{ layer: `MatMul ${inputs}x${outputs}`, rows, structure, density },
          make: () => Promise.resolve(productOf(structure, inputs, outputs, rows, density)),
        })),
      ),
    ),
  ),
  ...images.flatMap(([channels, taps, size]) =>
    structures
      .filter((structure) => structure !== 'diagonals')
      .flatMap((structure) =>
        densities.map((density) => ({
          layer: `Conv ${Math.sqrt(taps)}x${Math.sqrt(taps)}, ${channels} to ${channels}`,
          ...{ rows: size, structure, density },
          make: () => Promise.resolve(convolutionOf(structure, channels, taps, size, density)),
        })),
      ),
  ),
  ...[1 / 2, 1 / 4, 1 / 8].flatMap((density) =>
    [1, 16, 197].map((rows) => ({
      ...{ layer: 'mixture of 8, 256 to 1024 to 256', rows, structure: 'experts' as const, density },
      make: () => mixtureOf(rows, density),
    })),
  ),
]

/** And what the compiler makes of the dense one, where it does not leave that as it is. */
const withCompiled = (forms: ReadonlyArray<Form>): ReadonlyArray<Form> => {
  const [dense] = forms
  const graph = dense?.graph()
  const split = graph && splitBlocks({ target: 'cpu' }).run(graph)
  if (dense === undefined || split === undefined || E.isLeft(split) || split.right === graph) return forms
  return [...forms, { name: 'compiled', largest: dense.largest, graph: () => split.right }]
}

const productOf = (
  structure: Structure,
  inputs: number,
  outputs: number,
  rows: number,
  density: number,
): LayerForms | undefined => {
  const w = sparseWeight(structure, { inputs, outputs, taps: 1 }, density)
  if (w === undefined) return undefined
  const looked = [...new Set(Array.from({ length: compared }, (_, i) => Math.floor((i * (rows - 1)) / (compared - 1))))]
  return {
    density: densityOf(w),
    shape: [rows, inputs],
    forms: withCompiled(productForms(w, rows)),
    expected: (x) =>
      looked.flatMap((row) =>
        w.live.map((some, o) => {
          let sum = 0
          for (const i of some) sum += (x[row * inputs + i] ?? NaN) * elementAt(i, o, 0)
          return [row * outputs + o, sum] as const
        }),
      ),
  }
}

const convolutionOf = (
  structure: Structure,
  channels: number,
  taps: number,
  size: number,
  density: number,
): LayerForms | undefined => {
  const w = sparseWeight(structure, { inputs: channels, outputs: channels, taps }, density)
  if (w === undefined) return undefined
  const middle = size >> 1
  const looked: ReadonlyArray<readonly [y: number, x: number]> = [
    [0, 0],
    [middle, middle],
    [size - 1, middle],
  ]
  return {
    density: densityOf(w),
    shape: [1, channelsAround, size, size],
    forms: withCompiled(convolutionForms(w, size)),
    expected: (x) => looked.flatMap(([row, column]) => imageAt(w, x, size, row, column)),
  }
}

/** What the three convolutions make at one position. */
const imageAt = (
  w: SparseWeight,
  x: Float32Array,
  size: number,
  row: number,
  column: number,
): ReadonlyArray<readonly [number, number]> => {
  const side = Math.sqrt(w.taps)
  const around = Array.from({ length: w.taps }, (_, t) => {
    const [r, c] = [row + Math.floor(t / side) - (side - 1) / 2, column + (t % side) - (side - 1) / 2]
    const isInside = r >= 0 && r < size && c >= 0 && c < size
    return Float64Array.from({ length: w.inputs }, (_, o) => {
      let sum = 0
      if (isInside)
        for (let i = 0; i < channelsAround; i++) sum += (x[(i * size + r) * size + c] ?? NaN) * elementAt(i, o, 0)
      return sum
    })
  })
  const made = w.live.map((some, o) => {
    let sum = 0
    for (const i of some) around.forEach((place, t) => (sum += (place[i] ?? NaN) * elementAt(i, o, t)))
    return sum
  })
  return Array.from({ length: channelsAround }, (_, o) => {
    const sum = made.reduce((all, value, i) => all + value * elementAt(i, o, 0), 0)
    return [(o * size + row) * size + column, sum] as const
  })
}

/** Experts of a mixture, the width of what they read, and that of what they compute in between. */
const [experts, width, hidden] = [8, 256, 1024]

/**
 * A mixture whose gates are a softmax over all experts, of which some make zeros: all weights of their second layer are 0.
 * `Σ_e softmax(x G)_e · Relu(x A_e) B_e`.
 */
const mixtureOf = async (rows: number, density: number): Promise<LayerForms> => {
  const live = experts * density
  const matrix = (inputs: number, outputs: number, seed: number, isLive = true): Float32Array =>
    Float32Array.from({ length: inputs * outputs }, (_, at) =>
      isLive ? elementAt(Math.floor(at / outputs), at % outputs, seed) / Math.sqrt(inputs) : 0,
    )
  const gate = matrix(width, experts, 0)
  const layers = Array.from({ length: experts }, (_, e) => ({
    first: matrix(width, hidden, 2 * e + 1),
    second: matrix(hidden, width, 2 * e + 2, e < live),
  }))
  const masked = buildGraph({ x: [rows, width] }, (b) => {
    const floats = (name: string, shape: ReadonlyArray<number>, values: Float32Array): string =>
      b.constant(name, tensorOf('float32', shape, values))
    const gates = b.op(ops.Softmax, [b.op(ops.MatMul, ['x', floats('gate', [width, experts], gate)])], { axis: 1 })
    const terms = layers.map(({ first, second }, e) => {
      const inner = b.op(ops.Relu, [b.op(ops.MatMul, ['x', floats(`first${e}`, [width, hidden], first)])])
      const share = b.op(ops.Gather, [gates, b.ints(`expert${e}`, [e])], { axis: 1 })
      return b.op(ops.Mul, [b.op(ops.MatMul, [inner, floats(`second${e}`, [hidden, width], second)]), share])
    })
    return [terms.reduce((sum, term) => b.op(ops.Add, [sum, term]))]
  })
  const { graph: compiled } = await compile(masked, noMasks)
  const largest = rows * hidden
  return {
    density,
    shape: [rows, width],
    forms: [
      { name: 'masked', largest, graph: () => masked },
      { name: 'compiled', largest, graph: () => compiled },
    ],
    expected: (x) => {
      const row = x.subarray((rows - 1) * width)
      const times = (vector: ArrayLike<number>, weight: Float32Array, outputs: number): Float64Array =>
        Float64Array.from({ length: outputs }, (_, o) => {
          let sum = 0
          for (let i = 0; i < vector.length; i++) sum += (vector[i] ?? NaN) * (weight[i * outputs + o] ?? NaN)
          return sum
        })
      const powers = times(row, gate, experts).map(Math.exp)
      const whole = powers.reduce((sum, power) => sum + power, 0)
      const sums = new Float64Array(width)
      layers.forEach(({ first, second }, e) => {
        const inner = times(row, first, hidden).map((value) => Math.max(0, value))
        times(inner, second, width).forEach((value, o) => {
          sums[o] = (sums[o] ?? 0) + (value * (powers[e] ?? NaN)) / whole
        })
      })
      return Array.from(sums, (value, o) => [(rows - 1) * width + o, value] as const)
    },
  }
}
