/** Grouped bars as SVG, one panel below the other. */
import { svgOf } from './svg.ts'

export interface Bars {
  readonly title: string
  readonly groups: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<number | undefined> }>
}

const [panelWidth, panelHeight, left, top, bottom] = [860, 220, 40, 34, 28]
const colours = ['#d62728', '#1f77b4', '#999999']

/** `names` are those of the values of each group; a line is drawn at 1. */
export const barPlot = (names: ReadonlyArray<string>, panels: ReadonlyArray<Bars>): string => {
  const highest = Math.max(
    1,
    ...panels.flatMap(({ groups }) => groups.flatMap(({ values }) => values.map((x) => x ?? 0))),
  )
  const end = Math.ceil(highest)
  const height = panelHeight - top - bottom
  const yOf = (value: number): number => panelHeight - bottom - (value / end) * height
  const panel = ({ title, groups }: Bars, at: number): string => {
    const step = (panelWidth - left) / groups.length
    const width = (0.8 * step) / names.length
    const bars = groups.flatMap(({ name, values }, g) => [
      `<text x="${(left + (g + 0.5) * step).toFixed(1)}" y="${panelHeight - bottom + 16}" text-anchor="middle">${name}</text>`,
      ...values.map((value, i) =>
        value === undefined
          ? ''
          : `<rect x="${(left + (g + 0.1) * step + i * width).toFixed(1)}" y="${yOf(value).toFixed(1)}" width="${(0.92 * width).toFixed(1)}" height="${(yOf(0) - yOf(value)).toFixed(1)}" fill="${colours[i % colours.length]}"><title>${name}, ${names[i]}: ${value.toFixed(2)}</title></rect>`,
      ),
    ])
    const lines = Array.from({ length: end + 1 }, (_, value) => [
      `<path d="M${left},${yOf(value).toFixed(1)}H${panelWidth}" stroke="${value === 1 ? '#333' : '#ddd'}"/>`,
      `<text x="${left - 6}" y="${(yOf(value) + 4).toFixed(1)}" text-anchor="end">${value}x</text>`,
    ]).flat()
    const legend = names.map(
      (name, i) =>
        `<text x="${panelWidth - 150 * (names.length - i)}" y="18" fill="${colours[i % colours.length]}">■ ${name}</text>`,
    )
    return [
      `<g transform="translate(0,${at * panelHeight})">`,
      `<text x="${left}" y="18" font-weight="bold">${title}</text>`,
      ...legend,
      ...lines,
      ...bars,
      '</g>',
    ].join('\n')
  }
  return svgOf(panelWidth, panels.length * panelHeight, panels.map(panel))
}
