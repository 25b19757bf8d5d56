import * as E from 'fp-ts/lib/Either.js'
import { BatchNormalization } from '../../../ir/ops/batch-normalization.ts'
import type { Tensor } from '../../backend/tensor.ts'
import { channelsLast } from '../layout.ts'
import { given, type Gradient, type Lowering, lowering, operand, statistic, weight } from '../lowering.ts'

/**
 * BatchNormalization. In training the statistics are those of the batch (population variance, as ONNX has it), and the
 * running ones become `momentum · running + (1 - momentum) · batch`; in evaluation the running ones are used.
 */
export const batchNormalization: Lowering = lowering(BatchNormalization, (site) => {
  if (site.attrs.training_mode !== 0 || site.node.outputs.slice(1).some((name) => name !== '')) {
    return E.left('BatchNormalization exported in training mode')
  }
  const k = site.ops
  const { epsilon, momentum } = site.attrs
  const shape = site.shapeOf(0)
  const layout = channelsLast(shape.length)
  const channels = shape[1] ?? 1
  const moved = (running: Tensor, batch: Tensor): Tensor =>
    k.add(k.affine(running, momentum, 0), k.affine(batch, 1 - momentum, 0))
  return E.right({
    reads: [operand(layout), weight([0]), weight([0]), statistic, statistic],
    gives: [layout],
    run: (inputs, mode) => {
      const [x, scale, shift] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)]
      const [runningMean, runningVariance] = [given(inputs, 3), given(inputs, 4)]
      if (mode === 'eval') {
        const rows = k.reshape(x, [-1, channels])
        const factor = k.mul(scale, k.unary('Rsqrt', k.affine(runningVariance, 1, epsilon)))
        const y = k.scaleColumns(rows, factor, k.sub(shift, k.mul(runningMean, factor)))
        const gradient: Gradient = ([dy]) => {
          if (dy === undefined) return []
          const dys = k.reshape(dy, [-1, channels])
          const deviation = k.unary('Rsqrt', k.affine(runningVariance, 1, epsilon))
          const dx = k.scaleColumns(dys, k.mul(scale, deviation), k.zeros([channels]))
          const [sums, products] = [k.columnSums(dys), k.columnSums(k.mul(dys, k.reshape(x, [-1, channels])))]
          // Σ dy · (x - mean) · deviation
          const dscale = k.mul(k.sub(products, k.mul(runningMean, sums)), deviation)
          return [k.reshape(dx, x.shape), dscale, sums]
        }
        return { outputs: [k.reshape(y, x.shape)], gradient }
      }
      const { y, mean, variance, saved, gradient } = k.normalizeColumns(x, scale, shift, epsilon)
      return {
        outputs: [y],
        saved,
        gradient: ([dy]) => (dy === undefined ? [] : gradient(dy)),
        statistics: [
          [3, moved(runningMean, mean)],
          [4, moved(runningVariance, variance)],
        ],
      }
    },
  })
})
