/** The parameters of a graph as masks see them: which constants can be masked, what they are called, and who reads them. */
import { memoized } from '../../ir/analysis.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { isNumeric, type Tensor } from '../../ir/tensor.ts'
import { type Layer, layersOf, maskable, resolveWeights } from '../weights.ts'
import { type Origin, originOf, signatureOf } from './origin.ts'
import { isGenerated, isOffset, namesMask, parameterName, type ParameterName, sameTokens } from './parameter-name.ts'

export interface Read {
  /** The node of the graph, its inputs as the file has them. */
  readonly node: Node
  readonly port: number
  readonly origin: Origin | undefined
}

/**
 * One parameter of the exported program, as far as the graph tells: the readers of a constant that call it by one name
 * and come from one module. A constant has several where the exporter stored equal parameters once.
 */
export interface Slot {
  /** The constant that holds it. */
  readonly root: ValueId
  readonly tensor: Tensor
  /** The name its readers call it by: the constant's own, or that of an identity on it. */
  readonly alias: ValueId
  /** The names that identities pass on as `alias`, its own first. */
  readonly chain: ReadonlyArray<ValueId>
  readonly reads: ReadonlyArray<Read>
  /** The path of the module that reads it; undefined where the file does not say. */
  readonly path: ReadonlyArray<string> | undefined
  readonly module: string | undefined
  /** The layer whose weight it is, with its axes; undefined for tables, biases and what no layer reads. */
  readonly layer: Layer | undefined
  /** What it is called, unless the exporter made the name up or gave it the name of an equal parameter. */
  readonly name: ParameterName | undefined
  /** Whether the exporter made the constant's name up, as far as the file says. */
  readonly generated: boolean
  /** Whether its constant has the name of another parameter that was equal. */
  readonly borrowed: boolean
}

interface Draft extends Omit<Slot, 'name' | 'borrowed' | 'generated'> {
  readonly reads: Read[]
}

/** The slots of a graph, in the order in which its nodes read them; constants that no node reads come last. */
export const slotsOf = memoized((graph): ReadonlyArray<Slot> => {
  const { rootOf, sourceOf } = resolveWeights(graph)
  const layers = new Map<string, Layer>()
  for (const layer of layersOf(graph)) {
    layers.set(readKey(layer.node.outputs, layer.contraction.weightPort), layer)
  }
  const signature = signatureOf(graph)
  const drafts = new Map<string, Draft>()
  const enter = (alias: ValueId, read: Read | undefined): void => {
    const root = rootOf.get(alias)
    const tensor = root === undefined ? undefined : maskable(graph, root)
    if (root === undefined || tensor === undefined || !isNumeric(tensor.dtype)) return
    const layer = read && layers.get(readKey(read.node.outputs, read.port))
    const path = read?.origin?.path
    const key = JSON.stringify([alias, path])
    const known = drafts.get(key)
    if (known === undefined) {
      const module = read?.origin?.module
      drafts.set(key, {
        root,
        tensor,
        alias,
        chain: chainOf(alias, sourceOf),
        reads: read === undefined ? [] : [read],
        path,
        module,
        layer,
      })
    } else if (read !== undefined) {
      known.reads.push(read)
      if (known.layer === undefined && layer !== undefined) drafts.set(key, { ...known, layer })
    }
  }
  const read = new Set<ValueId>()
  for (const node of graph.nodes) {
    const passesOn = node.outputs.some((output) => sourceOf.has(output))
    const origin = originOf(node, signature)
    for (const [port, input] of node.inputs.entries()) {
      if (!rootOf.has(input)) continue
      if (passesOn) continue
      read.add(input)
      enter(input, { node, port, origin })
    }
  }
  for (const alias of rootOf.keys()) if (!read.has(alias)) enter(alias, undefined)
  const all = [...drafts.values()]
  // A name that only identities read stands for what reads them.
  const behind = (alias: ValueId): Layer | undefined =>
    all.find(({ chain, layer }) => layer && chain.includes(alias))?.layer
  return nameSlots(
    new Set(signature.values()),
    all.map((draft) => (draft.reads.length > 0 ? draft : { ...draft, layer: behind(draft.alias) })),
  )
})

const chainOf = (alias: ValueId, sourceOf: ReadonlyMap<ValueId, ValueId>): ReadonlyArray<ValueId> => {
  const chain = [alias]
  for (let name = sourceOf.get(alias); name !== undefined; name = sourceOf.get(name)) chain.push(name)
  return chain
}

const readKey = (outputs: ReadonlyArray<ValueId>, port: number): string => `${port} ${outputs[0] ?? ''}`

