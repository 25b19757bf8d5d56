/** Layers whose weights are zero outside of blocks, as products and convolutions of the blocks. */
import * as E from 'fp-ts/lib/Either.js'
import { graphTime } from '../../cost/graph-time.ts'
import { contractionWork } from '../../cost/node-work.ts'
import type { CostTable } from '../../cost/table.ts'
import { bindInputs } from '../../ir/bind.ts'
import { reformed } from '../../ir/edits.ts'
import { encodeElements } from '../../ir/element-codec.ts'
import { type Reads, readsOfContraction } from '../../ir/families/contraction.ts'
import { contextOf, type Graph, labelOf, withParts } from '../../ir/graph.ts'
import { inputShape } from '../../ir/links.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Naming, Node, OpDef, ValueId } from '../../ir/op.ts'
import { Add } from '../../ir/ops/add.ts'
import { Gather } from '../../ir/ops/gather.ts'
import { MatMul } from '../../ir/ops/mat-mul.ts'
import { Reshape } from '../../ir/ops/reshape.ts'
import { Transpose } from '../../ir/ops/transpose.ts'
import { isOfOpset, isOpaque, opOf } from '../../ir/registry.ts'
import { dense, elements, gather, int64s, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { isStatic, type Shape, sizeOf } from '../../ir/type.ts'
import type { EliminationOptions } from '../channel-elimination/index.ts'
import type { Pass } from '../pass.ts'
import { type Names, namesFor } from '../rewrite.ts'
import { costsOf } from '../target.ts'
import { type Partition, partitionsOf, type Parts, partsOf } from './partition.ts'
import { batchTime, convolutionTime, groupedTime, type Plan, productTime } from './price.ts'

/** What may be left of the predicted time of a layer, and what has to be saved of it at least: nanoseconds. */
const [mostTime, leastSaved] = [0.8, 3000]

/** Rows of a product where these are open: few, and so many that nothing stays in caches. */
const openRows = [1, 16, 256, 2 ** 14]

/** Threads of a product, which the machine that it is compiled for may have one or more of. */
const threadCounts = [1, 4]

/** A layer that is faster in parts. */
interface Candidate {
  readonly node: Node
  readonly reads: Reads
  readonly partition: Partition
  /** Inputs of each part. */
  readonly width: number
}

interface Patch {
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyMap<ValueId, Tensor>
}

/** What a layer takes as it is and in parts, for some numbers of rows and threads. */
type Times = ReadonlyArray<readonly [before: number, after: number]>

const isFaster = (times: Times): boolean =>
  times.every(([before, after]) => after <= mostTime * before && before - after >= leastSaved)

/** What part of its time a layer takes in parts, where that gains least. */
const shareOf = (times: Times): number => times.reduce((most, [before, after]) => Math.max(most, after / before), 0)

/** The rows of a product whose input is `[..., inputs]`. */
const rowsOf = (shape: Shape): ReadonlyArray<number> => {
  const leading = shape.slice(0, -1)
  const known = leading.reduce<number>((n, dim) => (isStatic(dim) ? n * dim : n), 1)
  return leading.every(isStatic) ? [known] : openRows.map((rows) => rows * known)
}

/** Whether it multiplies the last axis with a matrix on the right. */
const isProduct = ({ contraction: c, weight }: Reads, shape: Shape): boolean =>
  weight.shape.length === 2 && c.scale === 1 && c.axis === shape.length - 1

/** The fastest partition of a layer; undefined where none is faster than the layer. */
const candidateOf = (graph: Graph, node: Node, table: CostTable): Candidate | undefined => {
  if (isOpaque(node) || node.outputs.length !== 1) return undefined
  const ctx = contextOf(graph, node)
  const c = opOf(node).contraction?.(ctx)
  if (c?.groups !== 1 || c.grouped !== 'input') return undefined
  const reads = readsOfContraction(ctx, c)
  if (reads.weight.tag === 'Held') return undefined
  const shape = inputShape(ctx, c.port)
  if (shape === undefined) return undefined
  const work = contractionWork(ctx, c, reads.weight)
  if (work.kind === 'product' && !isProduct(reads, shape)) return undefined
  const timesOf = (plan: Plan): Times =>
    work.kind === 'convolution'
      ? [[convolutionTime(work, table), groupedTime(work, plan, table)]]
      : rowsOf(shape).flatMap((rows) =>
          threadCounts.map((threads): Times[number] => {
            const sizes = { rows, inputs: reads.inputs, outputs: reads.outputs, threads }
            return [productTime(sizes, table), batchTime(sizes, plan, table)]
          }),
        )
  let best: { readonly candidate: Candidate; readonly share: number } | undefined
  for (const partition of partitionsOf(reads.blocks)) {
    for (const width of widthsOf(partition, reads, work.kind === 'convolution' ? table.block : 1)) {
      const { inputs } = partsOf(reads.blocks, partition, width)
      const plan = {
        parts: partition.parts,
        inputs: width,
        isMovedBefore: !isWhole(inputs, reads.inputs),
        isMovedBehind: partition.order.outputs !== undefined,
      }
      const times = timesOf(plan)
      if (isFaster(times) && (best === undefined || shareOf(times) < best.share))
        best = { candidate: { node, reads, partition, width }, share: shareOf(times) }
    }
  }
  return best?.candidate
}

const widthsOf = ({ inputs }: Partition, reads: Reads, block: number): ReadonlyArray<number> => {
  const rounded = Math.ceil(inputs / block) * block
  return rounded === inputs || rounded > reads.inputs ? [inputs] : [inputs, rounded]
}

const isWhole = (which: Int32Array, count: number): boolean =>
  which.length === count && which.every((i, at) => i === at)

/** Nodes one after another, each of what the one before it makes. */
interface Chain {
  readonly value: () => ValueId
  readonly constant: (hint: string, tensor: Tensor) => ValueId
  readonly then: <A>(
    op: OpDef<string, A>,
    inputs: (value: ValueId) => ReadonlyArray<ValueId>,
    attrs?: Partial<A>,
    name?: string,
  ) => void
  readonly patch: () => Patch
}

const chainFrom = (x: ValueId, y: ValueId, names: Names): Chain => {
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>()
  let value = x
  return {
    value: () => value,
    constant: (hint, tensor) => {
      const name = names.fresh(hint)
      constants.set(name, tensor)
      return name
    },
    then: (op, inputs, attrs = {}, name = '') => {
      const made = names.fresh(`${y}_${op.name.toLowerCase()}`)
      nodes.push(makeNode(op, inputs(value), [made], attrs, name))
      value = made
    },
    patch: () => ({
      nodes: nodes.map((node, at) => (at === nodes.length - 1 ? { ...node, outputs: [y] } : node)),
      constants,
    }),
  }
}

/** `W[out_g[o], in_g[i]]` for all parts g, as `[parts, outputs, inputs]` or `[parts, inputs, outputs]`; made whenever it is read. */
const matricesOf = ({ contraction: c, weight }: Reads, parts: Parts, count: number, outputsFirst: boolean): Tensor => {
  const [ins, outs] = [parts.inputs.length / count, parts.outputs.length / count]
  const shape = outputsFirst ? [count, outs, ins] : [count, ins, outs]
  return reformed(placesFor(count), { dtype: weight.dtype, shape }, (rows, first) => {
    const made = new Float32Array(rows.length * ins * outs)
    for (let at = 0; at < rows.length; at++) {
      const g = first + at
      const columns = gather(weight, c.weightInputAxis, parts.inputs.subarray(g * ins, (g + 1) * ins))
      const values = elements(gather(columns, c.weightOutputAxis, parts.outputs.subarray(g * outs, (g + 1) * outs)))
      const [own, other] = c.weightOutputAxis === 0 ? [ins, 1] : [1, outs]
      for (let o = 0; o < outs; o++) {
        for (let i = 0; i < ins; i++) {
          made[at * ins * outs + (outputsFirst ? o * ins + i : i * outs + o)] = Number(values[o * own + i * other])
        }
      }
    }
    return encodeElements(weight.dtype, made)
  })
}

/** Kernels `[outputs, inputs of a part, ...]` in the order of the parts; made whenever they are read. */
const kernelsOf = ({ weight }: Reads, parts: Parts, count: number): Tensor => {
  const [ins, outs] = [parts.inputs.length / count, parts.outputs.length / count]
  const shape = [parts.outputs.length, ins, ...weight.shape.slice(2)]
  const each = sizeOf(shape.slice(1))
  return reformed(placesFor(parts.outputs.length), { dtype: weight.dtype, shape }, (rows, first) => {
    const made = new Float32Array(rows.length * each)
    for (let at = 0; at < rows.length; at++) {
      const g = Math.floor((first + at) / outs)
      const row = gather(weight, 0, parts.outputs.subarray(first + at, first + at + 1))
      const values = elements(gather(row, 1, parts.inputs.subarray(g * ins, (g + 1) * ins)))
      for (let k = 0; k < each; k++) made[at * each + k] = Number(values[k])
    }
    return encodeElements(weight.dtype, made)
  })
}

/** A byte for each row of what is made of another tensor. */
const placesFor = (rows: number): Tensor => dense('uint8', [rows], new Uint8Array(rows))

const indicesOf = (which: Int32Array): Tensor => int64s(Array.from(which))

/** Where each output lies among those of the parts. */
const inverse = (order: Int32Array): Int32Array => {
  const out = new Int32Array(order.length)
  order.forEach((o, at) => {
    out[o] = at
  })
  return out
}

const lower = (graph: Graph, candidate: Candidate, names: Names): E.Either<string, Patch> => {
  const { reads, partition, width } = candidate
  const { contraction: c, weight } = reads
  if (weight.dtype !== 'float32') return E.left(`how long products of ${weight.dtype} take is not known`)
  if (!c.payable || !Array.from({ length: reads.outputs }, (_, o) => c.bias(o)).every((bias) => bias !== undefined))
    return E.left('its bias is not a constant for each channel')
  const parts = partsOf(reads.blocks, partition, width)
  return weight.shape.length === 2 ? batch(graph, candidate, parts, names) : inGroups(candidate, parts, names)
}

const inGroups = ({ node, reads, partition }: Candidate, parts: Parts, names: Names): E.Either<string, Patch> => {
  const { contraction: c } = reads
  const [x = '', y = ''] = [node.inputs[c.port], node.outputs[0]]
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>()
  const moved = (value: ValueId, which: Int32Array, to: ValueId): void => {
    const index = names.fresh(`${to}_index`)
    constants.set(index, indicesOf(which))
    nodes.push(makeNode(Gather, [value, index], [to], { axis: 1 }))
  }
  const from = isWhole(parts.inputs, reads.inputs) ? x : names.fresh(`${x}_blocks`)
  const { outputs } = partition.order
  const made = outputs === undefined ? y : names.fresh(`${y}_blocks`)
  if (from !== x) moved(x, parts.inputs, from)
  const naming: Naming = { fresh: names.fresh, rename: (_port, hint) => names.fresh(hint) }
  const rebuilt = c.rebuild(
    {
      node: { inputs: node.inputs.map((name, port) => (port === c.port ? from : name)), outputs: [made] },
      weight: kernelsOf(reads, parts, partition.parts),
      groups: partition.parts,
      ...(outputs === undefined ? {} : { outputs }),
    },
    naming,
  )
  if (E.isLeft(rebuilt)) return rebuilt
  nodes.push(...rebuilt.right.nodes)
  for (const [name, tensor] of rebuilt.right.constants) constants.set(name, tensor)
  if (outputs !== undefined) moved(made, inverse(outputs), y)
  return E.right({ nodes, constants })
}

const batch = (
  graph: Graph,
  { node, reads, partition }: Candidate,
  parts: Parts,
  names: Names,
): E.Either<string, Patch> => {
  const { contraction: c, inputs, outputs } = reads
  const [x = '', y = ''] = [node.inputs[c.port], node.outputs[0]]
  const ctx = contextOf(graph, node)
  const shape = inputShape(ctx, c.port) ?? []
  const leading = shape.slice(0, -1).map((dim) => (isStatic(dim) ? dim : -1))
  if (leading.filter((size) => size < 0).length > 1) return E.left('more than one of the sizes of its rows is open')
  const rows = leading.includes(-1) ? -1 : leading.reduce((n, size) => n * size, 1)
  const { parts: count, order } = partition
  const chain = chainFrom(x, y, names)
  const weightName = node.inputs[c.weightPort] ?? ''
  const sized = (...sizes: ReadonlyArray<number>): void => {
    chain.then(Reshape, (value) => [value, chain.constant(`${y}_shape`, int64s(sizes))])
  }
  const moved = (which: Int32Array, axis: number): void => {
    chain.then(Gather, (value) => [value, chain.constant(`${y}_index`, indicesOf(which))], { axis })
  }
  const turned = (): void => {
    chain.then(Transpose, (value) => [value], { perm: [1, 0] })
  }
  const isOneRow = rows === 1
  const weight = chain.constant(`${weightName}_blocks`, matricesOf(reads, parts, count, !isOneRow))
  const ins = parts.inputs.length / count
  if (isOneRow) {
    if (!isWhole(parts.inputs, inputs)) moved(parts.inputs, shape.length - 1)
    sized(count, 1, ins)
    chain.then(MatMul, (value) => [value, weight], {}, node.name)
    sized(...leading, outputs)
    if (order.outputs !== undefined) moved(inverse(order.outputs), shape.length - 1)
  } else {
    if (shape.length > 2) sized(rows, inputs)
    turned()
    if (!isWhole(parts.inputs, inputs)) moved(parts.inputs, 0)
    sized(count, ins, rows)
    chain.then(MatMul, (value) => [weight, value], {}, node.name)
    sized(outputs, rows)
    if (order.outputs !== undefined) moved(inverse(order.outputs), 0)
    turned()
    if (shape.length > 2) sized(...leading, outputs)
  }
  const biases = Float64Array.from({ length: outputs }, (_, o) => c.bias(o) ?? NaN)
  if (biases.some((bias) => bias !== 0)) {
    const bias = chain.constant(`${y}_bias`, tensorOf('float32', [outputs], biases))
    chain.then(Add, (value) => [value, bias])
  }
  return E.right(chain.patch())
}

/** What each layer that is faster in parts becomes, or why it must not. */
type Patches = ReadonlyMap<Node, E.Either<string, Patch>>

const findPatches = (graph: Graph, table: CostTable): Patches => {
  const names = namesFor(graph)
  const out = new Map<Node, E.Either<string, Patch>>()
  for (const node of graph.nodes) {
    const candidate = candidateOf(graph, node, table)
    if (candidate === undefined) continue
    const patch = lower(graph, candidate, names)
    const isKnown = E.isLeft(patch) || patch.right.nodes.every((made) => isOfOpset(made, graph.opsets))
    if (isKnown) out.set(node, patch)
  }
  return out
}

const apply = (graph: Graph, patches: Patches): Graph => {
  const constants = new Map<ValueId, Tensor>(graph.constants)
  let isChanged = false
  const nodes = graph.nodes.flatMap((node) => {
    const patch = patches.get(node)
    if (patch === undefined || E.isLeft(patch)) return [node]
    isChanged = true
    for (const [name, tensor] of patch.right.constants) constants.set(name, tensor)
    return patch.right.nodes
  })
  return isChanged ? withParts(graph, { nodes, constants }) : graph
}

/** Nanoseconds of a graph of the sizes that reports count for; undefined where they are not known. */
const timeOf = (graph: Graph, table: CostTable): number | undefined => {
  const bound = bindInputs(graph, new Map())
  return graphTime(E.isRight(bound) ? bound.right.graph : graph, table)
}

/**
 * A layer of which the weight is zero outside of blocks, as products of the blocks alone:
 *
 *     y[out_g] = W[out_g, in_g] x[in_g] + b[out_g]   for parts g of equally many outputs and inputs
 *
 * A product of matrices becomes a batch of products over channels that are rows meanwhile, a convolution one in groups. Channels are
 * put in the order of the parts in front and back behind, where that is another one. Each output is the sum over the same live
 * weights as before. What it no longer reads are products with 0, which are 0, or not finite where what is read is not.
 *
 * It is done where a table of costs says that the layer takes a fifth less, on one thread and on several and for any number of rows
 * where these are open, and the whole graph less than before. Guards: float32, of which times are known; one group; the bias is
 * constant; no weight that is held as integers; the weight is a matrix on the right or the kernels of a Conv.
 */
export const splitBlocks = ({ target, costs, planWidths = true }: EliminationOptions): Pass => {
  const table = planWidths ? costsOf(target, costs) : undefined
  // Refusals are asked for of the graph that the pass has seen last.
  let last: { readonly graph: Graph; readonly patches: Patches } | undefined
  const patchesOf = (graph: Graph): Patches => {
    if (last?.graph !== graph) last = { graph, patches: table === undefined ? new Map() : findPatches(graph, table) }
    return last.patches
  }
  return {
    name: 'split-blocks',
    refusals: (graph) =>
      [...patchesOf(graph)].flatMap(([node, patch]) =>
        E.isLeft(patch) ? [{ node: labelOf(node), reason: patch.left }] : [],
      ),
    run: (graph) => {
      if (table === undefined) return E.right(graph)
      const next = apply(graph, patchesOf(graph))
      if (next === graph) return E.right(graph)
      const [before, after] = [timeOf(graph, table), timeOf(next, table)]
      return E.right(before !== undefined && after !== undefined && after < before ? next : graph)
    },
  }
}
