import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import type { Target } from '../../passes/target.ts'
import { models } from '../../models/index.ts'
import type { Style } from '../../report/terminal/style.ts'
import { renderPlan, type TrainingPlan } from '../../report/terminal/training-plan.ts'
import type { Provider } from '../../run/protocol.ts'
import { checkProvider } from '../../run/providers.ts'
import {
  type BackendName,
  dataKinds,
  defaultEpochs,
  methodNames,
  normalisations,
  openBackend,
  presets,
  type Trained,
  tryTraining,
} from '../../train/index.ts'
import {
  atLeast,
  backendOption,
  between,
  type CommonFlags,
  dryRunOption,
  inside,
  jsonOption,
  masksOption,
  progressOption,
  providerOption,
  quietOption,
  targetOption,
  threadsOption,
  wholeBetween,
} from '../flags.ts'
import { type InterruptedCode, interruptedCodes, interruptible, leavable } from '../interrupt.ts'
import { done, type Outcome, tell } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'
import { type Baseline, finish, saveTrained } from '../train/finish.ts'
import { finishedOutcome } from '../train/finished-outcome.ts'
import { openInputs } from '../train/inputs.ts'
import { dataOf, modelOf } from '../train/model-argument.ts'
import { planOf } from '../train/plan.ts'
import { claimFolder, makeFolder, runFolder, settingsFor, tryRunFolder } from '../train/run-folder.ts'
import { type Alive, whileAlive } from '../train/signs-of-life.ts'
import type { Settings, SettingsFlags } from '../train/settings.ts'
import { existing } from '../wrong-argument.ts'
import { dryRunJson, type WriteFlags } from '../write-file.ts'
import { trainNetwork } from '../train/train-network.ts'

interface TrainFlags extends CommonFlags, SettingsFlags, Pick<WriteFlags, 'dryRun'> {
  readonly output: string
  readonly resume?: true
  readonly backend: BackendName | 'auto'
  readonly threads?: number
  readonly checkpointEvery?: number
  readonly target: Target
  readonly provider: Provider | 'auto'
}

const modelList = models
  .map(({ name, argument, about }) => `  ${(argument ? `${name}[:${argument}]` : name).padEnd(30)} ${about}`)
  .join('\n')

const examples = `
Models:
${modelList}
  FILE                           an ONNX file or a model of TensorFlow.js, trained further; chasec adapt fits one to other
                                 images and classes

Examples:
  $ chasec train --model resnet20 --data cifar10:DIR --method chase --density 0.1 --channels 0.5 --epochs 160 -o run
      Trains with Chase until a tenth of the weights and half of the channels inside blocks are left, then compiles,
      verifies, tests and measures the network. The package is run/package, its report run/package/report.html.

  $ chasec train --model resnet50 --data cifar100:DIR --preset chase-cifar-resnet50 --dense -o run
      The run of the paper; also trains the dense network by the same recipe, to compare with.

  $ chasec train --model model.onnx --data images:DIR --image-size 224 --recipe recipe.yaml -o run
      Trains a network of your own on a folder of images. Options go before what the recipe says.

  $ chasec prune model.onnx --channels 0.4 -o masks.safetensors
  $ chasec train --model model.onnx --masks masks.safetensors --data images:DIR --epochs 10 -o run
      Trains a pruned network further: what the masks take away stays 0.

  $ chasec train --resume -o run
      Goes on with a run that was stopped or killed, to the same result.

  $ chasec train --resume --epochs 60 -o run
      Goes on beyond the end that was planned, here to 60 epochs in all. From the step where the run is, the learning rate
      and the method's schedules are those that a training of 60 epochs has at that step: the rate rises again, masks may
      change again, channels that have left stay away. A run of 60 epochs from the start has had other rates before, so
      the weights are not the same; they are the same each time a run is made longer at that step. The test images are
      looked at once more. A run cannot be made shorter.

A recipe is JSON or YAML: epochs, batch, learningRate, momentum, weightDecay, labelSmoothing, augmentation, seed, slim, and
method with a name (${methodNames.join(', ')}) and what the
method needs. What it leaves out has the values of the papers, but for the epochs: ${defaultEpochs}.

Off a terminal a line is written at least every half minute; --progress writes more.

The exported weights are those of the last step, not of the epoch with the best validation accuracy: before the end a sparse
network may be denser than asked for.

Ctrl-C saves and stops (exit code ${interruptedCodes.SIGINT}), and so does SIGTERM (${interruptedCodes.SIGTERM}); a second one stops at once. Exit code 1: the compiled network computes something
else than the masked one, and no package was written.`

