/** Tables of what work takes on a machine: where they are kept, and the option that names one. */
import { Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { readFileSync } from 'node:fs'
import { type CostError, parseCosts } from '../cost/read.ts'
import { cpuTables } from '../cost/tables/index.ts'
import type { CostTable } from '../cost/table.ts'
import { failure } from '../ir/failure.ts'
import type { Environment } from './environment.ts'
import { join } from 'node:path'
import { existing } from './wrong-argument.ts'

/** The word for the table of this machine. */
const measured = 'measured'

/** Tables that come with chasec. */
const named: ReadonlyMap<string, CostTable> = new Map(Object.entries(cpuTables))

/** Where `chasec tune` keeps the table of this machine. */
export const costsFile = ({ cache }: Environment): string => join(cache, 'costs.json')

export interface CostsFlags {
  readonly costs?: string
}

export const costsOption = (): Option =>
  new Option(
    '--costs <table>',
    'what layers take on the machine that the model is for: avx512 (the default), avx2, "measured" by `chasec tune` on this one, ' +
      'or a file of it (cpu only)',
  ).argParser(existing('a table of chasec tune', [measured, ...named.keys()]))

/** The table that the option names; undefined where it is not there. */
export const readCosts = (
  { costs }: CostsFlags,
  environment: Environment,
): E.Either<CostError, CostTable | undefined> => {
  const known = costs === undefined ? undefined : named.get(costs)
  if (costs === undefined || known !== undefined) return E.right(known)
  const path = costs === measured ? costsFile(environment) : costs
  const text = E.tryCatch(() => readFileSync(path, 'utf8'), String)
  if (E.isRight(text)) return parseCosts(text.right, path)
  const expected = 'a table that chasec tune wrote'
  return E.left(failure('CostError', '--costs', expected, `nothing to read at ${path}`, 'Run `chasec tune` first.'))
}
