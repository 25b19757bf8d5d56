import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import type { Target } from '../../passes/target.ts'
import { compile } from '../../package/compile.ts'
import type { Compiled } from '../../passes/compile.ts'
import type { Float16Options } from '../../passes/float16/index.ts'
import { observers, type Observer } from '../../passes/pass.ts'
import { picturesOf } from '../../passes/pictures.ts'
import { renderMatchLine } from '../../report/matching.ts'
import { compactReport } from '../../report/compile-json.ts'
import { renderCompileReport } from '../../report/terminal/compile-table.ts'
import { renderMeasurements, renderYield } from '../../report/terminal/measure-table.ts'
import type { Measured } from '../../report/results.ts'
import { describeFloat16Error, type Float16Error, worstOutput } from '../../report/float16-error.ts'
import { renderDifference, summariseDifference } from '../../report/terminal/verify-table.ts'
import type { Lowered } from '../../export/lower.ts'
import { writeFiles } from '../../export/package.ts'
import { tritonFiles, type TritonOptions } from '../../export/triton.ts'
import type { Bindings } from '../../run/inputs.ts'
import { measure, type Measurement } from '../../run/measure.ts'
import type { Provider } from '../../run/protocol.ts'
import type { Difference } from '../../run/verify.ts'
import { maskedModel, runnable } from '../../package/runnable.ts'
import { toFloat16 } from '../../package/float16.ts'
import { measureFloat16 } from '../../package/measure-float16.ts'
import { verifyCompiled } from '../../package/verify-compiled.ts'
import { lowerCompiled } from '../../package/contents.ts'
import { type Package, writePackage } from '../../package/write-package.ts'
import { debugObservers } from '../debug.ts'
import {
  atLeast,
  between,
  type CommonFlags,
  DependentOption,
  dryRunOption,
  jsonOption,
  type MaskFlags,
  maskMapOption,
  masksOption,
  progressOption,
  providerOption,
  quietOption,
  shapeOption,
  targetOption,
  weightsOption,
  whyOption,
} from '../flags.ts'
import { uninterrupted } from '../interrupt.ts'
import { costsOption, readCosts } from '../costs.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn, runProgress, type Say } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { existing } from '../wrong-argument.ts'
import { bindSizes } from '../sizes.ts'
import { startDigests, type Inputs, readInputs } from '../sources.ts'
import type { Terminal } from '../terminal.ts'
import { explainName, renderFates, watchElimination } from '../why.ts'
import { dryRunJson, fileOf, notWritten, type WriteFlags } from '../write-file.ts'

interface CompileFlags extends CommonFlags, MaskFlags, Pick<WriteFlags, 'dryRun'> {
  readonly output: string
  readonly target: Target
  readonly costs?: string
  readonly verify: boolean
  readonly advice?: boolean
  readonly tolerance?: number
  readonly measure?: true
  readonly reportTimings?: true
  readonly shape: Bindings
  readonly provider: Provider | 'auto'
  readonly externalData?: true
  readonly why?: string
  readonly triton?: string
  readonly maxBatchSize?: number
  readonly note?: string
  readonly float16?: true
  readonly float16Io?: true
  readonly keepFloat32?: ReadonlyArray<string>
}

const examples = `
Examples:
  $ chasec compile resnet50.onnx --masks masks.safetensors -o out
      Multiplies every weight by its mask, removes the channels that then compute nothing, checks the result
      against the masked model in ONNX Runtime, and writes out/model.onnx, out/chasec.json and out/report.html.

  $ chasec compile pruned.onnx --masks zeros -o out
      Takes the zeros that the weights hold already as the masks.

  $ chasec compile model.onnx --masks masks.npz -o out --shape N=4 --measure
      Counts multiplications and verifies for a batch of 4, and measures both models side by side.

  $ chasec compile model.onnx --masks masks.npz -o out --why /layer1/conv1/Conv
      Also tells why the channels of one layer stay.

  $ chasec compile model.onnx --masks masks.npz -o repository --triton resnet50
      Writes repository/resnet50/config.pbtxt and repository/resnet50/1/model.onnx, for tritonserver --model-repository.

  $ chasec compile model.onnx --masks masks.npz -o out --target cuda --float16
      Half the bytes, for GPUs: the compiled model in half precision, and how far that is off (lossy).

Nothing is written when the compiled model computes something else: the exit code is then 1.
CHASEC_DEBUG=1 lists the passes, 2 checks the graph after each, 3 dumps it to ./chasec-dump; CHASEC_STOP_AFTER=n ends
after n runs of passes; CHASEC_WHY=name is --why.`

