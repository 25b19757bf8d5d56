/**
 * How much of what could go the compiler removes: multiply-accumulates of compiled models against a bound that knows
 * nothing of the compiler. A channel may go when it is the same for every input, found by running the masked model
 * (`bound/probe.ts`), or when no output can move with it; channels that an operator ties (`bound/ties.ts`) go together,
 * all or none. A layer of which every needed output is constant costs nothing.
 */
import { readdirSync } from 'node:fs'
import { bindInputs } from '../src/ir/bind.ts'
import type { Graph } from '../src/ir/graph.ts'
import type { ValueId } from '../src/ir/op.ts'
import { tensorOf } from '../src/ir/tensor.ts'
import { axisMask, type Mask, type Masks } from '../src/masks/mask.ts'
import { applyMasks } from '../src/passes/apply-masks.ts'
import { nameLayers } from '../src/passes/channel-elimination/explain.ts'
import { compile, type CompileReport } from '../src/passes/compile.ts'
import { runPipeline } from '../src/passes/pass.ts'
import { cleanUp } from '../src/passes/pipeline.ts'
import { readModelBytes } from '../src/read/model.ts'
import { plainStyle } from '../src/report/terminal/style.ts'
import { renderTable } from '../src/report/terminal/table.ts'
import { formatCount } from '../src/report/units.ts'
import { orThrow } from '../test/fuzz/differential.ts'
import { randomMasks } from '../test/fuzz/masks.ts'
import { inflate, normals, uniforms } from '../test/inflate.ts'
import { withParts } from '../src/ir/graph.ts'
import { elements } from '../src/ir/tensor.ts'
import { constantChannels } from './bound/probe.ts'
import { type Structure, structureOf } from './bound/ties.ts'
import type { BenchResult } from './result.ts'

export const boundMasks = ['dead', 'filters'] as const
export type BoundMasks = (typeof boundMasks)[number]

export interface BoundOptions {
  readonly models: ReadonlyArray<string>
  readonly masks: ReadonlyArray<BoundMasks>
  readonly seeds: number
}

/** What a layer costs at least. */
interface LayerBound {
  readonly layer: string
  readonly before: number
  readonly bound: number
  /** The same with the channels that it reads and makes rounded up to what the CPU runs fast. */
  readonly rounded: number
  readonly inputs: number
  readonly outputs: number
}

const sizes = new Map([['N', 1]])

/** Names of all graphs of `test/models`. */
const allModels = (): ReadonlyArray<string> =>
  readdirSync(new URL('../test/models', import.meta.url)).flatMap((f) => (f.endsWith('.onnx') ? [f.slice(0, -5)] : []))

/** A half of the filters of every convolution masked. */
const filterMasks = (graph: Graph, seed: number): Masks => {
  const uniform = uniforms(seed)
  const masks = new Map<string, Mask>()
  for (const node of graph.nodes) {
    const name = node.inputs[1] ?? ''
    const weight = graph.constants.get(name)
    if (node.op !== 'Conv' || weight === undefined || masks.has(name)) continue
    const rows = Uint8Array.from({ length: weight.shape[0] ?? 0 }, () => (uniform() < 0.5 ? 0 : 1))
    masks.set(name, axisMask(weight.shape, 0, rows))
  }
  return masks
}

/** The graph with no bias of a convolution and no shift of a normalisation that is zero. */
const withLiveBiases = (graph: Graph): Graph => {
  const normal = normals(uniforms(5))
  const constants = new Map(graph.constants)
  for (const node of graph.nodes) {
    const name = node.op === 'BatchNormalization' || node.op === 'Conv' ? (node.inputs[2] ?? '') : ''
    const tensor = graph.constants.get(name)
    if (tensor === undefined || Array.from(elements(tensor), Number).some((x) => x !== 0)) continue
    constants.set(
      name,
      tensorOf(
        tensor.dtype,
        tensor.shape,
        Array.from({ length: tensor.shape[0] ?? 0 }, () => 0.1 * normal()),
      ),
    )
  }
  return withParts(graph, { constants })
}

/** Union-find over numbered members. */
const disjointSets = (count: number) => {
  const parent = Int32Array.from({ length: count }, (_, i) => i)
  const find = (i: number): number => {
    let root = i
    while (parent[root] !== root) root = parent[root] ?? root
    for (let at = i; at !== root;) {
      const next = parent[at] ?? root
      parent[at] = root
      at = next
    }
    return root
  }
  return { find, join: (a: number, b: number) => void (parent[find(a)] = find(b)) }
}

