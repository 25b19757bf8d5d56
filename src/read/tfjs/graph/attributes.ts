/**
 * Attributes of a node of a TensorFlow graph, as protobuf writes them in JSON: 64-bit integers as text, bytes in base64, what is
 * 0, false or empty left out.
 * Format: tensorflow/core/framework/attr_value.proto
 */
import { fromBase64 } from '../../../ir/base64.ts'
import type { DType } from '../../../ir/dtype.ts'
import { isRecord } from '../../../ir/record.ts'

export interface Attributes {
  readonly has: (name: string) => boolean
  readonly int: (name: string, absent: number) => number
  readonly float: (name: string, absent: number) => number
  readonly bool: (name: string, absent: boolean) => boolean
  readonly text: (name: string, absent: string) => string
  readonly ints: (name: string) => ReadonlyArray<number>
  readonly texts: (name: string) => ReadonlyArray<string>
  /** Undefined where it is absent or no type that TensorFlow.js has. */
  readonly dtype: (name: string) => DType | undefined
  /** Unknown sizes are -1; undefined where even the rank is. */
  readonly shape: (name: string) => ReadonlyArray<number> | undefined
}

/** The element types that TensorFlow.js makes of those of TensorFlow, which it has names or numbers for. */
const dtypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['DT_FLOAT', 'float32'],
  ['1', 'float32'],
  ['DT_DOUBLE', 'float32'],
  ['2', 'float32'],
  ['DT_HALF', 'float32'],
  ['19', 'float32'],
  ['DT_INT32', 'int32'],
  ['3', 'int32'],
  ['DT_UINT8', 'int32'],
  ['4', 'int32'],
  ['DT_INT8', 'int32'],
  ['6', 'int32'],
  ['DT_INT64', 'int32'],
  ['9', 'int32'],
  ['DT_BOOL', 'bool'],
  ['10', 'bool'],
  ['DT_STRING', 'string'],
  ['7', 'string'],
])

const integerOf = (x: unknown): number | undefined => {
  const value = numberOf(x)
  return Number.isSafeInteger(value) ? value : undefined
}

const numberOf = (x: unknown): number | undefined => {
  const value = typeof x === 'number' ? x : typeof x === 'string' && x !== '' ? Number(x) : NaN
  return Number.isFinite(value) ? value : undefined
}

/** Text that is spelt in base64, or as the codes of its characters. */
const textOf = (x: unknown): string | undefined => {
  const bytes = typeof x === 'string' ? fromBase64(x) : Array.isArray(x) ? Uint8Array.from(x, Number) : undefined
  return bytes && new TextDecoder().decode(bytes)
}

const listOf = <T>(value: unknown, key: string, decode: (x: unknown) => T | undefined): ReadonlyArray<T> => {
  const list = isRecord(value) && isRecord(value['list']) ? value['list'][key] : undefined
  return Array.isArray(list) ? list.flatMap((x) => decode(x) ?? []) : []
}

export const attributesOf = (attr: unknown): Attributes => {
  const at = (name: string): unknown => (isRecord(attr) && Object.hasOwn(attr, name) ? attr[name] : undefined)
  const field = (name: string, key: string): unknown => {
    const value = at(name)
    return isRecord(value) ? value[key] : undefined
  }
  return {
    has: (name) => at(name) !== undefined,
    int: (name, absent) => integerOf(field(name, 'i')) ?? absent,
    // An attribute that is there and has no number is 0, as protobuf leaves that out.
    float: (name, absent) =>
      numberOf(field(name, 'f')) ?? numberOf(field(name, 'i')) ?? (at(name) === undefined ? absent : 0),
    bool: (name, absent) => {
      const value = field(name, 'b')
      return typeof value === 'boolean' ? value : at(name) === undefined ? absent : false
    },
    text: (name, absent) => textOf(field(name, 's')) ?? absent,
    ints: (name) => listOf(at(name), 'i', integerOf),
    texts: (name) => listOf(at(name), 's', textOf),
    dtype: (name) => dtypes.get(String(field(name, 'type'))),
    shape: (name) => {
      const shape = field(name, 'shape')
      if (!isRecord(shape) || shape['unknownRank'] === true) return undefined
      const dims = shape['dim'] ?? []
      return Array.isArray(dims) ? dims.map((dim) => (isRecord(dim) ? (integerOf(dim['size']) ?? 0) : 0)) : undefined
    },
  }
}
