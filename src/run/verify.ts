/** Whether two models compute the same, found out by running both on the same inputs. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { acceptedSizes, atSizes } from './accept.ts'
import {
  compareOutput,
  defaultTolerances,
  judgeByNoise,
  judgeTail,
  type OutputDifference,
  type Tolerances,
  tolerancesThrough,
} from './compare.ts'
import { type RunError, runError } from './error.ts'
import { digestOf } from '../ir/digest.ts'
import { isFloat } from '../ir/dtype.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { elements } from '../ir/tensor.ts'
import {
  type Bindings,
  magnitudesOf,
  nudged,
  seededInputs,
  sizeChoices,
  type Sizes,
  type ValueRange,
} from './inputs.ts'
import type { OnProgress } from './progress.ts'
import {
  type GraphOptimizationLevel,
  graphOptimizationLevels,
  type Placement,
  type Provider,
  type RuntimeName,
  type ValueInfo,
} from './protocol.ts'
import { nameOf, withName } from './model-name.ts'
import { runnerChoices } from './runner-choices.ts'
import { type ModelHandle, type ModelSource, type Runner, type Tensors, withRunner } from './runner.ts'

export interface VerifyOptions {
  /** Where both models run; default `cpu`, whose float32 is the most exact. */
  readonly provider?: Provider | 'auto'
  /** Default: 1, 2 and 3. */
  readonly seeds?: ReadonlyArray<number>
  /** How many choices of sizes for open dimensions to verify; default 3. */
  readonly sizeCount?: number
  /** Sizes that the user fixes. */
  readonly bindings?: Bindings
  /** Inputs to use instead of seeded ones, each a case. */
  readonly inputs?: ReadonlyArray<Tensors>
  /** Factors on seeded float inputs, each another case; default: large and tiny ones that their types have room for. */
  readonly magnitudes?: ReadonlyArray<number>
  /** Largest relative difference that counts as equal: one number for all float types, or one per type. */
  readonly tolerance?: number | Partial<Tolerances>
  /** By output, a coarser float type than its own that its numbers pass through: they are no more exact than that. */
  readonly through?: ReadonlyMap<string, keyof Tolerances>
  readonly threads?: number
  /** The package to run with; default: onnxruntime-node where it loads, else onnxruntime-web. */
  readonly runtime?: RuntimeName
  /** Seconds that one load or run may take; default 300. */
  readonly timeoutSeconds?: number
  /** For both models; default: all that ONNX Runtime can. */
  readonly graphOptimizationLevel?: GraphOptimizationLevel
  /** For the reference alone: `disabled` runs it as it is written. */
  readonly referenceOptimizationLevel?: GraphOptimizationLevel
  readonly onProgress?: OnProgress
  /** Another worker; for tests. */
  readonly worker?: URL
}

const optionChoices: Readonly<Record<keyof VerifyOptions, Choice>> = {
  ...runnerChoices,
  seeds: 'any',
  sizeCount: 'any',
  bindings: 'any',
  inputs: 'any',
  magnitudes: 'any',
  tolerance: 'any',
  through: 'any',
  referenceOptimizationLevel: graphOptimizationLevels,
  onProgress: 'any',
}

/** Both models on one input. */
export interface CaseDifference {
  /** Undefined for inputs that the caller gave. */
  readonly seed?: number
  /** The factor on float inputs, where it is not 1. */
  readonly magnitude?: number
  readonly sizes: Sizes
  readonly outputs: ReadonlyArray<OutputDifference>
  readonly equal: boolean
  /** Every output of the reference is vacuous. */
  readonly vacuous: boolean
}

/**
 * What verification could not see of an output: it has no element, only zeros, no finite number, the same numbers for all
 * inputs tried, or nothing but the ends of a function's range.
 */
export interface Unseen {
  readonly output: string
  readonly why: 'empty' | 'zero' | 'not finite' | 'constant' | 'saturated'
}

