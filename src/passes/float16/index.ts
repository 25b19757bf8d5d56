/**
 * A model in half precision (IEEE 754 binary16): half the bytes, and on GPUs with units for it several times the speed. It computes
 * something else than the model, to about three digits: a step of its own, behind everything that is exact.
 *
 * Operators say themselves what of them stays in float32 (`OpDef.float32`). A node that reads nothing in half precision and no large
 * constant stays as it is, so that sizes, positions and the statistics of a normalisation that is written out stay in float32 to
 * their end. Constants go to half precision where their rows keep their digits; finite numbers that are beyond it (-1e9 in
 * masks of attention) are clamped where the operator only chooses among its operands, or else keep their node in float32, and what comes of
 * them is clamped where it meets half precision.
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { closestNames } from '../../ir/closest.ts'
import { failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Node } from '../../ir/op.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import { isOpaque } from '../../ir/registry.ts'
import { storedBytes } from '../../ir/tensor.ts'
import { writtenOut } from '../../ir/written.ts'
import type { PassError } from '../pass.ts'
import { type Target, targets } from '../target.ts'
import { clampedTo } from './constants.ts'
import { type Plan, planHalf } from './plan.ts'
import type { Float16Report } from './report.ts'
import { inHalf } from './rewrite.ts'
import { rounded } from './rounded.ts'

export interface Float16Options {
  /** Whether inputs and outputs stay float32, converted inside the model, so that callers notice nothing. Default: yes. */
  readonly keepIoTypes?: boolean
  /** Operators by name (`Softmax`, `com.microsoft.Attention`) that stay in float32 besides those that always do. */
  readonly opBlockList?: ReadonlyArray<string>
  /** Nodes by name that stay in float32. */
  readonly nodeBlockList?: ReadonlyArray<string>
  /**
   * What it is to run on. On the CPU, which is the default, some of what is turned before a product stays in float32: ONNX Runtime would
   * end the process that loads it there, though on no GPU.
   */
  readonly target?: Target
}

const optionChoices: Readonly<Record<keyof Float16Options, Choice>> = {
  keepIoTypes: 'any',
  opBlockList: 'any',
  nodeBlockList: 'any',
  target: targets,
}

export interface InFloat16 {
  readonly graph: Graph
  readonly report: Float16Report
}

/** The first opset with conversions as they are today. */
const firstCast = 6

/** A graph as it is in a file, and what of it goes to half precision. */
const planned = (
  graph: Graph,
  options: Float16Options,
): E.Either<PassError, { readonly whole: Graph; readonly plan: Plan }> => {
  const wrong = wrongOption('OptionError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const opset = graph.opsets.get('') ?? 0
  if (opset < firstCast) {
    const advice = 'Convert it with onnx.version_converter first.'
    return E.left(failure('Float16Error', 'the model', `opset ${firstCast} or later`, `opset ${opset}`, advice))
  }
  const whole = writtenOut(graph)
  const { opBlockList = [], nodeBlockList = [], target = 'cpu' } = options
  const opTypes = new Set(whole.nodes.map(opTypeOf))
  const nodeNames = new Set(whole.nodes.map(({ name }) => name))
  const unknown =
    unknownName('opBlockList', opBlockList, opTypes, 'an operator of the model') ??
    unknownName('nodeBlockList', nodeBlockList, nodeNames, 'the name of a node of the model')
  if (unknown !== undefined) return E.left(unknown)
  const [ops, names] = [new Set(opBlockList), new Set(nodeBlockList)]
  const plan = planHalf(whole, (node) => names.has(node.name) || ops.has(opTypeOf(node)), target)
  return E.right({ whole, plan })
}

const opTypeOf = (node: Node): string => (isOpaque(node) ? node.attrs.opType : node.op)

const unknownName = (
  option: string,
  list: ReadonlyArray<string>,
  known: ReadonlySet<string>,
  what: string,
): PassError | undefined => {
  const unknown = list.find((name) => !known.has(name))
  if (unknown === undefined) return undefined
  const close = closestNames(unknown, known, 3).join(', ')
  return failure('Float16Error', option, what, unknown, close === '' ? '' : `The closest are ${close}.`)
}

/**
 * `graph` with float32 changed to half precision wherever that is sound. Fails where an option is none, names no node or operator of
 * the model, or the model is of an opset without conversions.
 */
export const toFloat16 = (graph: Graph, options: Float16Options = {}): E.Either<PassError, InFloat16> =>
  pipe(
    planned(graph, options),
    E.map(({ whole, plan }) => {
      const { keepIoTypes = true } = options
      const { graph: half, casts } = inHalf(whole, plan, keepIoTypes)
      const float32 = whole.nodes.filter(
        (node) => !plan.nodes.has(node) && [...node.inputs, ...node.outputs].some((name) => isFloat32(whole, name)),
      )
      const report: Float16Report = {
        keepsIoTypes: keepIoTypes,
        nodes: { float16: plan.nodes.size, float32: float32.length },
        casts,
        bytes: { before: bytesOf(whole), after: bytesOf(half) },
        kept: plan.kept,
        clamped: plan.clamped,
        clampedTo,
      }
      return { graph: half, report }
    }),
  )

/**
 * `graph` in float32, with the numbers that {@link toFloat16} of it makes: every result of half precision rounded. Fails as that does.
 */
export const roundedToFloat16 = (graph: Graph, options: Float16Options = {}): E.Either<PassError, Graph> =>
  pipe(
    planned(graph, options),
    E.map(({ whole, plan }) => rounded(whole, plan)),
  )

const isFloat32 = (graph: Graph, name: string): boolean => {
  const type = graph.types.get(name)
  return type?.kind === 'tensor' && type.dtype === 'float32'
}

const bytesOf = ({ constants }: Graph): number => {
  let sum = 0
  for (const tensor of constants.values()) sum += storedBytes(tensor)
  return sum
}
