/** How names, sizes and elements are spelled in the textual form; shared by the printer and the parser. */
import { bitsOf, type DType, isWide } from './dtype.ts'
import { sameBytes } from './equal.ts'
import { encodeElements } from './element-codec.ts'
import { type Dense, elements, isNumeric } from './tensor.ts'

/** Words that start a line which is not a node. */
export const keywords: ReadonlySet<string> = new Set([
  'graph',
  'model',
  'uses',
  'input',
  'default',
  'const',
  'hint',
  'output',
])

/** A name that needs no quotes; `::` is part of it, a single colon is not. */
export const bareName = /[\w./%@-]+(?:::[\w./%@-]+)*/y

const matchesWhole = (pattern: RegExp, text: string): boolean => {
  pattern.lastIndex = 0
  return pattern.exec(text)?.[0] === text
}

/** A value's name; `_` for an omitted port. */
export const spellName = (name: string): string => {
  if (name === '') return '_'
  return name !== '_' && !keywords.has(name) && matchesWhole(bareName, name) ? name : JSON.stringify(name)
}

/** A symbol that needs no quotes as a dimension. */
export const bareSymbol = /[A-Za-z_]\w*/y

export const spellSymbol = (symbol: string): string =>
  matchesWhole(bareSymbol, symbol) ? symbol : JSON.stringify(symbol)

/** A floating-point number, or an integer, in decimal. */
export const decimal = /-?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|inf\b)|nan\b/y

export const readDecimal = (text: string): number =>
  text === 'inf' ? Infinity : text === '-inf' ? -Infinity : text === 'nan' ? NaN : Number(text)

const spellDouble = (x: number): string => {
  if (Number.isNaN(x)) return 'nan'
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf'
  return Object.is(x, -0) ? '-0' : String(x)
}

/** The shortest decimal that `same` takes for `x`. */
const shortest = (x: number, same: (y: number) => boolean): string => {
  if (Number.isFinite(x)) {
    for (let digits = 1; digits < 17; digits++) {
      const y = Number(x.toPrecision(digits))
      if (same(y)) return spellDouble(y)
    }
  }
  return spellDouble(x)
}

/** An attribute's number: `0.01f` is the float32 nearest to 0.01, `0.01` the double, both told from integers. */
export const spellFloat = (x: number): string => {
  if (!Number.isFinite(x)) return spellDouble(x)
  if (Object.is(Math.fround(x), x)) return `${shortest(x, (y) => Object.is(Math.fround(y), x))}f`
  const text = spellDouble(x)
  return /[.e]/.test(text) ? text : `${text}.0`
}

/** Bits of element `i` as hexadecimal, most significant digit first. */
const spellBits = (bytes: Uint8Array, i: number, width: number): string => {
  let text = ''
  for (let b = width - 1; b >= 0; b--) text += (bytes[i * width + b] ?? 0).toString(16).padStart(2, '0')
  return `0x${text}`
}

/**
 * The elements one by one, each as a number that reads back to the same bits, else as its bits. Undefined where that
 * cannot be: packed types with stray bits or without numbers.
 */
export const spellElements = (tensor: Dense): ReadonlyArray<string> | undefined => {
  const { dtype, bytes } = tensor
  if (tensor.strings) return spellStrings(tensor.strings)
  const width = bitsOf(dtype) / 8
  if (!isNumeric(dtype)) {
    return width < 1 ? undefined : Array.from({ length: bytes.length / width }, (_, i) => spellBits(bytes, i, width))
  }
  const values = Array.from<number | bigint>(elements(tensor))
  if (width < 1) {
    const again = encodeElements(dtype, values.map(Number))
    return sameBytes(again, bytes) ? values.map(String) : undefined
  }
  return values.map((x, i) => {
    const own = bytes.subarray(i * width, (i + 1) * width)
    const same = (y: number): boolean => sameBytes(encodeElements(dtype, [y]), own)
    const text = typeof x === 'bigint' ? String(x) : dtype === 'bool' ? spellBool(x) : shortest(x, same)
    const bits = text === undefined ? undefined : readElement(dtype, text)
    return text !== undefined && bits !== undefined && sameBytes(bits, own) ? text : spellBits(bytes, i, width)
  })
}

const spellBool = (x: number): string | undefined => (x === 0 ? 'false' : x === 1 ? 'true' : undefined)

const spellStrings = (strings: ReadonlyArray<Uint8Array>): ReadonlyArray<string> | undefined => {
  const texts: string[] = []
  for (const utf8 of strings) {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(utf8)
    if (!sameBytes(new TextEncoder().encode(text), utf8)) return undefined
    texts.push(JSON.stringify(text))
  }
  return texts
}

/** One element as written by {@link spellElements}, other than of a string or packed tensor. */
export const elementPattern = /0x[0-9a-fA-F]+|true\b|false\b|nan\b|-?inf\b|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?/y

/** The bytes of one element of a type of whole bytes; undefined where `text` is none. */
export const readElement = (dtype: DType, text: string): Uint8Array | undefined => {
  const width = bitsOf(dtype) / 8
  if (text.startsWith('0x')) {
    if (text.length !== 2 + 2 * width) return undefined
    return Uint8Array.from({ length: width }, (_, b) => {
      const end = text.length - 2 * b
      return Number.parseInt(text.slice(end - 2, end), 16)
    })
  }
  if (!isNumeric(dtype)) return undefined
  if (dtype === 'bool') return text === 'true' ? Uint8Array.of(1) : text === 'false' ? Uint8Array.of(0) : undefined
  if (isWide(dtype)) return readWide(dtype, text)
  const number = readDecimal(text)
  const bytes = encodeElements(dtype, [number])
  const isInteger = dtype.includes('int')
  return isInteger && Number(elementOf(dtype, bytes)) !== number ? undefined : bytes
}

const elementOf = (dtype: DType, bytes: Uint8Array): number | bigint | undefined =>
  elements({ tag: 'Dense', dtype, shape: [1], bytes })[0]

const readWide = (dtype: 'int64' | 'uint64', text: string): Uint8Array | undefined => {
  if (!/^-?\d+$/.test(text)) return undefined
  const number = BigInt(text)
  const bytes = encodeElements(dtype, BigUint64Array.of(BigInt.asUintN(64, number)))
  return elementOf(dtype, bytes) === number ? bytes : undefined
}
