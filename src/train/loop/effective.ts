/** What a network computes with in place of its weights, where masked weights are trained on. */
import type { ValueId } from '../../ir/op.ts'
import type { Tensor } from '../backend/tensor.ts'
import type { TrainingState } from '../executor/executor.ts'
import { maskedMultiplier, type SoftThreshold, softThresholded } from '../sparse/index.ts'
import { disposeAll, type Run } from './run.ts'

/** Calls `body` with the parameters that the network computes with: those of the run, or what its policy makes of masked ones. */
export const withEffective = async <T>(run: Run, body: (state: TrainingState) => T | Promise<T>): Promise<T> => {
  const { device, sparse } = run
  const { masked } = sparse.policy
  if (masked === 'zeroed') return body(device)
  const made = masked.kind === 'soft threshold' ? await thresholded(run, masked) : multiplied(run)
  const parameters = new Map([...device.parameters, ...made])
  try {
    return await body({ parameters, statistics: device.statistics })
  } finally {
    disposeAll(made)
  }
}

/** Weights times what masked ones count at present. */
const multiplied = ({ executor, device, masks, sparse, step }: Run): Map<ValueId, Tensor> => {
  const multiplier = maskedMultiplier(sparse.policy, step)
  const { ops } = executor.backend
  const made = new Map<ValueId, Tensor>()
  for (const [name, mask] of masks) {
    const weight = device.parameters.get(name)
    if (weight === undefined) continue
    const factor = ops.affine(mask, 1 - multiplier, multiplier)
    made.set(name, ops.mul(weight, factor))
    factor.dispose()
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
