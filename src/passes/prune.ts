/**
 * Lossy channel selection: masks whole channels that seem to be worth least, as Chase does (arXiv 2305.19454). It only edits
 * masks; compiling with them is exact. A channel is masked where it is made and where it is read, so that it really goes:
 * a bias or a normalisation shift leaves a constant in a channel that nothing reads any more.
 */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure, invariant } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { type ActivationScore, activationScores, scoreInputs, scoreOutputs } from '../masks/activation-scores.ts'
import { channelMask, inputMask } from '../masks/channel-mask.ts'
import { intersectMask, type Mask, type Masks } from '../masks/mask.ts'
import { drawsFrom, seededRandom } from '../ir/random.ts'
import { type ChannelScore, channelScores, scoreChannels } from '../masks/scores.ts'
import { type Group, inMultiples, selectChannels } from '../masks/select.ts'
import { type Statistics, statisticsOf } from '../masks/statistics.ts'
import { type Layer, masksByRoot, resolveWeights } from '../masks/weights.ts'
import { applyMasks } from './apply-masks.ts'
import { tooManyChannels } from './channel-elimination/tracking.ts'
import { runPipeline } from './pass.ts'
import { cleanUp } from './pipeline.ts'
import { type Family, groupClasses, labelAt, type Network, refusal, relateLayers, type Scope } from './prunable.ts'

/** What channels can be ranked by: their weights, these and activations, or chance. */
export type PruneScore = ChannelScore | ActivationScore | 'random'

export interface PruneOptions {
  /** Fraction of the prunable channels that shall be gone in the end, those masked already included: 0 to 1, 1 excluded. */
  readonly channels: number
  /** What a channel is worth; default `umm`. */
  readonly score?: PruneScore
  /** What layers read on a calibration set, for the scores by activations. */
  readonly statistics?: Statistics
  /**
   * `block`: channels that a single layer makes, as inside residual blocks. `all`: also those that several layers make
   * together, as the streams that residual additions join; they are scored by the mean over these layers. Default `block`.
   */
  readonly scope?: Scope
  /**
   * A layer of C channels keeps at least ⌊C · (1 - channels) · floor⌋: 0 lets whole layers go, 1 has every layer lose the same
   * share, more than 1 may leave fewer channels to go than asked for. Default 0.2.
   */
  readonly floor?: number
  /**
   * Layers keep a multiple of so many channels, or all of them, whichever is nearest to what they would keep, unless that is fewer:
   * runtimes compute such widths faster. About as many channels as asked for are gone then. Default 1.
   */
  readonly multiple?: number
  /** For the score `random`; default 1. */
  readonly seed?: number
}

type Settings = Required<Omit<PruneOptions, 'statistics'>> & Pick<PruneOptions, 'statistics'>

/** All that channels can be ranked by. */
export const pruneScores: ReadonlyArray<PruneScore> = [...channelScores, ...activationScores, 'random']

/** What the options of a ranking may be. */
export const rankingChoices: Readonly<Record<'score' | 'statistics' | 'scope' | 'seed', Choice>> = {
  score: pruneScores,
  statistics: 'any',
  scope: ['block', 'all'],
  seed: 'any',
}

const optionChoices: Readonly<Record<keyof PruneOptions, Choice>> = {
  channels: 'any',
  ...rankingChoices,
  floor: 'any',
  multiple: 'any',
}

/** Channels that compete under one floor: those made by the same layers. */
export interface PrunedGroup {
  readonly layers: ReadonlyArray<string>
  readonly channels: number
  /** Channels that were not masked before. */
  readonly alive: number
  readonly removed: number
  readonly floor: number
  /** Whether the floor held it back. */
  readonly saturated: boolean
}

export interface PrunedLayer {
  readonly layer: string
  readonly weight: ValueId
  readonly outputs: number
  /** Output channels masked now, ascending. */
  readonly removed: ReadonlyArray<number>
}

/** Channels of a layer before any was selected, and those that are left. */
export interface PrunedWidth {
  readonly layer: string
  readonly weight: ValueId
  readonly inputs: { readonly before: number; readonly after: number }
  readonly outputs: { readonly before: number; readonly after: number }
}

