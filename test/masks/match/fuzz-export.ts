/** Random exporters: from a network to a graph, and from where each constant's elements are. */
import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../../src/ir/dtype.ts'
import { type Graph, makeGraph } from '../../../src/ir/graph.ts'
import type { Node } from '../../../src/ir/op.ts'
import * as ops from '../../../src/ir/ops/index.ts'
import { makeNode } from '../../../src/ir/make-node.ts'
import { int64s, type Tensor, tensorOf } from '../../../src/ir/tensor.ts'
import { type Shape, tensorType } from '../../../src/ir/type.ts'
import { encode } from '../../../src/onnx/codec.ts'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
} from '../../../src/onnx/onnx_pb.ts'
import {
  type Dice,
  type Module,
  type Network,
  type Param,
  permute,
  range,
  reshape,
  rows,
  sizeOf,
  stack,
  tokensOf,
  type View,
} from './fuzz-network.ts'

export type NodeStyle = 'torchscript' | 'dynamo' | 'numbered' | 'none'
export type NameStyle = 'faithful' | 'kept' | 'anonymous' | 'lying'

export interface Style {
  readonly nodes: NodeStyle
  readonly names: NameStyle
  /** Tokens that names of the graph lack, and that they have more. */
  readonly dropped: ReadonlyArray<string>
  readonly added: ReadonlyArray<string>
  readonly turn: 'always' | 'never' | 'mixed'
  readonly foldNorms: boolean
  readonly fuse: 'no' | 'concatenated' | 'interleaved'
  readonly split: 'no' | 'three' | 'two' | 'graph' | 'three shuffled'
  readonly merge: 'no' | 'identity' | 'direct'
  readonly shuffleNodes: boolean
  readonly dtype: DType
  readonly zeros: boolean
}

/** A parameter read by a node: the node's first output, the port, and where its elements come from. */
export interface Reader {
  readonly output: string
  readonly port: number
  readonly view: View
}

export interface Exported {
  readonly graph: Graph
  readonly readers: ReadonlyArray<Reader>
  /** The same readers as the names of the constants say, where these lie or a merged constant bears one of several. */
  readonly byWord: ReadonlyArray<Reader> | undefined
  readonly exported: ReadonlySet<Param>
  /** Parameters whose numbers went into others. */
  readonly lost: ReadonlySet<Param>
  /** Square weights that kept their names and were turned, and how they lay before. */
  readonly deceptive: ReadonlyMap<View, { readonly param: Param; readonly before: View }>
  /** Other weights that kept their names and were turned. */
  readonly turned: ReadonlySet<Param>
  readonly fused: boolean
  readonly merged: boolean
}

interface Held {
  name: string
  readonly view: View
  readonly tensor: Tensor
  /** The parameter whose name it bears. */
  readonly named: Param | undefined
}

interface Group {
  readonly nodes: Node[]
}

const startsWith = (tokens: ReadonlyArray<string>, prefix: ReadonlyArray<string>): boolean =>
  prefix.every((token, i) => tokens[i] === token)

export const isExported = (path: ReadonlyArray<string>, style: Style): boolean => startsWith(path, style.dropped)

/** TorchScript's `/layer1/layer1.0/conv1`. */
const slashed = (path: ReadonlyArray<string>, list: boolean): string => {
  const out: string[] = []
  for (const token of path) {
    const before = out.at(-1)
    if (/^\d+$/.test(token) && before !== undefined) {
      if (list && !/\d$/.test(before)) out.pop()
      out.push(`${before}.${token}`)
    } else out.push(token)
  }
  return out.map((part) => `/${part}`).join('')
}

const pythonList = (items: ReadonlyArray<string>): string => `[${items.map((item) => `'${item}'`).join(', ')}]`

const metadata = (entries: Readonly<Record<string, string>>) =>
  Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }))

/** `p_layers_0_fc_weight`. */
const placeholder = (name: string): string => `p_${name.replaceAll('.', '_')}`

