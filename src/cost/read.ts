/** A table of costs as a file: JSON. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../ir/failure.ts'
import type { CostTable } from './table.ts'
import type { Block } from './work.ts'

export type CostError = Failure<'CostError'>

export const printCosts = (table: CostTable): string => `${JSON.stringify(table, undefined, 2)}\n`

/** The table that `chasec tune` wrote, from its text; `name` is what errors call it. */
export const parseCosts = (text: string, name: string): E.Either<CostError, CostTable> => {
  const parsed = E.tryCatch((): unknown => JSON.parse(text), String)
  if (E.isLeft(parsed)) return E.left(costError(name, 'JSON', parsed.left))
  const fields = new Map<string, unknown>(isObject(parsed.right) ? Object.entries(parsed.right) : [])
  const [about, threads, given] = [fields.get('about'), fields.get('threads'), fields.get('kernels')]
  const block = blocks.find((one) => one === fields.get('block'))
  if (typeof about !== 'string') return E.left(costError(name, 'about: a text', JSON.stringify(about)))
  if (block === undefined)
    return E.left(costError(name, `block: one of ${blocks.join(', ')}`, JSON.stringify(fields.get('block'))))
  if (typeof threads !== 'number' || !Number.isSafeInteger(threads) || threads < 1)
    return E.left(costError(name, 'threads: a whole number, 1 or more', JSON.stringify(threads)))
  if (!isObject(given)) return E.left(costError(name, 'kernels: coefficients by name', JSON.stringify(given)))
  const kernels: Record<string, ReadonlyArray<number>> = {}
  for (const [kernel, list] of Object.entries(given)) {
    const numbers = (Array.isArray(list) ? list : [NaN]).map((x: unknown) => (typeof x === 'number' ? x : NaN))
    if (!numbers.every((x) => x >= 0 && x < Infinity))
      return E.left(costError(name, `kernels.${kernel}: a list of numbers, none below 0`, JSON.stringify(list)))
    kernels[kernel] = numbers
  }
  return needed in kernels
    ? E.right({ about, block, threads, kernels })
    : E.left(costError(name, `kernels.${needed}`, 'none of that name'))
}

const blocks: ReadonlyArray<Block> = [1, 8, 16]

/** The kernel that others are compared with. */
const needed = 'product'

const isObject = (x: unknown): x is object => typeof x === 'object' && x !== null && !Array.isArray(x)

const costError = (subject: string, expected: string, found: string): CostError =>
  failure('CostError', subject, expected, found, 'Measure this machine again: chasec tune.')
