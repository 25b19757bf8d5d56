/**
 * Where the weights of a graph's layers lie among the tensors of another program, which may have them under other names, in
 * another layout, or several in one. Everything that crosses between the two goes through a {@link Binding}.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { type Graph, readsOf } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { float32View, materialize, type Tensor } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { networkOf } from '../../train/index.ts'
import type { sparse } from '../../train/index.ts'
import { type ForeignTensor, requestError } from './request.ts'

export interface Binding {
  /** As the sparse training of the graph sees it. */
  readonly network: sparse.Network
  /** The tensors that carry masks, in the order they were given in. */
  readonly tensors: ReadonlyArray<ForeignTensor>
  /** Per layer, for each weight its place in these tensors, row-major, one after the other. */
  readonly places: ReadonlyArray<Uint32Array>
}

/** Weights that go by the graph's own names and shapes. */
export const bindByName = (graph: Graph): Binding => {
  const network = networkOf(graph, new Set(graph.constants.keys()))
  let at = 0
  const places = network.layers.map(({ shape }) => {
    const begin = at
    at += sizeOf(shape)
    return Uint32Array.from({ length: at - begin }, (_, i) => begin + i)
  })
  return { network, tensors: network.layers.map(({ name, shape }) => ({ name, shape, trained: true })), places }
}

/** The bits of the smallest normal float32: the code of element 0. */
const firstCode = 0x00800000
/** The bits of infinity. */
const codeLimit = 0x7f800000

/**
 * Binds a graph in which every element of `tensors`, all counted one after the other, has the number of its place for a value:
 * place p is the float32 of bits 0x00800000 + p. What an exporter did to names and layouts cannot hide that.
 *
 * A weight carries a mask where it was moved only, every element of it is trained, and nothing else reads these.
 */
export const bindByCode = (graph: Graph, tensors: ReadonlyArray<ForeignTensor>): E.Either<Failure, Binding> => {
  const sizes = tensors.map(({ shape }) => sizeOf(shape))
  const total = sizes.reduce((n, size) => n + size, 0)
  if (total > codeLimit - firstCode) {
    const help = 'Leave tensors out that are not trained.'
    return E.left(requestError('entry tensors', `at most ${codeLimit - firstCode} elements`, `${total}`, help))
  }
  const trained = new Uint8Array(total)
  let at = 0
  for (const [t, tensor] of tensors.entries()) {
    const end = at + (sizes[t] ?? 0)
    if (tensor.trained) trained.fill(1, at, end)
    at = end
  }
  const decoded = decodeConstants(graph, total)
  const reads = new Uint8Array(total)
  for (const { places, count } of decoded.values()) {
    for (const p of places) if (p < total) reads[p] = Math.min(2, (reads[p] ?? 0) + count)
  }
  const alone = (p: number): boolean => p < total && trained[p] === 1 && reads[p] === 1
  const whole = Array.from(decoded).filter(([, { places }]) => places.every(alone))
  const network = networkOf(graph, new Set(whole.map(([name]) => name)))
  const inLayers = network.layers.map(({ name }) => decoded.get(name)?.places ?? new Uint32Array(0))
  const compacted = compact(tensors, sizes, inLayers)
  return E.right({ network: calledAfter(network, tensorNames(compacted)), ...compacted })
}

interface Decoded {
  /** Per element its place; `total` or more where its value is no code. */
  readonly places: Uint32Array
  /** How often the constant is read. */
  readonly count: number
}

/** The float32 constants that the graph reads. */
const decodeConstants = (graph: Graph, total: number): ReadonlyMap<ValueId, Decoded> => {
  const counts = new Map<ValueId, number>()
  const count = (name: ValueId): void => {
    if (graph.constants.get(name)?.dtype === 'float32') counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const node of graph.nodes) readsOf(node).forEach(count)
  for (const { name } of graph.outputs) count(name)
  const out = new Map<ValueId, Decoded>()
  for (const [name, times] of counts) {
    const tensor = graph.constants.get(name)
    if (tensor !== undefined) out.set(name, { places: placesIn(tensor, total), count: times })
  }
  return out
}

const placesIn = (tensor: Tensor, total: number): Uint32Array => {
  const values = float32View(materialize(tensor))
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  // Smaller bits wrap around to numbers above every place.
  return bits.map((b) => Math.min(total, (b - firstCode) >>> 0))
}

/** Leaves out tensors without a place in a layer. */
const compact = (
  tensors: ReadonlyArray<ForeignTensor>,
  sizes: ReadonlyArray<number>,
  inLayers: ReadonlyArray<Uint32Array>,
): Pick<Binding, 'tensors' | 'places'> => {
  const begins = beginnings(sizes)
  const used = new Set<number>()
  const owners = inLayers.map((places) => ownersOf(places, begins))
  for (const owner of owners) for (const t of owner) used.add(t)
  const kept = [...used].sort((a, b) => a - b)
  const moved = new Map<number, number>()
  let at = 0
  for (const t of kept) {
    moved.set(t, at - (begins[t] ?? 0))
    at += sizes[t] ?? 0
  }
  return {
    tensors: kept.flatMap((t) => tensors[t] ?? []),
    places: inLayers.map((places, l) => places.map((p, i) => p + (moved.get(owners[l]?.[i] ?? -1) ?? 0))),
  }
}

/** Per layer the tensor that it is all of; undefined where it has several, or shares one. */
const tensorNames = ({ tensors, places }: Pick<Binding, 'tensors' | 'places'>): ReadonlyArray<string | undefined> => {
  const begins = beginnings(tensors.map(({ shape }) => sizeOf(shape)))
  return places.map((own) => {
    const owners = new Set(ownersOf(own, begins))
    const [tensor] = Array.from(owners, (t) => tensors[t])
    return owners.size === 1 && tensor !== undefined && sizeOf(tensor.shape) === own.length ? tensor.name : undefined
  })
}

