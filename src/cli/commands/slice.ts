import { resolve } from 'node:path'
import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import { type Sliced, sliceStream } from '../../package/slice-stream.ts'
import { readModel } from '../../read/file.ts'
import { renderTable } from '../../report/terminal/table.ts'
import { formatPercent } from '../../report/units.ts'
import { calibrateOption, samplesOption } from '../calibration.ts'
import { atLeast, between, type CommonFlags, dryRunOption, jsonOption, progressOption, quietOption } from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'
import { existing } from '../wrong-argument.ts'
import { dryRunJson, fileOf, notWritten, tryFiles, type WriteFlags } from '../write-file.ts'
import { writeModel } from '../write-model.ts'

interface SliceFlags extends CommonFlags, WriteFlags {
  readonly fraction: number
  readonly calibrate: string
  readonly samples?: number
  readonly multiple: number
  readonly output: string
}

const examples = `
Examples:
  $ chasec slice gpt2.onnx --fraction 0.25 --calibrate tokens -o sliced.onnx
  $ chasec compile sliced.onnx -o out
      The stream between the blocks in the basis of its principal components on the set, the smallest quarter of them zero; compiling
      takes them out.

  $ chasec slice gpt2.onnx --fraction 0 --calibrate tokens -o turned.onnx
  $ chasec verify gpt2.onnx turned.onnx
      Nothing goes: the same function in another basis, to rounding.

It is for transformers in float32 whose blocks begin with a layer or RMS normalisation and add to what they read, as GPT-2, LLaMA and
vision transformers; not for those that normalise behind the addition, as BERT. Widths of heads and of feed-forward layers stay: chasec
prune chooses of them.

This step loses accuracy: look at what the model does on inputs that it has not been calibrated with. Compiling loses nothing more.`

export const sliceCommand = (run: RunCommand): Command =>
  new Command('slice')
    .description(
      'Turns the residual stream of a transformer into its principal components on a calibration set, and zeros the smallest (SliceGPT). Lossy.',
    )
    .argument('<model>', 'ONNX file', existing('a model'))
    .requiredOption(
      '--fraction <fraction>',
      'fraction of the channels of the stream that goes, from 0 to 1',
      between(0, 1),
    )
    .addOption(calibrateOption().makeOptionMandatory())
    .addOption(samplesOption())
    .option('--multiple <count>', 'keep a multiple of so many channels', atLeast(1), 8)
    .requiredOption('-o, --output <file>', 'ONNX file to write')
    .option('--force', 'replace the file if it exists')
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, flags: SliceFlags) => run(flags, (terminal) => sliceModel(terminal, model, flags)))

const sliceModel = async (
  terminal: Terminal,
  model: string,
  flags: SliceFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const { fraction, calibrate: source, samples, multiple, output } = flags
  if (resolve(output) === resolve(model)) {
    const help = 'Name another file.'
    return E.left(failure('UsageError', `--output ${output}`, 'a file other than the model', 'the model', help))
  }
  const free = await tryFiles([output], flags)
  if (E.isLeft(free)) return free
  const say = progressOn(terminal, flags.progress === true)
  say(`reading ${model}`)
  const read = await readModel(model)()
  if (E.isLeft(read)) return read
  say(`calibrating with ${source}`)
  const sliced = await sliceStream(read.right, source, {
    ...{ fraction, multiple },
    ...(samples === undefined ? {} : { samples }),
    onProgress: (seen) => say(`calibrating with ${source}: ${seen} samples`),
  })()
  if (E.isLeft(sliced)) return sliced
  say(`writing ${output}`)
  const written = await writeModel(output, sliced.right.graph, flags)
  if (E.isLeft(written)) return written
  const files = written.right.map(({ name, bytes }) => fileOf(name, bytes)).join(', ')
  const next = notWritten(flags, files) || `Wrote ${files}. Next: chasec compile ${output} -o FOLDER`
  const { values, left, samples: seen, runtime } = sliced.right
  const text = `${shown(sliced.right, terminal)}\n\n${next}`
  return E.right(
    done(text, { output, ...dryRunJson(flags), fraction, samples: seen, runtime, values, left, files: written.right }),
  )
}

const shown = ({ values, left }: Sliced, { style }: Terminal): string => {
  const rows = values.map(({ value, channels, kept, held }) => [
    value,
    String(channels),
    String(kept),
    formatPercent(held),
  ])
  const table = renderTable(
    [
      { title: 'value of the stream', fit: 'text' },
      { title: 'channels', align: 'right' },
      { title: 'kept', align: 'right' },
      { title: 'squares held', align: 'right' },
    ],
    rows,
    style,
  )
  const stay = left.map(({ value, reason }) => `${value} stays as it is: ${reason}.`)
  return [table, ...(stay.length === 0 ? [] : ['', ...stay])].join('\n')
}
