/**
 * Masked against compiled programs. What must hold of every output element:
 *
 * 1. where the masked model is finite, the compiled one is;
 * 2. it moves by no more than the rounding of the masked model itself moves its channel (`noise.ts`).
 */
import * as fc from 'fast-check'
import type { CostTable } from '../../src/cost/table.ts'
import { cpuOf16 } from '../../src/cost/tables/cpu-16.ts'
import { cpuOf8 } from '../../src/cost/tables/cpu-8.ts'
import { lower } from '../../src/export/lower.ts'
import { producersOf } from '../../src/ir/analysis.ts'
import { type Graph, makeGraph } from '../../src/ir/graph.ts'
import { growthLimit, precisionOf } from '../../src/ir/numerics.ts'
import type { Target } from '../../src/passes/target.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { elements } from '../../src/ir/tensor.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { runPipeline } from '../../src/passes/pass.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { compile, type CompileOptions } from '../../src/passes/compile.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { uniforms } from '../inflate.ts'
import { compileValid, orThrow } from './differential.ts'
import { engineFor, feedsOf } from './engines.ts'
import { throughFunctions } from './functions.ts'
import { type MaskKind, maskKinds, randomMasks } from './masks.ts'
import { channelIndex, deviations, largestTerm, meetsInfinity, type Values } from './noise.ts'
import { type FloatType, ulp } from './numbers.ts'
import { buildProgram, type Program, programsOf, sizesOf } from './program.ts'

export interface ProgramCase {
  readonly program: Program
  readonly kind: MaskKind
  readonly target: Target
  /** Decimal exponent of the inputs. */
  readonly magnitude: number
}

/** Exponents that a type has room for; ordinary inputs are the most frequent ones. */
const magnitudes: Readonly<Record<FloatType, readonly [number, ...number[]]>> = {
  float32: [0, 0, 0, -3, 3, -30, 12],
  bfloat16: [0, 0, 0, -3, 3, -30, 12],
  float16: [0, 0, 0, -3, 2, -5, 3],
  float64: [0, 0, 0, -3, 3, -200, 100],
}

/** Names of builders of steps: those that are left out, and those that all steps are from (none for all). */
export interface Selection {
  readonly without?: ReadonlyArray<string>
  readonly only?: ReadonlyArray<string>
}

/** Ordinary numbers in float32. */
export const programCases = (selection: Selection = {}): fc.Arbitrary<ProgramCase> =>
  fc.record({
    program: programsOf({ dtypes: ['float32'], edges: false, ...selection }),
    kind: fc.constantFrom<MaskKind>(...maskKinds, 'rows', 'both', 'mixed'),
    target: fc.constantFrom<Target>('cpu', 'cuda', 'webgpu'),
    magnitude: fc.constant(0),
  })

/** Numbers at the edges of types. */
export const edgeCases = (
  dtypes: readonly [FloatType, ...FloatType[]],
  selection: Selection = {},
): fc.Arbitrary<ProgramCase> =>
  programsOf({ dtypes, edges: true, ...selection }).chain((program) =>
    fc.record({
      program: fc.constant(program),
      kind: fc.constantFrom<MaskKind>(...maskKinds, 'rows', 'both', 'mixed', 'rows'),
      target: fc.constantFrom<Target>('cpu', 'cpu', 'cuda', 'webgpu'),
      magnitude: fc.constantFrom(...magnitudes[program.dtype]),
    }),
  )

/**
 * How a program is compiled: half of them without regard to what the target runs fast, so that whatever may go does; half of the
 * others for a CPU by times that are drawn, since by real ones nothing so small is worth a rewrite.
 */
export const optionsOf = ({ program, target }: ProgramCase): CompileOptions => ({
  target,
  widths: program.seed % 2 === 0 ? 'planned' : 'raw',
  ...(target === 'cpu' && program.seed % 4 === 0 ? { costs: drawnCosts(uniforms(program.seed + 6)) } : {}),
})

const isContraction = (kernel: string): boolean => /^[a-z]/.test(kernel)

/**
 * A table in which time goes by multiply-accumulates, a microsecond or two each, and by nodes, little to much; or one in which each
 * kernel takes a thousandth to a thousand times as long as on a machine.
 */
