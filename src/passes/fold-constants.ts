import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, freshNames, usersOf } from '../ir/analysis.ts'
import { bitsOf, byteLength, type DType, isFloat, isWide } from '../ir/dtype.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import { constantContext } from '../ir/interpret.ts'
import type { Node, NodeContext, ValueId } from '../ir/op.ts'
import { encodeAttributes, opOf } from '../ir/registry.ts'
import {
  type Dense,
  isNumeric,
  materialize,
  sizeInBytes,
  type Tensor,
  tensorOf,
  type TensorShape,
} from '../ir/tensor.ts'
import { isStatic, sizeOf, staticShape } from '../ir/type.ts'
import { handOn, isHandOn } from '../ir/wiring.ts'
import { growthInAll, growthPerValue, negligibleGrowth } from './growth.ts'
import type { Pass } from './pass.ts'

/**
 * Steps of reference evaluation that all folds together may take beyond those that the size of the constants allows: a step
 * is an element read or written, or a multiply-accumulate, and takes some tens of nanoseconds. Where they would take more, only
 * those that take next to none happen.
 */
const stepsInAll = 2 ** 24

/** A Cast and a Transpose of each weight, and as much again. */
const stepsPerElement = 32

/** Steps of an element of a type that JavaScript has no plain numbers or arrays for: 64-bit integers, half precision, parts of bytes. */
const oddSteps = 8

const stepsOf = ({ dtype, shape }: TensorShape): number => {
  const bits = bitsOf(dtype)
  const isPlain = !isWide(dtype) && bits >= 8 && !(isFloat(dtype) && bits === 16)
  return sizeOf(shape) * (isPlain ? 1 : oddSteps)
}

/** Steps that are next to nothing: those of a negligibleGrowth result. */
const negligibleSteps = 2 ** 17

/** Bytes that the numbers of one evaluation may take, where that is more than twice its inputs and outputs take. */
const workingBytes = 2 ** 29

/** Bytes of a number while it is computed with: one of 64 bits is a BigInt on the way. */
const bytesPerNumber = (dtype: DType): number => (isWide(dtype) ? 64 : 8)

/**
 * Computes ahead of time what does not depend on the model's inputs: nodes whose inputs are all constants, by the
 * operator's reference evaluation (one rounding for each operator, as at run time), and integers of which every element
 * is known from shapes (`Graph.contents`). An operator without an evaluation (random ones, subgraphs) is never folded.
 *
 * What a node makes of integers that stand for real numbers, or of numbers of a narrower type that would take too much as wider
 * ones, becomes a constant that is held as what it is made from (`OpDef.hold`).
 *
 * Guards: nothing is computed from large constants that are held so; the result takes no more bytes than the constants that nothing else reads, or at most 4 MiB more, and all
 * folds together at most 64 MiB more; the steps of all folds are bounded by the size of the constants, and so is what one
 * evaluation needs in memory. A result that is a graph output is handed on to it.
 */
export const foldConstants: Pass = {
  name: 'fold-constants',
  run: (graph) => {
    let current = graph
    let elements = 0
    for (const { shape } of graph.constants.values()) elements += sizeOf(shape)
    const generous: Allowance = { growth: growthInAll, steps: stepsInAll + stepsPerElement * elements }
    for (;;) {
      const folded = fold(current, generous) ?? fold(current, { growth: 0, steps: 0 }) ?? current
      if (folded === current) return E.right(current)
      current = folded
    }
  },
}

/** What folds may add and take together; 0 refuses each that does not add, or take, next to nothing. */
interface Allowance {
  /** In bytes. */
  readonly growth: number
  readonly steps: number
}

/** One sweep; undefined where all folds together would exceed the allowance. */
const fold = (graph: Graph, allowance: Allowance): Graph | undefined => {
  const fresh = freshNames(graph)
  const outputs = new Set<ValueId>(graph.outputs.map((output) => output.name))
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const hints = new Map(graph.hints)
  /** Constants of the graph and all results so far, those that are graph outputs included. */
  const known = new Map<ValueId, Tensor>(graph.constants)
  const nodes: Node[] = []
  let growth = 0
  let steps = 0
  let changed = false
  for (const node of graph.nodes) {
    const handsOver = isHandOn(node) && outputs.has(node.outputs[0] ?? '') && known.has(node.inputs[0] ?? '')
    const held = handsOver || outputs.has(node.outputs[0] ?? '') ? undefined : opOf(node).hold?.(contextOf(graph, node))
    const isHeld = held !== undefined && !isFloat(held.stored.dtype)
    const first = handsOver || isHeld ? undefined : (integers(graph, node) ?? plan(graph, node, known))
    const holding = held && { growth: 0, steps: 0, compute: () => [held] }
    const planned =
      first !== undefined && holding !== undefined && first.growth > growthPerValue ? holding : (first ?? holding)
    const added = planned !== undefined && planned.growth > negligibleGrowth ? planned.growth : 0
    const taken = planned !== undefined && planned.steps > negligibleSteps ? planned.steps : 0
    const isRefused = added > Math.min(growthPerValue, allowance.growth) || taken > allowance.steps
    // Steps count whether or not there is a result.
    if (!isRefused) steps += taken
    if (steps > allowance.steps) return undefined
    const values = isRefused ? undefined : planned?.compute()
    if (values === undefined || node.outputs.some((name, i) => isRead(graph, name) && values[i] === undefined)) {
      nodes.push(node)
      continue
    }
    changed = true
    growth += added
    if (growth > allowance.growth) return undefined
    node.outputs.forEach((name, i) => {
      const value = values[i]
      if (value === undefined || name === '' || !isRead(graph, name)) return
      known.set(name, value)
      hints.delete(name)
      const constant = outputs.has(name) ? fresh(`${name}_value`) : name
      constants.set(constant, value)
      if (constant !== name) nodes.push(handOn(constant, name, node.name))
    })
  }
  return changed ? withParts(graph, { nodes, constants, hints }) : graph
}

