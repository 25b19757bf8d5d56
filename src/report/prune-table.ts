/** A channel selection for a terminal. */
import type { Pruned } from '../passes/prune.ts'
import type { Style } from './style.ts'
import { clip, renderTable, shorten } from './table.ts'
import { formatPercent, plural } from './units.ts'

export const renderPruned = (pruned: Pruned, style: Style): string => {
  const rows = pruned.groups.map((group) => {
    const left = group.alive - group.removed
    return [
      shorten(group.layers.join(' + '), 64),
      String(group.channels),
      String(left),
      formatPercent(group.channels === 0 ? 0 : 1 - left / group.channels),
      group.saturated ? style.yellow(`at its floor of ${group.floor}`) : '',
    ]
  })
  const table = renderTable(
    [
      { title: 'channels made by' },
      { title: 'before', align: 'right' },
      { title: 'after', align: 'right' },
      { title: 'masked', align: 'right' },
      { title: '' },
    ],
    rows,
    style,
  )
  const kept = renderTable(
    [{ title: 'kept whole' }, { title: 'because' }],
    pruned.kept.map(({ layer, reason }) => [shorten(layer, 40), clip(reason, 76)]),
    style,
  )
  const total = `${plural(pruned.removed, 'channel')} masked in ${plural(pruned.layers.length, 'layer')}.`
  const note = pruned.note === undefined ? '' : style.yellow(pruned.note)
  return [table, kept, [total, note].filter((line) => line !== '').join('\n')].filter((b) => b !== '').join('\n\n')
}
