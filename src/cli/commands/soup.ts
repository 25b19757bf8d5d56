import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import type { Target } from '../../passes/target.ts'
import type { SoupReport } from '../../report/training.ts'
import { plural } from '../../report/units.ts'
import type { Provider } from '../../run/protocol.ts'
import { checkProvider } from '../../run/providers.ts'
import {
  type BackendName,
  checkIngredients,
  dataKinds,
  openBackend,
  soup,
  type SoupProgress,
} from '../../train/index.ts'
import {
  atLeast,
  backendOption,
  type CommonFlags,
  dryRunOption,
  jsonOption,
  progressOption,
  providerOption,
  quietOption,
  targetOption,
  threadsOption,
} from '../flags.ts'
import { type InterruptedCode, leavable } from '../interrupt.ts'
import { done, type Outcome, tell } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'
import { claimSoupFolder, soupFile, type SoupSettings, trySoupFolder } from '../soup/folder.ts'
import { commonSettings, type EndedRun, readRuns, shareValidation, startApart } from '../soup/read-runs.ts'
import { finish } from '../train/finish.ts'
import { finishedOutcome } from '../train/finished-outcome.ts'
import { openInputs } from '../train/inputs.ts'
import { dataOf } from '../train/model-argument.ts'
import { runFolder } from '../train/run-folder.ts'
import { type Alive, whileAlive } from '../train/signs-of-life.ts'
import { dryRunJson, type WriteFlags } from '../write-file.ts'

interface SoupFlags extends CommonFlags, Pick<WriteFlags, 'dryRun'> {
  readonly output: string
  readonly greedy?: true
  readonly statisticsImages?: number
  readonly data?: string
  readonly backend: BackendName | 'auto'
  readonly threads?: number
  readonly target: Target
  readonly provider: Provider | 'auto'
}

const examples = `
Examples:
  $ chasec prune model.onnx --sparsity 0.8 -o masks.safetensors
  $ chasec train --model model.onnx --masks masks.safetensors --data cifar10:DIR --epochs 10 --seed 1 --validation-seed 0 -o run-1
  $ chasec train --model model.onnx --masks masks.safetensors --data cifar10:DIR --epochs 10 --seed 2 --validation-seed 0 -o run-2
  $ chasec soup run-1 run-2 -o soup
      The mean of two trainings of one pruned network: as sparse as each, often more accurate. The package is soup/package.

  $ chasec soup sweep/runs/* --greedy -o soup
      Runs are tried from the best validation accuracy on; one stays in the soup if it does not lower that.

Weights are averaged, and the statistics of BatchNormalization are estimated anew on training images. All runs have to be of one
model with one set of masks: train one pruned parent several times, with other seeds, rates or augmentation. What began from weights
that differ rarely averages to anything.

With one --validation-seed runs share their validation images whatever their seeds. Where they do not, each was trained on
validation images of the others: then these tell nothing, and --greedy is refused. Test images are looked at once, at the end.`

export const soupCommand = (run: RunCommand): Command =>
  new Command('soup')
    .description(
      'Averages the weights of training runs with the same masks, and ends with a compiled, verified, measured package.',
    )
    .argument('<runs...>', 'folders that chasec train -o has made')
    .requiredOption('-o, --output <folder>', 'folder of the soup')
    .option('--greedy', 'take only the runs that do not lower the validation accuracy (default: take all)')
    .option(
      '--statistics-images <count>',
      'training images that statistics are estimated on (default: those of an epoch)',
      atLeast(1),
    )
    .option(
      '--data <kind:folder>',
      `where the images are now, if not where they were: ${dataKinds.map((kind) => `${kind}:DIR`).join(', ')}`,
      dataOf,
    )
    .addOption(backendOption())
    .addOption(threadsOption())
    .addOption(targetOption())
    .addOption(providerOption())
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((folders: ReadonlyArray<string>, flags: SoupFlags) =>
      run(flags, (terminal) => whileAlive(terminal, flags, (life) => makeSoup(life, folders, flags))),
    )