export const compileCommand = (run: RunCommand): Command =>
  new Command('compile')
    .description(
      'Compiles an ONNX model and its pruning masks into a package: a folder with a smaller ONNX model that computes what the masked model computes.',
    )
    .argument('<model>', 'ONNX file', existing('a model'))
    .requiredOption('-o, --output <folder>', 'where the package goes; an earlier package there is replaced as a whole')
    .addOption(masksOption())
    .addOption(weightsOption())
    .addOption(maskMapOption())
    .addOption(targetOption())
    .addOption(costsOption())
    .option('--advice', 'try what masking further channels would bring, however large the model is')
    .option('--no-advice', 'do not try it (by default it is tried unless the model is large)')
    .option('--no-verify', 'publish without running the masked and the compiled model')
    .option('--tolerance <number>', 'largest relative difference that verification accepts', between(0, 0.999999))
    .option(
      '--measure',
      'measure the speed of the masked and the compiled model and write it into the package, which is then different on every run',
    )
    .option(
      '--report-timings',
      'also write how far the two models lie apart on this machine into the package, which is then different elsewhere',
    )
    .addOption(shapeOption())
    .addOption(providerOption())
    .option('--note <text>', 'a sentence for the report, such as where the model comes from')
    .option('--external-data', 'put the weights into model.onnx_data beside model.onnx')
    .option(
      '--float16',
      'write the compiled model in half precision (lossy): half the bytes, for GPUs; its error is measured and shown',
    )
    .addOption(
      new DependentOption(
        '--float16-io',
        'make inputs and outputs half precision, too (by default they keep their types)',
        '--float16',
      ),
    )
    .addOption(
      new DependentOption(
        '--keep-float32 <name>',
        'an operator (Softmax) or a node that stays in float32; repeatable',
        '--float16',
      ).argParser((name: string, before: ReadonlyArray<string> = []) => [...before, name]),
    )
    .option('--triton <name>', 'write a model repository of the Triton Inference Server with the model under this name')
    .addOption(
      new DependentOption(
        '--max-batch-size <number>',
        'the most requests that Triton puts into one batch, where the model has a batch axis of any size (default: 8)',
        '--triton',
      ).argParser(atLeast(1)),
    )
    .addOption(whyOption())
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: CompileFlags) => run(flags, (terminal) => compileModel(terminal, model, flags)))

