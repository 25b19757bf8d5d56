import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { encodeMasks, masksAlone } from '../../masks/files.ts'
import { encodePackedMasks } from '../../masks/packed/pack.ts'
import {
  draftMap,
  type DraftLine,
  type Matching,
  matchMasks,
  summariseMatching,
  weigh,
} from '../../masks/match/index.ts'
import { readModel } from '../../read/file.ts'
import { readMaskFiles } from '../../read/masks.ts'
import { renderMatching } from '../../report/terminal/match-table.ts'
import { formatBytes, plural } from '../../report/units.ts'
import {
  type CommonFlags,
  dryRunBeside,
  jsonOption,
  maskMapOption,
  progressOption,
  quietOption,
  weightsOption,
} from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { RunCommand } from '../run-command.ts'
import { existing, safetensorsFile } from '../wrong-argument.ts'
import { maskSources } from '../sources.ts'
import type { Terminal } from '../terminal.ts'
import { dryRunJson, fileOf, notWritten, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface MasksFlags extends CommonFlags, WriteFlags {
  readonly weights?: string
  readonly maskMap?: string
  readonly writeMap?: string
  readonly pack?: string
}

const examples = `
Examples:
  $ chasec masks resnet18.onnx masks.pt
      Lists which mask belongs to which weight of the model, how that was found, and which weights have no mask.

  $ chasec masks model.onnx masks.pt --weights checkpoint.pt
      Finds weights by their numbers, whatever the exporter called them.

  $ chasec masks model.onnx masks.npz --write-map map.yaml
  $ chasec compile model.onnx --masks masks.npz --mask-map map.yaml -o out
      Writes down where masks belong, to be looked over and given back; guesses are left out as comments.

  $ chasec masks model.onnx masks.pt --pack masks.safetensors
      Writes the masks again, packed: an eighth of the bytes, or far less where they are regular.

A name finds its weight as it is, less what frameworks add (module., _orig_mod., _mask, parametrizations), by the module
that the reading node comes from, by the numbers of the weight where they are given, and by shape where that leaves one
answer. What is not decided is refused; nothing is guessed. A model exported with its weights masked needs no masks:
chasec compile --masks zeros.`

export const masksCommand = (run: RunCommand): Command =>
  new Command('masks')
    .description(
      'Finds the weights of a model that the masks of a file belong to, and lists what matched what, and how.',
    )
    .argument('<model>', 'ONNX file', existing('a model'))
    .argument('<masks>', 'safetensors, npz, or a PyTorch checkpoint', existing('a file of masks'))
    .addOption(weightsOption())
    .addOption(maskMapOption())
    .option('--write-map <file>', 'write where masks belong as YAML, for --mask-map; guesses are comments')
    .option(
      '--pack <file>',
      'write the masks under the names of the model, each in the layout that takes fewest bytes: bits, diagonals, blocks, fan-in, N:M',
      safetensorsFile,
    )
    .option('--force', 'replace the file that is written if it exists')
    .addOption(dryRunBeside('--write-map', '--pack'))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addOption(progressOption())
    .addHelpText('after', examples)
    .action((model: string, masks: string, flags: MasksFlags) =>
      run(flags, (terminal) => showMasks(terminal, model, masks, flags)),
    )

const showMasks = async (
  terminal: Terminal,
  model: string,
  masks: string,
  flags: MasksFlags,
): Promise<E.Either<Failure, Outcome>> => {
  if (flags.writeMap !== undefined && flags.pack !== undefined) {
    const help = 'Give one of the two.'
    return E.left(failure('UsageError', '--pack', 'no --write-map beside it', `--write-map ${flags.writeMap}`, help))
  }
  const say = progressOn(terminal, flags.progress === true)
  say(`reading ${model}`)
  const graph = await readModel(model)()
  if (E.isLeft(graph)) return graph
  say(`reading masks ${masks}`)
  const files = await readMaskFiles(masks, maskSources(flags))()
  if (E.isLeft(files)) return files
  const { contents, options } = files.right
  say('matching')
  if (flags.writeMap !== undefined) {
    const lines = draftMap(weigh(contents.entries, graph.right, options))
    const map = new TextEncoder().encode(printMap(lines, masks, model))
    const written = await writeFileWhole(flags.writeMap, [map], flags)
    if (E.isLeft(written)) return written
    const open = lines.filter(({ comment, entry }) => comment !== '' && entry !== undefined).length
    const next = `Next: chasec compile ${model} --masks ${masks} --mask-map ${flags.writeMap} -o FOLDER`
    const look = open === 0 ? '' : `, ${open} of them to look over`
    const content = `${plural(lines.length, 'mask')}${look}`
    const text =
      notWritten(flags, `${fileOf(flags.writeMap, written.right)} with ${content}`) ||
      `${flags.writeMap} has ${content}.\n${next}`
    return E.right(done(text, { output: flags.writeMap, ...dryRunJson(flags), lines }))
  }
  const matching = matchMasks(contents.entries, graph.right, options)
  if (E.isLeft(matching)) return matching
  if (flags.pack !== undefined) return packed(matching.right, graph.right, flags.pack, flags)
  const summary = summariseMatching({ ...matching.right, notes: [...contents.notes, ...matching.right.notes] })
  return E.right(done(renderMatching(summary, terminal.style), summary))
}

/** Writes the masks that were found, packed. */
const packed = async (
  matching: Matching,
  graph: Graph,
  path: string,
  flags: MasksFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const masks = masksAlone(matching, graph)
  if (E.isLeft(masks)) return masks
  const whole = encodeMasks(masks.right).reduce((sum, { byteLength }) => sum + byteLength, 0)
  const written = await writeFileWhole(path, encodePackedMasks(masks.right), flags)
  if (E.isLeft(written)) return written
  const text =
    notWritten(flags, fileOf(path, written.right)) ||
    `${fileOf(path, written.right)} has ${plural(masks.right.size, 'mask')}, which take ${formatBytes(whole)} unpacked.`
  return E.right(done(text, { output: path, ...dryRunJson(flags), bytes: written.right, unpacked: whole }))
}

/** YAML, with what is to be looked over as comments. Every scalar is JSON, which YAML includes. */
const printMap = (lines: ReadonlyArray<DraftLine>, masks: string, model: string): string => {
  const out = [
    `# Where the masks of ${masks} belong in ${model}. What is not certain is left out after a #: correct it, and take the # away.`,
  ]
  for (const { mask, entry, comment } of lines) {
    if (comment !== '') out.push(`# ${mask}: ${comment}`)
    if (entry !== undefined) out.push(`${comment === '' ? '' : '# '}${JSON.stringify(mask)}: ${JSON.stringify(entry)}`)
  }
  return `${out.join('\n')}\n`
}
