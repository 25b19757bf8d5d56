/** Making nodes of operators that are known by their definition. With `registry.ts` the only place of type assertions. */
import type { Field } from './attributes.ts'
import type { Node, OpDef } from './op.ts'

/** A node of operator `op`; attributes not given take their defaults. */
export const makeNode = <Name extends string, A>(
  op: OpDef<Name, A>,
  inputs: ReadonlyArray<string>,
  outputs: ReadonlyArray<string>,
  attrs: Partial<A> = {},
  name = '',
): Node<Name, A> => ({ op: op.name, attrs: { ...defaults(op), ...attrs }, inputs, outputs, name })

const defaults = <A>(op: OpDef<string, A>): A => {
  const out: Record<string, unknown> = {}
  for (const [key, field] of fieldsOf(op)) out[key] = field.absent
  return out as A
}

export const fieldsOf = (op: { readonly schema: object }): ReadonlyArray<[string, Field<unknown>]> =>
  Object.entries(op.schema as Record<string, Field<unknown>>)
