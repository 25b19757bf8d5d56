import * as E from 'fp-ts/lib/Either.js'
import {
  type Field,
  optionalBigInt,
  optionalBigInts,
  optionalFloat,
  optionalFloats,
  optionalTensor,
} from '../attributes.ts'
import { defineOp } from '../op.ts'
import { type Dense, integersOf, materialize, type Tensor, tensorOf } from '../tensor.ts'
import { tensorType } from '../type.ts'

export interface ConstantAttributes {
  readonly value: Tensor | undefined
  readonly value_float: number | undefined
  readonly value_floats: ReadonlyArray<number> | undefined
  readonly value_int: bigint | undefined
  readonly value_ints: ReadonlyArray<bigint> | undefined
  readonly value_string: string | undefined
  readonly value_strings: ReadonlyArray<string> | undefined
}

const optionalString: Field<string | undefined> = {
  decode: (raw) => (raw.kind === 'string' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'string', value }),
  absent: undefined,
}

const optionalStrings: Field<ReadonlyArray<string> | undefined> = {
  decode: (raw) => (raw.kind === 'strings' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'strings', value }),
  absent: undefined,
}

const strings = (shape: ReadonlyArray<number>, values: ReadonlyArray<string>): Dense => {
  const utf8 = new TextEncoder()
  return { tag: 'Dense', dtype: 'string', shape, bytes: new Uint8Array(), strings: values.map((s) => utf8.encode(s)) }
}

/** The tensor that the attributes spell: a scalar for `value_float` and its like, a vector for the plural forms. */
const valueOf = (a: ConstantAttributes): Tensor | undefined => {
  if (a.value !== undefined) return a.value
  if (a.value_float !== undefined) return tensorOf('float32', [], [a.value_float])
  if (a.value_floats !== undefined) return tensorOf('float32', [a.value_floats.length], a.value_floats)
  if (a.value_int !== undefined) return tensorOf('int64', [], BigInt64Array.of(a.value_int))
  if (a.value_ints !== undefined) return tensorOf('int64', [a.value_ints.length], BigInt64Array.from(a.value_ints))
  if (a.value_string !== undefined) return strings([], [a.value_string])
  return a.value_strings && strings([a.value_strings.length], a.value_strings)
}

/** A tensor written into the graph as a node. Folding makes it a constant of the graph. */
export const Constant = defineOp<'Constant', ConstantAttributes>({
  name: 'Constant',
  versions: [1, Infinity],
  schema: {
    value: optionalTensor,
    value_float: optionalFloat,
    value_floats: optionalFloats,
    value_int: optionalBigInt,
    value_ints: optionalBigInts,
    value_string: optionalString,
    value_strings: optionalStrings,
  },
  inferTypes: (ctx) => {
    const value = valueOf(ctx.attrs)
    return value === undefined ? E.left('no value is given') : E.right([tensorType(value.dtype, value.shape)])
  },
  contents: (ctx) => {
    const value = valueOf(ctx.attrs)
    return value && integersOf(value)
  },
  links: 'opaque',
  evaluate: (ctx) => {
    const value = valueOf(ctx.attrs)
    return value && [materialize(value)]
  },
})
