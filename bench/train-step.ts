/**
 * What a training step costs on each backend that works here, dense and with masks, and what our WebAssembly kernels cost
 * beside TensorFlow.js's own.
 */
import { performance } from 'node:perf_hooks'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, renderError } from '../src/ir/failure.ts'
import { drawsFrom, seededRandom } from '../src/ir/random.ts'
import { sizeOf } from '../src/ir/type.ts'
import { parseModel } from '../src/models/index.ts'
import { plainStyle } from '../src/report/style.ts'
import { type Column, renderTable } from '../src/report/table.ts'
import { formatMilliseconds, formatRatio } from '../src/report/units.ts'
import { quartiles, type Quartiles } from '../src/run/statistics.ts'
import { type Backend, backendNames, openBackend } from '../src/train/backend/index.ts'
import { applyMasks, buildExecutor, initialMoments, sgdStep } from '../src/train/executor/index.ts'
import type { BenchResult } from './result.ts'

export interface TrainStepOptions {
  /** A model of `src/models`, on images of 3x32x32. */
  readonly model: string
  readonly batches: ReadonlyArray<number>
  /** Steps of each kind that are timed, after two that are not. */
  readonly repeats: number
}

const orThrow = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

const numbers = (count: number, label: string): Float32Array => {
  const { normal } = drawsFrom(seededRandom(1, label))
  return Float32Array.from({ length: count }, normal)
}

interface StepTimes {
  readonly backend: string
  readonly batch: number
  readonly dense: Quartiles
  readonly masked: Quartiles
}

/** Dense and masked steps in turns; nine of ten weights of every layer are masked. */
const timeSteps = async (backend: Backend, { model, repeats }: TrainStepOptions, batch: number): Promise<StepTimes> => {
  const graph = orThrow(orThrow(parseModel(model)).build({ classes: 10, shape: [3, 32, 32], seed: 1 }))
  const executor = orThrow(buildExecutor(graph, backend))
  const state = executor.initialState()
  const moments = initialMoments(backend, state.parameters)
  const layers = executor.parameters.filter(({ shape }) => shape.length > 1)
  const masks = executor.writeParameters(
    new Map(
      layers.map(({ name, shape }) => [name, numbers(sizeOf(shape), name).map((x) => (x > 1.28 ? 1 : 0))] as const),
    ),
  )
  const [input] = graph.inputs
  const inputs = new Map([[input?.name ?? '', { values: numbers(batch * 3072, 'images'), shape: [batch, 3, 32, 32] }]])
  const labels = Array.from({ length: batch }, (_, i) => i % 10)
  const step = async (withMasks: boolean): Promise<number> => {
    const start = performance.now()
    const { loss, logits, gradients } = orThrow(executor.lossAndGradients(state, { inputs, labels }))
    const options = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 }
    sgdStep(backend, state.parameters, moments, gradients, options, withMasks ? masks : undefined)
    await loss.data()
    for (const tensor of [loss, logits, ...gradients.values()]) tensor.dispose()
    return performance.now() - start
  }
  const times: Record<'dense' | 'masked', number[]> = { dense: [], masked: [] }
  applyMasks(backend, state.parameters, masks)
  for (let i = 0; i < repeats + 2; i++) {
    for (const kind of i % 2 === 0 ? (['dense', 'masked'] as const) : (['masked', 'dense'] as const)) {
      const time = await step(kind === 'masked')
      if (i >= 2) times[kind].push(time)
    }
  }
  for (const tensors of [state.parameters, state.statistics, moments, masks]) {
    for (const tensor of tensors.values()) tensor.dispose()
  }
  executor.dispose()
  return { backend: backend.name, batch, dense: quartiles(times.dense), masked: quartiles(times.masked) }
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

const timeKernel = async ({ core }: Pick<Backend, 'core'>, kernel: Kernel, repeats: number): Promise<number> => {
  const inputs = Object.fromEntries(
    Object.entries(kernel.inputs).map(([name, shape]) => [
      name,
      core.tensor(numbers(sizeOf(shape), name), [...shape], 'float32'),
    ]),
  )
  const times: number[] = []
  for (let i = 0; i < repeats + 2; i++) {
    const start = performance.now()
    const result = core.engine().runKernel(kernel.name, inputs, { ...kernel.attributes })
    if (!Array.isArray(result)) result.dispose()
    if (i >= 2) times.push(performance.now() - start)
  }
  for (const tensor of Object.values(inputs)) tensor.dispose()
  return quartiles(times).median
}

interface KernelTimes {
  readonly label: string
  readonly stock: number
  readonly ours: number
}

/** Times TensorFlow.js's own kernels before ours replace them. */
const timeKernels = async (repeats: number): Promise<ReadonlyArray<KernelTimes>> => {
  const core = await import('@tensorflow/tfjs-core')
  core.enableProdMode()
  await import('@tensorflow/tfjs-backend-wasm')
  await core.setBackend('wasm')
  const stock: number[] = []
  for (const kernel of kernels) stock.push(await timeKernel({ core }, kernel, repeats))
  const wasm = orThrow(await openBackend('wasm')())
  const out: KernelTimes[] = []
  for (const [i, kernel] of kernels.entries()) {
    out.push({ label: kernel.label, stock: stock[i] ?? NaN, ours: await timeKernel(wasm, kernel, repeats) })
  }
  return out
}

/** Columns of names, then of numbers. */
const titled = (first: string, ...others: ReadonlyArray<string>): ReadonlyArray<Column> => [
  { title: first },
  ...others.map((title): Column => ({ title, align: 'right' })),
]

export const benchTrainStep = async (options: TrainStepOptions): Promise<BenchResult> => {
  const kernelTimes = await timeKernels(options.repeats)
  const steps: StepTimes[] = []
  const missing: string[] = []
  for (const name of backendNames) {
    const opened = await openBackend(name)()
    if (E.isLeft(opened)) missing.push(renderError(opened.left))
    else if (opened.right.software || name === 'cpu') missing.push(`backend ${name}: too slow to time.`)
    else for (const batch of options.batches) steps.push(await timeSteps(opened.right, options, batch))
  }
  const stepTable = renderTable(
    titled('backend', 'batch', 'dense step', 'masked step', 'masked / dense', 'images/s'),
    steps.map(({ backend, batch, dense, masked }) => [
      backend,
      String(batch),
      formatMilliseconds(dense.median),
      formatMilliseconds(masked.median),
      formatRatio(masked.median / dense.median),
      ((1000 * batch) / dense.median).toFixed(0),
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
    text: [`${options.model}, images of 3x32x32`, stepTable, kernelTable, ...missing].join('\n\n'),
  }
}
