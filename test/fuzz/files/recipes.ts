/** Recipes: entries that exist with values that do not, entries that do not exist, and text that is no data. */
import * as E from 'fp-ts/lib/Either.js'
import { decodeAll, parseRecipe } from '../../../src/cli/train/settings.ts'
import { methodNames, policyOf, presets } from '../../../src/train/recipe/index.ts'
import { fromArrays } from '../../../src/train/sparse/index.ts'
import { utf8 } from '../../masks/files.ts'
import { type Draw, edgeInteger, edgeName, edgeNumbers, mutateText } from './draw.ts'
import { type FileKind, refused, verdictOf } from './kind.ts'

const keys = [
  ...['method', 'name', 'density', 'channels', 'epochs', 'batch', 'learningRate', 'schedule', 'peak', 'warmup', 'seed'],
  ...[
    'every',
    'channelsEvery',
    'floor',
    'scope',
    'until',
    'softUntil',
    'part',
    'augmentation',
    'padding',
    'flip',
    'slim',
  ],
  ...[
    'momentum',
    'nesterov',
    'weightDecay',
    'decay',
    'labelSmoothing',
    'distribution',
    'n',
    'm',
    'partial',
    'milestones',
  ],
  ...['crop', 'mehtod', 'epoch', 'learning_rate'],
] as const

const words = [...methodNames, 'static-random', 'cosine', 'steps', 'erk', 'er', 'all', 'block']

const value = (draw: Draw, depth: number): unknown => {
  switch (draw.below(depth > 3 ? 6 : 9)) {
    case 0:
      return draw.uniform()
    case 1:
      return Number(edgeInteger(draw))
    case 2:
      return draw.pick(edgeNumbers)
    case 3:
      return draw.one(words)
    case 4:
      return draw.pick<unknown>([null, true, false, '', edgeName(draw)])
    case 5:
      return draw.below(300)
    case 6:
      return Array.from({ length: draw.below(5) }, () => value(draw, depth + 1))
    default:
      return object(draw, depth + 1)
  }
}

const object = (draw: Draw, depth: number): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (let count = draw.below(draw.chance(0.001) ? 2000 : 8); count >= 0; count--) {
    out[draw.chance(0.9) ? (draw.one(keys) ?? '') : `${edgeName(draw)}${count}`] = value(draw, depth)
  }
  return out
}

const list = Object.values(presets).map((preset) => JSON.stringify(preset))

const made = (draw: Draw): string => {
  const text = draw.one(list) ?? '{}'
  const pieces = [
    '*a',
    '&a ',
    '!!set ',
    '[',
    '{',
    '? ',
    '- ',
    '|\n ',
    '"',
    '%YAML 1.1\n---\n',
    '<<: ',
    ': ',
    '1e999',
    '#',
  ] as const
  switch (draw.below(4)) {
    case 0:
      return JSON.stringify(object(draw, 0))
    case 1: {
      const changed: unknown = JSON.parse(text)
      return JSON.stringify({ ...(typeof changed === 'object' ? changed : {}), ...object(draw, 1) })
    }
    case 2:
      return draw.chance(0.1) ? draw.pick(pieces).repeat(draw.below(5000)) : mutateText(text, draw, pieces)
    default:
      return text.replace(/[\d.]+/g, (number) => (draw.chance(0.2) ? String(edgeInteger(draw)) : number))
  }
}

export const recipeFiles: FileKind = {
  share: 15,
  make: (draw) => utf8(made(draw)),
  judge: (bytes) => {
    const data = parseRecipe('recipe.yaml', new TextDecoder().decode(bytes))
    if (E.isLeft(data)) return refused(data.left)
    const recipe = decodeAll('recipe.yaml', data.right)
    if (E.isLeft(recipe)) return refused(recipe.left)
    const policy = policyOf(recipe.right.method, { steps: 100, stepsPerEpoch: 10 })
    verdictOf(fromArrays({ layers: [], streams: [] }, policy, new Map()))
    return 'accepted'
  },
}
