/** What a training run came to, in words and figures: the same on a terminal and on a page. */
import type { Score } from '../train/loop/history.ts'
import { speedSentence } from './speeds.ts'
import { type NetworkFigures, type SoupIngredient, type SoupReport, type TrainingReport, versus } from './training.ts'
import { formatAccuracy, formatBytes, formatCount, formatPercent } from './units.ts'

/** What is told of every network, and how it is written. */
export const networkColumns: ReadonlyArray<{
  readonly title: string
  readonly cell: (network: NetworkFigures) => string
  readonly numeric?: true
}> = [
  { title: 'network', cell: ({ name }) => name },
  {
    title: 'accuracy',
    cell: ({ accuracy }) => (accuracy === undefined ? '–' : formatAccuracy(accuracy)),
    numeric: true,
  },
  { title: 'parameters', cell: ({ parameters }) => formatCount(parameters), numeric: true },
  { title: 'not 0', cell: ({ nonZero }) => formatCount(nonZero), numeric: true },
  { title: 'MACs', cell: ({ macs }) => formatCount(macs), numeric: true },
  { title: 'file', cell: ({ bytes }) => formatBytes(bytes), numeric: true },
  { title: 'what it is', cell: ({ about }) => about },
]

/** Which epoch was best on the validation images, and which weights are exported. */
export const describeValidation = ({ validation, recipe }: TrainingReport): string => {
  if (validation === null) return ''
  const { best, last } = validation
  const at = ({ epoch, density }: typeof best): string =>
    `epoch ${epoch} of ${recipe.epochs}, density ${formatPercent(density)}`
  const exported = 'The exported weights are those after the last step'
  return best.epoch === last.epoch
    ? `Best validation accuracy: ${formatAccuracy(best.accuracy)} after the last epoch (${at(best)}). ${exported}.`
    : `Best validation accuracy: ${formatAccuracy(best.accuracy)} (${at(best)}). ${exported}: ${formatAccuracy(last.accuracy)} (${at(last)}).`
}

/** What the compiled network gains over the masked one and over the dense one, differences inside the noise called so. */
export const describeSpeeds = ({ networks }: TrainingReport): ReadonlyArray<string> => {
  const compiled = networks.find(({ name }) => name === 'compiled')?.speed
  return compiled === undefined
    ? []
    : networks.flatMap(({ name, speed }) =>
        name === 'compiled'
          ? []
          : [
              speedSentence(
                { ...versus(compiled, speed), name: 'The compiled network' },
                { ...speed, name: `the ${name} one` },
              ),
            ],
      )
}

const testImages = (count: number): string => `${count.toLocaleString('en-US')} test image${count === 1 ? '' : 's'}`

/** Whether compiling changed a prediction. */
export const describeTest = ({ images, differing }: TrainingReport['test']): string =>
  differing === 0
    ? `The masked and the compiled network put all ${testImages(images)} into the same classes.`
    : `The masked and the compiled network put ${differing} of ${testImages(images)} into different classes.`

/** What is told of every network of a soup, in the order in which they were tried. */
export const soupColumns: ReadonlyArray<{
  readonly title: string
  readonly cell: (ingredient: SoupIngredient) => string
  readonly numeric?: true
}> = [
  { title: 'run', cell: ({ name }) => name },
  { title: 'validation', cell: ({ validation }) => accuracyOf(validation), numeric: true },
  { title: 'test', cell: ({ test }) => (test === undefined ? '–' : formatAccuracy(test)), numeric: true },
  { title: 'soup with it', cell: ({ soup }) => accuracyOf(soup), numeric: true },
  { title: 'in the soup', cell: ({ used }) => (used ? 'yes' : 'no') },
]

const accuracyOf = (score: Score | undefined): string => (score === undefined ? '–' : formatAccuracy(score.accuracy))

/** What a soup is, and how it was chosen. */
export const describeSoup = ({ choice, ingredients, validation, statisticsImages }: SoupReport): string => {
  const used = ingredients.filter((one) => one.used)
  const what =
    used.length === 1
      ? `The network is that of ${used[0]?.name ?? ''} alone: each of the other runs would have lowered the accuracy.`
      : `The weights are the mean of ${used.length === ingredients.length ? `all ${used.length}` : `${used.length} of ${ingredients.length}`} runs.`
  const how = choice === 'greedy' ? ' Runs were chosen by validation accuracy, tried in the order below.' : ''
  const statistics =
    statisticsImages === 0
      ? ''
      : ` The statistics of BatchNormalization were estimated anew on ${statisticsImages.toLocaleString('en-US')} training images.`
  const score = validation === undefined ? '' : ` Validation accuracy: ${formatAccuracy(validation.accuracy)}.`
  return `${what}${how}${statistics}${score}`
}
