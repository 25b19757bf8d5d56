/** A LayersModel of TensorFlow.js: the configuration of a Keras model in JSON, and the weights of its layers. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../../ir/graph.ts'
import { isRecord } from '../../../ir/record.ts'
import { type Dim, tensorType, unknownDim } from '../../../ir/type.ts'
import type { ReadError } from '../../error.ts'
import { type Builder, newBuilder } from '../builder.ts'
import { invalid, shown, unsupported } from '../error.ts'
import type { Known, Operand } from '../operand.ts'
import { orderOf } from '../order.ts'
import type { Weights } from '../weights.ts'
import { configOf } from './config.ts'
import { layers } from './layers.ts'

type Json = Readonly<Record<string, unknown>>

interface Layer {
  readonly name: string
  readonly kind: string
  readonly config: Json
  readonly inbound: unknown
}

/** An output of one of the calls of a layer. */
interface Tensor {
  readonly layer: string
  readonly call: number
  readonly output: number
}

/** Layers and what they read; inputs are layers too. */
interface Network {
  readonly name: string
  readonly layers: ReadonlyMap<string, Layer>
  /** What each call of a layer reads, by `layer` and the number of the call. */
  readonly reads: ReadonlyMap<string, ReadonlyArray<Tensor>>
  readonly inputs: ReadonlyArray<Tensor>
  readonly outputs: ReadonlyArray<Tensor>
}

const keyOf = ({ layer, call }: Pick<Tensor, 'layer' | 'call'>): string => `${layer} ${call}`

const wholeModels: ReadonlySet<string> = new Set(['Sequential', 'Model', 'Functional'])

/** Models in one another, at most. */
const deepest = 16

const layerOf = (given: unknown): Layer | undefined => {
  if (!isRecord(given) || (!isRecord(given['config']) && !Array.isArray(given['config']))) return undefined
  const { class_name: kind, config, name, inbound_nodes: inbound } = given
  const own = isRecord(config) ? (config['name'] ?? name) : name
  if (typeof kind !== 'string' || typeof own !== 'string') return undefined
  return { name: own, kind, config: isRecord(config) ? config : { layers: config }, inbound }
}

/** `[layer, call, output]`, perhaps with arguments behind. */
const tensorOf = (given: unknown): Tensor | undefined => {
  if (!Array.isArray(given)) return undefined
  const [layer, call = 0, output = 0, more]: ReadonlyArray<unknown> = given
  if (typeof layer !== 'string' || typeof call !== 'number' || typeof output !== 'number') return undefined
  return isRecord(more) && Object.values(more).some((value) => value !== null) ? undefined : { layer, call, output }
}

/** One tensor, or a list of them. */
const tensorsOf = (given: unknown): ReadonlyArray<Tensor> | undefined => {
  if (!Array.isArray(given)) return undefined
  const list: ReadonlyArray<unknown> = typeof given[0] === 'string' ? [given] : given
  const tensors = list.map(tensorOf).filter((tensor) => tensor !== undefined)
  return tensors.length === list.length ? tensors : undefined
}

const broken = (name: string, found: unknown): E.Either<ReadError, never> =>
  E.left(unsupported(`layer ${name}`, shown(found)))

const networkOf = (kind: string, config: Json): E.Either<ReadError, Network> => {
  const name = typeof config['name'] === 'string' ? config['name'] : kind
  const given = config['layers']
  if (!Array.isArray(given)) return E.left(invalid(`model ${name}`, 'a list of layers', 'none'))
  const list: Layer[] = []
  const held = new Map<string, Layer>()
  for (const one of given) {
    const layer = layerOf(one)
    if (layer === undefined) return broken(name, one)
    if (held.has(layer.name)) return E.left(invalid(`layer ${layer.name}`, 'a name of its own', 'a second layer'))
    held.set(layer.name, layer)
    list.push(layer)
  }
  if (kind === 'Sequential') return sequential(name, list)
  const [inputs, outputs] = [tensorsOf(config['input_layers']), tensorsOf(config['output_layers'])]
  if (inputs === undefined || outputs === undefined || outputs.length === 0) {
    return E.left(invalid(`model ${name}`, 'input_layers and output_layers', 'none'))
  }
  const reads = new Map<string, ReadonlyArray<Tensor>>()
  for (const layer of list) {
    const calls: ReadonlyArray<unknown> = Array.isArray(layer.inbound) ? layer.inbound : []
    for (const [call, read] of calls.entries()) {
      const tensors = tensorsOf(read)
      if (tensors === undefined) return broken(layer.name, read)
      reads.set(keyOf({ layer: layer.name, call }), tensors)
    }
    if (calls.length === 0) reads.set(keyOf({ layer: layer.name, call: 0 }), [])
  }
  return E.right({ name, layers: held, reads: withOwnCalls(reads, held, outputs), inputs, outputs })
}

