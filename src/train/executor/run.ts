/** Runs a plan forwards and backwards. Every tensor made on the way is disposed as soon as nothing needs it. */
import type { ValueId } from '../../ir/op.ts'
import type { Backend } from '../backend/backend.ts'
import type { Tensor } from '../backend/tensor.ts'
import { scoped } from '../backend/scope.ts'
import type { Gradient, Mode, Result } from './lowering.ts'
import type { Plan, Slot, Step } from './plan.ts'

/** What a forward run leaves for the way back. */
interface Trace {
  readonly step: Step
  readonly gradient: Gradient | undefined
  readonly saved: ReadonlyArray<Tensor>
}

export interface Forward {
  /** By slot, what is still there: the outputs, and when recording everything made. */
  readonly values: ReadonlyArray<Tensor | undefined>
  readonly traces: ReadonlyArray<Trace>
  /** New running statistics by name. */
  readonly statistics: ReadonlyMap<ValueId, Tensor>
}

export type Slots = ReadonlyMap<Slot, Tensor>

/** Is told what a step of the forward run reads, which is not to be kept. */
export type Watch = (step: Step, inputs: ReadonlyArray<Tensor | undefined>) => void

/** Is told how long a step took, on backends that have computed when they answer. */
export type Observe = (label: string, way: 'forward' | 'backward', milliseconds: number) => void

const timed = <T>(observe: Observe | undefined, step: Step, way: 'forward' | 'backward', body: () => T): T => {
  if (observe === undefined) return body()
  const start = performance.now()
  const result = body()
  observe(step.label, way, performance.now() - start)
  return result
}

/**
 * Runs all steps on what `held` and the plan's constants hold. Without `record`, values go after their last use and only
 * those of the plan's outputs are left. Nothing in `held` is disposed.
 */
export const runForward = (
  backend: Backend,
  plan: Plan,
  held: Slots,
  mode: Mode,
  record: boolean,
  observe?: Observe,
  watch?: Watch,
): Forward => {
  const values: Array<Tensor | undefined> = new Array<Tensor | undefined>(plan.lastUse.length).fill(undefined)
  const owned = new Uint8Array(values.length)
  for (const [slot, tensor] of plan.constants) values[slot] = tensor
  for (const [slot, tensor] of held) values[slot] = tensor
  const traces: Trace[] = []
  const statistics = new Map<ValueId, Tensor>()
  for (const [at, step] of plan.steps.entries()) {
    const inputs = step.inputs.map((slot) => (slot === undefined ? undefined : values[slot]))
    watch?.(step, inputs)
    const recording = record && step.wanted.includes(true)
    const result = timed(observe, step, 'forward', () => runStep(backend, step, inputs, mode, recording))
    for (const [i, slot] of step.outputs.entries()) {
      if (slot === undefined) result.outputs[i]?.dispose()
      else {
        values[slot] = result.outputs[i]
        owned[slot] = 1
      }
    }
    for (const [port, value] of result.statistics ?? []) statistics.set(step.statistics[port] ?? '', value)
    if (recording) traces.push({ step, gradient: result.gradient, saved: result.saved ?? [] })
    if (record) continue
    for (const slot of new Set([...step.inputs, ...step.outputs])) {
      if (slot === undefined || owned[slot] !== 1 || plan.lastUse[slot] !== at) continue
      values[slot]?.dispose()
      values[slot] = undefined
    }
  }
  return { values: values.map((tensor, slot) => (owned[slot] === 1 ? tensor : undefined)), traces, statistics }
}

/** One step, whose results are tensors of their own: none is an input or given twice. */
const runStep = (
  { core, ops }: Backend,
  step: Step,
  inputs: ReadonlyArray<Tensor | undefined>,
  mode: Mode,
  recording: boolean,
): Result =>
  scoped(
    core,
    () => {
      const result = step.run(inputs, mode)
      const outputs = distinct(result.outputs, inputs, (x) => ops.unary('Identity', x))
      return { ...result, outputs: outputs.map((tensor) => tensor ?? ops.zeros([0])) }
    },
    (result) => [
      ...result.outputs,
      ...(recording ? (result.saved ?? []) : []),
      ...(result.statistics ?? []).map(([, value]) => value),
    ],
  )

/** `tensors` with a copy of the handle for each that is among `taken` or came before. */
const distinct = (
  tensors: ReadonlyArray<Tensor | undefined>,
  taken: ReadonlyArray<Tensor | undefined>,
  copy: (tensor: Tensor) => Tensor,
): ReadonlyArray<Tensor | undefined> => {
  const seen = new Set(taken)
  return tensors.map((tensor) => {
    if (tensor === undefined) return undefined
    const own = seen.has(tensor) ? copy(tensor) : tensor
    seen.add(own)
    return own
  })
}

/**
 * Gradients of the slots in `targets` from those of some outputs, which it takes over. Disposes everything that the
 * forward run recorded. `instead` holds what the gradients of other inputs read in place of some slots.
 */
export const runBackward = (
  backend: Backend,
  { values, traces }: Forward,
  seeds: ReadonlyMap<Slot, Tensor>,
  targets: ReadonlySet<Slot>,
  instead: Slots,
  observe?: Observe,
): ReadonlyMap<Slot, Tensor> => {
  const gradients = new Map(seeds)
  const take = (slot: Slot | undefined): Tensor | undefined => {
    const tensor = slot === undefined ? undefined : gradients.get(slot)
    if (slot !== undefined) gradients.delete(slot)
    return tensor
  }
  const left: Array<Tensor | undefined> = [...values]
  for (const { step, gradient, saved } of traces.toReversed()) {
    const dys = step.outputs.map(take)
    if (gradient !== undefined && dys.some((dy) => dy !== undefined)) {
      const dxs = timed(observe, step, 'backward', () => runGradient(backend, step, gradient, dys, gradients, instead))
      for (const [slot, dx] of dxs) gradients.set(slot, dx)
    }
    for (const tensor of [...dys, ...saved]) tensor?.dispose()
    for (const slot of step.outputs) {
      if (slot === undefined) continue
      left[slot]?.dispose()
      left[slot] = undefined
    }
  }
  for (const tensor of left) tensor?.dispose()
  const found = new Map<Slot, Tensor>()
  for (const [slot, tensor] of gradients) {
    if (targets.has(slot)) found.set(slot, tensor)
    else tensor.dispose()
  }
  return found
}

/** New gradients of the inputs of one step: what this step gives added to what was there, which is disposed. */
const runGradient = (
  { core, ops }: Backend,
  step: Step,
  gradient: Gradient,
  dys: ReadonlyArray<Tensor | undefined>,
  before: ReadonlyMap<Slot, Tensor>,
  instead: Slots,
): ReadonlyMap<Slot, Tensor> => {
  const others = step.inputs.map((slot) => (slot === undefined ? undefined : instead.get(slot)))
  const sums = scoped(
    core,
    () => {
      const dxs = distinct(gradient(dys, step.wanted, others), dys, (x) => ops.unary('Identity', x))
      const out = new Map<Slot, Tensor>()
      for (const [port, slot] of step.inputs.entries()) {
        const dx = dxs[port]
        if (slot === undefined || dx === undefined || step.wanted[port] !== true) continue
        const sum = out.get(slot) ?? before.get(slot)
        out.set(slot, sum === undefined ? dx : ops.add(sum, dx))
      }
      return out
    },
    (out) => [...out.values()],
  )
  for (const slot of sums.keys()) before.get(slot)?.dispose()
  return sums
}
