/** What half precision changed in a model, and by how much its outputs differ from it, for people and machines. */
import type { Float16Report } from '../passes/float16/report.ts'
import type { OutputDifference } from '../run/compare.ts'
import type { Difference } from '../run/verify.ts'
import { formatBytes, formatError, formatPercent, plural } from './units.ts'

/** An output of the model in half precision against the same of the compiled model, the worst over all inputs. */
export interface Float16OutputError {
  readonly output: string
  /** Largest difference. */
  readonly absolute: number
  /** The same, divided by the largest number of the output. */
  readonly relative: number
  /** Positions where one of the two has no finite number and the other does not hold the same, of all inputs. */
  readonly nonFinite: number
  /** Share of the rows of an output of rank 2 of which the largest element (the class) is the same, over all inputs. */
  readonly sameArgmax?: number
  /** Share of the elements that differ, where the output is of integers, booleans or text: the largest. */
  readonly differing?: number
}

/** Errors are rounded to two digits. */
export interface Float16Error {
  readonly runtime: string
  readonly provider: string
  /** Inputs that both models were run on, and whether these were given or random. */
  readonly cases: number
  readonly inputs: 'given' | 'random'
  readonly outputs: ReadonlyArray<Float16OutputError>
}

const rounded = (x: number): number => Number(x.toPrecision(2))

const most = (list: ReadonlyArray<OutputDifference>, of: (one: OutputDifference) => number): number =>
  list.reduce((largest, one) => Math.max(largest, of(one)), 0)

const ofOutput = (output: string, list: ReadonlyArray<OutputDifference>): Float16OutputError => {
  const differing = list.flatMap((one) => one.differing ?? [])
  let [rows, same] = [0, 0]
  for (const { shape, argmaxAgreement } of list) {
    if (shape.length !== 2 || argmaxAgreement === undefined) continue
    rows += shape[0] ?? 0
    same += argmaxAgreement * (shape[0] ?? 0)
  }
  return {
    output,
    absolute: rounded(most(list, ({ maxAbs }) => maxAbs)),
    relative: rounded(most(list, ({ relative }) => relative)),
    nonFinite: list.reduce((sum, { nonFinite }) => sum + nonFinite, 0),
    ...(rows === 0 ? {} : { sameArgmax: rounded(same / rows) }),
    ...(differing.length === 0 ? {} : { differing: rounded(Math.max(...differing)) }),
  }
}

/** The larger one of several differences from the same model on the same inputs. */
export const recordFloat16Error = (differences: ReadonlyArray<Difference>): Float16Error => {
  const outputs = new Map<string, OutputDifference[][]>()
  differences.forEach(({ cases }, k) => {
    for (const one of cases) {
      for (const output of one.outputs) {
        const lists = outputs.get(output.name) ?? differences.map((): OutputDifference[] => [])
        lists[k]?.push(output)
        outputs.set(output.name, lists)
      }
    }
  })
  const [first] = differences
  const cases = first?.cases ?? []
  return {
    runtime: first?.runtime ?? '',
    provider: first?.provider ?? 'cpu',
    cases: cases.length,
    inputs: cases.some(({ seed }) => seed !== undefined) ? 'random' : 'given',
    outputs: [...outputs].map(([name, lists]) => lists.map((list) => ofOutput(name, list)).reduce(larger)),
  }
}

const larger = (a: Float16OutputError, b: Float16OutputError): Float16OutputError => ({
  output: a.output,
  absolute: Math.max(a.absolute, b.absolute),
  relative: Math.max(a.relative, b.relative),
  nonFinite: Math.max(a.nonFinite, b.nonFinite),
  ...(a.sameArgmax === undefined || b.sameArgmax === undefined
    ? {}
    : { sameArgmax: Math.min(a.sameArgmax, b.sameArgmax) }),
  ...(a.differing === undefined || b.differing === undefined ? {} : { differing: Math.max(a.differing, b.differing) }),
})

/** The output that is furthest off. */
export const worstOutput = ({ outputs }: Float16Error): Float16OutputError | undefined =>
  outputs.reduce<Float16OutputError | undefined>(
    (worst, one) =>
      worst === undefined ||
      one.nonFinite > worst.nonFinite ||
      (one.nonFinite === worst.nonFinite && one.relative > worst.relative)
        ? one
        : worst,
    undefined,
  )

/** What was lost, as one sentence: `Half precision: ...`. */
export const describeFloat16Error = (error: Float16Error): string => {
  const worst = worstOutput(error)
  const tried = `on ${plural(error.cases, error.inputs === 'given' ? 'given input' : 'random input')}, ${error.runtime} on ${error.provider}`
  if (worst === undefined) return `Nothing could be compared ${tried}.`
  if (worst.nonFinite > 0)
    return `${worst.output} is not finite where it was, at ${plural(worst.nonFinite, 'place')} ${tried}.`
  const argmax = worst.sameArgmax === undefined ? '' : `, the same argmax in ${formatPercent(worst.sameArgmax)}`
  return `Outputs differ from the compiled model's by up to ${formatError(worst.relative)} of the largest (${formatError(worst.absolute)}, in ${worst.output})${argmax}, ${tried}.`
}

/** What half precision made of the model, as sentences. */
export const describeFloat16 = ({ nodes, casts, bytes, keepsIoTypes, clamped, clampedTo }: Float16Report): string => {
  const parts = [
    `${plural(nodes.float16, 'node')} in float16, ${nodes.float32} in float32, ${plural(casts, 'conversion')} between`,
    `constants ${formatBytes(bytes.before)} → ${formatBytes(bytes.after)}`,
    `inputs and outputs ${keepsIoTypes ? 'as they were' : 'in float16'}`,
  ]
  const elements = clamped.reduce((sum, one) => sum + one.elements, 0)
  const clamping =
    elements === 0
      ? ''
      : ` Beyond half precision and clamped to ±${clampedTo}: ${plural(elements, 'number')} of ${plural(clamped.length, 'constant')}.`
  return `${parts.join('; ')}.${clamping}`
}

/** Nodes that stay in float32, those of one operator and one reason together. */
export const keptInFloat32 = ({
  kept,
}: Float16Report): ReadonlyArray<{
  readonly op: string
  readonly nodes: ReadonlyArray<string>
  readonly reason: string
}> => {
  const groups = new Map<string, { readonly op: string; readonly nodes: string[]; readonly reason: string }>()
  for (const { node, reason } of kept) {
    const [op = ''] = node.split(' ')
    const group = groups.get(`${op} ${reason}`)
    if (group === undefined) groups.set(`${op} ${reason}`, { op, nodes: [node], reason })
    else group.nodes.push(node)
  }
  return [...groups.values()]
}
