/** What a training run came to, for a terminal. */
import type { EpochEntry } from '../../train/loop/history.ts'
import type { Style } from './style.ts'
import { renderMeasurements } from './measure-table.ts'
import { type Column, renderTable } from './table.ts'
import type { SoupReport, TrainingReport } from '../training.ts'
import {
  describeSoup,
  describeSpeeds,
  describeTest,
  describeValidation,
  networkColumns,
  soupColumns,
} from '../training-words.ts'
import { formatAccuracy, formatPercent, plural } from '../units.ts'

/** How `networkColumns` fit a terminal. */
const fits: ReadonlyArray<Omit<Column, 'title'>> = [
  {},
  {},
  { spare: 2 },
  { spare: 3 },
  { spare: 1 },
  { spare: 4 },
  { fit: 'text', spare: 5 },
]

/** The networks side by side, and whether they agree. */
export const renderTraining = (training: TrainingReport, style: Style): string => {
  const { networks, test } = training
  const columns = networkColumns.map(({ title, numeric = false }, at): Column => ({
    title,
    align: numeric ? 'right' : 'left',
    ...fits[at],
  }))
  const rows = networks.map((network) => networkColumns.map(({ cell }) => cell(network)))
  const verdict = describeTest(test)
  return [
    renderTable(columns, rows, style),
    '',
    renderMeasurements(
      networks.map(({ name, speed }) => ({ ...speed, name })),
      style,
    ),
    ...describeSpeeds(training),
    '',
    training.soup === undefined ? describeValidation(training) : renderSoup(training.soup, style),
    test.differing === 0 ? style.green(verdict) : style.red(verdict),
  ].join('\n')
}

/** What a soup was made of. */
const renderSoup = (soup: SoupReport, style: Style): string => {
  const columns = soupColumns.map(({ title, numeric = false }, at): Column => ({
    title,
    align: numeric ? 'right' : 'left',
    ...(at === 0 ? { fit: 'name' } : {}),
  }))
  const rows = soup.ingredients.map((one) => soupColumns.map(({ cell }) => cell(one)))
  return `${describeSoup(soup)}\n\n${renderTable(columns, rows, style)}\n`
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
