/** Carries updates of the masks over to what is on the device. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import { type Event, isQuiet, type LayerEvent, movesAt, type Sample, update } from '../sparse/index.ts'
import { channelsOf } from './counts.ts'
import type { TrainError } from './error.ts'
import { gateScores } from './gates.ts'
import type { UpdateEntry } from './history.ts'
import { disposeAll, masksOnDevice, moveRun, namesHeld, readHeld, readLayers, type Run } from './run.ts'
import { slimGraph } from './slim-graph.ts'

/**
 * Does what the policy does after the step that was just taken; `taken` is what it needs of that step besides the weights that it left.
 * Weights and momenta that are masked from now on, or start anew, become 0. With `slim`, removed channels leave the network. Gives
 * what to tell of it, if anything.
 */
export const updateTopology = async (
  run: Run,
  taken: Omit<Sample, 'weights'>,
  slim: boolean,
): Promise<E.Either<TrainError, UpdateEntry | undefined>> => {
  const { executor, sparse } = run
  const weights = await readLayers(executor, sparse.network, run.device.parameters)
  const updated = update(sparse, { ...taken, ...(await scoresOf(run)), weights }, run.step)
  if (E.isLeft(updated)) return updated
  const { state, event } = updated.right
  if (event === undefined) return E.right(undefined)
  run.sparse = state
  const unchanged = state.masks.every((mask, l) => mask === sparse.masks[l])
  if (!unchanged) {
    disposeAll(run.masks)
    run.masks = masksOnDevice(executor, state)
  }
  setWeights(run, event)
  if (state.policy.masked === 'zeroed') zeroChanged(run, event)
  if (slim && event.channels.length > 0) {
    const slimmed = await slimRun(run)
    if (E.isLeft(slimmed)) return slimmed
  }
  // Weights that only shrink are no news.
  if (unchanged && movesAt(state.policy, run.step).every(isQuiet)) return E.right(undefined)
  return E.right(entryOf(event, channelsOf(run.sparse).left))
}

/** The scores of weights, where the policy trains some. */
const scoresOf = async ({ executor, sparse, scores, gates }: Run): Promise<Pick<Sample, 'scores'>> => {
  if (gates.size > 0) return { scores: gateScores(sparse, gates) }
  return scores.size === 0 ? {} : { scores: await readLayers(executor, sparse.network, scores) }
}

const entryOf = (event: Event, channels: number): UpdateEntry => {
  const count = (part: 'pruned' | 'grown'): number => event.layers.reduce((n, layer) => n + layer[part].length, 0)
  return {
    kind: 'update',
    step: event.step,
    density: event.density,
    live: event.live,
    pruned: count('pruned'),
    grown: count('grown'),
    removed: event.channels.reduce((n, stream) => n + stream.channels.length, 0),
    channels,
  }
}

/** Gives weights, and not their momenta, the values that the event has for them. */
const setWeights = ({ executor, device }: Run, { layers }: Event): void => {
  const named = layers.flatMap(({ layer, weights }) => (weights === undefined ? [] : [[layer, weights] as const]))
  for (const [layer, tensor] of executor.writeParameters(new Map(named))) {
    device.parameters.get(layer)?.dispose()
    device.parameters.set(layer, tensor)
  }
}

/** Multiplies weights and momenta of changed layers by 0 where an update masked them or has them start anew. */
const zeroChanged = ({ executor, device, moments, masks, sparse }: Run, event: Event): void => {
  const starting = executor.writeParameters(restartFactors(event.layers, sparse.masks))
  for (const { layer, pruned, restarted } of event.layers) {
    if (pruned.length + restarted.length === 0) continue
    const factor = starting.get(layer) ?? masks.get(layer)
    if (factor === undefined) continue
    for (const tensors of [device.parameters, moments]) {
      const tensor = tensors.get(layer)
      if (tensor === undefined) continue
      tensors.set(layer, executor.backend.ops.mul(tensor, factor))
      tensor.dispose()
    }
  }
  disposeAll(starting)
}

/** Masks without the weights that start anew, of the layers that have some. */
const restartFactors = (
  layers: ReadonlyArray<LayerEvent>,
  masks: ReadonlyArray<Uint8Array>,
): ReadonlyMap<ValueId, Float32Array> => {
  const out = new Map<ValueId, Float32Array>()
  for (const [l, { layer, restarted }] of layers.entries()) {
    if (restarted.length === 0) continue
    const factor = Float32Array.from(masks[l] ?? [])
    for (const i of restarted) factor[i] = 0
    out.set(layer, factor)
  }
  return out
}

/**
 * Widths that kernels run at full speed: four floats are a vector of WebAssembly, and ONNX Runtime likes multiples of four
 * too. Which of the channels that fill them up stay in the end is for compiling to decide.
 */
const fastMultiple = 4

/** Drops removed channels from everything that a run holds, where the graph lets them go. */
export const slimRun = async (run: Run): Promise<E.Either<TrainError, undefined>> => {
  const slimmed = slimGraph(run.executor.graph, run.sparse, namesHeld(run.executor), fastMultiple)
  if (slimmed === undefined) return E.right(undefined)
  const held = await readHeld(run)
  const pickAll = (arrays: ReadonlyMap<ValueId, Float32Array>): ReadonlyMap<ValueId, Float32Array> =>
    new Map(Array.from(arrays, ([name, values]) => [name, slimmed.pick(name, values)]))
  return moveRun(run, slimmed.graph, slimmed.state, {
    parameters: pickAll(held.parameters),
    statistics: pickAll(held.statistics),
    moments: pickAll(held.moments),
    scores: pickAll(held.scores),
    gates: held.gates,
  })
}
