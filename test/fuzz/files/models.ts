/**
 * ONNX models: one for each sample of the operators and random networks, with fields changed by structure (sizes, types,
 * attributes, names, wiring), byte by byte, and models that compute much from little. Read, compiled under masks, written.
 */
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { lower } from '../../../src/export/lower.ts'
import { dtypes } from '../../../src/ir/dtype.ts'
import { allOps } from '../../../src/ir/registry.ts'
import { materialize } from '../../../src/ir/tensor.ts'
import { type Masks, noMasks } from '../../../src/masks/mask.ts'
import { zerosOf } from '../../../src/masks/zeros.ts'
import { decode, encode } from '../../../src/onnx/codec.ts'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../../../src/onnx/onnx_pb.ts'
import { clone, create } from '@bufbuild/protobuf'
import { compile } from '../../../src/passes/compile.ts'
import type { Target } from '../../../src/passes/target.ts'
import { inspect } from '../../../src/passes/inspect.ts'
import type { ExternalReader } from '../../../src/read/external.ts'
import { readAnyModel } from '../../../src/read/any-model.ts'
import { compactReport } from '../../../src/report/compile-json.ts'
import { toJson } from '../../../src/report/json.ts'
import { renderPage } from '../../../src/report/report-page.tsx'
import { graphOf, type Sample, valuesOf } from '../../ir/helpers.ts'
import * as samples from '../../ir/samples/index.ts'
import { randomMasks } from '../masks.ts'
import { buildProgram, programs } from '../program.ts'
import { type Draw, edgeInteger, edgeName, edgeNumbers, mutate } from './draw.ts'
import { type FileKind, refused, type Verdict, verdictOf } from './kind.ts'

const samplesByName: ReadonlyMap<string, ReadonlyArray<Sample>> = new Map<string, ReadonlyArray<Sample>>(
  Object.entries(samples),
)

/** Good models, small ones. */
const corpus: ReadonlyArray<Uint8Array> = [
  ...allOps.flatMap((op) =>
    (samplesByName.get(op.name) ?? []).map((sample) => graphOf(op, sample, valuesOf(sample, 1))),
  ),
  ...fc.sample(programs, { seed: 1, numRuns: 150 }).map(buildProgram),
].flatMap((graph) => {
  const written = lower(graph)
  return E.isLeft(written) || written.right.model.length > 60_000 ? [] : [written.right.model]
})

const parsed = (bytes: Uint8Array): ModelProto => {
  const model = decode(ModelProtoSchema, bytes)
  if (E.isLeft(model)) throw new Error(`a model of the corpus: ${model.left}`)
  return model.right
}

/** Any value's name, more often one of this graph. */
const someName = (graph: GraphProto, draw: Draw): string => {
  const names = [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ]
  return draw.chance(0.9) ? (draw.one(names) ?? '') : edgeName(draw)
}

/** A size at an edge, but one that the test itself can make data for in most cases. */
const someSize = (draw: Draw): bigint =>
  draw.chance(0.5) ? edgeInteger(draw) : BigInt(draw.pick([0, 1, 2, 3, 5, 8, 16, 100, 1000, 4096, 20_000]))

const widths: ReadonlyMap<string, number> = new Map([
  ...(['float64', 'int64', 'uint64', 'complex64'] as const).map((dtype) => [dtype, 8] as const),
  ['complex128', 16],
  ...(['float16', 'bfloat16', 'int16', 'uint16'] as const).map((dtype) => [dtype, 2] as const),
  ...dtypes.filter((dtype) => /^(u?int8|bool|float8.*)$/.test(dtype)).map((dtype) => [dtype, 1] as const),
  ...(['uint4', 'int4', 'float4e2m1'] as const).map((dtype) => [dtype, 0.5] as const),
  ...(['uint2', 'int2'] as const).map((dtype) => [dtype, 0.25] as const),
])

/** Gives a tensor another element type, with data that fit its sizes. */
const retyped = (tensor: TensorProto, draw: Draw): void => {
  const code = 1 + draw.below(dtypes.length)
  const dtype = dtypes[code - 1] ?? 'float32'
  const count = Number(tensor.dims.reduce((a, b) => a * b, 1n))
  if (count < 0 || count > 100_000) return
  tensor.dataType = code
  tensor.rawData = new Uint8Array()
  tensor.floatData = []
  tensor.int64Data = []
  tensor.int32Data = []
  tensor.stringData = []
  const fill = draw.below(256)
  if (dtype === 'string') tensor.stringData = Array.from({ length: count }, () => Uint8Array.of(97))
  else tensor.rawData = new Uint8Array(Math.ceil(count * (widths.get(dtype) ?? 4))).fill(fill)
}

