/** Sparse training methods as plain data. */
import type { ChannelScore } from '../../masks/scores.ts'
import type { Entries } from './reader.ts'

/** A number of training steps, or of epochs, or a fraction of the whole training. */
export type Interval = number | { readonly epochs: number } | { readonly part: number }

/** From one update to the next in the runs of Chase's paper on CIFAR: 1000 of 80,000 steps. */
const usualInterval: Interval = { part: 1 / 80 }

const distributions = ['uniform', 'uniform+', 'er', 'erk', 'erk+', 'snip'] as const

interface Density {
  /** Fraction of all weights that is kept in the end. */
  readonly density: number
}

/**
 * How the kept weights are shared out among the layers. `snip`: by |w · ∂L/∂w| on one batch before the first step; `last`:
 * the density of the classifier, at least that under uniform+, just that under erk+.
 */
export type Sparse = Density &
  (
    | { readonly distribution: Exclude<(typeof distributions)[number], 'uniform+' | 'erk+'> }
    | { readonly distribution: 'uniform+' | 'erk+'; readonly last: number }
  )

interface Every {
  /** From one update to the next. */
  readonly every: Interval
}

type Updating = Sparse & Every

/** Points in time (`until`, `softUntil`, `at`, ...) are fractions of the whole training. */
export type Method =
  | { readonly name: 'dense' }
  | ({ readonly name: 'static' } & Sparse)
  | ({ readonly name: 'set'; readonly fraction: number; readonly until: number } & Updating)
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
    } & Density &
      Every)
  | ({ readonly name: 'global-magnitude'; readonly at: number; readonly minimum: number } & Density)
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

const decays = ['mask', 'mask-exponential', 'halving', 'fine'] as const

/**
 * How the pattern comes in between `begin` and `until`. Masked weights fade out: `mask` by 1 - x, `mask-exponential` by
 * exp(-rate · x) and at once at the end, x from 0 to 1 over that time. Or the pattern comes by way of denser ones: `halving`
 * and `fine`.
 */
type Decay =
  | { readonly decay: Exclude<(typeof decays)[number], 'mask-exponential'> }
  | { readonly decay: 'mask-exponential'; readonly rate: number }

/** `every` is from one look at the weights to the next. */
type PatternMethod = {
  readonly name: 'n-of-m'
  /** Of every m weights along the axis n are kept. */
  readonly n: number
  readonly m: number
  readonly axis: 'input' | 'output'
  readonly begin: number
  readonly until: number
} & Every &
  Decay

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
  if (typeof found !== 'object' || found === null) return entries.number(key, { min: 1, whole: true })
  const inner = entries.inner(key)
  const given = inner?.raw('part') === undefined ? 'epochs' : 'part'
  const range = given === 'part' ? kept : { min: 0, aboveMin: true }
  const value = inner?.number(given, range) ?? 1
  inner?.end()
  return given === 'part' ? { part: value } : { epochs: value }
}

/** The classifier's density where the recipe names none: what uniform+ was published with, and what the authors of erk+ ran. */
const lastDensity = { 'uniform+': 0.2, 'erk+': 1 } as const

const densityOf = (entries: Entries): Density => ({ density: entries.number('density', kept, 0.1) })

const sparseOf = (entries: Entries, absent: Exclude<Sparse['distribution'], 'uniform+' | 'erk+'>): Sparse => {
  const { density } = densityOf(entries)
  const distribution = entries.choice('distribution', distributions, absent, ['last'])
  switch (distribution) {
    case 'uniform+':
    case 'erk+':
      return { density, distribution, last: entries.number('last', share, lastDensity[distribution]) }
    default:
      return { density, distribution }
  }
}

/** The method that `entries` describe, what they leave out as the papers have it. */
export const readMethod = (entries: Entries): Method => {
  const name = entries.choice('name', methodNames, undefined, 'all')
  const density = (): Density => densityOf(entries)
  const sparse = (absent: Parameters<typeof sparseOf>[1] = 'erk'): Sparse => sparseOf(entries, absent)
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
      return { name, ...sparse('er'), ...every({ epochs: 1 }), ...fraction(0.3), until: time('until', 1) }
    case 'rigl':
      return { name, ...sparse(), ...every(100), ...fraction(0.3), until: time('until', 0.75) }
    case 'rigl-itop':
      return { name, ...sparse(), ...every(usualInterval), ...fraction(0.5) }
    case 'mest':
      return {
        name,
        ...sparse('uniform'),
        ...every({ epochs: 5 }),
        margin: entries.number('margin', share, 0.05),
        until: time('until', 0.9),
      }
    case 'granet': {
      const shared = sparse()
      const initialDensity = entries.number('initialDensity', kept, Math.max(0.5, shared.density))
      return {
        name,
        ...shared,
        ...every(usualInterval),
        ...fraction(0.5),
        initialDensity: notBelow(entries, 'initialDensity', initialDensity, shared.density, 'the density'),
        until: time('until', 0.7),
      }
    }
    case 'gmp':
      return {
        name,
        ...density(),
        ...every(usualInterval),
        ...spanOf(entries, 0.1, 0.75),
        scope: entries.choice('scope', ['layer', 'global'], 'global'),
      }
    case 'global-magnitude':
      return { name, ...density(), at: time('at', 0.5), minimum: entries.number('minimum', share, 0.0005) }
    case 'n-of-m':
      return readPattern(entries)
    case 'chase':
      return readChase(entries, { ...sparse(), ...every(usualInterval) })
  }
}

const readPattern = (entries: Entries): Method => {
  const n = entries.number('n', { min: 1, whole: true }, 2)
  return {
    name: 'n-of-m',
    n,
    m: notBelow(entries, 'm', entries.number('m', { min: 1, whole: true }, Math.max(4, n)), n, 'n'),
    axis: entries.choice('axis', ['input', 'output'], 'input'),
    ...decayOf(entries),
    ...spanOf(entries, 0.1, 0.7),
    every: intervalOf(entries, 'every', 1),
  }
}

const decayOf = (entries: Entries): Decay => {
  const decay = entries.choice('decay', decays, 'mask', ['rate'])
  if (decay !== 'mask-exponential') return { decay }
  return { decay, rate: entries.number('rate', { min: 0, aboveMin: true }, 5) }
}

/** `found` under `key`, noted where it is below `low`. */
const notBelow = (entries: Entries, key: string, found: number, low: number, what: string): number => {
  if (found < low) entries.note(key, `at least ${low}, ${what}`, `${found}`, 'Change one of the two.')
  return found
}

/** From when until when something changes, as fractions of the training. */
const spanOf = (entries: Entries, from: number, to: number): { readonly begin: number; readonly until: number } => {
  const begin = entries.number('begin', share, from)
  return { begin, until: notBelow(entries, 'until', entries.number('until', share, to), begin, 'where it begins') }
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
  channelsEvery: intervalOf(entries, 'channelsEvery', usualInterval),
  softUntil: entries.number('softUntil', share, 130 / 160),
  channelsUntil: entries.number('channelsUntil', share, 130 / 160),
})