export interface Pruned {
  /** The given masks and the new ones, by the names of the constants. */
  readonly masks: Masks
  readonly groups: ReadonlyArray<PrunedGroup>
  /** Layers that lost channels, in graph order. */
  readonly layers: ReadonlyArray<PrunedLayer>
  /** What is left of every layer by these masks alone, in graph order. */
  readonly widths: ReadonlyArray<PrunedWidth>
  /** Layers none of whose channels can go, and why. */
  readonly kept: ReadonlyArray<{ readonly layer: string; readonly reason: string }>
  /** Channels that had to go for the fraction, and those that did. */
  readonly wanted: number
  readonly removed: number
  /** Why fewer went than wanted, if so. */
  readonly note: string | undefined
}

export type PruneError = Failure

/** Channels with their scores, from which any number can be selected: that takes no time. */
export interface Ranking {
  /** Masks the least valuable ones. Fails where an option is out of range. */
  readonly select: (options: Pick<Settings, 'channels' | 'floor' | 'multiple'>) => E.Either<PruneError, Pruned>
}

/**
 * Masks the least valuable channels of `graph` under `masks`. Pure and deterministic. Exactly
 * `round(channels · all prunable channels)` are gone afterwards, unless floors forbid it, which is noted, not an error, or
 * widths are rounded to multiples.
 * Fails where the masks do not fit the graph, an option is out of range, or a weight holds no finite number.
 */
export const pruneChannels = (graph: Graph, masks: Masks, given: PruneOptions): E.Either<PruneError, Pruned> => {
  const { channels, score = 'umm', scope = 'block', floor = 0.2, multiple = 1, seed = 1, statistics } = given
  const options: Settings = { channels, score, scope, floor, multiple, seed, ...(statistics && { statistics }) }
  const wrong = wrongOption('PruneError', given, optionChoices) ?? checkOptions(options)
  if (wrong !== undefined) return E.left(wrong)
  const ranking = rankChannels(graph, masks, options)
  return E.isLeft(ranking) ? ranking : ranking.right.select(options)
}

/** What {@link pruneChannels} does before it selects, which takes most of its time. Fails as it does. */
export const rankChannels = (
  graph: Graph,
  masks: Masks,
  options: Pick<Settings, 'score' | 'scope' | 'seed' | 'statistics'>,
): E.Either<PruneError, Ranking> => {
  const isByActivations = activationScores.some((score) => score === options.score)
  if (isByActivations && options.statistics === undefined) {
    const help = 'Calibrate the model on a few of its inputs first.'
    return E.left(failure('PruneError', `score ${options.score}`, 'activation statistics', 'none', help))
  }
  const masked = applyMasks(graph, masks)
  if (E.isLeft(masked)) return masked
  const known = masksByRoot(graph, masks)
  const clean = runPipeline(cleanUp, masked.right)
  if (E.isLeft(clean)) return clean
  const tooLarge = tooManyChannels(clean.right)
  if (tooLarge !== undefined) return E.left(tooLarge)
  const network = relateLayers(clean.right, resolveWeights(masked.right).graph)
  const families = groupClasses(network, options.scope)
  const scored = scoreFamilies(network, families, known, options)
  if (E.isLeft(scored)) return scored
  const select: Ranking['select'] = (selected) => {
    const settings = { ...options, ...selected }
    const wrong = checkOptions(settings)
    if (wrong !== undefined) return E.left(wrong)
    return E.right(selectRanked(network, families, scored.right, known, settings))
  }
  return E.right({ select })
}

