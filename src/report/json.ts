/** Results as JSON. */
import { printable } from '../ir/printable.ts'

/**
 * JSON text with two spaces of indentation: maps as objects, typed arrays as lists, 64-bit integers and numbers that JSON
 * has no form for (NaN, infinities) as strings. Characters that are not safe to show are escaped. The same value gives the
 * same text; `indent` 0 puts it on one line.
 */
export const toJson = (value: unknown, indent = 2): string => {
  const text: unknown = JSON.stringify(
    value,
    (_key, item: unknown) => {
      if (typeof item === 'number' && !Number.isFinite(item)) return String(item)
      if (typeof item === 'bigint') return String(item)
      if (item instanceof Map) return Object.fromEntries(item)
      if (item instanceof Set) return [...item]
      if (ArrayBuffer.isView(item) && !(item instanceof DataView)) return listOf(item)
      return item
    },
    indent,
  )
  // There is none for undefined.
  return printable(String(text))
}

const listOf = (view: ArrayBufferView): unknown => (isIterable(view) ? [...view] : [])

const isIterable = (x: object): x is Iterable<unknown> => Symbol.iterator in x
