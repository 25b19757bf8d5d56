/** What a training run came to, for a terminal. */
import type { Measurement } from '../run/measure.ts'
import type { EpochEntry } from '../train/loop/history.ts'
import type { Style } from './style.ts'
import { type Column, renderTable } from './table.ts'
import type { NetworkFigures, TrainingReport } from './training.ts'
import { formatBytes, formatCount, formatPercent, formatRatio, plural } from './units.ts'

/** What is told of every network, and how it is written. */
export const networkColumns: ReadonlyArray<Column & { readonly cell: (network: NetworkFigures) => string }> = [
  { title: 'network', cell: ({ name }) => name },
  {
    title: 'accuracy',
    align: 'right',
    cell: ({ accuracy }) => (accuracy === undefined ? '–' : formatAccuracy(accuracy)),
  },
  { title: 'parameters', align: 'right', cell: ({ parameters }) => formatCount(parameters) },
  { title: 'not 0', align: 'right', cell: ({ nonZero }) => formatCount(nonZero) },
  { title: 'MACs', align: 'right', cell: ({ macs }) => formatCount(macs) },
  { title: 'file', align: 'right', cell: ({ bytes }) => formatBytes(bytes) },
  { title: 'images/s', align: 'right', cell: ({ speed }) => formatCount(speed.throughput.median) },
  { title: 'speed', align: 'right', cell: ({ speed }) => formatRatio(speed.speedup.median) },
  { title: '', cell: ({ about }) => about },
]

/** `91.25 %`: accuracies differ by hundredths. */
export const formatAccuracy = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`

/** Where the speeds come from. */
export const describeSpeed = ({ runtime, provider, batch, repeats }: Measurement): string =>
  `Speed: ${runtime} on ${provider}, batch ${batch}, median of ${repeats.length} interleaved repeats.`

/** Whether compiling changed a prediction. */
export const describeTest = ({ images, differing }: TrainingReport['test']): string =>
  differing === 0
    ? `The masked and the compiled network put all ${plural(images, 'test image')} into the same classes.`
    : `The masked and the compiled network put ${differing} of ${plural(images, 'test image')} into different classes.`

/** The networks side by side, and whether they agree. */
export const renderTraining = ({ networks, test }: TrainingReport, style: Style): string => {
  const rows = networks.map((network) => networkColumns.map(({ cell }) => cell(network)))
  const verdict = describeTest(test)
  const [first] = networks
  return [
    renderTable(networkColumns, rows, style),
    ...(first === undefined ? [] : [style.dim(describeSpeed(first.speed))]),
    test.differing === 0 ? style.green(verdict) : style.red(verdict),
  ].join('\n')
}

/** One line on an epoch that has ended. */
export const describeEpoch = (entry: EpochEntry, epochs: number): string =>
  [
    `epoch ${entry.epoch}/${epochs}`,
    `loss ${entry.loss.toFixed(3)}`,
    `accuracy ${formatAccuracy(entry.accuracy)}`,
    `validation ${formatAccuracy(entry.validation.accuracy)}`,
    `density ${formatPercent(entry.density)}`,
    plural(entry.channels, 'channel'),
    `${entry.stepsPerSecond.toPrecision(3)} steps/s`,
  ].join('  ')