export interface Difference {
  /** Every output of every case agrees. Look at `vacuous` too: equal nothings prove nothing. */
  readonly equal: boolean
  /** Nothing was seen of any output: in every case the reference gave the same, only zeros, or nothing finite. */
  readonly vacuous: boolean
  /** Outputs that were vacuous in every case. */
  readonly vacuousOutputs: ReadonlyArray<string>
  /** Outputs of which agreement proves little, and why. Of a saturated one the positions were compared, not the numbers. */
  readonly unseen: ReadonlyArray<Unseen>
  /** Magnitudes of the inputs at which the reference was not finite and nothing was compared. */
  readonly skipped: ReadonlyArray<number>
  readonly tolerance: Tolerances
  readonly provider: Provider
  /** Why that provider. */
  readonly why: string
  /** Where the nodes of each model ran. */
  readonly placement: { readonly reference: Placement; readonly candidate: Placement }
  /** The package and its version: `onnxruntime-node 1.30.0`, `onnxruntime-web 1.30.0 (WebAssembly)`. */
  readonly runtime: string
  /** How wide the values of the inputs ranged. */
  readonly range: ValueRange
  readonly cases: ReadonlyArray<CaseDifference>
  /** The output that is furthest from agreeing, and its case; undefined only without outputs. */
  readonly worst: { readonly case: number; readonly output: OutputDifference } | undefined
}

const showValue = (v: ValueInfo): string => `${v.name}: ${v.dtype}[${v.shape.map((d) => d ?? '?').join(', ')}]`

/**
 * Fixed sizes must agree; an open dimension agrees with anything, and rank 0 may mean that the rank is unknown. Of outputs
 * only name and type are looked at: exporters declare shapes that are wrong, and what is computed is compared anyway.
 */
const fits = (a: ValueInfo, b: ValueInfo, role: 'inputs' | 'outputs'): boolean => {
  if (a.name !== b.name || a.dtype !== b.dtype) return false
  if (role === 'outputs') return true
  if (a.shape.length !== b.shape.length) return a.shape.length === 0 || b.shape.length === 0
  return a.shape.every((d, axis) => {
    const e = b.shape[axis]
    return typeof d !== 'number' || typeof e !== 'number' || d === e
  })
}

/** Checks that names, order and types of the inputs and outputs agree, and ranks and fixed sizes of the inputs. */
const checkInterface = (reference: ModelHandle, candidate: ModelHandle): RunError | undefined => {
  for (const role of ['inputs', 'outputs'] as const) {
    const a = reference[role]
    const b = candidate[role]
    if (a.length === b.length && a.every((v, i) => fits(v, b[i] ?? v, role))) continue
    return runError(
      candidate.name,
      `the ${role} of ${reference.name} (${a.map(showValue).join('; ') || 'none'})`,
      b.map(showValue).join('; ') || 'none',
      'Compare models with the same inputs and outputs, in the same order.',
    )
  }
  return undefined
}

/** The candidate's fixed sizes where the reference leaves a dimension open. */
const unify = (reference: ReadonlyArray<ValueInfo>, candidate: ReadonlyArray<ValueInfo>): ReadonlyArray<ValueInfo> => {
  const fixed = new Map<string, number>()
  reference.forEach((input, i) => {
    input.shape.forEach((dim, axis) => {
      const other = candidate[i]?.shape[axis]
      if (typeof dim === 'string' && typeof other === 'number') fixed.set(dim, other)
    })
  })
  return reference.map((input, i) => ({
    ...input,
    shape: input.shape.map((dim, axis) => {
      const other = candidate[i]?.shape[axis]
      if (typeof dim === 'string') return fixed.get(dim) ?? dim
      return dim ?? (typeof other === 'number' ? other : null)
    }),
  }))
}

const tolerancesOf = (tolerance: VerifyOptions['tolerance']): E.Either<RunError, Tolerances> => {
  const wanted =
    typeof tolerance === 'number'
      ? { float32: tolerance, float16: tolerance, bfloat16: tolerance, float64: tolerance }
      : { ...defaultTolerances, ...tolerance }
  const bad = Object.values(wanted).find((x) => !(x >= 0 && x < 1))
  return bad === undefined
    ? E.right(wanted)
    : E.left(runError('tolerance', 'a number from 0 up to 1', String(bad), 'A tolerance of 1 could never fail.'))
}

const checkCounts = (options: VerifyOptions): RunError | undefined => {
  const { seeds, sizeCount, inputs } = options
  if (seeds?.length === 0) return runError('seeds', 'at least one', 'none', 'Leave them out for 1, 2 and 3.')
  if (inputs?.length === 0) return runError('inputs', 'at least one case', 'none', 'Leave them out for seeded inputs.')
  if (sizeCount !== undefined && !(Number.isInteger(sizeCount) && sizeCount >= 1)) {
    return runError('sizeCount', 'a whole number, 1 or more', String(sizeCount), 'Leave it out for 3.')
  }
  return undefined
}

