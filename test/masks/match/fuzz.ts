/**
 * `npx tsx test/masks/match/fuzz.ts --seed S --count N`: random networks, exported at random, and random files of masks for
 * them. Each match is applied and compared with where the masks belong, element by element. `--count 1 -v` shows one try.
 */
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { type Dense, dense, elements, tensorOf } from '../../../src/ir/tensor.ts'
import type { FileEntry } from '../../../src/masks/file-entry.ts'
import { matchMasks, type MatchOptions, type Matching } from '../../../src/masks/match/index.ts'
import { resolveWeights } from '../../../src/masks/weights.ts'
import { applyMasks } from '../../../src/passes/apply-masks.ts'
import { type Exported, exportNetwork, isExported, type Reader, type Style, tells } from './fuzz-export.ts'
import {
  type Dice,
  diceOf,
  drawNetwork,
  nameOf,
  type Network,
  type Param,
  permute,
  reshape,
  sizeOf,
  tokensOf,
  type View,
} from './fuzz-network.ts'

type FileStyle = 'plain' | 'pruned' | 'module.' | '_orig_mod.' | 'keyed' | 'tensorflow' | 'prefixed'
type Given = 'none' | 'weights' | 'stale'
type Whose = 'own' | 'foreign' | 'mistyped'

export interface Try {
  readonly seed: number
  readonly graph: Graph
  readonly entries: ReadonlyArray<FileEntry>
  readonly options: MatchOptions
  /** What is true of each reader, or may be taken to be: one of these. */
  readonly worlds: ReadonlyArray<World>
  /** Masks that no constant can carry, so that there is no right match. */
  readonly impossible: ReadonlyArray<string>
  readonly labels: ReadonlyMap<string, Param>
  /** Groups of tries that this one counts in. */
  readonly tags: ReadonlyArray<string>
  /** A group of tries nearly all of which must be matched. */
  readonly easy: string | undefined
  readonly about: string
}

interface World {
  readonly bits: Uint8Array
  readonly readers: ReadonlyArray<Reader>
}

export type Verdict =
  | { readonly kind: 'matched'; readonly placed: number }
  | { readonly kind: 'refused'; readonly reason: string; readonly text: string }
  /** Dropped: all that was placed is right, but a mask was passed over that has a place. */
  | { readonly kind: 'wrong' | 'dropped' | 'crashed'; readonly text: string }

const drawStyle = (dice: Dice, net: Network): Style => {
  const [first] = net.modules
  const top = first?.path[0]
  const nested = net.modules[dice.below(net.modules.length)]
  const dropped =
    dice.chance(0.15) && nested !== undefined && nested.path.length > 1
      ? nested.path.slice(0, dice.between(1, nested.path.length - 1))
      : dice.chance(0.3) && top !== undefined && net.modules.every(({ path }) => path[0] === top && path.length > 1)
        ? [top]
        : []
  return {
    nodes: dice.pick(['torchscript', 'torchscript', 'dynamo', 'dynamo', 'numbered', 'none']),
    names: dice.pick(['faithful', 'faithful', 'faithful', 'kept', 'kept', 'anonymous', 'lying']),
    dropped,
    added: dice.chance(0.15) ? [dice.pick(['model', 'net', 'wrapped'])] : [],
    turn: dice.pick(['always', 'never', 'mixed', 'mixed']),
    foldNorms: dice.chance(0.7),
    fuse: dice.pick(['no', 'no', 'concatenated', 'interleaved']),
    split: dice.pick(['no', 'no', 'three', 'two', 'graph', 'three shuffled']),
    merge: dice.pick(['no', 'no', 'identity', 'direct']),
    shuffleNodes: dice.chance(0.3),
    dtype: dice.chance(0.1) ? 'float16' : 'float32',
    zeros: dice.chance(0.1),
  }
}

