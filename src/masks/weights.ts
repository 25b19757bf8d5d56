/** The weights of a graph: under which names they can be called, and which layers read them. */
import { memoized, producersOf, usersOf } from '../ir/analysis.ts'
import type { DType } from '../ir/dtype.ts'
import { type Channels, channelsOf } from '../ir/families/contraction.ts'
import { isQuantized } from '../ir/families/quantization.ts'
import { contextOf, type Graph, readsOf, withParts } from '../ir/graph.ts'
import type { Contraction, Holding, IntegerOperand, Node, NodeContext, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { uniformValue } from '../ir/slices.ts'
import { type Held, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sizeOf, type ValueType } from '../ir/type.ts'
import { intersectMask, type Mask, type Masks } from './mask.ts'

/** A graph whose layers read their weights directly, and what every name of a weight stands for. */
export interface ResolvedWeights {
  /**
   * The graph, nodes that only produce a constant replaced by that constant, and readers of a renamed constant reading
   * the constant itself. For looking at only: it is not what gets compiled.
   */
  readonly graph: Graph
  /** The constant behind every name that stands for one: its own name, and those of identities on it, in graph order. */
  readonly rootOf: ReadonlyMap<ValueId, ValueId>
  /** The name that each identity on a constant passes on. */
  readonly sourceOf: ReadonlyMap<ValueId, ValueId>
}

/**
 * Exporters hide weights behind nodes without inputs that hold a constant and, where two initializers are equal, behind
 * nodes that pass on the other one; quantizers behind nodes that make them of integers, under whose name they can be masked too.
 * All are found by what their operators say, not by name.
 */
export const resolveWeights = memoized((graph): ResolvedWeights => {
  const constants = new Map(graph.constants)
  const rootOf = new Map<ValueId, ValueId>()
  const sourceOf = new Map<ValueId, ValueId>()
  for (const name of constants.keys()) rootOf.set(name, name)
  const nodes: Node[] = []
  let changed = false
  for (const node of graph.nodes) {
    const [output] = node.outputs
    const produced = constantOf(graph, node)
    if (produced !== undefined && output) {
      constants.set(output, produced)
      rootOf.set(output, output)
      changed = true
      continue
    }
    const held = opOf(node).hold?.(contextOf(graph, node))
    const [stored = ''] = node.inputs
    if (held !== undefined && output) {
      constants.set(output, held)
      rootOf.set(output, output)
      if (usersOf(graph).get(stored)?.length === 1) {
        rootOf.set(stored, output)
        sourceOf.set(output, stored)
      }
      changed = true
      continue
    }
    const inputs = node.inputs.map((name) => rootOf.get(name) ?? name)
    const same = inputs.every((name, i) => name === node.inputs[i])
    if (!same) changed = true
    nodes.push(same ? node : { ...node, inputs })
    const port = opOf(node).identity?.(contextOf(graph, node))
    const source = node.inputs[port ?? -1]
    const root = source === undefined ? undefined : rootOf.get(source)
    if (!output || source === undefined || root === undefined) continue
    rootOf.set(output, root)
    sourceOf.set(output, source)
  }
  return { graph: changed ? withParts(graph, { nodes, constants }) : graph, rootOf, sourceOf }
})

/** The tensor that a node without inputs and with one output always gives. */
const constantOf = (graph: Graph, node: Node): Tensor | undefined => {
  if (node.inputs.length > 0 || node.outputs.length !== 1) return undefined
  return opOf(node).evaluate?.(contextOf(graph, node), [])?.[0]
}

/** Masks by the constants that their names stand for: what all of them keep. */
export const masksByRoot = (graph: Graph, masks: Masks): ReadonlyMap<ValueId, Mask> => {
  const { rootOf } = resolveWeights(graph)
  const out = new Map<ValueId, Mask>()
  for (const [name, mask] of masks) {
    const root = rootOf.get(name) ?? name
    const known = out.get(root)
    out.set(root, known === undefined ? mask : intersectMask(known, mask))
  }
  return out
}

/** A layer: a node that sums over channels with a constant weight. */
export interface Layer extends Channels {
  readonly node: Node
  readonly contraction: Contraction
  /** The name of the constant that holds the weight. */
  readonly weight: ValueId
  readonly tensor: Tensor
}

/** The layers of a graph in graph order, their weights resolved. */
export const layersOf = memoized((original): ReadonlyArray<Layer> => {
  const { graph } = resolveWeights(original)
  const layers: Layer[] = []
  for (const node of graph.nodes) {
    const contraction = opOf(node).contraction?.(contextOf(graph, node))
    if (contraction === undefined) continue
    const weight = node.inputs[contraction.weightPort] ?? ''
    const tensor = contraction.weight ?? graph.constants.get(weight)
    if (tensor !== undefined) layers.push({ node, contraction, weight, tensor, ...channelsOf(tensor, contraction) })
  }
  return layers
})

/** The layers that read each weight. */
export const readersOfWeights = memoized((graph): ReadonlyMap<ValueId, ReadonlyArray<Layer>> => {
  const out = new Map<ValueId, Layer[]>()
  for (const layer of layersOf(graph)) {
    const readers = out.get(layer.weight)
    if (readers) readers.push(layer)
    else out.set(layer.weight, [layer])
  }
  return out
})

/** The weights that not all nodes which read them take for the same channels, or that are no weight for one of them. */
export const unevenlyRead = memoized((original): ReadonlySet<ValueId> => {
  const { graph, rootOf } = resolveWeights(original)
  const out = new Set<ValueId>()
  for (const { name } of graph.outputs) out.add(rootOf.get(name) ?? name)
  const layers = new Map(layersOf(original).map((layer) => [layer.node, layer]))
  for (const node of graph.nodes) {
    // What only gives a constant another name is looked at where that is read.
    if (node.outputs.some((output) => rootOf.has(output))) continue
    const layer = layers.get(node)
    const own = layer === undefined ? -1 : node.inputs.indexOf(layer.weight)
    const others = readsOf({ ...node, inputs: node.inputs.filter((_, port) => port !== own) })
    for (const name of others) out.add(rootOf.get(name) ?? name)
  }
  for (const [weight, [first, ...more]] of readersOfWeights(original)) {
    const isSame = more.every(
      ({ contraction: c, inputs, outputs }) =>
        inputs === first?.inputs &&
        outputs === first.outputs &&
        c.groups === first.contraction.groups &&
        c.weightInputAxis === first.contraction.weightInputAxis,
    )
    if (!isSame) out.add(weight)
  }
  return out
})

/** How nodes take the constants that they read as integers, by the names of these. */
export const holdingsOf = memoized((graph): ReadonlyMap<ValueId, ReadonlyArray<Holding>> => {
  const out = new Map<ValueId, Holding[]>()
  const enter = (name: ValueId, holding: Holding): void => {
    const known = out.get(name)
    if (known) known.push(holding)
    else out.set(name, [holding])
  }
  const { graph: resolved, rootOf } = resolveWeights(graph)
  for (const node of graph.nodes) {
    const [stored = ''] = node.inputs
    const held = opOf(node).hold?.(contextOf(graph, node))
    const root = rootOf.get(stored)
    if (held !== undefined && root !== undefined && !node.outputs.includes(root)) {
      enter(root, { held, store: (other) => other.stored })
    }
  }
  for (const node of resolved.nodes) {
    const ctx = contextOf(resolved, node)
    for (const operand of opOf(node).integers?.(ctx) ?? []) {
      for (const [name, holding] of holdingsBy(resolved, ctx, operand)) enter(name, holding)
    }
  }
  return out
})

/** How an operand of integers takes the constant on its port, or those that nodes make it of that leave its zero what it is. */
const holdingsBy = (
  graph: Graph,
  ctx: NodeContext<unknown>,
  { port, scale: scalePort, zero: zeroPort, axis, block, packed }: IntegerOperand,
): ReadonlyArray<readonly [name: ValueId, holding: Holding]> => {
  const { node } = ctx
  if (packed !== undefined) return [[node.inputs[port] ?? '', packed]]
  const [scale, zero] = [scalePort, zeroPort].map((at) => (at === undefined ? undefined : ctx.constant(at)))
  const isComputed = zero === undefined && zeroPort !== undefined && Boolean(node.inputs[zeroPort])
  const same = zero === undefined ? 0 : uniformValue(zero)
  const take = (stored: Tensor, isMoved: boolean): Holding => {
    const plain: Held = { tag: 'Held', dtype: 'float32', shape: stored.shape, stored, axis: axis ?? 0 }
    const fits = (part: Tensor | undefined): part is Tensor => {
      if (part === undefined) return false
      const count = sizeOf(part.shape)
      return count === 1 || (!isMoved && axis !== undefined && (block !== undefined || count === stored.shape[axis]))
    }
    const zeros = same !== undefined ? tensorOf(stored.dtype, [], [same]) : fits(zero) ? zero : undefined
    if (isComputed || zeros === undefined) return { held: plain, store: () => undefined }
    return { held: { ...plain, zero: zeros, block, ...(fits(scale) ? { scale } : {}) }, store: (other) => other.stored }
  }
  const [own = ''] = [node.inputs[port]]
  const found: Array<readonly [name: ValueId, holding: Holding]> = []
  const names = [own]
  const seen = new Set(names)
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const stored = graph.constants.get(name)
    if (stored !== undefined && isQuantized(stored.dtype)) found.push([name, take(stored, name !== own)])
    const maker = stored === undefined ? producersOf(graph).get(name) : undefined
    for (const source of maker === undefined ? [] : sourcesOf(graph, maker, same ?? 1)) {
      if (!seen.has(source)) names.push(source)
      seen.add(source)
    }
  }
  return found
}

