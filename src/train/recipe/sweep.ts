/** A grid of training runs as plain data: what all runs share, and lists of values of which each run takes one. */
import * as E from 'fp-ts/lib/Either.js'
import { isNonEmpty } from 'fp-ts/lib/Array.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import { closestName } from '../../ir/closest.ts'
import { digestOf } from '../../ir/digest.ts'
import { type Failure, failure, renderError } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import { type Normalisation, normalisations } from '../data/index.ts'
import { parseDataSource } from '../data/open.ts'
import { presets } from './presets.ts'
import { type Range, rangeText, shown } from './reader.ts'
import { decodeRecipe, type Recipe } from './recipe.ts'

/** What a run is of, besides its recipe. */
export interface RunSettings {
  /** A model by name, or an ONNX file. */
  readonly model: string
  /** A kind and a folder. */
  readonly data: string
  /** A file of masks, or `zeros`. */
  readonly masks?: string
  readonly trainSize?: number
  readonly validationShare?: number
  /** Decides which training images are for validation. Absent: the seed of the recipe. */
  readonly validationSeed?: number
  readonly imageSize?: number
  readonly normalisation?: Normalisation
}

export interface SweepRun {
  /** What tells it from the others: its values, fit for the name of a folder. */
  readonly name: string
  /** The same without the seed: runs of one configuration differ in nothing else. */
  readonly configuration: string
  readonly settings: RunSettings
  readonly recipe: Recipe
}

/** What is wrong with the plan of a sweep. */
export type SweepError = Failure<'SweepError'>

const sweepError = (subject: string, expected: string, found: string, help: string): SweepError =>
  failure('SweepError', subject, expected, found, help)

/** More runs than this are a mistake. */
const mostRuns = 10_000

type Data = Readonly<Record<string, unknown>>

/** A value that one run takes, and where in the plan it is. */
interface Taken {
  readonly path: string
  readonly value: unknown
  /** Such as `grid 2`. */
  readonly grid: string
}

/**
 * The runs of a sweep, in the order of its plan: those of every grid, the last list changing fastest.
 *
 * The plan is an object: `model`, `data`, `masks`, `trainSize`, `validationShare`, `validationSeed`, `imageSize` and `normalisation`, which all
 * runs share; either
 * `recipe`, the entries of a recipe, or `preset`; and `grid`, an object, or a list of such, with lists of values by what they are
 * values of: one of the former, or an entry of the recipe, such as `seed` or `method.density`. A `method` is a name, which keeps the
 * entries of the recipe's method where that has no name or the same, or an object, which takes its place.
 *
 * Errors: everything that is wrong, each problem with the value and the first run in which it is one.
 */
export const decodeSweep = (plan: unknown): E.Either<NonEmptyArray<SweepError>, ReadonlyArray<SweepRun>> => {
  const problems: SweepError[] = []
  if (!isRecord(plan)) {
    const help = 'Write entries such as model, data, recipe and grid.'
    return E.left([sweepError('plan', 'an object', shown(plan), help)])
  }
  const base = baseOf(plan, problems)
  const grids = gridsOf(plan['grid'], problems)
  const count = grids.reduce((n, { axes }) => n + axes.reduce((m, { values }) => m * values.length, 1), 0)
  if (count > mostRuns) {
    problems.push(sweepError('grid', `at most ${mostRuns} runs`, `${count}`, 'Take values out, or make two sweeps.'))
  }
  if (isNonEmpty(problems)) return E.left(problems)
  const runs: SweepRun[] = []
  const told = new Set<string>()
  const note = (problem: SweepError, name: string): void => {
    const text = renderError(problem)
    if (told.has(text)) return
    told.add(text)
    problems.push({ ...problem, subject: `${problem.subject} (run ${name})` })
  }
  const known = new Map<string, string>()
  for (const grid of grids) {
    for (const taken of combinationsOf(grid)) {
      const own = nameOf(taken, true)
      const decoded = runOf(base, taken)
      if (E.isLeft(decoded)) {
        for (const problem of decoded.left) note(problem, own)
        continue
      }
      const { settings, recipe } = decoded.right
      const twin = JSON.stringify([settings, recipe])
      const other = known.get(twin)
      if (other !== undefined) {
        problems.push(sweepError(`run ${own}`, 'each run once', `the same run as ${other}`, 'Take one of them out.'))
      }
      known.set(twin, own)
      runs.push({ name: own, configuration: nameOf(taken, false) || recipe.method.name, settings, recipe })
    }
  }
  return isNonEmpty(problems) ? E.left(problems) : E.right(withNamesApart(runs))
}

