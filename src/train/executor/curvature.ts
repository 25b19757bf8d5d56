/** The Hessian of the loss times a vector, by the derivative of the gradient along that vector (Pearlmutter 1994). */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import { dualBackend } from '../backend/dual.ts'
import type { Tensor } from '../backend/tensor.ts'
import type { Batch, DeviceTensors, Executor, LossOptions, TrainingState } from './executor.ts'
import { buildExecutor } from './executor.ts'
import type { UnsupportedTraining } from './plan.ts'

/**
 * H v by parameter, those that `direction` says something of: H the Hessian of the batch's loss in training mode, v the direction, 0
 * for other parameters. Exact but for rounding; a function with a kink (ReLU, a maximum) has no second derivative there, as in
 * automatic differentiation elsewhere. `state` stays as it is. The caller disposes the tensors.
 */
export const hessianProduct = (
  { graph, backend }: Executor,
  state: TrainingState,
  batch: Batch,
  direction: DeviceTensors,
  options: LossOptions = {},
): E.Either<UnsupportedTraining, Map<ValueId, Tensor>> => {
  const dual = dualBackend(backend)
  const executor = buildExecutor(graph, dual.backend)
  if (E.isLeft(executor)) return executor
  const copy = (tensor: Tensor): Tensor => backend.ops.unary('Identity', tensor)
  const copies = (tensors: DeviceTensors): Map<ValueId, Tensor> =>
    new Map(Array.from(tensors, ([name, tensor]) => [name, copy(tensor)]))
  const own: TrainingState = { parameters: copies(state.parameters), statistics: copies(state.statistics) }
  for (const [name, tensor] of direction) {
    const parameter = own.parameters.get(name)
    if (parameter !== undefined) dual.attach(parameter, copy(tensor))
  }
  const result = executor.right.lossAndGradients(own, batch, options)
  const out = new Map<ValueId, Tensor>()
  if (E.isRight(result)) {
    const { loss, logits, gradients } = result.right
    for (const name of direction.keys()) {
      const gradient = gradients.get(name)
      const derivative = gradient && dual.derivativeOf(gradient)
      if (derivative !== undefined) out.set(name, copy(derivative))
    }
    for (const tensor of [loss, logits, ...gradients.values()]) tensor.dispose()
  }
  for (const tensors of [own.parameters, own.statistics]) for (const tensor of tensors.values()) tensor.dispose()
  executor.right.dispose()
  return E.isLeft(result) ? result : E.right(out)
}