const selectRanked = (
  network: Network,
  families: ReadonlyArray<Family>,
  scored: ReadonlyArray<Group>,
  known: ReadonlyMap<ValueId, Mask>,
  options: Settings,
): Pruned => {
  const { channels, floor, multiple } = options
  const chosen = selectChannels(scored, { channels, floor: (1 - channels) * floor })
  const selection = inMultiples(scored, chosen, multiple)
  const outputs = network.layers.map((layer) => new Uint8Array(layer.outputs).fill(1))
  const inputs = network.layers.map((layer) => new Uint8Array(layer.inputs).fill(1))
  families.forEach((family, g) => {
    family.classes.forEach((one, i) => {
      if (selection.removed[g]?.[i] !== 1) return
      for (const { layer, channel } of [...one.producers, ...one.through]) outputs[layer]?.fill(0, channel, channel + 1)
      for (const { layer, channel } of one.readers) inputs[layer]?.fill(0, channel, channel + 1)
    })
  })
  const groups = families.map((family, g) => ({
    layers: family.producers.map((at) => labelAt(network, at)),
    channels: family.classes.length,
    alive: countOnes(scored[g]?.alive),
    removed: countOnes(selection.removed[g]),
    floor: selection.floors[g] ?? 0,
    saturated: selection.saturated[g] ?? false,
  }))
  return {
    masks: addMasks(network, known, outputs, inputs),
    groups,
    layers: network.layers.flatMap((layer, at) => {
      const removed = Array.from(outputs[at] ?? [], (kept, i) => (kept === 1 ? -1 : i)).filter((i) => i >= 0)
      const entry = { layer: labelAt(network, at), weight: layer.weight, outputs: layer.outputs, removed }
      return removed.length === 0 ? [] : [entry]
    }),
    widths: network.layers.map(({ weight }, at) => ({
      layer: labelAt(network, at),
      weight,
      inputs: widthOf(inputs[at]),
      outputs: widthOf(outputs[at]),
    })),
    kept: keptLayers(network, families, options.scope),
    wanted: selection.wanted,
    removed: selection.removed.reduce((sum, marks) => sum + countOnes(marks), 0),
    note: noteOn(families.length, selection.missing, selection.wanted, options),
  }
}

const checkOptions = (options: Settings): PruneError | undefined => {
  const { channels, floor, multiple, seed } = options
  if (!(channels >= 0 && channels < 1)) {
    const help = 'Give the fraction of channels to remove, for example 0.4.'
    return failure('PruneError', 'channels', 'a number from 0 to less than 1', `${channels}`, help)
  }
  if (!(floor >= 0 && Number.isFinite(floor))) {
    const help = 'Give the fraction of its even share that a layer keeps at least, for example 0.2.'
    return failure('PruneError', 'floor', 'a number of 0 or more', `${floor}`, help)
  }
  if (!Number.isSafeInteger(multiple) || multiple < 1)
    return failure('PruneError', 'multiple', 'a whole number, 1 or more', `${multiple}`, 'Give for example 8.')
  if (!Number.isSafeInteger(seed))
    return failure('PruneError', 'seed', 'a whole number', `${seed}`, 'Give for example 1.')
  return undefined
}

const scoreFamilies = (
  network: Network,
  families: ReadonlyArray<Family>,
  masks: ReadonlyMap<ValueId, Mask>,
  options: Pick<Settings, 'score' | 'seed' | 'statistics'>,
): E.Either<PruneError, ReadonlyArray<Group>> => {
  const random = drawsFrom(seededRandom(options.seed)).next
  const { score } = options
  const isRead = score === 'wifn' || score === 'wifv'
  const scored = scoreLayers(network, families, masks, options, isRead ? 'readers' : 'producers')
  if (E.isLeft(scored)) return scored
  // Scores by the weights that make a channel are more than 0 exactly where one of them is not 0; for others that is asked for beside.
  const isAlone = score !== 'random' && !activationScores.some((one) => one === score)
  const weighed = isAlone ? scored : scoreLayers(network, families, masks, { score: 'weights' }, 'producers')
  if (E.isLeft(weighed)) return weighed
  return E.right(
    families.map((family) => {
      const meansOf = (scores: LayerScores, side: 'producers' | 'readers'): Float64Array =>
        Float64Array.from(family.classes, ({ [side]: ports }) => {
          const sum = ports.reduce((total, { layer, channel }) => total + (scores[layer]?.[channel] ?? 0), 0)
          return sum / ports.length
        })
      const means = meansOf(scored.right, isRead ? 'readers' : 'producers')
      const alive = isAlone ? means : meansOf(weighed.right, 'producers')
      return {
        name: family.producers.map((at) => labelAt(network, at)).join(', '),
        scores: score === 'random' ? means.map(random) : means,
        alive: Uint8Array.from(alive, (share) => (share > 0 ? 1 : 0)),
      }
    }),
  )
}

