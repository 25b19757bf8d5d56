import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { CostTable } from '../../cost/table.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { activationScores } from '../../masks/activation-scores.ts'
import { encodeMasks } from '../../masks/files.ts'
import type { Masks } from '../../masks/mask.ts'
import type { Statistics } from '../../masks/statistics.ts'
import { type Budgeted, pruneToBudget } from '../../package/budget.ts'
import { outputGradients } from '../../package/gradients.ts'
import { layerRatios, type LayerRatios, type RatioName, ratioNames } from '../../package/ratios/index.ts'
import { parseBlock } from '../../masks/blocks.ts'
import { pruneChannels, type Pruned, type PruneScore, pruneScores } from '../../passes/prune.ts'
import {
  type Comparison,
  comparisons,
  type PrunedWeights,
  pruneWeights,
  type PruneWeightsOptions,
  type WeightScore,
  weightScores,
} from '../../passes/prune-weights.ts'
import type { Target } from '../../passes/target.ts'
import { describePredicted } from '../../report/totals.ts'
import { formatRanges } from '../../report/ranges.ts'
import { renderPruned } from '../../report/terminal/prune-table.ts'
import { renderPrunedWeights } from '../../report/terminal/prune-weights-table.ts'
import { formatBytes, formatCount, formatPercent } from '../../report/units.ts'
import {
  calibrateOption,
  type CalibrationFlags,
  samplesOption,
  statisticsBy,
  statisticsOption,
} from '../calibration.ts'
import {
  AlternativeOption,
  atLeast,
  between,
  byteCount,
  type CommonFlags,
  DependentOption,
  dryRunOption,
  jsonOption,
  type MaskFlags,
  maskMapOption,
  masksOption,
  progressOption,
  quietOption,
  share,
  targetOption,
  weightsOption,
} from '../flags.ts'
import { type CostsFlags, costsOption, readCosts } from '../costs.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { existing, safetensorsFile, WrongArgument } from '../wrong-argument.ts'
import { readInputs } from '../sources.ts'
import type { Terminal } from '../terminal.ts'
import { dryRunJson, fileOf, notWritten, tryFiles, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface PruneFlags extends CommonFlags, MaskFlags, CostsFlags, WriteFlags, CalibrationFlags {
  readonly score?: PruneScore | WeightScore
  readonly scope: 'block' | 'all'
  readonly floor: number
  readonly seed: number
  readonly within?: Comparison
  readonly block?: string
  readonly ratios?: RatioName
  readonly most?: number
  readonly power?: boolean
  readonly refine?: 'dsnot'
  readonly keep?: ReadonlyArray<string>
  readonly sparsity?: number
  readonly pattern?: string
  readonly channels?: number
  readonly macs?: number
  readonly params?: number
  readonly bytes?: number
  readonly latency?: number
  readonly multiple?: number
  readonly target: Target
  readonly output: string
}

const examples = `
Examples:
  $ chasec prune resnet50.onnx --channels 0.4 -o masks.safetensors
  $ chasec compile resnet50.onnx --masks masks.safetensors -o out
      Masks the 40 % of channels with the smallest mean |w|, then removes them.

  $ chasec prune resnet50.onnx --macs 0.5 -o masks.safetensors
  $ chasec prune mobilenet.onnx --bytes 4MB --scope all -o masks.safetensors
      As few channels as leave half of the multiply-accumulates, or a model of 4 MB, once compiled.

  $ chasec prune resnet50.onnx --latency 0.5 -o masks.safetensors
      As few channels as halve the time of a run on one thread, as far as it can be predicted.

  $ chasec prune model.onnx --channels 0.5 --scope all --score l2 --floor 0.1 -o masks.safetensors
      Also masks the channels that several layers make together, as the streams of residual networks.

  $ chasec prune model.onnx --sparsity 0.5 --score wanda --calibrate samples.npz -o masks.safetensors
  $ chasec prune model.onnx --pattern 2:4 --score wanda --refine dsnot --calibrate samples -o masks.safetensors
      Single weights by what they are multiplied with on inputs of the model: half of each output channel, or 2 of each 4.

  $ chasec prune vit.onnx --sparsity 0.5 --score wanda --ratios ecoflap --calibrate images:photos -o masks.safetensors
  $ chasec prune vit.onnx --sparsity 0.5 --block 32x32 --score taylor --ratios lpvit --calibrate images:photos -o masks.safetensors
      More of layers that matter less, as ECoFLaP and LPViT measure that; single weights, or blocks of 32 by 32.

  $ chasec prune model.onnx --macs 0.5 --score wifn --calibrate images:photos --statistics seen.safetensors -o masks.safetensors
      Channels by what they hold on a data set. The next time --calibrate seen.safetensors takes no run of the model.

Scores of channels by their weights: umm, mmm, weights, kernels, l1, l2; by activations, too: wanda, wifn, wifv. Scores of single weights:
magnitude (the default), wanda, taylor. What goes where, chasec's guide to pruning without training tells.

This step loses accuracy: the masked model is another function until it is trained again. Compiling with the masks loses
nothing more. Masks given with --masks stay; what they mask counts as gone already.`

/** What those options say in one way or another. */
const budget = 'how much goes'

const patternOf = (text: string): string => {
  const [, kept = NaN, of = NaN] = (/^(\d+):(\d+)$/.exec(text) ?? []).map(Number)
  if (!(kept >= 1 && kept < of)) throw new WrongArgument('N:M with N from 1 to less than M', 'Write it like 2:4.')
  return text
}

const blockOf = (text: string): string => {
  if (parseBlock(text) === undefined) throw new WrongArgument('RxC, counts of at least 1', 'Write it like 32x32.')
  return text
}

const ofChannels = ['--channels', '--macs', '--params', '--bytes', '--latency'] as const

const ofWeights = ['--sparsity', '--pattern'] as const

export const pruneCommand = (run: RunCommand): Command =>
  new Command('prune')
    .description(
      'Ranks channels, or single weights, by a score, masks those that are worth least, and writes the masks. Lossy; the model stays as it is.',
    )
    .argument('<model>', 'ONNX file', existing('a model'))
    .addOption(
      new AlternativeOption(
        '--channels <fraction>',
        'fraction of the channels that can go to mask, from 0 to 1',
        budget,
      ).argParser(between(0, 1)),
    )
    .addOption(
      new AlternativeOption('--macs <fraction>', 'fraction of the multiply-accumulates to leave', budget).argParser(
        share,
      ),
    )
    .addOption(
      new AlternativeOption('--params <fraction>', 'fraction of the parameters to leave', budget).argParser(share),
    )
    .addOption(
      new AlternativeOption('--bytes <size>', 'size of the compiled model: 4MB, 500kB', budget).argParser(byteCount),
    )
    .addOption(
      new AlternativeOption(
        '--latency <fraction>',
        'fraction of the predicted time of a run to leave',
        budget,
      ).argParser(share),
    )
    .addOption(
      new AlternativeOption(
        '--sparsity <fraction>',
        'fraction of the single weights to mask, from 0 to 1',
        budget,
      ).argParser(between(0, 1)),
    )
    .addOption(
      new AlternativeOption(
        '--pattern <n:m>',
        'single weights in a pattern: of M in a row along the inputs N stay, as in 2:4',
        budget,
      ).argParser(patternOf),
    )
    .requiredOption('-o, --output <file>', 'safetensors file for the masks', safetensorsFile)
    .addOption(
      new Option('--score <score>', 'what channels (default: umm) or weights (default: magnitude) are worth').choices([
        ...new Set([...pruneScores, ...weightScores]),
      ]),
    )
    .addOption(
      new DependentOption(
        '--scope <scope>',
        'block: channels made by one layer; all: also those that several layers share',
        ...ofChannels,
      )
        .choices(['block', 'all'])
        .default('block'),
    )
    .addOption(
      new DependentOption('--floor <fraction>', 'fraction of its even share that a layer keeps at least', ...ofChannels)
        .argParser(between(0, 1))
        .default(0.2),
    )
    .addOption(
      new DependentOption(
        '--multiple <count>',
        'widths that are multiples of so many channels; 1 with --channels, else what the target runs fast',
        ...ofChannels,
      ).argParser(atLeast(1)),
    )
    .option('--seed <number>', 'for --score random and --ratios ecoflap', atLeast(0), 1)
    .addOption(
      new DependentOption(
        '--within <what>',
        'what weights are compared with (default: row for wanda, else layer); a row makes one output channel',
        '--sparsity',
      ).choices(comparisons),
    )
    .addOption(
      new DependentOption(
        '--block <rxc>',
        'blocks of R output channels and C of the weights that make each go together, as 32x32',
        '--sparsity',
      ).argParser(blockOf),
    )
    .addOption(
      new DependentOption(
        '--ratios <how>',
        'how --sparsity is divided among layers: by what the loss does when they are moved, or by slopes of what is lost',
        '--sparsity',
      ).choices(ratioNames),
    )
    .addOption(
      new DependentOption(
        '--most <fraction>',
        'the largest share of a layer that goes with --ratios',
        '--ratios',
      ).argParser(between(0, 1)),
    )
    .addOption(new DependentOption('--power', 'lpvit: what it takes to read blocks counts, too', '--ratios'))
    .addOption(
      new DependentOption(
        '--refine <how>',
        'dsnot: exchange masked weights for others so that output channels keep their mean',
        ...ofWeights,
      ).choices(['dsnot']),
    )
    .addOption(
      new DependentOption('--keep <name>', 'a layer or weight that stays whole; repeatable', ...ofWeights).argParser(
        (name: string, before: ReadonlyArray<string> = []) => [...before, name],
      ),
    )
    .addOption(calibrateOption())
    .addOption(samplesOption())
    .addOption(statisticsOption())
    .addOption(targetOption())
    .addOption(costsOption())
    .addOption(masksOption())
    .addOption(weightsOption())
    .addOption(maskMapOption())
    .option('--force', 'replace the file for the masks if it exists')
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: PruneFlags) => run(flags, (terminal) => pruneModel(terminal, model, flags)))

