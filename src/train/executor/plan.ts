/** A graph of static shapes as a list of steps on the device, with the layout of every value decided. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../../ir/dtype.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { contextOf, type Graph, labelOf } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Opaque } from '../../ir/ops/opaque.ts'
import { isOp } from '../../ir/registry.ts'
import { materialize, type Tensor as Constant } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { upload } from './arrays.ts'
import { keepsElements, type Layout, onnxOrder, orderBetween, sameLayout, storedShape } from './layout.ts'
import { given, type Lowered, type Read, shapeOfType, siteOf } from './lowering.ts'
import { loweringOf } from './ops/index.ts'

export type UnsupportedTraining = Failure<'UnsupportedTraining'>

/** The place of a value while a plan runs. A value read in two layouts has two. */
export type Slot = number

export interface Step {
  /** The node that it computes, for people; that a value is brought into another layout, for what reads it. */
  readonly label: string
  readonly inputs: ReadonlyArray<Slot | undefined>
  readonly outputs: ReadonlyArray<Slot | undefined>
  readonly run: Lowered['run']
  readonly splits: ReadonlyArray<number>
  readonly sums: boolean
  /** The names of the running statistics by input port. */
  readonly statistics: ReadonlyArray<ValueId | undefined>
  /** By input port: whether its value depends on something trained. */
  readonly wanted: ReadonlyArray<boolean>
}

/** A value of the graph with its place. */
export interface Value {
  readonly name: ValueId
  /** In ONNX order. */
  readonly shape: ReadonlyArray<number>
  readonly layout: Layout
  readonly slot: Slot
}

export interface Plan {
  readonly steps: ReadonlyArray<Step>
  readonly inputs: ReadonlyArray<Value>
  readonly outputs: ReadonlyArray<Value>
  readonly parameters: ReadonlyArray<Value>
  readonly statistics: ReadonlyArray<Value>
  /** Constants that are not trained, on the device. */
  readonly constants: ReadonlyMap<Slot, Tensor>
  /** By slot: the last step that reads it; the number of steps for what is never disposed by a run. */
  readonly lastUse: ReadonlyArray<number>
}

const unsupported = (subject: string, expected: string, found: string, help: string): UnsupportedTraining =>
  failure('UnsupportedTraining', subject, expected, found, help)

const otherTool = 'Train this model elsewhere and compile the result with its masks, or replace the operator.'

