/** Computes an IR graph on a TensorFlow.js backend: forwards, and backwards for every parameter. */
import * as E from 'fp-ts/lib/Either.js'
import { failure, invariant } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { materialize } from '../../ir/tensor.ts'
import { runPipeline } from '../../passes/pass.ts'
import { cleanUp } from '../../passes/pipeline.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { scoped } from '../backend/scope.ts'
import { fromDevice, toDevice, upload } from './arrays.ts'
import type { Layout } from './layout.ts'
import { crossEntropy, smoothedTargets } from './loss.ts'
import type { Mode } from './lowering.ts'
import { type Plan, planOf, type Slot, type UnsupportedTraining, type Value } from './plan.ts'
import { type Forward, type Observe, runBackward, runForward, type Watch } from './run.ts'
import { type Shapes, specialise, usualShapes } from './specialise.ts'

/** Numbers by name, in ONNX order. */
export type Arrays = ReadonlyMap<ValueId, Float32Array>

/** Tensors by name, lying as the executor wants them. Whoever holds them disposes them. */
export type DeviceTensors = ReadonlyMap<ValueId, Tensor>

/** A tensor of the host, in ONNX order. */
export interface HostTensor {
  readonly values: Float32Array
  readonly shape: ReadonlyArray<number>
}

export type Feeds = ReadonlyMap<ValueId, HostTensor>

/** What is trained, and the running statistics, on the device. Optimisers and training runs replace the tensors in it. */
export interface TrainingState {
  readonly parameters: Map<ValueId, Tensor>
  readonly statistics: Map<ValueId, Tensor>
}

export interface Batch {
  readonly inputs: Feeds
  /** The class of each example. */
  readonly labels: ArrayLike<number>
}

export interface LossOptions {
  /** Share of the probability that is spread over all classes; absent: 0. */
  readonly labelSmoothing?: number
  /** What the logits are divided by; absent: 1. */
  readonly temperature?: number
  /** What the gradients of what a layer reads are computed with in place of its weights, by weight. */
  readonly instead?: DeviceTensors
  /** Is told how long every step took, both ways. */
  readonly observe?: Observe
}

export interface Gradients {
  /** A number. */
  readonly loss: Tensor
  /** The first output, `[N, classes]`. */
  readonly logits: Tensor
  /** By parameter; those that the loss does not depend on are missing. */
  readonly gradients: DeviceTensors
}

export interface Parameter {
  readonly name: ValueId
  readonly shape: ReadonlyArray<number>
}

export interface Executor {
  /** What is computed: the given graph with its weights told from other constants. Parameters are its constants. */
  readonly graph: Graph
  readonly backend: Backend
  readonly parameters: ReadonlyArray<Parameter>
  readonly statistics: ReadonlyArray<Parameter>
  /** The graph's own values on the device. */
  readonly initialState: () => TrainingState
  /** Puts arrays of any parameters or statistics on the device: values, gradients, moments or masks. */
  readonly writeParameters: (arrays: Arrays) => Map<ValueId, Tensor>
  /** The way back. Waits for the device. */
  readonly readParameters: (tensors: DeviceTensors) => Promise<Map<ValueId, Float32Array>>
  /** The graph's outputs, in ONNX order. In training mode running statistics are updated in `state`. */
  readonly forward: (
    state: TrainingState,
    inputs: Feeds,
    mode: Mode,
  ) => E.Either<UnsupportedTraining, Map<ValueId, Tensor>>
  /**
   * For each of the layers, called by their weights: Σ |x| over the images and places of each channel or feature that it reads, in
   * evaluation. Missing where the weights are not on the right-hand side, or of several groups.
   */
  readonly activity: (
    state: TrainingState,
    inputs: Feeds,
    layers: ReadonlySet<ValueId>,
  ) => E.Either<UnsupportedTraining, Map<ValueId, Tensor>>
  /** Softmax cross entropy of the first output in training mode, with its gradients; running statistics are updated. */
  readonly lossAndGradients: (
    state: TrainingState,
    batch: Batch,
    options?: LossOptions,
  ) => E.Either<UnsupportedTraining, Gradients>
  /** The mean of the squares of the first output in evaluation mode, with its gradients. No label is needed. */
  readonly meanSquareAndGradients: (
    state: TrainingState,
    inputs: Feeds,
  ) => E.Either<UnsupportedTraining, Omit<Gradients, 'logits'>>
  /** Frees what the executor itself holds on the device. */
  readonly dispose: () => void
}

