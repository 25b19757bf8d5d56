/** Steps of random programs that are recurrences: of every kind, in every direction, with units, features and directions masked. */
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import type { Apply, Builder, Value } from './program.ts'

const choose = <const T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

/** Of `count` indices each with a probability. */
const some = (b: Builder, count: number, share: number): ReadonlySet<number> =>
  new Set(Array.from({ length: count }, (_, i) => (b.uniform() < share ? i : -1)).filter((i) => i >= 0))

/** Masks of one direction: units without weights or readers, features that nothing reads. */
interface Masked {
  /** Units whose rows are zero, biases too where `isSilent`. */
  readonly rows: ReadonlySet<number>
  readonly isSilent: boolean
  /** Units that no other reads. */
  readonly unread: ReadonlySet<number>
  readonly blind: ReadonlySet<number>
}

/** The value with all axes behind the second as one. */
const rank3 = (b: Builder, x: Value, shape: ReadonlyArray<number>): Value =>
  x.shape.length === 3 ? x : b.inner(ops.Reshape, [x.name, b.constant(int64s([0, 0, -1]))], {}, shape)

/** One of the recurrences, of a sequence made of the last two axes; its result is batch first again. */
export const recurrence: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const [n = 1, c = 1, ...rest] = x.shape
  const l = rest.reduce((product, size) => product * size, 1)
  const [time, features] = c <= l ? [c, l] : [l, c]
  if (rest.length === 0 || rest.length > 2 || time > 6 || features > 40) return
  const wide = rank3(b, x, [n, c, l])
  const kind = choose(['LSTM', 'GRU', 'RNN', 'LSTM', 'GRU'], p)
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[kind]
  const units = 2 + (q % 4)
  const direction = choose(['forward', 'bidirectional', 'reverse', 'bidirectional'], r)
  const directions = direction === 'bidirectional' ? 2 : 1
  const sequence = b.inner(ops.Transpose, [wide.name], { perm: c <= l ? [1, 0, 2] : [2, 0, 1] }, [time, n, features])

  const isSame = b.uniform() < 0.5
  const blind = some(b, features, 0.3)
  const one = (): Masked => ({
    rows: some(b, units, 0.3),
    isSilent: b.uniform() < 0.7,
    unread: some(b, units, 0.4),
    blind,
  })
  const first = one()
  const masked = [first, isSame ? first : one()]
  const rows = gates * units
  const at = (k: number, columns: number) => {
    const row = Math.floor(k / columns) % rows
    return { of: masked[Math.floor(k / columns / rows)] ?? first, unit: row % units, column: k % columns }
  }
  const w = b.weights([directions, rows, features], 0.5, (k) => {
    const { of, unit, column } = at(k, features)
    return of.rows.has(unit) || of.blind.has(column)
  })
  const recurrent = b.weights([directions, rows, units], 0.4, (k) => {
    const { of, unit, column } = at(k, units)
    return of.rows.has(unit) || of.unread.has(column)
  })
  const bias = b.weights([directions, 2 * rows], 0.3, (k) => {
    const of = masked[Math.floor(k / 2 / rows)] ?? first
    return of.isSilent && of.rows.has((k % rows) % units)
  })
  const inputs = [sequence.name, w, recurrent]
  if (b.uniform() < 0.7) inputs[3] = bias
  if (b.uniform() < 0.15) {
    const size = b.inner(ops.Shape, [x.name], { start: 0, end: 1 }, [1])
    const length = b.constant(tensorOf('int32', [1], [1 + (s % time)]))
    inputs[4] = b.inner(ops.Expand, [length, size.name], {}, [n]).name
  }
  if (b.uniform() < 0.4) {
    for (const port of kind === 'LSTM' ? [5, 6] : [5]) inputs[port] = firstState(b, sequence, units, directions).name
  }
  if (kind === 'LSTM' && b.uniform() < 0.2) inputs[7] = b.weights([directions, 3 * units], 0.3)
  const attrs = {
    direction: direction,
    hidden_size: units,
    clip: b.uniform() < 0.1 ? 0.75 : undefined,
    ...activationsOf(kind, directions, s),
  } as const
  const given = Array.from(inputs, (name) => name ?? '')
  const shapes = [
    [time, directions, n, units],
    [directions, n, units],
    ...(kind === 'LSTM' ? [[directions, n, units]] : []),
  ]
  const made =
    kind === 'LSTM'
      ? b.inners(ops.LSTM, given, { ...attrs, input_forget: b.uniform() < 0.1 ? 1 : 0 }, shapes)
      : kind === 'GRU'
        ? b.inners(ops.GRU, given, { ...attrs, linear_before_reset: q % 2 }, shapes)
        : b.inners(ops.RNN, given, attrs, shapes)
  const [all, last, cell] = made
  const tail = s % 4
  if (all !== undefined && tail !== 1) {
    const batchFirst = b.inner(ops.Transpose, [all.name], { perm: [2, 0, 1, 3] }, [n, time, directions, units])
    b.emit(ops.Reshape, [batchFirst.name, b.constant(int64s([0, 0, -1]))], {}, [n, time, directions * units])
  }
  for (const state of [tail === 1 || tail === 2 ? last : undefined, tail === 2 ? cell : undefined]) {
    if (state === undefined) continue
    const batchFirst = b.inner(ops.Transpose, [state.name], { perm: [1, 0, 2] }, [n, directions, units])
    b.emit(ops.Reshape, [batchFirst.name, b.constant(int64s([0, -1]))], {}, [n, directions * units])
  }
}

/** Functions other than the usual ones, sometimes. */
const activationsOf = (kind: 'LSTM' | 'GRU' | 'RNN', directions: number, choice: number) => {
  if (choice % 5 !== 0) return {}
  const one = {
    LSTM: ['HardSigmoid', 'Softsign', 'Tanh'],
    GRU: ['HardSigmoid', 'Relu'],
    RNN: [choice % 2 === 0 ? 'Relu' : 'Softsign'],
  }[kind]
  return { activations: Array.from({ length: directions }, () => one).flat() }
}

/** A first state made from the sequence, some units of it always zero; with two directions the same of both, or of each its own. */
const firstState = (
  b: Builder,
  { name, shape: [, n = 1, features = 1] }: Value,
  units: number,
  directions: number,
): Value => {
  const dead = some(b, units, 0.3)
  const isInput = b.opset >= 18
  const operands = isInput ? [name, b.constant(int64s([0]))] : [name]
  const mean = b.inner(ops.ReduceMean, operands, isInput ? {} : { axes: [0] }, [1, n, features])
  if (directions === 2 && b.uniform() < 0.5) {
    const both = some(b, 2 * units, 0.3)
    const weight = b.weights([features, 2 * units], 0.4, (k) => both.has(k % (2 * units)))
    const made = b.inner(ops.MatMul, [mean.name, weight], {}, [1, n, 2 * units])
    const split = b.inner(ops.Reshape, [made.name, b.constant(int64s([-1, 2, units]))], {}, [n, 2, units])
    return b.inner(ops.Transpose, [split.name], { perm: [1, 0, 2] }, [2, n, units])
  }
  const weight = b.weights([features, units], 0.4, (k) => dead.has(k % units))
  const state = b.inner(ops.MatMul, [mean.name, weight], {}, [1, n, units])
  if (directions === 1) return state
  return b.inner(ops.Concat, [state.name, state.name], { axis: 0 }, [2, n, units])
}
