import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { printType } from '../../ir/type.ts'
import { totalsOf } from '../../passes/compile.ts'
import { readModel } from '../../read/file.ts'
import { formatCount } from '../../report/units.ts'
import { adaptClassifier, type Head, heads, type ImageShape } from '../../train/index.ts'
import { atLeast, type CommonFlags, dryRunOption, jsonOption, progressOption, quietOption } from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'
import { existing, WrongArgument } from '../wrong-argument.ts'
import { dryRunJson, fileOf, notWritten, type WriteFlags } from '../write-file.ts'
import { writeModel } from '../write-model.ts'

interface AdaptFlags extends CommonFlags, WriteFlags {
  readonly head: Head
  readonly classes?: number
  readonly images?: ImageShape
  readonly seed: number
  readonly output: string
}

const examples = `
Examples:
  $ chasec adapt mobilenet/model.json --classes 10 --images 3x64x64 --head pooled -o start.onnx
  $ chasec train --model start.onnx --data cifar10:DIR --image-size 64 --normalisation unit --method dense --learning-rate 0.01 -o run
      A network of TensorFlow.js, trained on other classes from where it is.

  $ chasec adapt resnet50.onnx --classes 37 -o start.onnx
      A new last layer, images as before.

  $ chasec adapt web_model --head keep -o start.onnx
      The same classes; channels that came last come first, and the softmax at the end goes: training is on logits.

The head, what becomes of the classifier:
  last     its last layer is a new one (the default)
  pooled   everything behind the last images of features is left out, and a new layer reads the mean of each; fits any size
  keep     it stays

All other weights are what they were. The model computes something else until it is trained.`

/** `3x64x64`: channels, height and width. */
const imagesOf = (text: string): ImageShape => {
  const [, channels = NaN, height = NaN, width = NaN] = (/^(\d+)x(\d+)x(\d+)$/.exec(text) ?? []).map(Number)
  if (channels >= 1 && height >= 1 && width >= 1) return [channels, height, width]
  throw new WrongArgument('channels, height and width', 'Write it like 3x64x64.')
}

export const adaptCommand = (run: RunCommand): Command =>
  new Command('adapt')
    .description('Makes a trained classifier fit other images and classes, to be trained further.')
    .argument('<model>', 'ONNX file, or model of TensorFlow.js', existing('a model'))
    .addOption(new Option('--head <head>', 'what becomes of the classifier, see below').choices(heads).default('last'))
    .option('--classes <count>', 'classes of the new classifier', atLeast(1))
    .option('--images <shape>', 'channels, height and width of the images (default: as before)', imagesOf)
    .option('--seed <number>', 'decides the new weights', atLeast(0), 0)
    .requiredOption('-o, --output <file>', 'ONNX file to write')
    .option('--force', 'replace the file if it exists')
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: AdaptFlags) => run(flags, (terminal) => adaptModel(terminal, model, flags)))

const adaptModel = async (
  terminal: Terminal,
  model: string,
  flags: AdaptFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { head, classes, images, seed, output } = flags
  if (resolve(output) === resolve(model)) {
    const help = 'Name another file.'
    return E.left(failure('UsageError', `--output ${output}`, 'a file other than the model', 'the model', help))
  }
  if (head !== 'keep' && classes === undefined) {
    const help = 'Give as many as the data has, or --head keep.'
    return E.left(failure('UsageError', '--classes', `a number beside --head ${head}`, 'nothing', help))
  }
  const say = progressOn(terminal, flags.progress === true)
  say(`reading ${model}`)
  const read = await readModel(model)()
  if (E.isLeft(read)) return read
  const adapted = adaptClassifier(read.right, {
    ...{ head, seed },
    ...(classes === undefined ? {} : { classes }),
    ...(images === undefined ? {} : { shape: images }),
  })
  if (E.isLeft(adapted)) return adapted
  say(`writing ${output}`)
  const written = await writeModel(output, adapted.right, flags)
  if (E.isLeft(written)) return written
  const files = written.right.map(({ name, bytes }) => fileOf(name, bytes)).join(', ')
  const next =
    notWritten(flags, files) ||
    `Wrote ${files}. Next: chasec train --model ${output} --data KIND:DIR --method NAME -o RUN`
  const facts = factsOf(read.right, adapted.right)
  const text = `${facts.before}\n${facts.after}\n\n${next}`
  return E.right(done(text, { output, ...dryRunJson(flags), head, ...facts, files: written.right }))
}

/** What goes in, what comes out, and what is in between, before and after. */
const factsOf = (read: Graph, adapted: Graph): { readonly before: string; readonly after: string } => {
  const described = (graph: Graph): string => {
    const { macs, parameters } = totalsOf(graph)
    const list = (values: Graph['inputs']): string =>
      values
        .map(({ name }) => `${name} ${printType(graph.types.get(name) ?? { kind: 'other', encoded: undefined })}`)
        .join(', ')
    return `${list(graph.inputs)} -> ${list(graph.outputs)}, ${formatCount(parameters)} parameters, ${formatCount(macs)} MACs`
  }
  return { before: `before  ${described(read)}`, after: `after   ${described(adapted)}` }
}
