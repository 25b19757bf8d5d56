/** One parameter that an exporter cut into several constants. */
import type { MaskTensor } from './mask-tensors.ts'
import type { Layout } from './region.ts'
import type { Slot } from './slots.ts'
import { stridesOf } from '../../ir/evaluate.ts'

export interface Piece {
  readonly slot: Slot
  readonly layout: Layout
}

/**
 * `in_proj_weight[3E, E]` of PyTorch's MultiheadAttention, where queries come from elsewhere than keys and values: the layers of
 * its module take its rows in their order, q, k, v. Undefined unless they take all of them.
 * https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py, _in_projection_packed
 */
export const splitProjection = (
  mask: MaskTensor,
  path: ReadonlyArray<string> | undefined,
  free: ReadonlyArray<Slot>,
): ReadonlyArray<Piece> | undefined => {
  const [rows = 0, columns = 0] = mask.shape
  if (mask.name.tokens.at(-1) !== 'in_proj_weight' || path === undefined || rows !== 3 * columns) return undefined
  const pieces: Piece[] = []
  let at = 0
  for (const slot of free) {
    const { layer } = slot
    if (slot.name !== undefined || layer === undefined || slot.path?.join('.') !== path.join('.')) continue
    if (slot.tensor.shape.length !== 2 || layer.inputs !== columns) return undefined
    const strides = stridesOf(slot.tensor.shape)
    const { weightOutputAxis: o, weightInputAxis: i } = layer.contraction
    const region = {
      shape: [layer.outputs, columns],
      to: { offset: 0, strides: [strides[o] ?? 0, strides[i] ?? 0] },
      from: { offset: at * columns, strides: [columns, 1] },
    }
    pieces.push({
      slot,
      layout: { kind: 'rows', text: `rows ${at} to ${at + layer.outputs - 1} of the mask`, regions: [region] },
    })
    at += layer.outputs
  }
  return at === rows && pieces.length > 1 ? pieces : undefined
}