const makeSoup = async (
  life: Alive,
  folders: ReadonlyArray<string>,
  flags: SoupFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { terminal, say } = life
  const read = await readRuns(folders, say)
  if (E.isLeft(read)) return read
  const runs = read.right
  const settings = commonSettings(runs, flags.data)
  if (E.isLeft(settings)) return settings
  const checked = checkIngredients(runs.map(({ ingredient }) => ingredient))
  if (E.isLeft(checked)) return checked
  const validate = shareValidation(runs)
  if (flags.greedy === true && !validate) return E.left(noValidation)
  const { statisticsImages } = flags
  const settled: SoupSettings = {
    settings: settings.right,
    choice: flags.greedy === true ? 'greedy' : 'uniform',
    runs: folders,
    ...(statisticsImages === undefined ? {} : { statisticsImages }),
  }
  const place = await trySoupFolder(flags.output, settled)
  if (E.isLeft(place)) return place
  const provided = await checkProvider(flags.provider)()
  if (E.isLeft(provided)) return provided
  if (startApart(runs)) terminal.note(apart)
  if (!validate) terminal.note(unshared)
  if (flags.dryRun === true) return E.right(dry(settled, flags))
  return leavable(
    () => average(life, runs, settled, validate, flags),
    (code) => {
      tell(terminal, flags, E.right(stopped(flags.output, code)))
    },
  )
}

const unequal = 'validation images that no other run was trained on'

const noValidation = failure(
  'UsageError',
  '--greedy',
  unequal,
  'runs with other seeds, shares or sizes of training images',
  'Train the runs with one --validation-seed, or leave --greedy out.',
)

const apart = `Note: these runs began from weights that differ, by their seeds. The mean of such networks rarely computes anything: train one pruned parent several times.`

const unshared = `Note: runs do not share their validation images, so none are looked at. Train them with one --validation-seed to see how good each is.`

/** Averages, and leaves the folder with what a run leaves. */
const average = async (
  { terminal, say }: Alive,
  runs: ReadonlyArray<EndedRun>,
  settled: SoupSettings,
  validate: boolean,
  { output, backend: name, threads, target, provider }: SoupFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { choice, statisticsImages } = settled
  // What is pruned of the network before training is in its masks already.
  const { masks: _masks, ...settings } = settled.settings
  const backend = await openBackend(name, threads === undefined ? {} : { threads })()
  if (E.isLeft(backend)) return backend
  const inputs = await openInputs(settings, say)
  if (E.isLeft(inputs)) return inputs
  const { data, start } = inputs.right
  const claimed = await claimSoupFolder(output, settled)
  if (E.isLeft(claimed)) return claimed
  const ingredients = runs.map(({ ingredient }) => ingredient)
  const made = await soup(ingredients, data, settings.recipe, {
    ...{ choice, validate, backend: backend.right },
    ...(statisticsImages === undefined ? {} : { statisticsImages }),
    onProgress: (progress) => say(describe(progress)),
  })()
  if (E.isLeft(made)) return made
  const { graph, masks, ...rest } = made.right
  const testOf = new Map(runs.map(({ ingredient, test }) => [ingredient.name, test]))
  const report: SoupReport = {
    ...rest,
    ingredients: rest.ingredients.map((one) => {
      const test = testOf.get(one.name)
      return test === undefined ? one : { ...one, test }
    }),
  }
  const { model, data: images, recipe } = settings
  const finished = await finish(
    {
      ...{ model, data: images, recipe, dense: start, soup: report, target, provider },
      backend: `${backend.right.name}: ${backend.right.description}`,
      trained: { graph, masks, history: [] },
      images: data,
      folder: runFolder(output),
    },
    say,
  )
  return E.isLeft(finished) ? finished : E.right(finishedOutcome(terminal, output, finished.right))
}

const describe = ({ doing, name, done: count, of }: SoupProgress): string =>
  doing === 'validation'
    ? `${name}: looking at validation images, ${count}/${of}`
    : `soup with ${name}: estimating statistics on training images, ${count}/${of}`

const dry = ({ choice, runs, settings }: SoupSettings, flags: SoupFlags): Outcome => {
  const { model, masks, package: _package } = runFolder('')
  const files = [soupFile(''), model, masks, 'package/']
  const what = `${choice === 'greedy' ? 'A greedy' : 'A uniform'} soup of ${plural(runs.length, 'run')} of ${settings.model}.`
  const text = `${what}\n\nDry run: nothing was averaged or written. It would have been ${flags.output}: ${files.join(', ')}.`
  return done(text, { ...dryRunJson(flags), folder: flags.output, files, choice, runs })
}

/** The user stopped it; what there is in the folder is made anew. */
const stopped = (folder: string, exitCode: InterruptedCode): Outcome => ({
  exitCode,
  text: 'Stopped. The same command makes the soup anew.',
  json: { completed: false, folder },
})
