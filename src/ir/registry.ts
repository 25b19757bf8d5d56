/**
 * The operators by name, and the questions passes ask of a node. With `make-node.ts` the only file with type assertions: TypeScript
 * cannot follow from a node's name to the type of its attributes through a table.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { RawAttribute, RawAttributes } from './attributes.ts'
import { unqualified } from './domain.ts'
import { fieldsOf } from './make-node.ts'
import type { Node, OpDef } from './op.ts'
import * as ops from './ops/index.ts'
import * as microsoft from './ops/microsoft/index.ts'

export type OpName = keyof typeof ops

/** Every export of `ops/index.ts` is an operator under its own name; anything else does not compile. */
const byName: { readonly [K in OpName]: (typeof ops)[K] extends OpDef<K, infer _A> ? (typeof ops)[K] : never } = ops

/** The same for the operators of `com.microsoft`, whose names begin with the domain. */
const ofMicrosoft: {
  readonly [K in keyof typeof microsoft]: (typeof microsoft)[K] extends OpDef<`com.microsoft.${K}`, infer _A>
    ? (typeof microsoft)[K]
    : never
} = microsoft

export type AttributesOf<K extends OpName> = (typeof ops)[K] extends OpDef<K, infer A> ? A : never

/** A node of a known operator, its attributes typed by its name. */
export type KnownNode = { [K in OpName]: Node<K, AttributesOf<K>> }[OpName]

/** An operator whose attribute type is not known here. */
export type AnyOp = OpDef<string, unknown>

export const allOps: ReadonlyArray<AnyOp> = [
  ...(Object.values({ ...byName }) as ReadonlyArray<AnyOp>),
  ...(Object.values(ofMicrosoft) as ReadonlyArray<AnyOp>),
]

const table: ReadonlyMap<string, AnyOp> = new Map(allOps.map((op) => [op.name, op]))

export const findOp = (name: string): AnyOp | undefined => table.get(name)

export const opOf = (node: Node): AnyOp => {
  const op = table.get(node.op)
  if (op === undefined) throw new Error(`chasec: internal invariant broken: no operator ${node.op}.`)
  return op
}

/** Whether a model that imports `opsets` has the operator of `node` in a version that is known. */
export const isOfOpset = (node: Node, opsets: ReadonlyMap<string, number>): boolean => {
  const [first, last] = opOf(node).versions
  const opset = opsets.get(unqualified(node.op).domain) ?? 1
  return first <= opset && opset <= last
}

/** Whether `node` is of operator `op`; narrows its attributes. */
export const isOp = <Name extends string, A>(node: Node | undefined, op: OpDef<Name, A>): node is Node<Name, A> =>
  node !== undefined && node.op === op.name

/** Whether a node is one that the compiler does not look into. */
export const isOpaque = (node: Node): node is Node<'Opaque', AttributesOf<'Opaque'>> => isOp(node, ops.Opaque)

/** Typed attributes of a file's node, or why they cannot be represented. */
export const decodeAttributes = (op: AnyOp, raw: RawAttributes): E.Either<string, unknown> => {
  const out: Record<string, unknown> = {}
  const known = new Set<string>()
  for (const [key, field] of fieldsOf(op)) {
    known.add(key)
    const given = raw.get(key)
    const value = given === undefined ? field.absent : field.decode(given)
    if (given !== undefined && value === undefined)
      return E.left(`attribute ${key} of ${op.name} is not one chasec models`)
    out[key] = value
  }
  for (const key of raw.keys()) if (!known.has(key)) return E.left(`${op.name} has an unknown attribute ${key}`)
  return E.right(out)
}

/** A node's attributes as the file holds them, those at their default left out. */
export const encodeAttributes = (node: Node): RawAttributes => {
  const out = new Map<string, RawAttribute>()
  const attrs = node.attrs as Record<string, unknown>
  for (const [key, field] of fieldsOf(opOf(node))) {
    const raw = field.encode(attrs[key])
    if (raw !== undefined) out.set(key, raw)
  }
  return out
}
