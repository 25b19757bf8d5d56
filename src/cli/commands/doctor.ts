import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { isHealthy, renderCheckup } from '../../report/terminal/doctor-table.ts'
import { findBuildFacts } from '../doctor/build-facts.ts'
import { type BuildableBackend, planBuild } from '../doctor/build-plan.ts'
import { type BuiltAddon, compileAddon, installAddon } from '../doctor/build-tfjs-node.ts'
import { noGpu } from '../../train/backend/loaders/tfjs-node.ts'
import { attemptAlone } from '../doctor/attempt-alone.ts'
import { examine } from '../doctor/checkup.ts'
import { type CudaFlags, installCudaHere, printEnvironment, removeCudaHere } from '../doctor/cuda/command.ts'
import {
  AlternativeOption,
  type CommonFlags,
  DependentOption,
  dryRunBeside,
  jsonOption,
  progressOption,
  quietOption,
} from '../flags.ts'
import { uninterrupted } from '../interrupt.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'

interface DoctorFlags extends CommonFlags, CudaFlags {
  readonly installCuda?: true
  readonly removeCuda?: true
  readonly printEnv?: true
  readonly buildTfjsNode?: true
  readonly buildTfjsNodeGpu?: true
  readonly python?: string
  readonly force?: true
}

const examples = `
Examples:
  $ chasec doctor
      Tries every training backend and every provider of ONNX Runtime; says what works, and how to get the rest.

  $ npm install --save-dev --ignore-scripts @tensorflow/tfjs-node@4
  $ python3 -m pip install tensorflow-cpu
  $ chasec doctor --build-tfjs-node
      Builds TensorFlow's addon for Node against the TensorFlow of Python (Linux; needs a C++ compiler and make). The
      addon uses that TensorFlow where it is; build anew when it has moved or changed. With -gpu: tensorflow[and-cuda].

  $ chasec doctor --install-cuda
      Fetches ONNX Runtime's CUDA provider and NVIDIA's libraries (1.6 GB, 2.5 GB unpacked) from Python's package index into
      ~/.local/share/chasec/cuda and links onnxruntime-node to them (Linux on x64). No root, no Python; the driver is not among it.
      chasec finds them by itself; for sessions of other programs: eval "$(chasec doctor --print-env)".

Exit codes: 0 all that chasec needs is there, even if extras are missing; 1 something that it needs is missing, or the provider
does not load for another reason than a missing driver; 2 bad usage, or what was to be built or installed could not be.`

export const doctorCommand = (run: RunCommand): Command =>
  new Command('doctor')
    .description('Tells what of all that chasec can use works on this machine, why not, and how to get it.')
    .addOption(action('--install-cuda', "fetch ONNX Runtime's CUDA provider and NVIDIA's libraries, without root"))
    .addOption(action('--remove-cuda', 'remove them again'))
    .addOption(action('--print-env', 'print what a shell has to evaluate so that other programs find them'))
    .addOption(
      new DependentOption(
        '--dir <folder>',
        'where they are, instead of $XDG_DATA_HOME/chasec/cuda/VERSION',
        '--install-cuda',
        '--remove-cuda',
      ),
    )
    .addOption(
      new DependentOption(
        '--index-url <url>',
        "the index of Python packages, instead of pip's (PIP_INDEX_URL, pip.conf, pypi.org)",
        '--install-cuda',
      ),
    )
    .addOption(dryRunBeside('--install-cuda', '--remove-cuda'))
    .addOption(action('--build-tfjs-node', 'build the addon of @tensorflow/tfjs-node against the TensorFlow of Python'))
    .addOption(action('--build-tfjs-node-gpu', 'the same of @tensorflow/tfjs-node-gpu, against tensorflow[and-cuda]'))
    .addOption(building('--python <program>', 'the Python whose TensorFlow it is (default: python3)'))
    .addOption(building('--force', 'build even if the backend works'))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((flags: DoctorFlags) => run(flags, (terminal) => workOf(flags)(terminal, flags)))

/** What the doctor does besides looking: one thing at a time. */
const action = (flags: string, description: string): AlternativeOption =>
  new AlternativeOption(flags, description, 'what to do', true)

const workOf = (flags: DoctorFlags): ((terminal: Terminal, flags: DoctorFlags) => ReturnType<typeof reportMachine>) => {
  if (flags.installCuda) return installCudaHere
  if (flags.removeCuda) return removeCudaHere
  if (flags.printEnv) return printEnvironment
  if (flags.buildTfjsNodeGpu) return buildAddon('tfjs-node-gpu')
  return flags.buildTfjsNode ? buildAddon('tfjs-node') : reportMachine
}

const building = (flags: string, description: string): DependentOption =>
  new DependentOption(
    flags,
    `with --build-tfjs-node or -gpu: ${description}`,
    '--build-tfjs-node',
    '--build-tfjs-node-gpu',
  )

const reportMachine = async (terminal: Terminal, flags: DoctorFlags): Promise<E.Either<Failure, Outcome>> => {
  const checkup = await examine(progressOn(terminal, flags.progress === true))
  return E.right({
    exitCode: isHealthy(checkup) ? 0 : 1,
    text: renderCheckup(checkup, terminal.style),
    json: checkup,
  })
}

const buildAddon =
  (backend: BuildableBackend) =>
  async (terminal: Terminal, { python, force, progress }: DoctorFlags): Promise<E.Either<Failure, Outcome>> => {
    const say = progressOn(terminal, progress === true)
    const attempt = attemptAlone()(backend)
    say(`trying the backend ${backend}`)
    const before = force ? undefined : await attempt()
    if (before?.available) {
      const text = `The backend ${backend} works already (${before.found}): nothing was changed. To build it anew, give --force.`
      return E.right(done(text, { built: null, found: before.found }))
    }
    const variables = process.env
    const plan = planBuild(findBuildFacts({ backend, variables, ...(python === undefined ? {} : { python }) }))
    if (E.isLeft(plan)) return plan
    // Ctrl-C ends what is run, and then what was made of it is cleared away.
    const built = await uninterrupted<E.Either<Failure, BuiltAddon>>(async () => {
      say('compiling')
      const compiled = await compileAddon(plan.right, variables)()
      if (E.isLeft(compiled)) return compiled
      say(`trying the backend ${backend}`)
      return installAddon(plan.right, compiled.right, attempt)()
    })
    if (E.isLeft(built)) return built
    return E.right(done(renderBuilt(backend, built.right), { built: built.right, found: built.right.found }))
  }

const renderBuilt = (
  backend: BuildableBackend,
  { packageFolder, tensorflow, found, files, replaced }: BuiltAddon,
): string =>
  [
    found.startsWith(noGpu) ? `The addon of ${backend} loads; ${found}.` : `The backend ${backend} works: ${found}.`,
    `In ${packageFolder} there are now ${files.join(', ')}${replaced.length === 0 ? '' : ` (in place of the former ${replaced.join(', ')})`}.`,
    `They use the TensorFlow in ${tensorflow}: build anew when it has moved or changed, and after npm has installed the package anew.`,
  ].join('\n')
