/** Stochastic gradient descent with momentum and weight decay, on the device. */
import type { ValueId } from '../../ir/op.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { scoped } from '../backend/scope.ts'
import type { DeviceTensors } from './executor.ts'

export interface SgdOptions {
  readonly learningRate: number
  readonly momentum: number
  readonly weightDecay: number
  readonly nesterov?: boolean
  /** Which parameters decay; absent: all. */
  readonly decays?: (name: ValueId) => boolean
}

/** Momentum of every parameter, 0. */
export const initialMoments = ({ ops, activate }: Backend, parameters: DeviceTensors): Map<ValueId, Tensor> => {
  activate()
  const moments = new Map<ValueId, Tensor>()
  for (const [name, tensor] of parameters) moments.set(name, ops.zeros(tensor.shape))
  return moments
}

/**
 * One step in PyTorch's form, in place: `g += decay · w`, `v = momentum · v + g`, `w -= rate · v` (with Nesterov momentum
 * `w -= rate · (g + momentum · v)`), then `w *= mask` where there is a mask. Parameters without gradient stay. Gradients
 * are not disposed.
 */
export const sgdStep = (
  backend: Backend,
  parameters: Map<ValueId, Tensor>,
  moments: Map<ValueId, Tensor>,
  gradients: DeviceTensors,
  options: SgdOptions,
  masks: DeviceTensors = new Map(),
): void => {
  backend.activate()
  const { ops: k, core } = backend
  const { nesterov = false, decays = () => true } = options
  const [rate, momentum, decay] = [options.learningRate, options.momentum, options.weightDecay].map(k.scalar)
  if (rate === undefined || momentum === undefined || decay === undefined) return
  for (const [name, gradient] of gradients) {
    const [w, v] = [parameters.get(name), moments.get(name)]
    if (w === undefined || v === undefined) continue
    const [nextW, nextV] = scoped(
      core,
      () => {
        const g = options.weightDecay !== 0 && decays(name) ? k.add(gradient, k.mul(w, decay)) : gradient
        const velocity = k.add(k.mul(v, momentum), g)
        const direction = nesterov ? k.add(g, k.mul(velocity, momentum)) : velocity
        const moved = k.sub(w, k.mul(direction, rate))
        const mask = masks.get(name)
        return [mask === undefined ? moved : k.mul(moved, mask), velocity] as const
      },
      (pair) => pair,
    )
    w.dispose()
    v.dispose()
    parameters.set(name, nextW)
    moments.set(name, nextV)
  }
  for (const scalar of [rate, momentum, decay]) scalar.dispose()
}

/** Multiplies every parameter by its mask, in place. */
export const applyMasks = (backend: Backend, parameters: Map<ValueId, Tensor>, masks: DeviceTensors): void => {
  backend.activate()
  for (const [name, mask] of masks) {
    const w = parameters.get(name)
    if (w === undefined) continue
    parameters.set(name, backend.ops.mul(w, mask))
    w.dispose()
  }
}
