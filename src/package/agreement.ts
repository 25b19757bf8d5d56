/** How far the outputs of one model are from those of another over many runs: sums that are added to run by run. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../ir/dtype.ts'
import { type Failure, failure } from '../ir/failure.ts'
import { numbersOf } from '../ir/evaluate.ts'
import type { Dense } from '../ir/tensor.ts'
import type { Agreement } from '../report/knee.ts'
import type { Tensors } from '../run/runner.ts'

interface Sums {
  samples: number
  /** By output Σ (y - ŷ)² and Σ y². */
  readonly squares: Map<string, { apart: number; size: number }>
  answers: number
  same: number
  labelled: number
  right: number
  denseRight: number
}

export const noAgreement = (): Sums => ({
  samples: 0,
  squares: new Map(),
  answers: 0,
  same: 0,
  labelled: 0,
  right: 0,
  denseRight: 0,
})

/** Adds a run. Labels are those of its samples. */
export const addRun = (
  sums: Sums,
  samples: number,
  expected: Tensors,
  found: Tensors,
  labels: ArrayLike<number> | undefined,
): void => {
  sums.samples += samples
  for (const [name, tensor] of expected) {
    const other = found.get(name)
    if (!isFloat(tensor.dtype) || other === undefined) continue
    const [a, b] = [numbersOf(tensor), numbersOf(other)]
    const known = sums.squares.get(name) ?? { apart: 0, size: 0 }
    a.forEach((x, i) => {
      known.apart += (x - (b[i] ?? NaN)) ** 2
      known.size += x * x
    })
    // Outputs of sizes that depend on their numbers have nothing to do with each other.
    if (a.length !== b.length) known.apart = Infinity
    sums.squares.set(name, known)
  }
  const first = [...expected.keys()][0] ?? ''
  const [dense, masked] = [expected.get(first), found.get(first)].map((tensor) => tensor && answersIn(tensor))
  if (dense === undefined || masked === undefined) return
  sums.answers += dense.length
  dense.forEach((answer, i) => {
    if (answer === masked[i]) sums.same += 1
  })
  if (labels === undefined || dense.length !== labels.length) return
  sums.labelled += labels.length
  dense.forEach((answer, i) => {
    if (answer === labels[i]) sums.denseRight += 1
    if (masked[i] === labels[i]) sums.right += 1
  })
}

/** The place of the largest number along the classes, the first of equals; undefined where there are none. */
const answersIn = (tensor: Dense): Int32Array | undefined => {
  const { shape, dtype } = tensor
  const axis = shape.length === 3 ? 2 : 1
  const classes = shape[axis] ?? 0
  if (!isFloat(dtype) || classes < 2) return undefined
  const values = numbersOf(tensor)
  const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1)
  return Int32Array.from({ length: values.length / classes }, (_, row) => {
    const start = Math.floor(row / inner) * classes * inner + (row % inner)
    let best = 0
    for (let c = 1; c < classes; c++) {
      if ((values[start + c * inner] ?? NaN) > (values[start + best * inner] ?? NaN)) best = c
    }
    return best
  })
}

/** Errors: no run, or no output of floats. */
export const agreementOf = (sums: Sums): E.Either<Failure, Agreement> => {
  const none = (subject: string, expected: string, help: string): E.Either<Failure, never> =>
    E.left(failure('RunError', subject, expected, 'none', help))
  if (sums.samples === 0) return none('calibration set', 'at least one sample', 'Give at least one input of the model.')
  if (sums.squares.size === 0)
    return none('outputs', 'one of floating-point numbers', 'Compare a model that gives numbers, such as logits.')
  const errors = Array.from(sums.squares.values(), ({ apart, size }) => (apart === 0 ? 0 : Math.sqrt(apart / size)))
  const share = (part: number, all: number): number | undefined => (all === 0 ? undefined : part / all)
  return E.right({
    samples: sums.samples,
    // What is no number is no agreement.
    error: errors.reduce((a, b) => Math.max(a, Number.isNaN(b) ? Infinity : b), 0),
    agreement: share(sums.same, sums.answers),
    accuracy: share(sums.right, sums.labelled),
    denseAccuracy: share(sums.denseRight, sums.labelled),
  })
}
