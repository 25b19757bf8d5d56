/** The usual ways in which the axes of a tensor in a file lie on the axes of a constant of the graph. */
import { stridesOf } from '../../ir/evaluate.ts'
import type { Layer } from '../weights.ts'
import { recurrenceOf } from './recurrence.ts'
import type { ParameterName } from './parameter-name.ts'
import type { Layout, LayoutKind } from './region.ts'
import type { Slot } from './slots.ts'

type Sizes = ReadonlyArray<number>

const equal = (a: Sizes, b: Sizes): boolean => a.length === b.length && a.every((d, i) => d === b[i])

const axesBeyondOne = (shape: Sizes): ReadonlyArray<number> => [...shape.keys()].filter((axis) => shape[axis] !== 1)

/** Axis `a` of the constant is axis `axes[a]` of the tensor, which is as large or 1: that stands for all indices. */
export const permuted = (
  shape: Sizes,
  target: Sizes,
  axes: ReadonlyArray<number>,
  kind: LayoutKind,
): Layout | undefined => {
  const sizes = axes.map((axis) => shape[axis] ?? 0)
  if (!sizes.every((d, a) => d === target[a] || d === 1) || !shares(sizes, target)) return undefined
  const strides = stridesOf(shape)
  const region = {
    shape: target,
    to: { offset: 0, strides: stridesOf(target) },
    from: { offset: 0, strides: axes.map((axis, a) => (sizes[a] === 1 ? 0 : (strides[axis] ?? 0))) },
  }
  return { kind, regions: [region] }
}

/** Whether a tensor says more than one number for all of the constant. */
const shares = (shape: Sizes, target: Sizes): boolean =>
  shape.some((d, a) => d === target[a] && d !== 1) || target.every((d) => d === 1)

const same = (shape: Sizes, target: Sizes, layer: Layer | undefined): Layout | undefined => {
  if (shape.length === target.length) return permuted(shape, target, [...target.keys()], 'same')
  if (shape.length < 2 && layer !== undefined) return undefined
  const [own, others] = [axesBeyondOne(shape), axesBeyondOne(target)]
  const [sizes, wanted] = [own.map((axis) => shape[axis] ?? 1), others.map((axis) => target[axis] ?? 1)]
  if (!equal(sizes, wanted)) return undefined
  const [from, to] = [stridesOf(shape), stridesOf(target)]
  const region = {
    shape: wanted,
    to: { offset: 0, strides: others.map((axis) => to[axis] ?? 0) },
    from: { offset: 0, strides: own.map((axis) => from[axis] ?? 0) },
  }
  return { kind: 'same', regions: [region] }
}

const transposed = (shape: Sizes, target: Sizes): Layout | undefined =>
  shape.length === 2 && target.length === 2 ? permuted(shape, target, [1, 0], 'transposed') : undefined

/**
 * TensorFlow writes `[h, w, in, out]`, transposed convolutions `[h, w, out, in]`, depthwise ones `[h, w, in, multiplier]` of which
 * the last two are ONNX's output channels.
 */
const tensorflow = (shape: Sizes, target: Sizes, layer: Layer): Layout | undefined => {
  if (shape.length !== target.length || shape.length < 3) return undefined
  const rank = shape.length
  const kernel = [...shape.keys()].slice(0, -2)
  const depthwise = layer.contraction.groups > 1 && target[1] === 1
  if (!depthwise) return permuted(shape, target, [rank - 1, rank - 2, ...kernel], 'tensorflow')
  const merged = [...shape.slice(0, -2), (shape.at(-2) ?? 1) * (shape.at(-1) ?? 1), 1]
  return permuted(merged, target, [rank - 2, rank - 1, ...kernel], 'tensorflow')
}

const channels = (shape: Sizes, layer: Layer): Layout | undefined =>
  shape.length === 1 && layer.tensor.shape.length > 1 && shape[0] === layer.outputs
    ? { kind: 'channels', regions: [] }
    : undefined

/**
 * Every usual way in which a tensor of shape `shape` can lie on a slot, by shapes alone. More than one where sizes are equal:
 * {@link choose} says which.
 */
export const layoutsOn = (slot: Slot, shape: Sizes, name: ParameterName): ReadonlyArray<Layout> => {
  const recurrence = recurrenceOf(slot, shape, name)
  if (recurrence !== undefined) return recurrence
  const target = slot.tensor.shape
  const { layer } = slot
  const plain = same(shape, target, slot.layer)
  if (layer === undefined) {
    // A matrix that something else than a layer reads may be turned behind that.
    return [plain, name.style === 'tensorflow' ? transposed(shape, target) : undefined].filter(
      (layout) => layout !== undefined,
    )
  }
  const all = [plain, transposed(shape, target), tensorflow(shape, target, layer), channels(shape, layer)]
  return all.filter((layout) => layout !== undefined)
}

/**
 * The layouts that the conventions of frameworks leave for a weight that its own name found, and for one whose name was lost:
 * the first is the usual one. A matrix product reads `[in, out]`; PyTorch's exporters turn a Linear's `[out, in]` round, and
 * rename it then.
 */
export const conventional = (
  slot: Slot,
  layouts: ReadonlyArray<Layout>,
  name: ParameterName,
): ReadonlyArray<Layout> => {
  const of = (kind: LayoutKind): ReadonlyArray<Layout> => layouts.filter((layout) => layout.kind === kind)
  const { layer } = slot
  if (layer === undefined || layouts.length < 2) return layouts
  const matrix = layer.tensor.shape.length === 2
  if (name.style === 'tensorflow') {
    if (!matrix) return [...of('tensorflow'), ...of('same')].slice(0, 1)
    return layer.contraction.weightOutputAxis === 1 ? of('same') : of('transposed')
  }
  if (!matrix || layer.contraction.weightOutputAxis === 0)
    return of('same').length > 0 ? of('same') : layouts.slice(0, 1)
  return [...of('transposed'), ...of('same')]
}
