/** The tables that were measured, by `npm run bench -- cost --fit`. */
import type { CostTable } from '../table.ts'
import { cpuOf16 } from './cpu-16.ts'

export const cpuTables: ReadonlyArray<CostTable> = [cpuOf16]
