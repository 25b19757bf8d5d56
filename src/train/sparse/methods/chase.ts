/** Chase. */
import type { ChannelScore } from '../../../masks/scores.ts'
import type { Distribution } from '../distribution.ts'
import type { Move, Phase } from '../phase.ts'
import type { Policy } from '../policy.ts'
import { constant, type Schedule } from '../schedule.ts'
import {
  distributionOf,
  readEvery,
  readInterval,
  readSparse,
  share,
  stepAt,
  stepsOf,
  usualInterval,
} from './entries.ts'
import { defineMethod } from './method.ts'

export interface ChaseOptions {
  /** Fraction of all weights that is kept. */
  readonly density: number
  /** S_c, the fraction of the channels in scope that is gone in the end. 0 removes none. */
  readonly channels: number
  /** Training steps, and those after which the soft memory bound gives way to ordinary exchange. */
  readonly steps: number
  readonly softUntil: number
  /** T, the step at which the channel schedule ends; no channel goes from then on. */
  readonly channelsUntil: number
  /** Steps between parameter explorations, and between channel removals. */
  readonly every?: number
  readonly channelsEvery?: number
  /** How far beyond `density` weights are grown at first, and what is left of that when the soft bound ends. */
  readonly margin?: number
  readonly finalMargin?: number
  /** β: a stream of C channels keeps at least ⌊C · (1 - S_c) · β⌋. */
  readonly floor?: number
  /** `global`: one threshold over all layers, as for CIFAR; `layer`: the same fraction of each, as for ImageNet. */
  readonly exploration?: 'global' | 'layer'
  /** `block`: the channels inside blocks, as released; `all`: those of residual streams too ("prune skip"). */
  readonly scope?: 'block' | 'all'
  readonly score?: ChannelScore
  readonly distribution?: Distribution
  readonly start?: 'exact' | 'bernoulli'
}

/**
 * Chase: dynamic sparse training whose sparsity ends up in whole channels.
 *
 * Exploration, every `every` steps. Until `softUntil` it prunes back to the density by |w| and then grows beyond it by
 * |gradient|, to density + margin falling by a cosine: a grown weight has an interval to prove itself. After that it prunes a
 * fraction of the kept weights, 0.5 falling to 0.005 by a cosine over the whole training, and grows back to the density.
 * The budget never changes, so what goes with a removed channel is spent elsewhere.
 *
 * Channels, every `channelsEvery` steps, half an exploration interval before the multiple: the lowest scores over all streams go
 * until S_c · (1 - (1 - t/T)³) of them are gone, each stream keeping its floor. They are gone for good.
 *
 * Unlike the released code, every count is met exactly (there, thresholds with ≥ and > are off by one and by all ties), channel
 * removal is strictly by score, wholly masked channels can go under every score, random masks have exactly the
 * density unless `start` says otherwise, layers that ERK makes dense are refilled first when layers grow by themselves,
 * the first exchange takes back what the soft bound left beyond the density before it counts its fraction (there, of all),
 * and nothing is exchanged after the last training step, when nothing could be learned any more.
 */
export const chase = (options: ChaseOptions): Policy => ({
  name: 'chase',
  density: options.density,
  distribution: options.distribution ?? { kind: 'erk' },
  start: options.start ?? 'exact',
  phases: [
    ...(options.channels > 0 ? [channelPhase(options)] : []),
    { ...explorations(options), from: 0, until: Math.min(options.softUntil, options.steps), moves: softMoves(options) },
    { ...explorations(options), from: options.softUntil, until: options.steps, moves: exchangeMoves(options) },
  ],
  masked: 'zeroed',
})

const explorations = ({ every = 1000 }: ChaseOptions): Pick<Phase, 'every' | 'offset'> => ({ every, offset: 0 })

const channelPhase = (options: ChaseOptions): Phase => {
  const { channels, channelsUntil, every = 1000, channelsEvery = 1000 } = options
  return {
    from: 0,
    until: channelsUntil,
    every: channelsEvery,
    offset: Math.floor(every / 2),
    moves: [
      {
        kind: 'remove channels',
        fraction: { kind: 'cubic', from: 0, to: channels, begin: 0, end: channelsUntil },
        final: channels,
        floor: options.floor ?? 0.5,
        score: options.score ?? 'umm',
        scope: options.scope ?? 'block',
      },
    ],
  }
}