/** What all runs share: settings, and the data of a recipe. */
interface Base {
  readonly settings: Data
  readonly recipe: Data
}

const countRange: Range = { min: 1, whole: true }

/** What a setting has to be: undefined where it is. */
const settingWrong: Readonly<Record<keyof RunSettings, (value: unknown) => string | undefined>> = {
  model: (value) => textWrong(value, 'the name of a model, or an ONNX file'),
  data: (value) => {
    const wrong = textWrong(value, 'a kind and a folder, such as cifar10:DIR')
    if (wrong !== undefined || typeof value !== 'string') return wrong
    const source = parseDataSource(value)
    return E.isLeft(source) ? source.left.expected : undefined
  },
  masks: (value) => textWrong(value, 'a file of masks, or zeros'),
  trainSize: (value) => numberWrong(value, countRange),
  validationShare: (value) => numberWrong(value, { min: 0, max: 1, aboveMin: true, belowMax: true }),
  validationSeed: (value) => numberWrong(value, { min: 0, whole: true }),
  imageSize: (value) => numberWrong(value, { ...countRange, max: 4096 }),
  normalisation: (value) => (isNormalisation(value) ? undefined : `one of ${normalisations.join(', ')}`),
}

const isNormalisation = (value: unknown): value is Normalisation => normalisations.some((one) => one === value)

const settingNames: ReadonlyArray<string> = Object.keys(settingWrong)

const isSetting = (name: string): name is keyof RunSettings => settingNames.includes(name)

const textWrong = (value: unknown, expected: string): string | undefined =>
  typeof value === 'string' && value !== '' ? undefined : expected

const numberWrong = (value: unknown, range: Range): string | undefined => {
  const { min, max = Infinity, aboveMin, belowMax, whole } = range
  const good =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (aboveMin === true ? value > min : value >= min) &&
    (belowMax === true ? value < max : value <= max) &&
    (whole !== true || Number.isSafeInteger(value))
  return good ? undefined : rangeText(range)
}

const planEntries = [...settingNames, 'recipe', 'preset', 'grid']

const baseOf = (plan: Data, problems: SweepError[]): Base => {
  for (const key of Object.keys(plan)) {
    if (planEntries.includes(key)) continue
    const close = closestName(key, planEntries)
    const advice = close === undefined ? 'Entries of a recipe go under recipe.' : `Did you mean ${close}?`
    const help = `${advice} Entries here are ${planEntries.join(', ')}.`
    problems.push(sweepError(`plan entry ${key}`, 'an entry that exists', 'one of no meaning', help))
  }
  const { recipe, preset } = plan
  const settings = Object.fromEntries(Object.entries(plan).filter(([key]) => isSetting(key)))
  for (const [key, value] of Object.entries(settings)) {
    const expected = isSetting(key) ? settingWrong[key](value) : undefined
    if (expected !== undefined) {
      problems.push(sweepError(`plan entry ${key}`, expected, shown(value), 'Change or remove the entry.'))
    }
  }
  if (recipe !== undefined && preset !== undefined) {
    const help = 'Leave one out; entries of a preset are changed by lists of one value in the grid.'
    problems.push(sweepError('plan entry preset', 'no recipe beside it', shown(preset), help))
  }
  if (recipe !== undefined && !isRecord(recipe)) {
    const help = 'Write entries such as epochs and batch.'
    problems.push(sweepError('plan entry recipe', 'the entries of a recipe', shown(recipe), help))
  }
  if (preset === undefined) return { settings, recipe: isRecord(recipe) ? recipe : {} }
  const found = Object.entries(presets).find(([name]) => name === preset)
  if (found === undefined) {
    const names = `one of ${Object.keys(presets).join(', ')}`
    problems.push(sweepError('plan entry preset', names, shown(preset), 'Choose one of these.'))
  }
  return { settings, recipe: found?.[1] ?? {} }
}

interface Grid {
  /** What errors call it. */
  readonly name: string
  readonly axes: ReadonlyArray<{ readonly path: string; readonly values: ReadonlyArray<unknown> }>
}