const compareCase = (
  reference: Tensors,
  candidate: Tensors,
  tolerances: (output: string) => Tolerances,
): Pick<CaseDifference, 'outputs' | 'equal' | 'vacuous'> => {
  const outputs: OutputDifference[] = []
  for (const [name, tensor] of reference) {
    const other = candidate.get(name)
    if (other !== undefined) outputs.push(compareOutput(name, tensor, other, tolerances(name)))
  }
  return {
    outputs,
    equal: outputs.length === reference.size && outputs.every((o) => o.equal),
    vacuous: outputs.every((o) => o.vacuous),
  }
}

/** Orders outputs by how far they are from agreeing: disagreements first, then by the used-up share of the tolerance. */
const badness = (o: OutputDifference): readonly [number, number, number] => [
  o.equal ? 0 : 1,
  o.nonFinite,
  o.tolerance === 0 ? o.relative : o.relative / o.tolerance,
]

const worse = (a: OutputDifference, b: OutputDifference): boolean => {
  const x = badness(a)
  const y = badness(b)
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return (x[i] ?? 0) > (y[i] ?? 0)
  return false
}

/** What an output is made of in every case, by shape: one text for equal bytes. */
type Seen = Map<string, Map<string, Set<string>>>

const remember = (seen: Seen, outputs: Tensors): void => {
  for (const [name, { shape, bytes, strings }] of outputs) {
    const shapes = seen.get(name) ?? new Map<string, Set<string>>()
    const contents = shapes.get(shape.join()) ?? new Set<string>()
    contents.add([bytes, ...(strings ?? [])].map(digestOf).join())
    seen.set(name, shapes.set(shape.join(), contents))
  }
}

const whyUnseen = (
  outputs: ReadonlyArray<OutputDifference>,
  contents: ReadonlyMap<string, ReadonlySet<string>> | undefined,
): Unseen['why'] | undefined => {
  if (outputs.every((o) => o.shape.includes(0))) return 'empty'
  if (outputs.every((o) => o.vacuous)) return outputs.every((o) => o.finite === 0) ? 'not finite' : 'zero'
  // Two cases of one shape at least, or nothing can be said.
  const isConstant = outputs.length > (contents?.size ?? 0) && [...(contents ?? [])].every(([, set]) => set.size === 1)
  if (isConstant) return 'constant'
  return outputs.every((o) => o.vacuous || o.saturated === true) ? 'saturated' : undefined
}

const summarise = (
  cases: ReadonlyArray<CaseDifference>,
  seen: Seen,
): Pick<Difference, 'equal' | 'vacuous' | 'vacuousOutputs' | 'unseen' | 'worst'> => {
  let worst: Difference['worst']
  const byName = new Map<string, OutputDifference[]>()
  cases.forEach((one, index) => {
    for (const output of one.outputs) {
      byName.set(output.name, [...(byName.get(output.name) ?? []), output])
      if (worst === undefined || worse(output, worst.output)) worst = { case: index, output }
    }
  })
  const unseen = [...byName].flatMap(([output, list]): ReadonlyArray<Unseen> => {
    const why = whyUnseen(list, seen.get(output))
    return why === undefined ? [] : [{ output, why }]
  })
  return {
    equal: cases.length > 0 && cases.every((c) => c.equal),
    vacuous: unseen.filter(({ why }) => why !== 'saturated').length === byName.size,
    vacuousOutputs: [...byName].flatMap(([name, list]) => (list.every((o) => o.vacuous) ? [name] : [])),
    unseen,
    worst,
  }
}

interface Input {
  readonly seed?: number
  readonly magnitude?: number
  readonly sizes: Sizes
  readonly feeds: Tensors
  /** The reference's outputs where they are known already. */
  readonly outputs?: Tensors
}

