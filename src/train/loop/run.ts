/** A training run: everything that a step changes, and moving it between device and host. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import type { Graph } from '../../ir/graph.ts'
import { sameShape, sizeOf } from '../../ir/type.ts'
import { expandMask, type Masks, noMasks } from '../../masks/mask.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { type Cursor, startOf } from '../data/index.ts'
import {
  type Arrays,
  buildExecutor,
  type DeviceTensors,
  type Executor,
  type TrainingState,
} from '../executor/executor.ts'
import { graphWithParameters } from '../executor/graph-with-parameters.ts'
import { applyMasks, initialMoments } from '../executor/sgd.ts'
import { init, type Network, type Policy, type State } from '../sparse/index.ts'
import { trainError, type TrainError } from './error.ts'
import { firstGates, gateArrays, type GateMap, gatesFrom } from './gates.ts'
import type { HistoryEntry } from './history.ts'
import { networkOf } from './network.ts'

/** Sums over the steps of the epoch so far. */
export interface Tally {
  readonly loss: number
  readonly correct: number
  readonly images: number
  readonly steps: number
  readonly seconds: number
}

export const emptyTally: Tally = { loss: 0, correct: 0, images: 0, steps: 0, seconds: 0 }

/** Belongs to one call of `train`, which changes it step by step. */
export interface Run {
  executor: Executor
  device: TrainingState
  moments: Map<ValueId, Tensor>
  /** Masks of the layers that have a masked weight. */
  masks: Map<ValueId, Tensor>
  /** What is trained in the place of parameters, where the policy has scores; the moments of these layers are theirs. */
  scores: Map<ValueId, Tensor>
  /** Of the layers whose diagonals are trained; empty where the policy has no gates. */
  gates: GateMap
  sparse: State
  cursor: Cursor
  /** Steps done. */
  step: number
  tally: Tally
  history: HistoryEntry[]
}

/** What a run holds on the device, on the host: in ONNX order, by name. */
export interface Held {
  readonly parameters: Arrays
  readonly statistics: Arrays
  readonly moments: Arrays
  readonly scores: Arrays
  readonly gates: Arrays
}

export const namesHeld = ({ parameters, statistics }: Executor): ReadonlyArray<ValueId> =>
  [...parameters, ...statistics].map(({ name }) => name)

/** The graph as it is trained and the network that sparse training sees in it. */
export interface Trainable {
  readonly executor: Executor
  readonly network: Network
}

export const trainableOf = (graph: Graph, backend: Backend): E.Either<TrainError, Trainable> => {
  const executor = buildExecutor(graph, backend)
  if (E.isLeft(executor)) return executor
  const { graph: cleaned, parameters } = executor.right
  return E.right({
    executor: executor.right,
    network: networkOf(cleaned, new Set(parameters.map(({ name }) => name))),
  })
}

/** A run before its first step: weights as the graph has them, masked by the policy and by `given`. */
export const startRun = (
  { executor, network }: Trainable,
  policy: Policy,
  seed: number,
  given: Masks = noMasks,
): E.Either<TrainError, Run> => {
  const initial = init(network, policy, seed)
  if (E.isLeft(initial)) return initial
  const sparse = maskedBy(initial.right, given)
  if (E.isLeft(sparse)) return sparse
  const device = executor.initialState()
  const masks = masksOnDevice(executor, sparse.right)
  if (policy.masked === 'zeroed') applyMasks(executor.backend, device.parameters, masks)
  return E.right({
    executor,
    device,
    moments: initialMoments(executor.backend, device.parameters),
    masks,
    scores: firstScores(executor, sparse.right),
    gates: firstGates(sparse.right),
    sparse: sparse.right,
    cursor: startOf(seed),
    step: 0,
    tally: emptyTally,
    history: [],
  })
}

