/** What training did, in a report. */
import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { History } from '../../train/loop/history.ts'
import type { NetworkFigures, TrainingReport } from '../training.ts'
import { describeSpeed, describeTest, formatAccuracy, networkColumns } from '../training-table.ts'
import { formatBytes, formatCount, formatPercent, formatRatio, formatRelativeChange } from '../units.ts'
import { type Card, Key, Name, Text } from './parts.tsx'
import { type Column, Table } from './table.tsx'

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
export const Training = ({ training }: { readonly training: TrainingReport }): VNode => {
  const { model, data, backend, recipe, networks, widths, test, history } = training
  const [first] = networks
  const how = `${model} on ${data}: ${recipe.method.name}, ${recipe.epochs} epochs of batches of ${recipe.batch}, seed ${recipe.seed}, on ${backend}.`
  return (
    <>
      <Table
        label="Networks"
        columns={networkColumns.map(({ title, align, cell }): Column<NetworkFigures> => ({
          title,
          cell: (network) => printable(cell(network)),
          numeric: align === 'right',
        }))}
        rows={networks}
      />
      <Text tone={test.differing === 0 ? 'good' : 'bad'}>{printable(describeTest(test))}</Text>
      <Text tone="soft">{printable(first === undefined ? how : `${how} ${describeSpeed(first.speed)}`)}</Text>
      <Curves history={history} />
      <Table
        label="Widths of the layers"
        columns={[
          { title: 'layer', cell: ({ layer }) => <Name of={layer} />, wide: true },
          { title: 'channels, dense', cell: ({ dense }) => dense, key: ({ dense }) => dense, numeric: true },
          { title: 'after training', cell: ({ trained }) => trained, key: ({ trained }) => trained, numeric: true },
          { title: 'compiled', cell: ({ compiled }) => compiled, key: ({ compiled }) => compiled, numeric: true },
        ]}
        rows={widths}
      />
      <details>
        <summary>Recipe</summary>
        <pre>{printable(JSON.stringify(recipe, null, 2))}</pre>
      </details>
    </>
  )
}

interface Curve {
  readonly name: string
  readonly kind: 'after' | 'alone' | 'before'
  /** Steps, and fractions of 1. */
  readonly points: ReadonlyArray<readonly [step: number, value: number]>
}

/** Validation accuracy, density and channels over the steps, each a fraction of 1. */
const Curves = ({ history }: { readonly history: History }): VNode | null => {
  const epochs = history.filter((entry) => entry.kind === 'epoch')
  const changes = history.filter((entry) => entry.kind !== 'test')
  const most = changes.reduce((n, entry) => Math.max(n, entry.channels), 0)
  const last = history.at(-1)?.step ?? 0
  if (epochs.length === 0 || last === 0) return null
  const curves: ReadonlyArray<Curve> = [
    { name: 'validation accuracy', kind: 'after', points: epochs.map((e) => [e.step, e.validation.accuracy]) },
    { name: 'density', kind: 'alone', points: changes.map((e) => [e.step, e.density]) },
    {
      name: 'channels left',
      kind: 'before',
      points: most === 0 ? [] : changes.map((e) => [e.step, e.channels / most]),
    },
  ]
  const shown = curves.filter(({ points }) => points.length > 0)
  const x = scaleLinear().domain([0, last]).range([0, 100])
  const y = scaleLinear().domain([0, 1]).range([100, 0])
  const drawn = line<readonly [step: number, value: number]>()
    .x(([step]) => x(step))
    .y(([, value]) => y(value))
    .digits(2)
  return (
    <figure class="curves">
      <figcaption>
        Over {last} steps
        <Key entries={shown.map(({ kind, name }) => [kind, name])} />
      </figcaption>
      <div class="plot">
        <div class="axis" aria-hidden="true">
          {y.ticks(4).map((tick) => (
            <span key={tick} style={{ top: `${y(tick).toFixed(2)}%` }}>
              {formatPercent(tick)}
            </span>
          ))}
        </div>
        <svg
          viewBox="0 0 100 100"
          preserveAspectRatio="none"
          role="img"
          aria-label={`Over ${last} steps: ${shown.map(({ name, points }) => `${name} ends at ${formatPercent(points.at(-1)?.[1] ?? 0)}`).join(', ')}.`}
        >
          {y.ticks(4).map((tick) => (
            <line key={tick} class="grid" x1={0} x2={100} y1={y(tick)} y2={y(tick)} />
          ))}
          {shown.map(({ kind, points }) => (
            <path key={kind} class={kind} d={drawn([...points]) ?? ''} />
          ))}
        </svg>
      </div>
    </figure>
  )
}
