/** `docs/recipe.md`: every entry of a recipe, from the decoders of `src/train/recipe`, with a sentence for each. */
import { stringify } from 'yaml'
import { invariant } from '../../src/ir/failure.ts'
import { readAugmentation } from '../../src/train/recipe/augmentation.ts'
import { readLearningRate } from '../../src/train/recipe/learning-rate.ts'
import { entriesOfMethod } from '../../src/train/recipe/describe-methods.ts'
import { methodNames, methods, presets } from '../../src/train/recipe/index.ts'
import type { MethodName } from '../../src/train/sparse/methods/index.ts'
import { readRecipe } from '../../src/train/recipe/recipe.ts'
import { intervalText, sentences } from '../../src/train/sparse/methods/entries.ts'
import type { Source } from '../../src/train/sparse/methods/method.ts'
import { entriesUnder, type FoundEntry } from '../../src/train/recipe/found-entries.ts'

type Prose = Readonly<Record<string, string>>

const object = 'an object'

/** What is to be said of an entry that the decoder looks at by itself. */
const kinds: Prose = {
  method: `${object}, see [Methods](#methods)`,
  learningRate: `${object}, see [Learning rate](#learning-rate)`,
  augmentation: `${object}, see [Augmentation](#augmentation), or \`null\``,
}

const ofRecipe: Prose = {
  method: 'How the network becomes sparse. Required, but where `--method` says it.',
  epochs: 'Passes over the training images.',
  batch: 'Images in a batch.',
  partial: 'Whether the smaller batch at the end of an epoch is trained on, or left out.',
  learningRate: 'The learning rate of every step.',
  momentum: 'Of stochastic gradient descent.',
  nesterov: "Whether momentum is Nesterov's.",
  weightDecay: 'What is added to the gradient: this times the parameter.',
  decay: 'What decays: `all` parameters, or only `weights`, those of more than one axis.',
  labelSmoothing: 'Share of the target that is spread evenly over all classes.',
  augmentation: 'How training images are varied; `null` for images as they are.',
  seed: 'Decides weights, masks, the order of data and augmentation.',
  slim: 'Whether removed channels leave the network while training goes on. What is computed is the same to rounding.',
}

const ofLearningRate: Prose = {
  schedule:
    '`step`: times `factor` at each of the fractions `at` of the training. `cosine`: falls to `final` by half a cosine. `constant`: stays.',
  peak: 'The largest learning rate.',
  warmup: 'Epochs over which it rises in a line from 0 to `peak`; fewer than `epochs`.',
  at: 'Fractions of the training.',
  factor: 'What the learning rate is multiplied by at each of `at`.',
  final: 'Where the cosine ends, as a fraction of `peak`.',
  per: 'How long the cosine, and the rise before it, hold a value.',
}

const ofAugmentation: Prose = {
  crop: '`padded`: black rows and columns are put around an image, and a part of its own size is cut out. `resized`: a part is cut out and brought to the size of the image.',
  padding: 'Rows and columns on each side.',
  scale: 'Area of the part, as a fraction of the image; drawn from this span.',
  ratio: 'Its width over its height; drawn from this span.',
  flip: 'Whether half of the images are mirrored left to right.',
}

const distributions: Prose = {
  uniform: 'The same density for every layer.',
  'uniform+': 'The first layer dense, the classifier at `last` or more, one density for all others.',
  er: 'Density proportional to (inputs + outputs) / (inputs · outputs), whatever the kernel.',
  erk: 'Density proportional to the sum of all dimensions of the weight over their product.',
  'erk+': 'ERK with the classifier at `last`.',
  snip: 'By |w · ∂L/∂w| on one batch before the first step, over all layers at once.',
}

const criteria: Prose = {
  magnitude: '|w|.',
  set: 'Of the positive and of the negative weights the same fraction, those nearest 0.',
  mest: '|w| + λ |∂L/∂w|; λ is `gradient`.',
  snip: '|w · ∂L/∂w|.',
  sensitivity: '|∂L/∂w| / |w|.',
  'reciprocal-sensitivity': '|w| / |∂L/∂w|.',
  random: 'None is worth more than another: which are dropped is drawn.',
}

/** A bar would end the cell of a table. */
const inCell = (text: string): string => text.replaceAll('|', '\\|')

const code = (value: unknown): string => `\`${stringify(rounded(value), { collectionStyle: 'flow' }).trim()}\``

/** Numbers to four digits. */
const rounded = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, x: unknown) => (typeof x === 'number' ? Number(x.toPrecision(4)) : x))

const mayBe = ({ key, may, choices }: FoundEntry): string => {
  const text =
    choices.length > 0
      ? choices.map((choice) => `\`${choice}\``).join(', ')
      : (may ?? kinds[key] ?? (/every$/i.test(key) ? intervalText : undefined))
  invariant(text !== undefined, `what the entry ${key} may be is not said`)
  return text.replace('4294967295', '2^32 - 1')
}

const leftOut = ({ absent, under }: FoundEntry): string =>
  under.length === 0
    ? code(absent)
    : under.map((one) => `${code(one.absent)} where \`${one.key}\` is \`${one.choice}\``).join(', ')

