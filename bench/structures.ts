/**
 * How much of each structure of the models of the zoo the compiler takes out: multiply-accumulates of compiled models
 * against what is left when the structure is taken out of the model by hand, before it is exported. Every cell is run and
 * compared in ONNX Runtime. A cell is met at three per cent above what is left by hand, or less, and at nine tenths of what
 * the structure saves, or more.
 */
import { formatCount, formatRatio } from '../src/report/units.ts'
import { cellOf, exactness, loadZoo, met, type Cell, zooNames } from '../test/zoo.ts'
import type { BenchResult } from './result.ts'

export interface StructureOptions {
  readonly models: ReadonlyArray<string>
  readonly structures: ReadonlyArray<string>
}

interface Row extends Omit<Cell, 'report'> {
  /** Ours by what is left by hand. */
  readonly ratio: number
  readonly exact: boolean
  readonly met: boolean
  /** What stops the layers that cost most, of a cell that is not met. */
  readonly reasons: ReadonlyArray<string>
}

/** The reasons of the layers with the most multiply-accumulates left, the most expensive first. */
const reasonsOf = ({ report, counted, dense }: Cell): ReadonlyArray<string> => {
  const costs = new Map<string, number>()
  for (const { macs, stays } of report.layers) {
    for (const { reason, side } of stays) {
      const text = `${side}s: ${reason.text}`
      costs.set(text, (costs.get(text) ?? 0) + macs.after)
    }
  }
  const stays = [...costs].sort((a, b) => b[1] - a[1]).map(([text]) => text)
  const uncounted = counted === dense ? [] : [`${counted} of ${dense} multiply-accumulates are counted`]
  const opaque = report.opaque.map(({ node, reason }) => `${node}: ${reason}`)
  return [...uncounted, ...stays.slice(0, 2), ...opaque.slice(0, 1)]
}

const rowOf = (cell: Cell): Row => {
  const { report: _, ...figures } = cell
  return {
    ...figures,
    ratio: cell.macs / cell.byHand,
    exact: cell.difference <= exactness,
    met: met(cell),
    reasons: met(cell) ? [] : reasonsOf(cell),
  }
}

const escaped = (text: string): string => text.replaceAll('|', '\\|')

/** A table for Markdown, and below it the reasons of the cells that are not met. */
const render = (rows: ReadonlyArray<Row>): string => {
  const head = ['model', 'structure', 'dense', 'by hand', 'compiled', 'ratio', 'exact']
  const lines = rows.map((r) => [
    r.model,
    r.structure,
    ...[r.dense, r.byHand, r.macs].map((n) => formatCount(n)),
    formatRatio(r.ratio),
    r.exact ? 'yes' : `NO (${r.difference.toExponential(1)})`,
  ])
  const table = [head, ['-', '-', '-:', '-:', '-:', '-:', '-'], ...lines].map((cells) => `| ${cells.join(' | ')} |`)
  const gaps = rows
    .filter((r) => !r.met)
    .map((r) => `- ${r.model}, ${r.structure}: ${r.reasons.map(escaped).join('; ') || 'no reason given'}`)
  const summary = `${rows.filter((r) => r.met).length} of ${rows.length} met, ${rows.filter((r) => r.exact).length} exact.`
  return [table.join('\n'), gaps.join('\n'), summary].filter((part) => part !== '').join('\n\n')
}

/** The table for models and structures; all unless told otherwise. */
export const benchStructures = async ({ models, structures }: StructureOptions): Promise<BenchResult> => {
  const rows: Row[] = []
  for (const name of models.length === 0 ? zooNames() : models) {
    const model = loadZoo(name)
    for (const structure of Object.keys(model.structures)) {
      if (structures.length > 0 && !structures.includes(structure)) continue
      const row = rowOf(await cellOf(model, structure))
      const exact = row.exact ? '' : ', NOT EXACT'
      process.stderr.write(`${name} ${structure}: ${row.ratio.toFixed(3)}${exact}\n`)
      rows.push(row)
    }
  }
  return { json: { rows }, text: render(rows) }
}