const compileModel = async (
  terminal: Terminal,
  path: string,
  flags: CompileFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const say = progressOn(terminal, flags.progress === true)
  // What is wrong with the place is not told when all work has been done.
  const free = await writeFiles(flags.output, [], { dry: true })()
  if (E.isLeft(free)) return free
  const inputs = await readInputs(path, flags, say)
  if (E.isLeft(inputs)) return inputs
  const digests = await startDigests(path, flags.masks)
  if (E.isLeft(digests)) return digests
  const sizes = bindSizes(inputs.right.graph, flags.shape)
  if (E.isLeft(sizes)) return sizes
  const why = flags.why ?? terminal.environment.why
  const watch = watchElimination()
  const observer = observers(
    sayPasses(say),
    ...debugObservers(terminal),
    ...(why === undefined ? [] : [watch.observer]),
  )
  const triton = tritonOf(flags)
  const { target } = flags
  const costs = readCosts(flags, terminal.environment)
  if (E.isLeft(costs)) return costs
  const { matching } = inputs.right
  const compiled = compile(inputs.right.graph, inputs.right.masks, {
    target,
    ...(costs.right === undefined ? {} : { costs: costs.right }),
    sizes: sizes.right,
    observer,
    advise: flags.advice ?? 'small',
  })
  if (E.isLeft(compiled)) return compiled
  const half = flags.float16 === true ? halfOf(compiled.right, flags) : E.right(undefined)
  if (E.isLeft(half)) return half
  const final = half.right ?? compiled.right
  const repository = triton === undefined ? E.right(undefined) : tritonFiles(final.graph, triton)
  if (E.isLeft(repository)) return repository
  const fates = why === undefined ? E.right(undefined) : explainName(watch.seen, why, target)
  if (E.isLeft(fates)) return fates
  const external = flags.externalData === undefined ? {} : { external: true }
  // Where it is not run, the model is made while it is written and never in memory.
  const lowered = flags.verify || flags.measure ? lowerCompiled(compiled.right, external) : E.right(undefined)
  if (E.isLeft(lowered)) return lowered
  const model = lowered.right
  const rounded =
    model === undefined || half.right === undefined ? E.right(undefined) : lowerCompiled(half.right, external)
  if (E.isLeft(rounded)) return rounded

  const verification =
    model !== undefined && flags.verify ? await verifyIt(inputs.right, model, flags, say) : E.right(undefined)
  if (E.isLeft(verification)) return verification
  if (verification.right?.equal === false) return E.right(refused(terminal, compiled.right, verification.right))
  const off =
    half.right !== undefined && flags.verify ? await errorOfHalf(compiled.right, flags, say) : E.right(undefined)
  if (E.isLeft(off)) return off
  if (off.right !== undefined && (worstOutput(off.right)?.nonFinite ?? 0) > 0)
    return E.right(overflowed(final, off.right))
  const speed =
    model !== undefined && flags.measure
      ? await measureAll(inputs.right, model, rounded.right, flags, say)
      : E.right(undefined)
  if (E.isLeft(speed)) return speed
  const sources = await digests.right()
  if (E.isLeft(sources)) return sources

  const pictures = picturesOf(inputs.right.graph, inputs.right.masks)
  if (E.isLeft(pictures)) return pictures
  const measured = measuredOf(flags.reportTimings ? verification.right : undefined, speed.right)
  const options = {
    ...sources.right,
    pictures: pictures.right,
    ...(matching === undefined ? {} : { matching }),
    ...(verification.right === undefined ? {} : { verification: verification.right }),
    ...(off.right === undefined ? {} : { float16Error: off.right }),
    ...measured,
    ...(flags.note === undefined ? {} : { note: flags.note }),
    ...(triton === undefined ? {} : { triton }),
    ...(model === undefined ? external : { lowered: rounded.right ?? model }),
  }
  const written = await uninterrupted((signal) => {
    say(`writing ${flags.output}`)
    return writePackage(final, flags.output, { ...options, signal, dry: flags.dryRun === true })()
  })
  if (E.isLeft(written)) return written
  const explained = why === undefined || fates.right === undefined ? '' : renderFates(why, fates.right)
  const text = [
    renderCompileReport(final.report, terminal.style),
    explained,
    matching === undefined ? '' : renderMatchLine(matching),
    speed.right === undefined ? '' : renderSpeed(terminal, compiled.right, speed.right),
    closing(terminal, verification.right, off.right, written.right, flags),
  ]
  return E.right(
    done(text.filter((block) => block !== '').join('\n\n'), {
      package: { directory: flags.output, files: written.right.files },
      ...dryRunJson(flags),
      verification: verification.right ?? null,
      ...(off.right === undefined ? {} : { float16Error: off.right }),
      ...(speed.right === undefined ? {} : { speed: speed.right }),
      ...(fates.right === undefined ? {} : { why: fates.right }),
      ...(matching === undefined ? {} : { matching }),
      report: compactReport(final.report),
    }),
  )
}

/** The names of `--keep-float32` are nodes, or else operators. */
const halfOf = (compiled: Compiled, flags: CompileFlags): E.Either<Failure, Compiled> => {
  const converted = toFloat16(compiled, float16Options(compiled, flags))
  if (E.isLeft(converted)) {
    const { subject, expected, found, help } = converted.left
    const isName = subject === 'opBlockList'
    return E.left(
      failure(
        'UsageError',
        isName ? '--keep-float32' : subject,
        isName ? 'a node or an operator of the compiled model' : expected,
        found,
        help,
      ),
    )
  }
  return converted
}

const float16Options = ({ graph }: Compiled, { float16Io, keepFloat32 = [] }: CompileFlags): Float16Options => {
  const nodes = new Set(graph.nodes.map(({ name }) => name))
  return {
    keepIoTypes: float16Io !== true,
    nodeBlockList: keepFloat32.filter((name) => nodes.has(name)),
    opBlockList: keepFloat32.filter((name) => !nodes.has(name)),
  }
}

