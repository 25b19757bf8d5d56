/** What is trained on what and how: from the command line and a recipe file, or from the folder of a run. */
import { isDeepStrictEqual } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure, invariant, together } from '../../ir/failure.ts'
import { readBytes } from '../../read/bytes.ts'
import { parseYaml } from '../../read/yaml.ts'
import { type Normalisation, normalisations } from '../../train/data/index.ts'
import { decodeRecipe, methodNames, presets, type Recipe } from '../../train/recipe/index.ts'
import type { RunSettings } from '../../train/recipe/sweep.ts'

/** Everything that the result of a run follows from, the backend excepted. */
export interface Settings extends RunSettings {
  /** Whether the dense network is trained as well, by the same recipe. */
  readonly dense: boolean
  readonly recipe: Recipe
}

/** What the command line says of them. */
export interface SettingsFlags {
  readonly model?: string
  readonly data?: string
  readonly masks?: string
  readonly trainSize?: number
  readonly validationShare?: number
  readonly validationSeed?: number
  readonly imageSize?: number
  readonly normalisation?: Normalisation
  readonly dense?: true
  readonly preset?: keyof typeof presets
  readonly recipe?: string
  readonly method?: string
  readonly density?: number
  readonly channels?: number
  readonly scope?: string
  readonly epochs?: number
  readonly batch?: number
  readonly learningRate?: number
  readonly seed?: number
}

type Data = Readonly<Record<string, unknown>>

const usage = (subject: string, expected: string, found: string, help: string): E.Either<Failure, never> =>
  E.left(failure('UsageError', subject, expected, found, help))

/**
 * Settings from the command line. Errors: all that is missing, options that do not go together, and everything that is wrong
 * with the recipe.
 */
export const settingsFrom = async (flags: SettingsFlags): Promise<E.Either<Failure, Settings>> => {
  const {
    model,
    data,
    masks,
    trainSize,
    validationShare,
    validationSeed,
    imageSize,
    normalisation,
    dense = false,
  } = flags
  const recipe = await recipeFrom(flags)
  const [first, ...others] = [
    ...(model === undefined ? [missing('--model', 'the name of a model, or an ONNX file', nameHelp)] : []),
    ...(data === undefined ? [missing('--data', 'a kind and a folder', 'For example --data cifar10:DIR.')] : []),
    ...(E.isLeft(recipe) ? [recipe.left] : conflictsWith(recipe.right, flags)),
  ]
  if (first !== undefined) {
    const whole = failure(
      'UsageError',
      'chasec train',
      'a model, data and a recipe',
      `${others.length + 1} problems`,
      '',
    )
    return E.left(together(first, others, whole))
  }
  invariant(model !== undefined && data !== undefined && E.isRight(recipe), 'whatever is missing has been told')
  return E.right({
    model,
    data,
    ...(masks === undefined ? {} : { masks }),
    ...(trainSize === undefined ? {} : { trainSize }),
    ...(validationShare === undefined ? {} : { validationShare }),
    ...(validationSeed === undefined ? {} : { validationSeed }),
    ...(imageSize === undefined ? {} : { imageSize }),
    ...(normalisation === undefined ? {} : { normalisation }),
    dense,
    recipe: recipe.right,
  })
}

/** Options that do not go with the method. */
const conflictsWith = ({ method }: Recipe, { masks, dense }: SettingsFlags): ReadonlyArray<Failure> => {
  if (masks !== undefined && method.name !== 'dense') {
    const expected = 'method dense beside it, which leaves masks as they are'
    return [failure('UsageError', '--masks', expected, `method ${method.name}`, 'Leave the masks or the method out.')]
  }
  if (masks !== undefined || dense !== true || method.name !== 'dense') return []
  const help = 'Leave --dense out: the dense network is the one that is trained.'
  return [failure('UsageError', '--dense', 'a method beside it that makes the network sparse', 'method dense', help)]
}

const missing = (option: string, expected: string, help: string): Failure =>
  failure('UsageError', option, expected, 'nothing', help)

const nameHelp = 'Run chasec train --help to see the names.'

