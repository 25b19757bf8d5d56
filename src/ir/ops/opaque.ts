import * as E from 'fp-ts/lib/Either.js'
import type { RawAttributes } from '../attributes.ts'
import { defineOp, type ValueId } from '../op.ts'
import { unknownType } from '../type.ts'

/** A node the compiler does not look into: kept byte for byte, everything it touches pinned. */
export interface OpaqueAttributes {
  readonly domain: string
  readonly opType: string
  /** The serialised NodeProto; its input and output names are replaced by the node's when it is written. */
  readonly payload: Uint8Array
  /** Of a node that the compiler had looked into: its attributes, which with its name and operator are not in the payload. */
  readonly attributes: RawAttributes | undefined
  /** Outer values that its subgraphs read by name; these values keep their names. */
  readonly captures: ReadonlyArray<ValueId>
  /** Names that its subgraphs define; no new value takes one. */
  readonly defines: ReadonlyArray<ValueId>
  /** Why it is opaque, for reports. */
  readonly reason: string
}

const kept = <T>(absent: T) => ({ decode: () => undefined, encode: () => undefined, absent })

export const Opaque = defineOp({
  name: 'Opaque',
  versions: [1, Infinity],
  schema: {
    domain: kept<string>(''),
    opType: kept<string>(''),
    payload: kept<Uint8Array>(new Uint8Array()),
    attributes: kept<RawAttributes | undefined>(undefined),
    captures: kept<ReadonlyArray<ValueId>>([]),
    defines: kept<ReadonlyArray<ValueId>>([]),
    reason: kept<string>(''),
  },
  inferTypes: (ctx) => E.right(ctx.outputNames.map(() => unknownType)),
  links: 'opaque',
  keptFor: ({ attrs }) => (attrs.reason === '' ? undefined : attrs.reason),
})