const changeTensor = (tensor: TensorProto, draw: Draw): void => {
  switch (draw.below(9)) {
    case 0: {
      const axis = draw.below(tensor.dims.length + 1)
      tensor.dims[axis] = someSize(draw)
      break
    }
    case 1:
      tensor.dims.splice(
        draw.below(tensor.dims.length + 1),
        draw.below(2),
        ...(draw.chance(0.5) ? [someSize(draw)] : []),
      )
      break
    case 2:
    case 3:
      retyped(tensor, draw)
      break
    case 4:
      tensor.rawData = tensor.rawData.slice(0, draw.below(tensor.rawData.length + 1))
      break
    case 5: {
      const at = draw.below(tensor.rawData.length)
      tensor.rawData = tensor.rawData.map((byte, i) => (i === at ? draw.below(256) : byte))
      break
    }
    case 6:
      tensor.rawData = tensor.rawData.map(() => draw.pick([0, 0xff, 0x7f, 0x80]))
      break
    case 7:
      tensor.dataLocation = 1
      tensor.rawData = new Uint8Array()
      tensor.externalData = ['location', 'offset', 'length'].flatMap((key) =>
        draw.chance(0.8)
          ? [
              create(StringStringEntryProtoSchema, {
                key,
                value:
                  key === 'location' ? 'data.bin' : String(draw.chance(0.5) ? draw.below(4000) : edgeInteger(draw)),
              }),
            ]
          : [],
      )
      break
    default:
      tensor.name = edgeName(draw)
  }
}

const attributeTypes = Object.values(AttributeProto_AttributeType).filter((type) => typeof type === 'number')

const changeAttribute = (attribute: AttributeProto, draw: Draw): void => {
  switch (draw.below(7)) {
    case 0:
      attribute.i = someSize(draw)
      break
    case 1:
      if (attribute.ints.length === 0 || draw.chance(0.2)) attribute.ints.push(someSize(draw))
      else attribute.ints[draw.below(attribute.ints.length)] = someSize(draw)
      break
    case 2:
      attribute.f = Math.fround(draw.pick(edgeNumbers))
      break
    case 3:
      if (attribute.floats.length > 0)
        attribute.floats[draw.below(attribute.floats.length)] = Math.fround(draw.pick(edgeNumbers))
      break
    case 4:
      attribute.type = draw.one(attributeTypes) ?? 0
      break
    case 5:
      attribute.s = new TextEncoder().encode(
        draw.pick(['SAME_UPPER', 'VALID', 'NOTSET', 'linear', 'cubic', 'reflect', '', 'ij,jk->ik']),
      )
      break
    default:
      if (attribute.t !== undefined) changeTensor(attribute.t, draw)
      else
        attribute.name = draw.pick(['axis', 'axes', 'group', 'strides', 'pads', 'to', 'value', 'perm', 'keepdims', ''])
  }
}

const changeNode = (node: NodeProto, graph: GraphProto, draw: Draw): void => {
  switch (draw.below(9)) {
    case 0:
    case 1: {
      const attribute = draw.one(node.attribute)
      if (attribute !== undefined) changeAttribute(attribute, draw)
      break
    }
    case 2:
      node.attribute.splice(draw.below(node.attribute.length), 1)
      break
    case 3:
      node.opType = draw.chance(0.95) ? (draw.one(allOps)?.name ?? '') : edgeName(draw)
      break
    case 4:
      node.input[draw.below(node.input.length + 1)] = someName(graph, draw)
      break
    case 5:
      node.input.splice(draw.below(node.input.length), 1)
      break
    case 6:
      if (node.input.length > 0) node.input[draw.below(node.input.length)] = ''
      break
    case 7:
      node.output.push(...Array.from({ length: 1 + draw.below(3) }, (_, i) => `extra${i}_${node.output.length}`))
      break
    default:
      if (draw.chance(0.5)) node.name = edgeName(draw)
      else node.output[0] = edgeName(draw)
  }
}

