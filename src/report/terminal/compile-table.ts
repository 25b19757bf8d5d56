/** A compile report for a terminal. */
import type { CompileReport, LayerReport, Width } from '../../passes/compile.ts'
import { meaningOf, shortReasons, totalReasons } from '../reasons.ts'
import { renderFloat16 } from './float16-table.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { adviceLeftOutLine, adviceLine } from '../reasons.ts'
import { describePredicted, describeReached, describeSizes, totalRows } from '../totals.ts'
import { formatChange, formatCount, formatRelativeChange, plural } from '../units.ts'

/** Opaque nodes beyond this many are counted, not listed. */
const listedNodes = 10

/** Totals, layers, reasons, opaque nodes and refused folds, as blocks separated by empty lines. */
export const renderCompileReport = (report: CompileReport, style: Style): string =>
  [
    renderLayers,
    renderReasons,
    renderOpaque,
    renderRefusals,
    renderIdleMasks,
    renderAdvice,
    renderTotals,
    renderFloat16,
  ]
    .map((render) => render(report, style))
    .filter((block) => block !== '')
    .join('\n\n')

const renderTotals = (report: CompileReport, style: Style): string => {
  const rows = totalRows.map(({ name, of, format }) => {
    const [before, after] = [report.before[of], report.after[of]]
    const change = formatRelativeChange(before, after)
    return [name, format(before), '→', format(after), after < before ? style.green(change) : change]
  })
  const table = renderTable(
    [
      { title: '' },
      { title: 'before', align: 'right' },
      { title: '', spare: 1 },
      { title: 'after', align: 'right' },
      { title: 'change', align: 'right' },
    ],
    rows,
    style,
  )
  const predicted = report.predicted === undefined ? '' : describePredicted(report.predicted)
  const notes = [describeReached(report, 'MACs'), sizesNote(report), predicted].filter((note) => note !== '')
  return [table, ...notes.map(style.dim)].join('\n')
}

const sizesNote = ({ sizes }: CompileReport): string => {
  const text = describeSizes(sizes)
  return text === '' ? '' : `MACs are counted for ${text}.`
}

/** `64 → 40`. */
export const renderWidth = ({ before, after }: Width): string => formatChange(String(before), String(after))

const renderLayers = ({ layers }: CompileReport, style: Style): string => {
  const changed = layers.filter(isInteresting)
  const table = renderTable(
    [
      { title: 'layer', fit: 'name' },
      { title: 'in', align: 'right' },
      { title: 'out', align: 'right' },
      { title: 'MACs', align: 'right', spare: 1 },
      { title: 'alone', align: 'right', spare: 3 },
      { title: 'stays, though nothing needs it', fit: 'text', spare: 2 },
    ],
    changed.map((layer) => [
      layer.layer,
      renderWidth(layer.inputs),
      renderWidth(layer.outputs),
      formatChange(formatCount(layer.macs.before), formatCount(layer.macs.after)),
      formatCount(Math.round(layer.macs.alone)),
      style.yellow(shortReasons(layer.stays)),
    ]),
    style,
  )
  const rest = layers.length - changed.length
  const note = rest === 0 ? '' : style.dim(`${plural(rest, 'layer')} unchanged, with no channel to remove.`)
  const joined = layers.flatMap(({ layer, joined: heir }) => (heir === undefined ? [] : [`${layer} by ${heir}`]))
  const taken = joined.length === 0 ? '' : style.dim(`Computed by another layer as well: ${listed(joined)}.`)
  return [table, note, taken].filter((block) => block !== '').join('\n')
}

/** The first few of a list, and how many more there are. */
const listed = (parts: ReadonlyArray<string>): string => {
  const shown = parts.slice(0, 4).join(', ')
  return parts.length > 4 ? `${shown}, and ${parts.length - 4} more` : shown
}

const isInteresting = ({ inputs, outputs, macs, stays }: LayerReport): boolean =>
  inputs.after !== inputs.before || outputs.after !== outputs.before || macs.after !== macs.before || stays.length > 0

const renderReasons = ({ layers, target }: CompileReport, style: Style): string => {
  const rows = totalReasons(layers).map(({ kind, channels, layers: count }) => [
    style.yellow(kind),
    plural(channels, 'channel'),
    `in ${plural(count, 'layer')}`,
    meaningOf(kind, target),
  ])
  return rows.length === 0
    ? ''
    : renderTable(
        [
          { title: 'why they stay' },
          { title: '', align: 'right' },
          { title: '', spare: 1 },
          { title: '(--why LAYER or VALUE lists them)', fit: 'text' },
        ],
        rows,
        style,
      )
}

const renderOpaque = ({ opaque }: CompileReport, style: Style): string => renderNodes('kept as it is', opaque, style)

const renderRefusals = ({ refusals }: CompileReport, style: Style): string => renderNodes('not folded', refusals, style)

const renderIdleMasks = ({ idleMasks }: CompileReport, style: Style): string =>
  idleMasks
    .map(({ mask, reason }) => `${style.yellow('no effect')}  The mask of ${mask} takes effect nowhere: ${reason}.`)
    .join('\n')

const renderAdvice = ({ advice = [], adviceLeftOut }: CompileReport, style: Style): string =>
  [...advice.map(adviceLine), ...(adviceLeftOut === undefined ? [] : [adviceLeftOutLine(adviceLeftOut)])]
    .map((line) => `${style.green('advice')}  ${line}.`)
    .join('\n')

const renderNodes = (
  title: string,
  nodes: ReadonlyArray<{ readonly node: string; readonly reason: string }>,
  style: Style,
): string => {
  if (nodes.length === 0) return ''
  const rows = nodes.slice(0, listedNodes).map(({ node, reason }) => [node, reason])
  const table = renderTable(
    [
      { title, fit: 'name' },
      { title: 'because', fit: 'text' },
    ],
    rows,
    style,
  )
  const more = nodes.length - rows.length
  return more === 0 ? table : `${table}\n${style.dim(`and ${plural(more, 'node')} more.`)}`
}
