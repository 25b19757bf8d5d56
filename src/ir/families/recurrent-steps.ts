/** Recurrences computed step by step, in double and rounded once. */
import { isFloat } from '../dtype.ts'
import { numbersOf } from '../evaluate.ts'
import type { NodeContext } from '../op.ts'
import { type Dense, tensorOf } from '../tensor.ts'
import {
  type Activation,
  activationsOf,
  type Arithmetic,
  type Cell,
  directionsOf,
  ports,
  type RecurrentAttributes,
  type States,
  type Step,
} from './recurrent-cells.ts'

export const real: Arithmetic<number> = {
  of: (x) => x,
  add: (a, b) => a + b,
  times: (a, b) => a * b,
  apply: ({ f }, x) => f(x),
}

type Numbers = Float64Array | Float32Array

/** Rows of some size, from an operand that may be omitted. */
const rowReader = (tensor: Dense | undefined, size: number): ((row: number, at: number) => number) => {
  const values: Numbers | undefined = tensor && numbersOf(tensor)
  return (row, at) => values?.[row * size + at] ?? 0
}

/** All states, and then the last ones, the equations of the cell computed by `arithmetic`. */
export const evaluateRecurrence = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  { attrs }: Pick<NodeContext<A>, 'attrs'>,
  inputs: ReadonlyArray<Dense | undefined>,
  arithmetic: Arithmetic<number> = real,
): ReadonlyArray<Dense> | undefined => {
  const [x, w, r] = [inputs[ports.x], inputs[ports.w], inputs[ports.r]]
  const directions = directionsOf(attrs)
  const functions = activationsOf(attrs, cell.activations, directions)
  if (!x || !w || !r || !isFloat(x.dtype) || functions === undefined) return undefined
  const isTimeFirst = attrs.layout === 0
  const [first = 0, second = 0, features = 0] = x.shape
  const [time, batch] = isTimeFirst ? [first, second] : [second, first]
  const units = r.shape[2] ?? 0
  const rows = cell.gates * units
  const lengths = inputs[ports.lengths]
  const lengthOf = rowReader(lengths, 1)
  const [input, weight, recurrent] = [rowReader(x, features), rowReader(w, features), rowReader(r, units)]
  const [bias, peephole] = [rowReader(inputs[ports.b], 2 * rows), rowReader(inputs[ports.p], 3 * units)]
  const initial = [inputs[ports.h], cell.hasCellState ? inputs[ports.c] : undefined].map((one) => rowReader(one, units))
  const last = [0, 1].map(() => new Float64Array(directions * batch * units))
  const all = new Float64Array(time * directions * batch * units)
  const { clip: limit } = attrs
  const clip = limit === undefined ? (s: number) => s : (s: number) => Math.max(-limit, Math.min(limit, s))
  const stateRow = (d: number, n: number): number => (isTimeFirst ? d * batch + n : n * directions + d)
  for (let d = 0; d < directions; d++) {
    const isReversed = attrs.direction === 'reverse' || d === 1
    for (let n = 0; n < batch; n++) {
      const length = lengths === undefined ? time : lengthOf(n, 0)
      if (!(length >= 0 && length <= time)) return undefined
      const start = (state: number): number[] =>
        Array.from({ length: units }, (_, u) => initial[state]?.(stateRow(d, n), u) ?? 0)
      let states: States<number> = { hidden: start(0), cell: start(1) }
      for (let k = 0; k < length; k++) {
        const t = isReversed ? length - 1 - k : k
        const row = isTimeFirst ? t * batch + n : n * time + t
        states = cell.step(arithmetic, attrs, stepOf(functions[d] ?? [], row, d), states)
        const to = isTimeFirst ? (t * directions + d) * batch + n : (n * time + t) * directions + d
        all.set(states.hidden, to * units)
      }
      // A sequence of no steps ends with zeros in ONNX Runtime; ONNX does not say.
      if (length === 0) continue
      last[0]?.set(states.hidden, stateRow(d, n) * units)
      last[1]?.set(states.cell, stateRow(d, n) * units)
    }
  }
  function stepOf(activations: ReadonlyArray<Activation>, row: number, d: number): Step<number> {
    return {
      units,
      activations,
      clip,
      fromInput: (gate, u) => {
        const at = gate * units + u
        let sum = bias(d, at)
        for (let i = 0; i < features; i++) sum += input(row, i) * weight(d * rows + at, i)
        return sum
      },
      fromState: (gate, u, state) => {
        const at = gate * units + u
        let sum = bias(d, rows + at)
        for (let v = 0; v < units; v++) sum += state(v) * recurrent(d * rows + at, v)
        return sum
      },
      peephole: (index, u) => peephole(d, index * units + u),
    }
  }
  const [allShape, lastShape] = isTimeFirst
    ? [
        [time, directions, batch, units],
        [directions, batch, units],
      ]
    : [
        [batch, time, directions, units],
        [batch, directions, units],
      ]
  return [
    tensorOf(x.dtype, allShape, all),
    ...last.slice(0, cell.hasCellState ? 2 : 1).map((values) => tensorOf(x.dtype, lastShape, values)),
  ]
}