const unsupported = (subject: string, expected: string, found: string): UnsupportedTraining =>
  failure('UnsupportedTraining', subject, expected, found, 'Change the model, or train it with another tool.')

/** One failure that names everything. */
const together = (graph: Graph, failures: ReadonlyArray<UnsupportedTraining>): UnsupportedTraining => {
  const [first] = failures
  if (first !== undefined && failures.length === 1) return first
  const found = failures.map(({ subject, found }) => `${subject} (${found})`).join('; ')
  return unsupported(`graph ${graph.name}`, 'operators that can be trained', found)
}

/** An executor of `graph`, or every operator that it has no rule for. */
export const buildExecutor = (given: Graph, backend: Backend): E.Either<UnsupportedTraining, Executor> => {
  const clean = runPipeline(cleanUp, given)
  if (E.isLeft(clean)) return E.left(unsupported(clean.left.subject, clean.left.expected, clean.left.found))
  const graph = clean.right
  backend.activate()
  const plans = plansOf(graph, backend)
  if (E.isLeft(plans)) return plans
  const { usual, planFor, dispose } = plans.right
  return E.right({
    graph,
    backend,
    parameters: usual.parameters,
    statistics: usual.statistics,
    ...transfersOf(graph, backend, usual),
    forward: (state, feeds, mode) => {
      backend.activate()
      const plan = planFor(feeds)
      if (E.isLeft(plan)) return plan
      const { values } = runPlan(backend, plan.right, state, feeds, { mode, record: false })
      return E.right(outputsOf(backend, plan.right, values, state))
    },
    activity: (state, feeds, layers) => {
      backend.activate()
      const plan = planFor(feeds)
      return E.isLeft(plan) ? plan : E.right(activityOf(backend, plan.right, state, feeds, layers))
    },
    lossAndGradients: (state, batch, options = {}) => {
      backend.activate()
      const plan = planFor(batch.inputs)
      return E.isLeft(plan) ? plan : differentiate(backend, plan.right, state, batch, options)
    },
    meanSquareAndGradients: (state, feeds) => {
      backend.activate()
      const plan = planFor(feeds)
      return E.isLeft(plan) ? plan : differentiateSquares(backend, plan.right, state, feeds)
    },
    dispose: () => {
      backend.activate()
      dispose()
    },
  })
}

interface Plans {
  /** That of the sizes that images and sentences usually have. */
  readonly usual: Plan
  /** That of the sizes of what is fed, made when they are first seen; an error where they do not fit. */
  readonly planFor: (feeds: Feeds) => E.Either<UnsupportedTraining, Plan>
  readonly dispose: () => void
}

