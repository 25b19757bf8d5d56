/**
 * Reads pickles without running them: one loop over the bytes with a stack of its own, which builds inert values.
 * Python's own reader imports what a pickle names and calls it; this one writes down what was asked for.
 * Time and memory are bounded by the length of the file, and by {@link instructionLimit}.
 */
import * as E from 'fp-ts/lib/Either.js'
import { tensorFileError, type TensorFileError } from '../file-entry.ts'
import { machineAt, pop, truncated, underflow } from './machine.ts'
import { steps } from './opcodes.ts'
import type { Persistent, Value } from './value.ts'

/** An instruction takes up to a hundred bytes of memory; checkpoints of the largest models have some hundred thousand. */
const instructionLimit = 4_000_000

const stop = 0x2e

export interface Pickle {
  readonly value: Value
  /** Full names of what it wants called. */
  readonly calls: ReadonlySet<string>
  /** What it refers to outside of itself. */
  readonly persistent: ReadonlyArray<Persistent>
  /** Where in the bytes it ends. */
  readonly end: number
}

const damaged = (expected: string, found: string): E.Either<TensorFileError, never> =>
  E.left(tensorFileError('checkpoint', expected, found, 'The file is damaged or incomplete; save it again.'))

/** The pickle that starts at byte `start`. */
export const readPickle = (bytes: Uint8Array, start = 0): E.Either<TensorFileError, Pickle> => {
  const m = machineAt(bytes, start)
  for (let count = 0; count < instructionLimit; count++) {
    const code = bytes[m.at]
    if (code === undefined) return damaged(...truncated)
    m.at += 1
    if (code === stop) {
      const value = pop(m)
      if (value === undefined) return damaged(...underflow)
      if (m.stack.length > 0 || m.marks.length > 0) return damaged('one value', 'several')
      return E.right({ value, calls: m.calls, persistent: m.persistent, end: m.at })
    }
    const step = steps.get(code)
    if (step === undefined) return damaged('an instruction of a pickle', `byte ${code} at ${m.at - 1}`)
    const problem = step(m)
    if (problem !== undefined) return damaged(...problem)
  }
  return E.left(
    tensorFileError(
      'checkpoint',
      `at most ${instructionLimit} objects`,
      'more',
      'Save the tensors only: torch.save(model.state_dict(), file).',
    ),
  )
}

/** Whether bytes begin like a pickle: of protocol 2 and later by its mark, of earlier ones as dictionaries and lists do. */
export const looksLikePickle = (bytes: Uint8Array): boolean => {
  const [first = 0, second = 0, third = 0] = bytes
  if (first === 0x80) return second >= 2 && second <= 5
  if (first === 0x28) return (second === 0x64 || second === 0x6c) && third === 0x70
  return (first === 0x7d || first === 0x5d) && second === 0x71 && third === 0
}
