/** Pictures of weights: where those are that count. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { Picture } from '../../passes/pictures.ts'
import { formatPercent, plural } from '../units.ts'
import { Breakable } from './parts.tsx'

/** Up to which share of its weights a cell has which shade, finer where little is left; fewer shades make fewer, longer runs. */
const shades = [0.03, 0.1, 0.25, 0.5, 0.75, 1]

/** Layers that are shown. */
const most = 120

export interface Pictured {
  readonly layer: string
  readonly picture: Picture
}

export const DensityMaps = ({ layers }: { readonly layers: ReadonlyArray<Pictured> }): VNode => (
  <>
    <p class="key soft" aria-hidden="true">
      <span>not zero, up to:</span>
      {shades.map((most, at) => (
        <span key={most}>
          <i class={`shade${at + 1}`} />
          {formatPercent(most)}
        </span>
      ))}
    </p>
    <ul class="maps">
      {layers.slice(0, most).map(({ layer, picture }, at) => (
        <li key={at}>
          <DensityMap picture={picture} />
          <span title={printable(layer)}>
            <Breakable text={shortName(layer)} />
          </span>
          <span class="soft">{formatPercent(picture.density)}</span>
        </li>
      ))}
    </ul>
    {layers.length > most && <p class="soft">{plural(layers.length - most, 'more layer')}, not shown.</p>}
  </>
)

/** The end of a name, which tells layers apart: `layer1.0.conv2` of `/layer1/layer1.0/conv2/Conv`. */
const shortName = (layer: string): string => {
  const parts = printable(layer)
    .split('/')
    .filter((part) => part !== '')
  const places = parts.length > 1 && /^[A-Z]/.test(parts.at(-1) ?? '') ? parts.slice(0, -1) : parts
  // PyTorch's scopes say again what they lie in.
  const once = places.filter((part, at) => !places[at + 1]?.startsWith(`${part}.`))
  return once.join('.').split(/[.]+/).slice(-4).join('.')
}

/** Output channels down, input channels across; the stronger the colour of a cell, the more of its weights are not zero. */
const DensityMap = ({ picture }: { readonly picture: Picture }): VNode => {
  const { rows, columns } = picture
  const label = `${picture.outputs} output channels by ${picture.inputs} input channels, ${formatPercent(picture.density)} of the weights not zero`
  return (
    <svg class="map" viewBox={`0 0 ${columns} ${rows}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {shades.map((most, at) => {
        const path = runsOf(picture, at)
        return path === '' ? null : <path key={most} class={`shade${at + 1}`} d={path} />
      })}
    </svg>
  )
}

/** The place in `shades`; -1 of an empty cell. */
const shadeOf = (fraction: number): number => (fraction === 0 ? -1 : shades.findIndex((most) => fraction <= most))

/** The cells of one shade as a path: a rectangle for each run of equal rows of a run of cells. */
const runsOf = ({ rows, columns, cells }: Picture, shade: number): string => {
  const out: string[] = []
  const rowAt = (row: number): string =>
    Array.from({ length: columns }, (_, column) =>
      shadeOf(cells[row * columns + column] ?? 0) === shade ? '#' : ' ',
    ).join('')
  for (let row = 0; row < rows;) {
    const text = rowAt(row)
    let end = row + 1
    while (end < rows && rowAt(end) === text) end += 1
    for (const { index, 0: run } of text.matchAll(/#+/g)) {
      out.push(`M${index} ${row}h${run.length}v${end - row}h-${run.length}z`)
    }
    row = end
  }
  return out.join('')
}