const pruneModel = async (
  terminal: Terminal,
  model: string,
  flags: PruneFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { output } = flags
  if (resolve(output) === resolve(model)) {
    const help = 'Name another file for the masks.'
    return E.left(failure('UsageError', `--output ${output}`, 'a file other than the model', 'the model', help))
  }
  const { statistics: kept } = flags
  if (kept !== undefined && resolve(kept) === resolve(output)) {
    const help = 'Name another file for the statistics.'
    return E.left(failure('UsageError', `--statistics ${kept}`, 'a file other than the masks', 'the masks', help))
  }
  const free = await tryFiles([output, ...(kept === undefined ? [] : [kept])], flags)
  if (E.isLeft(free)) return free
  const say = progressOn(terminal, flags.progress === true)
  const inputs = await readInputs(model, flags, say)
  if (E.isLeft(inputs)) return inputs
  if (inputs.right.graph !== inputs.right.read) {
    const help = 'Export the model with one initializer for each weight.'
    return E.left(failure('MaskError', 'masks', 'one constant for each weight', 'equal weights in one constant', help))
  }
  const { graph, masks } = inputs.right
  const scores: ReadonlyArray<string> = isOfWeights(flags) ? weightScores : pruneScores
  if (flags.score !== undefined && !scores.includes(flags.score)) {
    const what = isOfWeights(flags) ? 'a score of weights' : 'a score of channels'
    const help = 'Take one of these, or leave it out.'
    return E.left(failure('UsageError', '--score', `${what}: ${scores.join(', ')}`, flags.score, help))
  }
  const costs = readCosts(flags, terminal.environment)
  if (E.isLeft(costs)) return costs
  const unsaid = whatCalibrationLacks(flags)
  if (unsaid !== undefined) return E.left(unsaid)
  const calibrated = await statisticsBy(graph, readsStatistics(flags) ? flags : {}, flags, say)
  if (E.isLeft(calibrated)) return calibrated
  const { statistics, file } = calibrated.right
  const pruned = isOfWeights(flags)
    ? await selectWeights(graph, masks, statistics, flags, say)
    : select(graph, masks, statistics, costs.right, flags, say)
  if (E.isLeft(pruned)) return pruned
  say(`writing ${output}`)
  const written = await writeFileWhole(output, encodeMasks(pruned.right.masks), flags)
  if (E.isLeft(written)) return written
  const next =
    notWritten(flags, [...(file === undefined ? [] : [file]), fileOf(output, written.right)].join(', ')) ||
    `${file === undefined ? '' : `Statistics are in ${flags.statistics}. `}Masks are in ${output}. Next: chasec compile ${model} --masks ${output} -o FOLDER`
  const { text, json } = shown(pruned.right, terminal)
  return E.right(done(`${text}\n${next}`, { output, ...dryRunJson(flags), ...json }))
}

