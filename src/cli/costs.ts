/** Tables of what work takes on a machine: where they are kept, and the option that names one. */
import { Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { readFileSync } from 'node:fs'
import { type CostError, parseCosts } from '../cost/read.ts'
import type { CostTable } from '../cost/table.ts'
import { failure } from '../ir/failure.ts'
import type { Environment } from './environment.ts'
import { join } from 'node:path'
import { existing } from './wrong-argument.ts'

/** The word for the table of this machine. */
const measured = 'measured'

/** Where `chasec tune` keeps the table of this machine. */
export const costsFile = ({ cache }: Environment): string => join(cache, 'costs.json')

export interface CostsFlags {
  readonly costs?: string
}

export const costsOption = (): Option =>
  new Option(
    '--costs <file>',
    'widths that a machine runs fast that `chasec tune` measured: the one of the file, or "measured" for this one (cpu only)',
  ).argParser(existing('a table of chasec tune', [measured]))

/** The table that the option names; undefined where it is not there. */
export const readCosts = (
  { costs }: CostsFlags,
  environment: Environment,
): E.Either<CostError, CostTable | undefined> => {
  if (costs === undefined) return E.right(undefined)
  const path = costs === measured ? costsFile(environment) : costs
  const text = E.tryCatch(() => readFileSync(path, 'utf8'), String)
  if (E.isRight(text)) return parseCosts(text.right, path)
  const expected = 'a table that chasec tune wrote'
  return E.left(failure('CostError', '--costs', expected, `nothing to read at ${path}`, 'Run `chasec tune` first.'))
}
