import { existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import { type Failure, failure, together } from '../../ir/failure.ts'
import type { Target } from '../../passes/target.ts'
import { readBytes } from '../../read/bytes.ts'
import { parseYaml } from '../../read/yaml.ts'
import { type ComparedRun, differencesOf, runJson, stateOf } from '../../report/comparison.ts'
import { renderComparison } from '../../report/comparison-page.tsx'
import { configurationJson, configurationsOf } from '../../report/configurations.ts'
import { renderRuns } from '../../report/terminal/comparison-table.ts'
import { renderTable } from '../../report/terminal/table.ts'
import { plural } from '../../report/units.ts'
import { measure } from '../../run/measure.ts'
import type { Provider } from '../../run/protocol.ts'
import { type BackendName, decodeSweep, type SweepRun } from '../../train/index.ts'
import { mostThreads } from '../../train/backend/index.ts'
import {
  atLeast,
  backendOption,
  type CommonFlags,
  DependentOption,
  dryRunOption,
  jsonOption,
  progressOption,
  providerOption,
  quietOption,
  targetOption,
  wholeBetween,
} from '../flags.ts'
import { type InterruptedCode, interruptible } from '../interrupt.ts'
import { done, type Outcome } from '../outcome.ts'
import { runProgress, type Say } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { encoded, holding, layOut, sweepFolder, trySweepFolder } from '../sweep/folder.ts'
import { gather, type Gathered, lastError, lastWords } from '../sweep/gather.ts'
import { foundRunning, runLocally } from '../sweep/run-locally.ts'
import { isInSlurm, type Queued, queuedIn, slurmLog, splitOptions, submit } from '../sweep/slurm.ts'
import type { Terminal } from '../terminal.ts'
import { modelOf } from '../train/model-argument.ts'
import { runFolder } from '../train/run-folder.ts'
import { type Alive, whileAlive } from '../train/signs-of-life.ts'
import { existing, WrongArgument } from '../wrong-argument.ts'
import { dryRunJson, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface SweepFlags extends CommonFlags, Pick<WriteFlags, 'dryRun'> {
  readonly output: string
  readonly jobs?: number
  readonly only?: ReadonlyArray<string>
  readonly gather?: true
  readonly measure?: true
  readonly slurm?: true
  readonly slurmOptions?: string
  readonly backend: BackendName | 'auto'
  readonly checkpointEvery?: number
  readonly threads?: number
  readonly target: Target
  readonly provider: Provider | 'auto'
}

const examples = `
A plan, in JSON or YAML:
  model: resnet20
  data: cifar10:DIR
  recipe:                          # what all runs share; or preset: NAME
    epochs: 30
    learningRate: { schedule: cosine, peak: 0.1 }
  grid:                            # one grid, or a list of them
    - method: [dense]
      seed: [1, 2, 3]
    - method: [set, rigl, { name: chase, channels: 0.5 }]
      method.density: [0.05, 0.1]
      seed: [1, 2, 3]

A grid has lists of values: of any entry of a recipe, such as learningRate.peak, and of model, data, masks, trainSize,
validationShare, validationSeed, imageSize and normalisation. Each run takes one value of every list. Paths are as for chasec train.

Examples:
  $ chasec sweep plan.yaml -o sweep --dry-run
      All runs, each with how far it is; nothing is trained or written.

  $ chasec sweep plan.yaml -o sweep --jobs 2
      Trains them, two at a time, each as chasec train does in a process and a folder of its own (sweep/runs/NAME). In the end
      a table of what they came to: sweep/sweep.json and, with plots, sweep/sweep.html. Called again it goes on with what
      was stopped, killed or failed, from its last checkpoint, and with what the plan has more of than before.

  $ chasec sweep plan.yaml -o sweep --only seed=1 --only rigl,seed=2
      First those of seed 1, and of seed 2 those of RigL. The table has all runs of the plan.

  $ chasec sweep plan.yaml -o sweep --slurm --slurm-options "--partition=gpu --gpus=1 --time=8:00:00"
      Hands the runs to Slurm as a job array. Called again it makes the table of what has ended, and hands over again what
      has not and is no longer in the queue. The folder has to be one that all machines see.

Ctrl-C saves and stops all runs. Exit code 1: a run failed; the others went on.`

export const sweepCommand = (run: RunCommand): Command =>
  new Command('sweep')
    .description(
      'Trains a grid of methods, densities, seeds and other values, and puts all runs into one table and page.',
    )
    .argument('<plan>', 'what to train, in JSON or YAML (see below)', existing('a plan'))
    .requiredOption('-o, --output <folder>', 'folder of the sweep')
    .option(
      '-j, --jobs <count>',
      'runs at a time (default: 1; with --slurm: as many as Slurm has room for)',
      atLeast(1),
    )
    .addOption(
      new Option('--only <entries>', 'train only runs with these in their names, such as set,seed=2; repeatable')
        .argParser((entries: string, before: ReadonlyArray<string> = []) => [...before, entries])
        .conflicts('gather'),
    )
    .option('--gather', 'train nothing: only make the table of what is there')
    .option('--measure', 'measure one network of each configuration, in turns in one process, when no run trains')
    .option('--slurm', 'hand the runs to Slurm, as a job array')
    .addOption(new DependentOption('--slurm-options <options>', 'more options for sbatch', '--slurm'))
    .addOption(backendOption())
    .option(
      '--threads <count>',
      'threads of each run (default: the cores, shared among the runs at a time; on the backend wasm at most 4)',
      wholeBetween(1, 256),
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
    .action((plan: string, flags: SweepFlags) =>
      run(flags, (terminal) => whileAlive(terminal, flags, (life) => sweepAlive(life, plan, flags))),
    )

const sweepAlive = async (life: Alive, plan: string, flags: SweepFlags): Promise<E.Either<Failure, Outcome>> => {
  const planned = await runsOf(plan)
  if (E.isLeft(planned)) return planned
  const runs = planned.right
  const chosen = chosenOf(runs, flags.only)
  if (E.isLeft(chosen)) return chosen
  const folder = flags.output
  const options = splitOptions(flags.slurmOptions ?? '')
  if (E.isLeft(options)) return options
  const place = await trySweepFolder(folder)
  if (E.isLeft(place)) return place
  if (flags.dryRun) return E.right(listed(life.terminal, await gather(folder, chosen.right), flags))
  if (flags.gather === true) {
    if (existsSync(sweepFolder(folder).results)) return publish(life, flags, runs, await knownOf(folder, runs))
    const help = 'Leave --gather out to train.'
    return E.left(failure('UsageError', `--gather, folder ${folder}`, 'the folder of a sweep', 'none', help))
  }
  return holding(folder, async () => {
    const made = await layOut(folder, runs)
    if (E.isLeft(made)) return made
    const waiting = (await gather(folder, chosen.right)).filter(({ ended, blocked }) => !ended && blocked === undefined)
    if (flags.slurm === true) return inSlurm(life, flags, runs, waiting, options.right)
    const free = notInSlurm(folder)
    if (E.isLeft(free)) return free
    const { result: problems, interrupted } = await interruptible((signal) =>
      runLocally({
        ...{
          folder,
          waiting,
          jobs: flags.jobs ?? 1,
          passedOn: { ...threadsOf(flags), ...flags },
          signal,
        },
        ...{ note: life.terminal.note, say: life.say },
      }),
    )
    return publish(life, flags, runs, { problems, ...(interrupted === undefined ? {} : { interrupted }) })
  })
}

/** The cores, shared among the runs at a time. What a run takes by itself where that is more than WebAssembly gains from. */
const threadsOf = ({ jobs = 1, backend }: SweepFlags): { readonly threads?: number } => {
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs))
  return backend === 'tfjs-node' || threads <= mostThreads ? { threads } : {}
}

/** The runs of a plan. Errors: a file that cannot be read, everything that is wrong with what it says, models and masks that are not there. */
const runsOf = async (plan: string): Promise<E.Either<Failure, ReadonlyArray<SweepRun>>> => {
  const bytes = await readBytes(plan)
  if (E.isLeft(bytes)) return bytes
  const data = parseYaml(new TextDecoder().decode(bytes.right))
  if (E.isLeft(data)) {
    const help = 'Correct the file at that place.'
    return E.left(failure('SweepError', plan, 'a plan in JSON or YAML', data.left, help))
  }
  const decoded = decodeSweep(data.right)
  if (E.isLeft(decoded)) return wrongIn(plan, decoded.left)
  const [first, ...others] = missingIn(decoded.right)
  return first === undefined ? decoded : wrongIn(plan, [first, ...others])
}

const wrongIn = (plan: string, [first, ...others]: NonEmptyArray<Failure>): E.Either<Failure, never> => {
  const whole = failure('SweepError', plan, 'the plan of a sweep', `${others.length + 1} entries that are wrong`, '')
  return E.left(together(others.length > 0 ? first : { ...first, subject: `${plan}, ${first.subject}` }, others, whole))
}

/**
 * The runs that are asked for: one by its whole name, else all whose names have every entry of a text. Errors: a text that no run has.
 */
const chosenOf = (
  runs: ReadonlyArray<SweepRun>,
  only: ReadonlyArray<string> | undefined,
): E.Either<Failure, ReadonlyArray<SweepRun>> => {
  if (only === undefined) return E.right(runs)
  const chosen = new Set<SweepRun>()
  for (const text of only) {
    const named = runs.filter(({ name }) => name === text)
    const entries = text.split(',')
    const found =
      named.length > 0 ? named : runs.filter(({ name }) => entries.every((entry) => name.split(',').includes(entry)))
    if (found.length === 0) {
      const help = 'All names are told by --dry-run without --only.'
      const has = `none of ${plural(runs.length, 'run')}`
      return E.left(failure('UsageError', `--only ${text}`, 'entries of the name of a run, such as seed=1', has, help))
    }
    for (const run of found) chosen.add(run)
  }
  return E.right(runs.filter((run) => chosen.has(run)))
}

/** Models and masks that are not there, each once. */
const missingIn = (runs: ReadonlyArray<SweepRun>): ReadonlyArray<Failure> => {
  const maskFile = existing('a file of masks', ['zeros'])
  const wrong = (subject: string, read: (text: string) => string, texts: ReadonlyArray<string>) =>
    [...new Set(texts)].flatMap((text): ReadonlyArray<Failure> => {
      try {
        read(text)
        return []
      } catch (thrown) {
        if (!(thrown instanceof WrongArgument)) throw thrown
        return [failure('SweepError', subject, thrown.expected, text, thrown.help)]
      }
    })
  return [
    ...wrong(
      'model',
      modelOf,
      runs.map(({ settings }) => settings.model),
    ),
    ...wrong(
      'masks',
      maskFile,
      runs.flatMap(({ settings }) => settings.masks ?? []),
    ),
  ]
}

/** What a dry run shows: every run, and how far it is. */
const listed = ({ style }: Terminal, gathered: ReadonlyArray<Gathered>, flags: SweepFlags): Outcome => {
  const table = renderTable(
    [{ title: 'run', fit: 'name' }, { title: 'state' }],
    gathered.map(({ compared }) => [compared.name, stateOf(compared)]),
    style,
  )
  const left = gathered.filter(({ ended }) => !ended).length
  const closing = `Dry run: nothing was trained or written. ${left} of ${plural(gathered.length, 'run')} would be trained.`
  return done(`${table}\n\n${closing}`, {
    ...{ output: flags.output, ...dryRunJson(flags) },
    runs: gathered.map(({ compared }) => runJson(compared)),
  })
}

/** Errors: runs are in the queue of Slurm, and would be trained twice. */
const notInSlurm = (folder: string): E.Either<Failure, undefined> => {
  if (!isInSlurm(folder)) return E.right(undefined)
  const queued = queuedIn(folder)
  // Where there is no Slurm nobody can tell; then its tasks are not of this machine.
  if (E.isLeft(queued) || queued.right.size === 0) return E.right(undefined)
  const jobs = [...new Set([...queued.right.values()].map(({ job }) => job))]
  const help = `Add --slurm or --gather, or cancel them first: scancel --name=${jobs.join(',')}.`
  const found = `${queued.right.size} in the queue of Slurm`
  return E.left(failure('UsageError', `--output ${folder}`, 'runs that nobody trains', found, help))
}

/** Hands over what has not ended and is not in the queue, and makes the table of the rest. */
const inSlurm = async (
  life: Alive,
  flags: SweepFlags,
  runs: ReadonlyArray<SweepRun>,
  waiting: ReadonlyArray<Gathered>,
  options: ReadonlyArray<string>,
): Promise<E.Either<Failure, Outcome>> => {
  const { output: folder, jobs } = flags
  const before = queuedIn(folder)
  if (E.isLeft(before)) return before
  const left = waiting.filter(({ run }) => !before.right.has(run.name))
  for (const { run } of left) {
    const log = slurmLog(folder, run.name)
    if (log === undefined) continue
    const said = existsSync(log)
      ? `ended without a result: ${lastWords(log) || `see ${log}`}`
      : 'did not begin in Slurm'
    life.terminal.note(`${run.name}: ${said}`)
  }
  if (left.length > 0) {
    const job = await submit({ folder, waiting: left, jobs, passedOn: flags, options })
    if (E.isLeft(job)) return job
    life.terminal.note(`job ${job.right}: ${plural(left.length, 'run')} handed to Slurm`)
  }
  const after = queuedIn(folder)
  return E.isLeft(after) ? after : publish(life, flags, runs, { problems: new Map(), queued: after.right })
}

interface WhatHappened {
  /** Why runs failed. */
  readonly problems: ReadonlyMap<string, string>
  readonly queued?: ReadonlyMap<string, Queued>
  readonly interrupted?: InterruptedCode
}

/** What is known of runs that nobody watched: which are in Slurm's queue, and which ended with an error, by the last log of each. */
const knownOf = async (folder: string, runs: ReadonlyArray<SweepRun>): Promise<WhatHappened> => {
  const asked = queuedIn(folder)
  const queued = E.isLeft(asked) ? new Map<string, Queued>() : asked.right
  const problems = new Map<string, string>()
  for (const { run, ended } of await gather(folder, runs)) {
    if (ended || queued.has(run.name) || foundRunning({ folder }, { run }) > 0) continue
    const [last] = [sweepFolder(folder).log(run.name), slurmLog(folder, run.name)]
      .flatMap((log) => (log !== undefined && existsSync(log) ? [{ log, time: statSync(log).mtimeMs }] : []))
      .toSorted((a, b) => b.time - a.time)
    const problem = last === undefined ? undefined : lastError(last.log)
    if (problem !== undefined) problems.set(run.name, problem)
  }
  return { problems, queued }
}

/** Makes the table and the page of what there is now, and tells it. */
const publish = async (
  { terminal, say }: Alive,
  flags: SweepFlags,
  runs: ReadonlyArray<SweepRun>,
  { problems, queued, interrupted }: WhatHappened,
): Promise<E.Either<Failure, Outcome>> => {
  const { output: folder } = flags
  const places = sweepFolder(folder)
  const found = (await gather(folder, runs)).map(({ compared }): ComparedRun => {
    const problem = problems.get(compared.name)
    return problem === undefined ? compared : { ...compared, problem }
  })
  const measured = flags.measure === true ? await withSpeeds(found, flags, say) : E.right(found)
  if (E.isLeft(measured)) return measured
  const compared = measured.right
  const failed = compared.filter(({ problem }) => problem !== undefined)
  const json = {
    output: folder,
    page: places.page,
    runs: compared.map((one) => ({ ...runJson(one), queued: queued?.get(one.name) ?? null })),
    configurations: configurationsOf(compared).map(configurationJson),
    differences: differencesOf(compared),
  }
  for (const [path, bytes] of [
    [places.results, encoded(json)],
    [places.page, new TextEncoder().encode(renderComparison(compared))],
  ] as const) {
    const written = await writeFileWhole(path, [bytes], { force: true })
    if (E.isLeft(written)) return written
  }
  const { style } = terminal
  const again = `chasec sweep PLAN -o ${folder}`
  const inQueue = queued === undefined || queued.size === 0 ? [] : [queueText(queued)]
  const text = [
    renderRuns(compared, style),
    [
      ...inQueue,
      ...(interrupted === undefined ? [] : [`Stopped and saved. Go on with: ${again}`]),
      `The table is ${style.bold(join(folder, 'sweep.json'))}, the page ${style.bold(join(folder, 'sweep.html'))}.`,
    ].join('\n'),
  ].join('\n\n')
  if (interrupted !== undefined) return E.right({ exitCode: interrupted, text, json })
  if (failed.length === 0) return E.right(done(text, json))
  const names = failed.map(({ name }) => name).join(', ')
  const refusal = `${failed.length} of ${plural(runs.length, 'run')} failed: ${names}. Call again to go on with them.`
  return E.right({ exitCode: 1, text, json, refusal })
}

/** `2 runs are in the queue of Slurm: 1 pending, 1 running.` */
const queueText = (queued: ReadonlyMap<string, Queued>): string => {
  const states = [...queued.values()].map(({ state }) => state.toLowerCase())
  const counts = [...new Set(states)].map((state) => `${states.filter((one) => one === state).length} ${state}`)
  const are = queued.size === 1 ? '1 run is' : `${queued.size} runs are`
  return `${are} in the queue of Slurm: ${counts.join(', ')}. Call again to gather them.`
}

/** Images at once when speed is measured, as when a run ends. */
const measuredBatch = 32

/** The first run of each configuration that has ended, its network measured beside the others. */
const withSpeeds = async (
  runs: ReadonlyArray<ComparedRun>,
  { output, provider }: SweepFlags,
  say: Say,
): Promise<E.Either<Failure, ReadonlyArray<ComparedRun>>> => {
  const chosen = configurationsOf(runs).flatMap((one) => one.runs.find(({ figures }) => figures !== undefined) ?? [])
  if (chosen.length === 0) return E.right(runs)
  const places = sweepFolder(output)
  const models = chosen.map(({ name }) => join(runFolder(places.run(name)).package, 'model.onnx'))
  const speeds = await measure(models, { provider, batch: measuredBatch, onProgress: runProgress(say) })()
  if (E.isLeft(speeds)) return speeds
  const of = new Map(chosen.map(({ name }, at) => [name, speeds.right[at]]))
  return E.right(
    runs.map((run): ComparedRun => {
      const speed = of.get(run.name)
      if (speed === undefined) return run
      const { throughput, speedup, runtime, batch } = speed
      return { ...run, measured: { throughput, speedup, where: `${runtime} on ${speed.provider}, batch ${batch}` } }
    }),
  )
}
