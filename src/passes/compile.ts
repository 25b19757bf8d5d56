/**
 * The compiler: a model and its masks in, a smaller graph that computes the same function out, with a report of what went
 * and why the rest stayed. Pure and synchronous.
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { graphTime, leastTime } from '../cost/graph-time.ts'
import type { CostTable } from '../cost/table.ts'
import { type Bindings, bindInputs } from '../ir/bind.ts'
import { isFloat } from '../ir/dtype.ts'
import { onlyReader, producersOf } from '../ir/analysis.ts'
import { readingFiles } from '../ir/external-failure.ts'
import { failure } from '../ir/failure.ts'
import { channelsOf } from '../ir/families/contraction.ts'
import { contextOf, type Graph, labelOf } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { isOpaque, opOf } from '../ir/registry.ts'
import { sameNodes } from '../ir/same-nodes.ts'
import { storedBytes } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import type { Masks } from '../masks/mask.ts'
import { readersOfWeights } from '../masks/weights.ts'
import { advise, type Advice, type Origin } from './advise.ts'
import { applyMasks } from './apply-masks.ts'
import { tooManyChannels } from './channel-elimination/tracking.ts'
import { explain, type LayerChange, nameLayers, type Stay } from './channel-elimination/explain.ts'
import { channelsMixed } from './channel-elimination/mixing.ts'
import { isSmallToTry } from './effort.ts'
import { eliminateDead } from './eliminate-dead.ts'
import { type IdleMask, idleMasks } from './idle-masks.ts'
import { attentionOperators, joinAttention } from './join-attention.ts'
import { type Observer, type PassError, type Refusal, refusalsOf, runPipeline, type Step } from './pass.ts'
import { cleanUpWith, pipeline } from './pipeline.ts'
import type { Float16Report } from './float16/report.ts'
import type { Subgraphs } from './subgraphs.ts'
import { shareConstants } from './share-constants.ts'
import { splitBlocks } from './split-blocks/index.ts'
import { costsOf, type Target, targets } from './target.ts'

export interface CompileOptions {
  /** What the package will run on; decides which widths are rounded up. */
  readonly target?: Target
  /** Whether widths are rounded up to what the target runs fast (`planned`, the default) or cut as far as they can (`raw`). */
  readonly widths?: 'planned' | 'raw'
  /** What work takes on the target, measured there by `chasec tune`; for `cpu` only. */
  readonly costs?: CostTable
  /** Sizes of symbolic input dimensions, for counting multiplications only; the model stays as general as it was. */
  readonly sizes?: Bindings
  readonly observer?: Observer
  /** How subgraphs are read and written; absent: they are left as they are. */
  readonly subgraphs?: Subgraphs
  /**
   * Whether the report says what to mask besides, which takes a few further compilations of what is left: `true` for a model of
   * any size, `small` unless that is large.
   */
  readonly advise?: boolean | 'small'
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
  /** Of a recurrence the units of all directions, those of the first one first. */
  readonly outputs: Width
  /** Multiply-accumulates for the sizes in the report; `alone`: if the layer could shrink regardless of its neighbours. */
  readonly macs: { readonly before: number; readonly after: number; readonly alone: number }
  /** Channels that would be left if the layer could shrink regardless of its neighbours. */
  readonly alone: { readonly inputs: number; readonly outputs: number }
  readonly stays: ReadonlyArray<Remainder>
  /** The layer that computes this one as well, where two were made one. Widths are those that it had until then. */
  readonly joined?: string
}

export interface Totals {
  /** Elements of float constants, and of weights of layers that are integers. */
  readonly parameters: number
  readonly bytes: number
  readonly macs: number
  readonly nodes: number
}

/** What one run of a model takes on one thread, by a table of what its parts take, in milliseconds. */
export interface Predicted {
  readonly before: number
  readonly after: number
  /** What the table was measured on. */
  readonly about: string
}

