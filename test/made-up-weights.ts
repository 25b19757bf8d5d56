/**
 * The exporter-made graphs of `test/models` have no weights: large float initializers are marked `stripped`. This fills
 * them with seeded values of the usual scale: weights N(0, 2 / fan_in), normalisation scales and variances U(0.5, 1.5),
 * everything else N(0, 0.1).
 */
import * as E from 'fp-ts/lib/Either.js'
import { decode, encode } from '../src/onnx/codec.ts'
import { type GraphProto, ModelProtoSchema, type TensorProto, TensorProto_DataType } from '../src/onnx/onnx_pb.ts'

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export const uniforms = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Standard normal numbers (Box-Muller). */
export const normals = (uniform: () => number): (() => number) => {
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
    const angle = 2 * Math.PI * uniform()
    spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }
}

type Role =
  { readonly kind: 'weight'; readonly fanIn: number } | { readonly kind: 'scale' } | { readonly kind: 'shift' }

/** What each initializer is to the first node that reads it, through Identity nodes. */
const rolesOf = (graph: GraphProto): ReadonlyMap<string, Role> => {
  const sources = new Map<string, string>()
  const source = (name: string): string => sources.get(name) ?? name
  const dims = new Map(graph.initializer.map((t) => [t.name, t.dims.map(Number)]))
  const roles = new Map<string, Role>()
  for (const node of graph.node) {
    if (node.opType === 'Identity') {
      sources.set(node.output[0] ?? '', source(node.input[0] ?? ''))
      continue
    }
    for (const [port, input] of node.input.entries()) {
      const name = source(input)
      const shape = dims.get(name)
      if (shape === undefined || roles.has(name)) continue
      const product = (axes: ReadonlyArray<number>): number => axes.reduce((n, d) => n * d, 1)
      const normalisation = node.opType.endsWith('Normalization')
      if (normalisation && (port === 1 || port === 4)) roles.set(name, { kind: 'scale' })
      // Scales of blocks of four bits, which are 4.6 on average.
      else if (node.opType === 'MatMulNBits' && port === 2)
        roles.set(name, { kind: 'weight', fanIn: 21 * Number(node.attribute.find((a) => a.name === 'K')?.i ?? 1) })
      else if (shape.length < 2 || normalisation) roles.set(name, { kind: 'shift' })
      else if (node.opType === 'MatMul') roles.set(name, { kind: 'weight', fanIn: shape.at(-2) ?? 1 })
      else if (['Add', 'Mul'].includes(node.opType))
        roles.set(name, { kind: node.opType === 'Mul' ? 'scale' : 'shift' })
      else
        roles.set(name, {
          kind: 'weight',
          fanIn: product(shape.slice(node.opType.endsWith('U') || node.opType === 'LSTM' ? 2 : 1)),
        })
    }
  }
  return roles
}

/** Bytes are filled evenly but for the lowest of signed ones, which symmetric quantisation leaves out. */
const fill = (tensor: TensorProto, role: Role, uniform: () => number, normal: () => number): void => {
  const size = tensor.dims.reduce((n, d) => n * Number(d), 1)
  tensor.docString = ''
  if (tensor.dataType === TensorProto_DataType.INT8 || tensor.dataType === TensorProto_DataType.UINT8) {
    const signed = tensor.dataType === TensorProto_DataType.INT8
    tensor.rawData = Uint8Array.from({ length: size }, () =>
      signed ? Math.floor(255 * uniform()) - 127 : Math.floor(256 * uniform()),
    )
    return
  }
  const values = new Float32Array(size)
  const deviation = role.kind === 'weight' ? Math.sqrt(2 / role.fanIn) : 0.1
  for (let i = 0; i < size; i++) values[i] = role.kind === 'scale' ? 0.5 + uniform() : deviation * normal()
  tensor.rawData = new Uint8Array(values.buffer)
}

/** The model with seeded weights in the place of those that are stripped; `name` is what errors call it. */
export const fillWeights = (bytes: Uint8Array, name: string, seed = 1): Uint8Array => {
  const model = decode(ModelProtoSchema, bytes)
  if (E.isLeft(model) || model.right.graph === undefined) throw new Error(`${name} does not decode`)
  const { graph } = model.right
  const roles = rolesOf(graph)
  const uniform = uniforms(seed)
  const normal = normals(uniform)
  for (const tensor of graph.initializer) {
    if (tensor.docString === 'stripped') fill(tensor, roles.get(tensor.name) ?? { kind: 'shift' }, uniform, normal)
  }
  return encode(ModelProtoSchema, model.right)
}
