/** One parameter that an exporter cut into several constants. */
import { stridesOf } from '../../ir/evaluate.ts'
import type { MaskTensor } from './mask-tensors.ts'
import type { Layout } from './region.ts'
import { sameTokens } from './parameter-name.ts'
import type { Slot } from './slots.ts'

export interface Piece {
  readonly slot: Slot
  readonly layout: Layout
}

/**
 * `in_proj_weight[3E, E]` of PyTorch's MultiheadAttention, where queries come from elsewhere than keys and values: one layer of
 * its module takes the first E rows, another the others; or three take a third each, q, k, v, in the order that the exporter
 * numbered them. Undefined where layers or numbers do not say so.
 * https://github.com/pytorch/pytorch/blob/main/torch/nn/functional.py, _in_projection_packed
 */
export const splitProjection = (
  mask: MaskTensor,
  path: ReadonlyArray<string> | undefined,
  free: ReadonlyArray<Slot>,
): ReadonlyArray<Piece> | undefined => {
  const [rows = 0, columns = 0] = mask.shape
  if (mask.name.tokens.at(-1) !== 'in_proj_weight' || path === undefined || rows !== 3 * columns) return undefined
  const takers = free.flatMap((slot) => {
    const { layer } = slot
    const own = slot.name === undefined && slot.path !== undefined && sameTokens(slot.path, path)
    return own && layer !== undefined && slot.tensor.shape.length === 2 ? [{ slot, layer }] : []
  })
  if (!takers.every(({ layer }) => layer.inputs === columns)) return undefined
  const bySize = takers.toSorted((a, b) => a.layer.outputs - b.layer.outputs)
  const sizes = bySize.map(({ layer }) => layer.outputs / columns).join(',')
  if (sizes !== '1,2' && !(sizes === '1,1,1' && areNumbered(takers.map(({ slot }) => slot)))) return undefined
  let at = 0
  return bySize.map(({ slot, layer }) => {
    const strides = stridesOf(slot.tensor.shape)
    const { weightOutputAxis: o, weightInputAxis: i } = layer.contraction
    const region = {
      shape: [layer.outputs, columns],
      to: { offset: 0, strides: [strides[o] ?? 0, strides[i] ?? 0] },
      from: { offset: at * columns, strides: [columns, 1] },
    }
    const text = `rows ${at} to ${at + layer.outputs - 1} of the mask`
    at += layer.outputs
    return { slot, layout: { kind: 'rows', text, regions: [region] } }
  })
}

/** Whether the readers are `MatMul`, `MatMul_1`, `MatMul_2` in the order of the graph, as PyTorch's older exporter counts. */
const areNumbered = (slots: ReadonlyArray<Slot>): boolean => {
  const numbers = slots.map(({ reads: [read] }) => {
    const [, number] = /\/MatMul(?:_(\d+))?$/.exec(read?.node.name ?? '') ?? [undefined, 'none']
    return Number(number ?? 0)
  })
  return numbers.every((number, i) => number > (numbers[i - 1] ?? -1))
}