export interface CompileReport {
  readonly target: Target
  /** Sizes that multiplications were counted for. */
  readonly sizes: Readonly<Record<string, number>>
  readonly before: Totals
  readonly after: Totals
  /** Absent for targets that nothing was measured of, where most of the work is of a kind that was not measured, and for tiny models. */
  readonly predicted?: Predicted
  /** Multiply-accumulates if every layer could shrink regardless of its neighbours. */
  readonly alone: number
  readonly layers: ReadonlyArray<LayerReport>
  /** How often each pass changed the graph. */
  readonly passes: Readonly<Record<string, number>>
  /** Nodes that were kept as they are, and why. */
  readonly opaque: ReadonlyArray<{ readonly node: string; readonly reason: string }>
  /** What passes would fold or fuse but must not, since the numbers would not be the same. */
  readonly refusals: ReadonlyArray<Refusal>
  /** Masks that take effect nowhere. */
  readonly idleMasks: ReadonlyArray<IdleMask>
  /** What to mask besides, if that was asked for: most multiply-accumulates first. */
  readonly advice?: ReadonlyArray<Advice>
  /** Size of the graph that it would be tried on, where there is none because that is large. */
  readonly adviceLeftOut?: Pick<Totals, 'nodes' | 'bytes'>
  /** What became of it in half precision, where it was changed to that; all else is about the model before. */
  readonly float16?: Float16Report
}

export interface Compiled {
  readonly graph: Graph
  readonly report: CompileReport
}

/**
 * Compiles `model` with every weight multiplied by its mask. Fails where a mask does not fit the model, or where a pass
 * cannot do its work, a file that tensors are in has changed, or an option is none; nothing else.
 */
export const compile = (model: Graph, masks: Masks, options: CompileOptions = {}): E.Either<PassError, Compiled> => {
  const wrong = wrongOption('OptionError', options, optionChoices) ?? wrongCosts(options)
  return wrong === undefined ? readingFiles(() => compileRead(model, masks, options)) : E.left(wrong)
}

const wrongCosts = ({ target = 'cpu', costs }: CompileOptions): PassError | undefined =>
  costs === undefined || target === 'cpu'
    ? undefined
    : failure('OptionError', 'costs', 'none, since they are those of a CPU', `target ${target}`, 'Leave them out.')

const optionChoices: Readonly<Record<keyof CompileOptions, Choice>> = {
  target: targets,
  widths: ['planned', 'raw'],
  costs: 'any',
  sizes: 'any',
  observer: 'any',
  subgraphs: 'any',
  advise: 'any',
}

