/** A compile report made by hand, with everything a rendering has to cope with. */
import type { CompileReport } from '../../src/passes/compile.ts'
import type { Measurement } from '../../src/run/measure.ts'
import { type NetworkFigures, type TrainingReport, validationOf } from '../../src/report/training.ts'
import type { Difference } from '../../src/run/verify.ts'
import { decodeRecipe, type History, type HistoryEntry } from '../../src/train/index.ts'

const width = (before: number, kept?: ReadonlyArray<number>) => ({ before, after: kept?.length ?? before, kept })

export const report: CompileReport = {
  target: 'cpu',
  sizes: { N: 2 },
  before: { parameters: 1_500_000, bytes: 6_000_000, macs: 4_116_000_000, nodes: 40 },
  after: { parameters: 700_000, bytes: 2_800_000, macs: 2_020_000_000, nodes: 31 },
  alone: 1_700_000_000,
  layers: [
    {
      layer: '/stem/<script>alert("1")</script>',
      op: 'Conv',
      weight: 'stem.weight',
      inputs: width(3),
      outputs: width(8, [0, 1, 2, 5]),
      macs: { before: 3_000_000_000, after: 1_500_000_000, alone: 1_200_000_000 },
      alone: { inputs: 3, outputs: 3 },
      stays: [
        { side: 'output', reason: { kind: 'width', at: 'Conv b', text: 'rounds up to 4 & more' }, channels: [2] },
        { side: 'output', reason: { kind: 'carrier', at: 'Conv b', text: 'carries constants' }, channels: [5] },
      ],
    },
    {
      layer: 'gone',
      op: 'Conv',
      weight: 'gone.weight',
      inputs: width(8, []),
      outputs: width(8, []),
      macs: { before: 1_000_000_000, after: 0, alone: 0 },
      alone: { inputs: 0, outputs: 0 },
      stays: [],
    },
    {
      layer: 'fc',
      op: 'Gemm',
      weight: 'fc.weight',
      inputs: width(10),
      outputs: width(10),
      macs: { before: 100, after: 100, alone: 100 },
      alone: { inputs: 10, outputs: 10 },
      stays: [],
    },
  ],
  passes: { 'channel-elimination': 2, 'fold-pad': 0 },
  refusals: [],
  idleMasks: [{ mask: 'fc.weight', reason: 'it masks <nothing>' }],
  advice: [{ mask: [{ layer: 'stem', weight: 'stem.weight', channels: [1, 2] }], macs: 210_000_000 }],
  opaque: [{ node: 'LSTM rnn', reason: 'not one that chasec models' }],
}

export const difference: Difference = {
  equal: true,
  vacuous: false,
  vacuousOutputs: [],
  unseen: [],
  skipped: [],
  tolerance: { float32: 1e-4, float16: 2e-2, bfloat16: 2e-2, float64: 1e-9 },
  provider: 'cpu',
  why: 'cpu was asked for',
  placement: { reference: { onCpu: [] }, candidate: { onCpu: [] } },
  runtime: 'onnxruntime-node 1.30.0',
  range: 'wide',
  cases: [1, 2].map((seed) => ({
    seed,
    sizes: { N: seed },
    equal: true,
    vacuous: false,
    outputs: [
      {
        name: 'y',
        dtype: 'float32',
        shape: [seed, 10],
        equal: true,
        maxAbs: 3e-6 * seed,
        maxReference: 3,
        relative: 1e-6 * seed,
        tolerance: 1e-4,
        nonFinite: 0,
        vacuous: false,
      },
    ],
  })),
  worst: undefined,
}

const around = (median: number) => ({ q1: median * 0.9, median, q3: median * 1.1 })

const measurement = (name: string, milliseconds: number, speedup: number): Measurement => ({
  name,
  provider: 'cpu',
  why: 'cpu was asked for',
  runtime: 'onnxruntime-node 1.30.0',
  placement: { onCpu: [] },
  batch: 2,
  sizes: { N: 2 },
  latency: around(milliseconds),
  throughput: around(2000 / milliseconds),
  speedup: around(speedup),
  repeats: [milliseconds, milliseconds, milliseconds],
  iterations: 30,
})

export const measurements: ReadonlyArray<Measurement> = [measurement('dense', 40, 1), measurement('compiled', 25, 1.6)]

const left = (density: number, channels: number) => ({ layerDensities: [density], layerChannels: [channels] })

const epochEntry = (epoch: number, accuracy: number, density: number, channels: number): HistoryEntry => ({
  ...{ kind: 'epoch', epoch, step: 10 * epoch, learningRate: 0.1, loss: 2 / epoch, accuracy: accuracy + 0.15 },
  ...{ validation: { loss: 3 / epoch, accuracy }, density, channels, ...left(density, channels) },
  ...{ seconds: 5, stepsPerSecond: 2 },
})

const planEntry = (step: number, epochs: number, density: number, channels: number): HistoryEntry => ({
  ...{ kind: 'plan', step, epochs, stepsPerEpoch: 10, density, channels, ...left(density, channels) },
  layers: [{ name: 'stem.weight', weights: 100, channels: 8 }],
})

/** Three epochs, and one more. */
const history: History = [
  planEntry(0, 3, 1, 8),
  { kind: 'update', step: 5, density: 0.7, live: 70, pruned: 30, grown: 0, removed: 0, channels: 8 },
  epochEntry(1, 0.6, 0.7, 8),
  epochEntry(2, 0.8, 0.5, 6),
  epochEntry(3, 0.8, 0.25, 6),
  { kind: 'test', step: 30, loss: 1, accuracy: 0.7 },
  planEntry(30, 4, 0.25, 6),
  epochEntry(4, 0.75, 0.25, 6),
  { kind: 'test', step: 40, loss: 1, accuracy: 0.72 },
]

const timed = (name: string, milliseconds: number, repeats: ReadonlyArray<number>): Measurement => ({
  ...measurement(name, milliseconds, 40 / milliseconds),
  repeats,
})

const networkFigures = (
  name: NetworkFigures['name'],
  milliseconds: number,
  repeats: ReadonlyArray<number>,
): NetworkFigures => ({
  ...{ name, about: `about ${name}`, accuracy: 0.72, parameters: 1000, nonZero: 250, macs: 4e9, bytes: 5000 },
  speed: timed(name, milliseconds, repeats),
})

const recipe = decodeRecipe({ method: { name: 'gmp' }, epochs: 4, learningRate: { schedule: 'step', at: [0.5] } })
if (recipe._tag === 'Left') throw new Error('a recipe')

export const training: TrainingReport = {
  ...{ model: 'net', data: 'mnist:x', backend: 'wasm', recipe: recipe.right, history },
  networks: [
    networkFigures('dense', 40, [40, 40, 60]),
    networkFigures('masked', 25, [20, 20, 25]),
    networkFigures('compiled', 20, [20, 20, 20]),
  ],
  dense: { parameters: 2_000_000, bytes: 8_000_000, macs: 8_000_000_000, nodes: 60 },
  validation: validationOf(history),
  widths: [
    {
      ...{
        layer: '/stem/<script>alert("1")</script>',
        dense: 16,
        trained: 8,
        compiled: 4,
        denseInputs: 3,
        density: 0.25,
      },
      macs: { dense: 6_000_000_000, compiled: 1_500_000_000 },
    },
  ],
  test: { images: 100, differing: 0 },
}