/** The recipe of the preset or file, or of neither, with what the command line says put over it. */
const recipeFrom = async (flags: SettingsFlags): Promise<E.Either<Failure, Recipe>> => {
  const { preset, recipe } = flags
  if (preset !== undefined && recipe !== undefined) {
    return usage('--preset', 'no recipe file beside it', `--recipe ${recipe}`, 'Give one of the two.')
  }
  const base = recipe === undefined ? E.right(preset === undefined ? {} : presets[preset]) : await readRecipe(recipe)
  if (E.isLeft(base)) return base
  const data = overlaid(base.right, flags)
  const name = recipe ?? (preset === undefined ? 'options' : `preset ${preset}`)
  return decodeAll(name, data, (problem) => inOptions(problem, flags, data))
}

/** The entries of a recipe that options give. */
const optionsOfEntries: ReadonlyArray<readonly [entry: string, key: keyof SettingsFlags, option: string]> = [
  ['method.name', 'method', '--method'],
  ['method.density', 'density', '--density'],
  ['method.channels', 'channels', '--channels'],
  ['method.scope', 'scope', '--scope'],
  ['epochs', 'epochs', '--epochs'],
  ['batch', 'batch', '--batch'],
  ['learningRate.peak', 'learningRate', '--learning-rate'],
  ['seed', 'seed', '--seed'],
]

/** A problem of a recipe in the words of the option that gave what is wrong. */
const inOptions = (problem: Failure, flags: SettingsFlags, data: Data): Failure => {
  const { method } = data
  const noMethod = method === undefined || (isData(method) && method['name'] === undefined)
  if (noMethod && /^recipe entry method(\.name)?$/.test(problem.subject)) {
    return missing(
      '--method',
      `one of ${methodNames.join(', ')}`,
      'Give it, or --preset, or a --recipe that names one.',
    )
  }
  const given = optionsOfEntries.find(
    ([entry, key]) => problem.subject === `recipe entry ${entry}` && flags[key] !== undefined,
  )
  return given === undefined ? problem : { ...problem, subject: given[2] }
}

/** A recipe as plain data, all that is wrong with it in one failure. */
export const decodeAll = (
  name: string,
  data: unknown,
  worded: (problem: Failure) => Failure = (problem) => problem,
): E.Either<Failure, Recipe> => {
  const decoded = decodeRecipe(data)
  if (E.isRight(decoded)) return decoded
  const first = worded(decoded.left[0])
  const others = decoded.left.slice(1).map(worded)
  const whole = failure('RecipeError', name, 'a recipe', `${decoded.left.length} entries that are wrong`, '')
  const alone = others.length === 0 && !first.subject.startsWith('--')
  return E.left(together(alone ? { ...first, subject: `${name}: ${first.subject}` } : first, others, whole))
}

/** A file of JSON or YAML. */
const readRecipe = async (path: string): Promise<E.Either<Failure, Data>> => {
  const bytes = await readBytes(path)
  return E.isLeft(bytes) ? bytes : parseRecipe(path, new TextDecoder().decode(bytes.right))
}

/** The entries of a recipe's text; `path` is what errors call it. */
export const parseRecipe = (path: string, text: string): E.Either<Failure, Data> => {
  const wrong = (found: string, help: string): E.Either<Failure, never> =>
    E.left(failure('RecipeError', path, 'a recipe in JSON or YAML', found, help))
  const data = parseYaml(text)
  if (E.isLeft(data)) return wrong(data.left, 'Correct the file at that place.')
  return isData(data.right)
    ? E.right(data.right)
    : wrong(kindOf(data.right), 'Write entries such as method, epochs and batch.')
}

/** What a file that holds no entries holds. */
const kindOf = (data: unknown): string => {
  if (data === null || data === undefined) return 'nothing'
  return Array.isArray(data) ? 'a list' : `a ${typeof data === 'string' ? 'text' : typeof data}`
}

const isData = (data: unknown): data is Data => typeof data === 'object' && data !== null && !Array.isArray(data)

