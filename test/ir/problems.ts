/** Samples as problems with numbers, for laws: their graphs, inputs and outputs, and single slices of them. */
import { qualified } from '../../src/ir/domain.ts'
import { numbersOf } from '../../src/ir/evaluate.ts'
import { copied } from '../../src/ir/families/movement.ts'
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import { evaluateNode } from '../../src/ir/interpret.ts'
import { placeOf } from '../../src/ir/links.ts'
import type { AxisLink, Node, NodeContext, SliceFact } from '../../src/ir/op.ts'
import { allOps, type AnyOp } from '../../src/ir/registry.ts'
import { sliceConstants, uniformValue } from '../../src/ir/slices.ts'
import { type Dense, tensorOf } from '../../src/ir/tensor.ts'
import { graphOf, inputName, nodeOf, type Sample, valuesOf } from './helpers.ts'
import * as samples from './samples/index.ts'
import * as microsoft from './samples/microsoft/index.ts'
import { indicesAt } from './slicing.ts'

export const samplesByName: ReadonlyMap<string, ReadonlyArray<Sample>> = new Map<string, ReadonlyArray<Sample>>(
  Object.entries(samples).concat(
    Object.entries(microsoft).map(([name, own]) => [qualified('com.microsoft', name), own]),
  ),
)

export interface Case {
  readonly op: AnyOp
  readonly sample: Sample
}

export const cases: ReadonlyArray<readonly [string, Case]> = allOps.flatMap((op) =>
  (samplesByName.get(op.name) ?? []).map((sample) => [`${op.name}, ${sample.label}`, { op, sample }] as const),
)

/** A sample with numbers: its graph, node, context, input values and the outputs that the evaluator gives. */
export interface Problem {
  readonly op: AnyOp
  readonly graph: Graph
  readonly node: Node
  readonly ctx: NodeContext<unknown>
  readonly inputs: ReadonlyArray<Dense | undefined>
  readonly outputs: ReadonlyArray<Dense> | undefined
}

export const problemOf = ({ op, sample }: Case, seed: number): Problem => {
  const inputs = valuesOf(sample, seed)
  const graph = graphOf(op, sample, inputs)
  const node = nodeOf(op, sample)
  const outputs = evaluateNode(graph, node, inputs)?.slice(0, sample.outputs)
  return { op, graph, node, ctx: contextOf(graph, node), inputs, outputs }
}

/** The problem with other inputs. */
export const withInputs = (p: Problem, inputs: ReadonlyArray<Dense | undefined>): ReadonlyArray<Dense> => {
  const outputs = evaluateNode(p.graph, p.node, inputs)
  if (outputs === undefined) throw new Error(`${p.node.op} is not evaluated`)
  return outputs
}

export const isComputed = (p: Problem, port: number): boolean =>
  p.inputs[port] !== undefined && !p.graph.constants.has(inputName(port))

/** `tensor` with slice `index` along `axis` set to `c`; everything without an axis. */
export const fill = (tensor: Dense, axis: number | undefined, index: number, c: number): Dense => {
  const values = Float64Array.from(numbersOf(tensor))
  const inner = tensor.shape.slice((axis ?? 0) + 1).reduce((n, d) => n * d, 1)
  const size = axis === undefined ? 1 : (tensor.shape[axis] ?? 1)
  for (let i = 0; i < values.length; i++) {
    if (axis === undefined || Math.floor(i / inner) % size === index) values[i] = c
  }
  return tensorOf(tensor.dtype, tensor.shape, values)
}

/** All numbers of slice `index` along `axis`. */
export const sliceOf = (tensor: Dense, axis: number, index: number): ReadonlyArray<number> => {
  const inner = tensor.shape.slice(axis + 1).reduce((n, d) => n * d, 1)
  const size = tensor.shape[axis] ?? 1
  return Array.from(numbersOf(tensor)).filter((_, i) => Math.floor(i / inner) % size === index)
}

/** What an operator says of constant slices, a copy's answer included. */
export const transferOf = (op: AnyOp): Exclude<AnyOp['constant'], 'copied'> =>
  op.constant === 'copied' ? (_ctx, slices) => copied(slices) : op.constant

/** The first index along the input axis of a link that an output index is made from; -1 when none. */
export const sourceOf = ({ from, into }: AxisLink, index: number): number => {
  const place = from === undefined ? index : placeOf(from, index)
  return into === undefined || place < 0 ? place : (indicesAt(into, place)[0] ?? -1)
}

/** What is known of one slice of an input: `value` where its port is chosen, its number where it is a constant. */
export const factOf = (
  p: Problem,
  x: Dense | undefined,
  port: number,
  here: ReadonlyArray<AxisLink>,
  index: number,
  chosen: ReadonlyArray<number>,
  value: number,
): SliceFact => {
  if (x === undefined) return null
  const link = here.find((l) => l.input === port)
  const at = link === undefined ? 0 : sourceOf(link, index)
  if (at < 0) return null
  // Several inputs in one output index: only one of them is set, so nothing is known.
  const part = link?.from === undefined ? index : placeOf(link.from, index)
  if (link?.into !== undefined && indicesAt(link.into, part).length > 1) return undefined
  if (isComputed(p, port)) return chosen.includes(port) ? value : undefined
  if (link === undefined) return uniformValue(x)
  const known = sliceConstants(x, link.inputAxis)[at] ?? NaN
  return Number.isNaN(known) ? undefined : known
}