const drawnCosts = (uniform: () => number): CostTable => {
  const table = uniform() < 0.5 ? cpuOf16 : cpuOf8
  const goesByMacs = uniform() < 0.5
  const eachNode = 10 ** (-3 * uniform())
  const kernels = Object.entries(table.kernels).flatMap(([kernel, coefficients]) => {
    const factor = goesByMacs ? eachNode : 1000 ** (2 * uniform() - 1)
    const drawn =
      goesByMacs && isContraction(kernel)
        ? coefficients.map((_, at) => (at === 0 ? 1000 * 2 ** uniform() : 0))
        : coefficients.map((coefficient) => factor * coefficient)
    return uniform() < 0.01 ? [] : [[kernel, drawn] as const]
  })
  return { ...table, kernels: Object.fromEntries(kernels) }
}

export interface Outcome {
  readonly smaller: boolean
  /** Whether the masked model has a finite output element that is not zero, so that anything was compared. */
  readonly compared: boolean
  /** Whether some layer was computed in parts. */
  readonly split: boolean
  /** Largest difference as a share of what was allowed. */
  readonly worst: number
}

/**
 * Runs of the masked model with moved roundings: first a few, and many before a difference counts as a mismatch. What is quantised
 * jumps by a whole step, which one run in a hundred may show.
 */
const [fewRuns, ...moreRuns] = [6, 60, 600] as const

/** Differences of this many units of a channel's largest number pass without asking for more. */
const units = 8

interface Difference {
  readonly share: number
  readonly text: string
}

/** The largest difference as a share of what is allowed; infinite where only the masked model is finite. */
export const largest = (
  a: Values,
  b: Values,
  dtype: FloatType,
  allowed: ReadonlyMap<string, Float64Array> | undefined,
): Difference => {
  let worst: Difference = { share: 0, text: '' }
  for (const [name, x] of a) {
    const y = b.get(name)
    if (y === undefined || y.shape.join() !== x.shape.join())
      return { share: Infinity, text: `${name} has another shape` }
    const [xs, ys] = [elements(x), elements(y)]
    const { count, of } = channelIndex(x)
    const scales = new Float64Array(count)
    for (let i = 0; i < xs.length; i++) {
      const size = Math.abs(Number(xs[i]))
      if (Number.isFinite(size)) scales[of(i)] = Math.max(scales[of(i)] ?? 0, size)
    }
    const noise = allowed?.get(name)
    for (let i = 0; i < xs.length; i++) {
      const [p, q] = [Number(xs[i]), Number(ys[i])]
      if (!Number.isFinite(p)) continue
      const c = of(i)
      const moved = allowed === undefined ? 0 : (noise?.[noise.length === xs.length ? i : c] ?? Infinity)
      const bound = 2 * moved + units * ulp(dtype, scales[c] ?? 0)
      const unstable = moved === Infinity
      if (unstable || p === q) continue
      const share = Number.isFinite(q) ? Math.abs(p - q) / bound : Infinity
      if (share > worst.share) {
        worst = {
          share,
          text: `${name}[${i}]: ${p} became ${q}, ${share.toPrecision(3)} times what rounding explains (${bound.toExponential(2)}); largest number of the channel ${(scales[c] ?? 0).toExponential(2)}`,
        }
      }
    }
  }
  return worst
}

/**
 * Whether an infinity of the compiled model is the growth that is admitted: a rewrite may multiply the terms of a sum by
 * up to `growthLimit`, which overflows sooner where they cancel. Both graphs are computed in double for that.
 */
const isAdmittedGrowth = (masked: Graph, compiled: Graph, feeds: Values, dtype: FloatType): boolean => {
  // Bodies are not followed there.
  if ([...masked.nodes, ...compiled.nodes].some(isOpaque)) return false
  const [before, after] = [largestTerm(masked, feeds), largestTerm(compiled, feeds)]
  return after <= growthLimit(precisionOf(dtype)) * before
}

const hasFunctions = ({ seed }: Program): boolean => seed % 4 === 1

/** The graph of a program, a quarter of them read from a file: there attributes are float32. */
export const graphOf = (program: Program): Graph => {
  const graph = buildProgram(program)
  return hasFunctions(program) ? orThrow(readModelBytes(orThrow(lower(graph)).model)) : graph
}

/** The graph to be compiled: of those that come from files one in which some of the nodes stand in local functions. */
export const asRead = (graph: Graph, program: Program): Graph =>
  hasFunctions(program) ? throughFunctions(graph, uniforms(program.seed + 5)) : graph

