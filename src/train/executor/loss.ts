import type { Tensor } from '../backend/tensor.ts'
import type { DeviceOps } from '../backend/ops/types.ts'

/**
 * Class probabilities to aim for, `[N, K]` row by row: `1 - s + s / K` for the label, `s / K` for the others, with
 * smoothing s.
 */
export const smoothedTargets = (labels: ArrayLike<number>, classes: number, smoothing: number): Float32Array => {
  const targets = new Float32Array(labels.length * classes).fill(smoothing / classes)
  for (let i = 0; i < labels.length; i++) {
    const at = i * classes + (labels[i] ?? 0)
    targets[at] = (targets[at] ?? 0) + 1 - smoothing
  }
  return targets
}

/** Mean over the rows of `-Σ target · log softmax(logits / temperature)`, and its gradient. Both are tensors of their own. */
export const crossEntropy = (
  k: DeviceOps,
  logits: Tensor,
  targets: Tensor,
  temperature = 1,
): { readonly loss: Tensor; readonly gradient: Tensor } => {
  const rows = logits.shape[0] ?? 1
  const scaled = temperature === 1 ? logits : k.affine(logits, 1 / temperature, 0)
  const shifted = k.sub(scaled, k.max(scaled, [1], true))
  const logarithms = k.sub(shifted, k.unary('Log', k.sum(k.unary('Exp', shifted), [1], true)))
  return {
    loss: k.affine(k.sum(k.mul(targets, logarithms), [0, 1], false), -1 / rows, 0),
    gradient: k.affine(k.sub(k.unary('Exp', logarithms), targets), 1 / (rows * temperature), 0),
  }
}