/** By layer the scores of its output channels, or of its input channels. */
type LayerScores = ReadonlyArray<Float64Array | undefined>

/** Scores the layers that make, or read, the channels of families. */
const scoreLayers = (
  network: Network,
  families: ReadonlyArray<Family>,
  masks: ReadonlyMap<ValueId, Mask>,
  { score, statistics }: Pick<PruneOptions, 'score' | 'statistics'>,
  side: 'producers' | 'readers',
): E.Either<PruneError, LayerScores> => {
  const out: Array<Float64Array | undefined> = []
  for (const at of new Set(
    families.flatMap(({ classes }) => classes.flatMap((one) => one[side].map((p) => p.layer))),
  )) {
    const layer = network.layers[at]
    if (layer === undefined) continue
    const found = scoreLayer(layer, masks.get(layer.weight), score, statistics)
    if (E.isLeft(found)) return found
    if (!found.right.every(Number.isFinite)) {
      const help = 'Channels cannot be ranked by such weights; check the model that was exported.'
      return E.left(failure('PruneError', `weight ${layer.weight}`, 'finite numbers', 'a NaN or an infinity', help))
    }
    out[at] = found.right
  }
  return E.right(out)
}

const scoreLayer = (
  layer: Layer,
  mask: Mask | undefined,
  score: PruneOptions['score'],
  statistics: Statistics | undefined,
): E.Either<PruneError, Float64Array> => {
  if (score === undefined || score === 'random') return E.right(scoreChannels(layer, mask, 'weights'))
  if (score !== 'wanda' && score !== 'wifn' && score !== 'wifv') return E.right(scoreChannels(layer, mask, score))
  invariant(statistics !== undefined, `score ${score} without statistics`)
  const found = statisticsOf(statistics, layer)
  if (E.isLeft(found)) return found
  return E.right(
    score === 'wanda' ? scoreOutputs(layer, mask, found.right) : scoreInputs(layer, mask, found.right, score),
  )
}

const widthOf = (kept: Uint8Array | undefined): PrunedWidth['inputs'] => ({
  before: kept?.length ?? 0,
  after: countOnes(kept),
})

const countOnes = (marks: Uint8Array | undefined): number => marks?.reduce((n, mark) => n + mark, 0) ?? 0

const addMasks = (
  network: Network,
  known: ReadonlyMap<ValueId, Mask>,
  outputs: ReadonlyArray<Uint8Array>,
  inputs: ReadonlyArray<Uint8Array>,
): Masks => {
  const masks = new Map(known)
  const add = (weight: ValueId, mask: Mask): void => {
    const before = masks.get(weight)
    masks.set(weight, before === undefined ? mask : intersectMask(before, mask))
  }
  network.layers.forEach((layer, at) => {
    const [made, read] = [outputs[at], inputs[at]]
    if (made?.includes(0)) add(layer.weight, channelMask(layer, made))
    if (read?.includes(0)) add(layer.weight, inputMask(layer, read))
  })
  return masks
}

const keptLayers = (network: Network, families: ReadonlyArray<Family>, scope: Scope): Pruned['kept'] => {
  const prunable = new Set(families.flatMap((family) => family.producers))
  const reasons = new Map<number, string>()
  for (const one of network.classes.values()) {
    const reason = refusal(network, one, scope)
    if (reason === undefined) continue
    for (const { layer } of one.producers) if (!prunable.has(layer) && !reasons.has(layer)) reasons.set(layer, reason)
  }
  return network.layers.flatMap((_, at) => {
    const reason = reasons.get(at)
    return reason === undefined ? [] : [{ layer: labelAt(network, at), reason }]
  })
}

const noteOn = (groups: number, missing: number, wanted: number, options: Settings): string | undefined => {
  if (groups === 0) {
    const wider = options.scope === 'block' ? ' Scope all also takes channels that several layers share.' : ''
    return `No layer has channels that can go in scope ${options.scope}.${wider}`
  }
  if (missing === 0) return undefined
  return `${missing} of ${wanted} channels stay: every layer is at its floor. A lower floor than ${options.floor} removes more.`
}
