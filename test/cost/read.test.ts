/** Tables of costs as files. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { parseCosts, printCosts } from '../../src/cost/read.ts'
import { cpuTables } from '../../src/cost/tables/index.ts'
import type { CostTable } from '../../src/cost/table.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { buildGraph } from '../builder.ts'

const parsed = (text: string): E.Either<unknown, CostTable> => parseCosts(text, 'costs.json')

describe('a table', () => {
  test.each(Object.values(cpuTables).map((table) => [table.about, table] as const))(
    'that is written is read again: %s',
    (_, table) => {
      expect(parsed(printCosts(table))).toEqual(E.right(table))
    },
  )

  const good = { about: 'a test', block: 8, threads: 1, kernels: { product: [1, 0, 2] } }
  test.each([
    ['{', 'JSON'],
    ['[]', 'about: a text'],
    [{ ...good, about: 3 }, 'about: a text'],
    [{ ...good, block: 4 }, 'block: one of 1, 8, 16'],
    [{ ...good, threads: 0 }, 'threads: a whole number, 1 or more'],
    [{ ...good, kernels: [] }, 'kernels: coefficients by name'],
    [{ ...good, kernels: { product: [1, -1] } }, 'kernels.product: a list of numbers, none below 0'],
    [{ ...good, kernels: { product: 'x' } }, 'kernels.product: a list of numbers, none below 0'],
    [{ ...good, kernels: {} }, 'kernels.product'],
  ])('%o is refused', (content, expected) => {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    expect(parsed(text)).toMatchObject({ left: { _tag: 'CostError', subject: 'costs.json', expected } })
  })
  test('of few kernels is one', () => {
    expect(parsed(JSON.stringify(good))).toEqual(E.right(good))
  })
})

describe('compile', () => {
  const graph = buildGraph({ x: ['N', 4, 56, 56] }, (b) => {
    const rows = Array.from({ length: 10 }, (_, i) => i)
    const y = b.op(ops.Relu, [b.op(ops.Conv, ['x', b.weight('a', [16, 4, 1, 1], { rows })])])
    return [b.op(ops.Conv, [y, b.weight('b', [32, 16, 1, 1])])]
  })
  const width = (costs: CostTable): number | undefined => {
    const compiled = compile(graph, noMasks, { costs })
    return E.isRight(compiled) ? compiled.right.report.layers[0]?.outputs.after : undefined
  }
  test('rounds widths for the machine of the table', () => {
    const measured = cpuTables.avx512
    expect(width(measured)).toBe(16)
    expect(width(cpuTables.avx2)).toBe(8)
    // Without blocks six channels take less than sixteen.
    expect(width({ ...measured, block: 1 })).toBe(6)
    // A table that knows products only counts multiply-accumulates.
    expect(width({ ...measured, kernels: { product: measured.kernels['product'] ?? [] } })).toBe(6)
  })
  test('has costs of CPUs only', () => {
    expect(compile(graph, noMasks, { target: 'cuda', costs: cpuTables.avx2 })).toMatchObject({
      left: { _tag: 'OptionError', subject: 'costs', found: 'target cuda' },
    })
  })
})