const compileRead = (model: Graph, masks: Masks, options: CompileOptions): E.Either<PassError, Compiled> => {
  const target = options.target ?? 'cpu'
  const bindings = options.sizes ?? new Map<string, number>()
  const changes = new Map<string, number>()
  /** Layers that others have taken in, by name. */
  const heirs = new Map<string, string>()
  let isStopped = false
  const observer: Observer = (pass, before, after) => {
    if (before !== after && joiningPasses.includes(pass.name)) {
      for (const [layer, heir] of joinedLayers(before, after)) heirs.set(layer, heir)
    }
    changes.set(pass.name, (changes.get(pass.name) ?? 0) + (before === after ? 0 : 1))
    const answer = options.observer?.(pass, before, after)
    isStopped ||= answer === 'stop'
    return answer
  }
  const start = pipe(
    applyMasks(model, masks),
    E.chain((masked) => runPipeline(cleanUpWith(options.subgraphs), masked, observer)),
    E.map(nameLayers),
  )
  if (E.isLeft(start)) return start
  const tooLarge = tooManyChannels(start.right)
  if (tooLarge !== undefined) return E.left(tooLarge)
  const costs = costsOf(target, options.costs)
  const before = survey(start.right, bindings, options.subgraphs, costs)
  const rounds: Array<ReadonlyArray<LayerChange>> = []
  const steps = pipeline({
    subgraphs: options.subgraphs,
    target,
    costs: options.costs,
    planWidths: options.widths !== 'raw',
    observe: (elimination) => {
      rounds.push(explain(elimination))
    },
  })
  const end = runPipeline(steps, start.right, observer)
  if (E.isLeft(end)) return end
  const joined = survey(end.right, bindings, options.subgraphs, costs)
  // Some layers are ones only now: of weights that were computed.
  const whole = pipe(runPipeline(joiningOf(model), end.right, observer), E.map(nameLayers))
  if (E.isLeft(whole)) return whole
  // A layer that is put together above is read as one, and a layer in parts is reported as what it was.
  const splitting = splitBlocks({ target, costs: options.costs, planWidths: options.widths !== 'raw' })
  const split = pipe(
    runPipeline(isStopped ? [] : [splitting], whole.right, observer),
    E.chain((graph) => {
      const isLast = isStopped || graph === whole.right
      return isLast ? E.right(graph) : runPipeline([shareConstants, eliminateDead], graph, observer)
    }),
  )
  if (E.isLeft(split)) return split
  const isSplit = (changes.get('split-blocks') ?? 0) > 0
  const after = isSplit ? inParts(joined, survey(split.right, bindings, options.subgraphs, costs)) : joined
  const layers = reportLayers(before, after, rounds, heirs)
  const advised =
    (options.advise ?? false) === false ? {} : adviseOn(start.right, end.right, layers, changes, after.totals, options)
  return E.right({
    graph: split.right === end.right || !sameNodes(split.right, model) ? split.right : model,
    report: {
      target,
      sizes: Object.fromEntries(before.sizes),
      before: { ...before.totals, nodes: model.nodes.length },
      after: after.totals,
      ...predictedOf(before, after, costs),
      alone: layers.reduce((sum, { macs }) => sum - macs.before + macs.alone, before.totals.macs),
      layers,
      passes: Object.fromEntries(changes),
      opaque: end.right.nodes.flatMap((node) =>
        isOpaque(node) ? [{ node: labelOf(node), reason: node.attrs.reason }] : [],
      ),
      refusals: [...refusalsOf(steps, end.right), ...refusalsOf([splitting], split.right)],
      idleMasks: idleMasks(model, masks, start.right, layers, layersSplit(joined, after)),
      ...advised,
    },
  })
}

/** What puts operators together that the model has and that were taken apart. */
const joiningOf = (model: Graph): ReadonlyArray<Step> => {
  const names = new Set(model.nodes.map(({ op }) => op).filter((op) => attentionOperators.includes(op)))
  return names.size === 0 ? [] : [joinAttention(names), eliminateDead]
}

/** Passes that make one layer of two, which no longer has the rows of the one that it is called after. */
const joiningPasses = ['fuse-linear', 'fuse-parallel']

/** The layers that such a pass has taken out of a graph, each with the one that makes what was made of it. */
const joinedLayers = (before: Graph, after: Graph): ReadonlyArray<readonly [layer: string, heir: string]> => {
  const left = new Set(after.nodes.map(({ name }) => name))
  return before.nodes.flatMap((node) => {
    if (node.name === '' || left.has(node.name) || opOf(node).contraction === undefined) return []
    for (let at: Node | undefined = node; at !== undefined; at = onlyReader(before, at.outputs[0] ?? '')) {
      const heir = producersOf(after).get(at.outputs[0] ?? '')
      if (heir !== undefined) return heir.name === '' ? [] : [[node.name, heir.name] as const]
    }
    return []
  })
}

