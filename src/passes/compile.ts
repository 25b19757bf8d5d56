/**
 * The compiler: a model and its masks in, a smaller graph that computes the same function out, with a report of what went
 * and why the rest stayed. Pure and synchronous.
 */
import * as E from 'fp-ts/lib/Either.js'
import { type Bindings, bindInputs } from '../ir/bind.ts'
import { contextOf, type Graph, labelOf } from '../ir/graph.ts'
import type { Target, ValueId } from '../ir/op.ts'
import { Opaque } from '../ir/ops/opaque.ts'
import { isOp, opOf } from '../ir/registry.ts'
import { byteLength } from '../ir/dtype.ts'
import { sizeOf } from '../ir/type.ts'
import type { Masks } from '../masks/mask.ts'
import { applyMasks } from './apply-masks.ts'
import { explain, type LayerChange, layersOf, nameLayers, type Stay } from './channel-elimination/explain.ts'
import { type Elimination } from './channel-elimination/index.ts'
import type { Observer, PassError } from './pass.ts'
import { runPipeline } from './pass.ts'
import { cleanUp, pipeline } from './pipeline.ts'

export interface CompileOptions {
  /** What the package will run on; decides which widths are rounded up. */
  readonly target?: Target
  /** Sizes of symbolic input dimensions, for counting multiplications only; the model stays as general as it was. */
  readonly sizes?: Bindings
  readonly observer?: Observer
}

export interface Width {
  readonly before: number
  readonly after: number
  /** Indices kept, in terms of the model that was read; undefined when all are. */
  readonly kept: ReadonlyArray<number> | undefined
}

/** Channels of a layer that are dead or constant and stay all the same, by reason. */
export interface Remainder {
  readonly side: Stay['side']
  readonly reason: Stay['reason']
  /** Channel indices in terms of the model that was read. */
  readonly channels: ReadonlyArray<number>
}

export interface LayerReport {
  readonly layer: string
  readonly op: string
  readonly weight: ValueId
  readonly inputs: Width
  readonly outputs: Width
  /** Multiply-accumulates for the sizes in the report; `alone`: if the layer could shrink regardless of its neighbours. */
  readonly macs: { readonly before: number; readonly after: number; readonly alone: number }
  readonly stays: ReadonlyArray<Remainder>
}

export interface Totals {
  /** Elements of float constants. */
  readonly parameters: number
  readonly bytes: number
  readonly macs: number
  readonly nodes: number
}

export interface CompileReport {
  readonly target: Target
  /** Sizes that multiplications were counted for. */
  readonly sizes: Readonly<Record<string, number>>
  readonly before: Totals
  readonly after: Totals
  /** Multiply-accumulates if every layer could shrink regardless of its neighbours. */
  readonly alone: number
  readonly layers: ReadonlyArray<LayerReport>
  /** How often each pass changed the graph. */
  readonly passes: Readonly<Record<string, number>>
  /** Nodes that were kept as they are, and why. */
  readonly opaque: ReadonlyArray<{ readonly node: string; readonly reason: string }>
}

export interface Compiled {
  readonly graph: Graph
  readonly report: CompileReport
}

/**
 * Compiles `model` with every weight multiplied by its mask. Fails where a mask does not fit the model, or where a pass
 * cannot do its work; nothing else.
 */
export const compile = (model: Graph, masks: Masks, options: CompileOptions = {}): E.Either<PassError, Compiled> => {
  const target = options.target ?? 'cpu'
  const masked = applyMasks(model, masks)
  if (E.isLeft(masked)) return masked
  const changes = new Map<string, number>()
  const observer: Observer = (pass, before, after) => {
    changes.set(pass.name, (changes.get(pass.name) ?? 0) + (before === after ? 0 : 1))
    return options.observer?.(pass, before, after)
  }
  const clean = runPipeline(cleanUp, masked.right, observer)
  if (E.isLeft(clean)) return clean
  const rounds: Array<ReadonlyArray<LayerChange>> = []
  const note = (elimination: Elimination): void => {
    rounds.push(explain(elimination))
  }
  const named = nameLayers(clean.right)
  const done = runPipeline(pipeline(target, note), named, observer)
  if (E.isLeft(done)) return done
  const sized = (graph: Graph): Graph => {
    const bound = bindInputs(graph, options.sizes ?? new Map())
    return E.isRight(bound) ? bound.right.graph : graph
  }
  const sizes = bindInputs(model, options.sizes ?? new Map())
  const [start, end] = [sized(named), sized(done.right)]
  const layers = reportLayers(start, end, rounds)
  return E.right({
    graph: done.right,
    report: {
      target,
      sizes: Object.fromEntries(E.isRight(sizes) ? sizes.right.sizes : []),
      before: { ...totalsOf(start), nodes: model.nodes.length },
      after: totalsOf(end),
      alone: layers.reduce((sum, layer) => sum + layer.macs.alone, 0),
      layers,
      passes: Object.fromEntries(changes),
      opaque: done.right.nodes.flatMap((node) =>
        isOp(node, Opaque) ? [{ node: labelOf(node), reason: node.attrs.reason }] : [],
      ),
    },
  })
}

