/**
 * The zoo: models as real exporters write them (`models/zoo/NAME.onnx`, without their weights), and for each the masks of
 * whole structures and what is left when they are taken out by hand (`NAME.json`, written by `models/zoo/export`).
 */
import { readdirSync, readFileSync } from 'node:fs'
import * as ort from 'onnxruntime-node'
import { lower } from '../src/export/lower.ts'
import { bindInputs } from '../src/ir/bind.ts'
import type { Graph } from '../src/ir/graph.ts'
import { constantContext, evaluateNode } from '../src/ir/interpret.ts'
import type { ValueId } from '../src/ir/op.ts'
import { opOf } from '../src/ir/registry.ts'
import type { Tensor } from '../src/ir/tensor.ts'
import { type Dense, elements, tensorOf } from '../src/ir/tensor.ts'
import { sizeOf } from '../src/ir/type.ts'
import { axisMask, elementMask, intersectMask, type Mask, type Masks, wholeMask } from '../src/masks/mask.ts'
import { applyMasks } from '../src/passes/apply-masks.ts'
import { type CompileReport, macsOf } from '../src/passes/compile.ts'
import { readModelBytes } from '../src/read/model.ts'
import { compileValid, orThrow } from './fuzz/differential.ts'
import { inflate, normals, uniforms } from './inflate.ts'

const folder = new URL('models/zoo/', import.meta.url)

/** Zero indices along each axis that a box does not span, as `0-3,8`. */
type Box = Readonly<Record<string, string>>

interface Structure {
  /** Multiply-accumulates of the model without the structure. */
  readonly byHand: number
  readonly masks: Readonly<Record<string, ReadonlyArray<Box>>>
}

interface Input {
  readonly shape: ReadonlyArray<number>
  /** Normal numbers, ones, or whole numbers below this. */
  readonly fill: 'normal' | 'ones' | number
}

interface Description {
  readonly source: string
  readonly inputs: Readonly<Record<string, Input>>
  /** Multiply-accumulates of the dense model for these inputs. */
  readonly macs: number
  readonly structures: Readonly<Record<string, Structure>>
}

export interface ZooModel extends Description {
  readonly name: string
  readonly graph: Graph
  /** Sizes of the symbolic dimensions of the inputs. */
  readonly sizes: ReadonlyMap<string, number>
}

export const zooNames = (): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((file) => (file.endsWith('.onnx') ? [file.slice(0, -5)] : []))

/** A model of the zoo with seeded weights. */
export const loadZoo = (name: string): ZooModel =>
  describedModel(name, new URL(`${name}.json`, folder), orThrow(readModelBytes(inflate(`zoo/${name}`))))

/** A graph with what the JSON file at `url` says of it. */
export const describedModel = (name: string, url: URL, graph: Graph): ZooModel => {
  const description: Description = JSON.parse(readFileSync(url, 'utf8'))
  const sizes = new Map<string, number>()
  for (const { name: input, type } of graph.inputs) {
    if (type.kind !== 'tensor') throw new Error(`input ${input} is no tensor`)
    type.shape?.forEach((dim, axis) => {
      const size = description.inputs[input]?.shape[axis]
      if (typeof dim === 'string' && size !== undefined) sizes.set(dim, size)
    })
  }
  return { ...description, name, graph, sizes }
}

const indicesOf = (ranges: string): ReadonlyArray<number> =>
  ranges.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })

/** Keeps what lies outside of the box. */
const maskOf = (shape: ReadonlyArray<number>, box: Box): Mask => {
  const hidden = shape.map((size, axis) => {
    const ranges = box[String(axis)]
    if (ranges === undefined) return undefined
    const flags = new Uint8Array(size)
    for (const i of indicesOf(ranges)) flags[i] = 1
    return flags
  })
  const [axis, ...more] = hidden.flatMap((flags, at) => (flags === undefined ? [] : [at]))
  const flags = axis === undefined ? undefined : hidden[axis]
  if (axis === undefined || flags === undefined) return elementMask(shape, new Uint8Array(sizeOf(shape)))
  if (more.length === 0)
    return axisMask(
      shape,
      axis,
      flags.map((f) => 1 - f),
    )
  const kept = new Uint8Array(sizeOf(shape))
  for (let i = 0; i < kept.length; i++) {
    let rest = i
    for (let a = shape.length - 1; a >= 0; a--) {
      const size = shape[a] ?? 1
      if (hidden[a]?.[rest % size] === 0) kept[i] = 1
      rest = Math.floor(rest / size)
    }
  }
  return elementMask(shape, kept)
}

/** The masks of a structure. */
export const masksOf = ({ graph, structures, name }: ZooModel, structure: string): Masks => {
  const masks = new Map<string, Mask>()
  for (const [weight, boxes] of Object.entries(structures[structure]?.masks ?? {})) {
    const shape = graph.constants.get(weight)?.shape
    if (shape === undefined) throw new Error(`${name} has no constant ${weight}`)
    masks.set(
      weight,
      boxes.map((box) => maskOf(shape, box)).reduce((a, b) => intersectMask(a, b), wholeMask(shape)),
    )
  }
  return masks
}