/** All inputs to compare on: the caller's, or every accepted choice of sizes with every seed. */
const inputsFor = async (
  runner: Runner,
  reference: ModelHandle,
  candidate: ModelHandle,
  options: VerifyOptions,
): Promise<E.Either<RunError, { readonly range: ValueRange; readonly list: ReadonlyArray<Input> }>> => {
  if (options.inputs !== undefined) {
    return E.right({ range: 'wide', list: options.inputs.map((feeds) => ({ sizes: {}, feeds })) })
  }
  const seeds = options.seeds ?? [1, 2, 3]
  const inputs = unify(reference.inputs, candidate.inputs)
  const choices = sizeChoices(inputs, options.bindings)
  if (E.isLeft(choices)) return choices
  const wanted = options.sizeCount ?? 3
  let tried = 0
  const onTry = (note: string): void =>
    options.onProgress?.({ phase: 'sizes', done: tried++, total: choices.right.length, note })
  const model = { ...reference, inputs }
  const found = await acceptedSizes(runner, model, choices.right, seeds, wanted, onTry)
  if (E.isLeft(found)) return found
  const { range, accepted } = found.right
  const list: Input[] = accepted.flatMap(({ sizes, runs }) => runs.map((run) => ({ ...run, sizes })))
  const [first] = list
  for (const magnitude of first?.seed === undefined ? [] : (options.magnitudes ?? magnitudesOf(inputs))) {
    const feeds = seededInputs(inputs, first?.seed ?? 1, first?.sizes, range, magnitude)
    if (E.isLeft(feeds)) return feeds
    list.push({
      ...(first?.seed === undefined ? {} : { seed: first.seed }),
      magnitude,
      sizes: first?.sizes ?? {},
      feeds: feeds.right,
    })
  }
  return E.right({ range, list })
}

/** Numbers that are NaN or infinite. */
const countNonFinite = (tensors: Tensors): number => {
  let count = 0
  for (const tensor of tensors.values()) {
    if (!isFloat(tensor.dtype)) continue
    for (const x of elements(tensor)) if (!Number.isFinite(Number(x))) count += 1
  }
  return count
}

type Compared = Pick<CaseDifference, 'outputs' | 'equal' | 'vacuous'>

/** Ways in which inputs are moved by their last digit. */
const nudges = 6

/**
 * Judges differences above the tolerance by the reference's difference from itself ({@link judgeByNoise}): at another
 * optimisation level, in a session that is made at the first such difference only, and, for inputs of another magnitude,
 * where periodic functions and near ties are at the mercy of the last digit, with inputs moved by that digit.
 */
const noiseJudge = (
  runner: Runner,
  reference: ModelSource,
  loaded: ModelHandle,
  level: GraphOptimizationLevel | undefined,
  tolerances: (output: string) => Tolerances,
) => {
  const other = level === 'disabled' ? 'all' : 'disabled'
  const sessions: Array<E.Either<RunError, ModelHandle>> = []
  const judgeWith = async (
    compared: Compared,
    outputs: Tensors,
    feeds: Tensors,
    model: ModelHandle,
    when: NonNullable<OutputDifference['rounding']>['when'],
  ): Promise<E.Either<RunError, Compared>> => {
    const again = await runner.run(model, feeds)()
    if (E.isLeft(again)) return runner.alive() ? E.right(compared) : again
    const noise = new Map(compareCase(outputs, again.right, tolerances).outputs.map((o) => [o.name, o]))
    const judged = compared.outputs.map((o) => judgeByNoise(o, noise.get(o.name) ?? o, when))
    return E.right({ ...compared, outputs: judged, equal: judged.every((o) => o.equal) })
  }
  return async (plain: Compared, outputs: Tensors, input: Input): Promise<E.Either<RunError, Compared>> => {
    const judgedTails = plain.outputs.map(judgeTail)
    const compared = { ...plain, outputs: judgedTails, equal: judgedTails.every((o) => o.equal) }
    if (compared.equal) return E.right(compared)
    if (sessions.length === 0) sessions.push(await runner.load(reference, { graphOptimizationLevel: other })())
    const [session] = sessions
    let judged: E.Either<RunError, Compared> = E.right(compared)
    if (session !== undefined && E.isRight(session))
      judged = await judgeWith(compared, outputs, input.feeds, session.right, 'optimised otherwise')
    if (E.isLeft(judged) || judged.right.equal || input.magnitude === undefined) return judged
    // One sample of noise may be small by chance.
    for (let way = 0; way < nudges && E.isRight(judged) && !judged.right.equal; way++)
      judged = await judgeWith(judged.right, outputs, nudged(input.feeds, way), loaded, 'inputs are rounded otherwise')
    return judged
  }
}