export const trainCommand = (run: RunCommand): Command =>
  new Command('train')
    .description(
      'Trains a network sparsely, removing channels for real while it learns, and ends with a compiled, verified, measured package.',
    )
    .option('--model <model>', 'a model by name (see below), or a file', modelOf)
    .option('--data <kind:folder>', `images: ${dataKinds.map((kind) => `${kind}:DIR`).join(', ')}`, dataOf)
    .addOption(masksOption())
    .option('--recipe <file>', 'how to train, in JSON or YAML', existing('a recipe'))
    .addOption(new Option('--preset <name>', 'a recipe that comes with chasec').choices(Object.keys(presets)))
    .addOption(new Option('--method <method>', 'how it becomes sparse').choices(methodNames))
    .option('--density <fraction>', 'fraction of the weights that is kept', between(0, 1))
    .option('--channels <fraction>', 'fraction of the channels that Chase removes', between(0, 1))
    .addOption(
      new Option('--scope <scope>', 'which: those inside blocks, or also those of residual streams').choices([
        'block',
        'all',
      ]),
    )
    .option('--epochs <count>', `passes over the training images (default: ${defaultEpochs})`, atLeast(1))
    .option('--batch <count>', 'images in a step', atLeast(1))
    .option('--learning-rate <number>', 'largest learning rate', between(0, 1e6))
    .option('--seed <number>', 'decides weights, masks, data order and augmentation', atLeast(0))
    .option('--train-size <count>', 'train on this many of the training images', atLeast(1))
    .option('--validation-share <fraction>', 'part of the training images for validation (default: 0.1)', inside(0, 1))
    .option(
      '--validation-seed <number>',
      'decides which training images are for validation (default: the seed); one for all runs of a soup',
      atLeast(0),
    )
    .option(
      '--image-size <pixels>',
      'height and width that images are brought to (default: 32 for those of a folder, others as they are)',
      wholeBetween(1, 4096),
    )
    .addOption(
      new Option(
        '--normalisation <how>',
        'what pixels become: mean 0 and deviation 1 over the training images (data, the default), 0 to 1 (unit), -1 to 1 (signed), or 0 to 1 by the means and deviations of ImageNet (imagenet)',
      ).choices(normalisations),
    )
    .option('--dense', 'also train the dense network by the same recipe, to compare with')
    .addOption(backendOption())
    .addOption(threadsOption())
    .requiredOption('-o, --output <folder>', 'folder of the run')
    .option(
      '--resume',
      'go on with the run in the folder; with --epochs, for more epochs than it was begun with; with --data, where its images are now',
    )
    .option(
      '--checkpoint-every <steps>',
      'steps from one checkpoint to the next (default: those of an epoch)',
      atLeast(1),
    )
    .addOption(targetOption())
    .addOption(providerOption())
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((flags: TrainFlags) =>
      run(flags, (terminal) => whileAlive(terminal, flags, (life) => trainAlive(life, flags))),
    )

