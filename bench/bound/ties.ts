/**
 * Which channels go together, by the structure of a graph and nothing that the compiler thinks of it: a value has at most
 * one axis of channels, made by a convolution or matrix product and handed on by the operators that are listed here. What
 * is not listed pins the channels that it touches. Independent of `src/passes/channel-elimination` on purpose.
 */
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import type { Node, ValueId } from '../../src/ir/op.ts'
import { opOf } from '../../src/ir/registry.ts'
import { elements, integersOf, materialize, type Tensor } from '../../src/ir/tensor.ts'

/** A sum over channels with a constant weight. */
export interface Layer {
  readonly node: Node
  readonly input: ValueId
  readonly output: ValueId
  readonly inputs: number
  readonly outputs: number
  readonly groups: number
  /** Whether output `o` has a weight other than zero for input `i`, both counted over all groups. */
  readonly reads: (o: number, i: number) => boolean
  /** The axis of the input that is summed over, and of the output that is made, counted from the end for those that are last. */
  readonly axis: 1 | -1
  /** Multiply-accumulates of the whole layer but `fixed`. */
  readonly macs: number
  /** Multiply-accumulates that the layer takes however many inputs it reads. */
  readonly fixed: number
}

/** An axis of channels: which one, and how many there are. */
export interface Axis {
  readonly axis: number
  readonly size: number
}

/** Output index `o` of a value is made from input index `from[o]` of another. */
export interface Link {
  readonly node: Node
  readonly input: ValueId
  readonly output: ValueId
  readonly from: Int32Array
}

export interface Structure {
  readonly layers: ReadonlyArray<Layer>
  readonly axes: ReadonlyMap<ValueId, Axis>
  readonly links: ReadonlyArray<Link>
  /** Values whose channels all stay: inputs and outputs of the graph, and what an operator that is not listed touches. */
  readonly pinned: ReadonlySet<ValueId>
}

const shapeOf = (graph: Graph, value: ValueId): ReadonlyArray<number> => {
  const type = graph.types.get(value)
  return type?.kind === 'tensor' ? (type.shape ?? []).map((d) => (typeof d === 'number' ? d : 1)) : []
}

const product = (list: ReadonlyArray<number>): number => list.reduce((n, d) => n * d, 1)

/** Operators that compute every channel from the same channel of their operands, whatever the axis. */
const elementwise: ReadonlySet<string> = new Set([
  ...['Relu', 'LeakyRelu', 'Clip', 'Sigmoid', 'HardSwish', 'Erf', 'Add', 'Sub', 'Mul', 'Div', 'Identity'],
])

/** The same for axis 1. */
const spatial: ReadonlySet<string> = new Set([
  ...['BatchNormalization', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'ReduceMean'],
])

const numbers = (tensor: Tensor): ArrayLike<number | bigint> => elements(materialize(tensor))

const recurrent: ReadonlySet<string> = new Set(['LSTM', 'GRU', 'RNN'])

/** A recurrence of which all states are read: features may go, and units stay with what they multiply. */
const recurrentLayer = (graph: Graph, node: Node): Layer | undefined => {
  const ctx = contextOf(graph, node)
  const [weight, states] = [ctx.constant(1), ctx.constant(2)]
  const last = node.outputs.slice(1).some((name) => name !== '' && isRead(graph, name))
  if (weight === undefined || states === undefined || last) return undefined
  const [directions = 0, rows = 0, inputs = 0] = weight.shape
  const outputs = states.shape[2] ?? 0
  const values = numbers(weight)
  const columns = new Uint8Array(inputs)
  for (let i = 0; i < directions * rows * inputs; i++) if (Number(values[i]) !== 0) columns[i % inputs] = 1
  const macs = opOf(node).macs?.(ctx) ?? 0
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]]
  const fixed = (macs * outputs) / (inputs + outputs)
  const reads = (_: number, i: number): boolean => columns[i] === 1
  return { node, input, output, inputs, outputs, groups: 1, reads, axis: -1, macs: macs - fixed, fixed }
}

const isRead = (graph: Graph, name: ValueId): boolean =>
  graph.nodes.some(({ inputs }) => inputs.includes(name)) || graph.outputs.some((one) => one.name === name)

