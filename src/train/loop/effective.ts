/** What a network computes with in place of its weights, where masked weights are trained on. */
import type { ValueId } from '../../ir/op.ts'
import { scoped } from '../backend/scope.ts'
import type { Tensor } from '../backend/tensor.ts'
import type { DeviceTensors, TrainingState } from '../executor/executor.ts'
import { keptByPattern, maskedMultiplier, type SoftThreshold, softThresholded } from '../sparse/index.ts'
import { gateFactors } from './gates.ts'
import { disposeAll, readLayers, type Run } from './run.ts'

/** Calls `body` with the parameters that the network computes with: those of the run, or what its policy makes of masked ones. */
export const withEffective = async <T>(run: Run, body: (state: TrainingState) => T | Promise<T>): Promise<T> => {
  const { device, gates, sparse } = run
  const { masked } = sparse.policy
  if (masked === 'zeroed' && gates.size === 0) return body(device)
  const made =
    masked === 'zeroed'
      ? gated(run)
      : masked.kind === 'soft threshold'
        ? await thresholded(run, masked)
        : multiplied(run)
  const parameters = new Map([...device.parameters, ...made])
  try {
    return await body({ parameters, statistics: device.statistics })
  } finally {
    disposeAll(made)
  }
}

/**
 * Calls `body` with what gradients of what layers read are computed with in place of the weights that the network computes with; empty
 * where it is these.
 */
export const withBackward = async <T>(run: Run, body: (instead: DeviceTensors) => T | Promise<T>): Promise<T> => {
  const { executor, device, sparse } = run
  const { backward } = sparse.policy
  if (backward === undefined) return body(new Map())
  const layers = sparse.network.layers.filter(({ exempt }) => exempt !== true)
  const held = await readLayers(executor, { layers }, device.parameters)
  const left = layers.map(
    (layer, l) => [layer.name, keptByPattern(layer, held[l] ?? new Float32Array(0), backward)] as const,
  )
  const made = executor.writeParameters(new Map(left))
  try {
    return await body(made)
  } finally {
    disposeAll(made)
  }
}

/** Weights times what those of their diagonals count at present. */
const gated = ({ executor, device, gates, sparse, step }: Run): Map<ValueId, Tensor> => {
  const factors = gateFactors(executor, sparse, gates, step)
  const made = new Map<ValueId, Tensor>()
  for (const [name, factor] of factors) {
    const weight = device.parameters.get(name)
    if (weight !== undefined) made.set(name, executor.backend.ops.mul(weight, factor))
  }
  disposeAll(factors)
  return made
}

/** Weights times what masked ones count at present. */
const multiplied = ({ executor, device, masks, sparse, step }: Run): Map<ValueId, Tensor> => {
  const multiplier = maskedMultiplier(sparse.policy, step)
  const { core, ops } = executor.backend
  const made = new Map<ValueId, Tensor>()
  for (const [name, mask] of masks) {
    const weight = device.parameters.get(name)
    if (weight === undefined) continue
    const seen = scoped(
      core,
      () => ops.mul(weight, ops.affine(mask, 1 - multiplier, multiplier)),
      (product) => [product],
    )
    made.set(name, seen)
  }
  return made
}

const thresholded = async (
  { executor, device, masks, sparse }: Run,
  threshold: SoftThreshold,
): Promise<Map<ValueId, Tensor>> => {
  const { network, masks: bits, scales } = sparse
  const weights = await executor.readParameters(new Map([...device.parameters].filter(([name]) => masks.has(name))))
  const made = new Map<ValueId, Float32Array>()
  for (const [l, layer] of network.layers.entries()) {
    const [values, mask] = [weights.get(layer.name), bits[l]]
    if (values === undefined || mask === undefined) continue
    made.set(layer.name, softThresholded(layer, values, mask, threshold, scales[l] ?? 1))
  }
  return executor.writeParameters(made)
}