/**
 * Where readers of one name come from several modules, and one of these is the module that the name says, the others read a
 * parameter of their own that was equal when the model was exported. Where none is (a convolution into which a normalisation
 * was folded may bear the latter's path), the name holds.
 */
const nameSlots = (parameters: ReadonlySet<string>, drafts: ReadonlyArray<Draft>): ReadonlyArray<Slot> => {
  const owned = new Set<ValueId>()
  for (const draft of drafts) if (isOwner(draft)) owned.add(draft.alias)
  return drafts.map((draft) => {
    const borrowed = owned.has(draft.alias) && draft.path !== undefined && !isOwner(draft)
    const generated = isGenerated(draft.alias) || (parameters.size > 0 && !parameters.has(draft.alias))
    const lost = borrowed || generated || namesMask(draft.alias) || isFolded(draft)
    return { ...draft, borrowed, generated, name: lost ? nameByReader(draft) : parameterName(draft.alias) }
  })
}

/** The one parameter, but for biases, that the operation took whose weight this is. */
const nameByReader = ({ reads: [read], layer }: Draft): ParameterName | undefined => {
  const names = (layer === undefined ? [] : (read?.origin?.parameters ?? [])).map(parameterName)
  const [name, another] = names.filter((one) => !isOffset(one))
  return another === undefined ? name : undefined
}

/** A bias into which a normalisation was folded keeps its name, and holds something else. */
const isFolded = (draft: Draft): boolean =>
  draft.layer === undefined && draft.module !== undefined && /norm/i.test(draft.module) && !isOwner(draft)

/**
 * Whether the module that reads is the one that the name says, or one around it that uses its parameters itself; a layer into
 * which a normalisation was folded has the path of that, beside its own module.
 */
const isOwner = ({ alias, path, layer, module }: Draft): boolean => {
  const own = parameterName(alias).tokens.slice(0, -1)
  if (path === undefined) return false
  if (path.every((token, i) => token === own[i])) return true
  const isNorm = layer !== undefined && module !== undefined && /norm/i.test(module)
  return isNorm && sameTokens(path.slice(0, -1), own.slice(0, -1))
}

/** How messages name a slot: its constant, shape, and the nodes that read it. */
export const describeSlot = ({ alias, tensor, reads }: Slot): string => {
  const [first] = reads
  const more = reads.length > 1 ? ` and ${reads.length - 1} more` : ''
  const by = first === undefined ? '' : `, read by ${first.node.name === '' ? first.node.op : first.node.name}${more}`
  return `${alias} [${tensor.shape.join(',')}]${by}`
}

/** Whether a constant is one that people prune: the weight of a layer, or a matrix of a recurrence. */
export const isPrunable = (slot: Slot): boolean =>
  slot.tensor.shape.filter((d) => d > 1).length > 1 && (slot.layer !== undefined || isRecurrent(slot))

/** Whether a constant is a matrix of an LSTM, GRU or RNN. */
export const isRecurrent = (slot: Slot): boolean => recurrentPorts.has(roleOf(slot))

const recurrentPorts = new Set(['LSTM 1', 'LSTM 2', 'GRU 1', 'GRU 2', 'RNN 1', 'RNN 2'])

/** Operator and port of the first reader. */
export const roleOf = ({ reads: [first] }: Slot): string =>
  first === undefined ? '' : `${first.node.op} ${first.port}`

/** Whether the exporter says that it computed the constant of several parameters, or of one that it changed. */
export const isComputed = ({ name, reads: [read] }: Slot): boolean =>
  name === undefined && (read?.origin?.computed ?? false)

/** The slots of a graph by the constant that holds them. */
export const slotsByRoot = (graph: Graph): ReadonlyMap<ValueId, ReadonlyArray<Slot>> => {
  const out = new Map<ValueId, Slot[]>()
  for (const slot of slotsOf(graph)) {
    const known = out.get(slot.root)
    if (known) known.push(slot)
    else out.set(slot.root, [slot])
  }
  return out
}

/** PyTorch's older exporter writes `query_1` for the module query when it is called a second time. */
export const isCalledAgain = (path: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean => {
  const [a, b] = [path.at(-1) ?? '', other.at(-1) ?? '']
  const counts = (name: string, base: string): boolean =>
    name.startsWith(`${base}_`) && /^\d+$/.test(name.slice(base.length + 1))
  return sameTokens(path.slice(0, -1), other.slice(0, -1)) && (counts(a, b) || counts(b, a))
}

/** Whether rows are looked up in a constant. A lookup of all rows in their order is no node that reads: it passes them on. */
export const isTable = (slot: Slot): boolean => slot.reads.length === 0 || roleOf(slot) === 'Gather 0'