/** The network with layers, and the streams called after them, under other names where there are some. */
const calledAfter = ({ layers, streams }: sparse.Network, names: ReadonlyArray<string | undefined>): sparse.Network => {
  const renamed = new Map(layers.map((layer, l) => [layer.name, names[l] ?? layer.name]))
  const called = (name: string): string => renamed.get(name) ?? name
  const at = (slot: sparse.Slot): sparse.Slot => ({ ...slot, layer: called(slot.layer) })
  const streamCalled = (name: string): string => {
    const [, base = name, number = ''] = renamed.has(name) ? [] : (/^(.*)( \d+)$/.exec(name) ?? [])
    return `${called(base)}${number}`
  }
  return {
    layers: layers.map((layer) => ({ ...layer, name: called(layer.name) })),
    streams: streams.map((stream) => ({
      ...stream,
      name: streamCalled(stream.name),
      producers: stream.producers.map(at),
      consumers: stream.consumers.map(at),
    })),
  }
}

/** Where each of several arrays of these sizes begins when they lie one after the other. */
const beginnings = (sizes: ReadonlyArray<number>): ReadonlyArray<number> => {
  let at = 0
  return sizes.map((size) => {
    at += size
    return at - size
  })
}

/** Per place the number of the tensor it lies in. Neighbours mostly share one. */
const ownersOf = (places: Uint32Array, begins: ReadonlyArray<number>): Uint32Array => {
  let owner = 0
  return places.map((p) => {
    if (p < (begins[owner] ?? 0) || p >= (begins[owner + 1] ?? Infinity)) {
      owner = begins.findLastIndex((begin) => begin <= p)
    }
    return owner
  })
}

/** Weights of every layer out of arrays of the binding's tensors, in their order. */
export const toLayers = (
  { places, tensors }: Binding,
  arrays: ReadonlyArray<Float32Array>,
): ReadonlyArray<Float32Array> => {
  const flat = new Float32Array(tensors.reduce((n, { shape }) => n + sizeOf(shape), 0))
  let at = 0
  for (const array of arrays) {
    flat.set(array, at)
    at += array.length
  }
  return places.map((own) => {
    const out = new Float32Array(own.length)
    for (let i = 0; i < own.length; i++) out[i] = flat[own[i] ?? 0] ?? 0
    return out
  })
}

/** Bits of every layer as bits of the binding's tensors, by name; 1 where a tensor has elements that no layer holds. */
export const toTensors = (
  { places, tensors }: Binding,
  layers: ReadonlyArray<Uint8Array>,
): ReadonlyMap<string, Uint8Array> => {
  const sizes = tensors.map(({ shape }) => sizeOf(shape))
  const flat = new Uint8Array(sizes.reduce((n, size) => n + size, 0)).fill(1)
  for (const [l, own] of places.entries()) {
    const bits = layers[l]
    if (bits !== undefined) for (let i = 0; i < own.length; i++) flat[own[i] ?? 0] = bits[i] ?? 1
  }
  const begins = beginnings(sizes)
  return new Map(
    tensors.map(({ name }, t) => [name, flat.subarray(begins[t], (begins[t] ?? 0) + (sizes[t] ?? 0))] as const),
  )
}

/** An axis of one of the other program's tensors. */
export interface ForeignAxis {
  readonly tensor: string
  readonly axis: number
}

/** Per layer what its axes are there; undefined for one that is not a single tensor with its axes in some order. */
export const drivenAxes = ({
  network,
  tensors,
  places,
}: Binding): ReadonlyArray<ReadonlyArray<ForeignAxis> | undefined> => {
  const begins = beginnings(tensors.map(({ shape }) => sizeOf(shape)))
  return network.layers.map(({ shape }, l) => {
    const own = places[l] ?? new Uint32Array(0)
    const t = begins.findLastIndex((begin) => begin <= (own[0] ?? 0))
    const tensor = tensors[t]
    if (tensor === undefined || own[0] !== begins[t] || sizeOf(tensor.shape) !== own.length) return undefined
    const strides = stridesOf(tensor.shape)
    const axes: number[] = []
    let step = own.length
    for (const size of shape) {
      step /= size
      const stride = (own[step] ?? 0) - (own[0] ?? 0)
      axes.push(
        strides.findIndex((s, a) => !axes.includes(a) && tensor.shape[a] === size && (s === stride || size === 1)),
      )
    }
    if (
      !isLaidOut(
        own,
        shape,
        axes.map((axis) => strides[axis] ?? 0),
      )
    )
      return undefined
    return axes.map((axis) => ({ tensor: tensor.name, axis }))
  })
}

/** Whether going one further along an axis is everywhere a step of that axis's stride. */
const isLaidOut = (places: Uint32Array, shape: ReadonlyArray<number>, strides: ReadonlyArray<number>): boolean => {
  const steps = stridesOf(shape)
  return places.every((place, i) => {
    let [rest, expected] = [i, places[0] ?? 0]
    for (const [axis, step] of steps.entries()) {
      const index = Math.floor(rest / step)
      rest -= index * step
      expected += index * (strides[axis] ?? 0)
    }
    return place === expected
  })
}

const stridesOf = (shape: ReadonlyArray<number>): ReadonlyArray<number> => {
  let size = 1
  const out = shape.toReversed().map((d) => {
    size *= d
    return size / d
  })
  return out.toReversed()
}