const fileNames = (style: FileStyle, prefix: string, param: Param): string => {
  const tokens = tokensOf(param)
  if (style === 'tensorflow') {
    const leaf =
      param.leaf !== 'weight'
        ? param.leaf
        : param.kind === 'table'
          ? 'embeddings'
          : param.kind === 'conv' && param.groups > 1 && param.view.shape[1] === 1
            ? 'depthwise_kernel'
            : 'kernel'
    return `${[...param.path, leaf].join('/')}:0`
  }
  if (style === 'keyed') return param.leaf === 'weight' && param.path.length > 0 ? param.path.join('.') : nameOf(param)
  const head = style === 'plain' || style === 'pruned' ? '' : style === 'prefixed' ? prefix : style
  return head + tokens.join('.')
}

/** A parameter as the file's framework lays it out. */
const fileView = (style: FileStyle, { view, kind, groups, leaf }: Param): View => {
  if (style !== 'tensorflow' || leaf !== 'weight') return view
  if (kind === 'linear') return permute(view, [1, 0])
  if (kind === 'conv' && groups > 1 && view.shape[1] === 1) {
    const [a = 1, , k = 1, l = 1] = view.shape
    return permute(reshape(view, [groups, a / groups, k, l]), [2, 3, 0, 1])
  }
  return kind === 'conv' || kind === 'transpose' ? permute(view, [2, 3, 1, 0]) : view
}

/** The output channel of every element of a weight, and how many there are. */
const channelsOf = ({ view, kind, groups }: Param): { readonly count: number; readonly of: (i: number) => number } => {
  const [a = 1, b = 1] = view.shape
  const inner = sizeOf(view.shape.slice(2))
  if (kind === 'conv1d') return { count: b, of: (i) => i % b }
  if (kind !== 'transpose') return { count: a, of: (i) => Math.floor(i / (b * inner)) }
  const each = a / groups
  return {
    count: b * groups,
    of: (i) => Math.floor(Math.floor(i / (b * inner)) / each) * b + (Math.floor(i / inner) % b),
  }
}

const layered = new Set(['conv', 'transpose', 'linear', 'conv1d'])

interface FileMask {
  readonly param: Param
  readonly shape: ReadonlyArray<number>
  readonly kept: Uint8Array
}

const limited = (style: Style, without: ReadonlySet<string>): Style => ({
  ...style,
  names: without.has(style.names) ? 'faithful' : style.names,
  split: without.has(style.split) ? 'no' : style.split,
  merge: without.has('merged') ? 'no' : style.merge,
  dropped: without.has('parts') ? [] : style.dropped,
  fuse: without.has('fused') ? 'no' : style.fuse,
  zeros: style.zeros && !without.has('zeros'),
})

/** A random mask of a parameter, written into `bits`. */
const drawMask = (
  dice: Dice,
  style: FileStyle,
  param: Param,
  bits: Uint8Array,
  varied: boolean,
  without: ReadonlySet<string>,
): FileMask => {
  const view = fileView(style, param)
  const drawn = dice.pick(
    varied
      ? ['full', 'full', 'whole', 'channels', 'broadcast']
      : ['full', 'full', 'full', 'full', 'full', 'full', 'full', 'whole'],
  )
  const kind = without.has(drawn) ? 'full' : drawn
  const keep = dice.pick([0.3, 0.5, 0.7])
  const draw = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => (dice.chance(keep) ? 1 : 0))
  if (kind === 'whole') return { param, shape: view.shape, kept: new Uint8Array(view.index.length).fill(1) }
  const { count, of } = channelsOf(param)
  const alongOne = layered.has(param.kind) && !(param.kind === 'transpose' && param.groups > 1)
  const spread = kind === 'broadcast' && style !== 'tensorflow' && alongOne
  if ((kind === 'channels' && layered.has(param.kind)) || spread) {
    const kept = draw(count)
    for (const [i, to] of param.view.index.entries()) bits[to] = kept[of(i)] ?? 1
    const axis = param.kind === 'conv1d' || param.kind === 'transpose' ? 1 : 0
    return { param, kept, shape: spread ? param.view.shape.map((_, a) => (a === axis ? count : 1)) : [count] }
  }
  const kept = draw(view.index.length)
  for (const [i, to] of view.index.entries()) bits[to] = kept[i] ?? 1
  return { param, shape: view.shape, kept }
}