/** A model that is a layer has mostly been called once before, when it was made: the calls that others see count from 1. */
const withOwnCalls = (
  reads: ReadonlyMap<string, ReadonlyArray<Tensor>>,
  held: ReadonlyMap<string, Layer>,
  outputs: ReadonlyArray<Tensor>,
): ReadonlyMap<string, ReadonlyArray<Tensor>> => {
  const seen = new Set([...reads.values(), outputs].flat().map(keyOf))
  const out = new Map<string, ReadonlyArray<Tensor>>()
  for (const [key, tensors] of reads) {
    const at = key.lastIndexOf(' ')
    const layer = key.slice(0, at)
    const isShifted = wholeModels.has(held.get(layer)?.kind ?? '') && !seen.has(keyOf({ layer, call: 0 }))
    out.set(isShifted ? keyOf({ layer, call: Number(key.slice(at + 1)) + 1 }) : key, tensors)
  }
  return out
}

/** One layer behind the other. Where the first is none for inputs, TensorFlow.js puts one in front. */
const sequential = (name: string, list: ReadonlyArray<Layer>): E.Either<ReadError, Network> => {
  const [first] = list
  if (first === undefined) return E.left(invalid(`model ${name}`, 'layers', 'none'))
  const all = first.kind === 'InputLayer' ? list : [inputOf(first), ...list]
  const at = (layer: Layer): Tensor => ({ layer: layer.name, call: 0, output: 0 })
  const reads = new Map(all.map((layer, i) => [keyOf(at(layer)), all.slice(Math.max(0, i - 1), i).map(at)]))
  return E.right({
    name,
    layers: new Map(all.map((layer) => [layer.name, layer])),
    reads,
    inputs: all.slice(0, 1).map(at),
    outputs: all.slice(-1).map(at),
  })
}

/** The input of a Sequential model that begins with `layer`: that of the model which this is, or one of its shape. */
const inputOf = (layer: Layer): Layer => {
  let at = layer
  for (let depth = 0; wholeModels.has(at.kind) && depth < deepest; depth++) {
    const inner: ReadonlyArray<unknown> = Array.isArray(at.config['layers']) ? at.config['layers'] : []
    const [input] = tensorsOf(at.config['input_layers']) ?? []
    const wanted = inner.map(layerOf).filter((one) => one !== undefined)
    const next = at.kind === 'Sequential' ? wanted[0] : wanted.find((one) => one.name === input?.layer)
    if (next === undefined) break
    at = next
  }
  if (at.kind === 'InputLayer') return at
  const config = at.kind === 'Embedding' ? sentences(at.config) : at.config
  return { name: `${at.name}_input`, kind: 'InputLayer', config, inbound: [] }
}

/** An Embedding without a shape reads sentences, of any length where it says none. */
const sentences = (config: Json): Json => {
  if (configOf(config).has('batch_input_shape')) return config
  const lengths = configOf(config).list('input_length')
  return { ...config, batch_input_shape: [null, ...(lengths.length > 0 ? lengths : [null])] }
}

/** The batch, which all inputs share. */
const batch = 'N'

const addInput = (b: Builder, { name, config }: Layer): E.Either<ReadError, Operand> => {
  const shape = config['batch_input_shape'] ?? config['batch_shape']
  if (!Array.isArray(shape)) return E.left(unsupported(`input ${name}`, 'a model without batch_input_shape'))
  const sizes: Dim[] = []
  for (const [axis, size] of shape.entries()) {
    const symbol = axis === 0 ? batch : unknownDim(name, axis)
    if (size !== null && (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)) {
      return E.left(invalid(`input ${name}`, 'sizes', shown(shape)))
    }
    sizes.push(size ?? symbol)
  }
  const dtype = config['dtype'] ?? 'float32'
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    return E.left(unsupported(`input ${name}`, `element type ${shown(dtype)}`))
  }
  return E.right(b.input({ name, type: tensorType(dtype, sizes) }))
}

/** Finds the weights of layers. */
interface WeightIndex {
  readonly find: (layer: string, weight: string) => E.Either<string, Known>
}

/**
 * By `layer/weight`. In front may stand the models around the layer, and since TensorFlow 2.2 the name of a cell between the
 * two, which TensorFlow.js leaves out as well.
 */
const indexOf = (weights: Weights): WeightIndex => {
  const bySuffix = new Map<string, string[]>()
  const note = (layer: string | undefined, weight: string | undefined, name: string): void => {
    if (layer === undefined || weight === undefined) return
    const key = `${layer}/${weight}`
    const names = bySuffix.get(key) ?? []
    if (names.length === 0) bySuffix.set(key, names)
    names.push(name)
  }
  for (const name of weights.keys()) {
    const tokens = name.split('/')
    note(tokens.at(-2), tokens.at(-1), name)
    note(tokens.at(-3), tokens.at(-1), name)
  }
  return {
    find: (layer, weight) => {
      const exact = `${layer}/${weight}`
      const names = weights.has(exact) ? [exact] : (bySuffix.get(exact) ?? [])
      const [name, ...others] = names
      const tensor = name === undefined ? undefined : weights.get(name)
      if (name === undefined || tensor === undefined) return E.left(`no weight ${exact}`)
      if (others.length > 0) return E.left(`several weights ${exact}: ${names.slice(0, 3).join(', ')}`)
      return E.right({ kind: 'known', name, tensor })
    },
  }
}

