/** Line plots as SVG, two beside each other. */
import { svgOf } from './svg.ts'

export interface Line {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Panel {
  readonly title: string
  /** Lines of a single point are drawn as dots. */
  readonly lines: ReadonlyArray<Line>
  /** Where the axes begin; at 0 unless told otherwise. */
  readonly from?: readonly [x: number, y: number]
}

const [panelWidth, panelHeight, margin, lineHeight] = [420, 280, 48, 14]
const colours = [
  '#1f77b4',
  '#d62728',
  '#2ca02c',
  '#9467bd',
  '#ff7f0e',
  '#8c564b',
  '#e377c2',
  '#7f7f7f',
  '#bcbd22',
  '#17becf',
]

const colourOf = (at: number): string => colours[at % colours.length] ?? ''

/** Lines that come after as many as there are colours are dashed. */
const dashOf = (at: number): string => (at < colours.length ? '' : ' stroke-dasharray="4 2"')

/** A round number at or above `x`: 1, 2 or 5 times a power of ten. */
const roundUp = (x: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)))
  return ([1, 2, 5, 10].find((step) => step * power >= x) ?? 10) * power
}

const panel = ({ title, lines, from: [left, bottom] = [0, 0] }: Panel, index: number): string => {
  const points = lines.flatMap((line) => line.points)
  const [right, top] = [
    left + roundUp(Math.max(...points.map(([x]) => x), left) - left),
    bottom + roundUp(Math.max(...points.map(([, y]) => y), bottom) - bottom),
  ]
  const [inner, height] = [panelWidth - 2 * margin, panelHeight - 2 * margin]
  const place = ([x, y]: readonly [number, number]): readonly [string, string] => [
    (margin + ((x - left) / (right - left)) * inner).toFixed(1),
    (panelHeight - margin - ((y - bottom) / (top - bottom)) * height).toFixed(1),
  ]
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
    `<text x="${margin + part * inner}" y="${panelHeight - margin + 16}" text-anchor="middle">${+(left + part * (right - left)).toPrecision(3)}</text>`,
    `<text x="${margin - 6}" y="${panelHeight - margin - part * height + 4}" text-anchor="end">${+(bottom + part * (top - bottom)).toPrecision(3)}</text>`,
  ])
  const drawn = lines.flatMap(({ name, points: path }, i) => {
    const shown = path.filter(([x, y]) => x >= left && y >= bottom).map(place)
    const [[x, y] = []] = shown
    const named = `<title>${name}</title>`
    return path.length === 1
      ? x === undefined || y === undefined
        ? []
        : [
            `<circle cx="${x}" cy="${y}" r="4" fill="${i < colours.length ? colourOf(i) : 'white'}" stroke="${colourOf(i)}">${named}</circle>`,
          ]
      : [
          `<polyline fill="none" stroke="${colourOf(i)}" stroke-width="1.5"${dashOf(i)} points="${shown.map((point) => point.join(',')).join(' ')}">${named}</polyline>`,
        ]
  })
  return [
    `<g transform="translate(${(index % 2) * panelWidth},${Math.floor(index / 2) * panelHeight})">`,
    `<text x="${panelWidth / 2}" y="${margin - 16}" text-anchor="middle">${title}</text>`,
    `<path d="M${margin},${margin}V${panelHeight - margin}H${panelWidth - margin}" fill="none" stroke="#888"/>`,
    ...ticks,
    ...drawn,
    '</g>',
  ].join('\n')
}

/** Panels in rows of two, and below them, in two columns, what the lines of the first are called: those of the others are the same. */
export const linePlot = (panels: ReadonlyArray<Panel>): string => {
  const bottom = Math.ceil(panels.length / 2) * panelHeight
  const names = panels[0]?.lines.map(({ name }) => name) ?? []
  const rows = Math.ceil(names.length / 2)
  const legend = names.flatMap((name, i) => {
    const [x, y] = [margin + Math.floor(i / rows) * panelWidth, bottom + lineHeight * ((i % rows) + 0.5)]
    return [
      `<path d="M${x},${y - 4}h24" stroke="${colourOf(i)}" stroke-width="2"${dashOf(i)}/>`,
      `<text x="${x + 30}" y="${y}">${name}</text>`,
    ]
  })
  return svgOf(2 * panelWidth, bottom + lineHeight * (rows + 1), [...panels.map(panel), ...legend])
}