const entryOf = (name: string, tensor: Dense): FileEntry => ({
  name,
  size: tensor.bytes.length,
  shape: tensor.shape,
  dtype: tensor.dtype,
  decode: () => E.right(tensor),
})

const misspell = (dice: Dice, name: string): string => {
  const at = dice.below(name.length)
  return dice.chance(0.5) ? name.slice(0, at) + name.slice(at + 1) : `${name.slice(0, at)}z${name.slice(at + 1)}`
}

const maskable = new Set(['conv', 'transpose', 'linear', 'conv1d', 'table', 'recurrent', 'packed'])

/** What makes matching hard; a quarter of the tries are without. */
const confusing = [
  'clones',
  'tied',
  'anonymous',
  'lying',
  'parts',
  'merged',
  'foreign',
  'mistyped',
  'broadcast',
  'fused',
]

/** `left`: what to leave out, to look behind what is known. */
export const drawTry = (seed: number, left: ReadonlySet<string> = new Set()): Try => {
  const dice = diceOf(seed)
  const without = dice.chance(0.25) ? new Set([...left, ...confusing]) : left
  const net = drawNetwork(dice, '', without)
  // Names that lie between equal parameters say the truth.
  const equal = net.cloned || net.params.some(({ tiedTo }) => tiedTo)
  const style = limited(drawStyle(dice, net), equal ? new Set([...without, 'lying']) : without)
  const fileStyle: FileStyle = dice.pick([
    'plain',
    'plain',
    'plain',
    'pruned',
    'module.',
    '_orig_mod.',
    'keyed',
    'tensorflow',
    'prefixed',
  ])
  const given: Given = dice.pick(['none', 'none', 'none', 'weights', 'weights', 'stale'])
  const drawnWhose: Whose = dice.pick(['own', 'own', 'own', 'own', 'own', 'own', 'foreign', 'mistyped'])
  const whose = without.has(drawnWhose) ? 'own' : drawnWhose
  const source = whose === 'foreign' ? drawNetwork(dice, dice.chance(0.5) ? 'alien' : '') : net
  const prefix = dice.pick(['student.', 'net.ema.', 'x.'])
  const share = dice.pick([1, 0.9, 0.5])
  const [biases, norms] = [dice.chance(0.2) ? 0.5 : 0, dice.chance(0.1) ? 0.5 : 0]
  const bits = new Uint8Array(source.values.length).fill(1)
  const varied = dice.chance(0.35)
  const masks: FileMask[] = []
  for (const param of source.params) {
    const wanted = maskable.has(param.kind) ? share : param.kind === 'bias' ? biases : norms
    if (dice.chance(wanted)) masks.push(drawMask(dice, fileStyle, param, bits, varied, without))
  }
  if (fileStyle !== 'pruned') shareTied(source, masks, bits)
  const exported = exportNetwork(
    net,
    style,
    whose === 'foreign' ? new Uint8Array(net.values.length).fill(1) : bits,
    dice,
  )
  const names = new Set(source.params.map((param) => fileNames(fileStyle, prefix, param)))
  const misspelt = new Set(whose === 'mistyped' ? dice.shuffled(masks).slice(0, dice.between(1, 2)) : [])
  const named = masks.map((mask) => {
    const name = fileNames(fileStyle, prefix, mask.param)
    const wrong = misspelt.has(mask) ? misspell(dice, name) : name
    return { mask, name: names.has(wrong) || wrong === '' ? name : wrong }
  })
  const maskType = dice.pick(['bool', 'uint8', 'float32'])
  const maskEntries = named.map(({ mask: { shape, kept }, name }) =>
    entryOf(
      fileStyle === 'pruned' ? `${name}_mask` : name,
      maskType === 'bool' ? dense('bool', shape, kept) : tensorOf(maskType, shape, [...kept]),
    ),
  )
  const beside = fileStyle === 'pruned' && given !== 'none'
  const weights = source.params.map((param) => {
    const view = fileView(fileStyle, param)
    const values = Float64Array.from(view.index, (i) => (given === 'stale' ? dice.normal() : (source.values[i] ?? 0)))
    const name = fileNames(fileStyle, prefix, param)
    const pruned = beside && masks.some((mask) => mask.param === param)
    return entryOf(pruned ? `${name}_orig` : name, tensorOf('float32', view.shape, values))
  })
  const entries = dice.shuffled([...maskEntries, ...(beside ? weights : [])])
  const options: MatchOptions = given !== 'none' && !beside ? { weights: dice.shuffled(weights) } : {}
  const shown = named.some(
    ({ mask }) => exported.turned.has(mask.param) && mask.shape.length === 2 && !mask.shape.includes(1),
  )
  const worlds = worldsOf(
    exported,
    bits,
    net,
    whose,
    given,
    shown,
    new Set(masks.filter(({ shape }) => shape.length > 1).map(({ param }) => param)),
  )
  const masked = masks.filter(({ kept }) => kept.includes(0)).map(({ param }) => param)
  const impossible = whose === 'foreign' ? [] : masked.filter((param) => exported.lost.has(param)).map(nameOf)
  const labels = new Map(named.map(({ mask, name }) => [fileStyle === 'pruned' ? `${name}_mask` : name, mask.param]))
  const groups = tagsOf({ style, exported, net, fileStyle, given, whose })
  const easy = easyOf({ style, exported, net, masks, fileStyle, given, whose, impossible })
  const about = JSON.stringify({ ...style, fileStyle, given, whose, cloned: net.cloned }, undefined, 1)
  return { seed, graph: exported.graph, entries, options, worlds, impossible, labels, tags: groups, easy, about }
}

