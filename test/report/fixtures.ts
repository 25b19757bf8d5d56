/** A compile report made by hand, with everything a rendering has to cope with. */
import type { CompileReport } from '../../src/passes/compile.ts'
import type { Measurement } from '../../src/run/measure.ts'
import type { Difference } from '../../src/run/verify.ts'

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