/** The inputs of a node that have no zero of their own, and of which an integer `zero` that all of them hold stays what it is. */
const sourcesOf = (graph: Graph, node: Node, zero: number): ReadonlyArray<ValueId> => {
  const ctx = contextOf(graph, node)
  const { constant, integers } = opOf(node)
  const dtypeOf = (type: ValueType | undefined): DType | undefined => (type?.kind === 'tensor' ? type.dtype : undefined)
  const dtype = dtypeOf(ctx.outputs[0])
  const isSame = ctx.inputs.map((type) => dtype !== undefined && dtypeOf(type) === dtype)
  const slices = isSame.map((same) => (same ? zero : null))
  if (integers !== undefined || (constant !== 'copied' && constant?.(ctx, slices, 0, 0) !== zero)) return []
  return node.inputs.filter((_, port) => isSame[port])
}

/** The constant of a name as masks see it: what its integers stand for, in the shape that this has. */
export const maskable = (graph: Graph, root: ValueId): Tensor | undefined =>
  holdingsOf(graph).get(root)?.[0]?.held ?? resolveWeights(graph).graph.constants.get(root)

/**
 * How the blocks `W[i, j, ...]` of a layer's weight belong to its channels. The two channel axes are axes 0 and 1, in
 * either order; of a grouped weight one of them counts within a group.
 */