/** Entries of the command line take the place of those of the file; another method than the file's starts anew. */
const overlaid = (base: Data, flags: SettingsFlags): Data => {
  const { masks, density, channels, scope, epochs, batch, learningRate, seed } = flags
  // What is masked from the start stays so: dense training of what is left.
  const method = flags.method ?? (masks === undefined ? undefined : 'dense')
  // A method that is no object, a mistake, stays where the command line names none, to be told of.
  const wrong = base['method'] !== undefined && !isData(base['method']) && method === undefined
  const known = isData(base['method']) ? base['method'] : {}
  const started = method === undefined || known['name'] === method ? known : { name: method }
  const inner = { ...started, ...given({ density, channels, scope }) }
  const rate = { ...(isData(base['learningRate']) ? base['learningRate'] : {}), ...given({ peak: learningRate }) }
  return {
    ...base,
    ...given({ epochs, batch, seed }),
    ...(wrong || Object.keys(inner).length === 0 ? {} : { method: inner }),
    ...(Object.keys(rate).length === 0 ? {} : { learningRate: rate }),
  }
}

const given = (entries: Data): Data =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))

/** Options of what is trained, besides for how long. */
const saying = [
  'model',
  'data',
  'masks',
  'trainSize',
  'validationShare',
  'validationSeed',
  'imageSize',
  'normalisation',
  'dense',
  'preset',
  'recipe',
  'method',
  'density',
  'channels',
  'scope',
  'batch',
  'learningRate',
  'seed',
] as const satisfies ReadonlyArray<keyof SettingsFlags>

/** Whether the command line says anything of what is trained, besides for how long. */
export const saysSettings = (flags: SettingsFlags): boolean => saying.some((key) => flags[key] !== undefined)

/** What it says of that: `--train-size 100, --seed 1`. */
export const saidBy = (flags: SettingsFlags): string =>
  saying
    .filter((key) => flags[key] !== undefined)
    .map((key) => {
      const option = `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
      return flags[key] === true ? option : `${option} ${flags[key]}`
    })
    .join(', ')

/**
 * The settings of a run for more epochs. Errors: fewer than were planned, since what the method was yet to do by the end would be left out.
 */
export const longer = (settings: Settings, epochs: number | undefined): E.Either<Failure, Settings> => {
  const planned = settings.recipe.epochs
  if (epochs === undefined || epochs === planned) return E.right(settings)
  if (epochs > planned) return E.right({ ...settings, recipe: { ...settings.recipe, epochs } })
  const help = 'A run can be made longer, not shorter: leave --epochs out to end it as planned, or start another run.'
  return usage(`--epochs ${epochs}`, `at least the ${planned} that the run was begun with`, `${epochs}`, help)
}

/** The first entry in which two settings differ. */
export const differenceOf = (a: Settings, b: Settings): string | undefined => {
  const [left, right] = [flat(a), flat(b)]
  return [...new Set([...left.keys(), ...right.keys()])].find(
    (key) => !isDeepStrictEqual(left.get(key), right.get(key)),
  )
}

const flat = ({ recipe, ...rest }: Settings): ReadonlyMap<string, unknown> =>
  new Map([...Object.entries(rest), ...Object.entries(recipe)])

/** Settings as they were written down. Errors: what a recipe can have wrong, a file that is not ours. */
export const settingsOf = (path: string, data: unknown): E.Either<Failure, Settings> => {
  const help = 'Give another folder, or remove the file.'
  const wrong = failure('UsageError', path, 'the settings of a run', 'something else', help)
  if (!isData(data)) return E.left(wrong)
  const { model, data: images, masks, normalisation, dense, recipe } = data
  if (typeof model !== 'string' || typeof images !== 'string' || typeof dense !== 'boolean') return E.left(wrong)
  const decoded = decodeAll(path, recipe)
  if (E.isLeft(decoded)) return decoded
  const count = (key: string): Data => {
    const value = data[key]
    return typeof value === 'number' ? { [key]: value } : {}
  }
  return E.right({
    model,
    data: images,
    ...(typeof masks === 'string' ? { masks } : {}),
    ...count('trainSize'),
    ...count('validationShare'),
    ...count('validationSeed'),
    ...count('imageSize'),
    ...given({ normalisation: normalisations.find((one) => one === normalisation) }),
    dense,
    recipe: decoded.right,
  })
}