const layerOf = (graph: Graph, node: Node): Layer | undefined => {
  if (recurrent.has(node.op)) return recurrentLayer(graph, node)
  const ctx = contextOf(graph, node)
  const weight = ctx.constant(1)
  if (weight === undefined || !['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].includes(node.op)) return undefined
  const [first = 0, second = 0, ...kernel] = weight.shape
  const attrs = new Map(Object.entries(Object(node.attrs)))
  const groups = Number(attrs.get('group') ?? 1)
  const values = numbers(weight)
  const block = node.op === 'Conv' || node.op === 'ConvTranspose' ? product(kernel) : 1
  const nonZero = new Uint8Array(first * second)
  for (let i = 0; i < nonZero.length; i++) {
    for (let k = i * block; k < (i + 1) * block; k++) if (Number(values[k]) !== 0) nonZero[i] = 1
  }
  const rowsFirst = node.op === 'Conv' || (node.op === 'Gemm' && Number(attrs.get('transB')) === 1)
  if (weight.shape.length < 2 || (node.op === 'MatMul' && kernel.length > 0)) return undefined
  const outputs = node.op === 'ConvTranspose' ? second * groups : rowsFirst ? first : second
  const inputs = node.op === 'Conv' ? second * groups : rowsFirst ? second : first
  const [outsEach, insEach] = [outputs / groups, inputs / groups]
  const reads = (o: number, i: number): boolean => {
    if (Math.floor(o / outsEach) !== Math.floor(i / insEach)) return false
    if (node.op === 'Conv') return nonZero[o * second + (i % insEach)] === 1
    if (node.op === 'ConvTranspose') return nonZero[i * second + (o % outsEach)] === 1
    return nonZero[rowsFirst ? o * second + i : i * second + o] === 1
  }
  return {
    node,
    input: node.inputs[0] ?? '',
    output: node.outputs[0] ?? '',
    inputs,
    outputs,
    groups,
    reads,
    axis: node.op === 'MatMul' ? -1 : 1,
    macs: opOf(node).macs?.(ctx) ?? 0,
    fixed: 0,
  }
}

const same = (size: number): Int32Array => Int32Array.from({ length: size }, (_, i) => i)

/** Follows the channels through the graph. */
export const structureOf = (graph: Graph): Structure => {
  const layers: Layer[] = []
  const links: Link[] = []
  const axes = new Map<ValueId, Axis>()
  const pinned = new Set<ValueId>()
  const ranks = (value: ValueId): number => shapeOf(graph, value).length
  const isComputed = (value: ValueId): boolean => value !== '' && !graph.constants.has(value)
  const track = (value: ValueId, axis: number): void => {
    const size = shapeOf(graph, value)[axis]
    if (size !== undefined) axes.set(value, { axis, size })
  }
  for (const { name } of graph.inputs) {
    track(name, 1)
    pinned.add(name)
  }
  for (const node of graph.nodes) {
    const layer = layerOf(graph, node)
    const [output = ''] = node.outputs
    const computed = node.inputs.filter(isComputed)
    const [first = ''] = computed
    if (layer !== undefined) {
      layers.push(layer)
      const at = (value: ValueId): number => (layer.axis === 1 ? 1 : ranks(value) - 1)
      track(output, at(output))
      // Its units stay.
      if (layer.fixed > 0) pinned.add(output)
      const read = axes.get(layer.input)
      // An axis that is not the one summed over is mixed with everything.
      if (read?.axis !== at(layer.input)) {
        pinned.add(layer.input)
        axes.delete(layer.input)
      }
      continue
    }
    const made = linksOf(graph, node, output, computed, axes)
    if (made === undefined) for (const value of [...computed, ...node.outputs]) pinned.add(value)
    else {
      links.push(...made.links)
      axes.set(output, made.axis)
      // Operands without channels, or with others, stay.
      for (const value of computed) if (!made.links.some((l) => l.input === value)) pinned.add(value)
    }
    if (first === '') pinned.add(output)
  }
  for (const { name } of graph.outputs) pinned.add(name)
  return { layers, axes, links, pinned }
}

const linksOf = (
  graph: Graph,
  node: Node,
  output: ValueId,
  computed: ReadonlyArray<ValueId>,
  axes: ReadonlyMap<ValueId, Axis>,
): { readonly links: ReadonlyArray<Link>; readonly axis: Axis } | undefined => {
  const [x = ''] = computed
  const from = axes.get(x)
  const [shape, result] = [shapeOf(graph, x), shapeOf(graph, output)]
  if (from === undefined) return undefined
  const attrs = new Map(Object.entries(Object(node.attrs)))
  const link = (indices: Int32Array, axis = from.axis) => ({
    links: [{ node, input: x, output, from: indices }],
    axis: { axis, size: indices.length },
  })
  if (spatial.has(node.op)) return from.axis === 1 && result[1] === from.size ? link(same(from.size)) : undefined
  if (elementwise.has(node.op)) {
    const size = result[from.axis + result.length - shape.length] ?? 0
    const axis = from.axis + result.length - shape.length
    const linked = computed.flatMap((value): ReadonlyArray<Link> => {
      const own = axes.get(value)
      const at = own && own.axis + result.length - shapeOf(graph, value).length
      return own !== undefined && at === axis && own.size === size
        ? [{ node, input: value, output, from: same(size) }]
        : []
    })
    return linked.length === computed.length ? { links: linked, axis: { axis, size } } : undefined
  }
  if (node.op === 'Concat') {
    const axis = Number(attrs.get('axis'))
    if (axis !== from.axis || computed.length !== node.inputs.length) return undefined
    const size = result[axis] ?? 0
    let start = 0
    const out: Link[] = []
    for (const value of computed) {
      const own = axes.get(value)
      if (own === undefined || own.axis !== axis) return undefined
      const begin = start
      out.push({
        node,
        input: value,
        output,
        from: Int32Array.from({ length: size }, (_, i) => (i >= begin && i < begin + own.size ? i - begin : -1)),
      })
      start += own.size
    }
    return { links: out, axis: { axis, size } }
  }
  if (node.op === 'Gather') {
    const indices = graph.constants.get(node.inputs[1] ?? '')
    if (indices === undefined || Number(attrs.get('axis')) !== from.axis || indices.shape.length !== 1) return undefined
    return link(Int32Array.from(integersOf(indices) ?? []))
  }
  if (node.op === 'Slice') {
    const [starts, , sliced, steps] = [1, 2, 3, 4].map((port) => {
      const tensor = graph.constants.get(node.inputs[port] ?? '')
      return tensor && integersOf(tensor)
    })
    if (starts?.length !== 1 || sliced?.[0] !== from.axis) return undefined
    const step = steps?.[0] ?? 1
    const start = (starts[0] ?? 0) < 0 ? (starts[0] ?? 0) + from.size : (starts[0] ?? 0)
    return link(Int32Array.from({ length: result[from.axis] ?? 0 }, (_, i) => start + i * step))
  }
  if (node.op === 'Transpose') {
    const perm: unknown = attrs.get('perm')
    const axis = Array.isArray(perm) ? perm.indexOf(from.axis) : -1
    return axis < 0 ? undefined : link(same(from.size), axis)
  }
  if (node.op === 'Flatten' || node.op === 'Reshape' || node.op === 'Squeeze' || node.op === 'Unsqueeze') {
    // [..., C, ...] to [..., C · k, ...]: every index of the result belongs to one channel.
    const before = product(shape.slice(0, from.axis))
    const axis = result.findIndex((d, a) => d % from.size === 0 && product(result.slice(0, a)) === before)
    const each = (result[axis] ?? 0) / from.size
    const indices = Int32Array.from({ length: from.size * each }, (_, i) => Math.floor(i / each))
    return axis < 0 ? undefined : link(indices, axis)
  }
  if (node.op === 'DepthToSpace' && from.axis === 1) {
    const block = Number(attrs.get('blocksize')) ** 2
    const size = from.size / block
    // Made from `block` input channels each; the tie is made for all of them.
    const isDcr = attrs.get('mode') !== 'CRD'
    const links = Array.from({ length: block }, (_, j): Link => ({
      node,
      input: x,
      output,
      from: Int32Array.from({ length: size }, (_, c) => (isDcr ? j * size + c : c * block + j)),
    }))
    return { links, axis: { axis: 1, size } }
  }
  return undefined
}
