/** `docs/recipe.md`: every entry of a recipe, from the decoders of `src/train/recipe`, with a sentence for each. */
import { stringify } from 'yaml'
import { invariant } from '../../src/ir/failure.ts'
import { readAugmentation } from '../../src/train/recipe/augmentation.ts'
import { readLearningRate } from '../../src/train/recipe/learning-rate.ts'
import { methodNames, presets } from '../../src/train/recipe/index.ts'
import { readMethod } from '../../src/train/recipe/method.ts'
import { readRecipe } from '../../src/train/recipe/recipe.ts'
import { entriesUnder, type FoundEntry } from './recipe-entries.ts'

type Prose = Readonly<Record<string, string>>

const interval = 'a number of steps, `{ epochs: n }`, or `{ part: x }` of the training'
const object = 'an object'

/** What is to be said of an entry that the decoder looks at by itself. */
const kinds: Prose = {
  method: `${object}, see [Methods](#methods)`,
  learningRate: `${object}, see [Learning rate](#learning-rate)`,
  augmentation: `${object}, see [Augmentation](#augmentation), or \`null\``,
  every: interval,
  channelsEvery: interval,
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

const ofMethods: Prose = {
  name: '',
  density: 'Fraction of all weights that is kept in the end.',
  distribution: 'How the kept weights are shared out among the layers, see [Distributions](#distributions).',
  last: 'Density of the classifier: at least this under `uniform+`, just this under `erk+`.',
  every: 'From one update of the masks to the next.',
  fraction: "Fraction of each layer's kept weights that is exchanged.",
  until: 'From then on masks stay as they are.',
  margin: 'How far beyond the density weights are grown at first.',
  initialDensity: 'The density that training begins with; 1 begins dense. Not below `density`.',
  begin: 'Until then the network is dense.',
  scope: '`layer`: the same density everywhere. `global`: one threshold over all layers.',
  at: 'When the weights are pruned, once.',
  minimum: 'Fraction of all weights that is left at least to every layer that has as many.',
  n: 'Of every m weights along the axis n are kept.',
  m: 'See `n`; not below it.',
  axis: 'Along the channels that a layer reads, or those that it makes.',
  decay:
    'How the pattern comes in between `begin` and `until`. `mask`: masked weights fade out in a line; `mask-exponential`: by exp(-rate · x), x from 0 to 1. `halving`: by way of patterns of m-1, m/2, m/4, … of m; `fine`: of 8n of 8m, 4n of 4m, 2n of 2m.',
  rate: 'See `decay`.',
  channels: 'S_c, the fraction of the channels in scope that is gone in the end; 0 removes none.',
  exploration:
    '`global`: one threshold over all layers, as for CIFAR; `layer`: the same fraction of each, as for ImageNet.',
  score:
    'What a channel is worth. `umm`: mean |w| over all its weights; `mmm`: over those that are not masked; `weights`: fraction of weights that are not 0; `kernels`: fraction of kernels that are not all 0.',
  floor: 'β: a stream of C channels keeps at least ⌊C · (1 - channels) · floor⌋.',
  finalMargin: 'What is left of `margin` when the soft bound ends.',
  channelsEvery: 'From one removal of channels to the next.',
  softUntil: 'Until then masks grow beyond the density and are pruned back; after that weights are exchanged.',
  channelsUntil: 'From then on no channel goes.',
}

const exchangedAtFirst =
  "Fraction of each layer's kept weights that is exchanged at first; falls by a cosine to the end."

/** What is other of one method. */
const ofMethod: Readonly<Record<string, Prose>> = {
  set: { fraction: 'ζ: fraction of the positive and of the negative weights that every layer exchanges.' },
  rigl: { fraction: "Fraction of each layer's kept weights that is exchanged at first; falls to 0 by a cosine." },
  'rigl-itop': { fraction: exchangedAtFirst },
  granet: {
    fraction: exchangedAtFirst,
    until: 'From then on the density is reached; weights are exchanged until the end.',
  },
  gmp: { until: 'From then on the density is reached, and masks stay.' },
  'n-of-m': { until: 'From then on masks are plain n of m.', every: 'From one look at the weights to the next.' },
  chase: {
    every: 'From one exploration to the next.',
    scope: '`block`: channels inside blocks, as released; `all`: those of residual streams too.',
  },
}

const methodSentences: Readonly<Record<(typeof methodNames)[number], string>> = {
  dense: 'Every weight is kept.',
  static: 'Random masks that never change.',
  set: 'Every layer drops the positive and the negative weights nearest 0 and grows as many anywhere.',
  rigl: 'Every layer drops its smallest weights and grows as many where the gradient of the dense network is largest.',
  'rigl-itop': 'RigL with long intervals and a large exchange to the end, so that over time many weights take part.',
  mest: 'Prunes by weight and gradient, then grows beyond the density at random, by less and less.',
  granet:
    'Prunes gradually over all layers; each time every layer drops a further fraction and grows as many by gradient.',
  gmp: 'Gradual magnitude pruning of a dense network; the density falls by a cubic.',
  'global-magnitude':
    'Trains dense, prunes once by one threshold over all layers with a minimum for each, and trains on.',
  'n-of-m': 'Of every m weights n are kept, a pattern that some hardware computes faster.',
  chase:
    'Dynamic sparse training whose sparsity ends up in whole channels, which leave the network while it learns ([arXiv 2305.19454](https://arxiv.org/abs/2305.19454)).',
}

const distributions: Prose = {
  uniform: 'The same density for every layer.',
  'uniform+': 'The first layer dense, the classifier at `last` or more, one density for all others.',
  er: 'Density proportional to (inputs + outputs) / (inputs · outputs), whatever the kernel.',
  erk: 'Density proportional to the sum of all dimensions of the weight over their product.',
  'erk+': 'ERK with the classifier at `last`.',
  snip: 'By |w · ∂L/∂w| on one batch before the first step, over all layers at once.',
}

/** A bar would end the cell of a table. */
const inCell = (text: string): string => text.replaceAll('|', '\\|')

const code = (value: unknown): string => `\`${stringify(rounded(value), { collectionStyle: 'flow' }).trim()}\``

/** Numbers to four digits. */
const rounded = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, x: unknown) => (typeof x === 'number' ? Number(x.toPrecision(4)) : x))