const verifyWith = async (
  runner: Runner,
  reference: ModelSource,
  candidate: ModelSource,
  tolerance: Tolerances,
  options: VerifyOptions,
): Promise<E.Either<RunError, Difference>> => {
  const names = [nameOf(reference, 'the reference model'), nameOf(candidate, 'the candidate model')] as const
  const report = options.onProgress ?? (() => undefined)
  report({ phase: 'load', done: 0, total: 2, note: names[0] })
  const level = options.referenceOptimizationLevel
  const a = await runner.load(withName(reference, names[0]), level && { graphOptimizationLevel: level })()
  if (E.isLeft(a)) return a
  report({ phase: 'load', done: 1, total: 2, note: names[1] })
  const b = await runner.load(withName(candidate, names[1]))()
  if (E.isLeft(b)) return b
  const mismatch = checkInterface(a.right, b.right)
  if (mismatch !== undefined) return E.left(mismatch)

  const inputs = await inputsFor(runner, a.right, b.right, options)
  if (E.isLeft(inputs)) return inputs
  const { range, list } = inputs.right
  const cases: CaseDifference[] = []
  const toleranceOf = (output: string): Tolerances => tolerancesThrough(tolerance, options.through?.get(output))
  const judge = noiseJudge(
    runner,
    withName(reference, names[0]),
    a.right,
    level ?? options.graphOptimizationLevel,
    toleranceOf,
  )
  const seen: Seen = new Map()
  const skipped: number[] = []
  let usual: number | undefined
  for (const input of list) {
    const { seed, magnitude, sizes, feeds, outputs } = input
    const note =
      seed === undefined ? 'given inputs' : `seed ${seed}${magnitude === undefined ? '' : `, times ${magnitude}`}`
    report({ phase: 'verify', done: cases.length, total: list.length, note })
    const x = outputs === undefined ? await runner.run(a.right, feeds)() : E.right(outputs)
    if (E.isLeft(x)) {
      if (magnitude === undefined || !runner.alive()) return atSizes(x.left, sizes)
      skipped.push(magnitude)
      continue
    }
    // At another magnitude only what is finite says anything.
    usual ??= countNonFinite(x.right)
    if (magnitude !== undefined && countNonFinite(x.right) > usual) {
      skipped.push(magnitude)
      continue
    }
    const y = await runner.run(b.right, feeds)()
    if (E.isLeft(y)) {
      const ran = runner.alive() ? `a model that runs where ${names[0]} does` : y.left.expected
      return atSizes({ ...y.left, expected: ran }, sizes)
    }
    const compared = await judge(compareCase(x.right, y.right, toleranceOf), x.right, input)
    if (E.isLeft(compared)) return atSizes(compared.left, sizes)
    remember(seen, x.right)
    cases.push({
      ...(seed === undefined ? {} : { seed }),
      ...(magnitude === undefined ? {} : { magnitude }),
      sizes,
      ...compared.right,
    })
  }
  report({ phase: 'verify', done: list.length, total: list.length, note: 'done' })
  const { provider, why, runtime } = runner
  const placement = { reference: a.right.placement, candidate: b.right.placement }
  return E.right({ ...summarise(cases, seen), skipped, tolerance, provider, why, placement, runtime, range, cases })
}

/**
 * Runs both models on the same inputs and compares every output. Inputs are seeded (three seeds, up to three choices of
 * sizes for the dimensions the reference leaves open, and large and tiny floats where the reference stays finite) unless
 * the caller gives some. Integers, booleans and strings
 * must agree exactly, floats within {@link Tolerances} of the largest value, or where that is exceeded within a few times
 * what ONNX Runtime differs from itself, or the last digit of 0.5 where that is what the numbers are multiples of; NaN and infinities by
 * position.
 *
 * Errors: a model that is missing, does not load, crashes or hangs; inputs or outputs that differ in name, order or type; sizes that the reference refuses; a provider that does not work here. A difference is no error.
 */
export const verify = (
  reference: ModelSource,
  candidate: ModelSource,
  options: VerifyOptions = {},
): TE.TaskEither<RunError, Difference> => {
  const wrong = wrongOption('RunError', options, optionChoices) ?? checkCounts(options)
  if (wrong !== undefined) return TE.left(wrong)
  const tolerance = tolerancesOf(options.tolerance)
  if (E.isLeft(tolerance)) return TE.left(tolerance.left)
  const { provider, threads, runtime, timeoutSeconds, graphOptimizationLevel, worker } = options
  return withRunner(
    {
      tf32: false,
      ...(provider === undefined ? {} : { provider }),
      ...(threads === undefined ? {} : { threads }),
      ...(runtime === undefined ? {} : { runtime }),
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(graphOptimizationLevel === undefined ? {} : { graphOptimizationLevel }),
      ...(worker === undefined ? {} : { worker }),
    },
    (runner) => verifyWith(runner, reference, candidate, tolerance.right, options),
  )
}