/** Seeded inputs as the description says. */
export const inputsOf = ({ graph, inputs }: ZooModel, seed: number): ReadonlyMap<string, Dense> => {
  const uniform = uniforms(seed)
  const normal = normals(uniform)
  const made = new Map<string, Dense>()
  for (const { name, type } of graph.inputs) {
    const input = inputs[name]
    if (input === undefined || type.kind !== 'tensor') throw new Error(`input ${name} is not described`)
    const { shape, fill } = input
    const next = fill === 'normal' ? normal : fill === 'ones' ? () => 1 : () => Math.floor(fill * uniform())
    made.set(name, tensorOf(type.dtype, shape, Array.from({ length: sizeOf(shape) }, next)))
  }
  return made
}

const fed = (tensor: Dense): ort.Tensor => {
  const values = elements(tensor)
  if (values instanceof BigInt64Array) return new ort.Tensor('int64', values, tensor.shape)
  if (tensor.dtype === 'bool') return new ort.Tensor('bool', Array.from(values, Boolean), tensor.shape)
  if (values instanceof Int32Array) return new ort.Tensor('int32', values, tensor.shape)
  return new ort.Tensor('float32', Float32Array.from(values, Number), tensor.shape)
}

const run = async (
  graph: Graph,
  level: 'disabled' | 'all',
  feeds: Record<string, ort.Tensor>,
): Promise<ReadonlyArray<readonly [string, ort.Tensor]>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  try {
    return Object.entries(await session.run(feeds))
  } finally {
    await session.release()
  }
}

/**
 * Max |a - b| / max |a|; Infinity where shapes, non-finite positions or whole numbers differ. Numbers that say nothing, all
 * zero or not one of them finite, are an error of the zoo.
 */
const differenceOf = (a: ort.Tensor, b: ort.Tensor): number => {
  if (a.type !== b.type || a.dims.join() !== b.dims.join()) return Infinity
  if (!(a.data instanceof Float32Array) || !(b.data instanceof Float32Array)) {
    const other = Array.from(b.data, String)
    return Array.from(a.data, String).every((x, i) => x === other[i]) ? 0 : Infinity
  }
  let [difference, scale] = [0, 0]
  for (const [i, x] of a.data.entries()) {
    const y = b.data[i] ?? 0
    if (Object.is(x, y)) continue
    if (!Number.isFinite(x) || !Number.isFinite(y)) return Infinity
    difference = Math.max(difference, Math.abs(x - y))
  }
  for (const x of a.data) if (Number.isFinite(x)) scale = Math.max(scale, Math.abs(x))
  if (scale === 0) throw new Error('an output is zero everywhere, or nowhere finite')
  return difference / scale
}

export interface Cell {
  readonly model: string
  readonly structure: string
  /** Multiply-accumulates of the dense model as it was exported, counted without chasec, and as chasec counts them. */
  readonly dense: number
  readonly counted: number
  /** What is left without the structure, and of what the compiler makes. */
  readonly byHand: number
  readonly macs: number
  /** Largest difference between the masked model and the compiled one, in parts of the largest number of the output. */
  readonly difference: number
  readonly report: CompileReport
}

/** The largest difference that rounding explains, in parts of the largest number of an output. */
export const exactness = 1e-5

/**
 * Whether at most three per cent more is left than by hand, and of a small structure, which three per cent would hide, at
 * least nine tenths are gone. What is not all counted cannot be compared.
 */
export const met = ({ dense, counted, byHand, macs }: Omit<Cell, 'report'>): boolean =>
  counted === dense && macs <= 1.03 * byHand && dense - macs >= 0.9 * (dense - byHand)

/** Multiply-accumulates of what depends on no input of the model (an embedding of positions), of the sizes it has when it runs. */
export const foldedMacs = (graph: Graph): number => {
  const values = new Map<ValueId, Tensor>(graph.constants)
  let macs = 0
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => values.get(name))
    if (node.inputs.some((name, port) => name !== '' && inputs[port] === undefined)) continue
    const ctx = constantContext(graph, node, inputs)
    const outputs = evaluateNode(graph, node, inputs)
    if (ctx === undefined || outputs === undefined) continue
    macs += opOf(node).macs?.(ctx) ?? 0
    node.outputs.forEach((name, i) => outputs[i] && values.set(name, outputs[i]))
  }
  return macs
}

/**
 * Compiles a model under the masks of a structure and runs both in ONNX Runtime. Widths are cut as far as they go: at
 * these sizes what the compiler adds to make layers fast would hide what it found.
 */
export const cellOf = async (model: ZooModel, structure: string): Promise<Cell> => {
  const masks = masksOf(model, structure)
  const { graph, report } = compileValid(model.graph, masks, { sizes: model.sizes, widths: 'raw' })
  const feeds = Object.fromEntries([...inputsOf(model, 1)].map(([name, tensor]) => [name, fed(tensor)]))
  const reference = await run(orThrow(applyMasks(model.graph, masks)), 'disabled', feeds)
  const candidate = new Map(await run(graph, 'all', feeds))
  const differences = reference.map(([name, value]) => {
    const other = candidate.get(name)
    return other === undefined ? Infinity : differenceOf(value, other)
  })
  return {
    model: model.name,
    structure,
    dense: model.macs,
    // Some sizes are known only when constants have been folded, some products are gone by then.
    counted: Math.max(
      report.before.macs + foldedMacs(model.graph),
      macsOf(orThrow(bindInputs(model.graph, model.sizes)).graph),
    ),
    byHand: model.structures[structure]?.byHand ?? 0,
    macs: report.after.macs,
    difference: Math.max(0, ...differences),
    report,
  }
}
