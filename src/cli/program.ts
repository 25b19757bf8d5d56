/** The commands, their help, and what happens when the command line makes no sense. */
import { Command, CommanderError } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { externalFailure } from '../ir/external-failure.ts'
import { type Failure, failure, together } from '../ir/failure.ts'
import { version } from '../package/version.ts'
import { benchCommand } from './commands/bench.ts'
import { compileCommand } from './commands/compile.ts'
import { doctorCommand } from './commands/doctor.ts'
import { driveCommand } from './commands/drive.ts'
import { inspectCommand } from './commands/inspect.ts'
import { masksCommand } from './commands/masks.ts'
import { pruneCommand } from './commands/prune.ts'
import { trainCommand } from './commands/train.ts'
import { verifyCommand } from './commands/verify.ts'
import { problemsOf } from './check-arguments.ts'
import { type ExitCode, tell } from './outcome.ts'
import type { RunCommand } from './run-command.ts'
import type { Terminal } from './terminal.ts'

const introduction = `
From a model to a smaller one:
  $ chasec inspect model.onnx                                       what is in it
  $ chasec masks model.onnx masks.pt                                which mask belongs to which weight
  $ chasec prune model.onnx --channels 0.4 -o masks.safetensors     choose channels (lossy; or bring your own masks)
  $ chasec compile model.onnx --masks masks.safetensors -o out      remove them (exact), verify, write a package
  $ chasec bench model.onnx out                                     how much faster it is

Or train one that is sparse from the start:
  $ chasec train --model resnet20 --data cifar10:DIR --method chase --density 0.1 --channels 0.5 --epochs 160 -o run
  $ chasec doctor                                                   what this machine can train and run models with

Exit codes: 0 done, 1 the answer is no (verification failed, nothing was written), 2 bad usage or input.
Every command has --json, and its own --help with examples.`

const commands = [
  compileCommand,
  inspectCommand,
  masksCommand,
  verifyCommand,
  benchCommand,
  pruneCommand,
  trainCommand,
  driveCommand,
  doctorCommand,
] as const

/** A file that could not be read in the midst of work is told like any other error. */
const unreadable = (thrown: unknown): E.Either<Failure, never> => {
  const found = externalFailure(thrown)
  if (found === undefined) throw thrown
  return E.left(found)
}

/** Does what `args` say; gives the exit code. */
export const runProgram = async (args: ReadonlyArray<string>, terminal: Terminal): Promise<ExitCode> => {
  const json = args.includes('--json')
  let exitCode: ExitCode = 0
  let complaint = ''
  const run: RunCommand = async (flags, work) => {
    exitCode = tell(terminal, flags.json === true, await work(terminal).catch(unreadable))
  }
  const program = new Command('chasec')
    .description('Compiles sparse neural networks into small, fast, ordinary ONNX models.')
    .version(version)
    .addHelpText('after', introduction)
  for (const make of commands) {
    program.addCommand(make(run))
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => {
        complaint += text
      },
    })
  }
  const [problem, ...others] = problemsOf(program, args)
  if (problem !== undefined) {
    const count = `${others.length + 1} problems`
    const whole = failure('UsageError', 'command line', 'one that can be followed', count, '')
    return tell(terminal, json, E.left(together(problem, others, whole)))
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
    tell(terminal, true, E.left(failure('UsageError', 'command line', 'a command with its options', message, help)))
    return 2
  }
  return exitCode
}