const gridsOf = (found: unknown, problems: SweepError[]): ReadonlyArray<Grid> => {
  const list: ReadonlyArray<unknown> = Array.isArray(found) ? found : [found]
  if (list.length === 0) problems.push(sweepError('grid', 'at least one grid', 'an empty list', 'Add one.'))
  return list.flatMap((one, at): ReadonlyArray<Grid> => {
    const name = list.length === 1 ? 'grid' : `grid ${at + 1}`
    if (!isRecord(one) || Object.keys(one).length === 0) {
      const help = 'For example grid: { method: [set, rigl], seed: [1, 2, 3] }.'
      problems.push(sweepError(name, 'lists of values by their entry', shown(one), help))
      return []
    }
    const axes = Object.entries(one).map(([path, values]) => {
      checkAxis(name, path, values, problems)
      return { path, values: Array.isArray(values) ? values : [] }
    })
    // A method comes before its entries, which are put into it.
    return [{ name, axes }]
  })
}

const checkAxis = (grid: string, path: string, values: unknown, problems: SweepError[]): void => {
  const subject = `${grid}, ${path}`
  if (path === 'grid' || path === 'recipe' || path === 'preset' || path.split('.').includes('')) {
    const help = 'Name an entry of the recipe, such as seed or method.density, or a setting, such as model.'
    problems.push(sweepError(subject, 'an entry of a run', 'something else', help))
    return
  }
  if (!Array.isArray(values) || values.length === 0) {
    problems.push(sweepError(subject, 'a list of values', shown(values), 'Write it like [0.1, 0.2].'))
    return
  }
  const texts = values.map((value) => JSON.stringify(value))
  const twice = values.find((_, i) => texts.indexOf(texts[i] ?? '') !== i)
  if (twice !== undefined) {
    problems.push(sweepError(subject, 'each value once', `${shown(twice)} twice`, 'Take one of them out.'))
  }
  if (!isSetting(path)) return
  for (const value of values) {
    const expected = settingWrong[path](value)
    if (expected !== undefined) problems.push(sweepError(subject, expected, shown(value), 'Change the value.'))
  }
}

/** All choices of one value of each list, the last list changing fastest. */
const combinationsOf = ({ name, axes }: Grid): ReadonlyArray<ReadonlyArray<Taken>> => {
  let all: ReadonlyArray<ReadonlyArray<Taken>> = [[]]
  for (const { path, values } of axes) {
    all = all.flatMap((chosen) => values.map((value) => [...chosen, { path, value, grid: name }]))
  }
  return all
}

type Decoded = Pick<SweepRun, 'settings' | 'recipe'>

const runOf = (base: Base, taken: ReadonlyArray<Taken>): E.Either<ReadonlyArray<SweepError>, Decoded> => {
  const settings: Record<string, unknown> = { ...base.settings }
  let recipe: Data = base.recipe
  const problems: SweepError[] = []
  // What is put into an object comes behind the object.
  const inward = taken.toSorted((a, b) => a.path.split('.').length - b.path.split('.').length)
  for (const { path, value, grid } of inward) {
    if (isSetting(path)) settings[path] = value
    else if (path === 'method' && typeof value === 'string') recipe = withMethod(recipe, value)
    else {
      const over = inward.find((other) => path.startsWith(`${other.path}.`) && within(other, path) !== undefined)
      if (over !== undefined) {
        const help = 'Leave it out in one of the two.'
        problems.push(sweepError(`${grid}, ${path}`, 'one value', `${shown(value)}, and ${shown(over.value)}`, help))
      }
      recipe = withEntry(recipe, path.split('.'), value)
    }
  }
  const { model, data, masks, trainSize, validationShare, validationSeed, imageSize, normalisation } = settings
  for (const [name, value] of [
    ['model', model],
    ['data', data],
  ] as const) {
    if (value !== undefined) continue
    problems.push(sweepError(`plan entry ${name}`, settingWrong[name](undefined) ?? '', 'nothing', 'Add it.'))
  }
  const decoded = decodeRecipe(recipe)
  if (E.isLeft(decoded)) {
    for (const { subject, expected, found, help } of decoded.left) {
      problems.push(sweepError(`${placeOf(subject, inward)}${subject}`, expected, found, help))
    }
  }
  if (E.isRight(decoded) && masks !== undefined && decoded.right.method.name !== 'dense') {
    const expected = 'method dense beside them, which leaves masks as they are'
    const help = 'Leave the masks or the method out.'
    problems.push(sweepError('masks', expected, `method ${decoded.right.method.name}`, help))
  }
  if (problems.length > 0 || E.isLeft(decoded) || typeof model !== 'string' || typeof data !== 'string') {
    return E.left(problems)
  }
  return E.right({
    settings: {
      model,
      data,
      ...(typeof masks === 'string' ? { masks } : {}),
      ...(typeof trainSize === 'number' ? { trainSize } : {}),
      ...(typeof validationShare === 'number' ? { validationShare } : {}),
      ...(typeof validationSeed === 'number' ? { validationSeed } : {}),
      ...(typeof imageSize === 'number' ? { imageSize } : {}),
      ...(isNormalisation(normalisation) ? { normalisation } : {}),
    },
    recipe: decoded.right,
  })
}