/** What half precision is off by. */
const errorOfHalf = (compiled: Compiled, flags: CompileFlags, say: Say): Promise<E.Either<Failure, Float16Error>> => {
  const how = { bindings: flags.shape, provider: flags.provider, onProgress: runProgress(say) }
  return measureFloat16(compiled, float16Options(compiled, flags), how)()
}

/** Half precision has no room for a number that the model makes: nothing is published. */
const overflowed = (half: Compiled, error: Float16Error): Outcome => {
  const text = `${describeFloat16Error(error)} Nothing was written. --keep-float32 NAME keeps the layers in float32 that make such numbers.`
  return {
    exitCode: 1,
    text,
    json: { package: null, float16Error: error, report: compactReport(half.report) },
    refusal: text,
  }
}

const tritonOf = ({ triton, maxBatchSize }: CompileFlags): TritonOptions | undefined =>
  triton === undefined ? undefined : { name: triton, ...(maxBatchSize === undefined ? {} : { maxBatchSize }) }

const sayPasses =
  (say: Say): Observer =>
  (pass) =>
    say(`compiling: ${pass.name}`)

const verifyIt = (
  { graph, masks }: Inputs,
  lowered: Lowered,
  { shape, provider, tolerance }: CompileFlags,
  say: Say,
): Promise<E.Either<Failure, Difference>> => {
  const how = { bindings: shape, provider, onProgress: runProgress(say) }
  return verifyCompiled(graph, masks, lowered, tolerance === undefined ? how : { ...how, tolerance })()
}

const measureAll = async (
  { graph, masks }: Inputs,
  lowered: Lowered,
  half: Lowered | undefined,
  { shape, provider }: CompileFlags,
  say: Say,
): Promise<E.Either<Failure, ReadonlyArray<Measurement>>> => {
  const masked = maskedModel(graph, masks)
  if (E.isLeft(masked)) return masked
  const models = [
    masked.right,
    runnable(lowered, 'the compiled model'),
    ...(half === undefined ? [] : [runnable(half, 'the model in half precision')]),
  ]
  return measure(models, { sizes: shape, provider, onProgress: runProgress(say) })()
}

const renderSpeed = ({ style }: Terminal, { report }: Compiled, speed: ReadonlyArray<Measurement>): string =>
  `${renderMeasurements(speed, style)}\n${renderYield(report, speed.slice(0, 2))}`

const measuredOf = (
  difference: Difference | undefined,
  speed: ReadonlyArray<Measurement> | undefined,
): { readonly measured?: Measured } => {
  const measured = {
    ...(difference?.worst === undefined ? {} : { relativeError: difference.worst.output.relative }),
    ...(speed === undefined ? {} : { speed }),
  }
  return Object.keys(measured).length === 0 ? {} : { measured }
}

const refusal =
  'Nothing was written. Either chasec has a bug (please report the model), or outputs are so small that the rounding of ' +
  'ONNX Runtime itself shows; --tolerance says how much may differ.'

/** The answer is no: the models differ, and nothing is published. */
const refused = ({ style }: Terminal, compiled: Compiled, difference: Difference): Outcome => ({
  exitCode: 1,
  text: [renderDifference(difference, style), `${summariseDifference(difference, style)}\n${refusal}`].join('\n\n'),
  json: { package: null, verification: difference, report: compactReport(compiled.report) },
  refusal: `${summariseDifference(difference, style)} ${refusal}`,
})

const closing = (
  { style }: Terminal,
  difference: Difference | undefined,
  off: Float16Error | undefined,
  { directory, files }: Package,
  flags: CompileFlags,
): string => {
  const list = `${style.bold(directory)}: ${files.map(({ name, bytes }) => fileOf(name, bytes)).join(', ')}`
  const verdict = difference === undefined ? style.yellow('not verified') : summariseDifference(difference, style)
  const loss =
    flags.float16 === true
      ? `\n${style.yellow('half precision, lossy')}: ${off === undefined ? 'not measured.' : describeFloat16Error(off)}`
      : ''
  return `${verdict}${loss}\n${notWritten(flags, list) || list}`
}
