/** Plots as SVG, drawn by Observable Plot. */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

/** Panels beside each other, in rows of `columns`. */
export const plotOf = (
  panels: ReadonlyArray<Plot.PlotOptions>,
  [width, height]: readonly [width: number, height: number],
  columns = 1,
): string => {
  const { document } = parseHTML('<html><body></body></html>')
  const drawn = panels.map((options, at) => {
    const panel = Plot.plot({ marginLeft: 52, ...options, document, width, height })
    panel.setAttribute('x', String((at % columns) * width))
    panel.setAttribute('y', String(Math.floor(at / columns) * height))
    panel.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
    return panel.outerHTML
  })
  const [right, bottom] = [Math.min(columns, panels.length) * width, Math.ceil(panels.length / columns) * height]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${right} ${bottom}">`,
    `<rect width="${right}" height="${bottom}" fill="white"/>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n')
}

/** The heights `at`, moved until they are at least `gap` apart, each as little as others let it. */
export const apart = (at: ReadonlyArray<number>, gap: number): ReadonlyArray<number> => {
  // Neighbours that touch move as one, around their mean.
  const groups: Array<{ readonly members: ReadonlyArray<number>; readonly middle: number }> = []
  const reach = (members: ReadonlyArray<number>): number => ((members.length - 1) * gap) / 2
  for (const index of at.map((_, i) => i).toSorted((a, b) => (at[a] ?? 0) - (at[b] ?? 0))) {
    let members: ReadonlyArray<number> = [index]
    const middleOf = (): number => members.reduce((sum, i) => sum + (at[i] ?? 0), 0) / members.length
    for (let last = groups.at(-1); last !== undefined; last = groups.at(-1)) {
      if (last.middle + reach(last.members) + gap <= middleOf() - reach(members)) break
      groups.pop()
      members = [...last.members, ...members]
    }
    groups.push({ members, middle: middleOf() })
  }
  const placed = [...at]
  for (const { members, middle } of groups)
    members.forEach((index, k) => {
      placed[index] = middle - reach(members) + k * gap
    })
  return placed
}