/** The state without the weights that `given` masks. Errors: masks of what carries none, or of another shape. */
const maskedBy = (state: State, given: Masks): E.Either<TrainError, State> => {
  const { layers } = state.network
  for (const [name, { shape }] of given) {
    const layer = layers.find((one) => one.name === name)
    if (layer !== undefined && sameShape(layer.shape, shape)) continue
    const expected = layer === undefined ? 'a weight that a single layer reads' : `[${layer.shape.join(',')}]`
    const found = layer === undefined ? 'another constant, or none' : `[${shape.join(',')}]`
    return E.left(trainError(`mask of ${name}`, expected, found, 'Leave this mask out, or give those of this graph.'))
  }
  const masks = layers.map(({ name }, l): Uint8Array => {
    const [own, more] = [state.masks[l] ?? new Uint8Array(0), given.get(name)]
    if (more === undefined) return own
    const kept = expandMask(more)
    return own.map((bit, i) => bit & (kept[i] ?? 0))
  })
  return E.right({ ...state, masks })
}

/** The masks of a state that mask anything, as the executor wants them. */
export const masksOnDevice = (executor: Executor, { network, masks }: State): Map<ValueId, Tensor> => {
  const arrays = new Map<ValueId, Float32Array>()
  for (const [l, { name }] of network.layers.entries()) {
    const mask = masks[l]
    if (mask?.includes(0) === true) arrays.set(name, Float32Array.from(mask))
  }
  return executor.writeParameters(arrays)
}

/** Scores as they begin under these masks; none where the policy trains none. */
export const firstScores = (executor: Executor, { policy, network, masks }: State): Map<ValueId, Tensor> => {
  const { scores } = policy
  if (scores === undefined) return new Map()
  const arrays = new Map<ValueId, Float32Array>()
  for (const [l, { name, exempt }] of network.layers.entries()) {
    const mask = masks[l]
    if (exempt === true || mask === undefined) continue
    arrays.set(
      name,
      Float32Array.from(mask, (bit) => (bit === 1 ? scores.kept : scores.masked)),
    )
  }
  return executor.writeParameters(arrays)
}

export const disposeAll = (tensors: DeviceTensors): void => {
  for (const tensor of tensors.values()) tensor.dispose()
}

export const readHeld = async ({ executor, device, moments, scores, gates }: Run): Promise<Held> => ({
  parameters: await executor.readParameters(device.parameters),
  statistics: await executor.readParameters(device.statistics),
  moments: await executor.readParameters(moments),
  scores: await executor.readParameters(scores),
  gates: gateArrays(gates),
})

/** The arrays of every layer, in the order of the network; a layer that has no tensor has only zeros. */
export const readLayers = async (
  executor: Executor,
  { layers }: Pick<Network, 'layers'>,
  tensors: DeviceTensors,
): Promise<ReadonlyArray<Float32Array>> => {
  const wanted = new Map<ValueId, Tensor>()
  for (const { name } of layers) {
    const tensor = tensors.get(name)
    if (tensor !== undefined) wanted.set(name, tensor)
  }
  const arrays = await executor.readParameters(wanted)
  return layers.map(({ name, shape }) => arrays.get(name) ?? new Float32Array(sizeOf(shape)))
}

/** Frees what a run holds on the device. */
export const disposeRun = ({ executor, device, moments, masks, scores }: Run): void => {
  for (const tensors of [device.parameters, device.statistics, moments, masks, scores]) disposeAll(tensors)
  executor.dispose()
}

/** Puts a run on another graph, with these values. What it held on the device is freed. */
export const moveRun = (run: Run, graph: Graph, sparse: State, held: Held): E.Either<TrainError, undefined> => {
  const whole = graphWithParameters(graph, new Map([...held.parameters, ...held.statistics]))
  const executor = buildExecutor(whole, run.executor.backend)
  if (E.isLeft(executor)) return executor
  disposeRun(run)
  run.executor = executor.right
  run.sparse = sparse
  run.device = {
    parameters: executor.right.writeParameters(held.parameters),
    statistics: executor.right.writeParameters(held.statistics),
  }
  run.moments = executor.right.writeParameters(held.moments)
  run.masks = masksOnDevice(executor.right, sparse)
  run.scores = executor.right.writeParameters(held.scores)
  run.gates = gatesFrom(held.gates)
  return E.right(undefined)
}
