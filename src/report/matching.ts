/** Which mask was found to belong to which weight, in words. */
import type { MatchedMask, MatchSummary } from '../masks/match/index.ts'
import { formatPercent, plural } from './units.ts'

const ways: Readonly<Record<MatchedMask['way'], string>> = {
  map: 'the map',
  value: 'its numbers',
  name: 'name',
  node: "its node's module",
  tied: 'tied to another',
  shape: 'shape alone',
}

const layouts: Readonly<Record<MatchedMask['layout'], string>> = {
  same: '',
  transposed: 'transposed',
  tensorflow: "TensorFlow's axes",
  channels: 'whole channels',
  permuted: 'axes permuted',
  rows: 'in parts',
  gates: "gates in ONNX's order",
}

export const matchTitles = ['mask', 'shape', 'kept', 'weight', 'shape', 'read by', 'found by', 'layout']

const shapeText = (shape: ReadonlyArray<number>): string => shape.join('x')

export const matchRows = ({ matched }: MatchSummary): ReadonlyArray<ReadonlyArray<string>> =>
  matched.map(({ mask, shape, kept, weight, weightShape, nodes, way, layout, part }) => [
    mask,
    shapeText(shape),
    formatPercent(kept),
    weight,
    shapeText(weightShape),
    nodes.join(', '),
    ways[way],
    part ?? layouts[layout],
  ])

/** Sentences on what has no mask, and on what was passed over. */
export const matchNotes = ({ matched, unmasked, notes }: MatchSummary): ReadonlyArray<string> => {
  const names = unmasked.map(({ weight, shape }) => `${weight} [${shape.join(',')}]`)
  const byShape = matched.filter(({ way }) => way === 'shape').length
  return [
    ...(byShape === 0 ? [] : [`${plural(byShape, 'mask')} found a weight by shape alone: look at it.`]),
    ...(names.length === 0 ? [] : [`No mask for ${plural(names.length, 'prunable weight')}: ${names.join(', ')}.`]),
    ...notes,
  ]
}

/** One line on the whole: how many found their weights, and how. */
export const renderMatchLine = (summary: MatchSummary): string => {
  const masks = new Set(summary.matched.map(({ mask }) => mask))
  if (masks.size === 0) return ['There are no masks in the file: nothing is masked.', ...matchNotes(summary)].join('\n')
  const counts = new Map<string, number>()
  for (const { way } of summary.matched) counts.set(ways[way], (counts.get(ways[way]) ?? 0) + 1)
  const how = [...counts].map(([way, count]) => `${count} by ${way}`).join(', ')
  return [
    `${plural(masks.size, 'mask')} found ${masks.size === 1 ? 'its weight' : 'their weights'}: ${how}.`,
    ...matchNotes(summary).filter((note) => note.length < 200),
  ].join('\n')
}
