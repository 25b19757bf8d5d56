/** Where a training step's time goes, for a terminal. */
import type { ProfiledStep } from '../training-profile.ts'
import { formatMilliseconds, formatPercent } from '../units.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'

/** One row for each layer, then the optimiser, the rest and everything. */
export const renderTrainingProfile = (
  { batch, step, layers, optimiser, rest }: ProfiledStep,
  device: string,
  style: Style,
): string => {
  const row = (label: string, milliseconds: number): ReadonlyArray<string> => [
    label,
    '',
    '',
    formatPercent(milliseconds / step),
  ]
  const table = renderTable(
    [
      { title: 'layer', fit: 'name' },
      { title: 'forward', align: 'right' },
      { title: 'backward', align: 'right' },
      { title: 'of the step', align: 'right' },
    ],
    [
      ...layers.map(({ label, forward, backward, share }) => [
        label,
        formatMilliseconds(forward),
        formatMilliseconds(backward),
        formatPercent(share),
      ]),
      row('optimiser', optimiser),
      row('loss and the rest', rest),
    ],
    style,
  )
  return `${table}\n${style.dim(`${formatMilliseconds(step)} for a step of ${batch}, medians; ${device}.`)}`
}
