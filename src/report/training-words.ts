/** What a training run came to, in words and figures: the same on a terminal and on a page. */
import { speedSentence } from './speeds.ts'
import { type NetworkFigures, type TrainingReport, versus } from './training.ts'
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