const mayBe = ({ key, may, choices }: FoundEntry): string => {
  const text = choices.length > 0 ? choices.map((choice) => `\`${choice}\``).join(', ') : (may ?? kinds[key])
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

const methodSections = (): ReadonlyArray<string> => {
  const found = methodNames.map((name) => ({ name, entries: entriesUnder(readMethod, { name }) }))
  allUsed(
    ofMethods,
    found.flatMap(({ entries }) => entries.map(({ key }) => key)),
  )
  for (const { name, entries } of found) {
    allUsed(
      ofMethod[name] ?? {},
      entries.map(({ key }) => key),
    )
  }
  return found.flatMap(({ name, entries }) => {
    const own = entries.filter(({ key }) => key !== 'name')
    return [
      `### ${name}`,
      methodSentences[name],
      own.length === 0 ? 'It has no entries but its name.' : table(own, { ...ofMethods, ...ofMethod[name] }),
    ]
  })
}

const distributionRows = (): ReadonlyArray<string> => {
  const choices = choicesOf(entriesUnder(readMethod, { name: 'static' }), 'distribution')
  allUsed(distributions, choices)
  return choices.map((choice) => {
    const text = distributions[choice]
    invariant(text !== undefined, `nothing is said of the distribution ${choice}`)
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
    '<!-- Written by npm run recipes from the decoders in src/train/recipe. -->',
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
    ['| distribution | layers |', '| --- | --- |', ...distributionRows()].join('\n'),
    '## Presets',
    "`--preset NAME` takes a recipe that comes with chasec, one of the runs of Chase's paper.",
    ...Object.entries(presets).flatMap(([name, recipe]) => [
      `\`${name}\``,
      `\`\`\`yaml\n${stringify(recipe).trim()}\n\`\`\``,
    ]),
  ].join('\n\n')
}
