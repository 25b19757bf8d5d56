import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { CostTable } from '../../cost/table.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { encodeMasks } from '../../masks/files.ts'
import { channelScores } from '../../masks/scores.ts'
import { type Budgeted, pruneToBudget } from '../../package/budget.ts'
import { pruneChannels, type Pruned, type PruneOptions } from '../../passes/prune.ts'
import type { Target } from '../../passes/target.ts'
import { describePredicted } from '../../report/totals.ts'
import { formatRanges } from '../../report/ranges.ts'
import { renderPruned } from '../../report/terminal/prune-table.ts'
import { formatBytes, formatCount, formatPercent } from '../../report/units.ts'
import {
  AlternativeOption,
  atLeast,
  between,
  byteCount,
  type CommonFlags,
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
import { existing } from '../wrong-argument.ts'
import { type Inputs, readInputs } from '../sources.ts'
import type { Terminal } from '../terminal.ts'
import { dryRunJson, fileOf, notWritten, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface PruneFlags
  extends CommonFlags, MaskFlags, CostsFlags, WriteFlags, Required<Omit<PruneOptions, 'channels' | 'multiple'>> {
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

This step loses accuracy: the masked model is another function until it is trained again. Compiling with the masks loses
nothing more. Masks given with --masks stay; what they mask counts as gone already.`

/** What those options say in one way or another. */
const budget = 'how much goes'

export const pruneCommand = (run: RunCommand): Command =>
  new Command('prune')
    .description(
      'Ranks channels by a score, masks those that are worth least, and writes the masks. Lossy; the model stays as it is.',
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
    .requiredOption('-o, --output <file>', 'safetensors file for the masks')
    .addOption(
      new Option('--score <score>', 'what a channel is worth').choices([...channelScores, 'random']).default('umm'),
    )
    .addOption(
      new Option('--scope <scope>', 'block: channels made by one layer; all: also those that several layers share')
        .choices(['block', 'all'])
        .default('block'),
    )
    .option('--floor <fraction>', 'fraction of its even share that a layer keeps at least', between(0, 1), 0.2)
    .option(
      '--multiple <count>',
      'widths that are multiples of so many channels; 1 with --channels, else what the target runs fast',
      atLeast(1),
    )
    .option('--seed <number>', 'for --score random', atLeast(0), 1)
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
  const say = progressOn(terminal, flags.progress === true)
  const inputs = await readInputs(model, flags, say)
  if (E.isLeft(inputs)) return inputs
  if (inputs.right.graph !== inputs.right.read) {
    const help = 'Export the model with one initializer for each weight.'
    return E.left(failure('MaskError', 'masks', 'one constant for each weight', 'equal weights in one constant', help))
  }
  const costs = readCosts(flags, terminal.environment)
  if (E.isLeft(costs)) return costs
  const pruned = select(inputs.right, flags, costs.right, say)
  if (E.isLeft(pruned)) return pruned
  say(`writing ${output}`)
  const written = await writeFileWhole(output, encodeMasks(pruned.right.masks), flags)
  if (E.isLeft(written)) return written
  const { masks: _masks, widths: _widths, layers, ...facts } = pruned.right
  const left = 'after' in pruned.right ? `\n${renderLeft(pruned.right)}` : ''
  const next =
    notWritten(flags, fileOf(output, written.right)) ||
    `Masks are in ${output}. Next: chasec compile ${model} --masks ${output} -o FOLDER`
  return E.right(
    done(`${renderPruned(pruned.right, terminal.style)}${left}\n${next}`, {
      output,
      ...dryRunJson(flags),
      ...facts,
      layers: layers.map((layer) => ({ ...layer, removed: formatRanges(layer.removed) })),
    }),
  )
}

/** A selection, with what compiling leaves where a budget was given for that. */
const select = (
  { graph, masks }: Pick<Inputs, 'graph' | 'masks'>,
  { channels, macs, params, bytes, latency, multiple, score, scope, floor, seed, target }: PruneFlags,
  costs: CostTable | undefined,
  say: (text: string) => void,
): E.Either<Failure, Pruned | Budgeted> => {
  const how = { score, scope, floor, seed, ...(multiple === undefined ? {} : { multiple }) }
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