const changeInfo = (info: ValueInfoProto, draw: Draw): void => {
  const type = info.type?.value
  if (type?.case !== 'tensorType') return
  if (draw.chance(0.3)) type.value.elemType = draw.below(dtypes.length + 2)
  const dim = draw.one(type.value.shape?.dim ?? [])
  const kind = draw.below(10)
  if (dim === undefined || kind === 0) delete type.value.shape
  else if (kind < 4) dim.value = { case: 'dimParam', value: draw.pick(['N', 'x', edgeName(draw)]) }
  else if (kind < 5) dim.value = { case: undefined }
  else dim.value = { case: 'dimValue', value: someSize(draw) }
}

const renameAll = (graph: GraphProto, from: string, to: string): void => {
  const other = (name: string): string => (name === from ? to : name)
  for (const list of [graph.input, graph.output, graph.initializer, graph.valueInfo]) {
    for (const one of list) one.name = other(one.name)
  }
  for (const node of graph.node) {
    node.input = node.input.map(other)
    node.output = node.output.map(other)
  }
}

/** One change of the model's structure. */
const change = (model: ModelProto, draw: Draw): void => {
  const { graph } = model
  if (graph === undefined) return
  const [tensor, node] = [draw.one(graph.initializer), draw.one(graph.node)]
  switch (draw.below(12)) {
    case 0:
    case 1:
    case 2:
      if (tensor !== undefined) changeTensor(tensor, draw)
      break
    case 3:
    case 4:
    case 5:
      if (node !== undefined) changeNode(node, graph, draw)
      break
    case 6: {
      const info = draw.one([...graph.input, ...graph.output, ...graph.valueInfo])
      if (info !== undefined) changeInfo(info, draw)
      break
    }
    case 7: {
      // An input becomes a constant: much more is folded then.
      const [info] = graph.input.splice(draw.below(graph.input.length), 1)
      const type = info?.type?.value
      if (info === undefined || type?.case !== 'tensorType') break
      const made = create(TensorProtoSchema, {
        name: info.name,
        dims: (type.value.shape?.dim ?? []).map(({ value }) => (value.case === 'dimValue' ? value.value : 2n)),
        dataType: 1,
      })
      retyped(made, draw)
      if (draw.chance(0.8)) {
        const count = Number(made.dims.reduce((a, b) => a * b, 1n))
        if (count >= 0 && count < 100_000) {
          made.dataType = 1
          made.stringData = []
          made.rawData = new Uint8Array(Float32Array.from({ length: count }, () => draw.uniform()).buffer)
        }
      }
      graph.initializer.push(made)
      break
    }
    case 8:
      renameAll(graph, someName(graph, draw), edgeName(draw))
      break
    case 9:
      if (node !== undefined) {
        const copy = clone(NodeProtoSchema, node)
        if (draw.chance(0.8)) copy.output = copy.output.map((name) => `${name}_again`)
        graph.node.splice(draw.below(graph.node.length + 1), 0, copy)
      }
      break
    case 10: {
      const [opset] = model.opsetImport
      if (opset !== undefined) opset.version = draw.chance(0.8) ? BigInt(1 + draw.below(25)) : edgeInteger(draw)
      if (draw.chance(0.1)) model.irVersion = edgeInteger(draw)
      break
    }
    default: {
      // A piece of another model, with constants of this one where its inputs were.
      const other = parsed(draw.one(corpus) ?? new Uint8Array()).graph
      if (other === undefined) break
      for (const initializer of other.initializer) graph.initializer.push(initializer)
      for (const one of other.node) {
        one.input = one.input.map((name) => (draw.chance(0.3) ? someName(graph, draw) : name))
        graph.node.push(one)
      }
      graph.output.push(...other.output)
    }
  }
}

const ints = (name: string, values: ReadonlyArray<number>): TensorProto =>
  create(TensorProtoSchema, { name, dims: [BigInt(values.length)], dataType: 7, int64Data: values.map(BigInt) })

