/** A channel selection for a terminal. */
import type { Pruned } from '../../passes/prune.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { formatPercent, plural } from '../units.ts'

export const renderPruned = (pruned: Pruned, style: Style): string => {
  const rows = pruned.groups.map((group) => {
    const left = group.alive - group.removed
    return [
      group.layers.join(' + '),
      String(group.channels),
      String(left),
      formatPercent(group.channels === 0 ? 0 : 1 - left / group.channels),
      group.saturated ? style.yellow(`at its floor of ${group.floor}`) : '',
    ]
  })
  const table = renderTable(
    [
      { title: 'channels made by', fit: 'name' },
      { title: 'before', align: 'right' },
      { title: 'after', align: 'right' },
      { title: 'masked', align: 'right' },
      { title: '', fit: 'text', spare: 1 },
    ],
    rows,
    style,
  )
  const kept = renderTable(
    [
      { title: 'kept whole', fit: 'name' },
      { title: 'because', fit: 'text' },
    ],
    pruned.kept.map(({ layer, reason }) => [layer, reason]),
    style,
  )
  const total = `${plural(pruned.removed, 'channel')} masked in ${plural(pruned.layers.length, 'layer')}.`
  const note = pruned.note === undefined ? '' : style.yellow(pruned.note)
  return [table, kept, [total, note].filter((line) => line !== '').join('\n')].filter((b) => b !== '').join('\n\n')
}