/** What a value that a run takes has at a path further in; undefined where it has nothing there. */
const within = (outer: Taken, path: string): unknown => {
  let value: unknown = outer.value
  for (const part of path.slice(outer.path.length + 1).split('.')) value = isRecord(value) ? value[part] : undefined
  return value
}

/** The value of the grid that a problem of a recipe comes from, as the beginning of a subject; empty where it is none. */
const placeOf = (subject: string, taken: ReadonlyArray<Taken>): string => {
  const path = subject.replace(/^recipe entry /, '')
  const found = taken.findLast((one) => path === one.path || path.startsWith(`${one.path}.`))
  return found === undefined ? '' : `${found.grid}, ${found.path} ${shown(found.value)}: `
}

/** Another method starts anew; entries under no name are for all methods. */
const withMethod = (recipe: Data, name: string): Data => {
  const known = isRecord(recipe['method']) ? recipe['method'] : {}
  const kept = known['name'] === undefined || known['name'] === name ? known : {}
  return { ...recipe, method: { ...kept, name } }
}

const withEntry = (data: Data, path: ReadonlyArray<string>, value: unknown): Data => {
  const [key = '', ...rest] = path
  if (rest.length === 0) return { ...data, [key]: value }
  const inner = data[key]
  return { ...data, [key]: withEntry(isRecord(inner) ? inner : {}, rest, value) }
}

/** Values of a run as text: `rigl,density=0.1,seed=1`. */
const nameOf = (taken: ReadonlyArray<Taken>, withSeed: boolean): string => {
  const [seeds, others] = [taken.filter(({ path }) => path === 'seed'), taken.filter(({ path }) => path !== 'seed')]
  return [...others, ...(withSeed ? seeds : [])].map(labelOf).join(',')
}

const labelOf = ({ path, value }: Taken): string => {
  const key = path.split('.').at(-1) ?? path
  if (path !== 'method') return `${key}=${plain(value)}`
  if (!isRecord(value)) return plain(value)
  const { name, ...entries } = value
  return [plain(name), ...Object.entries(entries).map(([entry, x]) => `${entry}=${plain(x)}`)].join(',')
}

/** Text that may be part of the name of a folder on any system. */
const plain = (value: unknown): string =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
    .replace(/[^A-Za-z0-9._+-]+/g, '_')
    .replace(/^[_.]+|[_.]+$/g, '')

/** Characters of a name at most; file systems take 255 bytes. */
const longestName = 150

/** Names that are too long, or the same on a disk that does not tell capitals, end with a digest of what the run is. */
const withNamesApart = (runs: ReadonlyArray<SweepRun>): ReadonlyArray<SweepRun> => {
  const apart = (key: 'name' | 'configuration', identity: (run: SweepRun) => unknown) => {
    const by = new Map<string, Set<string>>()
    const of = (run: SweepRun): string => JSON.stringify(identity(run))
    for (const run of runs) {
      const low = run[key].toLowerCase()
      by.set(low, (by.get(low) ?? new Set()).add(of(run)))
    }
    return (run: SweepRun): string => {
      const name = run[key]
      if (name.length <= longestName && by.get(name.toLowerCase())?.size === 1) return name
      const digest = digestOf(new TextEncoder().encode(of(run))).slice(0, 8)
      return `${name.slice(0, longestName - 9)}-${digest}`
    }
  }
  const name = apart('name', ({ settings, recipe }) => [settings, recipe])
  const configuration = apart('configuration', ({ settings, recipe }) => [settings, { ...recipe, seed: 0 }])
  return runs.map((run) => ({ ...run, name: name(run), configuration: configuration(run) }))
}
