/** What a benchmark ran on, and how busy that was: figures mean little without it. */
import { cpus, loadavg, totalmem } from 'node:os'
import * as E from 'fp-ts/lib/Either.js'
import { blockOf } from '../src/package/tune.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  /** Load averages over one minute when the benchmark began and ended; above `cores` others were running too. */
  readonly loadBefore: number
  readonly loadAfter: number
  /** Whether others ran when it began: times are less certain then. */
  readonly isBusy: boolean
  /** Floats in a vector, as ONNX Runtime's convolutions use them; absent where that is not known. */
  readonly vector?: number
}

/** A load from which on others run beside. */
const busy = 1.5

/** Call it when a benchmark begins; the function it gives, when it has ended. */
export const watchMachine = (): (() => Promise<Machine>) => {
  const [loadBefore = 0] = loadavg()
  return async () => ({
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    loadBefore,
    loadAfter: loadavg()[0] ?? 0,
    isBusy: loadBefore > busy,
    ...E.match(
      () => ({}),
      (vector: number) => ({ vector }),
    )(await blockOf(1)()),
  })
}