const describeLoss = (loss: LayerRatios['loss']): string =>
  loss === 'cross-entropy' ? 'cross entropy of the labels' : 'mean square of the output'

const isOfWeights = ({ sparsity, pattern }: PruneFlags): boolean => sparsity !== undefined || pattern !== undefined

const scoresByInputs: ReadonlyArray<string> = [...activationScores, 'taylor']

/** What looks at a model on its inputs without being told any. */
const whatCalibrationLacks = ({ ratios, power, score, refine, calibrate }: PruneFlags): Failure | undefined => {
  if (power === true && ratios !== 'lpvit')
    return failure('UsageError', '--power', '--ratios lpvit', `--ratios ${ratios}`, 'Leave --power out.')
  const asking = [
    ...(ratios === undefined ? [] : [`--ratios ${ratios}`]),
    ...(score !== undefined && scoresByInputs.includes(score) ? [`--score ${score}`] : []),
    ...(refine === undefined ? [] : [`--refine ${refine}`]),
  ][0]
  if (asking === undefined || calibrate !== undefined) return undefined
  const help = 'Give inputs of the model, as --calibrate images:DIR.'
  return failure('UsageError', asking, '--calibrate beside it', 'none', help)
}

/** Whether anything asks for statistics of activations. */
const readsStatistics = ({ ratios, score, refine, statistics }: PruneFlags): boolean =>
  score === 'wanda' || refine !== undefined || statistics !== undefined || (ratios === undefined && score !== 'taylor')

