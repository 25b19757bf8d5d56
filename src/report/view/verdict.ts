/** What happened, and whether to trust it, in the first sentences of a report. */
import type { Results } from '../results.ts'
import type { TrainingReport } from '../training.ts'
import { speedSentence } from '../speeds.ts'
import { formatAccuracy, formatCount, formatError, formatRelativeChange, plural } from '../units.ts'
import { describeUnseen } from '../unseen.ts'
import { describeFloat16Error } from '../float16-error.ts'

export interface Verdict {
  /** `doubt`: nothing speaks against the result, but not enough for it. */
  readonly tone: 'good' | 'doubt' | 'bad'
  readonly happened: string
  readonly trust: string
  /** Where the network was trained here. */
  readonly accuracy?: string | undefined
  /** Where speed was measured. */
  readonly speed?: string
}

export const verdictOf = (name: string, results: Results): Verdict => {
  const [first, ...others] = results.measured?.speed ?? []
  const last = others
    .filter(({ runtime, provider }) => runtime === first?.runtime && provider === first.provider)
    .at(-1)
  return {
    ...withHalf(results, trustOf(results)),
    happened: happenedTo(name, results),
    accuracy: results.training && accuracyOf(results.training),
    ...(first === undefined || last === undefined
      ? {}
      : { speed: speedSentence({ ...last, name: 'It' }, { ...first, name: 'the masked model' }) }),
  }
}

/** Half precision is a step behind what was verified. */
const withHalf = (
  { report, float16Error }: Results,
  verdict: Pick<Verdict, 'tone' | 'trust'>,
): Pick<Verdict, 'tone' | 'trust'> => {
  if (report.float16 === undefined) return verdict
  const off = float16Error === undefined ? 'How far it is off was not measured.' : describeFloat16Error(float16Error)
  const tone = verdict.tone === 'good' && float16Error === undefined ? 'doubt' : verdict.tone
  return {
    tone,
    trust: `Before it was changed to half precision: ${verdict.trust} The model here is in half precision, which is lossy. ${off}`,
  }
}

const accuracyOf = ({ networks, test: { images } }: TrainingReport): string | undefined => {
  const of = (name: string): number | undefined => networks.find((network) => network.name === name)?.accuracy
  const [dense, compiled] = [of('dense'), of('compiled')]
  if (compiled === undefined) return undefined
  const beside =
    dense === undefined ? 'the dense network was not trained' : `the dense network ${formatAccuracy(dense)}`
  return `It puts ${formatAccuracy(compiled)} of ${images.toLocaleString('en-US')} test images into the right class; ${beside}.`
}

const happenedTo = (name: string, { report }: Results): string => {
  const { before, after } = report
  if (before.macs === after.macs && before.parameters === after.parameters) {
    return `Nothing could go from ${name}: it still needs ${formatCount(after.macs)} multiply-accumulates and ${formatCount(after.parameters)} parameters.`
  }
  const change = (of: 'macs' | 'parameters', noun: string): string => {
    const text = formatRelativeChange(before[of], after[of]).replace('-', '')
    const more = after[of] > before[of] ? 'more' : 'fewer'
    return before[of] === after[of]
      ? `as many ${noun} as before (${formatCount(after[of])})`
      : `${text.replace('+', '')} ${more} ${noun} (${formatCount(before[of])} → ${formatCount(after[of])})`
  }
  return `${name} now needs ${change('macs', 'multiply-accumulates')} and ${change('parameters', 'parameters')}.`
}

const trustOf = ({ verification: found, measured }: Results): Pick<Verdict, 'tone' | 'trust'> => {
  if (found === undefined) {
    return {
      tone: 'doubt',
      trust:
        'Not verified: the masked and the compiled model were not run against each other. Do that before you use it.',
    }
  }
  const doubts = describeUnseen(found.unseen ?? [])
  if (!found.equal) {
    return { tone: 'bad', trust: 'The compiled model differs from the masked one. Do not use it.' }
  }
  if (found.vacuous) {
    return {
      tone: 'doubt',
      trust: `Verified nothing: ${doubts || 'every output was empty or all zeros'}. Try it on inputs of your own before you use it.`,
    }
  }
  const error =
    measured?.relativeError === undefined ? '' : `, the largest difference ${formatError(measured.relativeError)}`
  const tried = `on all ${plural(found.cases.length, 'input')} tried in ${found.runtime} on ${found.provider}${error}`
  const doubt = doubts === '' ? '' : ` Not seen: ${doubts}.`
  return {
    tone: doubts === '' ? 'good' : 'doubt',
    trust: `The compiled model computes what the masked model computes: their outputs agree ${tried}.${doubt}`,
  }
}
