/**
 * How a value lies in memory: axis k of the tensor on the device is axis `layout[k]` of the ONNX value. Images are held
 * channels last, weights as the kernels want them, so that nothing is transposed between layers.
 */
export type Layout = ReadonlyArray<number>

/** As ONNX has it. */
export const onnxOrder = (rank: number): Layout => Array.from({ length: rank }, (_, axis) => axis)

/** `[N, C, ...]` as `[N, ..., C]`. */
export const channelsLast = (rank: number): Layout =>
  rank < 3 ? onnxOrder(rank) : [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]

export const sameLayout = (a: Layout, b: Layout): boolean =>
  a.length === b.length && a.every((axis, k) => axis === b[k])

/** The shape in memory of a value of ONNX shape `shape`. */
export const storedShape = (shape: ReadonlyArray<number>, layout: Layout): ReadonlyArray<number> =>
  layout.map((axis) => shape[axis] ?? 1)

/** The axis in memory that holds ONNX axis `axis`. */
export const storedAxis = (axis: number, layout: Layout): number => layout.indexOf(axis)

/** The order of axes that turns a tensor of layout `from` into one of layout `to`. */
export const orderBetween = (from: Layout, to: Layout): ReadonlyArray<number> => to.map((axis) => from.indexOf(axis))

/** Whether reordering the axes leaves the elements where they are: only axes of size 1 pass others. */
export const keepsElements = (shape: ReadonlyArray<number>, order: ReadonlyArray<number>): boolean => {
  const moved = order.filter((axis) => shape[axis] !== 1)
  return moved.every((axis, i) => i === 0 || axis > (moved[i - 1] ?? -1))
}
