/** The figures every rendering of a compile report starts with. */
import type { CompileReport } from '../passes/compile.ts'

/**
 * Which share of the multiplications that could go, if every layer could shrink regardless of its neighbours, did go;
 * undefined when none could.
 */
export const fractionReached = ({ before, after, alone }: CompileReport): number | undefined =>
  before.macs > alone ? (before.macs - after.macs) / (before.macs - alone) : undefined

/** `Sizes N = 1, H = 224`, for reports; empty without open dimensions. */
export const describeSizes = (sizes: Readonly<Record<string, number>>): string =>
  Object.entries(sizes)
    .map(([name, size]) => `${name} = ${size}`)
    .join(', ')
