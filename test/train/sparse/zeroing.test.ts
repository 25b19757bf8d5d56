/** Channels that are drawn to 0, and leave once they are 0. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecipe, policyOf as networkPolicyOf } from '../../../src/train/recipe/index.ts'
import { proximalShares } from '../../../src/train/sparse/envelope.ts'
import { type Event, init, type Move, type Policy, type State, update } from '../../../src/train/sparse/index.ts'
import { chain, mixed, right } from './networks.ts'
import { carryOver, noise, run, start } from './simulate.ts'

const policyOf = (moves: ReadonlyArray<Move>): Policy => ({
  name: 'test',
  density: 1,
  distribution: { kind: 'dense' },
  vectors: true,
  start: 'exact',
  phases: [{ from: 1, until: 2, every: 1, offset: 0, moves }],
  masked: 'zeroed',
})

interface Channel {
  readonly stream: number
  readonly channel: number
  readonly isInScope: boolean
  /** Layer and element of all that makes it. */
  readonly places: ReadonlyArray<readonly [layer: number, element: number]>
}

/** The channels of a network and what makes them, by the definition of a slot. */
const channelsOf = ({ network }: State, scope: 'block' | 'all'): ReadonlyArray<Channel> =>
  network.streams.flatMap((stream, s) =>
    Array.from({ length: stream.channels }, (_, channel): Channel => {
      const places = [...stream.producers, ...stream.consumers].flatMap(({ layer, axis, offset = 0, span = 1 }) => {
        const l = network.layers.findIndex(({ name }) => name === layer)
        const { shape, outputAxis } = network.layers[l] ?? { shape: [], outputAxis: -1 }
        if (axis !== outputAxis) return []
        const size = shape.reduce((n, d) => n * d, 1)
        const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1)
        const indexOf = (i: number): number => Math.floor(i / inner) % (shape[axis] ?? 1)
        const mine = (i: number): boolean =>
          Math.floor((indexOf(i) - offset) / span) === channel && indexOf(i) >= offset
        return Array.from({ length: size }, (_e, i) => i).flatMap((i) => (mine(i) ? [[l, i] as const] : []))
      })
      return { stream: s, channel, isInScope: scope === 'all' || stream.scope === 'block', places }
    }),
  )

const situation = fc.record({
  network: fc.oneof(
    fc.constant(mixed),
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 5 }).map(chain),
  ),
  scope: fc.constantFrom('block', 'all'),
  fraction: fc.integer({ min: 0, max: 20 }).map((n) => n / 20),
  seed: fc.nat({ max: 1_000_000 }),
  /** How large weights are, and how far the step goes beside them. */
  scale: fc.constantFrom(1, 1e-30, 1e15),
  way: fc.constantFrom(0, 1e-4, 0.3, 3),
  rate: fc.constantFrom(0, 1e-6, 0.1, 1),
})

type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never

/** A state with marks, and weights before and after a step, some channels 0 before it. */
const begin = ({ network, scope, seed, scale, way, rate }: Situation, moves: ReadonlyArray<Move>) => {
  const fresh = right(init(network, policyOf(moves), seed))
  const chance = noise(seed + 1)
  const state: State = {
    ...fresh,
    marked: fresh.marked.map((marks) => Uint8Array.from(chance(marks.length), (x) => (x > -0.2 ? 1 : 0))),
  }
  const channels = channelsOf(state, scope)
  const before = state.masks.map((mask) => chance(mask.length).map((x) => x * scale))
  const isZero = Array.from(chance(channels.length), (x) => x > 0.6)
  for (const [n, { places }] of channels.entries())
    if (isZero[n] === true) for (const [l, i] of places) before[l]?.fill(0, i, i + 1)
  const weights = before.map((list) => {
    const drift = chance(list.length)
    return list.map((w, i) => (rate === 0 ? w : w + way * scale * (drift[i] ?? 0)))
  })
  return { state, channels, before, weights, isZero }
}

const happened = (event: Event | undefined): Event => {
  if (event === undefined) throw new Error('nothing was due')
  return event
}

const numbersAt = (arrays: ReadonlyArray<Float32Array>, { places }: Channel): ReadonlyArray<number> =>
  places.map(([l, i]) => arrays[l]?.[i] ?? NaN)