export interface BlockLayout {
  readonly rows: number
  readonly columns: number
  /** Elements of one block: the size of the kernel. */
  readonly block: number
  readonly outputOf: (row: number, column: number) => number
  readonly inputOf: (row: number, column: number) => number
}

export const blockLayout = (layer: Layer): BlockLayout => {
  const { contraction: c, tensor, inputsPerGroup, outputsPerGroup } = layer
  const [rows = 0, columns = 0, ...kernel] = tensor.shape
  const swapped = c.weightOutputAxis === 1
  // No tuples here: these run once for every weight of a matrix.
  const outputOf =
    c.grouped === 'input'
      ? (row: number, column: number): number => (swapped ? column : row)
      : (row: number, column: number): number =>
          swapped
            ? Math.floor(row / inputsPerGroup) * outputsPerGroup + column
            : Math.floor(column / inputsPerGroup) * outputsPerGroup + row
  const inputOf =
    c.grouped === 'output'
      ? (row: number, column: number): number => (swapped ? row : column)
      : (row: number, column: number): number =>
          swapped
            ? Math.floor(column / outputsPerGroup) * inputsPerGroup + row
            : Math.floor(row / outputsPerGroup) * inputsPerGroup + column
  return {
    rows,
    columns,
    block: kernel.reduce((n, d) => n * d, 1),
    outputOf,
    inputOf,
  }
}

/** The weights of each output channel in a row: by input channel, then along the kernel. */
export interface WeightRows {
  readonly rows: number
  /** Weights in a row. */
  readonly length: number
  /** Weights in a row for one input channel, next to each other. */
  readonly kernel: number
  /** Where a weight of a row lies in the tensor. */
  readonly indexOf: (row: number, place: number) => number
  /** The input channel that the weights of a row are multiplied with from place `kernel · i` on, for i = 0. The next follow. */
  readonly firstInput: (row: number) => number
}

export const weightRows = ({ contraction: c, tensor, outputs, inputsPerGroup, outputsPerGroup }: Layer): WeightRows => {
  const kernel = sizeOf(tensor.shape.slice(2))
  const columns = tensor.shape[1] ?? 0
  const isTransposed = c.weightOutputAxis === 1
  const firstInput = (row: number): number => Math.floor(row / outputsPerGroup) * inputsPerGroup
  return {
    rows: outputs,
    length: inputsPerGroup * kernel,
    kernel,
    firstInput,
    indexOf: (row, place) => {
      const input = Math.floor(place / kernel)
      const o = c.grouped === 'output' ? row % outputsPerGroup : row
      const i = c.grouped === 'output' ? firstInput(row) + input : input
      return (isTransposed ? i * columns + o : o * columns + i) * kernel + (place - input * kernel)
    },
  }
}