/** The plans of a graph by the sizes of its inputs. All hold their weights in the layouts of the first. */
const plansOf = (graph: Graph, backend: Backend): E.Either<UnsupportedTraining, Plans> => {
  const layouts = new Map<ValueId, Layout>()
  const compile = (shapes: Shapes): E.Either<UnsupportedTraining, Plan> => {
    const special = specialise(graph, shapes)
    if (E.isLeft(special)) return E.left(unsupported(`graph ${graph.name}`, 'inputs that fit', special.left))
    const plan = planOf(special.right, backend, layouts)
    return E.isLeft(plan) ? E.left(together(graph, plan.left)) : plan
  }
  const usual = compile(usualShapes(graph))
  if (E.isLeft(usual)) return usual
  for (const { name, layout } of heldBy(usual.right)) layouts.set(name, layout)
  const plans = new Map<string, Plan>([[keyOf(usualShapes(graph)), usual.right]])
  return E.right({
    usual: usual.right,
    planFor: (feeds) => {
      const shapes = new Map([...feeds].map(([name, { shape }]) => [name, shape]))
      const key = keyOf(shapes)
      const known = plans.get(key)
      if (known !== undefined) return E.right(known)
      const problem = mismatch(graph, shapes)
      if (problem !== undefined) return E.left(problem)
      const plan = compile(shapes)
      if (E.isRight(plan)) plans.set(key, plan.right)
      return plan
    },
    dispose: () => {
      for (const { constants } of plans.values()) for (const tensor of constants.values()) tensor.dispose()
      plans.clear()
    },
  })
}

/** What stays on the device from step to step. */
const heldBy = ({ parameters, statistics }: Plan): ReadonlyArray<Value> => [...parameters, ...statistics]

/** How weights and statistics come onto the device and back. */
const transfersOf = (
  graph: Graph,
  backend: Backend,
  plan: Plan,
): Pick<Executor, 'initialState' | 'writeParameters' | 'readParameters'> => {
  const held = new Map<ValueId, Value>(heldBy(plan).map((entry) => [entry.name, entry]))
  const heldOf = (name: ValueId): Value => {
    const entry = held.get(name)
    invariant(entry !== undefined, `no parameter ${name}`)
    return entry
  }
  const initial = (entries: ReadonlyArray<Value>): Map<ValueId, Tensor> => {
    const out = new Map<ValueId, Tensor>()
    for (const { name, layout } of entries) {
      const constant = graph.constants.get(name)
      if (constant !== undefined) out.set(name, upload(backend, materialize(constant), layout))
    }
    return out
  }
  return {
    initialState: () => {
      backend.activate()
      return { parameters: initial(plan.parameters), statistics: initial(plan.statistics) }
    },
    writeParameters: (arrays) => {
      backend.activate()
      const out = new Map<ValueId, Tensor>()
      for (const [name, values] of arrays) {
        const { shape, layout } = heldOf(name)
        out.set(name, toDevice(backend, values, shape, layout))
      }
      return out
    },
    readParameters: async (tensors) => {
      backend.activate()
      const out = new Map<ValueId, Float32Array>()
      for (const [name, tensor] of tensors) {
        const { shape, layout } = heldOf(name)
        out.set(name, fromDevice(await floatsOf(tensor), shape, layout))
      }
      return out
    },
  }
}

interface RunOptions {
  readonly mode: Mode
  /** Whether what the way back needs is kept. */
  readonly record: boolean
  readonly observe?: Observe | undefined
  readonly watch?: Watch
}

/** The way forth. Running statistics that it moves are those of `state` afterwards. */
const runPlan = (
  backend: Backend,
  plan: Plan,
  state: TrainingState,
  feeds: Feeds,
  { mode, record, observe, watch }: RunOptions,
): Forward => {
  const inputs = plan.inputs.flatMap(({ name, slot, layout }): ReadonlyArray<readonly [Slot, Tensor]> => {
    const feed = feeds.get(name)
    return feed === undefined ? [] : [[slot, toDevice(backend, feed.values, feed.shape, layout)]]
  })
  const slots = new Map<Slot, Tensor>(inputs)
  for (const { name, slot } of heldBy(plan)) {
    const tensor = state.parameters.get(name) ?? state.statistics.get(name)
    invariant(tensor !== undefined, `no tensor for ${name}`)
    slots.set(slot, tensor)
  }
  const forward = runForward(backend, plan, slots, mode, record, observe, watch)
  if (!record) for (const [, tensor] of inputs) tensor.dispose()
  for (const [name, tensor] of forward.statistics) {
    state.statistics.get(name)?.dispose()
    state.statistics.set(name, tensor)
  }
  return record ? { ...forward, values: withInputs(forward.values, inputs) } : forward
}

