/** A selection of single weights for a terminal. */
import type { PrunedWeights } from '../../passes/prune-weights.ts'
import { formatCount, formatPercent } from '../units.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'

export const renderPrunedWeights = ({ layers, kept, weights, masked }: PrunedWeights, style: Style): string => {
  const table = renderTable(
    [
      { title: 'layer', fit: 'name' },
      { title: 'weights', align: 'right' },
      { title: 'masked', align: 'right' },
      { title: 'exchanged', align: 'right', spare: 1 },
    ],
    layers.map((layer) => [
      layer.layer,
      formatCount(layer.weights),
      formatPercent(layer.weights === 0 ? 0 : layer.masked / layer.weights),
      layer.exchanged === 0 ? '' : formatCount(layer.exchanged),
    ]),
    style,
  )
  const whole = renderTable(
    [
      { title: 'kept whole', fit: 'name' },
      { title: 'because', fit: 'text' },
    ],
    kept.map(({ layer, reason }) => [layer, reason]),
    style,
  )
  const share = weights === 0 ? '' : ` (${formatPercent(masked / weights)} of those compared)`
  const total = `${formatCount(masked)} of ${formatCount(weights)} weights masked${share}.`
  return [table, whole, total].filter((block) => block !== '').join('\n\n')
}
