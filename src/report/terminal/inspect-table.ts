/** Facts about a model for a terminal. */
import type { Inspection, LayerFacts } from '../../passes/inspect.ts'
import { countBins, renderBars } from '../histogram.ts'
import { meaningOf, shortReasons, totalReasons } from '../reasons.ts'
import { formatRanges } from '../ranges.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { describeSizes } from '../totals.ts'
import { formatBytes, formatCount, formatPercent } from '../units.ts'

const histogramBins = 12

export const renderInspection = (inspection: Inspection, style: Style): string => {
  const { layers, density, report } = inspection
  const table = renderTable(
    [
      { title: 'layer', fit: 'name' },
      { title: 'op', spare: 7 },
      { title: 'weight', spare: 6 },
      { title: 'density', align: 'right' },
      { title: 'dead', align: 'right', spare: 1 },
      { title: 'const', align: 'right', spare: 2 },
      { title: 'UMM', spare: 8 },
      { title: 'max', align: 'right', spare: 9 },
      { title: 'MACs', align: 'right', spare: 4 },
      { title: 'in', align: 'right', spare: 3 },
      { title: 'out', align: 'right' },
      { title: 'stays', fit: 'text', spare: 5 },
    ],
    layers.map((layer) => layerRow(layer, style)),
    style,
  )
  const { nodes, parameters, bytes, macs } = report.before
  const sizes = describeSizes(report.sizes)
  const summary = [
    `${layers.length} layers of ${nodes} nodes, ${formatCount(parameters)} parameters (${formatBytes(bytes)}), ${formatPercent(density)} of the layers' weights not zero.`,
    `${formatCount(macs)} MACs${sizes === '' ? '' : ` for ${sizes}`}; compiled: ${formatCount(report.after.macs)}; if every layer could shrink by itself: ${formatCount(report.alone)}.`,
    style.dim('UMM: channels by mean |w|, from 0 to the largest (max). in, out: channels after compiling.'),
    ...totalReasons(report.layers).map(({ kind }) => style.dim(`${kind}: ${meaningOf(kind, report.target)}.`)),
  ]
  return [table, summary.join('\n')].filter((block) => block !== '').join('\n\n')
}

const layerRow = (layer: LayerFacts, style: Style): ReadonlyArray<string> => {
  const { change } = layer
  const largest = layer.umm.reduce((a, b) => Math.max(a, b), 0)
  return [
    layer.layer,
    layer.op,
    layer.shape.join('x'),
    formatPercent(layer.density),
    countOrBlank(layer.dead.length),
    countOrBlank(layer.constant.length),
    renderBars(countBins(layer.umm, histogramBins)).padEnd(histogramBins),
    largest.toPrecision(2),
    formatCount(change?.macs.before ?? 0),
    change === undefined ? 'gone' : shrunk(change.inputs.before, change.inputs.after, style),
    change === undefined ? 'gone' : shrunk(change.outputs.before, change.outputs.after, style),
    style.yellow(shortReasons(change?.stays ?? [])),
  ]
}

const countOrBlank = (count: number): string => (count === 0 ? '' : String(count))

const shrunk = (before: number, after: number, style: Style): string =>
  after === before ? String(before) : style.green(`${before} → ${after}`)

/** The inspection for machines: channels as ranges, scores as numbers. */
export const compactInspection = ({ layers, density }: Inspection): unknown => ({
  density,
  layers: layers.map(({ layer, op, weight, shape, density: own, dead, constant, umm }) => ({
    layer,
    op,
    weight,
    shape,
    density: own,
    dead: formatRanges(dead),
    constant: formatRanges(constant),
    umm,
  })),
})
