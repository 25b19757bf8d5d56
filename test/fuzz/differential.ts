/** Masked model against compiled model in ONNX Runtime, in this process. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import { type Graph, labelOf } from '../../src/ir/graph.ts'
import { Opaque } from '../../src/ir/ops/opaque.ts'
import { isOp } from '../../src/ir/registry.ts'
import type { Target } from '../../src/passes/target.ts'
import type { Masks } from '../../src/masks/mask.ts'
import { applyMasks } from '../../src/passes/apply-masks.ts'
import { compile } from '../../src/package/compile.ts'
import type { Compiled, CompileOptions } from '../../src/passes/compile.ts'
import { normals, uniforms } from '../inflate.ts'

export const orThrow = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

/**
 * Compiles a model that runs. A node of such a one that turned opaque on the way hides a bug of ours: it is thrown. Nodes with bodies
 * are opaque as they are, and come from a branch that is always taken, as do nodes that read what bodies make.
 */
export const compileValid = (graph: Graph, masks: Masks, options: CompileOptions): Compiled => {
  const known = new Set(graph.nodes.filter((node) => isOp(node, Opaque)).map(labelOf))
  const compiled = orThrow(compile(graph, masks, options))
  const comesWithBodies = (node: string, reason: string): boolean =>
    /^(If|Loop|Scan) /.test(node) || (known.size > 0 && reason.endsWith('is not known to be a tensor'))
  const hidden = compiled.report.opaque.find(({ node, reason }) => !known.has(node) && !comesWithBodies(node, reason))
  if (hidden !== undefined) throw new Error(`${hidden.node} became opaque: ${hidden.reason}`)
  return compiled
}

export interface Comparison {
  readonly compiled: Compiled
  /** Largest of max |difference| / max |reference| over the outputs. */
  readonly worst: number
  readonly output: string
}

const open = (graph: Graph, level: 'disabled' | 'all'): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })

/** Seeded N(0, 1) inputs; symbolic sizes are bound by `sizes`, batches to 2. */
const feedsOf = (graph: Graph, seed: number, sizes: ReadonlyMap<string, number>): Record<string, ort.Tensor> => {
  const normal = normals(uniforms(seed))
  const feeds: Record<string, ort.Tensor> = {}
  for (const { name, type } of graph.inputs) {
    if (type.kind !== 'tensor' || type.dtype !== 'float32') throw new Error(`input ${name} is not float32`)
    const shape = (type.shape ?? []).map((d) => (typeof d === 'number' ? d : (sizes.get(d) ?? 2)))
    feeds[name] = new ort.Tensor(
      'float32',
      Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, normal),
      shape,
    )
  }
  return feeds
}

/** Max |b - a| / max |a|; Infinity where shapes or non-finite positions differ. `floor` is the least scale. */
const relativeError = (a: ort.Tensor, b: ort.Tensor, floor: number): number => {
  const [x, y] = [a.data, b.data]
  if (!(x instanceof Float32Array) || !(y instanceof Float32Array)) throw new Error('outputs are not float32')
  if (a.dims.join() !== b.dims.join()) return Infinity
  let difference = 0
  let scale = floor
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [x[i] ?? 0, y[i] ?? 0]
    if (!Number.isFinite(p) || !Number.isFinite(q)) {
      if (!Object.is(p, q)) return Infinity
      continue
    }
    difference = Math.max(difference, Math.abs(p - q))
    scale = Math.max(scale, Math.abs(p))
  }
  return difference === 0 ? 0 : difference / scale
}

export interface CompareOptions {
  readonly target?: Target
  /** As of `compile`. */
  readonly widths?: 'planned' | 'raw'
  readonly seed?: number
  readonly sizes?: ReadonlyMap<string, number>
  /** Graph optimisations for the compiled model; the reference has none. Default `all`. */
  readonly level?: 'disabled' | 'all'
  /** Outputs smaller than this everywhere are compared against it: rounding of larger numbers that cancel. */
  readonly floor?: number
}

/** Compiles `graph` under `masks` and runs both. The reference runs without graph optimisations. */
export const compareCompiled = async (
  graph: Graph,
  masks: Masks,
  options: CompareOptions = {},
): Promise<Comparison> => {
  const masked = orThrow(applyMasks(graph, masks))
  const compiled = compileValid(graph, masks, {
    target: options.target ?? 'cpu',
    ...(options.widths === undefined ? {} : { widths: options.widths }),
  })
  return { compiled, ...(await compareGraphs(masked, compiled.graph, options)) }
}

/** Runs two graphs with the same inputs, the first one without graph optimisations. */
export const compareGraphs = async (
  masked: Graph,
  compiled: Graph,
  options: CompareOptions = {},
): Promise<Pick<Comparison, 'worst' | 'output'>> => {
  const reference = await open(masked, 'disabled')
  const candidate = await open(compiled, options.level ?? 'all')
  try {
    if (reference.outputNames.join() !== candidate.outputNames.join()) throw new Error('output names differ')
    const feeds = feedsOf(masked, options.seed ?? 1, options.sizes ?? new Map())
    const [a, b] = [await reference.run(feeds), await candidate.run(feeds)]
    let worst = 0
    let output = ''
    for (const name of reference.outputNames) {
      const [x, y] = [a[name], b[name]]
      if (x === undefined || y === undefined) throw new Error(`output ${name} is missing`)
      const error = relativeError(x, y, options.floor ?? 0)
      if (error > worst) [worst, output] = [error, name]
    }
    return { worst, output }
  } finally {
    await reference.release()
    await candidate.release()
  }
}