/** The plan of `graph`, or every node that cannot be part of one. Layouts of constants named in `known` are kept. */
export const planOf = (
  graph: Graph,
  backend: Backend,
  known: ReadonlyMap<ValueId, Layout> = new Map(),
): E.Either<ReadonlyArray<UnsupportedTraining>, Plan> => {
  const failures: UnsupportedTraining[] = []
  const steps: Step[] = []
  /** The slots of a value, the first one as it was made. */
  const places = new Map<ValueId, Array<{ readonly layout: Layout; readonly slot: Slot }>>()
  const parameters = new Map<ValueId, Value>()
  const statistics = new Map<ValueId, Value>()
  const constants = new Map<Slot, Tensor>()
  const trained: boolean[] = []
  const place = (name: ValueId, layout: Layout, dependsOnTrained: boolean): Slot => {
    const slot = trained.push(dependsOnTrained) - 1
    const list = places.get(name) ?? []
    list.push({ layout, slot })
    places.set(name, list)
    return slot
  }
  const shapeOf = (name: ValueId): ReadonlyArray<number> => shapeOfType(graph.types.get(name)) ?? []

  /** Gives a constant its place, in the layout that its first reader wants. */
  const hold = (name: ValueId, tensor: Constant, read: Exclude<Read, { as: 'fixed' }>): Slot => {
    const layout = known.get(name) ?? read.layout
    const isTrained = tensor.dtype === 'float32' && (read.as === 'weight' || sizeOf(tensor.shape) > 1)
    const slot = place(name, layout, isTrained && read.as !== 'statistic')
    const held: Value = { name, shape: tensor.shape, layout, slot }
    if (read.as === 'statistic') statistics.set(name, held)
    else if (isTrained) parameters.set(name, held)
    else constants.set(slot, upload(backend, materialize(tensor), layout))
    return slot
  }

  /** The slot of a value in `layout`; a step that reorders its axes is added where there is none yet. */
  const slotIn = (name: ValueId, layout: Layout): Slot | undefined => {
    const list = places.get(name)
    const made = list?.[0]
    if (list === undefined || made === undefined) return undefined
    const found = list.find((entry) => sameLayout(entry.layout, layout))
    if (found) return found.slot
    const slot = place(name, layout, trained[made.slot] ?? false)
    const run = reordering(backend, shapeOf(name), made.layout, layout)
    const label = `Transpose ${name}`
    steps.push({
      label,
      inputs: [made.slot],
      outputs: [slot],
      run,
      splits: [],
      sums: false,
      statistics: [],
      wanted: [trained[made.slot] ?? false],
    })
    return slot
  }

  const lower = (node: Node): string | undefined => {
    const kind = isOp(node, Opaque) ? node.attrs.opType : node.op
    const rule = loweringOf(kind)
    if (rule === undefined) return `${kind}, which has no training rule`
    const site = siteOf(contextOf(graph, node), backend, (port) => places.get(node.inputs[port] ?? '')?.[0]?.layout)
    if (site === undefined) return `${kind} of unknown shape`
    const lowered = rule.lower(site)
    if (E.isLeft(lowered)) return lowered.left
    const { reads, gives, run, splits = [], sums = false } = lowered.right
    const names: Array<ValueId | undefined> = []
    const inputs = node.inputs.map((name, port) => {
      const read = reads[port]
      if (name === '' || read === undefined || read.as === 'fixed') return undefined
      const tensor = graph.constants.get(name)
      if (tensor !== undefined && !places.has(name)) hold(name, tensor, read)
      if (read.as === 'statistic') names[port] = name
      return slotIn(name, read.layout)
    })
    const missing = node.inputs.find((name, port) => {
      const read = reads[port]
      return name !== '' && read !== undefined && read.as !== 'fixed' && inputs[port] === undefined
    })
    if (missing !== undefined) return undefined
    const wanted = inputs.map((slot) => slot !== undefined && trained[slot] === true)
    const outputs = node.outputs.map((name, i) => {
      const layout = gives[i]
      return name === '' || layout === undefined ? undefined : place(name, layout, wanted.includes(true))
    })
    steps.push({ label: labelOf(node), inputs, outputs, run, splits, sums, statistics: names, wanted })
    return undefined
  }

  const inputs = graph.inputs.map(({ name }): Value => {
    const shape = shapeOf(name)
    const layout = onnxOrder(shape.length)
    const type = graph.types.get(name)
    if (type?.kind !== 'tensor' || type.dtype !== 'float32') {
      const found = type?.kind === 'tensor' ? type.dtype : 'another type'
      failures.push(
        unsupported(`input ${name}`, 'float32', found, 'Only models that take float images can be trained.'),
      )
    }
    return { name, shape, layout, slot: place(name, layout, false) }
  })
  for (const node of graph.nodes) {
    const problem = lower(node)
    const float = node.outputs.every((name) => {
      const type = graph.types.get(name)
      return type?.kind !== 'tensor' || !isFloat(type.dtype) || type.dtype === 'float32'
    })
    if (problem !== undefined) {
      failures.push(unsupported(labelOf(node), 'an operator that can be trained', problem, otherTool))
    } else if (!float) {
      failures.push(unsupported(labelOf(node), 'float32', 'another float type', 'Export the model in float32.'))
    }
  }
  if (failures.length > 0) {
    for (const tensor of constants.values()) tensor.dispose()
    return E.left(failures)
  }
  const outputs: Value[] = []
  for (const { name } of graph.outputs) {
    const shape = shapeOf(name)
    const tensor = graph.constants.get(name)
    const layout = onnxOrder(shape.length)
    if (tensor !== undefined && !places.has(name)) hold(name, tensor, { as: 'operand', layout })
    const slot = slotIn(name, layout)
    if (slot !== undefined) outputs.push({ name, shape, layout, slot })
  }
  return E.right({
    steps,
    inputs,
    outputs,
    parameters: inOrder(graph, parameters),
    statistics: inOrder(graph, statistics),
    constants,
    lastUse: lastUses(steps, outputs, trained.length),
  })
}

const inOrder = (graph: Graph, held: ReadonlyMap<ValueId, Value>): ReadonlyArray<Value> => {
  const out: Value[] = []
  for (const name of graph.constants.keys()) {
    const entry = held.get(name)
    if (entry !== undefined) out.push(entry)
  }
  return out
}

const lastUses = (steps: ReadonlyArray<Step>, outputs: ReadonlyArray<Value>, slots: number): ReadonlyArray<number> => {
  const last = new Array<number>(slots).fill(-1)
  for (const [at, step] of steps.entries()) {
    for (const slot of [...step.inputs, ...step.outputs]) if (slot !== undefined) last[slot] = at
  }
  for (const { slot } of outputs) last[slot] = steps.length
  return last
}

/** A step that lays the elements of a value out anew. */
const reordering = ({ ops }: Backend, shape: ReadonlyArray<number>, from: Layout, to: Layout): Lowered['run'] => {
  const there = orderBetween(from, to)
  const back = orderBetween(to, from)
  const [before, after] = [storedShape(shape, from), storedShape(shape, to)]
  const free = keepsElements(before, there)
  return (inputs) => ({
    outputs: [free ? ops.reshape(given(inputs, 0), after) : ops.transpose(given(inputs, 0), there)],
    gradient: ([dy]) => [dy && (free ? ops.reshape(dy, before) : ops.transpose(dy, back))],
  })
}
