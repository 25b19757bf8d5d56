/** What the translation of an operator is given, and what it answers. */
import * as E from 'fp-ts/lib/Either.js'
import type { Builder } from '../builder.ts'
import type { Operand } from '../operand.ts'
import type { Attributes } from './attributes.ts'

export interface Call {
  readonly b: Builder
  readonly op: string
  readonly inputs: ReadonlyArray<Operand>
  readonly attrs: Attributes
}

/** The outputs of a node; or why it cannot be translated, as what was found. */
export type Lowered = E.Either<string, ReadonlyArray<Operand>>

export type Lowering = (call: Call) => Lowered

export const one = (x: Operand): Lowered => E.right([x])

const missing = ({ inputs }: Call): Lowered => E.left(`${inputs.length} inputs`)

/** Of the first input. */
export const unary =
  (use: (call: Call, x: Operand) => Lowered): Lowering =>
  (call) => {
    const [x] = call.inputs
    return x === undefined ? missing(call) : use(call, x)
  }

/** Of the first two inputs. */
export const binary =
  (use: (call: Call, x: Operand, y: Operand) => Lowered): Lowering =>
  (call) => {
    const [x, y] = call.inputs
    return x === undefined || y === undefined ? missing(call) : use(call, x, y)
  }

/** Of the first three inputs. */
export const ternary =
  (use: (call: Call, x: Operand, y: Operand, z: Operand) => Lowered): Lowering =>
  (call) => {
    const [x, y, z] = call.inputs
    return x === undefined || y === undefined || z === undefined ? missing(call) : use(call, x, y, z)
  }

/** The integers that an input holds for every input of the model. */
export const integersAt = ({ b, inputs }: Call, port: number): E.Either<string, ReadonlyArray<number>> => {
  const operand = inputs[port]
  const values = operand && b.integersOf(operand)
  return values === undefined ? E.left(`input ${port} not a constant`) : E.right(values)
}

/** The number of axes of an input. */
export const rankAt = ({ b, inputs }: Call, port: number): E.Either<string, number> => {
  const operand = inputs[port]
  const rank = operand && b.rankOf(operand)
  return rank === undefined ? E.left(`input ${port} of unknown rank`) : E.right(rank)
}
