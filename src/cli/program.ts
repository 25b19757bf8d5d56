/** The commands, their help, and what happens when the command line makes no sense. */
import { Command, CommanderError } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { externalFailure, isSystemError } from '../ir/external-failure.ts'
import { type Failure, failure, together } from '../ir/failure.ts'
import { systemReason } from '../ir/system-reason.ts'
import { version } from '../package/version.ts'
import { fitLines } from '../report/terminal/width.ts'
import { problemsOf } from './check-arguments.ts'
import { complete } from './complete.ts'
import { type ExitCode, tell } from './outcome.ts'
import type { RunCommand } from './run-command.ts'
import { quietly, type Terminal } from './terminal.ts'

const introduction = `
From a model to a smaller one:
  $ chasec inspect model.onnx                                       what is in it
  $ chasec masks model.onnx masks.pt                                which mask belongs to which weight
  $ chasec prune model.onnx --channels 0.4 -o masks.safetensors     choose channels (lossy; or bring your own masks)
  $ chasec compile model.onnx --masks masks.safetensors -o out      remove them (exact), verify, write a package
  $ chasec bench model.onnx out                                     how much faster it is

Or train one that is sparse from the start:
  $ chasec train --model resnet20 --data cifar10:DIR --method chase --density 0.1 --channels 0.5 --epochs 160 -o run
  $ chasec compare run other-run -o compared.html                   runs beside each other
  $ chasec doctor                                                   what this machine can train and run models with

Exit codes: 0 done, 1 the answer is no (verification failed, nothing was written), 2 bad usage or input.
Every command has --json, --quiet, and its own --help with examples; those that write files have --dry-run.`

interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Its options and its work, which take some time to be loaded. */
  readonly load: () => Promise<(run: RunCommand) => Command>
}

const commands: ReadonlyArray<CommandEntry> = [
  {
    name: 'compile',
    summary: 'make a smaller model that computes what the masked one does',
    load: async () => (await import('./commands/compile.ts')).compileCommand,
  },
  {
    name: 'inspect',
    summary: 'show layers, densities, channel scores, and what compiling would do',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'masks',
    summary: 'show which mask belongs to which weight, and how that was found',
    load: async () => (await import('./commands/masks.ts')).masksCommand,
  },
  {
    name: 'verify',
    summary: 'run two models on the same inputs and compare their outputs',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  {
    name: 'bench',
    summary: 'measure how fast models run',
    load: async () => (await import('./commands/bench.ts')).benchCommand,
  },
  {
    name: 'prune',
    summary: 'choose the channels or weights that are worth least, and write masks (lossy)',
    load: async () => (await import('./commands/prune.ts')).pruneCommand,
  },
  {
    name: 'slice',
    summary: 'leave the smallest principal components of a transformer out of its stream (lossy)',
    load: async () => (await import('./commands/slice.ts')).sliceCommand,
  },
  {
    name: 'knee',
    summary: 'mask more and more weights, and tell at which sparsity a model breaks',
    load: async () => (await import('./commands/knee.ts')).kneeCommand,
  },
  {
    name: 'adapt',
    summary: 'make a trained classifier fit other images and classes, to train it further',
    load: async () => (await import('./commands/adapt.ts')).adaptCommand,
  },
  {
    name: 'train',
    summary: 'train a sparse network, and compile it',
    load: async () => (await import('./commands/train.ts')).trainCommand,
  },
  {
    name: 'sweep',
    summary: 'train a grid of methods and seeds, here or on Slurm',
    load: async () => (await import('./commands/sweep.ts')).sweepCommand,
  },
  {
    name: 'soup',
    summary: 'average the weights of training runs with the same masks, and compile that',
    load: async () => (await import('./commands/soup.ts')).soupCommand,
  },
  {
    name: 'methods',
    summary: 'list the ways to train sparsely, with their papers, or what one of them can be told',
    load: async () => (await import('./commands/methods.ts')).methodsCommand,
  },
  {
    name: 'compare',
    summary: 'put training runs beside each other',
    load: async () => (await import('./commands/compare.ts')).compareCommand,
  },
  {
    name: 'drive',
    summary: "decide the masks of another program's training loop, by lines of JSON",
    load: async () => (await import('./commands/drive.ts')).driveCommand,
  },
  {
    name: 'tune',
    summary: 'measure what layers take on this machine, for widths that it runs fast',
    load: async () => (await import('./commands/tune.ts')).tuneCommand,
  },
  {
    name: 'doctor',
    summary: 'tell what this machine can train and run models with, and how to get the rest',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    name: 'completion',
    summary: 'print a script that completes command lines in bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
]

/** A command, loaded only where the command line names it. */
const commandOf = async (
  { name, summary, load }: CommandEntry,
  args: ReadonlyArray<string>,
  run: RunCommand,
): Promise<Command> => (args.includes(name) ? (await load())(run) : new Command(name)).summary(summary)

/** What the system refused in the midst of work, where nobody foresaw it, is told like any other error. */
const refused = (thrown: unknown): E.Either<Failure, never> => {
  const found = externalFailure(thrown)
  if (found !== undefined) return E.left(found)
  if (!isSystemError(thrown)) throw thrown
  const call = [thrown.syscall, thrown.path].filter((part) => part !== undefined).join(' ')
  const help = 'Mend that, then run the command again.'
  return E.left(failure('SystemError', call, 'the system to do it', systemReason(thrown), help))
}

/** Does what `args` say; gives the exit code. */
export const runProgram = async (args: ReadonlyArray<string>, terminal: Terminal): Promise<ExitCode> => {
  const json = args.includes('--json')
  let exitCode: ExitCode = 0
  let complaint = ''
  const run: RunCommand = async (flags, work) => {
    const within = flags.quiet === true ? quietly(terminal) : terminal
    exitCode = tell(terminal, flags, await work(within).catch(refused))
  }
  const program = new Command('chasec')
    .description('Compiles sparse neural networks into small, fast, ordinary ONNX models.')
    .version(version)
    .addHelpText('after', introduction)
  for (const entry of commands) program.addCommand(await commandOf(entry, args, run))
  for (const command of [program, ...program.commands]) {
    command
      .configureHelp({ minWidthToWrap: 16 })
      .exitOverride()
      .configureOutput({
        writeOut: (text) => terminal.print(fitLines(text.trimEnd(), terminal.style.columns)),
        writeErr: (text) => {
          complaint += text
        },
      })
  }
  // What those scripts ask; not a command for people.
  if (args[0] === 'complete') {
    terminal.print(complete(program, args.slice(1)))
    return 0
  }
  const [problem, ...others] = problemsOf(program, args)
  if (problem !== undefined) {
    const count = `${others.length + 1} problems`
    const whole = failure('UsageError', 'command line', 'one that can be followed', count, '')
    return tell(terminal, { json }, E.left(together(problem, others, whole)))
  }
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    if (thrown.exitCode === 0) return 0
    if (!json) {
      terminal.note(complaint.trimEnd())
      return 2
    }
    const message = thrown.message.replace(/^error: /, '')
    const help = 'Run chasec --help, or chasec COMMAND --help.'
    tell(
      terminal,
      { json: true },
      E.left(failure('UsageError', 'command line', 'a command with its options', message, help)),
    )
    return 2
  }
  return exitCode
}
