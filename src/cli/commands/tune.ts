import { Command, Option } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { cpus, loadavg } from 'node:os'
import { dirname } from 'node:path'
import { printCosts } from '../../cost/read.ts'
import { type WriteError, writeError } from '../../disk/error.ts'
import { makeFolders, systemCode } from '../../disk/file-system.ts'
import { tryFolders } from '../../disk/writable.ts'
import type { Failure } from '../../ir/failure.ts'
import { systemReason } from '../../ir/system-reason.ts'
import { errorsOf, measureLayers, tableOf } from '../../package/tune.ts'
import { formatPercent } from '../../report/units.ts'
import { costsFile } from '../costs.ts'
import { atLeast, type CommonFlags, dryRunOption, jsonOption, progressOption, quietOption } from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'
import { dryRunJson, fileOf, notWritten, tryFiles, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface TuneFlags extends CommonFlags, WriteFlags {
  readonly output?: string
  readonly layers: number
}

const examples = `
Examples:
  $ chasec tune
      Measures about a thousand layers on this machine, which takes a minute or two, and keeps what they take.

  $ chasec compile model.onnx --masks masks.safetensors -o out --costs measured
      Chooses widths that this machine runs fast.

  $ chasec tune -o server.json
  $ chasec compile model.onnx --masks masks.safetensors -o out --costs server.json
      The same for a machine that is not the one that compiles.

Times are those of ONNX Runtime's CPU provider on one thread, by its profile (onnxruntime-node). Leave the machine alone
meanwhile: what others do is measured too.`

export const tuneCommand = (run: RunCommand): Command =>
  new Command('tune')
    .description('Measures what layers take on this machine, for widths that it runs fast.')
    .addOption(new Option('-o, --output <file>', 'where the table goes (default: $XDG_CACHE_HOME/chasec/costs.json)'))
    .addOption(new Option('--layers <count>', 'layers that are measured').argParser(atLeast(100)).default(900))
    .option('--force', 'replace the file of -o if it exists')
    .addOption(dryRunOption())
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((flags: TuneFlags) => run(flags, (terminal) => tune(terminal, flags)))

/** Makes the folder of the cache, or looks whether it could be made. */
const tryCache = async (file: string, flags: WriteFlags): Promise<E.Either<WriteError, undefined>> => {
  const folder = dirname(file)
  try {
    if (flags.dryRun === undefined) await makeFolders(folder)
    await tryFolders(folder)
    return E.right(undefined)
  } catch (thrown) {
    if (systemCode(thrown) === '') throw thrown
    const help = 'Set XDG_CACHE_HOME to a folder that can be written, or name a file with --output.'
    return E.left(writeError(folder, 'a folder that can be made and written', systemReason(thrown), help))
  }
}

/** Layers that the table is tried on: one for so many that it is made of. */
const perTrial = 5

const tune = async (terminal: Terminal, flags: TuneFlags): Promise<E.Either<Failure, Outcome>> => {
  const output = flags.output ?? costsFile(terminal.environment)
  // What this machine was measured as before is out of date.
  const replacing = { ...flags, force: flags.output === undefined || flags.force === true }
  const free = await (flags.output === undefined ? tryCache(output, flags) : tryFiles([output], flags))
  if (E.isLeft(free)) return free
  const say = progressOn(terminal, flags.progress === true)
  const onProgress = (count: number, all: number): void => {
    if (count % 100 === 0) say(`measured ${count} of ${all} layers`)
  }
  const measured = await measureLayers({ layers: flags.layers, seed: 1, onProgress })()
  if (E.isLeft(measured)) return measured
  const trial = await measureLayers({ layers: Math.ceil(flags.layers / perTrial), seed: 2 })()
  if (E.isLeft(trial)) return trial
  const [processor] = cpus()
  const [load = 0] = loadavg()
  const about = `${processor?.model.trim() ?? 'an unknown processor'}, one thread, load ${load.toFixed(1)}`
  const table = tableOf(about, measured.right.block, 1, measured.right.layers)
  const errors = errorsOf(table, trial.right.layers).toSorted((a, b) => a - b)
  const at = (share: number): number => errors[Math.min(errors.length - 1, Math.floor(share * errors.length))] ?? NaN
  const [median, worstTenth] = [at(0.5), at(0.9)]
  const json = new TextEncoder().encode(printCosts(table))
  // The folder of the cache is not there yet in a dry run, perhaps.
  const isTried = flags.output === undefined && flags.dryRun === true
  const written = isTried ? E.right(json.byteLength) : await writeFileWhole(output, [json], replacing)
  if (E.isLeft(written)) return written
  const text = [
    `${about}: ${Object.keys(table.kernels).length} kernels, channels in blocks of ${table.block}`,
    `${errors.length} layers that it is not made of are predicted ${formatPercent(median)} off (median), the worst tenth ${formatPercent(worstTenth)} and more.`,
    flags.dryRun === undefined
      ? `Wrote ${fileOf(output, written.right)}.`
      : notWritten(flags, fileOf(output, written.right)),
  ]
  const facts = { output, about, block: table.block, layers: flags.layers, median, worstTenth }
  return E.right(done(text.join('\n'), { ...facts, ...dryRunJson(flags) }))
}
