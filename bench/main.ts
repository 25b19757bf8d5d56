/**
 * The benchmarks: npm run bench -- compile | throughput. `--out FILE` also writes the result as JSON, with the command
 * that made it and the machine it was made on.
 */
import { writeFile } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { toJson } from '../src/report/json.ts'
import { version } from '../src/version.ts'
import { benchCompile } from './compile.ts'
import { watchMachine } from './machine.ts'
import type { BenchResult } from './result.ts'
import { benchTrainStep, type TrainStepOptions } from './train-step.ts'
import { benchThroughput, type ThroughputOptions } from './throughput.ts'

const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Give a whole number, 1 or more.')
  return value
}

const finish = async (
  bench: Promise<BenchResult>,
  machineAfter: () => object,
  out: string | undefined,
): Promise<void> => {
  const { json, text } = await bench
  const machine = machineAfter()
  process.stdout.write(`${text}\n\n${toJson(machine)}\n`)
  if (out === undefined) return
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
  await writeFile(out, `${toJson({ command, chasec: version, machine, ...json })}\n`)
}

const program = new Command('bench').description('Benchmarks of chasec.')

program
  .command('compile')
  .description('time and memory of reading, compiling and writing, beside npm onnxsim')
  .option('--model <name>', 'a graph of test/models', 'resnet50')
  .option('--repeats <count>', 'runs of each, each in a fresh process', count, 7)
  .option('--out <file>', 'write the result as JSON')
  .action(({ model, repeats, out }: { model: string; repeats: number; out?: string }) =>
    finish(benchCompile(model, repeats), watchMachine(), out),
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
  .command('train-step')
  .description('milliseconds of a training step on every backend that is there, beside stock kernels')
  .option('--model <name>', 'a model of src/models', 'resnet20')
  .option('--batches <counts...>', 'items of a step', (text, before: ReadonlyArray<number> = []) => [
    ...before,
    count(text),
  ])
  .option('--repeats <count>', 'measurements of each', count, 5)
  .option('--out <file>', 'write the result as JSON')
  .action(({ model, batches = [32], repeats, out }: TrainStepOptions & { out?: string }) =>
    finish(benchTrainStep({ model, batches, repeats }), watchMachine(), out),
  )

await program.parseAsync()