/** What to mask besides: tried on what is left, or, where layers were joined, on the model itself. */
const adviseOn = (
  start: Graph,
  end: Graph,
  layers: ReadonlyArray<LayerReport>,
  changes: ReadonlyMap<string, number>,
  left: Totals,
  options: CompileOptions,
): Pick<CompileReport, 'advice' | 'adviceLeftOut'> => {
  const base = joiningPasses.some((name) => (changes.get(name) ?? 0) > 0) ? start : end
  const { nodes, bytes } = totalsOf(base)
  if (options.advise === 'small' && !isSmallToTry({ nodes, bytes })) return { adviceLeftOut: { nodes, bytes } }
  const reports = new Map(layers.map((layer) => [layer.layer, layer]))
  const originOf = (name: string, count: number): Origin | undefined => {
    const found = reports.get(name)
    if (found === undefined || base === start) return found && { weight: found.weight, channelOf: (o) => o }
    const { weight, outputs } = found
    return outputs.after === count ? { weight, channelOf: (o) => outputs.kept?.[o] ?? o } : undefined
  }
  const { target, widths, costs, sizes, subgraphs } = options
  const again = {
    ...(target === undefined ? {} : { target }),
    ...(widths === undefined ? {} : { widths }),
    ...(costs === undefined ? {} : { costs }),
    ...(sizes === undefined ? {} : { sizes }),
    ...(subgraphs === undefined ? {} : { subgraphs }),
  }
  const advice = advise(base, originOf, left.macs, (masks) =>
    pipe(
      compileRead(base, masks, again),
      E.map(({ report }) => report.after.macs),
    ),
  )
  return { advice }
}

/** A layer as it is in a graph. */
interface LayerSize {
  readonly layer: string
  readonly op: string
  readonly weight: ValueId
  readonly inputs: number
  readonly outputs: number
  readonly macs: number
}

/** Sizes of a graph and of its layers, multiplications counted for bound input sizes. */
export interface Survey {
  readonly totals: Totals
  readonly sizes: Bindings
  readonly layers: ReadonlyArray<LayerSize>
  /** Multiply-accumulates of each node that has a name. */
  readonly work: ReadonlyMap<string, number>
  /** Nanoseconds of a run; undefined where these are not known. */
  readonly time: number | undefined
}

/** A graph that was surveyed with some of its layers in parts since: what they are called is the product of the parts. */
const inParts = (joined: Survey, split: Survey): Survey => ({
  ...split,
  layers: joined.layers.map((one) => ({ ...one, macs: split.work.get(one.layer) ?? one.macs })),
})

/** The names of layers that take less work in the second of two surveys. */
const layersSplit = (before: Survey, after: Survey): ReadonlySet<string> =>
  new Set(before.layers.flatMap(({ layer, macs }, at) => ((after.layers[at]?.macs ?? 0) < macs ? [layer] : [])))

const predictedOf = (before: Survey, after: Survey, costs: CostTable | undefined): Pick<CompileReport, 'predicted'> =>
  costs === undefined || before.time === undefined || after.time === undefined || before.time < leastTime
    ? {}
    : { predicted: { before: before.time / 1e6, after: after.time / 1e6, about: costs.about } }

/** A graph as it is, symbolic sizes as a report takes them. */
export const surveyOf = (graph: Graph): Survey => survey(graph, new Map(), undefined)

const survey = (graph: Graph, bindings: Bindings, subgraphs: Subgraphs | undefined, costs?: CostTable): Survey => {
  const inputs = bindInputs(graph, bindings)
  const { graph: bound, sizes } = E.isRight(inputs) ? inputs.right : { graph, sizes: bindings }
  const sized = subgraphs?.sized(bound) ?? bound
  const layers = sized.nodes.flatMap((node) => {
    const op = opOf(node)
    const ctx = contextOf(sized, node)
    const isOpaqueHere = op.links === 'opaque' || op.links(ctx) === 'opaque'
    const c = isOpaqueHere ? undefined : op.contraction?.(ctx)
    const mixing = isOpaqueHere || c !== undefined ? undefined : op.mixes?.(ctx)
    const weight = c && (c.weight ?? ctx.constant(c.weightPort))
    const channels = c && weight ? channelsOf(weight, c) : mixing && channelsMixed(ctx, mixing)
    if (channels === undefined) return []
    const { inputs, outputs } = channels
    const name = node.inputs[c?.weightPort ?? mixing?.layer.weightPort ?? -1] ?? ''
    return [{ layer: node.name, op: node.op, weight: name, inputs, outputs, macs: op.macs?.(ctx) ?? 0 }]
  })
  const work = new Map(sized.nodes.flatMap((node) => (node.name === '' ? [] : [[node.name, macsOfNode(sized, node)]])))
  return { totals: totalsOf(sized, subgraphs), sizes, layers, work, time: costs && graphTime(sized, costs) }
}

