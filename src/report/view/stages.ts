/** Parts of a network that belong together, as its layers' names tell. */

export interface Stage {
  readonly name: string
  /** Positions of its layers: from `first` to before `end`. */
  readonly first: number
  readonly end: number
}

/** More stages than this are no grouping. */
const most = 14

/** What stage names lose: what every name of the network begins with, and the names of operators. */
const partsOf = (layer: string): ReadonlyArray<string> => layer.split(/[/.:]+/).filter((part) => part !== '')

/**
 * Stages of a list of layers in order: runs of layers whose names share their first parts (`/layer1/0/conv1/Conv` is of `layer1`),
 * cut where that tells the most while a picture can still show it and stages have two layers on average. Where names tell nothing, runs of layers of one width.
 */
export const stagesOf = (
  layers: ReadonlyArray<{ readonly layer: string; readonly op?: string; readonly width: number }>,
): ReadonlyArray<Stage> => {
  // An operator says nothing of the place: `Conv.12`.
  const names = layers.map(({ layer, op }) => partsOf(layer).filter((part) => part !== op))
  const deepest = names.reduce((n, parts) => Math.max(n, parts.length), 0)
  let found: ReadonlyArray<Stage> = []
  for (let depth = 1; depth < deepest; depth++) {
    // The last part names the layer, not where it is.
    const stages = runs(names.map((parts) => parts.slice(0, Math.min(depth, Math.max(1, parts.length - 1))).join('.')))
    if (stages.length > (found.length < 2 ? most : Math.min(most, layers.length / 2))) break
    if (stages.length > found.length) found = stages
  }
  if (found.length > 1) return shortened(found)
  const byWidth = runs(layers.map(({ width }) => `${width} wide`))
  if (byWidth.length <= most) return byWidth
  return layers.length === 0 ? [] : [{ name: `${layers.length} layers`, first: 0, end: layers.length }]
}

/** One stage for each run of equal names. */
const runs = (names: ReadonlyArray<string>): ReadonlyArray<Stage> => {
  const out: Stage[] = []
  names.forEach((name, at) => {
    const last = out.at(-1)
    if (last !== undefined && last.name === name) out[out.length - 1] = { ...last, end: at + 1 }
    else out.push({ name, first: at, end: at + 1 })
  })
  return out
}

/** Each name as short as it can be and still tells its stage from the others: its last parts, from one that is no number on. */
const shortened = (stages: ReadonlyArray<Stage>): ReadonlyArray<Stage> => {
  const names = [...new Set(stages.map(({ name }) => name))].map((name) => name.split('.'))
  const endOf = (parts: ReadonlyArray<string>, count: number): string => parts.slice(-count).join('.')
  return stages.map((stage) => {
    const parts = stage.name.split('.')
    const count = parts.findIndex((_, at) => {
      const end = endOf(parts, at + 1)
      return !/^\d/.test(end) && names.filter((other) => endOf(other, at + 1) === end).length === 1
    })
    return count < 0 ? stage : { ...stage, name: endOf(parts, count + 1) }
  })
}