const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  a.reduce((n, x, i) => n + x * (b[i] ?? 0), 0)

describe('half-space projection', () => {
  it('takes from marked channels a multiple of what they were, or makes them 0, and leaves all others alone', () => {
    let [drawn, zeroed] = [0, 0]
    fc.assert(
      fc.property(situation, (one) => {
        const { fraction, rate, scope } = one
        const epsilon = 0.9
        const move: Move = { kind: 'half-space', strength: 0.01, amplify: 2, ceiling: 10, epsilon, fraction, scope }
        const { state, channels, before, weights, isZero } = begin(one, [move])
        const { state: next, event } = right(update(state, { weights, before, rate }, 1))
        expect([next.masks, next.marked, next.removed]).toEqual([state.masks, state.marked, state.removed])
        const after = carryOver(weights, happened(event))
        const inScope = channels.filter(({ isInScope }) => isInScope)
        const zeros = channels.filter(({ isInScope }, n) => isInScope && isZero[n]).length
        const isReached = zeros >= fraction * inScope.length
        const touched = new Set<string>()
        for (const [n, channel] of channels.entries()) {
          const { isInScope, places, stream, channel: c } = channel
          const [was, moved, is] = [before, weights, after].map((arrays) => numbersAt(arrays, channel))
          if (was === undefined || moved === undefined || is === undefined) throw new Error('no numbers')
          if (isInScope) for (const [l, i] of places) touched.add(`${l} ${i}`)
          if (!isInScope) expect(is).toEqual(moved)
          else if (isZero[n] === true) expect(is.every((w) => w === 0)).toBe(true)
          else if (isReached || state.marked[stream]?.[c] !== 1) expect(is).toEqual(moved)
          else if (is.every((w) => w === 0)) zeroed += 1
          else {
            drawn += 1
            const norm = Math.sqrt(dot(was, was))
            const pull = (dot(moved, was) - dot(is, was)) / dot(was, was)
            const largest = Math.max(...[...was, ...moved].map(Math.abs))
            expect(pull).toBeGreaterThanOrEqual(-1e-6)
            expect(pull * norm).toBeLessThanOrEqual(rate * 0.1 * 1.001 + 1e-5 * largest)
            for (const [i, w] of is.entries()) {
              expect(Math.abs((moved[i] ?? NaN) - pull * (was[i] ?? NaN) - w)).toBeLessThanOrEqual(1e-5 * largest)
            }
            expect(dot(is, was)).toBeGreaterThanOrEqual(epsilon * norm * norm - 1e-5 * norm * largest * was.length)
          }
        }
        for (const [l, list] of after.entries()) {
          for (const [i, w] of list.entries()) if (!touched.has(`${l} ${i}`)) expect(w).toBe(weights[l]?.[i])
        }
      }),
      { numRuns: 200 },
    )
    expect(Math.min(drawn, zeroed)).toBeGreaterThan(20)
  })

  it('asks for the weights before the step and for its learning rate', () => {
    const move: Move = {
      ...{ kind: 'half-space', strength: 1, amplify: 1, ceiling: 1, epsilon: 0.5, fraction: 0.5, scope: 'all' },
    }
    const state = right(init(chain([2, 3, 2]), policyOf([move]), 1))
    const weights = state.masks.map((mask) => new Float32Array(mask.length))
    const told = (sample: Parameters<typeof update>[1]): string => {
      const result = update(state, sample, 1)
      return result._tag === 'Left' ? `${result.left.subject}: ${result.left.found}` : 'nothing'
    }
    expect(told({ weights })).toBe('weights before the step: 0')
    expect(told({ weights, before: weights })).toBe('learning rate: none')
    expect(told({ weights, before: weights, rate: NaN })).toBe('learning rate: NaN')
    expect(told({ weights, before: weights, rate: 0 })).toBe('nothing')
  })
})

const sum = (list: Iterable<number>): number => [...list].reduce((n, x) => n + x, 0)