const trainAlive = async (life: Alive, flags: TrainFlags): Promise<E.Either<Failure, Outcome>> => {
  const { terminal, say } = life
  const found = await settingsFor(flags.output, flags, flags.resume === true)
  if (E.isLeft(found)) return found
  const settings = found.right
  const { recipe } = settings
  const { resume = false, checkpointEvery, target, provider } = flags
  const folder = runFolder(flags.output)
  // All that can be wrong is told before images are read, and what follows from them before the first step.
  const place = await tryRunFolder(flags.output)
  if (E.isLeft(place)) return place
  const runs = await checkProvider(provider)()
  if (E.isLeft(runs)) return runs
  const backend = await openBackend(flags.backend, flags.threads === undefined ? {} : { threads: flags.threads })()
  if (E.isLeft(backend)) return backend
  const inputs = await openInputs(settings, say)
  if (E.isLeft(inputs)) return inputs
  const { data, start, masks } = inputs.right
  const common = {
    graph: start.graph,
    data,
    backend: backend.right,
    resume,
    ...(checkpointEvery === undefined ? {} : { checkpointEvery }),
  }
  const given = masks === undefined ? {} : { masks }
  if (settings.dense || flags.dryRun) {
    // What is wrong with the sparse network is not told when the dense one has been trained for hours.
    say('making ready')
    const checkpoint = { path: folder.checkpoint, resume }
    const tried = await tryTraining(start.graph, data, recipe, { backend: backend.right, ...given, checkpoint })()
    if (E.isLeft(tried)) return tried
  }
  const { name, description, passedOver } = backend.right
  const why = passedOver.length === 0 ? '' : ` (chasec doctor tells why not ${passedOver.map(shortName).join(', ')})`
  const said = resume || flags.epochs !== undefined || flags.preset !== undefined
  const epochsUnsaid = !said && recipe.epochs === defaultEpochs
  const plan = planOf(settings, { graph: start.graph, data, folder: flags.output, checkpointEvery, epochsUnsaid })
  const intent = (style: Style): string => `backend ${name}: ${description}${why}\n${renderPlan(plan, style)}`
  if (flags.dryRun) return E.right(untrained(intent(terminal.style), settings, flags, plan))
  const claimed = await claimFolder(flags.output, settings)
  if (E.isLeft(claimed)) return claimed
  terminal.note(intent(terminal.noteStyle))
  const { result: trained, interrupted } = await interruptible<Both>(async (signal) => {
    let dense = start
    if (settings.dense) {
      const made = await makeFolder(folder.dense)
      if (E.isLeft(made)) return made
      const job = { ...common, title: 'dense', folder: runFolder(folder.dense), signal }
      const first = await trainNetwork(life, { ...job, recipe: { ...recipe, method: { name: 'dense' } } })
      if (E.isLeft(first)) return first
      dense = { graph: first.right.graph, about: 'trained by the same recipe', trained: true }
      if (!first.right.completed) return E.right([first.right, dense])
      const saved = await saveTrained(first.right, job.folder)
      if (E.isLeft(saved)) return saved
    }
    const job = { ...common, ...given, title: recipe.method.name, folder, recipe, signal }
    return E.map((result: Trained) => [result, dense] as const)(await trainNetwork(life, job))
  })
  if (E.isLeft(trained)) {
    await claimed.right()
    return trained
  }
  const [result, dense] = trained.right
  if (!result.completed) return E.right(stopped(flags.output, result, interrupted ?? interruptedCodes.SIGINT))
  const compiling = () =>
    finish(
      {
        model: settings.model,
        data: settings.data,
        backend: `${name}: ${description}`,
        recipe,
        dense,
        trained: result,
        images: data,
        folder,
        target,
        provider,
      },
      say,
    )
  // What is trained is saved: compiling begins anew when the run is resumed.
  const finished = await leavable(compiling, (code) => {
    tell(terminal, flags, E.right(stopped(flags.output, result, code)))
  })
  return E.isLeft(finished) ? finished : E.right(finishedOutcome(terminal, flags.output, finished.right))
}

/** A trained network, and what it is compared with. */
type Both = E.Either<Failure, readonly [Trained, Baseline]>

const shortName = ({ subject }: Failure): string => subject.replace('backend ', '')

/** A dry run, which ends before the first step. */
const untrained = (
  intent: string,
  settings: Settings,
  flags: TrainFlags,
  { stepsPerEpoch, checkpointEvery, data }: TrainingPlan,
): Outcome => {
  const { output } = flags
  const { dense, package: _package, ...files } = runFolder('')
  const names = [...Object.values(files), 'package/', ...(settings.dense ? [`${dense}/`] : [])]
  const sizes = { training: data.train.size, validation: data.validation.size, test: data.test.size }
  const text = `${intent}\n\nDry run: nothing was trained or written. It would have been ${output}: ${names.join(', ')}.`
  return done(text, {
    ...dryRunJson(flags),
    ...{ folder: output, files: names, settings, images: sizes },
    ...{ stepsPerEpoch, steps: settings.recipe.epochs * stepsPerEpoch, checkpointEvery },
  })
}

/** The user stopped training; nothing is lost. */
const stopped = (folder: string, { history }: Trained, exitCode: InterruptedCode): Outcome => {
  const step = history.at(-1)?.step
  const next = `chasec train --resume -o ${folder}`
  return {
    exitCode,
    text: `Stopped and saved. Go on with: ${next}`,
    json: { completed: false, folder, lastRecordedStep: step ?? null, resume: next },
  }
}