const isGlobal = (options: ChaseOptions): boolean => (options.exploration ?? 'global') === 'global'

const softMoves = (options: ChaseOptions): ReadonlyArray<Move> => {
  const { density, softUntil, margin = 0.05, finalMargin = 0 } = options
  const bound = (extra: number): number => Math.min(1, density + extra)
  return [
    {
      kind: 'prune',
      to: { density: constant(density) },
      scope: isGlobal(options) ? 'global' : 'layer',
      by: { kind: 'magnitude' },
    },
    {
      kind: 'grow',
      density: { kind: 'cosine', from: bound(margin), to: bound(finalMargin), begin: 0, end: softUntil },
      scope: isGlobal(options) ? 'global' : 'proportional',
      by: 'gradient',
      regrown: 'restarts',
    },
  ]
}

const exchangeMoves = (options: ChaseOptions): ReadonlyArray<Move> => {
  const fraction: Schedule = { kind: 'cosine', from: 0.5, to: 0.005, begin: 0, end: options.steps }
  const prune = { kind: 'prune', scope: isGlobal(options) ? 'global' : 'layer', by: { kind: 'magnitude' } } as const
  return [
    // Takes back what the soft bound may have left; nothing after the first time.
    { ...prune, to: { density: constant(options.density) } },
    { ...prune, to: { fraction } },
    {
      kind: 'grow',
      density: constant(options.density),
      scope: isGlobal(options) ? 'global' : 'distribution',
      by: 'gradient',
      regrown: 'restarts',
    },
  ]
}

export const method = defineMethod({
  name: 'chase',
  about: 'Dynamic sparse training whose sparsity ends up in whole channels, which leave the network while it learns.',
  source: {
    paper: 'Dynamic Sparsity Is Channel-Level Sparsity Learner',
    arxiv: '2305.19454',
    code: 'luuyin/chase',
  },
  sentences: {
    every: 'From one exploration to the next.',
    channels: 'S_c, the fraction of the channels in scope that is gone in the end; 0 removes none.',
    scope: '`block`: channels inside blocks, as released; `all`: those of residual streams too.',
    exploration:
      '`global`: one threshold over all layers, as for CIFAR; `layer`: the same fraction of each, as for ImageNet.',
    score:
      'What a channel is worth. `umm`: mean |w| over all its weights; `mmm`: over those that are not masked; `weights`: fraction of weights that are not 0; `kernels`: fraction of kernels that are not all 0.',
    floor: 'β: a stream of C channels keeps at least ⌊C · (1 - channels) · floor⌋.',
    margin: 'How far beyond the density weights are grown at first.',
    finalMargin: 'What is left of `margin` when the soft bound ends.',
    channelsEvery: 'From one removal of channels to the next.',
    softUntil: 'Until then masks grow beyond the density and are pruned back; after that weights are exchanged.',
    channelsUntil: 'From then on no channel goes.',
  },
  read: (entries) => ({
    ...readSparse(entries),
    ...readEvery(entries, usualInterval),
    channels: entries.number('channels', { min: 0, max: 1, belowMax: true }, 0.5),
    scope: entries.choice('scope', ['block', 'all'], 'block'),
    exploration: entries.choice('exploration', ['global', 'layer'], 'global'),
    score: entries.choice('score', ['umm', 'mmm', 'weights', 'kernels'], 'umm'),
    floor: entries.number('floor', share, 0.5),
    margin: entries.number('margin', share, 0.05),
    finalMargin: entries.number('finalMargin', share, 0),
    channelsEvery: readInterval(entries, 'channelsEvery', usualInterval),
    softUntil: entries.number('softUntil', share, 130 / 160),
    channelsUntil: entries.number('channelsUntil', share, 130 / 160),
  }),
  policy: (entry, length) =>
    chase({
      ...entry,
      steps: length.steps,
      softUntil: stepAt(entry.softUntil, length),
      channelsUntil: stepAt(entry.channelsUntil, length),
      every: stepsOf(entry.every, length),
      channelsEvery: stepsOf(entry.channelsEvery, length),
      distribution: distributionOf(entry),
    }),
})