const easyOf = (of: {
  readonly style: Style
  readonly exported: Exported
  readonly net: Network
  readonly masks: ReadonlyArray<FileMask>
  readonly fileStyle: FileStyle
  readonly given: Given
  readonly whose: Whose
  readonly impossible: ReadonlyArray<string>
}): string | undefined => {
  const { style, exported, net, masks, fileStyle, given, whose, impossible } = of
  const hard = whose !== 'own' || net.cloned || exported.merged || style.dropped.length > 0 || style.names === 'lying'
  if (hard || impossible.length > 0 || net.params.some(({ tiedTo }) => tiedTo)) return undefined
  const plain = masks.every(
    ({ param, shape }) => maskable.has(param.kind) && (shape.length === 1 || sizeOf(shape) === param.view.index.length),
  )
  if (!plain || !masks.some(({ kept }) => kept.includes(0))) return undefined
  if (given === 'weights')
    return masks.every(({ param, shape }) => tells(param.view) && !(exported.fused && shape.length === 1))
      ? 'values given'
      : undefined
  if (given !== 'none' || exported.fused || ['keyed', 'tensorflow', 'prefixed'].includes(fileStyle)) return undefined
  const whole = !net.modules.some(({ kind }) => kind === 'attention' && !['no', 'graph', 'three'].includes(style.split))
  const told = style.nodes === 'torchscript' || style.nodes === 'dynamo'
  if (style.names === 'faithful') return told && whole ? `faithful ${style.nodes}` : undefined
  const renamed = net.modules.some(({ kind }) => kind === 'attention' || kind === 'recurrent')
  return style.names === 'kept' && exported.deceptive.size === 0 && !renamed ? 'names kept' : undefined
}

