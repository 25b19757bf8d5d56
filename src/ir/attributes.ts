/**
 * Attributes. A file's attributes arrive as {@link RawAttributes}; each operator declares a schema that types them.
 * Whatever the schema cannot represent exactly (an unknown name, another kind, an integer beyond 2^53) makes the node
 * opaque, so that it is kept as it is.
 */
import type { Tensor } from './tensor.ts'

export type RawAttribute =
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: ReadonlyArray<bigint> }
  | { readonly kind: 'floats'; readonly value: ReadonlyArray<number> }
  | { readonly kind: 'strings'; readonly value: ReadonlyArray<string> }
  | { readonly kind: 'tensor'; readonly value: Tensor }

export type RawAttributes = ReadonlyMap<string, RawAttribute>

/** How one attribute reads from a file and is written back. `absent` is its value when the file has none. */
export interface Field<T> {
  readonly decode: (raw: RawAttribute) => T | undefined
  readonly encode: (value: T) => RawAttribute | undefined
  readonly absent: T
}

export type Schema<A> = { readonly [K in keyof A]: Field<A[K]> }

const safe = (x: bigint): number | undefined => {
  const n = Number(x)
  return Number.isSafeInteger(n) ? n : undefined
}

const allSafe = (xs: ReadonlyArray<bigint>): ReadonlyArray<number> | undefined => {
  const out: number[] = []
  for (const x of xs) {
    const n = safe(x)
    if (n === undefined) return undefined
    out.push(n)
  }
  return out
}

/** Written only where it differs from what an absent attribute means, so that round trips add nothing. */
export const int = (absent: number): Field<number> => ({
  decode: (raw) => (raw.kind === 'int' ? safe(raw.value) : undefined),
  encode: (value) => (value === absent ? undefined : { kind: 'int', value: BigInt(value) }),
  absent,
})

export const optionalInt: Field<number | undefined> = {
  decode: (raw) => (raw.kind === 'int' ? safe(raw.value) : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'int', value: BigInt(value) }),
  absent: undefined,
}

export const float = (absent: number): Field<number> => ({
  decode: (raw) => (raw.kind === 'float' ? raw.value : undefined),
  encode: (value) => (Object.is(value, absent) ? undefined : { kind: 'float', value }),
  absent,
})

export const optionalFloat: Field<number | undefined> = {
  decode: (raw) => (raw.kind === 'float' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'float', value }),
  absent: undefined,
}

export const optionalInts: Field<ReadonlyArray<number> | undefined> = {
  decode: (raw) => (raw.kind === 'ints' ? allSafe(raw.value) : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'ints', value: value.map(BigInt) }),
  absent: undefined,
}

/** A 64-bit integer kept exactly. */
export const optionalBigInt: Field<bigint | undefined> = {
  decode: (raw) => (raw.kind === 'int' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'int', value }),
  absent: undefined,
}

/** 64-bit integers kept exactly, for attributes where INT64_MAX means "to the end". */
export const optionalBigInts: Field<ReadonlyArray<bigint> | undefined> = {
  decode: (raw) => (raw.kind === 'ints' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'ints', value }),
  absent: undefined,
}

export const optionalFloats: Field<ReadonlyArray<number> | undefined> = {
  decode: (raw) => (raw.kind === 'floats' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'floats', value }),
  absent: undefined,
}

export const string = <T extends string>(absent: T, ...others: ReadonlyArray<T>): Field<T> => ({
  decode: (raw) => (raw.kind === 'string' ? [absent, ...others].find((x) => x === raw.value) : undefined),
  encode: (value) => (value === absent ? undefined : { kind: 'string', value }),
  absent,
})

/** Any text. */
export const text = (absent: string): Field<string> => ({
  decode: (raw) => (raw.kind === 'string' ? raw.value : undefined),
  encode: (value) => (value === absent ? undefined : { kind: 'string', value }),
  absent,
})

export const optionalStrings: Field<ReadonlyArray<string> | undefined> = {
  decode: (raw) => (raw.kind === 'strings' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'strings', value }),
  absent: undefined,
}

/** Has no default, so it is always written. */
export const requiredString = <T extends string>(first: T, ...others: ReadonlyArray<T>): Field<T> => ({
  ...string(first, ...others),
  encode: (value) => ({ kind: 'string', value }),
})

export const optionalTensor: Field<Tensor | undefined> = {
  decode: (raw) => (raw.kind === 'tensor' ? raw.value : undefined),
  encode: (value) => (value === undefined ? undefined : { kind: 'tensor', value }),
  absent: undefined,
}
