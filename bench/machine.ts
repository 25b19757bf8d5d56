/** What a benchmark ran on, and how busy that was: figures mean little without it. */
import { cpus, loadavg, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  /** Load averages over one minute when the benchmark began and ended; above `cores` others were running too. */
  readonly loadBefore: number
  readonly loadAfter: number
}

/** Call it when a benchmark begins; the function it gives, when it has ended. */
export const watchMachine = (): (() => Machine) => {
  const [loadBefore = 0] = loadavg()
  return () => ({
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    loadBefore,
    loadAfter: loadavg()[0] ?? 0,
  })
}
