/** The part of `report.html` that tells of training. */
import type { History } from '../train/loop/history.ts'
import { element, escapeHtml, htmlTable } from './html.ts'
import type { Card } from './cards.ts'
import { describeSpeed, describeTest, formatAccuracy, networkColumns } from './training-table.ts'
import type { TrainingReport } from './training.ts'
import { formatBytes, formatCount, formatRatio, formatRelativeChange } from './units.ts'

/** What became of the dense network: its accuracy, size and speed. */
export const trainingCards = ({ networks }: TrainingReport): ReadonlyArray<Card> => {
  const [dense, compiled] = [networks[0], networks.at(-1)]
  if (dense === undefined || compiled === undefined) return []
  const change = (name: string, of: 'parameters' | 'macs' | 'bytes', format: (value: number) => string): Card => ({
    name,
    figure: formatRelativeChange(dense[of], compiled[of]),
    detail: `${format(dense[of])} → ${format(compiled[of])}`,
  })
  const accuracy = (fraction: number | undefined): string =>
    fraction === undefined ? 'not trained' : formatAccuracy(fraction)
  return [
    { name: 'accuracy', figure: accuracy(compiled.accuracy), detail: `dense: ${accuracy(dense.accuracy)}` },
    change('parameters', 'parameters', formatCount),
    change('MACs', 'macs', formatCount),
    change('file', 'bytes', formatBytes),
    {
      name: 'throughput',
      figure: formatRatio(compiled.speed.speedup.median),
      detail: `${formatCount(dense.speed.throughput.median)}/s → ${formatCount(compiled.speed.throughput.median)}/s`,
    },
  ]
}

/** Networks, what they were trained on and how, and how training went. */
export const trainingContent = ({
  model,
  data,
  backend,
  recipe,
  networks,
  widths,
  test,
  history,
}: TrainingReport): string => {
  const columns = networkColumns.map(({ title }) => title)
  const numeric = networkColumns.flatMap(({ align }, at) => (align === 'right' ? [at] : []))
  const rows = networks.map((network) => networkColumns.map(({ cell }) => escapeHtml(cell(network))))
  const [first] = networks
  const how = `${model} on ${data}: ${recipe.method.name}, ${recipe.epochs} epochs of batches of ${recipe.batch}, seed ${recipe.seed}, on ${backend}.`
  return [
    htmlTable(columns, rows, numeric),
    element('p', escapeHtml(describeTest(test)), { class: test.differing === 0 ? 'good' : 'bad' }),
    element('p', escapeHtml(first === undefined ? how : `${how} ${describeSpeed(first.speed)}`), { class: 'soft' }),
    chart(history),
    htmlTable(
      ['layer', 'channels, dense', 'after training', 'compiled'],
      widths.map(({ layer, dense, trained, compiled }) => [escapeHtml(layer), `${dense}`, `${trained}`, `${compiled}`]),
      [1, 2, 3],
    ),
    element('details', `${element('summary', 'Recipe')}${element('pre', escapeHtml(JSON.stringify(recipe, null, 2)))}`),
  ].join('\n')
}

interface Line {
  readonly name: string
  readonly kind: 'after' | 'alone' | 'before'
  /** Steps, and fractions of 1. */
  readonly points: ReadonlyArray<readonly [step: number, value: number]>
}

const size = { width: 960, height: 240 } as const

/** Validation accuracy, density and channels over the steps, each a fraction of 1. */
const chart = (history: History): string => {
  const epochs = history.filter((entry) => entry.kind === 'epoch')
  const changes = history.filter((entry) => entry.kind !== 'test')
  const most = changes.reduce((n, entry) => Math.max(n, entry.channels), 0)
  const last = history.at(-1)?.step ?? 0
  if (epochs.length === 0 || last === 0) return ''
  const lines: ReadonlyArray<Line> = [
    { name: 'validation accuracy', kind: 'after', points: epochs.map((e) => [e.step, e.validation.accuracy]) },
    { name: 'density', kind: 'alone', points: changes.map((e) => [e.step, e.density]) },
    {
      name: 'channels left',
      kind: 'before',
      points: most === 0 ? [] : changes.map((e) => [e.step, e.channels / most]),
    },
  ]
  const shown = lines.filter(({ points }) => points.length > 0)
  const drawn = shown.map(({ kind, points }) =>
    element('polyline', '', {
      points: points
        .map(([step, value]) => `${((size.width * step) / last).toFixed(1)},${(size.height * (1 - value)).toFixed(1)}`)
        .join(' '),
      class: kind,
    }),
  )
  const key = shown.map(({ name, kind }) => `${element('i', '', { class: kind })}${name}`).join(' ')
  const grid = [0, 0.25, 0.5, 0.75, 1].map((value) => {
    const y = (size.height * (1 - value)).toFixed(1)
    return element('line', '', { x1: '0', x2: String(size.width), y1: y, y2: y })
  })
  return [
    element('p', `From 0 (bottom) to 1 (top) over ${last} steps: ${key}`, { class: 'key soft' }),
    element('svg', `${grid.join('')}${drawn.join('')}`, {
      viewBox: `0 -2 ${size.width} ${size.height + 4}`,
      role: 'img',
    }),
  ].join('\n')
}
