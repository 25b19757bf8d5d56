/**
 * Arithmetic on sizes that are partly symbols. A product of symbols is one symbol that lists its factors in order, so
 * that equal products are equal symbols however they were computed.
 */
import { type Dim, isAnonymous, type Shape } from './type.ts'

/** A number times symbols. */
interface Product {
  readonly coefficient: number
  /** Sorted. */
  readonly factors: ReadonlyArray<string>
}

const opening = 'mul('

/** The parts of `text` between commas that no parenthesis encloses; undefined when its parentheses do not match. */
const splitTop = (text: string): ReadonlyArray<string> | undefined => {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '(') depth += 1
    else if (c === ')') depth -= 1
    else if (c === ',' && depth === 0) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
    if (depth < 0) return undefined
  }
  return depth === 0 ? [...parts, text.slice(start)] : undefined
}

/** What a size multiplies; undefined for a symbol that a product could not spell unambiguously. */
const factorsOf = (dim: Dim): Product | undefined => {
  if (typeof dim === 'number') return { coefficient: dim, factors: [] }
  const text = dim.startsWith('?') ? dim.slice(1) : dim
  if (text.startsWith(opening) && text.endsWith(')')) {
    const parts = splitTop(text.slice(opening.length, -1))
    if (parts === undefined) return undefined
    const [first = '', ...rest] = parts
    const coefficient = Number(first)
    return Number.isSafeInteger(coefficient) ? { coefficient, factors: rest } : undefined
  }
  return splitTop(dim)?.length === 1 ? { coefficient: 1, factors: [dim] } : undefined
}

const print = ({ coefficient, factors }: Product): Dim => {
  const [only] = factors
  if (only === undefined || coefficient === 0) return coefficient
  if (factors.length === 1 && coefficient === 1) return only
  const text = `${opening}${coefficient},${factors.join(',')})`
  return factors.some(isAnonymous) ? `?${text}` : text
}

const multiply = (dims: Shape): Product | undefined => {
  let coefficient = 1
  const factors: string[] = []
  for (const dim of dims) {
    const product = factorsOf(dim)
    if (product === undefined) return undefined
    coefficient *= product.coefficient
    factors.push(...product.factors)
  }
  return Number.isSafeInteger(coefficient) ? { coefficient, factors: factors.sort() } : undefined
}

/** The product of sizes; undefined where it has no unambiguous symbol. The product of none is 1. */
export const productOf = (dims: Shape): Dim | undefined => {
  const product = multiply(dims)
  return product && print(product)
}

/**
 * `Π dims / Π divisors`, symbols on both sides cancelled; undefined where what is left does not divide. A symbol that
 * cancels is taken to be other than zero.
 */
export const quotientOf = (dims: Shape, divisors: Shape): Dim | undefined => {
  const over = multiply(dims)
  const under = multiply(divisors)
  if (over === undefined || under === undefined) return undefined
  const factors = [...over.factors]
  for (const factor of under.factors) {
    const at = factors.indexOf(factor)
    if (at < 0) return undefined
    factors.splice(at, 1)
  }
  const coefficient = over.coefficient / under.coefficient
  return Number.isSafeInteger(coefficient) ? print({ coefficient, factors }) : undefined
}

/**
 * Stands for an element of an integer tensor of which nothing is known, in contents of which the rest is known. It
 * need not be a size: it may be zero or negative, and the dimension that it becomes has a symbol of its own.
 */
export const unknownElement = (value: string, index: number): Dim => `?!${value}.${index}`

/** Whether a known element is a size, or computed from sizes, rather than an {@link unknownElement}. */
export const isKnownElement = (element: Dim): boolean => typeof element === 'number' || !element.includes('?!')
