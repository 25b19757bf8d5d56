import { resolve } from 'node:path'
import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure, together } from '../../ir/failure.ts'
import { type ComparedRun, differencesOf, namesOf, runJson } from '../../report/comparison.ts'
import { renderComparison } from '../../report/comparison-page.tsx'
import { renderRuns } from '../../report/terminal/comparison-table.ts'
import { readRun } from '../compare/read-run.ts'
import { type CommonFlags, dryRunBeside, jsonOption, quietOption } from '../flags.ts'
import { done, type Outcome } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'
import { dryRunJson, fileOf, notWritten, type WriteFlags, writeFileWhole } from '../write-file.ts'

interface CompareFlags extends CommonFlags, WriteFlags {
  readonly output?: string
}

const examples = `
Examples:
  $ chasec compare run-chase run-rigl -o compared.html
      Accuracy, density, size and speed of two runs, what their recipes differ in, and their curves over one another.

  $ chasec compare run run/dense
      A run beside the dense network that it trained to compare with (chasec train --dense).

Runs that are going on, or were stopped, are shown as far as they are.`

export const compareCommand = (run: RunCommand): Command =>
  new Command('compare')
    .description('Puts training runs beside each other: what they came to, how training went, in what they differ.')
    .argument('<runs...>', 'folders that chasec train -o has made')
    .option('-o, --output <file>', 'also write a page of HTML with the curves')
    .option('--force', 'replace the page if it exists')
    .addOption(dryRunBeside('--output'))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText('after', examples)
    .action((folders: ReadonlyArray<string>, flags: CompareFlags) =>
      run(flags, (terminal) => compareRuns(terminal, folders, flags)),
    )

const compareRuns = async (
  { style }: Terminal,
  folders: ReadonlyArray<string>,
  flags: CompareFlags,
): Promise<E.Either<Failure, Outcome>> => {
  const found = await readRuns(folders)
  if (E.isLeft(found)) return found
  const runs = found.right
  const { output } = flags
  const closing: string[] = []
  if (output !== undefined) {
    const page = new TextEncoder().encode(renderComparison(runs))
    const written = await writeFileWhole(output, [page], flags)
    if (E.isLeft(written)) return written
    closing.push(notWritten(flags, fileOf(output, written.right)) || `The curves are in ${style.bold(output)}.`)
  }
  const text = [renderRuns(runs, style), ...closing]
  return E.right(
    done(text.join('\n\n'), {
      output: output ?? null,
      ...dryRunJson(flags),
      runs: runs.map(runJson),
      differences: differencesOf(runs),
    }),
  )
}

/** All runs; everything that is wrong with any of the folders is one failure. */
const readRuns = async (folders: ReadonlyArray<string>): Promise<E.Either<Failure, ReadonlyArray<ComparedRun>>> => {
  const twice = folders.find((folder, i) => folders.findIndex((other) => resolve(other) === resolve(folder)) !== i)
  if (twice !== undefined) {
    return E.left(failure('UsageError', `folder ${twice}`, 'each run once', 'the same one twice', 'Leave it out once.'))
  }
  const names = namesOf(folders)
  const runs: ComparedRun[] = []
  const problems: Failure[] = []
  for (const [i, folder] of folders.entries()) {
    const read = await readRun(folder)
    if (E.isLeft(read)) problems.push(read.left)
    else runs.push({ name: names[i] ?? folder, ...read.right })
  }
  const [first, ...others] = problems
  if (first === undefined) return E.right(runs)
  const whole = failure('UsageError', 'runs', 'folders of training runs', `${problems.length} that are not`, '')
  return E.left(together(first, others, whole))
}
