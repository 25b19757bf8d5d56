/** Line plots as SVG, two beside each other. */
import { svgOf } from './svg.ts'

export interface Line {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Panel {
  readonly title: string
  readonly lines: ReadonlyArray<Line>
}

const [panelWidth, panelHeight, margin] = [420, 280, 48]
const colours = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd']

/** A round number at or above `x`: 1, 2 or 5 times a power of ten. */
const roundUp = (x: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)))
  return ([1, 2, 5, 10].find((step) => step * power >= x) ?? 10) * power
}

const panel = ({ title, lines }: Panel, index: number): string => {
  const points = lines.flatMap((line) => line.points)
  const [right, top] = [
    roundUp(Math.max(...points.map(([x]) => x), 0)),
    roundUp(Math.max(...points.map(([, y]) => y), 0)),
  ]
  const [inner, height] = [panelWidth - 2 * margin, panelHeight - 2 * margin]
  const place = ([x, y]: readonly [number, number]): string =>
    `${(margin + (x / right) * inner).toFixed(1)},${(panelHeight - margin - (y / top) * height).toFixed(1)}`
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
    `<text x="${margin + part * inner}" y="${panelHeight - margin + 16}" text-anchor="middle">${+(part * right).toPrecision(3)}</text>`,
    `<text x="${margin - 6}" y="${panelHeight - margin - part * height + 4}" text-anchor="end">${+(part * top).toPrecision(3)}</text>`,
  ])
  const drawn = lines.flatMap(({ name, points: path }, i) => [
    `<polyline fill="none" stroke="${colours[i % colours.length]}" stroke-width="1.5" points="${path.map(place).join(' ')}"/>`,
    `<text x="${margin + 8}" y="${margin + 12 + 14 * i}" fill="${colours[i % colours.length]}">${name}</text>`,
  ])
  return [
    `<g transform="translate(${(index % 2) * panelWidth},${Math.floor(index / 2) * panelHeight})">`,
    `<text x="${panelWidth / 2}" y="${margin - 16}" text-anchor="middle">${title}</text>`,
    `<path d="M${margin},${margin}V${panelHeight - margin}H${panelWidth - margin}" fill="none" stroke="#888"/>`,
    ...ticks,
    ...drawn,
    '</g>',
  ].join('\n')
}

export const linePlot = (panels: ReadonlyArray<Panel>): string => {
  const [width, height] = [2 * panelWidth, Math.ceil(panels.length / 2) * panelHeight]
  return svgOf(width, height, panels.map(panel))
}
