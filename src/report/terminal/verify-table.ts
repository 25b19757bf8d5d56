/** The outcome of a verification for a terminal. */
import type { CaseDifference, Difference } from '../../run/verify.ts'
import type { OutputDifference } from '../../run/compare.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { shorten } from './width.ts'
import { describeSizes } from '../totals.ts'
import { describeUnseen, unseenReasons } from '../unseen.ts'
import { formatError, formatPercent, plural } from '../units.ts'

const shortName = (output: string): string => shorten(output, 40)

/** Whether the models agree, how far they lie apart, on what was tried; and what could not be seen. */
export const summariseDifference = (difference: Difference, style: Style): string => {
  const { equal, vacuous, cases, unseen, runtime, provider } = difference
  const tried = `${plural(cases.length, 'case')}, ${runtime} on ${provider}`
  const doubts = describeUnseen(unseen, shortName)
  if (equal && vacuous) return `${style.yellow(`verified nothing: ${doubts || 'there is no output'}`)} (${tried}).`
  const verdict = equal ? style.green('verified') : style.red('different')
  const doubt = doubts === '' ? '' : ` ${style.yellow(`Not seen: ${doubts}.`)}`
  return `${verdict}: ${describeWorst(difference)}${tried}.${describeSkipped(difference)}${doubt}`
}

/** The largest relative difference; where it is more than the tolerance and counts as equal, why it does. */
const describeWorst = ({ worst, cases }: Difference): string => {
  if (worst === undefined) return ''
  const { output } = worst
  const figure = `max relative error ${formatError(output.relative)}`
  if (!output.equal || output.rounding === undefined) return `${figure}, `
  const when = [caseName(cases[worst.case]), output.note].filter((part) => part !== '').join(': ')
  const within = cases.filter(({ outputs }) => outputs.every((o) => o.rounding === undefined)).length
  return `${figure} in ${output.name} (${when}), ${within} of ${cases.length} within ${formatError(output.tolerance)}, `
}

const describeSkipped = ({ skipped }: Difference): string =>
  skipped.length === 0
    ? ''
    : ` With inputs ${skipped.map((m) => m.toExponential()).join(' and ')} times as large the masked model is not finite.`

/** The input of a case: seed, magnitude and sizes. */
const caseName = (one: CaseDifference | undefined): string => {
  if (one === undefined) return ''
  const { seed, magnitude, sizes } = one
  const parts = [
    seed === undefined ? '' : `seed ${seed}`,
    magnitude === undefined ? '' : `inputs times ${magnitude.toExponential()}`,
    describeSizes(sizes),
  ]
  return parts.filter((part) => part !== '').join(', ')
}

/** One row for each output: the case in which it lies furthest apart. */
export const renderDifference = (difference: Difference, style: Style): string => {
  const worst = new Map<string, { readonly output: OutputDifference; readonly where: string }>()
  const doubts = new Map(difference.unseen.map(({ output, why }) => [output, unseenReasons[why]]))
  for (const one of difference.cases) {
    const where = caseName(one)
    for (const output of one.outputs) {
      const known = worst.get(output.name)
      if (known === undefined || isWorse(output, known.output)) worst.set(output.name, { output, where })
    }
  }
  const rows = [...worst.values()].map(({ output: o, where }) => [
    o.equal ? style.green('equal') : style.red('different'),
    o.name,
    `${o.dtype}[${o.shape.join(',')}]`,
    formatError(o.relative),
    formatError(o.tolerance),
    formatError(o.maxAbs),
    o.argmaxAgreement === undefined ? '' : formatPercent(o.argmaxAgreement),
    [o.note, doubts.get(o.name), o.nonFinite > 0 ? `${o.nonFinite} not finite` : undefined, where]
      .filter((part) => part !== undefined && part !== '')
      .join('; '),
  ])
  return renderTable(
    [
      { title: '' },
      { title: 'output', fit: 'name' },
      { title: 'type', spare: 4 },
      { title: 'relative', align: 'right' },
      { title: 'allowed', align: 'right', spare: 1 },
      { title: 'absolute', align: 'right', spare: 3 },
      { title: 'same argmax', align: 'right', spare: 2 },
      { title: 'worst at', fit: 'text', spare: 5 },
    ],
    rows,
    style,
  )
}

const isWorse = (a: OutputDifference, b: OutputDifference): boolean =>
  a.equal === b.equal ? a.nonFinite > b.nonFinite || a.relative > b.relative : !a.equal