/**
 * Throws where a compiled program breaks one of the two rules, or does not compile to itself. Neither is optimised by ONNX
 * Runtime, whose fusions are not all exact: 1.30 moves the zeros of a Pad into a MaxPool, which pads with -infinity.
 */
export const checkProgram = async (given: ProgramCase): Promise<Outcome> => {
  const { program, kind, magnitude } = given
  const graph = graphOf(program)
  if (graph.outputs.length === 0) return { smaller: false, compared: false, split: false, worst: 0 }
  const masks = randomMasks(graph, kind, uniforms(program.seed + 2))
  const masked = orThrow(applyMasks(graph, masks))
  const compiled = compileValid(asRead(graph, program), masks, optionsOf(given))
  const again = orThrow(compile(compiled.graph, noMasks, optionsOf(given)))
  // Widths were chosen for layers that are in parts by now.
  const split = (compiled.report.passes['split-blocks'] ?? 0) > 0
  if (again.graph !== compiled.graph && !split) throw new Error('the compiled graph does not compile to itself')
  const feeds = feedsOf(graph, program.seed + 3, sizesOf(program), 10 ** magnitude)
  const first = await compare(masked, compiled.graph, feeds, program)
  const second = again.graph === compiled.graph ? first : await compare(masked, again.graph, feeds, program)
  const { share, text } = first.share >= second.share ? first : second
  if (share > 1) throw new Error(text)
  return {
    smaller: compiled.report.after.parameters < compiled.report.before.parameters,
    compared: first.compared,
    split,
    worst: share,
  }
}

/** Whether the engine meets a number within that is not finite: ONNX Runtime's MeanVarianceNormalization of equal numbers is NaN. */
export const isFiniteWithin = async (graph: Graph, feeds: Values, dtype: FloatType): Promise<boolean> => {
  const outputs = [...graph.types].flatMap(([name, type]) =>
    type.kind === 'tensor' && type.dtype === dtype && producersOf(graph).has(name) ? [{ name, type }] : [],
  )
  const engine = await engineFor(orThrow(makeGraph({ ...graph, outputs })), dtype)
  try {
    const values = await engine.run(feeds)
    return [...values.values()].every((y) => elements(y).every((v) => Number.isFinite(Number(v))))
  } finally {
    await engine.close()
  }
}

/** Runs both graphs: the largest difference as a share of what is allowed, and whether there was anything to compare. */
export const compare = async (
  masked: Graph,
  compiled: Graph,
  feeds: Values,
  { dtype, seed }: Pick<Program, 'dtype' | 'seed'>,
): Promise<Difference & { readonly compared: boolean }> => {
  // What ONNX Runtime infers wrong shapes of as it was drawn counts as not compared: 1.30 takes GroupQueryAttention for one with
  // packed queries, keys and values where it does not know the shape of the values.
  const reference = await engineFor(masked, dtype).catch((error: unknown) => {
    if (!String(error).includes('ShapeInferenceError')) throw error
    return undefined
  })
  if (reference === undefined) return { share: 0, text: '', compared: false }
  const candidate = await engineFor(compiled, dtype)
  try {
    const [a, b] = [await reference.run(feeds), await candidate.run(feeds)]
    const compared = [...a.values()].some((y) => elements(y).some((v) => Number.isFinite(Number(v)) && Number(v) !== 0))
    let difference = largest(a, b, dtype, undefined)
    for (const runs of [fewRuns, ...moreRuns]) {
      if (difference.share <= 1) break
      // A model that is not finite within, and swallows it, is not one of which anything is promised.
      if (runs === fewRuns && (meetsInfinity(masked, feeds) || !(await isFiniteWithin(masked, feeds, dtype))))
        return { share: 0, text: '', compared: false }
      if (difference.share === Infinity && isAdmittedGrowth(masked, compiled, feeds, dtype)) {
        difference = { share: 0, text: '' }
        break
      }
      // Operators that are made of others round within, as these do.
      const parts = orThrow(runPipeline([simplify], masked))
      difference = largest(a, b, dtype, deviations(parts, feeds, runs, uniforms(seed + 4)))
    }
    return { ...difference, compared }
  } finally {
    await reference.close()
    await candidate.close()
  }
}
