/** The figures every rendering of a compile report starts with. */
import type { CompileReport, Predicted, Totals } from '../passes/compile.ts'
import { formatBytes, formatCount, formatMilliseconds, formatPercent, formatRatio } from './units.ts'

interface Total {
  readonly name: string
  readonly of: keyof Totals
  readonly format: (value: number) => string
}

/** The figures of a model that compiling is meant to bring down, and how they are written. */
export const totalRows: ReadonlyArray<Total> = [
  { name: 'nodes', of: 'nodes', format: String },
  { name: 'parameters', of: 'parameters', format: formatCount },
  { name: 'MACs', of: 'macs', format: formatCount },
  { name: 'weight bytes', of: 'bytes', format: formatBytes },
]

/**
 * Which share of the multiplications that could go, if every layer could shrink regardless of its neighbours, did go;
 * undefined when none could. Above 1 where layers were joined, or products of computed values shrank with them: that no
 * layer can do by itself.
 */
export const fractionReached = ({ before, after, alone }: CompileReport): number | undefined =>
  before.macs > alone ? (before.macs - after.macs) / (before.macs - alone) : undefined

/** What was saved, held against what every layer could save by itself; `macs` is what multiply-accumulates are called. */
export const describeReached = (report: CompileReport, macs: string): string => {
  const reached = fractionReached(report)
  if (reached === undefined) return 'The masks leave no multiplication out that a layer could save by itself.'
  const alone = `If every layer could shrink by itself, ${formatCount(report.alone)} ${macs} would be left`
  if (reached <= 1) return `${alone}; ${formatPercent(reached)} of that reduction was reached.`
  const left = formatCount(report.after.macs)
  return `${alone}; there are ${left}, fewer than that, because layers were joined or products between them shrank too.`
}

/** How fast the model should be, by what its parts were measured to take. */
export const describePredicted = ({ before, after, about }: Predicted): string =>
  `Predicted: ${formatMilliseconds(before)} → ${formatMilliseconds(after)} a run, ${formatRatio(before / after)} as fast. ${about}.`

/** `Sizes N = 1, H = 224`, for reports; empty without open dimensions. */
export const describeSizes = (sizes: Readonly<Record<string, number>>): string =>
  Object.entries(sizes)
    .map(([name, size]) => `${name} = ${size}`)
    .join(', ')