/** The constants that a node would become, the bytes that this would add to the model, and the steps that it takes. */
interface Plan {
  readonly growth: number
  readonly steps: number
  readonly compute: () => ReadonlyArray<Tensor> | undefined
}

/** Integers of which every element is known, where nothing reads another output of the node. */
const integers = (graph: Graph, node: Node): Plan | undefined => {
  const [name = '', ...others] = node.outputs
  const content = graph.contents.get(name)
  const type = graph.types.get(name)
  if (content === undefined || type?.kind !== 'tensor' || !content.every(isStatic)) return undefined
  const shape = staticShape(type.shape)
  if (shape === undefined || sizeOf(shape) !== content.length) return undefined
  if (others.some((other) => other !== '' && isRead(graph, other))) return undefined
  return { growth: 0, steps: 0, compute: () => [tensorOf(type.dtype, shape, content)] }
}

const plan = (graph: Graph, node: Node, known: ReadonlyMap<ValueId, Tensor>): Plan | undefined => {
  if (!node.inputs.every((name) => name === '' || known.has(name))) return undefined
  const inputs = node.inputs.map((name) => known.get(name))
  const ctx = constantContext(graph, node, inputs)
  if (ctx === undefined) return undefined
  const operands = inputs.flatMap((tensor) => tensor ?? [])
  if (operands.some((tensor) => tensor.tag === 'Held' && sizeInBytes(tensor) > negligibleGrowth)) return undefined
  const results: TensorShape[] = []
  for (const type of ctx.outputs) {
    const shape = type.kind === 'tensor' ? staticShape(type.shape) : undefined
    if (type.kind !== 'tensor' || shape === undefined) return undefined
    results.push({ dtype: type.dtype, shape })
  }
  if (![...operands, ...results].every(({ dtype }) => isNumeric(dtype))) return undefined
  const [held, working] = [bytesOf([...operands, ...results]), workingBytesOf([...operands, ...results])]
  if (working > Math.max(workingBytes, 2 * held)) return undefined
  return {
    growth: bytesOf(results) - releasedBytes(graph, node, known),
    steps: evaluationSteps(ctx, [...operands, ...results]),
    compute: () => evaluateOnce(ctx, inputs),
  }
}

const bytesOf = (tensors: ReadonlyArray<TensorShape>): number =>
  tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, sizeOf(shape)), 0)

const workingBytesOf = (tensors: ReadonlyArray<TensorShape>): number =>
  tensors.reduce((sum, { dtype, shape }) => sum + bytesPerNumber(dtype) * sizeOf(shape), 0)

/** Elements read and written, and what the operator does beyond that. */
const evaluationSteps = (ctx: NodeContext<unknown>, tensors: ReadonlyArray<TensorShape>): number => {
  const { steps, macs } = opOf(ctx.node)
  return tensors.reduce((sum, tensor) => sum + stepsOf(tensor), (steps ?? macs)?.(ctx) ?? 0)
}

interface Evaluated {
  readonly inputs: ReadonlyArray<Tensor | undefined>
  readonly results: ReadonlyArray<Dense> | undefined
}

/** Results of nodes: where a sweep gave up, or folds none of them, the next one does not compute them anew. */
const evaluated = new WeakMap<Node, Evaluated>()

const evaluateOnce = (
  ctx: NodeContext<unknown>,
  inputs: ReadonlyArray<Tensor | undefined>,
): ReadonlyArray<Dense> | undefined => {
  const { node } = ctx
  const known = evaluated.get(node)
  if (known !== undefined && known.inputs.every((tensor, port) => tensor === inputs[port])) return known.results
  const results = opOf(node).evaluate?.(
    ctx,
    inputs.map((tensor) => tensor && materialize(tensor)),
  )
  evaluated.set(node, { inputs, results })
  return results
}

/** Bytes of the constants that go with the node: those that nothing else reads and those among its attributes. */
const releasedBytes = (graph: Graph, node: Node, known: ReadonlyMap<ValueId, Tensor>): number => {
  let bytes = 0
  for (const name of new Set(node.inputs)) {
    const tensor = known.get(name)
    if (tensor !== undefined && usersOf(graph).get(name)?.length === 1 && !fixedNames(graph).has(name)) {
      bytes += byteLength(tensor.dtype, sizeOf(tensor.shape))
    }
  }
  for (const attribute of encodeAttributes(node).values()) {
    if (attribute.kind === 'tensor') bytes += byteLength(attribute.value.dtype, sizeOf(attribute.value.shape))
  }
  return bytes
}

const isRead = (graph: Graph, name: ValueId): boolean => usersOf(graph).has(name) || fixedNames(graph).has(name)
