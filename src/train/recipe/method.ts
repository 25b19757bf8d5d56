/** Sparse training methods as plain data. */
import type { ChannelScore } from '../../masks/scores.ts'
import type { Entries } from './reader.ts'

/** A number of training steps, or of epochs. */
export type Interval = number | { readonly epochs: number }

const distributions = ['uniform', 'er', 'erk'] as const

export interface Sparse {
  /** Fraction of all weights that is kept in the end. */
  readonly density: number
  readonly distribution: (typeof distributions)[number]
}

interface Updating extends Sparse {
  /** From one update to the next. */
  readonly every: Interval
}

/** Points in time (`until`, `softUntil`, `at`, ...) are fractions of the whole training. */
export type Method =
  | { readonly name: 'dense' }
  | ({ readonly name: 'static' } & Sparse)
  | ({ readonly name: 'set'; readonly fraction: number } & Updating)
  | ({ readonly name: 'rigl'; readonly fraction: number; readonly until: number } & Updating)
  | ({ readonly name: 'rigl-itop'; readonly fraction: number } & Updating)
  | ({ readonly name: 'mest'; readonly margin: number; readonly until: number } & Updating)
  | ({
      readonly name: 'granet'
      readonly initialDensity: number
      readonly fraction: number
      readonly until: number
    } & Updating)
  | ({
      readonly name: 'gmp'
      readonly begin: number
      readonly until: number
      readonly scope: 'layer' | 'global'
    } & Omit<Updating, 'distribution'>)
  | { readonly name: 'global-magnitude'; readonly density: number; readonly at: number; readonly minimum: number }
  | PatternMethod
  | ({
      readonly name: 'chase'
      /** S_c: fraction of the channels in scope that is gone in the end. */
      readonly channels: number
      readonly scope: 'block' | 'all'
      readonly exploration: 'global' | 'layer'
      readonly score: Extract<ChannelScore, 'umm' | 'mmm' | 'weights' | 'kernels'>
      readonly floor: number
      readonly margin: number
      readonly finalMargin: number
      readonly channelsEvery: Interval
      readonly softUntil: number
      readonly channelsUntil: number
    } & Updating)

interface PatternMethod {
  readonly name: 'n-of-m'
  /** Of every m weights along the axis n are kept. */
  readonly n: number
  readonly m: number
  readonly axis: 'input' | 'output'
  /**
   * How the pattern comes in: `mask` fades masked weights out in a line, `halving` and `fine` go by way of denser patterns.
   */
  readonly decay: 'mask' | 'halving' | 'fine'
  readonly begin: number
  readonly until: number
  /** From one look at the weights to the next. */
  readonly every: Interval
}

export const methodNames = [
  'dense',
  'static',
  'set',
  'rigl',
  'rigl-itop',
  'mest',
  'granet',
  'gmp',
  'global-magnitude',
  'n-of-m',
  'chase',
] as const satisfies ReadonlyArray<Method['name']>

const share = { min: 0, max: 1 } as const
const kept = { min: 0, max: 1, aboveMin: true } as const

const intervalOf = (entries: Entries, key: string, absent: Interval): Interval => {
  const found = entries.raw(key)
  if (found === undefined) return absent
  if (typeof found !== 'object') return entries.number(key, { min: 1, whole: true })
  const inner = entries.inner(key)
  const epochs = inner?.number('epochs', { min: 0, aboveMin: true }) ?? 1
  inner?.end()
  return { epochs }
}

/** The method that `entries` describe, what they leave out as the papers have it. */
export const readMethod = (entries: Entries): Method => {
  const name = entries.choice('name', methodNames)
  const density = (): { readonly density: number } => ({ density: entries.number('density', kept, 0.1) })
  const sparse = (absent: Sparse['distribution'] = 'erk'): Sparse => ({
    ...density(),
    distribution: entries.choice('distribution', distributions, absent),
  })
  const every = (absent: Interval): { readonly every: Interval } => ({ every: intervalOf(entries, 'every', absent) })
  const fraction = (absent: number): { readonly fraction: number } => ({
    fraction: entries.number('fraction', share, absent),
  })
  const time = (key: string, absent: number): number => entries.number(key, share, absent)
  switch (name) {
    case 'dense':
      return { name }
    case 'static':
      return { name, ...sparse() }
    case 'set':
      return { name, ...sparse('er'), ...every({ epochs: 1 }), ...fraction(0.3) }
    case 'rigl':
      return { name, ...sparse(), ...every(100), ...fraction(0.3), until: time('until', 0.75) }
    case 'rigl-itop':
      return { name, ...sparse(), ...every(1000), ...fraction(0.5) }
    case 'mest':
      return {
        name,
        ...sparse('uniform'),
        ...every({ epochs: 5 }),
        margin: entries.number('margin', share, 0.05),
        until: time('until', 0.9),
      }
    case 'granet':
      return {
        name,
        ...sparse(),
        ...every(1000),
        ...fraction(0.5),
        initialDensity: entries.number('initialDensity', kept, 0.5),
        until: time('until', 0.7),
      }
    case 'gmp':
      return {
        name,
        ...density(),
        ...every(1000),
        ...spanOf(entries, 0.1, 0.75),
        scope: entries.choice('scope', ['layer', 'global'], 'global'),
      }
    case 'global-magnitude':
      return { name, ...density(), at: time('at', 0.5), minimum: entries.number('minimum', share, 0.0005) }
    case 'n-of-m':
      return readPattern(entries)
    case 'chase':
      return readChase(entries, { ...sparse(), ...every(1000) })
  }
}

const readPattern = (entries: Entries): Method => ({
  name: 'n-of-m',
  n: entries.number('n', { min: 1, whole: true }, 2),
  m: entries.number('m', { min: 1, whole: true }, 4),
  axis: entries.choice('axis', ['input', 'output'], 'input'),
  decay: entries.choice('decay', ['mask', 'halving', 'fine'], 'mask'),
  ...spanOf(entries, 0.1, 0.7),
  every: intervalOf(entries, 'every', 1),
})

/** From when until when something changes, as fractions of the training. */
const spanOf = (entries: Entries, from: number, to: number): { readonly begin: number; readonly until: number } => {
  const [begin, until] = [entries.number('begin', share, from), entries.number('until', share, to)]
  if (begin > until) entries.note('until', `at least ${begin}, where it begins`, `${until}`, 'Change one of the two.')
  return { begin, until }
}

const readChase = (entries: Entries, updating: Updating): Method => ({
  name: 'chase',
  ...updating,
  channels: entries.number('channels', { min: 0, max: 1, belowMax: true }, 0.5),
  scope: entries.choice('scope', ['block', 'all'], 'block'),
  exploration: entries.choice('exploration', ['global', 'layer'], 'global'),
  score: entries.choice('score', ['umm', 'mmm', 'weights', 'kernels'], 'umm'),
  floor: entries.number('floor', share, 0.5),
  margin: entries.number('margin', share, 0.05),
  finalMargin: entries.number('finalMargin', share, 0),
  channelsEvery: intervalOf(entries, 'channelsEvery', 1000),
  softUntil: entries.number('softUntil', share, 130 / 160),
  channelsUntil: entries.number('channelsUntil', share, 130 / 160),
})
