/** How well a table of costs predicts layers that it was not made of. */
import { writeFile } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { CostTable } from '../src/cost/table.ts'
import { cpuTables } from '../src/cost/tables/index.ts'
import { type MeasuredLayer, measureLayers, errorsOf, tableOf } from '../src/package/tune.ts'
import { renderError } from '../src/ir/failure.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatPercent } from '../src/report/units.ts'
import type { BenchResult } from './result.ts'

export interface CostOptions {
  /** Layers that a table is made of; 0: the table that is committed is asked. */
  readonly fit: number
  readonly held: number
  readonly seed: number
  readonly threads: number
  /** Where the new table is written, as a module of `src/cost/tables`. */
  readonly table?: string
  readonly about?: string
}

export const benchCost = async (options: CostOptions): Promise<BenchResult> => {
  const { fit, held, seed, threads } = options
  const measure = async (layers: number, from: number) => {
    const measured = await measureLayers({ layers, seed: from, threads })()
    if (E.isLeft(measured)) throw new Error(renderError(measured.left))
    return measured.right
  }
  const test = await measure(held, seed + 1)
  const made =
    fit === 0 ? undefined : tableOf(options.about ?? '', test.block, threads, (await measure(fit, seed)).layers)
  const table = made ?? Object.values(cpuTables).find(({ block }) => block === test.block)
  if (table === undefined) throw new Error(`there is no table for blocks of ${test.block} channels`)
  if (options.table !== undefined) await writeFile(options.table, moduleOf(table))
  const rows = [['all', test.layers] as const, ...byKernel(test.layers)].flatMap(([kernel, some]) => {
    const errors = errorsOf(table, some)
    return errors.length === 0 ? [] : [{ kernel, layers: errors.length, ...quantiles(errors) }]
  })
  const text = renderTable(
    [
      { title: '' },
      ...['layers', 'median error', 'worst tenth from'].map((title) => ({ title, align: 'right' as const })),
    ],
    rows.map((row) => [row.kernel, String(row.layers), formatPercent(row.median), formatPercent(row.worst)]),
    plainStyle,
  )
  return { json: { ...options, block: test.block, rows }, text }
}

const byKernel = (
  layers: ReadonlyArray<MeasuredLayer>,
): ReadonlyArray<readonly [string, ReadonlyArray<MeasuredLayer>]> =>
  [...new Set(layers.map(({ kernel }) => kernel))]
    .sort()
    .map((name) => [name, layers.filter(({ kernel }) => kernel === name)])

const quantiles = (errors: ReadonlyArray<number>): { readonly median: number; readonly worst: number } => {
  const sorted = errors.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
  return { median: at(0.5), worst: at(0.9) }
}

const moduleOf = ({ about, block, threads, kernels }: CostTable): string => {
  const lines = Object.entries(kernels).map(([name, numbers]) => {
    const key = /^\w+$/.test(name) ? name : `'${name}'`
    return `    ${key}: [${numbers.join(', ')}],`
  })
  return `/** ${about} */
import type { CostTable } from '../table.ts'

export const cpuOf${block}: CostTable = {
  about: '${about}',
  block: ${block},
  threads: ${threads},
  kernels: {
${lines.join('\n')}
  },
}
`
}
