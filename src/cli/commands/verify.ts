import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { renderDifference, summariseDifference } from '../../report/terminal/verify-table.ts'
import type { Bindings } from '../../run/inputs.ts'
import type { Provider } from '../../run/protocol.ts'
import { verify } from '../../run/verify.ts'
import {
  atLeast,
  between,
  type CommonFlags,
  jsonOption,
  progressOption,
  providerOption,
  quietOption,
  shapeOption,
} from '../flags.ts'
import type { Outcome } from '../outcome.ts'
import { progressOn, runProgress } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { recoverPackages } from '../sources.ts'
import type { Terminal } from '../terminal.ts'

interface VerifyFlags extends CommonFlags {
  readonly shape: Bindings
  readonly provider: Provider | 'auto'
  readonly tolerance?: number
  readonly cases: number
}

const examples = `
Examples:
  $ chasec verify masked.onnx out
      Runs both on the same seeded inputs and compares every output. A folder stands for the model.onnx in it.

  $ chasec verify a.onnx b.onnx --shape N=4 --tolerance 1e-5

Floats may differ by the tolerance times the largest value of the output (1e-4 for float32, 2e-2 for float16 and
bfloat16, 1e-9 for float64, unless given); integers, booleans and strings must be equal.
Exit codes: 0 they agree, 1 they differ, 2 they could not be compared.`

export const verifyCommand = (run: RunCommand): Command =>
  new Command('verify')
    .description(
      'Tells whether two models compute the same, by running both in ONNX Runtime on the same seeded inputs.',
    )
    .argument('<reference>', 'ONNX file, or folder with a model.onnx')
    .argument('<candidate>', 'the model to compare with it')
    .option('--tolerance <number>', 'largest relative difference that counts as equal', between(0, 0.999999))
    .option('--cases <count>', 'seeds to try for each choice of sizes', atLeast(1), 3)
    .addOption(shapeOption())
    .addOption(providerOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((reference: string, candidate: string, flags: VerifyFlags) =>
      run(flags, (terminal) => verifyModels(terminal, reference, candidate, flags)),
    )

const verifyModels = async (
  terminal: Terminal,
  reference: string,
  candidate: string,
  { shape, provider, tolerance, cases, progress }: VerifyFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const say = progressOn(terminal, progress === true)
  await recoverPackages([reference, candidate])
  const difference = await verify(reference, candidate, {
    bindings: shape,
    provider,
    seeds: Array.from({ length: cases }, (_, i) => i + 1),
    ...(tolerance === undefined ? {} : { tolerance }),
    onProgress: runProgress(say),
  })()
  if (E.isLeft(difference)) return difference
  const { style } = terminal
  return E.right({
    exitCode: difference.right.equal ? 0 : 1,
    text: `${renderDifference(difference.right, style)}\n\n${summariseDifference(difference.right, style)}`,
    json: difference.right,
  })
}
