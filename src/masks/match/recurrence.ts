/** How PyTorch's recurrent modules lie on ONNX's LSTM, GRU and RNN. */
import type { Layout, Region } from './region.ts'
import type { ParameterName } from './parameter-name.ts'
import type { Slot } from './slots.ts'

/**
 * Where ONNX's gates are among PyTorch's: ONNX has i, o, f, c of PyTorch's i, f, g, o, and z, r, h of its r, z, n.
 * https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html, https://onnx.ai/onnx/operators/onnx__LSTM.html
 */
const gateOrder: Readonly<Record<string, ReadonlyArray<number>>> = { LSTM: [0, 3, 1, 2], GRU: [1, 0, 2], RNN: [0] }

const named = /^(weight|bias)_(ih|hh)_l(\d+)(_reverse)?$/

export interface RecurrentName {
  readonly part: 'weight' | 'bias'
  readonly side: 'ih' | 'hh'
  /** Which of the stacked layers of the module. */
  readonly layer: number
  readonly reverse: boolean
}

export const recurrentName = (name: ParameterName): RecurrentName | undefined => {
  const [, part, side, layer, reverse] = named.exec(name.tokens.at(-1) ?? '') ?? []
  if ((part !== 'weight' && part !== 'bias') || (side !== 'ih' && side !== 'hh')) return undefined
  return { part, side, layer: Number(layer), reverse: reverse !== undefined }
}

/** The port of ONNX's operator that a parameter of PyTorch's module goes to. */
const portOf = ({ part, side }: RecurrentName): number => (part === 'bias' ? 3 : side === 'ih' ? 1 : 2)

/**
 * The layout of `weight_ih_l0[gates·H, I]`, `weight_hh_l0[gates·H, H]` and their biases on `W[D, gates·H, I]`, `R[D, gates·H, H]`
 * and `B[D, 2·gates·H]`. Undefined for slots that are no operand of a recurrence; empty where this parameter does not fit.
 */
export const recurrenceOf = (
  slot: Slot,
  shape: ReadonlyArray<number>,
  name: ParameterName,
): ReadonlyArray<Layout> | undefined => {
  const [read] = slot.reads
  const order = gateOrder[read?.node.op ?? '']
  const own = recurrentName(name)
  if (read === undefined || order === undefined || read.port < 1 || read.port > 3) return undefined
  // Other tensors have their gates in an order that is not known, unless they are written for this constant.
  if (own === undefined) return name.raw === slot.alias ? undefined : []
  const [directions = 1, rows = 0, columns = 1] = slot.tensor.shape
  const direction = own.reverse ? 1 : 0
  const [height = 0, width = 1] = shape
  const perSide = read.port === 3 ? rows / 2 : rows
  if (portOf(own) !== read.port || direction >= directions || height !== perSide || width !== columns) return []
  const block = (height / order.length) * width
  const start = direction * rows * columns + (own.side === 'hh' && read.port === 3 ? perSide : 0)
  const regions = order.map((gate, g): Region => ({
    shape: [block],
    to: { offset: start + g * block, strides: [1] },
    from: { offset: gate * block, strides: [1] },
  }))
  return [{ kind: 'gates', regions }]
}