/** A selection as text and as JSON. */
const shown = (
  pruned: Pruned | Budgeted | DividedWeights,
  { style }: Terminal,
): { readonly text: string; readonly json: object } => {
  if ('masked' in pruned) {
    const { masks: _masks, ...json } = pruned
    const { division } = pruned
    const told =
      division === undefined
        ? ''
        : `\nDivided among layers by the ${describeLoss(division.loss)} on ${division.samples} samples.`
    return { text: `${renderPrunedWeights(pruned, style)}${told}`, json }
  }
  const { masks: _masks, widths: _widths, layers, ...facts } = pruned
  const left = 'after' in pruned ? `\n${renderLeft(pruned)}` : ''
  return {
    text: `${renderPruned(pruned, style)}${left}`,
    json: { ...facts, layers: layers.map((layer) => ({ ...layer, removed: formatRanges(layer.removed) })) },
  }
}

/** Weights with what their division among layers was made by, if they were divided. */
type DividedWeights = PrunedWeights & { readonly division?: Omit<LayerRatios, 'ratios' | 'gradients'> }

const selectWeights = async (
  graph: Graph,
  masks: Masks,
  statistics: Statistics | undefined,
  flags: PruneFlags,
  say: (text: string) => void,
): Promise<E.Either<Failure, DividedWeights>> => {
  const { sparsity, pattern, score, within, block, ratios: by, refine, keep } = flags
  const how = {
    ...(score === 'wanda' || score === 'magnitude' || score === 'taylor' ? { score } : {}),
    ...(within === undefined ? {} : { within }),
    ...(block === undefined ? {} : { block }),
    ...(refine === undefined ? {} : { refine }),
    ...(keep === undefined ? {} : { keep }),
    ...(statistics === undefined ? {} : { statistics }),
  }
  const amount = { ...(sparsity === undefined ? {} : { sparsity }), ...(pattern === undefined ? {} : { pattern }) }
  const looked = await lookAt(graph, masks, by, { ...how, ...amount }, flags, say)
  if (E.isLeft(looked)) return looked
  const { gradients, divided } = looked.right
  say('comparing weights')
  const pruned = pruneWeights(graph, masks, {
    ...how,
    ...amount,
    ...(gradients === undefined ? {} : { gradients }),
    ...(divided === undefined ? {} : { ratios: divided.ratios }),
  })
  if (E.isLeft(pruned) || divided === undefined) return pruned
  const { layers, loss, samples, runtime } = divided
  return E.right({ ...pruned.right, division: { layers, loss, samples, runtime } })
}

