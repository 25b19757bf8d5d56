/**
 * Random compiled programs in half precision beside themselves in float32. What must hold:
 *
 * 1. ONNX Runtime loads what they become, optimised or not, and inputs and outputs are as they were;
 * 2. where no term of a sum is beyond half precision, and nothing goes to integers, no element is off by more than rounding to half
 *    precision moves its channel. What goes to other integers is off by steps that trying numbers nearby seldom meets.
 */
import type { Node } from '../../src/ir/op.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { toFloat16 } from '../../src/passes/float16/index.ts'
import { uniforms } from '../inflate.ts'
import { compileValid, orThrow } from './differential.ts'
import { type Engine, feedsOf, onnxRuntime } from './engines.ts'
import { randomMasks } from './masks.ts'
import { deviations, isRounding, largestTerm, meetsInfinity, type Values } from './noise.ts'
import { asRead, graphOf, isFiniteWithin, largest, optionsOf, type Outcome, type ProgramCase } from './property.ts'
import { sizesOf } from './program.ts'

/** Steps that are left out: a number that goes in the rounding of a large one and comes back does not in other digits. */
export const notInHalf = ['cancellation']

/** Beyond it numbers are clamped, which is admitted. */
const largestHalf = 65504

const runsOf = [6, 60, 600]

/** Whether it makes integers of other numbers. */
const hasSteps = (node: Node): boolean => isRounding(node) || /^(Ceil|Floor|Round|Sign|Mod)$/.test(node.op)

const nothing: Outcome = { smaller: false, compared: false, split: false, worst: 0 }

const resultOf = async (engine: Promise<Engine>, feeds: Values): Promise<Values> => {
  const opened = await engine
  try {
    return await opened.run(feeds)
  } finally {
    await opened.close()
  }
}

/** Throws where a program in half precision breaks one of the two rules. */
export const checkHalf = async (given: ProgramCase): Promise<Outcome> => {
  const { program, kind, magnitude } = given
  const read = graphOf(program)
  if (read.outputs.length === 0) return nothing
  const masks = randomMasks(read, kind, uniforms(program.seed + 2))
  const { graph } = compileValid(asRead(read, program), masks, optionsOf(given))
  const { graph: half, report } = orThrow(toFloat16(graph))
  const feeds = feedsOf(graph, program.seed + 3, sizesOf(program), 10 ** magnitude)
  const plain = await resultOf(onnxRuntime(graph, 'disabled'), feeds).catch((error: unknown) => {
    if (!String(error).includes('ShapeInferenceError')) throw error
    return undefined
  })
  if (plain === undefined) return nothing
  const pairs = [{ wanted: plain, found: await resultOf(onnxRuntime(half, 'disabled'), feeds) }]
  // ONNX Runtime's own optimisations are not sound for all that it runs without, whatever the precision: 1.30 ends the process on a
  // Loop of which no output is read, and makes products of several scales that it then refuses; what it joins of quantized layers
  // rounds to other integers; and a padding by zeros before MaxPool becomes one of MaxPool, by nothing.
  const optimised = graph.nodes.some((node) => isOpaque(node) || isRounding(node))
    ? undefined
    : await resultOf(onnxRuntime(graph, 'all'), feeds).catch(() => undefined)
  if (optimised !== undefined) pairs.push({ wanted: optimised, found: await resultOf(onnxRuntime(half, 'all'), feeds) })
  if (graph.nodes.some(hasSteps) || largestTerm(graph, feeds) > largestHalf || meetsInfinity(half, feeds))
    return nothing
  let worst = 0
  for (const { wanted, found } of pairs) {
    let difference = largest(wanted, found, 'float16', undefined)
    for (const runs of runsOf) {
      if (difference.share <= 1) break
      const noise = deviations(half, feeds, runs, uniforms(program.seed + 4), 'float16')
      difference = largest(wanted, found, 'float16', noise)
    }
    // Of equal numbers ONNX Runtime's MeanVarianceNormalization is NaN, or not, by their last digit.
    if (difference.share === Infinity && !(await isFiniteWithin(half, feeds, 'float32'))) return nothing
    if (difference.share > 1) throw new Error(difference.text)
    worst = Math.max(worst, difference.share)
  }
  return { smaller: report.bytes.after < report.bytes.before, compared: true, split: false, worst }
}
