/**
 * What a step of the training loop costs on each backend that works here, dense and with masks, beside a step of PyTorch if
 * asked for, and what our WebAssembly kernels cost beside TensorFlow.js's own.
 */
import type { KernelFunc } from '@tensorflow/tfjs-core'
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../src/ir/failure.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { sizeOf } from '../src/ir/type.ts'
import { parseModel } from '../src/models/index.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { type Column, renderTable } from '../src/report/terminal/table.ts'
import { formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { quartiles, type Quartiles } from '../src/run/statistics.ts'
import { type Backend, backendNames, openBackend } from '../src/train/backend/index.ts'
import { type DataSet, inMemory, partOf } from '../src/train/data/data-set.ts'
import { disposeRun } from '../src/train/loop/run.ts'
import { startPytorch } from './pytorch-steps.ts'
import type { BenchResult } from './result.ts'
import {
  cpuMilliseconds,
  inTurns,
  medianTime,
  orThrow,
  ratios,
  recipeOf,
  startTrainee,
  type StepTime,
  timedStep,
  type Trainee,
} from './timed-training.ts'

export interface TrainStepOptions {
  /** A model of `src/models`, on images of 3x32x32. */
  readonly model: string
  readonly batches: ReadonlyArray<number>
  /** Steps and calls of each kind that are timed, after two that are not. */
  readonly repeats: number
  /** Threads of WebAssembly and of PyTorch. */
  readonly threads: number
  /** Whether eager PyTorch takes steps of ResNet-20 in turn with every backend. */
  readonly pytorch: boolean
}

const numbers = (count: number, label: string): Float32Array => {
  const { normal } = drawsFrom(seededRandom(1, label))
  return Float32Array.from({ length: count }, normal)
}

interface StepTimes {
  readonly backend: string
  /** What computes, for people. */
  readonly device: string
  readonly batch: number
  readonly dense: Quartiles
  readonly masked: Quartiles
  /** Medians over steps taken side by side. */
  readonly maskedToDense: StepTime
  /** Steps of PyTorch, and the dense ones beside them as medians of ratios. */
  readonly pytorch?: { readonly version: string; readonly step: Quartiles; readonly denseTo: StepTime }
}

/** As many images of 3x32x32 as a few batches take. */
const noise = (batch: number): DataSet => {
  const { below } = drawsFrom(seededRandom(1, 'images'))
  const size = 4 * batch
  const shape = [3, 32, 32] as const
  const pixels = Uint8Array.from({ length: size * 3072 }, () => below(256))
  const labels = Uint16Array.from({ length: size }, (_, i) => i % 10)
  const part = partOf(
    inMemory(pixels, labels, shape),
    Uint32Array.from({ length: size }, (_, i) => i),
  )
  const thirds = [0.5, 0.5, 0.5]
  const classes = Array.from({ length: 10 }, (_, i) => String(i))
  return { name: 'noise', classes, shape, mean: thirds, deviation: thirds, train: part, validation: part, test: part }
}

/** Steps of the training loop in turns: dense, and with nine of ten weights masked. */
const timeSteps = async (
  backend: Backend,
  { model, repeats, threads, pytorch }: TrainStepOptions,
  batch: number,
): Promise<StepTimes> => {
  const data = noise(batch)
  const graph = orThrow(orThrow(parseModel(model)).build({ classes: 10, shape: data.shape, seed: 1 }))
  const length = { steps: repeats + 2, stepsPerEpoch: 4 }
  const start = (method: object): Trainee => {
    const recipe = recipeOf({ method, batch, learningRate: { schedule: 'constant', peak: 0.01 } })
    return startTrainee(graph, backend, data, recipe, length)
  }
  const [dense, masked] = [start({ name: 'dense' }), start({ name: 'static', density: 0.1 })]
  const times = new Map<Trainee, StepTime[]>([
    [dense, []],
    [masked, []],
  ])
  const peer = pytorch ? await startPytorch(batch, threads) : undefined
  const peerTimes: StepTime[] = []
  for (let step = 0; step < length.steps; step++) {
    for (const trainee of inTurns(step, dense, masked)) {
      const { time } = await timedStep(trainee)
      if (step >= 2) times.get(trainee)?.push(time)
    }
    const time = await peer?.step()
    if (step >= 2 && time !== undefined) peerTimes.push(time)
  }
  peer?.end()
  for (const { run } of [dense, masked]) disposeRun(run)
  const [denseTimes = [], maskedTimes = []] = times.values()
  return {
    backend: backend.name,
    device: backend.description,
    batch,
    dense: quartiles(denseTimes.map(({ wall }) => wall)),
    masked: quartiles(maskedTimes.map(({ wall }) => wall)),
    maskedToDense: medianTime(ratios(maskedTimes, denseTimes)),
    ...(peer === undefined
      ? {}
      : {
          pytorch: {
            version: peer.version,
            step: quartiles(peerTimes.map(({ wall }) => wall)),
            denseTo: medianTime(ratios(denseTimes, peerTimes)),
          },
        }),
  }
}

interface Kernel {
  readonly label: string
  readonly name: string
  readonly inputs: Readonly<Record<string, ReadonlyArray<number>>>
  readonly attributes: Readonly<Record<string, number | string | boolean | number[]>>
}

const convolution = { strides: [1, 1], dilations: [1, 1], pad: 'same', dataFormat: 'NHWC', dimRoundingMode: '' }
const image = [32, 16, 16, 32]
const product = { transposeA: true, transposeB: false }

/** Kernels of ours that TensorFlow.js has too, on shapes of the middle stage of ResNet-20 at batch 32. */
const kernels: ReadonlyArray<Kernel> = [
  {
    label: 'convolution, 3x3',
    name: 'Conv2D',
    inputs: { x: image, filter: [3, 3, 32, 32] },
    attributes: convolution,
  },
  {
    label: 'convolution, 3x3, 21 to 19 channels',
    name: 'Conv2D',
    inputs: { x: [32, 16, 16, 21], filter: [3, 3, 21, 19] },
    attributes: convolution,
  },
  {
    label: 'input gradient, 3x3',
    name: 'Conv2DBackpropInput',
    inputs: { dy: image, filter: [3, 3, 32, 32] },
    attributes: { ...convolution, inputShape: image },
  },
  {
    label: 'input gradient, 3x3, stride 2',
    name: 'Conv2DBackpropInput',
    inputs: { dy: [32, 8, 8, 64], filter: [3, 3, 32, 64] },
    attributes: { ...convolution, strides: [2, 2], inputShape: image },
  },
  {
    label: 'matrix product, left transposed',
    name: 'BatchMatMul',
    inputs: { a: [512, 128], b: [512, 128] },
    attributes: product,
  },
  {
    label: '96 products of 65x64 by 64x65',
    name: 'BatchMatMul',
    inputs: { a: [96, 65, 64], b: [96, 64, 65] },
    attributes: { transposeA: false, transposeB: false },
  },
]

type Core = Backend['core']

/** TensorFlow.js's own kernels, as they are before ours take their places. */
const stockKernels = async (): Promise<ReadonlyMap<string, KernelFunc>> => {
  const core = await import('@tensorflow/tfjs-core')
  await import('@tensorflow/tfjs-backend-wasm')
  return new Map(kernels.map(({ name }) => [name, core.getKernel(name, 'wasm').kernelFunc]))
}

interface KernelTimes {
  readonly label: string
  /** Milliseconds of processors, all threads together. */
  readonly stock: number
  readonly ours: number
}

/** Times a kernel of TensorFlow.js and ours in turn. */
const timeKernel = (core: Core, kernel: Kernel, stock: KernelFunc, repeats: number): KernelTimes => {
  const inputs = Object.fromEntries(
    Object.entries(kernel.inputs).map(([name, shape]) => [
      name,
      core.tensor(numbers(sizeOf(shape), name), [...shape], 'float32'),
    ]),
  )
  const backend = core.backend()
  const time = (run: KernelFunc): number => {
    const start = cpuMilliseconds()
    const result = run({ inputs, backend, attrs: { ...kernel.attributes } })
    const taken = cpuMilliseconds() - start
    for (const { dataId } of Array.isArray(result) ? result : [result]) backend.disposeData(dataId)
    return taken
  }
  const ours = core.getKernel(kernel.name, 'wasm').kernelFunc
  const times = new Map<KernelFunc, number[]>([
    [stock, []],
    [ours, []],
  ])
  for (let i = 0; i < repeats + 2; i++) {
    for (const run of inTurns(i, stock, ours)) {
      const taken = time(run)
      if (i >= 2) times.get(run)?.push(taken)
    }
  }
  for (const tensor of Object.values(inputs)) tensor.dispose()
  const medianOf = (run: KernelFunc): number => quartiles(times.get(run) ?? []).median
  return { label: kernel.label, stock: medianOf(stock), ours: medianOf(ours) }
}

/** Nothing where there is no WebAssembly. */
const timeKernels = async (
  stock: ReadonlyMap<string, KernelFunc>,
  { repeats, threads }: TrainStepOptions,
): Promise<ReadonlyArray<KernelTimes>> => {
  const wasm = await openBackend('wasm', { threads })()
  if (E.isLeft(wasm)) return []
  wasm.right.activate()
  return kernels.flatMap((kernel) => {
    const own = stock.get(kernel.name)
    return own === undefined ? [] : [timeKernel(wasm.right.core, kernel, own, repeats)]
  })
}

/** Columns of names, then of numbers. */
const titled = (first: string, ...others: ReadonlyArray<string>): ReadonlyArray<Column> => [
  { title: first },
  ...others.map((title): Column => ({ title, align: 'right' })),
]

export const benchTrainStep = async (options: TrainStepOptions): Promise<BenchResult> => {
  const stock = await stockKernels()
  const steps: StepTimes[] = []
  const missing: string[] = []
  for (const name of backendNames) {
    const opened = await openBackend(name, { threads: options.threads })()
    if (E.isLeft(opened)) missing.push(renderError(opened.left))
    else if (opened.right.software || name === 'cpu') missing.push(`backend ${name}: too slow to time.`)
    else for (const batch of options.batches) steps.push(await timeSteps(opened.right, options, batch))
  }
  const kernelTimes = await timeKernels(stock, options)
  const peers = options.pytorch ? ['PyTorch', 'dense / PyTorch', 'of CPU time'] : []
  const stepTable = renderTable(
    titled('backend', 'batch', 'dense step', 'masked step', 'masked / dense', 'of CPU time', 'images/s', ...peers),
    steps.map(({ backend, batch, dense, masked, maskedToDense, pytorch }) => [
      backend,
      String(batch),
      formatMilliseconds(dense.median),
      formatMilliseconds(masked.median),
      maskedToDense.wall.toFixed(3),
      maskedToDense.cpu.toFixed(3),
      ((1000 * batch) / dense.median).toFixed(0),
      ...(pytorch === undefined
        ? []
        : [formatMilliseconds(pytorch.step.median), pytorch.denseTo.wall.toFixed(2), pytorch.denseTo.cpu.toFixed(2)]),
    ]),
    plainStyle,
  )
  const kernelTable = renderTable(
    titled('wasm kernel', 'TensorFlow.js', 'ours', 'speed'),
    kernelTimes.map(({ label, stock, ours }) => [
      label,
      formatMilliseconds(stock),
      formatMilliseconds(ours),
      formatRatio(stock / ours),
    ]),
    plainStyle,
  )
  return {
    json: { ...options, steps, kernels: kernelTimes, missing },
    text: [
      `${options.model}, images of 3x32x32`,
      [...new Set(steps.map(({ device }) => device))].join('\n'),
      stepTable,
      kernelTable,
      ...missing,
    ].join('\n\n'),
  }
}
