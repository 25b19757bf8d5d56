/** `report.html`: a compilation as one page that needs nothing from elsewhere. */
import type { LayerReport } from '../passes/compile.ts'
import { totalRows } from './compile-table.ts'
import { describeUnseen } from './verify-table.ts'
import { element, escapeHtml, htmlTable } from './html.ts'
import { pageStyle } from './page-style.ts'
import { formatRanges } from './ranges.ts'
import { adviceLeftOutLine, fullReason, reasonMeanings, shortReasons, totalReasons } from './reasons.ts'
import { matchNotes, matchRows, matchTitles } from './match-table.ts'
import type { Measured, Results } from './results.ts'
import type { Source } from './source.ts'
import { describeSizes, fractionReached } from './totals.ts'
import { type Card, renderCards } from './cards.ts'
import { trainingCards, trainingContent } from './training-page.ts'
import {
  formatChange,
  formatCount,
  formatError,
  formatMilliseconds,
  formatPercent,
  formatRatio,
  formatRelativeChange,
  plural,
} from './units.ts'

/** The page; the same results give the same bytes. */
export const renderPage = (results: Results): string => {
  const title = results.model?.name ?? results.training?.model ?? 'Compiled model'
  const sections = [
    header(title, results),
    cards(results),
    results.training === undefined ? '' : section('Training', trainingContent(results.training)),
    verification(results),
    speed(results.measured),
    layers(results),
    matching(results),
    reasons(results),
    opaque(results),
    refusals(results),
    idleMasks(results),
    advice(results),
    passes(results),
    sources(results),
  ]
  const head = [
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    element('title', `${escapeHtml(title)} · chasec`),
    element('style', pageStyle),
  ]
  const body = sections.filter((section) => section !== '').join('\n')
  return `<!doctype html>\n<html lang="en">\n<head>\n${head.join('\n')}\n</head>\n<body>\n${body}\n</body>\n</html>\n`
}

const section = (title: string, content: string): string => `${element('h2', title)}\n${content}`

const paragraph = (text: string, kind = ''): string => element('p', text, kind === '' ? {} : { class: kind })

const header = (title: string, { version, report }: Results): string => {
  const sizes = describeSizes(report.sizes)
  const counted = sizes === '' ? '' : ` Multiplications are counted for ${escapeHtml(sizes)}.`
  const text = `Compiled by chasec ${escapeHtml(version)} for ${report.target}.${counted}`
  return `${element('h1', escapeHtml(title))}\n${paragraph(text, 'soft')}`
}

/** The figures that count most. Of a network that was trained here, compared with the dense one. */
const cards = ({ report, training }: Results): string => {
  if (training !== undefined) return renderCards(trainingCards(training))
  const list = totalRows.map(({ name, of, format }): Card => {
    const [before, after] = [report.before[of], report.after[of]]
    return { name, figure: formatRelativeChange(before, after), detail: `${format(before)} → ${format(after)}` }
  })
  const reached = fractionReached(report)
  const note =
    reached === undefined
      ? 'The masks leave no multiplication out that a layer could save by itself.'
      : `If every layer could shrink by itself, ${formatCount(report.alone)} multiply-accumulates would be left; ${formatPercent(reached)} of that reduction was reached.`
  return `${renderCards(list)}\n${paragraph(note)}`
}

const verification = ({ verification: found, measured }: Results): string => {
  if (found === undefined) return section('Verification', paragraph('Not verified.', 'bad'))
  const doubts = describeUnseen(found.unseen ?? [])
  const verdict = !found.equal
    ? element('span', 'The compiled model differs from the masked one.', { class: 'bad' })
    : found.vacuous
      ? element('span', `Verified nothing: ${escapeHtml(doubts || 'every output was empty or all zeros')}.`, {
          class: 'bad',
        })
      : element('span', 'The compiled model computes what the masked model computes.', { class: 'good' })
  const error = measured?.relativeError === undefined ? '' : ` Largest: ${formatError(measured.relativeError)}.`
  const tried = `${plural(found.cases.length, 'case')} on ${escapeHtml(found.runtime)} (${escapeHtml(found.provider)}); relative differences up to ${formatError(found.tolerance.float32)} (float32) count as equal.${error}`
  const sizes = [...new Set(found.cases.map((one) => describeSizes(one.sizes)))].filter((text) => text !== '')
  const shown = sizes.length === 0 ? '' : paragraph(`Sizes tried: ${sizes.map(escapeHtml).join('; ')}.`, 'soft')
  const doubt = found.vacuous || doubts === '' ? '' : paragraph(`Not seen: ${escapeHtml(doubts)}.`, 'bad')
  return section('Verification', [paragraph(`${verdict} ${tried}`), shown, doubt].join('\n'))
}

const speed = (measured: Measured | undefined): string => {
  const list = measured?.speed ?? []
  const [first] = list
  if (first === undefined) return ''
  const rows = list.map((m) => [
    escapeHtml(m.name),
    formatMilliseconds(m.latency.median),
    `${formatCount(m.throughput.median)}/s`,
    formatRatio(m.speedup.median),
  ])
  const where = `${escapeHtml(first.runtime)} on ${first.provider}, batch ${first.batch}; medians of ${plural(first.repeats.length, 'interleaved repeat')}.`
  return section(
    'Measured speed',
    `${htmlTable(['model', 'per run', 'items', 'speed'], rows, [1, 2, 3])}\n${paragraph(where, 'soft')}`,
  )
}