/** Multiply-accumulates of the whole graph; symbolic sizes count as 1. */
export const macsOf = (graph: Graph): number =>
  graph.nodes.reduce((sum, node) => sum + (opOf(node).macs?.(contextOf(graph, node)) ?? 0), 0)

export const totalsOf = (graph: Graph): Totals => {
  let parameters = 0
  let bytes = 0
  for (const tensor of graph.constants.values()) {
    const size = sizeOf(tensor.shape)
    if (tensor.dtype.startsWith('float') || tensor.dtype === 'bfloat16') parameters += size
    bytes += byteLength(tensor.dtype, size)
  }
  return { parameters, bytes, macs: macsOf(graph), nodes: graph.nodes.length }
}

const layerMacs = (graph: Graph): ReadonlyMap<string, number> => {
  const out = new Map<string, number>()
  for (const node of layersOf(graph)) out.set(node.name, opOf(node).macs?.(contextOf(graph, node)) ?? 0)
  return out
}

/** A width through all rounds: what each kept, in terms of the first. */
const follow = (count: number, rounds: ReadonlyArray<Int32Array | undefined>): Width => {
  let kept: ReadonlyArray<number> | undefined
  for (const indices of rounds) {
    if (indices === undefined) continue
    const known = kept
    kept = Array.from(indices, (i) => known?.[i] ?? i)
  }
  return { before: count, after: kept?.length ?? count, kept }
}

const reportLayers = (
  start: Graph,
  end: Graph,
  rounds: ReadonlyArray<ReadonlyArray<LayerChange>>,
): ReadonlyArray<LayerReport> => {
  const [before, after] = [layerMacs(start), layerMacs(end)]
  const histories = new Map<string, LayerChange[]>()
  for (const round of rounds) {
    for (const change of round) {
      const known = histories.get(change.layer)
      if (known) known.push(change)
      else histories.set(change.layer, [change])
    }
  }
  const first = rounds[0] ?? []
  return first.map((layer) => {
    const history = histories.get(layer.layer) ?? [layer]
    const last = history.at(-1) ?? layer
    const present = after.has(layer.layer)
    const none = new Int32Array()
    const inputs = follow(layer.inputs, [...history.map((h) => h.keptInputs), present ? undefined : none])
    const outputs = follow(layer.outputs, [...history.map((h) => h.keptOutputs), present ? undefined : none])
    const macs = before.get(layer.layer) ?? 0
    return {
      layer: layer.layer,
      op: layer.op,
      weight: layer.weight,
      inputs,
      outputs,
      macs: { before: macs, after: after.get(layer.layer) ?? 0, alone: macs * layer.alone },
      stays: groupStays(last.stays, { input: inputs.kept, output: outputs.kept }),
    }
  })
}

const groupStays = (
  stays: ReadonlyArray<Stay>,
  kept: Readonly<Record<Stay['side'], ReadonlyArray<number> | undefined>>,
): ReadonlyArray<Remainder> => {
  const groups = new Map<
    string,
    { readonly side: Stay['side']; readonly reason: Stay['reason']; readonly channels: number[] }
  >()
  for (const { side, index, reason } of stays) {
    const key = `${side} ${reason.text}`
    const channel = kept[side]?.[index] ?? index
    const known = groups.get(key)
    if (known) known.channels.push(channel)
    else groups.set(key, { side, reason, channels: [channel] })
  }
  return [...groups.values()]
}
