/** Pictures of weights: where those are that count. */
import type { VNode } from 'preact'
import { printable } from '../../ir/printable.ts'
import type { Picture } from '../../passes/pictures.ts'
import { formatPercent, plural } from '../units.ts'

/** Shades between nothing and everything; fewer shades make fewer, longer runs. */
const shades = 5

/** Layers that are shown. */
const most = 120

export interface Pictured {
  readonly layer: string
  readonly picture: Picture
}

export const DensityMaps = ({ layers }: { readonly layers: ReadonlyArray<Pictured> }): VNode => (
  <>
    <ul class="maps">
      {layers.slice(0, most).map(({ layer, picture }, at) => (
        <li key={at}>
          <DensityMap picture={picture} />
          <span title={printable(layer)}>{shortName(layer)}</span>
          <span class="soft">{formatPercent(picture.density)}</span>
        </li>
      ))}
    </ul>
    {layers.length > most && <p class="soft">{plural(layers.length - most, 'more layer')}, not shown.</p>}
  </>
)

/** The end of a name, which tells layers apart. */
const shortName = (layer: string): string => {
  const parts = printable(layer)
    .split(/[/.]+/)
    .filter((part) => part !== '')
  const kept = parts.length > 1 && /^[A-Z]/.test(parts.at(-1) ?? '') ? parts.slice(0, -1) : parts
  return kept.slice(-3).join('.')
}

/** Output channels down, input channels across; the darker a cell, the more of its weights are not zero. */
const DensityMap = ({ picture }: { readonly picture: Picture }): VNode => {
  const { rows, columns } = picture
  const label = `${picture.outputs} output channels by ${picture.inputs} input channels, ${formatPercent(picture.density)} of the weights not zero`
  return (
    <svg class="map" viewBox={`0 0 ${columns} ${rows}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {Array.from({ length: shades }, (_, shade) => shade + 1).map((shade) => {
        const path = runsOf(picture, shade)
        return path === '' ? null : <path key={shade} class={`shade${shade}`} d={path} />
      })}
    </svg>
  )
}

const shadeOf = (fraction: number): number => (fraction === 0 ? 0 : Math.max(1, Math.ceil(fraction * shades)))

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