/** A model of a few hundred bytes whose constants stand for much: large fills, and operators that work on them. */
const amplifier = (draw: Draw): ModelProto => {
  const model = parsed(draw.one(corpus) ?? new Uint8Array())
  const { graph } = model
  if (graph === undefined) return model
  graph.initializer = []
  graph.node = []
  const size = (): number => draw.pick([1, 2, 3, 16, 64, 64, 512, 2048, 10_000, 300_000])
  const values: string[] = []
  const add = (opType: string, input: string[], attribute: AttributeProto[] = []): void => {
    const name = `v${values.length}`
    graph.node.push(create(NodeProtoSchema, { opType, input, output: [name], attribute }))
    values.push(name)
  }
  const shape = (sizes: ReadonlyArray<number>): string => {
    const name = `s${graph.initializer.length}`
    graph.initializer.push(ints(name, sizes))
    return name
  }
  const fill = (rank: number): void =>
    add('ConstantOfShape', [
      shape(Array.from({ length: rank }, (_, i) => (rank > 2 && i < 2 ? draw.pick([1, 4, 64]) : size()))),
    ])
  fill(draw.pick([1, 2, 2, 4]))
  for (let count = 1 + draw.below(6); count > 0; count--) {
    const some = (): string => draw.one(values) ?? ''
    switch (draw.below(9)) {
      case 0:
        fill(draw.pick([1, 2, 4]))
        break
      case 1:
        add(draw.pick(['Tile', 'Expand', 'Reshape', 'Pad', 'Slice', 'Upsample']), [
          some(),
          shape(Array.from({ length: draw.pick([1, 2, 4]) }, size)),
        ])
        break
      case 2:
        add(
          draw.pick([
            'MatMul',
            'Gemm',
            'Conv',
            'ConvTranspose',
            'Add',
            'Concat',
            'Gather',
            'GatherElements',
            'Mod',
            'Pow',
          ]),
          [some(), some()],
        )
        break
      case 3:
        add('Range', [shape([0]), shape([size() * size()]), shape([1])])
        break
      case 4:
        add(draw.pick(['CumSum', 'TopK', 'OneHot', 'ReduceSum', 'Squeeze', 'Unsqueeze', 'Split']), [
          some(),
          shape([draw.below(3)]),
          shape([0, 1]),
        ])
        break
      case 5:
        add(
          draw.pick([
            'Transpose',
            'Softmax',
            'NonZero',
            'EyeLike',
            'Flatten',
            'LRN',
            'MaxPool',
            'GlobalAveragePool',
            'Hardmax',
            'Unique',
          ]),
          [some()],
        )
        break
      default:
        add(draw.one(allOps)?.name ?? '', Array.from({ length: 1 + draw.below(4) }, some))
    }
  }
  const last = values.at(-1) ?? ''
  const output = graph.output[0]
  if (output !== undefined) output.name = last
  graph.output.splice(1)
  delete output?.type
  return model
}

const data = new Uint8Array(4096).map((_, i) => i)

/** A file beside the model, as it is on the disk. */
const external: ExternalReader = (location) =>
  location === 'data.bin'
    ? { size: data.length, read: (offset, length) => data.slice(offset, offset + length) }
    : undefined

const masksFor = (graph: Parameters<typeof zerosOf>[0], draw: Draw): Masks => {
  switch (draw.below(3)) {
    case 0:
      return noMasks
    case 1:
      return zerosOf(graph)
    default:
      return randomMasks(graph, draw.pick(['rows', 'columns', 'mixed', 'dead']), draw.uniform)
  }
}

const judge = (bytes: Uint8Array, draw: Draw): Verdict => {
  const read = readAnyModel(bytes, { external })
  if (E.isLeft(read)) return refused(read.left)
  const graph = read.right
  for (const tensor of graph.constants.values()) if (tensor.tag === 'External') materialize(tensor)
  const target = draw.pick<Target>(['cpu', 'cuda', 'webgpu'])
  const compiled = compile(graph, masksFor(graph, draw), { target })
  if (E.isLeft(compiled)) return refused(compiled.left)
  toJson(compactReport(compiled.right.report))
  if (draw.chance(0.1)) renderPage({ version: '0', report: compiled.right.report })
  if (draw.chance(0.2)) toJson(inspect(graph, noMasks))
  const written = lower(compiled.right.graph, { producer: '0', external: draw.chance(0.1) })
  if (E.isLeft(written)) return refused(written.left)
  if (written.right.external !== undefined) return 'accepted'
  const again = readAnyModel(written.right.model, { external })
  // What came out must be readable, unless it keeps what the runtime reads itself.
  if (E.isLeft(again)) throw new Error(`cannot be read again: ${JSON.stringify(again.left)}`)
  return verdictOf(again)
}

export const modelFiles: FileKind = {
  share: 32,
  make: (draw) => {
    const bytes = draw.one(corpus) ?? new Uint8Array()
    if (draw.chance(0.25)) return mutate(bytes, draw, draw.one(corpus))
    const model = draw.chance(0.15) ? amplifier(draw) : parsed(bytes)
    for (let changes = draw.below(5); changes > 0; changes--) change(model, draw)
    const changed = encode(ModelProtoSchema, model)
    return draw.chance(0.05) ? mutate(changed, draw) : changed
  },
  judge,
}