const macsOfNode = (graph: Graph, node: Node): number => opOf(node).macs?.(contextOf(graph, node)) ?? 0

/** Multiply-accumulates of the whole graph, those in subgraphs where these can be read; symbolic sizes count as 1. */
export const macsOf = (graph: Graph, subgraphs?: Subgraphs): number =>
  graph.nodes.reduce((sum, node) => {
    if (!isOpaque(node)) return sum + macsOfNode(graph, node)
    if (subgraphs === undefined || node.attrs.defines.length === 0) return sum
    return sum + subgraphs.macs(node, graph, (inner) => macsOf(inner, subgraphs))
  }, 0)

export const totalsOf = (graph: Graph, subgraphs?: Subgraphs): Totals => {
  let parameters = 0
  let bytes = 0
  let nodes = graph.nodes.length
  for (const tensor of graph.constants.values()) {
    if (isFloat(tensor.dtype)) parameters += sizeOf(tensor.shape)
    bytes += storedBytes(tensor)
    if (tensor.tag === 'Held') nodes += 1
  }
  for (const [weight, [layer]] of readersOfWeights(graph)) {
    const stored = graph.constants.get(weight)
    if (layer !== undefined && stored !== undefined && !isFloat(stored.dtype)) parameters += sizeOf(layer.tensor.shape)
  }
  return { parameters, bytes, macs: macsOf(graph, subgraphs), nodes }
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
  before: Survey,
  after: Survey,
  rounds: ReadonlyArray<ReadonlyArray<LayerChange>>,
  heirs: ReadonlyMap<string, string>,
): ReadonlyArray<LayerReport> => {
  const lastHeir = (layer: string): string | undefined => {
    const heir = heirs.get(layer)
    return heir === undefined || left.has(heir) ? heir : lastHeir(heir)
  }
  const left = new Map(after.layers.map((layer) => [layer.layer, layer]))
  const histories = new Map<string, LayerChange[]>(before.layers.map(({ layer }) => [layer, []]))
  for (const round of rounds) for (const change of round) histories.get(change.layer)?.push(change)
  const none = new Int32Array()
  return before.layers.map(({ layer, op, weight, macs, ...widths }) => {
    const history = histories.get(layer) ?? []
    const now = left.get(layer)
    const heir = now === undefined ? lastHeir(layer) : undefined
    // A layer may also go with a branch that became a constant.
    const gone = now === undefined && heir === undefined ? [none] : []
    const inputs = follow(widths.inputs, [...history.map((h) => h.keptInputs), ...gone])
    const outputs = follow(widths.outputs, [...history.map((h) => h.keptOutputs), ...gone])
    // Whatever stood in its way before its branch went.
    const stays = now === undefined ? [] : (history.at(-1)?.stays ?? [])
    return {
      layer,
      op,
      weight,
      inputs,
      outputs,
      macs: { before: macs, after: now?.macs ?? 0, alone: macs * (history[0]?.alone ?? 0) },
      alone: history[0]?.needed ?? { inputs: 0, outputs: 0 },
      stays: groupStays(stays, { input: inputs.kept, output: outputs.kept }),
      ...(heir === undefined ? {} : { joined: heir }),
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
