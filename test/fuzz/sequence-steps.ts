/** Steps of random programs that put values, or parts of one, into sequences and read members of them. */
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import type { Apply, Builder, Value } from './program.ts'

const place = (b: Builder, at: number): string => b.constant(tensorOf('int64', [], [at]))

/** A sequence, and the shapes of its members. */
interface Sequence {
  readonly name: string
  readonly members: ReadonlyArray<ReadonlyArray<number>>
}

/** The parts of a value along an axis, made in one of the ways that there are. */
const partsOf = (b: Builder, x: Value, axis: number, way: number, size: number): Sequence => {
  const total = x.shape[axis] ?? 1
  const sizes =
    way < 2
      ? Array.from({ length: total }, () => 1)
      : way === 2
        ? Array.from({ length: Math.ceil(total / size) }, (_, i) => Math.min(size, total - i * size))
        : [size, total - size].filter((n) => n > 0)
  const given = way < 2 ? [] : [way === 2 ? place(b, size) : b.constant(int64s(sizes))]
  const attrs = { axis: size % 2 === 0 ? axis : axis - x.shape.length, keepdims: way === 1 ? 0 : 1 }
  const { name } = b.inner(ops.SplitToSequence, [x.name, ...given], attrs, [])
  return { name, members: sizes.map((n) => (way === 1 ? x.shape.toSpliced(axis, 1) : x.shape.with(axis, n))) }
}

/** One more member somewhere, or one less. */
const changed = (b: Builder, { name, members }: Sequence, more: Value, way: number): Sequence => {
  const at = way % Math.max(1, members.length)
  const written = way % 2 === 0 ? at : at - members.length
  if (way % 3 === 0) {
    const made = b.inner(ops.SequenceInsert, [name, more.name, place(b, written)], {}, [])
    return { name: made.name, members: members.toSpliced(at, 0, more.shape) }
  }
  if (way % 3 === 1) {
    const made = b.inner(ops.SequenceInsert, [name, more.name], {}, [])
    return { name: made.name, members: [...members, more.shape] }
  }
  if (members.length < 2) return { name, members }
  const made = b.inner(ops.SequenceErase, [name, place(b, written)], {}, [])
  return { name: made.name, members: members.toSpliced(at, 1) }
}

const areEqual = (shapes: ReadonlyArray<ReadonlyArray<number>>): boolean =>
  new Set(shapes.map((shape) => shape.join())).size === 1

/** Members of a sequence of parts, of values, or both: one, two, one that the input chooses, or all in a row. */
export const sequenced: Apply = (b, { choices: [p, q, r, s] }, x, y) => {
  // Other floats are not split by ONNX Runtime, or are compared with what operators evaluate to, as those of sequences do not.
  if (x.shape.length < 2 || b.dtype !== 'float32') return
  const axis = p % 5 === 4 ? x.shape.length - 1 : 1
  const total = x.shape[axis] ?? 1
  const first = partsOf(b, x, axis, r % 4, 1 + (q % total))
  let made = s % 4 === 3 ? changed(b, { name: b.inner(ops.SequenceEmpty, [], {}, []).name, members: [] }, y, 1) : first
  if (s % 3 === 1) made = changed(b, made, x, p + q)
  const { name, members } = made
  const way = (p + r + s) % 4
  if (way === 0 && areEqual(members)) {
    const [shape = []] = members
    const isNew = shape.length < 5 && q % 2 === 0
    const along = q % (shape.length + (isNew ? 1 : 0))
    // Batches come first in what other steps read.
    const behind = along === 0 ? 1 : along
    const size = isNew ? members.length : members.length * (shape[behind] ?? 1)
    const joined = shape.toSpliced(behind, isNew ? 0 : 1, size)
    return b.emit(ops.ConcatFromSequence, [name], { axis: behind, new_axis: isNew ? 1 : 0 }, joined)
  }
  if (way === 1 && areEqual(members) && members.length > 1) {
    const most = b.inner(ops.ReduceMax, [x.name], { keepdims: 0 }, [])
    const isLarge = b.inner(ops.Greater, [most.name, b.numbers([], [1])], {}, [])
    const at = b.inner(ops.Cast, [isLarge.name], { to: 7 }, [])
    return b.emit(ops.SequenceAt, [name, at.name], {}, members[0] ?? [])
  }
  const places = way === 2 ? [q % members.length] : [...new Set([q % members.length, (q + r) % members.length])]
  for (const at of places) {
    const written = place(b, p % 2 === 0 ? at : at - members.length)
    b.emit(ops.SequenceAt, [name, written], {}, members[at] ?? [])
  }
}
