/** Results as JSON. */

/**
 * JSON text with two spaces of indentation: maps as objects, typed arrays as lists, 64-bit integers and numbers that JSON
 * has no form for (NaN, infinities) as strings. The same value gives the same text.
 */
export const toJson = (value: unknown): string =>
  JSON.stringify(
    value,
    (_key, item: unknown) => {
      if (typeof item === 'number' && !Number.isFinite(item)) return String(item)
      if (typeof item === 'bigint') return String(item)
      if (item instanceof Map) return Object.fromEntries(item)
      if (item instanceof Set) return [...item]
      if (ArrayBuffer.isView(item) && !(item instanceof DataView)) return listOf(item)
      return item
    },
    2,
  )

const listOf = (view: ArrayBufferView): unknown => (isIterable(view) ? [...view] : [])

const isIterable = (x: object): x is Iterable<unknown> => Symbol.iterator in x