/** A mask of a tied parameter under one of its names is one of the parameter. */
const shareTied = (net: Network, masks: ReadonlyArray<FileMask>, bits: Uint8Array): void => {
  const has = (param: Param): boolean => masks.some((mask) => mask.param === param)
  for (const param of net.params) {
    const { tiedTo } = param
    if (tiedTo === undefined || has(param) === has(tiedTo)) continue
    const [from, to] = has(param) ? [param, tiedTo] : [tiedTo, param]
    for (const [i, at] of to.view.index.entries()) bits[at] = bits[from.view.index[i] ?? 0] ?? 1
  }
}

const worldsOf = (
  { readers, byWord, deceptive }: Exported,
  bits: Uint8Array,
  net: Network,
  whose: Whose,
  given: Given,
  shown: boolean,
  whole: ReadonlySet<Param>,
): ReadonlyArray<World> => {
  if (whose === 'foreign') return [{ bits: new Uint8Array(net.values.length).fill(1), readers }]
  const worlds: World[] = [{ bits, readers }]
  if (byWord !== undefined && given !== 'weights') worlds.push({ bits, readers: byWord })
  // A square weight under its own name is taken to lie as the mask does, unless others of the file show that it does not.
  if (given !== 'weights' && !shown) {
    const lie = ({ view }: Reader): View => {
      const square = deceptive.get(view)
      return square !== undefined && whole.has(square.param) ? square.before : view
    }
    worlds.push(
      ...worlds.map((world) => ({ bits, readers: world.readers.map((reader) => ({ ...reader, view: lie(reader) })) })),
    )
  }
  return worlds
}

const tagsOf = (of: {
  readonly style: Style
  readonly exported: Exported
  readonly net: Network
  readonly fileStyle: FileStyle
  readonly given: Given
  readonly whose: Whose
}): ReadonlyArray<string> => {
  const { style, exported, net, fileStyle, given, whose } = of
  return [
    'all',
    `masks: ${whose}`,
    `file: ${fileStyle}`,
    `weights: ${given}`,
    `nodes: ${style.nodes}`,
    `names: ${style.names}`,
    ...(style.dropped.length > 0 ? ['a part exported'] : []),
    ...(style.added.length > 0 ? ['prefix added'] : []),
    ...(exported.fused ? [`q, k, v ${style.fuse}`] : []),
    ...(net.modules.some(({ kind, path }) => kind === 'attention' && isExported(path, style))
      ? [`in_proj split: ${style.split}`]
      : []),
    ...(net.modules.some(({ kind, path }) => kind === 'recurrent' && isExported(path, style)) ? ['recurrent'] : []),
    ...(net.cloned ? ['clones, constants'] : []),
    ...(exported.merged ? [`merged: ${style.merge}`] : []),
    ...(exported.deceptive.size > 0 ? ['square turned under its name'] : []),
    ...(style.foldNorms && net.modules.some((module) => 'norm' in module && module.norm !== undefined)
      ? ['BatchNorm folded']
      : []),
    ...(style.zeros ? ['masked export'] : []),
    ...(style.dtype === 'float16' ? ['float16'] : []),
  ]
}