const table = (entries: ReadonlyArray<FoundEntry>, prose: Prose, required: ReadonlyArray<string> = []): string => {
  const rows = entries.map((entry) => {
    const text = prose[entry.key]
    invariant(text !== undefined, `nothing is said of the entry ${entry.key}`)
    const absent = required.includes(entry.key) ? 'required' : leftOut(entry)
    return `| \`${entry.key}\` | ${inCell(text)} | ${mayBe(entry)} | ${absent} |`
  })
  return ['| entry | what it is | what it may be | left out |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

/** Sentences of nothing must not stay behind. */
const allUsed = (prose: Prose, keys: Iterable<string>): void => {
  const known = new Set(keys)
  for (const key of Object.keys(prose)) invariant(known.has(key), `recipes have no entry ${key}`)
}

const choicesOf = (entries: ReadonlyArray<FoundEntry>, key: string): ReadonlyArray<string> =>
  entries.find((entry) => entry.key === key)?.choices ?? []

/** The tables of an object whose first entry decides about the others. */
const tablesBy = (read: Parameters<typeof entriesUnder>[0], key: string, prose: Prose): ReadonlyArray<string> => {
  const choices = choicesOf(entriesUnder(read), key)
  const found = choices.map((choice) => ({ choice, entries: entriesUnder(read, { [key]: choice }) }))
  allUsed(
    prose,
    found.flatMap(({ entries }) => entries.map((entry) => entry.key)),
  )
  return found.flatMap(({ choice, entries }) => [
    `\`${key}: ${choice}\``,
    table(
      entries.filter((entry) => entry.key !== key),
      prose,
    ),
  ])
}

const from = (source: Source | null): string => {
  if (source === null) return ''
  const { paper, arxiv, code } = source
  const paperLink = `[${paper}](https://arxiv.org/abs/${arxiv})`
  return code === undefined ? ` From ${paperLink}.` : ` From ${paperLink}; [code](https://github.com/${code}).`
}

const methodSections = (): ReadonlyArray<string> => {
  const found = methodNames.map((name) => ({ def: methods[name], entries: entriesOfMethod(name) }))
  allUsed(
    sentences,
    found.flatMap(({ entries }) => entries.map(({ key }) => key)),
  )
  return found.flatMap(({ def, entries }) => {
    allUsed(
      def.sentences,
      entries.map(({ key }) => key),
    )
    return [
      `### ${def.name}`,
      def.about + from(def.source),
      entries.length === 0 ? 'It has no entries but its name.' : table(entries, { ...sentences, ...def.sentences }),
    ]
  })
}

/** Rows of the choices of an entry, which is one of the method's. */
const choiceRows = (method: MethodName, entry: string, prose: Prose): ReadonlyArray<string> => {
  const choices = choicesOf(entriesOfMethod(method), entry)
  allUsed(prose, choices)
  return choices.map((choice) => {
    const text = prose[choice]
    invariant(text !== undefined, `nothing is said of the ${entry} ${choice}`)
    return `| \`${choice}\` | ${inCell(text)} |`
  })
}

/** `docs/recipe.md`, before it is formatted. */
export const recipePage = (): string => {
  const top = entriesUnder(readRecipe)
  allUsed(
    ofRecipe,
    top.map(({ key }) => key),
  )
  return [
    '# Recipes',
    '<!-- Written by npm run recipes from the decoders in src/train/recipe and src/train/sparse/methods. -->',
    'A recipe says how a network is trained. `chasec train --recipe FILE` reads one in YAML or JSON, `decodeRecipe` takes one as plain data. It may say as little as',
    '```yaml\nmethod: { name: chase }\n```',
    'Options of the command line (`--method`, `--density`, `--channels`, `--scope`, `--epochs`, `--batch`, `--learning-rate`, `--seed`) go before what the file says. Everything that is wrong with a recipe is told at once, unknown entries included, and nothing is trained. Points in time (`at`, `begin`, `until`, `softUntil`, …) are fractions of the whole training.',
    '## Entries',
    table(top, ofRecipe, ['method']),
    '## Learning rate',
    ...tablesBy(readLearningRate, 'schedule', ofLearningRate),
    '```yaml\nmethod: { name: rigl, density: 0.2 }\nepochs: 100\nlearningRate: { schedule: cosine, peak: 0.2, warmup: 5, per: epoch }\n```',
    '## Augmentation',
    ...tablesBy((entries) => readAugmentation(entries), 'crop', ofAugmentation),
    '```yaml\nmethod: { name: dense }\naugmentation: { crop: resized, scale: [0.25, 1], flip: false }\n```',
    '## Methods',
    'An entry `method` has a `name`, which decides what else it has. Methods are compared in [another guide](comparing-methods.md).',
    ...methodSections(),
    '## Distributions',
    ['| distribution | layers |', '| --- | --- |', ...choiceRows('static', 'distribution', distributions)].join('\n'),
    '## Criteria',
    'What methods drop is what scores least by the entry `criterion`. They are those that [Fantastic Weights and How to Find Them: Where to Prune in Dynamic Sparse Training](https://arxiv.org/abs/2306.12230) compares ([code](https://github.com/alooow/fantastic_weights_paper)).',
    ['| criterion | score |', '| --- | --- |', ...choiceRows('rigl', 'criterion', criteria)].join('\n'),
    '## Presets',
    "`--preset NAME` takes a recipe that comes with chasec, one of the runs of Chase's paper.",
    ...Object.entries(presets).flatMap(([name, recipe]) => [
      `\`${name}\``,
      `\`\`\`yaml\n${stringify(recipe).trim()}\n\`\`\``,
    ]),
  ].join('\n\n')
}