/** Of every value with channels, 1 for each channel that an output moves with. */
const liveChannels = (
  graph: Graph,
  s: Structure,
  constants: ReadonlyMap<ValueId, Uint8Array>,
): ReadonlyMap<ValueId, Uint8Array> => {
  const live = new Map<ValueId, Uint8Array>()
  for (const [value, { size }] of s.axes) live.set(value, new Uint8Array(size))
  /** Values without channels that an output moves with. */
  const whole = new Set<ValueId>(graph.outputs.map(({ name }) => name))
  for (const { name } of graph.outputs) live.get(name)?.fill(1)
  const layers = new Map(s.layers.map((layer) => [layer.node, layer]))
  const isNeeded = (value: ValueId): boolean => whole.has(value) || live.get(value)?.includes(1) === true
  for (const node of graph.nodes.toReversed()) {
    const needed = (value: ValueId): Uint8Array | undefined =>
      live.get(value)?.map((l, i) => (l === 1 && constants.get(value)?.[i] !== 1 ? 1 : 0))
    const [output = ''] = node.outputs
    const outputs = needed(output)
    const layer = layers.get(node)
    const ins = live.get(node.inputs[0] ?? '')
    if (layer !== undefined && outputs !== undefined && ins !== undefined) {
      for (let o = 0; o < layer.outputs; o++) {
        if (outputs[o] !== 1) continue
        for (let i = 0; i < layer.inputs; i++) if (ins[i] === 0 && layer.reads(o, i)) ins[i] = 1
      }
      continue
    }
    const links = s.links.filter((l) => l.node === node)
    if (outputs !== undefined && !outputs.includes(1)) continue
    if (!node.outputs.some(isNeeded)) continue
    for (const input of new Set(node.inputs)) {
      const own = links.filter((l) => l.input === input)
      const marks = live.get(input)
      if (own.length === 0 || marks === undefined || outputs === undefined) {
        whole.add(input)
        marks?.fill(1)
      }
      for (const { from } of own)
        from.forEach((i, o) => i >= 0 && outputs?.[o] === 1 && marks !== undefined && (marks[i] = 1))
    }
  }
  return live
}

/** What every layer of a masked graph costs at least. */
const boundOf = async (graph: Graph): Promise<ReadonlyArray<LayerBound>> => {
  const s = structureOf(graph)
  const constants = await constantChannels(graph, s.axes, 4)
  const live = liveChannels(graph, s, constants)
  const start = new Map<ValueId, number>()
  let count = 0
  for (const [value, { size }] of s.axes) {
    start.set(value, count)
    count += size
  }
  const sets = disjointSets(count)
  for (const { input, output, from } of s.links) {
    const [a, b] = [start.get(input), start.get(output)]
    if (a === undefined || b === undefined) continue
    from.forEach((i, o) => i >= 0 && sets.join(a + i, b + o))
  }
  // With one input channel in each group, an input goes with the outputs made from it.
  for (const { input, output, inputs, outputs, groups } of s.layers) {
    const [a, b] = [start.get(input), start.get(output)]
    if (groups !== inputs || groups === 1 || a === undefined || b === undefined) continue
    for (let o = 0; o < outputs; o++) sets.join(a + Math.floor((o * groups) / outputs), b + o)
  }
  const stays = new Uint8Array(count)
  for (const [value, { size }] of s.axes) {
    const at = start.get(value) ?? 0
    for (let i = 0; i < size; i++) {
      const goes = !s.pinned.has(value) && (constants.get(value)?.[i] === 1 || live.get(value)?.[i] === 0)
      if (!goes) stays[sets.find(at + i)] = 1
    }
  }
  const kept = (value: ValueId, size: number): Uint8Array => {
    const at = start.get(value)
    return Uint8Array.from({ length: size }, (_, i) => (at === undefined ? 1 : (stays[sets.find(at + i)] ?? 1)))
  }
  return s.layers.map(({ node, input, output, inputs, outputs, groups, macs, fixed }) => {
    const [ins, outs] = [kept(input, inputs), kept(output, outputs)]
    const [known, needed] = [constants.get(output), live.get(output)]
    const works = outs.some((_, o) => needed?.[o] !== 0 && known?.[o] !== 1)
    const sum = (marks: Uint8Array, from: number, to: number): number =>
      marks.subarray(from, to).reduce((n, m) => n + m, 0)
    let pairs = 0
    for (let g = 0; g < groups; g++) {
      pairs +=
        sum(ins, (g * inputs) / groups, ((g + 1) * inputs) / groups) *
        sum(outs, (g * outputs) / groups, ((g + 1) * outputs) / groups)
    }
    const [k, l] = [sum(ins, 0, inputs), sum(outs, 0, outputs)]
    const up = (n: number, full: number): number => Math.min(full, Math.ceil(n / 4) * 4)
    const each = macs / ((inputs / groups) * outputs)
    const roundedPairs = node.op === 'Conv' && groups === 1 ? up(k, inputs) * up(l, outputs) : pairs
    return {
      layer: node.name,
      before: macs + fixed,
      bound: works ? each * pairs + fixed : 0,
      rounded: works ? each * roundedPairs + fixed : 0,
      inputs: works ? k : 0,
      outputs: works ? l : 0,
    }
  })
}

