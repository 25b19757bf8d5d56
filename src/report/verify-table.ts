/** The outcome of a verification for a terminal. */
import type { Difference } from '../run/verify.ts'
import type { OutputDifference } from '../run/compare.ts'
import type { Style } from './style.ts'
import { renderTable, shorten } from './table.ts'
import { describeSizes } from './totals.ts'
import { formatError, formatPercent, plural } from './units.ts'

/** One line: whether the models agree, how far they lie apart, on what was tried. */
export const summariseDifference = (difference: Difference, style: Style): string => {
  const { equal, vacuous, cases, worst, runtime, provider } = difference
  const tried = `${plural(cases.length, 'case')}, ${runtime} on ${provider}`
  const error = worst === undefined ? '' : `max relative error ${formatError(worst.output.relative)}, `
  const verdict = equal ? style.green('verified') : style.red('different')
  const doubt = vacuous ? ` ${style.yellow('Every output was empty or all zeros, so this proves little.')}` : ''
  return `${verdict}: ${error}${tried}.${doubt}`
}

/** One row for each output: the case in which it lies furthest apart. */
export const renderDifference = (difference: Difference, style: Style): string => {
  const worst = new Map<string, { readonly output: OutputDifference; readonly where: string }>()
  for (const { seed, sizes, outputs } of difference.cases) {
    const where = [seed === undefined ? '' : `seed ${seed}`, describeSizes(sizes)].filter((s) => s !== '').join(', ')
    for (const output of outputs) {
      const known = worst.get(output.name)
      if (known === undefined || isWorse(output, known.output)) worst.set(output.name, { output, where })
    }
  }
  const rows = [...worst.values()].map(({ output: o, where }) => [
    o.equal ? style.green('equal') : style.red('different'),
    shorten(o.name, 40),
    `${o.dtype}[${o.shape.join(',')}]`,
    formatError(o.relative),
    formatError(o.tolerance),
    formatError(o.maxAbs),
    o.argmaxAgreement === undefined ? '' : formatPercent(o.argmaxAgreement),
    [o.note, o.vacuous ? 'all zeros' : undefined, o.nonFinite > 0 ? `${o.nonFinite} not finite` : undefined, where]
      .filter((part) => part !== undefined && part !== '')
      .join('; '),
  ])
  return renderTable(
    [
      { title: '' },
      { title: 'output' },
      { title: 'type' },
      { title: 'relative', align: 'right' },
      { title: 'allowed', align: 'right' },
      { title: 'absolute', align: 'right' },
      { title: 'same argmax', align: 'right' },
      { title: 'worst at' },
    ],
    rows,
    style,
  )
}

const isWorse = (a: OutputDifference, b: OutputDifference): boolean =>
  a.equal === b.equal ? a.nonFinite > b.nonFinite || a.relative > b.relative : !a.equal