describe('proximal shares', () => {
  const groups = fc.array(
    fc.record({
      norm: fc.oneof(fc.double({ min: 1e-45, max: 10, noNaN: true }), fc.constantFrom(0, 1, 1e-40, 1e-9, 1e20)),
      tax: fc.oneof(fc.double({ min: 1e-12, max: 100, noNaN: true }), fc.constantFrom(1e-9, 0.5)),
    }),
    { maxLength: 30 },
  )

  it('are those of the proximal operator: Fenchel’s equality holds with the conjugate', () => {
    fc.assert(
      fc.property(groups, fc.nat({ max: 31 }), (list, k) => {
        const shares = proximalShares(list, k)
        const present = list.filter(({ norm }) => norm > 0).length
        expect(shares.every((u) => u >= 0 && u <= 1)).toBe(true)
        expect(sum(shares)).toBeCloseTo(Math.min(k, present), 6)
        // With λ = 1, each group is one number: θ = u / (u + d) · x, and y = x - θ.
        const theta = list.map(({ norm, tax }, j) => ((shares[j] ?? NaN) / ((shares[j] ?? NaN) + tax)) * norm)
        const rest = list.map(({ norm, tax }, j) => (tax / ((shares[j] ?? NaN) + tax)) * norm)
        const value =
          sum(list.map(({ tax }, j) => ((shares[j] ?? 0) > 0 ? (tax * (theta[j] ?? 0) ** 2) / (shares[j] ?? 1) : 0))) /
          2
        const squares = list.map(({ tax }, j) => (rest[j] ?? NaN) ** 2 / tax).toSorted((a, b) => b - a)
        const conjugate = sum(squares.slice(0, k)) / 2
        const product = dot(theta, rest)
        expect(Math.abs(value + conjugate - product)).toBeLessThanOrEqual(1e-6 * (value + conjugate))
      }),
      { numRuns: 2000 },
    )
  })

  it('of equal groups are equal, and k of few groups are 1', () => {
    const group = { norm: 3, tax: 0.1 }
    expect([...proximalShares([group, group, group, group], 3)]).toEqual([0.75, 0.75, 0.75, 0.75])
    expect([...proximalShares([group, { norm: 0, tax: 0.1 }, group], 2)]).toEqual([1, 0, 1])
    expect([...proximalShares([group, group], 0)]).toEqual([0, 0])
    expect([...proximalShares([], 2)]).toEqual([])
  })
})