interface Spec {
  readonly param: Param | undefined
  readonly view: View
  readonly scale?: Float64Array
  /** Whether an exporter computes it: then its name is lost. */
  readonly computed: boolean
  readonly op: string
}

/** Whether a weight's rows are long enough to be known by their numbers, along whichever of two axes. */
export const tells = ({ shape }: Pick<View, 'shape'>): boolean =>
  shape.filter((d) => d > 1).length > 1 && sizeOf(shape.slice(1)) >= 4 && sizeOf(shape) / (shape[1] ?? 1) >= 4

export const exportNetwork = (net: Network, style: Style, kept: Uint8Array, dice: Dice): Exported => {
  const held: Held[] = []
  const groups: Group[] = []
  const readers: Reader[] = []
  const inputs: Record<string, Shape> = {}
  const exported = new Set<Param>()
  const lost = new Set<Param>()
  const counts = new Map<string, number>()
  const taken = new Set<string>()
  const integers: Record<string, Tensor> = {}
  const indices: string[] = []
  let [number, fused, merged] = [dice.between(1, 90), false, false]
  const deceptive = new Map<View, { readonly param: Param; readonly before: View }>()
  const turned = new Set<Param>()
  const list = dice.chance(0.3)
  const fresh = (): number => (number += dice.between(1, 3))
  const pathIn = (path: ReadonlyArray<string>): ReadonlyArray<string> => [
    ...style.added,
    ...path.slice(style.dropped.length),
  ]
  const nameIn = (param: Param): string => pathIn(tokensOf(param)).join('.')
  const nameFor = ({ param, computed, op }: Spec): string => {
    const own = param && nameIn(param)
    const made = (): string =>
      style.names === 'anonymous'
        ? dice.pick([`w_${fresh()}`, `Initializer_${fresh()}`])
        : style.nodes === 'dynamo'
          ? `val_${fresh()}`
          : `onnx::${op}_${fresh()}`
    if (own === undefined || style.names === 'anonymous') return made()
    if (style.names === 'faithful' && computed) return made()
    return taken.has(own) ? `${own}_${fresh()}` : own
  }
  const constant = (spec: Spec): Held => {
    const values = Float64Array.from(spec.view.index, (from, i) => {
      const value = from < 0 ? dice.normal() : (net.values[from] ?? 0)
      return (style.zeros && from >= 0 && kept[from] === 0 ? 0 : value) * (spec.scale?.[i] ?? 1)
    })
    const name = nameFor(spec)
    taken.add(name)
    const own = spec.param !== undefined && name === nameIn(spec.param) ? spec.param : undefined
    const one = { name, view: spec.view, tensor: tensorOf(style.dtype, spec.view.shape, values), named: own }
    held.push(one)
    if (spec.param !== undefined) exported.add(spec.param)
    return one
  }
  const input = (shape: Shape): string => {
    const name = `x${Object.keys(inputs).length}`
    inputs[name] = shape
    return name
  }
  const nodeName = (path: ReadonlyArray<string>, op: string): string => {
    if (style.nodes === 'none') return ''
    if (style.nodes === 'numbered') return `${op}_${fresh()}`
    if (style.nodes === 'dynamo') return `node_${op}_${fresh()}`
    const base = `${slashed(path, list)}/${op}`
    const count = counts.get(base) ?? 0
    counts.set(base, count + 1)
    return count === 0 ? base : `${base}_${count}`
  }
  const meta = (
    path: ReadonlyArray<string>,
    module: string,
    params: ReadonlyArray<Param>,
  ): { readonly meta?: Uint8Array } => {
    if (style.nodes !== 'dynamo') return {}
    const scopes = ['', ...path.map((_, i) => path.slice(0, i + 1).join('.')), `op_${fresh()}`]
    const classes = ['test.Model', ...path.slice(0, -1).map(() => 'torch.nn.modules.container.Sequential'), module]
    const args = params.map((param) => `%${placeholder(nameIn(param))}`).join(', ')
    return {
      meta: encode(
        NodeProtoSchema,
        create(NodeProtoSchema, {
          metadataProps: metadata({
            'pkg.torch.onnx.name_scopes': pythonList(scopes),
            'pkg.torch.onnx.class_hierarchy': pythonList([...classes.slice(0, path.length + 1), 'aten.op']),
            'pkg.torch.onnx.fx_node': `%op : [num_users=1] = call_function[target=torch.ops.aten.op](args = (%x, ${args}), kwargs = {})`,
          }),
        }),
      ),
    }
  }
  let values = 0
  const value = (): string => `y${values++}`
  const reads = (output: string, port: number, one: Held): void => {
    readers.push({ output, port, view: one.view })
  }
  /** A matrix product by `view[out, in]`, or by `view[in, out]` of a Conv1D. */
  const product = (
    group: Group,
    x: string | undefined,
    path: ReadonlyArray<string>,
    param: Param | undefined,
    view: View,
    options: {
      readonly flat: boolean
      readonly keep?: boolean
      readonly bias: Param | undefined
      readonly module: string
      readonly params: ReadonlyArray<Param>
    },
    shared?: Held,
  ): Held => {
    const outputsFirst = param?.kind !== 'conv1d'
    const turn =
      outputsFirst &&
      options.keep !== true &&
      (style.turn === 'always' || (style.turn === 'mixed' && (!options.flat || options.bias === undefined)))
    const laid = turn ? permute(view, [1, 0]) : view
    const matrix = outputsFirst === turn // [in, out]
    const op = turn && !(options.flat && options.bias !== undefined) ? 'MatMul' : options.flat ? 'Gemm' : 'MatMul'
    const weight = shared ?? constant({ param, view: laid, computed: turn, op })
    if (turn && param !== undefined && weight.named === param) {
      if (laid.shape[0] === laid.shape[1]) deceptive.set(laid, { param, before: view })
      else turned.add(param)
    }
    const from =
      x ?? input(op === 'Gemm' ? ['N', laid.shape[matrix ? 0 : 1] ?? 1] : ['N', 'T', laid.shape[matrix ? 0 : 1] ?? 1])
    const y = value()
    const from2 = meta(pathIn(path), options.module, options.params)
    if (op === 'Gemm') {
      const bias = options.bias && constant({ param: options.bias, view: options.bias.view, computed: false, op })
      const node = makeNode(
        ops.Gemm,
        [from, weight.name, ...(bias ? [bias.name] : [])],
        [y],
        { transB: matrix ? 0 : 1 },
        nodeName(pathIn(path), op),
      )
      group.nodes.push({ ...node, ...from2 })
      if (bias) reads(y, 2, bias)
      reads(y, 1, weight)
      return weight
    }
    let second = weight.name
    if (!matrix) {
      // Not folded: a Transpose reads the weight.
      second = value()
      group.nodes.push({
        ...makeNode(ops.Transpose, [weight.name], [second], { perm: [1, 0] }, nodeName(pathIn(path), 'Transpose')),
        ...from2,
      })
      reads(second, 0, weight)
    } else reads(y, 1, weight)
    group.nodes.push({ ...makeNode(ops.MatMul, [from, second], [y], {}, nodeName(pathIn(path), op)), ...from2 })
    const { bias } = options
    if (bias !== undefined) {
      const added = constant({ param: bias, view: bias.view, computed: false, op: 'Add' })
      const z = value()
      group.nodes.push({ ...makeNode(ops.Add, [added.name, y], [z], {}, nodeName(pathIn(path), 'Add')), ...from2 })
      reads(z, 0, added)
    }
    return weight
  }
  const linearClass = 'torch.nn.modules.linear.Linear'
  const emit = (module: Module): void => {
    const group: Group = { nodes: [] }
    groups.push(group)
    const { path } = module
    switch (module.kind) {
      case 'conv':
      case 'transpose': {
        const { weight, bias, norm } = module
        const { shape } = weight.view
        const [a = 1, b = 1, k = 1] = shape
        const outputs = module.kind === 'conv' ? a : b * weight.groups
        const fold = norm !== undefined && style.foldNorms
        const scales = Float64Array.from({ length: outputs }, () =>
          fold ? (0.3 + dice.below(1000) / 500) * (dice.chance(0.1) ? -1 : 1) : 1,
        )
        const scale = Float64Array.from(weight.view.index, (_, i) => scales[Math.floor(i / (b * k * k))] ?? 1)
        const op = module.kind === 'conv' ? 'Conv' : 'ConvTranspose'
        const spec = { param: weight, view: weight.view, op, computed: fold && style.nodes !== 'dynamo' }
        const one = constant(fold && module.kind === 'conv' ? { ...spec, scale } : spec)
        const y = value()
        const ports = [input(['N', (module.kind === 'conv' ? b : a / weight.groups) * weight.groups, 8, 8]), one.name]
        if (fold) {
          const outcome = constant({
            param: undefined,
            view: { shape: [outputs], index: new Int32Array(outputs).fill(-1) },
            computed: true,
            op,
          })
          ports.push(outcome.name)
          for (const param of [norm.weight, norm.bias, ...(bias ? [bias] : [])]) lost.add(param)
        } else if (bias !== undefined) {
          const own = constant({ param: bias, view: bias.view, computed: false, op })
          ports.push(own.name)
          reads(y, 2, own)
        }
        const where = fold && style.nodes === 'dynamo' ? norm.path : path
        const kind =
          fold && style.nodes === 'dynamo' ? 'torch.nn.modules.batchnorm.BatchNorm2d' : 'torch.nn.modules.conv.Conv2d'
        const attrs = { group: weight.groups, kernel_shape: [k, k] }
        const name = nodeName(pathIn(where), op)
        const node =
          module.kind === 'conv'
            ? makeNode(ops.Conv, ports, [y], attrs, name)
            : makeNode(ops.ConvTranspose, ports, [y], attrs, name)
        group.nodes.push({ ...node, ...meta(pathIn(where), kind, fold ? [] : [weight, ...(bias ? [bias] : [])]) })
        reads(y, 1, one)
        if (norm !== undefined && !fold) {
          const made = [norm.weight, norm.bias].map((param) =>
            constant({ param, view: param.view, computed: false, op: 'BatchNormalization' }),
          )
          const still = range(0, 2).map(() =>
            constant({
              param: undefined,
              view: { shape: [outputs], index: new Int32Array(outputs).fill(-1) },
              computed: true,
              op: 'BatchNormalization',
            }),
          )
          const z = value()
          const bn = makeNode(
            ops.BatchNormalization,
            [y, ...[...made, ...still].map((c) => c.name)],
            [z],
            {},
            nodeName(pathIn(norm.path), 'BatchNormalization'),
          )
          group.nodes.push({
            ...bn,
            ...meta(pathIn(norm.path), 'torch.nn.modules.batchnorm.BatchNorm2d', [norm.weight, norm.bias]),
          })
          for (const [i, c] of made.entries()) reads(z, 1 + i, c)
        }
        return
      }
      case 'linear':
      case 'conv1d':
      case 'matrix': {
        const { weight, bias } = module
        const kind =
          module.kind === 'linear'
            ? linearClass
            : module.kind === 'conv1d'
              ? 'transformers.pytorch_utils.Conv1D'
              : 'test.Owner'
        const flat = dice.chance(0.5)
        const options = { flat, bias, module: kind, params: [weight, ...(bias ? [bias] : [])] }
        const calls = module.kind === 'linear' ? module.calls : 1
        if (calls === 1) {
          product(group, undefined, path, weight, weight.view, options)
          return
        }
        const drawn = dice.pick(['one', 'copy', 'identity'])
        // A copy says whose it is only where an exporter names its module.
        const told =
          style.nodes === 'dynamo' &&
          (style.names === 'anonymous' || (style.names === 'faithful' && style.turn === 'always'))
        const way = drawn === 'copy' && !told ? 'one' : drawn
        const plain = { ...options, bias: undefined, params: [weight], flat: false }
        const first = product(group, undefined, path, weight, weight.view, plain)
        const again = style.nodes === 'torchscript' ? [...path.slice(0, -1), `${path.at(-1) ?? ''}_1`] : path
        const second: Group = { nodes: [] }
        groups.push(second)
        if (way === 'copy') product(second, undefined, again, weight, weight.view, plain)
        else if (way === 'one') product(second, undefined, again, weight, weight.view, plain, first)
        else {
          const name = style.nodes === 'torchscript' ? `onnx::MatMul_${fresh()}` : value()
          group.nodes.unshift(
            makeNode(
              ops.Identity,
              [first.name],
              [name],
              {},
              style.nodes === 'torchscript' ? `Identity_${fresh()}` : '',
            ),
          )
          product(group, undefined, again, weight, weight.view, plain, { ...first, name })
        }
        return
      }
      case 'embedding': {
        const one = constant({ param: module.weight, view: module.weight.view, computed: false, op: 'Gather' })
        const y = value()
        const ids = `ids${fresh()}`
        indices.push(ids)
        const node = makeNode(ops.Gather, [one.name, ids], [y], { axis: 0 }, nodeName(pathIn(path), 'Gather'))
        group.nodes.push({ ...node, ...meta(pathIn(path), 'torch.nn.modules.sparse.Embedding', [module.weight]) })
        reads(y, 0, one)
        return
      }
      case 'attention': {
        const { packed, out } = module
        const e = packed.view.shape[1] ?? 1
        const cut =
          style.split === 'two' ? [0, e, 3 * e] : style.split.startsWith('three') ? [0, e, 2 * e, 3 * e] : [0, 3 * e]
        const kind = 'torch.nn.modules.activation.MultiheadAttention'
        if (style.split === 'graph') {
          const one = constant({ param: packed, view: packed.view, computed: false, op: 'Split' })
          const outs = [value(), value(), value()]
          const from = meta(pathIn(path), kind, [packed])
          group.nodes.push({
            ...makeNode(ops.Split, [one.name], outs, { axis: 0, num_outputs: 3 }, nodeName(pathIn(path), 'Split')),
            ...from,
          })
          reads(outs[0] ?? '', 0, one)
          for (const part of outs) {
            const [t, y] = [value(), value()]
            group.nodes.push({
              ...makeNode(ops.Transpose, [part], [t], { perm: [1, 0] }, nodeName(pathIn(path), 'Transpose')),
              ...from,
            })
            group.nodes.push({
              ...makeNode(ops.MatMul, [input(['N', 'T', e]), t], [y], {}, nodeName(pathIn(path), 'MatMul')),
              ...from,
            })
          }
        } else {
          const parts = range(1, cut.length).map((i) => rows(packed.view, range(cut[i - 1] ?? 0, cut[i] ?? 0)))
          const made = parts.map((view) =>
            constant({
              param: parts.length === 1 ? packed : undefined,
              view: permute(view, [1, 0]),
              computed: true,
              op: 'MatMul',
            }),
          )
          exported.add(packed)
          if (made.length === 1 && made[0]?.named === packed) turned.add(packed)
          const nodes = made.map((one) => {
            const y = value()
            reads(y, 1, one)
            return {
              ...makeNode(ops.MatMul, [input(['N', 'T', e]), one.name], [y], {}, nodeName(pathIn(path), 'MatMul')),
              ...meta(pathIn(path), kind, []),
            }
          })
          group.nodes.push(...(style.split === 'three shuffled' ? dice.shuffled(nodes) : nodes))
        }
        const last: Group = { nodes: [] }
        groups.push(last)
        product(last, undefined, style.nodes === 'torchscript' ? path : out.path, out.weight, out.weight.view, {
          flat: true,
          // PyTorch's exporters leave it as it is.
          keep: style.names === 'faithful',
          bias: out.bias,
          module: linearClass,
          params: [out.weight],
        })
        return
      }
      case 'qkv': {
        const { parts, heads } = module
        const each = (parts[0]?.weight.view.shape[0] ?? 1) / heads
        if (style.fuse === 'no') {
          for (const part of parts) {
            const one: Group = { nodes: [] }
            groups.push(one)
            product(one, undefined, part.path, part.weight, part.weight.view, {
              flat: false,
              bias: undefined,
              module: linearClass,
              params: [part.weight],
            })
          }
          return
        }
        fused = true
        const view =
          style.fuse === 'concatenated'
            ? stack(parts.map((part) => part.weight.view))
            : stack(
                range(0, heads).flatMap((h) =>
                  parts.map((part) => rows(part.weight.view, range(h * each, (h + 1) * each))),
                ),
              )
        product(group, undefined, path, undefined, view, {
          flat: false,
          bias: undefined,
          module: 'test.Attention',
          params: [],
        })
        for (const part of parts) exported.add(part.weight)
        return
      }
      case 'recurrent': {
        const order = module.op === 'LSTM' ? [0, 3, 1, 2] : [1, 0, 2]
        let x: string | undefined
        for (const layer of module.layers) {
          const h = layer[0]?.wh.view.shape[1] ?? 1
          const gates = (view: View): View =>
            rows(
              view,
              order.flatMap((g) => range(g * h, (g + 1) * h)),
            )
          const whole = (views: ReadonlyArray<View>): View => {
            const all = stack(views)
            const [first = 1, ...rest] = all.shape
            return reshape(all, [views.length, first / views.length, ...rest])
          }
          const made = [
            whole(layer.map(({ wi }) => gates(wi.view))),
            whole(layer.map(({ wh }) => gates(wh.view))),
            whole(layer.map(({ bi, bh }) => stack([gates(bi.view), gates(bh.view)]))),
          ].map((view) => constant({ param: undefined, view, computed: true, op: module.op }))
          for (const params of layer) for (const param of Object.values(params)) exported.add(param)
          const y = value()
          const last = value()
          const inputs = layer[0]?.wi.view.shape[1] ?? 1
          const ports = [x ?? input(['T', 'N', inputs]), ...made.map((one) => one.name)]
          const attrs = { hidden_size: h, direction: layer.length === 2 ? 'bidirectional' : 'forward' } as const
          const name = nodeName(pathIn(path), module.op)
          const node =
            module.op === 'LSTM'
              ? makeNode(ops.LSTM, ports, [y, last], attrs, name)
              : makeNode(ops.GRU, ports, [y, last], attrs, name)
          group.nodes.push({ ...node, ...meta(pathIn(path), `torch.nn.modules.rnn.${module.op}`, []) })
          for (const [i, one] of made.entries()) reads(y, 1 + i, one)
          if (module.layers.length > 1) {
            const [back, next] = [value(), value()]
            const shape = `shape${fresh()}`
            integers[shape] = int64s([0, 0, h * layer.length])
            group.nodes.push({
              ...makeNode(ops.Transpose, [y], [back], { perm: [0, 2, 1, 3] }, nodeName(pathIn(path), 'Transpose')),
            })
            group.nodes.push({
              ...makeNode(ops.Reshape, [back, shape], [next], {}, nodeName(pathIn(path), 'Reshape')),
            })
            x = next
          }
        }
        return
      }
    }
  }
  for (const module of net.modules) if (isExported(module.path, style)) emit(module)

  // Names that lie: two constants of one shape change names.
  let byWord: Reader[] | undefined
  const renamed = new Map<string, string>()
  if (style.names === 'lying') {
    const named = dice.shuffled(
      held.filter(({ named, view: { shape } }) => named !== undefined && tells({ shape }) && shape[0] !== shape[1]),
    )
    const spoken = new Map<View, View>()
    for (const one of named) {
      const other = named.find(
        (two) => two !== one && two.view.shape.join() === one.view.shape.join() && !renamed.has(two.name),
      )
      if (other === undefined || renamed.has(one.name)) continue
      renamed.set(one.name, other.name)
      renamed.set(other.name, one.name)
      spoken.set(one.view, other.view)
      spoken.set(other.view, one.view)
    }
    if (renamed.size > 0)
      byWord = readers.map((reader) => ({ ...reader, view: spoken.get(reader.view) ?? reader.view }))
  }
  for (const one of held) one.name = renamed.get(one.name) ?? one.name
  const rename = (name: string): string => renamed.get(name) ?? name
  // A parameter stored again, or equal ones stored once.
  const twins = new Map<string, string>()
  const identities: Node[] = []
  if (style.merge !== 'no') {
    const known = new Map<string, Held>()
    for (const one of dice.shuffled(held)) {
      const key = `${one.tensor.shape.join()}:${one.tensor.tag === 'Dense' ? one.tensor.bytes.join() : ''}`
      const first = known.get(key)
      if (first === undefined) known.set(key, one)
      else twins.set(one.name, first.name)
    }
    merged = twins.size > 0
    if (style.merge === 'identity')
      for (const [name, root] of twins)
        identities.push(makeNode(ops.Identity, [root], [name], {}, style.nodes === 'none' ? '' : `Identity_${fresh()}`))
    else if (merged && (style.nodes === 'numbered' || style.nodes === 'none')) {
      // Nothing tells whose a merged constant is but its name: it may be taken for that parameter everywhere.
      const heldBy = new Map(held.map((one) => [one.view, one]))
      const spoken = held.map((one): [string, View] => [one.name, one.view])
      const views = new Map(spoken)
      byWord = (byWord ?? readers).map((reader) => {
        const one = heldBy.get(reader.view)
        const root = one && held.find((two) => two.name === twins.get(one.name))
        return root?.named === undefined ? reader : { ...reader, view: views.get(root.name) ?? reader.view }
      })
    }
  }
  const direct = style.merge === 'direct' ? twins : new Map<string, string>()
  const constants: Record<string, Tensor> = {}
  for (const one of style.shuffleNodes ? dice.shuffled(held) : held)
    if (!twins.has(one.name)) constants[one.name] = one.tensor
  const parts = style.shuffleNodes ? dice.shuffled(groups) : groups
  const renamedNodes = parts
    .flatMap((group) => group.nodes)
    .map((node) => ({ ...node, inputs: node.inputs.map((name) => direct.get(rename(name)) ?? rename(name)) }))
  const nodes = [...identities, ...renamedNodes]
  const used = new Set(nodes.flatMap((node) => node.inputs))
  const outputs = nodes.flatMap((node) => node.outputs.slice(0, 1)).filter((name) => !used.has(name))
  const signature = [...exported]
    .map((param) => `${placeholder(nameIn(param))}: PARAMETER target='${nameIn(param)}'`)
    .join('\n')
  const model =
    style.nodes !== 'dynamo'
      ? new Uint8Array()
      : encode(
          ModelProtoSchema,
          create(ModelProtoSchema, {
            graph: create(GraphProtoSchema, {
              metadataProps: metadata({ 'pkg.torch.export.ExportedProgram.graph_signature': signature }),
            }),
          }),
        )
  const made = makeGraph({
    name: 'exported',
    inputs: [
      ...Object.entries(inputs).map(([name, shape]) => ({ name, type: tensorType(style.dtype, shape) })),
      ...indices.map((name) => ({ name, type: tensorType('int64', ['N']) })),
    ],
    outputs: outputs.map((name) => ({ name, type: tensorType(style.dtype, undefined) })),
    nodes,
    constants: new Map(Object.entries({ ...constants, ...integers })),
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', 18]]),
    preserved: { irVersion: 8, model, uses: [] },
  })
  if (E.isLeft(made)) throw new Error(JSON.stringify(made.left))
  return { graph: made.right, readers, byWord, exported, lost, deceptive, turned, fused, merged }
}
