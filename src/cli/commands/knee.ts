import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { type FoundKnee, findKnee } from '../../package/knee.ts'
import { type Comparison, comparisons, type WeightScore } from '../../passes/prune-weights.ts'
import { renderKnee } from '../../report/terminal/knee-table.ts'
import type { Provider } from '../../run/protocol.ts'
import { calibrateOption, type CalibrationFlags, samplesOption, statisticsBy } from '../calibration.ts'
import {
  between,
  type CommonFlags,
  jsonOption,
  type MaskFlags,
  maskMapOption,
  masksOption,
  progressOption,
  providerOption,
  quietOption,
  weightsOption,
} from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { readInputs } from '../sources.ts'
import type { Terminal } from '../terminal.ts'
import { existing, WrongArgument } from '../wrong-argument.ts'

interface KneeFlags extends CommonFlags, MaskFlags, CalibrationFlags {
  readonly calibrate: string
  readonly score: WeightScore
  readonly within?: Comparison
  readonly refine?: 'dsnot'
  readonly keep?: ReadonlyArray<string>
  readonly levels?: ReadonlyArray<number>
  readonly tolerance: number
  readonly provider: Provider | 'auto'
}

const examples = `
Examples:
  $ chasec knee model.onnx --calibrate samples.npz
      Masks 10 %, 20 %, … of the weights of the whole model by magnitude, and tells how far each masked model answers as the dense one.

  $ chasec knee model.onnx --calibrate images:photos --score wanda --levels 0.3,0.5,0.6,0.7
      Of a data set accuracies on validation images are compared.

What goes at a level is what chasec prune --sparsity masks with the same options. Nothing is written.
The essential sparsity is the largest level up to which no more than the tolerance is lost, without training; the knee is the level behind
which most is lost for each weight that goes.`

export const kneeCommand = (run: RunCommand): Command =>
  new Command('knee')
    .description('Masks more and more weights, and tells at which sparsity a model breaks, on inputs of it.')
    .argument('<model>', 'ONNX file', existing('a model'))
    .addOption(calibrateOption().makeOptionMandatory())
    .addOption(samplesOption())
    .addOption(
      new Option('--score <score>', 'what weights are worth').choices(['magnitude', 'wanda']).default('magnitude'),
    )
    .addOption(
      new Option(
        '--within <what>',
        'what weights are compared with (default: model for magnitude, row for wanda)',
      ).choices(comparisons),
    )
    .addOption(
      new Option(
        '--refine <how>',
        'dsnot: exchange masked weights for others so that output channels keep their mean',
      ).choices(['dsnot']),
    )
    .addOption(
      new Option('--keep <name>', 'a layer or weight that stays whole; repeatable').argParser(
        (name: string, before: ReadonlyArray<string> = []) => [...before, name],
      ),
    )
    .option(
      '--levels <fractions>',
      'fractions of the weights to mask, rising (default: 0.1 to 0.9, and 0.95)',
      levelsOf,
    )
    .option('--tolerance <fraction>', 'what may be lost at the essential sparsity', between(0, 0.999999), 0.01)
    .addOption(masksOption())
    .addOption(weightsOption())
    .addOption(maskMapOption())
    .addOption(providerOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: KneeFlags) => run(flags, (terminal) => tellKnee(terminal, model, flags)))

const levelsOf = (text: string): ReadonlyArray<number> => {
  const levels = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)))
  const isRising = levels.every((level, i) => level >= 0 && level < 1 && level > (levels[i - 1] ?? -1))
  if (!isRising)
    throw new WrongArgument(
      'fractions from 0 to less than 1, each above the one before',
      'Write them like 0.5,0.7,0.9.',
    )
  return levels
}

const tellKnee = async (terminal: Terminal, model: string, flags: KneeFlags): Promise<E.Either<Failure, Outcome>> => {
  const { calibrate, samples, score, within, refine, keep, levels, tolerance, provider } = flags
  const say = progressOn(terminal, flags.progress === true)
  const inputs = await readInputs(model, flags, say)
  if (E.isLeft(inputs)) return inputs
  const { graph, masks } = inputs.right
  const isSeen = score === 'wanda' || refine !== undefined
  const calibrated = await statisticsBy(graph, isSeen ? flags : {}, {}, say)
  if (E.isLeft(calibrated)) return calibrated
  const { statistics } = calibrated.right
  const found = await findKnee(graph, masks, calibrate, {
    score,
    within: within ?? (score === 'magnitude' ? 'model' : 'row'),
    tolerance,
    provider,
    ...(refine && { refine }),
    ...(keep && { keep }),
    ...(levels && { levels }),
    ...(samples === undefined ? {} : { samples }),
    ...(statistics && { statistics }),
    onProgress: (at, all) => say(`level ${at + 1} of ${all}`),
  })()
  return E.map((knee: FoundKnee) => done(renderKnee(knee, terminal.style), knee))(found)
}