describe('the proximal step', () => {
  it('brings channels in scope nearer to 0, a group never wholly to 0, and leaves all others alone', () => {
    fc.assert(
      fc.property(situation, fc.constantFrom(0, 0.1, 30), (one, strength) => {
        const { fraction, rate, scope } = one
        const { state, channels, weights, isZero } = begin(one, [{ kind: 'envelope', strength, fraction, scope }])
        // What is 0 before the step is 0 after it here.
        for (const [n, { places }] of channels.entries()) {
          if (isZero[n] === true) for (const [l, i] of places) weights[l]?.fill(0, i, i + 1)
        }
        const { state: next, event } = right(update(state, { weights, rate }, 1))
        expect([next.masks, next.marked, next.removed]).toEqual([state.masks, state.marked, state.removed])
        const after = carryOver(weights, happened(event))
        if (rate * strength === 0) expect(after).toEqual(weights)
        const touched = new Set<string>()
        const lives = new Set<number>()
        for (const channel of channels) {
          const [was, is] = [weights, after].map((arrays) => numbersAt(arrays, channel))
          if (was === undefined || is === undefined) throw new Error('no numbers')
          if (!channel.isInScope) expect(is).toEqual(was)
          else for (const [l, i] of channel.places) touched.add(`${l} ${i}`)
          const factor = dot(was, was) === 0 ? 1 : Math.sqrt(dot(is, is) / dot(was, was))
          expect(factor).toBeLessThanOrEqual(1 + 1e-6)
          const largest = Math.max(...was.map(Math.abs))
          for (const [i, w] of is.entries()) {
            expect(Math.abs(factor * (was[i] ?? NaN) - w)).toBeLessThanOrEqual(1e-6 * largest)
          }
          if (is.some((w) => w !== 0)) lives.add(channel.stream)
        }
        for (const channel of channels) {
          if (numbersAt(weights, channel).some((w) => w !== 0)) expect(lives.has(channel.stream)).toBe(true)
        }
        for (const [l, list] of after.entries()) {
          for (const [i, w] of list.entries()) if (!touched.has(`${l} ${i}`)) expect(w).toBe(weights[l]?.[i])
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe.each([
  // With a smaller epsilon few channels become 0 by themselves in so few steps.
  { name: 'dhspg', more: { epsilon: 0 } },
  { name: 'dhspg', more: {} },
  { name: 'wgsef', more: {} },
])('$name, $more', ({ name, more }) => {
  it('leaves exactly as many channels as are to stay, but for the last of a group and what became 0 by itself', () => {
    fc.assert(
      fc.property(situation, fc.constantFrom(1e-6, 0.1, 20), ({ network, fraction, scope, seed }, strength) => {
        const channels = fraction * 0.99
        const entries = { name, channels, scope, strength, every: 3, begin: 0.1, until: 0.8, ...more }
        const recipe = decodeRecipe({ method: entries })
        if (recipe._tag === 'Left') throw new Error(recipe.left[0].found)
        const policy = networkPolicyOf(recipe.right.method, { steps: 20, stepsPerEpoch: 5 })
        const { state } = run(start(network, policy, seed), 1, 20, seed)
        const streams = network.streams.flatMap((stream, s) => (scope === 'all' || stream.scope === 'block' ? [s] : []))
        const all = sum(streams.map((s) => network.streams[s]?.channels ?? 0))
        const gone = sum(streams.map((s) => sum(state.removed[s] ?? [])))
        const most = name === 'dhspg' ? Math.round(all * Math.min(0.999, channels + 0.05)) : Math.round(all * channels)
        expect(gone).toBeLessThanOrEqual(most)
        expect(gone).toBeGreaterThanOrEqual(Math.min(Math.round(all * channels), all - streams.length) - streams.length)
        for (const s of streams) expect(sum(state.removed[s] ?? [])).toBeLessThan(network.streams[s]?.channels ?? 0)
      }),
      { numRuns: 60 },
    )
  })
})

describe('removing channels that are 0', () => {
  it('takes these and no others, and with a fraction the smallest of those that are marked', () => {
    fc.assert(
      fc.property(situation, fc.boolean(), (one, isLast) => {
        const { scope, fraction } = one
        const {
          state,
          channels,
          before: weights,
          isZero,
        } = begin(one, [{ kind: 'remove zero', scope, ...(isLast && { fraction }) }])
        const { state: next, event } = right(update(state, { weights }, 1))
        const isGone = ({ stream, channel }: Channel): boolean => next.removed[stream]?.[channel] === 1
        const isMarked = ({ stream, channel }: Channel): boolean => state.marked[stream]?.[channel] === 1
        const zeros = channels.filter((_, n) => isZero[n])
        const others = channels.filter((_, n) => isZero[n] !== true)
        for (const channel of zeros) expect(isGone(channel)).toBe(channel.isInScope)
        const inScope = channels.filter(({ isInScope }) => isInScope)
        const going = others.filter(isGone)
        const marked = others.filter((channel) => channel.isInScope && isMarked(channel))
        const missing = Math.round(fraction * inScope.length) - zeros.filter(({ isInScope }) => isInScope).length
        expect(going.length).toBe(isLast ? Math.min(marked.length, Math.max(0, missing)) : 0)
        const worth = (channel: Channel): number => {
          const numbers = numbersAt(weights, channel)
          return Math.sqrt(dot(numbers, numbers)) / numbers.length
        }
        const largest = Math.max(0, ...going.map(worth))
        for (const channel of going) expect(isMarked(channel)).toBe(true)
        for (const channel of marked)
          if (!isGone(channel)) expect(worth(channel)).toBeGreaterThanOrEqual(largest * (1 - 1e-9))
        for (const [s, marks] of next.marked.entries()) {
          const left = state.marked[s]?.map((mark, c) => (next.removed[s]?.[c] === 1 || isLast ? 0 : mark))
          expect(marks).toEqual(left)
        }
        const after = carryOver(weights, happened(event))
        for (const channel of channels)
          if (isGone(channel)) expect(numbersAt(after, channel).every((w) => w === 0)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
