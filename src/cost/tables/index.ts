/** The tables that were measured, by `npm run bench -- cost --fit`, by the vectors that the processor has. */
import type { CostTable } from '../table.ts'
import { cpuOf16 } from './cpu-16.ts'
import { cpuOf8 } from './cpu-8.ts'

export const cpuTables = { avx512: cpuOf16, avx2: cpuOf8 } as const satisfies Readonly<Record<string, CostTable>>