interface Row {
  readonly model: string
  readonly masks: BoundMasks
  readonly seed: number
  readonly before: number
  readonly bound: number
  readonly rounded: number
  readonly planned: number
  readonly raw: number
  /** Saved multiply-accumulates as a share of what the bound saves; planned widths against the rounded bound. */
  readonly share: number
  readonly rawShare: number
  readonly gaps: ReadonlyArray<Gap>
}

/** A layer that costs more than it has to. */
interface Gap {
  readonly layer: string
  readonly bound: LayerBound
  readonly macs: number
  readonly inputs: number
  readonly outputs: number
  readonly stays: ReadonlyArray<string>
}

const total = (list: ReadonlyArray<number>): number => list.reduce((n, x) => n + x, 0)

const share = (before: number, after: number, bound: number): number =>
  before === bound ? 1 : (before - after) / (before - bound)

const gapsOf = (bounds: ReadonlyArray<LayerBound>, report: CompileReport): ReadonlyArray<Gap> => {
  const byName = new Map(report.layers.map((layer) => [layer.layer, layer]))
  return bounds
    .flatMap((bound): ReadonlyArray<Gap> => {
      const layer = byName.get(bound.layer)
      if (layer === undefined) return []
      return [
        {
          layer: bound.layer,
          bound,
          macs: layer.macs.after,
          inputs: layer.inputs.after,
          outputs: layer.outputs.after,
          stays: layer.stays.map(({ side, reason, channels }) => `${channels.length} ${side}s: ${reason.text}`),
        },
      ]
    })
    .filter((gap) => gap.macs > gap.bound.rounded * 1.001)
    .sort((a, b) => b.macs - b.bound.rounded - (a.macs - a.bound.rounded))
}

const rowOf = async (model: string, masks: BoundMasks, seed: number): Promise<Row> => {
  const read = orThrow(runPipeline(cleanUp, orThrow(readModelBytes(inflate(model)))))
  const graph = masks === 'filters' ? withLiveBiases(read) : read
  const chosen = masks === 'filters' ? filterMasks(graph, seed) : randomMasks(graph, 'dead', uniforms(seed))
  const masked = nameLayers(orThrow(runPipeline(cleanUp, orThrow(applyMasks(graph, chosen)))))
  const bounds = await boundOf(orThrow(bindInputs(masked, sizes)).graph)
  const planned = orThrow(compile(graph, chosen, { sizes })).report
  const raw = orThrow(compile(graph, chosen, { sizes, widths: 'raw' })).report
  const before = planned.before.macs
  // What sums over no channels costs the same in both.
  const rest = before - total(bounds.map((b) => b.before))
  const [bound, rounded] = [total(bounds.map((b) => b.bound)) + rest, total(bounds.map((b) => b.rounded)) + rest]
  return {
    model,
    masks,
    seed,
    before,
    bound,
    rounded,
    planned: planned.after.macs,
    raw: raw.after.macs,
    share: share(before, planned.after.macs, rounded),
    rawShare: share(before, raw.after.macs, bound),
    gaps: gapsOf(bounds, planned),
  }
}

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`

const render = (rows: ReadonlyArray<Row>): string => {
  const table = renderTable(
    [
      { title: 'model' },
      { title: 'masks' },
      { title: 'seed', align: 'right' },
      { title: 'MACs', align: 'right' },
      { title: 'bound', align: 'right' },
      { title: 'bound, rounded', align: 'right' },
      { title: 'reached', align: 'right' },
      { title: 'reached, raw', align: 'right' },
      { title: 'of the saving', align: 'right' },
      { title: 'raw', align: 'right' },
    ],
    rows.map((r) => [
      r.model,
      r.masks,
      String(r.seed),
      ...[r.before, r.bound, r.rounded, r.planned, r.raw].map((n) => formatCount(n)),
      percent(r.share),
      percent(r.rawShare),
    ]),
    plainStyle,
  )
  const gaps = rows
    .filter((r) => r.share < 0.97)
    .map((r) => {
      const lines = r.gaps.slice(0, 6).map((g) => {
        const reasons = g.stays.length === 0 ? 'no reason given' : g.stays.slice(0, 4).join('; ')
        return `  ${g.layer}: ${formatCount(g.macs)} for ${formatCount(g.bound.rounded)}, ${g.inputs} -> ${g.outputs} for ${g.bound.inputs} -> ${g.bound.outputs}: ${reasons}`
      })
      return `${r.model}, ${r.masks}, seed ${r.seed}: ${percent(r.share)}\n${lines.join('\n')}`
    })
  return [table, ...gaps].join('\n\n')
}

/** The table for models under masks. */
export const benchBound = async (options: BoundOptions): Promise<BenchResult> => {
  const rows: Row[] = []
  for (const model of options.models.length === 0 ? allModels() : options.models) {
    for (const masks of options.masks) {
      for (let seed = 1; seed <= options.seeds; seed++) {
        const row = await rowOf(model, masks, seed)
        process.stderr.write(`${model} ${masks} ${seed}: ${percent(row.share)}\n`)
        rows.push(row)
      }
    }
  }
  return { json: { rows }, text: render(rows) }
}
