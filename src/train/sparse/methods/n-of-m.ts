/** N:M sparsity that comes in little by little. */
import type { Entries } from '../../recipe/reader.ts'
import type { Pattern, Policy } from '../policy.ts'
import { constant, type Schedule } from '../schedule.ts'
import { notBelow, readEvery, readSpan, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

export interface PatternOptions {
  /** Of every m weights along the axis n are kept in the end. */
  readonly n: number
  readonly m: number
  readonly axis?: 'input' | 'output'
  /** Before `begin` the network is dense; from `end` on masks are plain n:m. */
  readonly begin: number
  readonly end: number
  /** Training steps. */
  readonly steps: number
  /** Steps between looks at the weights: masks follow them that often. */
  readonly every?: number
}

export interface MaskDecayOptions extends PatternOptions {
  readonly decay: 'linear' | 'exponential'
  /** How fast the multiplier b of masked weights falls: 1 - rate · t, or exp(-rate · t), t in steps since `begin`. */
  readonly rate: number
}

export interface PatternDecayOptions extends PatternOptions {
  /** `halving`: m-1:m, m/2:m, m/4:m and so on; `fine`: 8n:8m, 4n:4m, 2n:2m; then n:m. */
  readonly frames?: 'halving' | 'fine'
}

type Patterns = ReadonlyArray<{ readonly step: number; readonly n: number; readonly m: number }>

const patternPolicy = (name: string, options: PatternOptions, patterns: Patterns, masked: Schedule): Policy => ({
  name,
  density: Math.min(1, options.n / options.m),
  distribution: { kind: 'dense' },
  start: 'exact',
  phases: [
    {
      from: options.begin,
      until: options.steps + 1,
      every: options.every ?? 1,
      offset: 0,
      moves: [{ kind: 'keep pattern', axis: options.axis ?? 'input', patterns }],
    },
  ],
  masked,
})

/**
 * N:M with a mask that fades in (MdGf): the forward pass computes with w · (mask + (1 - mask) · b), b falling from 1, and from
 * `end` on with b = 0. Weights stay dense and get the gradient straight through; masks follow from the weights.
 */
export const maskDecay = (options: MaskDecayOptions): Policy => {
  const { n, m, begin, end, decay, rate } = options
  const kind = decay === 'linear' ? 'linear decay' : 'exponential decay'
  return patternPolicy('n-of-m-mask-decay', options, [{ step: begin, n, m }], { kind, rate, begin, end })
}

/**
 * N:M by way of denser patterns (SdGf), each for an equal part of the steps from `begin` to `end`. Weights stay dense and get the
 * gradient straight through; masks follow from the weights.
 */
export const patternDecay = (options: PatternDecayOptions): Policy => {
  const { n, m, begin, end } = options
  const frames = options.frames === 'fine' ? fineFrames(n, m) : halvingFrames(n, m)
  const patterns = frames.map((frame, i) => ({
    step: Math.round(begin + (i * (end - begin)) / frames.length),
    ...frame,
  }))
  return patternPolicy('n-of-m-pattern-decay', options, [...patterns, { step: end, n, m }], constant(0))
}

const halvingFrames = (n: number, m: number): ReadonlyArray<{ readonly n: number; readonly m: number }> => {
  const frames = [{ n: m - 1, m }]
  for (let kept = Math.floor(m / 2); kept > n; kept = Math.floor(kept / 2)) frames.push({ n: kept, m })
  return m - 1 > n ? frames : []
}

const fineFrames = (n: number, m: number): ReadonlyArray<{ readonly n: number; readonly m: number }> =>
  [8, 4, 2].map((k) => ({ n: k * n, m: k * m }))

const decays = ['mask', 'mask-exponential', 'halving', 'fine'] as const

/**
 * How the pattern comes in between `begin` and `until`. Masked weights fade out: `mask` by 1 - x, `mask-exponential` by
 * exp(-rate · x) and at once at the end, x from 0 to 1 over that time. Or the pattern comes by way of denser ones: `halving`
 * and `fine`.
 */
type Decay =
  | { readonly decay: Exclude<(typeof decays)[number], 'mask-exponential'> }
  | { readonly decay: 'mask-exponential'; readonly rate: number }

const readDecay = (entries: Entries): Decay => {
  const decay = entries.choice('decay', decays, 'mask', ['rate'])
  if (decay !== 'mask-exponential') return { decay }
  return { decay, rate: entries.number('rate', { min: 0, aboveMin: true }, 5) }
}

/** n and m of an n:m pattern, 2 of `absent` where the recipe says nothing. */
export const readGroups = (entries: Entries, absent: number): { readonly n: number; readonly m: number } => {
  const n = entries.number('n', { min: 1, whole: true }, 2)
  return { n, m: notBelow(entries, 'm', entries.number('m', { min: 1, whole: true }, Math.max(absent, n)), n, 'n') }
}

/** n, m and the axis of an n:m pattern. */
export const readPattern = (entries: Entries): Pattern => ({
  ...readGroups(entries, 4),
  axis: entries.choice('axis', ['input', 'output'], 'input'),
})

export const method = defineMethod({
  name: 'n-of-m',
  about: 'Of every m weights n are kept, a pattern that some hardware computes faster.',
  source: {
    paper: 'Progressive Gradient Flow for Robust N:M Sparsity Training in Transformers',
    arxiv: '2402.04744',
    code: 'abhibambhaniya/progressive_gradient_flow_nm_sparsity',
  },
  sentences: {
    until: 'From then on masks are plain n of m.',
    every: 'From one look at the weights to the next.',
    decay:
      'How the pattern comes in between `begin` and `until`. `mask`: masked weights fade out in a line; `mask-exponential`: by exp(-rate · x), x from 0 to 1. `halving`: by way of patterns of m-1, m/2, m/4, … of m; `fine`: of 8n of 8m, 4n of 4m, 2n of 2m.',
    rate: 'See `decay`.',
  },
  read: (entries) => ({
    ...readPattern(entries),
    ...readDecay(entries),
    ...readSpan(entries, 0.1, 0.7),
    ...readEvery(entries, 1),
  }),
  policy: (entry, length) => {
    const { n, m, axis } = entry
    const [begin, end] = [stepAt(entry.begin, length), stepAt(entry.until, length)]
    const common = { n, m, axis, begin, end, steps: length.steps, every: stepsOf(entry.every, length) }
    const perStep = 1 / Math.max(1, end - begin)
    switch (entry.decay) {
      case 'mask':
        return maskDecay({ ...common, decay: 'linear', rate: perStep })
      case 'mask-exponential':
        return maskDecay({ ...common, decay: 'exponential', rate: entry.rate * perStep })
      default:
        return patternDecay({ ...common, frames: entry.decay })
    }
  },
})
