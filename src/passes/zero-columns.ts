import { producersOf } from '../ir/analysis.ts'
import * as E from 'fp-ts/lib/Either.js'
import { readsOfContraction } from '../ir/families/contraction.ts'
import { selectWeight } from '../ir/families/weights.ts'
import { contextOf, labelOf } from '../ir/graph.ts'
import { opOf } from '../ir/registry.ts'
import { channelConstants } from './channel-elimination/constants.ts'
import { namingOf, rewritePass, type Rule } from './rewrite.ts'

/**
 * Writes zeros where a layer of integers reads channels that are zero: `Σ_c (q[c] - z)·W[o,c]`, where one node makes `q` and `z` of
 * real numbers `x` (`OpDef.centres`). Where `x[c]` is zero, `q[c]` is `z`, whatever that is, so that the layer need not read it, and
 * the channel can go.
 *
 * Guards: the same node makes both, and nothing is between it and the layer; the number of `x[c]` is known to be zero.
 */
const ignoreZeros: Rule = (graph, node, names) => {
  const ctx = contextOf(graph, node)
  const c = opOf(node).contraction?.(ctx)
  if (c?.centre === undefined) return undefined
  const integers = node.inputs[c.port] ?? ''
  const maker = producersOf(graph).get(integers)
  const centres = maker && opOf(maker).centres
  if (maker === undefined || centres === undefined) return undefined
  const { input, output, zero } = centres
  if (maker.outputs[output] !== integers || maker.outputs[zero] !== node.inputs[c.centre]) return undefined
  const constants = channelConstants(graph).along(maker.inputs[input] ?? '', c.axis)
  if (constants?.includes(0) !== true) return undefined
  const reads = readsOfContraction(ctx, c)
  const outputs = Int32Array.from({ length: reads.outputs }, (_, o) => o)
  const inputs = Int32Array.from({ length: reads.inputs }, (_, i) => i)
  const isRead = (i: number): boolean =>
    outputs.some((o) => {
      const [first, end] = reads.inputsOf(o)
      return i >= first && i < end && reads.reads(o, i)
    })
  if (!inputs.some((i) => constants[i] === 0 && isRead(i))) return undefined
  const isZeroInput = (i: number): boolean => constants[i] === 0
  const selection = { inputs, outputs, isZeroInput, isZeroOutput: () => false, carried: [] }
  const selected = selectWeight(reads, selection, labelOf(node))
  const rebuilt = c.rebuild({ node, ...selected }, namingOf(node, names))
  return E.isLeft(rebuilt) ? undefined : { ...rebuilt.right, removes: [node] }
}

export const zeroColumns = rewritePass('zero-columns', [ignoreZeros])
