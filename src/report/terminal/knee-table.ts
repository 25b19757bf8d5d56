/** What is left of a model at rising sparsity, for a terminal. */
import type { SparsityCurve, CurvePoint } from '../knee.ts'
import { formatError, formatPercent, plural } from '../units.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'

const share = (part: number | undefined): string => (part === undefined ? '' : formatPercent(part))

/** What is lost, as a bar of as many eighths of characters. */
const barOf = ({ lost }: CurvePoint): string => '#'.repeat(Math.round(20 * Math.min(1, Math.max(0, lost))))

export const renderKnee = (curve: SparsityCurve, style: Style): string => {
  const { points, essential, knee, tolerance, by, samples, accuracy } = curve
  const table = renderTable(
    [
      { title: 'masked', align: 'right' },
      { title: 'accuracy', align: 'right' },
      { title: 'answers kept', align: 'right' },
      { title: 'outputs off by', align: 'right' },
      { title: 'lost', spare: 1 },
    ],
    points.map((point) => [
      formatPercent(point.masked),
      share(point.accuracy),
      share(point.agreement),
      Number.isFinite(point.error) ? formatError(point.error) : 'no numbers',
      barOf(point),
    ]),
    style,
  )
  const [first] = points
  const what = { accuracy: 'of the accuracy', agreement: 'of the answers', error: 'of the outputs' }[by]
  const limit = `no more than ${formatPercent(tolerance)} ${what} ${by === 'error' ? 'off' : 'lost'}, on ${plural(samples, 'sample')}`
  const found =
    essential === undefined
      ? style.yellow(`Essential sparsity: below ${share(first?.level)} (${limit}).`)
      : `Essential sparsity: ${formatPercent(essential)} (${limit}).`
  const dense = accuracy === undefined ? '' : ` The dense model has an accuracy of ${formatPercent(accuracy)}.`
  const breaks = knee === undefined ? '' : ` It breaks behind ${formatPercent(knee)}.`
  return `${table}\n\n${found}${breaks}${dense}`
}