const bar = (kind: 'before' | 'after' | 'alone', macs: number, largest: number): string => {
  const width = largest === 0 ? 0 : (100 * macs) / largest
  return element('i', '', { class: kind, style: `width:${width.toFixed(2)}%` })
}

const layerRow = (layer: LayerReport, largest: number): ReadonlyArray<string> => {
  const { before, after, alone } = layer.macs
  const width = (w: LayerReport['inputs']): string => formatChange(String(w.before), String(w.after))
  const reasonList = layer.stays.map((stay) => element('li', escapeHtml(fullReason(stay, formatRanges(stay.channels)))))
  const details = element(
    'details',
    `${element('summary', shortReasons(layer.stays))}${element('ul', reasonList.join(''))}`,
  )
  return [
    `${element('code', escapeHtml(layer.layer))}<br>${element('span', escapeHtml(`${layer.op} ${layer.weight}`), { class: 'soft' })}`,
    width(layer.inputs),
    width(layer.outputs),
    element(
      'div',
      [bar('before', before, largest), bar('after', after, largest), bar('alone', alone, largest)].join(''),
      {
        class: 'bars',
      },
    ),
    formatChange(formatCount(before), formatCount(after)),
    formatCount(Math.round(alone)),
    layer.stays.length === 0 ? '' : details,
  ]
}

const layers = ({ report }: Results): string => {
  if (report.layers.length === 0) return ''
  const largest = report.layers.reduce((most, layer) => Math.max(most, layer.macs.before), 0)
  const key = `Multiply-accumulates <i class="before"></i>before <i class="after"></i>after <i class="alone"></i>if the layer could shrink by itself`
  const table = htmlTable(
    ['layer', 'in', 'out', 'multiply-accumulates', 'before → after', 'alone', 'stays, though nothing needs it'],
    report.layers.map((layer) => layerRow(layer, largest)),
    [1, 2, 4, 5],
  )
  return section('Layers', `${paragraph(key, 'key soft')}\n${element('div', table, { class: 'scroll' })}`)
}

const reasons = ({ report }: Results): string => {
  const rows = totalReasons(report.layers).map(({ kind, channels, layers: count }) => [
    kind,
    String(channels),
    String(count),
    reasonMeanings[kind],
  ])
  return rows.length === 0
    ? ''
    : section('Why channels that nothing needs stay', htmlTable(['reason', 'channels', 'layers', ''], rows, [1, 2]))
}

const matching = ({ matching: found }: Results): string => {
  if (found === undefined) return ''
  const rows = matchRows(found).map((row) => row.map(escapeHtml))
  const table = element('div', htmlTable(matchTitles, rows, [2]), { class: 'scroll' })
  const notes = matchNotes(found).map((note) => paragraph(escapeHtml(note), 'soft'))
  return section('Masks and their weights', [table, ...notes].join('\n'))
}

const opaque = ({ report }: Results): string => {
  const rows = report.opaque.map(({ node, reason }) => [element('code', escapeHtml(node)), escapeHtml(reason)])
  return rows.length === 0 ? '' : section('Nodes kept as they are', htmlTable(['node', 'because'], rows))
}

const refusals = ({ report }: Results): string => {
  const rows = report.refusals.map(({ node, reason }) => [element('code', escapeHtml(node)), escapeHtml(reason)])
  return rows.length === 0 ? '' : section('Nodes not folded', htmlTable(['node', 'because'], rows))
}

const idleMasks = ({ report }: Results): string => {
  const rows = report.idleMasks.map(({ mask, reason }) => [element('code', escapeHtml(mask)), escapeHtml(reason)])
  return rows.length === 0 ? '' : section('Masks that take effect nowhere', htmlTable(['mask', 'because'], rows))
}

const advice = ({ report }: Results): string => {
  const rows = (report.advice ?? []).map(({ mask, macs }) => [
    mask
      .map(({ layer, channels }) => `${element('code', escapeHtml(layer))}: ${escapeHtml(formatRanges(channels))}`)
      .join('<br>'),
    `-${formatCount(macs)}`,
  ])
  if (report.adviceLeftOut !== undefined) {
    return section('What to mask besides', paragraph(escapeHtml(`${adviceLeftOutLine(report.adviceLeftOut)}.`), 'soft'))
  }
  return rows.length === 0
    ? ''
    : section('What to mask besides', htmlTable(['output channels', 'multiply-accumulates'], rows, [1]))
}

const passes = ({ report }: Results): string => {
  const changed = Object.entries(report.passes).filter(([, count]) => count > 0)
  if (changed.length === 0) return ''
  const rows = changed.map(([name, count]) => [element('code', escapeHtml(name)), String(count)])
  return section('Passes that changed the graph', htmlTable(['pass', 'times'], rows, [1]))
}

const sources = ({ model, masks }: Results): string => {
  const row = (kind: string, source: Source | undefined): ReadonlyArray<ReadonlyArray<string>> =>
    source === undefined ? [] : [[kind, escapeHtml(source.name), element('code', source.sha256)]]
  const rows = [...row('model', model), ...row('masks', masks)]
  return rows.length === 0 ? '' : section('Made from', htmlTable(['', 'file', 'SHA-256'], rows))
}
