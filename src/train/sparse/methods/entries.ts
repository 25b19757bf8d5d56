/** Entries that recipes of several methods have: what they are, how they are read, and what they come to in steps. */
import type { Entries } from '../../recipe/reader.ts'
import type { Distribution } from '../distribution.ts'

/** The length of a training run. */
export interface Length {
  readonly steps: number
  readonly stepsPerEpoch: number
}

/** A number of training steps, or of epochs, or a fraction of the whole training. */
export type Interval = number | { readonly epochs: number } | { readonly part: number }

/** What an interval may be, in words. */
export const intervalText = 'a number of steps, `{ epochs: n }`, or `{ part: x }` of the training'

/** From one update to the next in the runs of Chase's paper on CIFAR: 1000 of 80,000 steps. */
export const usualInterval: Interval = { part: 1 / 80 }

const distributions = ['uniform', 'uniform+', 'er', 'erk', 'erk+', 'snip'] as const

export interface Density {
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

export interface Every {
  /** From one update to the next. */
  readonly every: Interval
}

export type Updating = Sparse & Every

/** What the entries are, where a method says nothing else. */
export const sentences: Readonly<Record<string, string>> = {
  density: 'Fraction of all weights that is kept in the end.',
  distribution: 'How the kept weights are shared out among the layers, see [Distributions](#distributions).',
  last: 'Density of the classifier: at least this under `uniform+`, just this under `erk+`.',
  every: 'From one update of the masks to the next.',
  criterion: 'What the weights that are dropped are worth least by, see [Criteria](#criteria).',
  gradient: 'λ: what a gradient counts against a weight under `mest`.',
  fraction: "Fraction of each layer's kept weights that is exchanged.",
  until: 'From then on masks stay as they are.',
  begin: 'Until then the network is dense.',
  n: 'Of every m weights along the axis n are kept.',
  m: 'See `n`; not below it.',
  channels: 'Fraction of the channels in scope that is gone in the end.',
  multiple: 'A group of channels keeps a multiple of so many, or all; it keeps one at least.',
  scope: '`block`: channels inside blocks; `all`: those of residual streams too.',
  maskedDecay:
    'λ: what is added to the gradient of a masked weight, this times the weight; 0 leaves the plain estimator.',
  axis: 'Along the channels that a layer reads, or those that it makes.',
}

export const share = { min: 0, max: 1 } as const
export const kept = { min: 0, max: 1, aboveMin: true } as const

export const readDensity = (entries: Entries): Density => ({ density: entries.number('density', kept, 0.1) })

/** The classifier's density where the recipe names none: what uniform+ was published with, and what the authors of erk+ ran. */
const lastDensity = { 'uniform+': 0.2, 'erk+': 1 } as const

export const readSparse = (
  entries: Entries,
  absent: Exclude<Sparse['distribution'], 'uniform+' | 'erk+'> = 'erk',
): Sparse => {
  const { density } = readDensity(entries)
  const distribution = entries.choice('distribution', distributions, absent, ['last'])
  switch (distribution) {
    case 'uniform+':
    case 'erk+':
      return { density, distribution, last: entries.number('last', share, lastDensity[distribution]) }
    default:
      return { density, distribution }
  }
}

/** Which channels are to go. */
export interface Gone {
  /** Fraction of the channels in scope. */
  readonly channels: number
  readonly scope: 'block' | 'all'
}

export const readGone = (entries: Entries, scope: Gone['scope']): Gone => ({
  channels: entries.number('channels', { min: 0, max: 1, belowMax: true }, 0.5),
  ...readScope(entries, scope),
})

export const readScope = (entries: Entries, absent: Gone['scope']): Pick<Gone, 'scope'> => ({
  scope: entries.choice('scope', ['block', 'all'], absent),
})

/** What methods have that choose channels and remove them later. */
export const readChannels = (entries: Entries, scope: Gone['scope']): Gone & { readonly multiple: number } => ({
  ...readGone(entries, scope),
  multiple: entries.number('multiple', { min: 1, whole: true }, 1),
})

export const readInterval = (entries: Entries, key: string, absent: Interval): Interval => {
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

export const readEvery = (entries: Entries, absent: Interval): Every => ({
  every: readInterval(entries, 'every', absent),
})

export const readMaskedDecay = (entries: Entries, absent: number): { readonly maskedDecay: number } => ({
  maskedDecay: entries.number('maskedDecay', { min: 0 }, absent),
})

export const readFraction = (entries: Entries, absent: number): { readonly fraction: number } => ({
  fraction: entries.number('fraction', share, absent),
})

/** `found` under `key`, noted where it is below `low`. */
export const notBelow = (entries: Entries, key: string, found: number, low: number, what: string): number => {
  if (found < low) entries.note(key, `at least ${low}, ${what}`, `${found}`, 'Change one of the two.')
  return found
}

/** From when until when something changes, as fractions of the training. */
export const readSpan = (
  entries: Entries,
  from: number,
  to: number,
): { readonly begin: number; readonly until: number } => {
  const begin = entries.number('begin', share, from)
  return { begin, until: notBelow(entries, 'until', entries.number('until', share, to), begin, 'where it begins') }
}

/** The training step that a fraction of a run falls on. */
export const stepAt = (part: number, { steps }: Length): number => Math.round(part * steps)

/** How many training steps an interval has, at least one. */
export const stepsOf = (interval: Interval, { steps, stepsPerEpoch }: Length): number => {
  if (typeof interval === 'number') return Math.max(1, Math.round(interval))
  return Math.max(1, Math.round('part' in interval ? interval.part * steps : interval.epochs * stepsPerEpoch))
}

export const distributionOf = (method: Sparse): Distribution => {
  switch (method.distribution) {
    case 'uniform+':
    case 'erk+':
      return { kind: method.distribution, last: method.last }
    case 'snip':
      return { kind: 'given', densities: [] }
    default:
      return { kind: method.distribution }
  }
}
