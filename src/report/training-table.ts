/** What a training run came to, for a terminal. */
import type { EpochEntry } from '../train/loop/history.ts'
import type { Style } from './style.ts'
import { renderMeasurements } from './measure-table.ts'
import { type Column, renderTable } from './table.ts'
import { type NetworkFigures, type TrainingReport, versus } from './training.ts'
import { speedSentence } from './view/speed.tsx'
import { formatBytes, formatCount, formatPercent, plural } from './units.ts'

/** What is told of every network, and how it is written. */
export const networkColumns: ReadonlyArray<Column & { readonly cell: (network: NetworkFigures) => string }> = [
  { title: 'network', cell: ({ name }) => name },
  {
    title: 'accuracy',
    align: 'right',
    cell: ({ accuracy }) => (accuracy === undefined ? '–' : formatAccuracy(accuracy)),
  },
  { title: 'parameters', align: 'right', spare: 2, cell: ({ parameters }) => formatCount(parameters) },
  { title: 'not 0', align: 'right', spare: 3, cell: ({ nonZero }) => formatCount(nonZero) },
  { title: 'MACs', align: 'right', spare: 1, cell: ({ macs }) => formatCount(macs) },
  { title: 'file', align: 'right', spare: 4, cell: ({ bytes }) => formatBytes(bytes) },
  { title: 'what it is', fit: 'text', spare: 5, cell: ({ about }) => about },
]

/** `91.25 %`: accuracies differ by hundredths. */
export const formatAccuracy = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`

/** Which epoch was best on the validation images, and which weights are exported. */
export const describeValidation = ({ validation, recipe }: TrainingReport): string => {
  if (validation === null) return ''
  const { best, last } = validation
  const at = ({ epoch, density }: typeof best): string =>
    `epoch ${epoch} of ${recipe.epochs}, density ${formatPercent(density)}`
  const exported = 'The exported weights are those after the last step'
  return best.epoch === last.epoch
    ? `Best validation accuracy: ${formatAccuracy(best.accuracy)} after the last epoch (${at(best)}). ${exported}.`
    : `Best validation accuracy: ${formatAccuracy(best.accuracy)} (${at(best)}). ${exported}: ${formatAccuracy(last.accuracy)} (${at(last)}).`
}

/** What the compiled network gains over the masked one and over the dense one, differences inside the noise called so. */
export const describeSpeeds = ({ networks }: TrainingReport): ReadonlyArray<string> => {
  const compiled = networks.find(({ name }) => name === 'compiled')?.speed
  return compiled === undefined
    ? []
    : networks.flatMap(({ name, speed }) =>
        name === 'compiled'
          ? []
          : [
              speedSentence(
                { ...versus(compiled, speed), name: 'The compiled network' },
                { ...speed, name: `the ${name} one` },
              ),
            ],
      )
}

/** Whether compiling changed a prediction. */
export const describeTest = ({ images, differing }: TrainingReport['test']): string =>
  differing === 0
    ? `The masked and the compiled network put all ${plural(images, 'test image')} into the same classes.`
    : `The masked and the compiled network put ${differing} of ${plural(images, 'test image')} into different classes.`

/** The networks side by side, and whether they agree. */
export const renderTraining = (training: TrainingReport, style: Style): string => {
  const { networks, test } = training
  const rows = networks.map((network) => networkColumns.map(({ cell }) => cell(network)))
  const verdict = describeTest(test)
  return [
    renderTable(networkColumns, rows, style),
    '',
    renderMeasurements(
      networks.map(({ name, speed }) => ({ ...speed, name })),
      style,
    ),
    ...describeSpeeds(training),
    '',
    describeValidation(training),
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
