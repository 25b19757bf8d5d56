import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { renderMeasurements } from '../../report/terminal/measure-table.ts'
import type { Bindings } from '../../run/inputs.ts'
import { measure } from '../../run/measure.ts'
import type { Provider } from '../../run/protocol.ts'
import {
  atLeast,
  between,
  type CommonFlags,
  DependentOption,
  jsonOption,
  progressOption,
  providerOption,
  quietOption,
  shapeOption,
} from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import type { TrainingBench } from '../profile-training.ts'
import { progressOn, runProgress } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { recoverPackages } from '../sources.ts'
import type { Terminal } from '../terminal.ts'

interface BenchFlags extends CommonFlags {
  readonly shape: Bindings
  readonly provider: Provider | 'auto'
  readonly batch?: number
  readonly repeats: number
  readonly seconds: number
  readonly threads?: number
  readonly training?: true
  readonly backend?: TrainingBench['backend']
}

const examples = `
Examples:
  $ chasec bench dense.onnx out
      Measures both side by side, in turn, and tells how many times faster the second is than the first.

  $ chasec bench dense.onnx out --provider cuda --batch 32

  $ chasec bench model.onnx --training --batch 128
      What each layer of a training step takes, forwards and backwards, on drawn numbers.

  $ chasec bench model.onnx --shape N=1 --shape H=640 --shape W=640 --threads 1 --json`

export const benchCommand = (run: RunCommand): Command =>
  new Command('bench')
    .description('Measures models in ONNX Runtime: warmed up, in turn, several times each; medians and quartiles.')
    .argument('<models...>', 'ONNX files, or folders with a model.onnx; the first is what the others are compared with')
    .option('--batch <count>', 'items per run, where the model leaves its first axis open', atLeast(1))
    .option('--repeats <count>', 'measurements of each model', atLeast(1), 9)
    .option('--seconds <number>', 'least running time of one measurement', between(0, 3600), 0.2)
    .option('--threads <count>', 'threads that one operator may use (default: one per core)', atLeast(1))
    .option('--training', 'measure training steps by layer instead, in TensorFlow.js')
    .addOption(
      new DependentOption('--backend <backend>', 'what trains (default: wasm)', '--training').choices([
        'tfjs-node',
        'wasm',
        'cpu',
      ]),
    )
    .addOption(shapeOption())
    .addOption(providerOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((models: ReadonlyArray<string>, flags: BenchFlags) =>
      run(flags, (terminal) => benchModels(terminal, models, flags)),
    )

const benchModels = async (
  terminal: Terminal,
  models: ReadonlyArray<string>,
  flags: BenchFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { shape, provider, batch, repeats, seconds, threads, progress } = flags
  const say = progressOn(terminal, progress === true)
  if (flags.training === true) {
    const { profileTraining } = await import('../profile-training.ts')
    const { backend = 'wasm' } = flags
    const given = { backend, batch: batch ?? 32, repeats, shape, ...(threads === undefined ? {} : { threads }) }
    return profileTraining(models, given, terminal.style, say)
  }
  await recoverPackages(models)
  const measured = await measure(models, {
    sizes: shape,
    provider,
    repeats,
    seconds,
    ...(batch === undefined ? {} : { batch }),
    ...(threads === undefined ? {} : { threads }),
    onProgress: runProgress(say),
  })()
  if (E.isLeft(measured)) return measured
  return E.right(done(renderMeasurements(measured.right, terminal.style), { measurements: measured.right }))
}