const activityOf = (
  backend: Backend,
  plan: Plan,
  state: TrainingState,
  feeds: Feeds,
  layers: ReadonlySet<ValueId>,
): Map<ValueId, Tensor> => {
  const bySlot = new Map(plan.parameters.map(({ name, slot }) => [slot, name]))
  const found = new Map<ValueId, Tensor>()
  const watch: Watch = ({ sums, inputs: [, slot] }, [x]) => {
    const name = bySlot.get(slot ?? -1)
    if (!sums || x === undefined || name === undefined || !layers.has(name)) return
    found.set(name, magnitudes(backend, x))
  }
  const { values } = runPlan(backend, plan, state, feeds, { mode: 'eval', record: false, watch })
  for (const tensor of values) tensor?.dispose()
  return found
}

/** Σ |x| over all but the last axis in memory. */
const magnitudes = ({ core, ops }: Backend, x: Tensor): Tensor =>
  scoped(
    core,
    () => ops.columnSums(ops.reshape(ops.unary('Abs', x), [-1, x.shape.at(-1) ?? 1])),
    (sums) => [sums],
  )

/** The loss of a batch, and its gradients by the way back. */
const differentiate = (
  backend: Backend,
  plan: Plan,
  state: TrainingState,
  { inputs, labels }: Batch,
  { labelSmoothing = 0, temperature = 1, instead = new Map(), observe }: LossOptions,
): E.Either<UnsupportedTraining, Gradients> => {
  const [output] = plan.outputs
  if (output === undefined || output.shape.length !== 2 || output.shape[0] !== labels.length) {
    const found = output === undefined ? 'none' : `[${output.shape.join(',')}]`
    return E.left(unsupported('first output', `logits [${labels.length}, classes]`, found))
  }
  const split = splitSlots(plan, instead)
  if (E.isLeft(split)) return split
  const forward = runPlan(backend, plan, state, inputs, { mode: 'train', record: true, observe })
  const logits = forward.values[output.slot]
  invariant(logits !== undefined, 'logits that nothing computes')
  const { ops, core } = backend
  const classes = output.shape[1] ?? 1
  const result = scoped(
    core,
    () => {
      const targets = ops.tensor(smoothedTargets(labels, classes, labelSmoothing), [labels.length, classes])
      return { ...crossEntropy(ops, logits, targets, temperature), logits: ops.unary('Identity', logits) }
    },
    ({ loss, gradient, logits }) => [loss, gradient, logits],
  )
  const seeds = new Map([[output.slot, result.gradient]])
  const gradients = gradientsOf(backend, plan, forward, seeds, split.right, observe)
  return E.right({ loss: result.loss, logits: result.logits, gradients })
}

/** The mean of y² over the first output y, and its gradients: that of y is 2 y / count. */
const differentiateSquares = (
  backend: Backend,
  plan: Plan,
  state: TrainingState,
  feeds: Feeds,
): E.Either<UnsupportedTraining, Omit<Gradients, 'logits'>> => {
  const [output] = plan.outputs
  const forward = runPlan(backend, plan, state, feeds, { mode: 'eval', record: true })
  const y = output && forward.values[output.slot]
  if (output === undefined || y === undefined) {
    for (const tensor of [...forward.values, ...forward.traces.flatMap(({ saved }) => saved)]) tensor?.dispose()
    return E.left(unsupported('first output', 'numbers computed from the inputs', 'another'))
  }
  const { ops, core } = backend
  const axes = y.shape.map((_, axis) => axis)
  const { loss, gradient } = scoped(
    core,
    () => ({
      loss: ops.affine(ops.sum(ops.mul(y, y), axes, false), 1 / y.size, 0),
      gradient: ops.affine(y, 2 / y.size, 0),
    }),
    (made) => [made.loss, made.gradient],
  )
  return E.right({
    loss,
    gradients: gradientsOf(backend, plan, forward, new Map([[output.slot, gradient]]), new Map()),
  })
}