const reasons: ReadonlyArray<readonly [RegExp, string]> = [
  [/masks of this model/, 'another model'],
  [/that it fits equally/, 'several places'],
  [/way to lie on/, 'orientation'],
  [/as it was trained/, 'folded'],
  [/a weight of its own/, 'shared constant'],
  [/because both are the constant/, 'clash'],
  [/which hold the same parameter/, 'tied'],
  [/in shape \[/, 'shape'],
  [/none of that name/, 'unknown name'],
]

/** What is not as one of `worlds` has it, reader by reader: names may lie of one weight and say the truth of another. */
const differs = (matching: Matching, graph: Graph, worlds: ReadonlyArray<World>): string | undefined => {
  const applied = applyMasks(matching.graph, matching.masks)
  if (E.isLeft(applied)) return `masks do not apply: ${renderError(applied.left)}`
  const [before, after] = [resolveWeights(graph), resolveWeights(applied.right)]
  const [first] = worlds
  for (const [r, { output, port }] of (first?.readers ?? []).entries()) {
    const read = (side: typeof before, of: Graph): ReturnType<typeof elements> | undefined => {
      const node = of.nodes.find(({ outputs }) => outputs[0] === output)
      const tensor = side.graph.constants.get(side.rootOf.get(node?.inputs[port] ?? '') ?? '')
      return tensor && elements(tensor)
    }
    const [was, is] = [read(before, graph), read(after, applied.right)]
    if (was === undefined || is === undefined) return `${output}:${port} reads no constant`
    const wrong = worlds.map(({ bits, readers }) => {
      const wanted = Array.from(readers[r]?.view.index ?? [], (from, i) =>
        from < 0 || bits[from] === 1 ? Number(was[i]) : 0,
      )
      const at = wanted.findIndex((value, i) => Number(is[i]) !== value)
      return at < 0 ? undefined : `element ${at} is ${is[at]}, not ${wanted[at]}`
    })
    if (wrong.some((text) => text === undefined)) continue
    const node = graph.nodes.find(({ outputs }) => outputs[0] === output)
    return `${node?.op} ${node?.name} (${output}), input ${port} = ${node?.inputs[port]}: ${wrong.join('; or ')}`
  }
  return undefined
}

export const judge = ({ graph, entries, options, worlds, impossible, labels }: Try): Verdict => {
  let matching: ReturnType<typeof matchMasks>
  try {
    matching = matchMasks(entries, graph, options)
  } catch (thrown) {
    return { kind: 'crashed', text: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }
  }
  if (E.isLeft(matching)) {
    const text = renderError(matching.left)
    const reason = reasons.filter(([pattern]) => pattern.test(text)).map(([, name]) => name)
    return { kind: 'refused', reason: reason[0] ?? 'other', text }
  }
  const { right } = matching
  if (impossible.length > 0)
    return {
      kind: 'dropped',
      text: `no constant can carry the masks of ${impossible.join(', ')}\n${right.notes.join('\n')}`,
    }
  const wrong = differs(right, graph, worlds)
  if (wrong !== undefined) {
    const over = [...labels].filter(([label]) => right.notes.some((note) => note.startsWith(`${label} is of a module`)))
    const without = worlds.map(({ bits, readers }): World => {
      const rest = bits.slice()
      for (const [, { view }] of over) for (const at of view.index) rest[at] = 1
      return { bits: rest, readers }
    })
    const dropped = differs(right, graph, without) === undefined
    const ways = right.assignments.map(
      ({ mask, slot, layout, way }) =>
        `  ${mask.label} [${mask.shape.join()}] -> ${slot.alias} [${slot.tensor.shape.join()}] by ${way}, ${layout.kind}`,
    )
    return { kind: dropped ? 'dropped' : 'wrong', text: [wrong, ...ways, ...right.notes].join('\n') }
  }
  return { kind: 'matched', placed: right.assignments.length }
}

export interface Counts {
  tried: number
  matched: number
  refused: number
  wrong: number
  dropped: number
  crashed: number
}

export interface Summary {
  readonly groups: ReadonlyMap<string, Counts>
  readonly easy: ReadonlyMap<string, Counts>
  readonly refusals: ReadonlyMap<string, number>
  readonly failures: ReadonlyArray<{
    readonly seed: number
    readonly verdict: Verdict
    readonly tags: ReadonlyArray<string>
  }>
}

const count = (into: Map<string, Counts>, key: string, { kind }: Verdict): void => {
  const counts = into.get(key) ?? { tried: 0, matched: 0, refused: 0, wrong: 0, dropped: 0, crashed: 0 }
  into.set(key, counts)
  counts.tried += 1
  counts[kind] += 1
}

/** Tries of `seed`, `seed + 1`, … */
export const fuzz = (
  seed: number,
  tries: number,
  seen: (one: Try, verdict: Verdict) => void = () => {},
  without: ReadonlySet<string> = new Set(),
): Summary => {
  const [groups, easy, refusals] = [new Map<string, Counts>(), new Map<string, Counts>(), new Map<string, number>()]
  const failures: Array<{ seed: number; verdict: Verdict; tags: ReadonlyArray<string> }> = []
  for (let i = 0; i < tries; i++) {
    const one = drawTry(seed + i, without)
    const verdict = judge(one)
    for (const tag of one.tags) count(groups, tag, verdict)
    if (one.easy !== undefined) count(easy, one.easy, verdict)
    if (verdict.kind === 'refused') refusals.set(verdict.reason, (refusals.get(verdict.reason) ?? 0) + 1)
    if (verdict.kind !== 'matched' && verdict.kind !== 'refused')
      failures.push({ seed: seed + i, verdict, tags: one.tags })
    seen(one, verdict)
  }
  return { groups, easy, refusals, failures }
}

export const describeTry = (one: Try): string => {
  const tensors = (entries: ReadonlyArray<FileEntry>): string =>
    entries.map(({ name, shape, dtype }) => `  ${name} ${dtype} [${shape?.join()}]`).join('\n')
  return [
    one.about,
    'masks:',
    tensors(one.entries),
    `weights: ${one.options.weights?.length ?? 'none'}`,
    'constants:',
    ...[...one.graph.constants].map(([name, { shape }]) => `  ${name} [${shape.join()}]`),
    'nodes:',
    ...one.graph.nodes.map(
      ({ op, name, inputs, outputs }) => `  ${outputs.join()} = ${op} ${name} (${inputs.join(', ')})`,
    ),
  ].join('\n')
}

export const table = (title: string, rows: ReadonlyMap<string, Counts>): string =>
  [
    `${title.padEnd(34)}${['tried', 'matched', 'refused', 'WRONG', 'DROPPED', 'crashed'].map((head) => head.padStart(9)).join('')}`,
    ...[...rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([name, { tried, matched, refused, wrong, dropped, crashed }]) =>
          `${name.padEnd(34)}${[tried, matched, refused, wrong, dropped, crashed].map((n) => String(n).padStart(9)).join('')}`,
      ),
  ].join('\n')

const main = (): void => {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '2000' },
      show: { type: 'string', default: '10' },
      verbose: { type: 'boolean', short: 'v', default: false },
      refusals: { type: 'string' },
      without: { type: 'string', default: '' },
    },
  })
  const [seed, tries] = [Number(values.seed), Number(values.count)]
  const start = Date.now()
  let done = 0
  const { groups, easy, refusals, failures } = fuzz(
    seed,
    tries,
    (one, verdict) => {
      if (values.verbose) console.log(describeTry(one), '\n', verdict)
      if (values.refusals !== undefined && one.easy === values.refusals && verdict.kind === 'refused')
        console.log(`seed ${one.seed}: ${verdict.text}`)
      done += 1
      if (done % 5000 === 0)
        process.stderr.write(`${done} of ${tries}, ${((Date.now() - start) / 1000).toFixed(0)} s\n`)
    },
    new Set(values.without.split(',')),
  )
  console.log(table('group', groups))
  console.log(`\n${table('must be matched', easy)}`)
  console.log(
    `\nrefused: ${[...refusals]
      .sort((a, b) => b[1] - a[1])
      .map(([reason, n]) => `${reason} ${n}`)
      .join(', ')}`,
  )
  for (const { seed, verdict, tags } of failures.slice(0, Number(values.show))) {
    console.log(
      `\nseed ${seed}: ${verdict.kind} (${tags.slice(1).join('; ')})\n${'text' in verdict ? verdict.text : ''}`,
    )
  }
  console.log(
    `\n${tries} tries from seed ${seed}, ${failures.length} wrong or crashed, ${((Date.now() - start) / 1000).toFixed(0)} s`,
  )
  if (failures.length > 0) {
    console.log(`reproduce: npx tsx test/masks/match/fuzz.ts --seed ${failures[0]?.seed} --count 1 -v`)
    process.exitCode = 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