interface Looked {
  readonly gradients?: PruneWeightsOptions['gradients']
  readonly divided?: LayerRatios
}

/** What a selection of weights asks of runs of the model beyond statistics. */
const lookAt = async (
  graph: Graph,
  masks: Masks,
  by: RatioName | undefined,
  how: PruneWeightsOptions,
  { sparsity, calibrate: source = '', samples, most, power, seed }: PruneFlags,
  say: (text: string) => void,
): Promise<E.Either<Failure, Looked>> => {
  const counts = samples === undefined ? {} : { samples }
  if (by !== undefined && sparsity !== undefined) {
    say(`dividing the sparsity among layers by ${by}`)
    const { pattern: _pattern, ratios: _ratios, ...compared } = how
    const divided = await layerRatios(graph, masks, source, {
      by,
      ...compared,
      sparsity,
      seed,
      ...counts,
      ...(most === undefined ? {} : { most }),
      ...(power === undefined ? {} : { power }),
      onProgress: (done, all) =>
        say(all === undefined ? `gradients of ${done} samples` : `layer ${done + 1} of ${all}`),
    })()
    if (E.isLeft(divided)) return divided
    const { gradients } = divided.right
    return E.right({ divided: divided.right, ...(gradients && { gradients }) })
  }
  if (how.score !== 'taylor') return E.right({})
  say('computing gradients')
  const onProgress = (seen: number): void => say(`gradients of ${seen} samples`)
  const found = await outputGradients(graph, masks, source, { ...counts, onProgress })()
  return E.isLeft(found) ? found : E.right({ gradients: found.right.gradients })
}

/** A selection, with what compiling leaves where a budget was given for that. */
const select = (
  graph: Graph,
  masks: Masks,
  statistics: Statistics | undefined,
  costs: CostTable | undefined,
  { channels, macs, params, bytes, latency, multiple, score, scope, floor, seed, target }: PruneFlags,
  say: (text: string) => void,
): E.Either<Failure, Pruned | Budgeted> => {
  const ranked = score === undefined || score === 'magnitude' || score === 'taylor' ? {} : { score }
  const widths = multiple === undefined ? {} : { multiple }
  const how = { ...ranked, ...widths, scope, floor, seed, ...(statistics && { statistics }) }
  if (channels !== undefined) {
    say('ranking channels')
    return pruneChannels(graph, masks, { channels, ...how })
  }
  say('looking for the channels that meet the budget')
  return pruneToBudget(graph, masks, {
    ...how,
    target,
    ...(macs === undefined ? {} : { macs }),
    ...(params === undefined ? {} : { parameters: params }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(latency === undefined ? {} : { latency }),
    ...(costs === undefined ? {} : { costs }),
  })
}

const renderLeft = ({ channels, before, after, predicted, bytes }: Budgeted): string => {
  const [macs, parameters] = [after.macs / before.macs, after.parameters / before.parameters]
  const left =
    `With ${formatPercent(channels)} of the channels gone, compiling leaves ${formatCount(after.macs)} multiply-accumulates ` +
    `(${formatPercent(macs)}), ${formatCount(after.parameters)} parameters (${formatPercent(parameters)}), ${formatBytes(bytes)}.`
  return predicted === undefined ? left : `${left} ${describePredicted(predicted)}`
}
