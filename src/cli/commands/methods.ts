import { Argument, Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { renderTable } from '../../report/terminal/table.ts'
import type { Style } from '../../report/terminal/style.ts'
import { type Described, describeMethods } from '../../train/recipe/describe-methods.ts'
import { methodNames } from '../../train/recipe/index.ts'
import { type CommonFlags, jsonOption, quietOption } from '../flags.ts'
import { done } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'

const examples = `
Examples:
  $ chasec methods
      All of them, with the papers that they come from.

  $ chasec methods chase
      What a recipe can say of one, what that may be, and what it is where nothing is said.

Every one of them is named by --method of chasec train, or by "method" in a recipe.`

export const methodsCommand = (run: RunCommand): Command =>
  new Command('methods')
    .description('Lists the ways to train sparsely, with their papers, or what one of them can be told.')
    .addArgument(new Argument('[method]', 'the one to tell about').choices(methodNames))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText('after', examples)
    .action((name: string | undefined, flags: CommonFlags) =>
      run(flags, ({ style }) => {
        const found = describeMethods().filter((method) => name === undefined || method.name === name)
        const text = name === undefined ? renderList(found, style) : found.map((one) => renderOne(one, style)).join('')
        return Promise.resolve(E.right(done(text, found)))
      }),
    )

const renderList = (found: ReadonlyArray<Described>, style: Style): string =>
  renderTable(
    [{ title: 'method' }, { title: 'what it does', fit: 'text' }, { title: 'arXiv' }],
    found.map(({ name, about, source }) => [name, about, source?.arxiv ?? '']),
    style,
  )

const renderOne = ({ name, about, source, entries }: Described, style: Style): string => {
  const lines = [`${style.bold(name)}: ${about}`]
  if (source !== null) lines.push(`${source.paper}, https://arxiv.org/abs/${source.arxiv}`)
  if (source?.code !== undefined) lines.push(`Code: https://github.com/${source.code}`)
  const rows = entries.map((entry) => [entry.key, entry.about, entry.may, entry.absent])
  const table = renderTable(
    [
      { title: 'entry' },
      { title: 'what it is', fit: 'text' },
      { title: 'what it may be', fit: 'text' },
      { title: 'else' },
    ],
    rows,
    style,
  )
  return [lines.join('\n'), ...(table === '' ? [] : [table])].join('\n\n')
}
