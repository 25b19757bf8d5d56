/** Steps of random programs that write over channels, rank them, and resize images to sizes that are computed. */
import * as ops from '../../src/ir/ops/index.ts'
import { int64s } from '../../src/ir/tensor.ts'
import type { Apply, Builder, Value } from './program.ts'

const choose = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

/** Numbers of a shape, one in each channel or one in each place. */
const constantOf = (b: Builder, shape: ReadonlyArray<number>, isByChannel: boolean): string => {
  if (!isByChannel) return b.weights(shape, 0.7)
  const inner = shape.slice(2).reduce((n, d) => n * d, 1)
  const values = Array.from({ length: shape[1] ?? 1 }, () => Math.round(8 * b.uniform() - 4) / 4)
  const count = shape.reduce((n, d) => n * d, 1)
  return b.numbers(
    shape,
    Array.from({ length: count }, (_, i) => values[Math.floor(i / inner) % values.length] ?? 0),
  )
}

/** `y = x.clone(); y[:, places] = …`: constants, or other channels. */
export const assigned: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const [batch = 1, channels = 1, ...rest] = x.shape
  if (x.shape.length < 2) return
  const first = p % channels
  const places = Array.from({ length: 1 + (q % channels) }, (_, i) => (first + i * (1 + (r % 2))) % channels)
  const written = [...new Set(places)]
  const grid = Array.from({ length: batch }, (_, n) => written.flatMap((place) => [n, place])).flat()
  const shape = [batch, written.length, ...rest]
  const others = b.constant(int64s(written.map((place) => (place + 1 + (r % 3)) % channels)))
  const updates =
    s % 3 === 2 ? b.inner(ops.Gather, [x.name, others], { axis: 1 }, shape).name : constantOf(b, shape, s % 3 === 0)
  b.emit(ops.ScatterND, [x.name, b.constant(int64s(grid, [batch, written.length, 2])), updates], {}, x.shape)
}

/** The largest along the channels, of what is computed or of a constant, beside all of them. */
export const ranked: Apply = (b, { choices: [p, q] }, x) => {
  const [batch = 1, channels = 1, ...rest] = x.shape
  // Of other types it is not known what it makes.
  if (x.shape.length < 2 || b.dtype !== 'float32') return
  const k = 1 + (p % channels)
  const made: ReadonlyArray<number> = [batch, k, ...rest]
  const from = q % 2 === 0 ? x.name : constantOf(b, x.shape, false)
  const [values] = b.inners(ops.TopK, [from, b.constant(int64s([k]))], { axis: 1 }, [made, made])
  if (values !== undefined) b.emit(ops.Concat, [values.name, x.name], { axis: 1 }, [batch, k + channels, ...rest])
}

/** A size that is computed from the image's own, so that no constant of the model says it. */
const resizedTo = (b: Builder, x: Value, height: number, width: number): string => {
  const all = b.inner(ops.Shape, [x.name], {}, [4])
  const kept = b.inner(ops.Gather, [all.name, b.constant(int64s([0, 1]))], { axis: 0 }, [2])
  return b.inner(ops.Concat, [kept.name, b.constant(int64s([height, width]))], { axis: 0 }, [4]).name
}

/** An image of any size from one of another; it may meet a constant of that size. */
export const resized: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const [batch = 1, channels = 1] = x.shape
  if (x.shape.length !== 4) return
  const [height, width] = [1 + (p % 12), 1 + (q % 12)]
  const mode = choose(['nearest', 'linear'] as const, r)
  const coordinate = choose(['asymmetric', 'half_pixel', 'pytorch_half_pixel', 'align_corners'] as const, s)
  const attrs = { mode, coordinate_transformation_mode: coordinate, nearest_mode: 'floor' as const }
  const shape = [batch, channels, height, width]
  const inputs = [x.name, '', '', resizedTo(b, x, height, width)]
  if (r % 3 !== 0) return b.emit(ops.Resize, inputs, attrs, shape)
  // A constant of that size: ONNX Runtime loads no model in which it infers another.
  const made = b.inner(ops.Resize, inputs, attrs, shape)
  b.emit(ops.Mul, [made.name, b.weights([1, 1, height, width], 0.5)], {}, shape)
}