/** The outputs of a network, given its inputs. */
const translate = (
  b: Builder,
  network: Network,
  given: ReadonlyMap<string, ReadonlyArray<Operand>>,
  index: WeightIndex,
  depth: number,
): E.Either<ReadError, ReadonlyArray<Operand>> => {
  const values = new Map(given)
  const order = orderOf(network.outputs.map(keyOf), (key) => (given.has(key) ? [] : network.reads.get(key)?.map(keyOf)))
  if (E.isLeft(order)) {
    const found = order.left.kind === 'cycle' ? 'a layer that reads itself' : 'none'
    return E.left(invalid(`layer ${order.left.name}`, 'a layer that is read', found))
  }
  for (const key of order.right) {
    if (values.has(key)) continue
    const layer = network.layers.get(key.slice(0, key.lastIndexOf(' ')))
    if (layer === undefined) return E.left(invalid(`layer ${key}`, 'a layer that is read', 'none'))
    const reads = network.reads.get(key) ?? []
    const inputs = reads.flatMap((tensor) => values.get(keyOf(tensor))?.[tensor.output] ?? [])
    const subject = `layer ${layer.name} (${layer.kind})`
    if (inputs.length < reads.length) return E.left(invalid(subject, 'outputs of layers', 'others'))
    if (wholeModels.has(layer.kind)) {
      const inner = nested(b, layer, inputs, index, depth + 1)
      if (E.isLeft(inner)) return inner
      values.set(key, inner.right)
      continue
    }
    const lowering = layers.get(layer.kind)
    if (lowering === undefined) return E.left(unsupported(subject, `layer ${layer.kind}`))
    b.enter(layer.name)
    const weight = (name: string, owner = layer.name): E.Either<string, Known> => index.find(owner, name)
    const made = lowering({ b, layer: layer.name, config: configOf(layer.config), inputs, weight })
    const problem = E.isLeft(made) ? made.left : b.problem()
    if (problem !== undefined) return E.left(unsupported(subject, problem))
    if (E.isRight(made)) values.set(key, made.right)
  }
  const outputs = network.outputs.flatMap((tensor) => values.get(keyOf(tensor))?.[tensor.output] ?? [])
  return outputs.length === network.outputs.length
    ? E.right(outputs)
    : E.left(invalid(`model ${network.name}`, 'outputs of layers', 'others'))
}

/** A model that is a layer of another one. */
const nested = (
  b: Builder,
  layer: Layer,
  inputs: ReadonlyArray<Operand>,
  index: WeightIndex,
  depth: number,
): E.Either<ReadError, ReadonlyArray<Operand>> => {
  if (depth > deepest) return E.left(unsupported(`layer ${layer.name}`, `more than ${deepest} models in one another`))
  const network = networkOf(layer.kind, layer.config)
  if (E.isLeft(network)) return network
  if (network.right.inputs.length !== inputs.length) {
    return E.left(invalid(`layer ${layer.name}`, `${network.right.inputs.length} inputs`, `${inputs.length}`))
  }
  const given = new Map(network.right.inputs.map((tensor, i) => [keyOf(tensor), inputs.slice(i, i + 1)]))
  return translate(b, network.right, given, index, depth)
}

/** The configuration of the model, which Keras puts beside its version. */
const modelOf = (topology: Json): Layer | undefined => {
  const given = topology['model_config'] ?? topology
  const parsed: unknown =
    typeof given === 'string'
      ? E.toUnion(
          E.tryCatch(
            (): unknown => JSON.parse(given),
            () => null,
          ),
        )
      : given
  if (!isRecord(parsed)) return undefined
  return layerOf({ name: 'model', ...parsed })
}

/** The graph that computes what the LayersModel computes, with inputs and outputs named after their layers. */
export const readLayersModel = (topology: Json, weights: Weights): E.Either<ReadError, Graph> => {
  const model = modelOf(topology)
  if (model === undefined || !wholeModels.has(model.kind)) {
    return E.left(invalid('modelTopology', 'a Sequential or Functional model', model?.kind ?? 'none'))
  }
  const read = networkOf(model.kind, model.config)
  if (E.isLeft(read)) return read
  const network = read.right
  const b = newBuilder(network.outputs.map(({ layer }) => layer))
  const given = new Map<string, ReadonlyArray<Operand>>()
  for (const tensor of network.inputs) {
    const layer = network.layers.get(tensor.layer)
    if (layer === undefined) return E.left(invalid(`layer ${tensor.layer}`, 'an input', 'none'))
    const input = addInput(b, layer)
    if (E.isLeft(input)) return input
    given.set(keyOf(tensor), [input.right])
  }
  const outputs = translate(b, network, given, indexOf(weights), 0)
  if (E.isLeft(outputs)) return outputs
  for (const [i, { layer }] of network.outputs.entries()) {
    const [x] = outputs.right.slice(i)
    if (x !== undefined) b.output(layer, x)
  }
  const graph = b.graph(network.name)
  return E.isLeft(graph) ? E.left(unsupported('the model', graph.left)) : graph
}