/** By parameter, from the gradients of outputs. */
const gradientsOf = (
  backend: Backend,
  plan: Plan,
  forward: Forward,
  seeds: ReadonlyMap<Slot, Tensor>,
  instead: ReadonlyMap<Slot, Tensor>,
  observe?: Observe,
): Map<ValueId, Tensor> => {
  const targets = new Map(plan.parameters.map(({ slot, name }) => [slot, name]))
  const gradients = new Map<ValueId, Tensor>()
  for (const [slot, tensor] of runBackward(backend, forward, seeds, new Set(targets.keys()), instead, observe)) {
    gradients.set(targets.get(slot) ?? '', tensor)
  }
  return gradients
}

/** By slot. Fails where a value is no weight of a layer alone. */
const splitSlots = (
  { parameters, steps }: Plan,
  tensors: DeviceTensors,
): E.Either<UnsupportedTraining, ReadonlyMap<Slot, Tensor>> => {
  const out = new Map<Slot, Tensor>()
  for (const [name, tensor] of tensors) {
    const slot = parameters.find((one) => one.name === name)?.slot
    const readers = steps.flatMap(({ inputs, splits }) =>
      inputs.flatMap((s, i) => (s === slot ? splits.includes(i) : [])),
    )
    if (slot === undefined || readers.length === 0 || readers.includes(false)) {
      return E.left(
        unsupported(`gradients by other weights than ${name}`, 'a weight that layers alone read', 'another'),
      )
    }
    out.set(slot, tensor)
  }
  return E.right(out)
}

const keyOf = (shapes: Shapes): string =>
  [...shapes]
    .map(([name, shape]) => `${name}[${shape.join(',')}]`)
    .toSorted()
    .join(' ')

const mismatch = (graph: Graph, shapes: Shapes): UnsupportedTraining | undefined => {
  for (const { name, type } of graph.inputs) {
    const shape = shapes.get(name)
    const declared = type.kind === 'tensor' ? type.shape : undefined
    const fits =
      shape !== undefined &&
      (declared === undefined ||
        (declared.length === shape.length && declared.every((d, a) => typeof d === 'string' || d === shape[a])))
    if (fits) continue
    const found = shape === undefined ? 'nothing' : `[${shape.join(',')}]`
    return unsupported(`input ${name}`, `a tensor [${declared?.join(',') ?? '*'}]`, found)
  }
  return undefined
}

/** With what a recorded run fed to the graph, so that the way back disposes it. */
const withInputs = (
  values: ReadonlyArray<Tensor | undefined>,
  inputs: ReadonlyArray<readonly [Slot, Tensor]>,
): ReadonlyArray<Tensor | undefined> => {
  const out = [...values]
  for (const [slot, tensor] of inputs) out[slot] = tensor
  return out
}

/** The outputs as tensors of their own, also where a graph gives back a parameter or one value twice. */
const outputsOf = (
  { ops }: Backend,
  plan: Plan,
  values: ReadonlyArray<Tensor | undefined>,
  state: TrainingState,
): Map<ValueId, Tensor> => {
  const out = new Map<ValueId, Tensor>()
  for (const { name, slot } of plan.outputs) {
    const held = heldBy(plan).find((entry) => entry.slot === slot)
    const tensor =
      values[slot] ??
      plan.constants.get(slot) ??
      (held && (state.parameters.get(held.name) ?? state.statistics.get(held.name)))
    if (tensor !== undefined) out.set(name, ops.unary('Identity', tensor))
  }
  for (const tensor of values) tensor?.dispose()
  return out
}

const floatsOf = async (tensor: Tensor): Promise<Float32Array> => {
  const values = await tensor.data()
  invariant(values instanceof Float32Array, 'a tensor that is not float32')
  return values
}
