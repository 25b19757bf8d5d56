/** Channels that are chosen, brought to 0 and then removed. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Event,
  init,
  type Move,
  type Policy,
  type Schedule,
  update,
  type Updated,
} from '../../../src/train/sparse/index.ts'
import { membersOf, scalesOf } from '../../../src/train/sparse/network.ts'
import { chain, mixed, right } from './networks.ts'
import { carryOver, noise } from './simulate.ts'

const policyOf = (phases: ReadonlyArray<readonly [step: number, moves: ReadonlyArray<Move>]>): Policy => ({
  name: 'test',
  density: 1,
  distribution: { kind: 'dense' },
  vectors: true,
  start: 'exact',
  phases: phases.map(([step, moves]) => ({ from: step, until: step + 1, every: 1, offset: 0, moves })),
  masked: 'zeroed',
})

const situation = fc.record({
  network: fc.oneof(
    fc.constant(mixed),
    fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 3, maxLength: 5 }).map(chain),
  ),
  fraction: fc.integer({ min: 0, max: 40 }).map((n) => n / 40),
  multiple: fc.integer({ min: 1, max: 5 }),
  scope: fc.constantFrom('block', 'all'),
  by: fc.constantFrom('hesso', 'dhspg', 'rms', 'scale'),
  seed: fc.nat({ max: 1_000_000 }),
  // Few levels make many scores equal; 0 makes all of them 0.
  levels: fc.constantFrom(undefined, 1, 3, 0),
})

const happened = ({ event }: Updated): Event => {
  if (event === undefined) throw new Error('nothing was due')
  return event
}

const count = (marks: Iterable<number>): number => [...marks].reduce((n, mark) => n + mark, 0)

describe('channels that are marked', () => {
  it('are as many as there are to be, but for what streams keep; they fade to 0 in a line, and then they leave', () => {
    fc.assert(
      fc.property(situation, ({ network, fraction, multiple, scope, by, seed, levels }) => {
        const schedule: Schedule = { kind: 'constant', value: fraction }
        const fade: Move = { kind: 'fade channels', begin: 0, period: 4 }
        const mark: Move = { kind: 'mark channels', fraction: schedule, multiple, by, scope }
        const policy = policyOf([
          [1, [mark, fade]],
          [2, [fade]],
          [3, [fade, { kind: 'remove marked' }]],
        ])
        let state = right(init(network, policy, seed))
        const plain = noise(seed)
        const draw = (n: number): Float32Array =>
          levels === undefined ? plain(n) : plain(n).map((x) => Math.round(x * levels))
        const weights = state.masks.map((mask) => draw(mask.length))
        const gradients = state.masks.map((mask) => draw(mask.length))
        const before = state.masks.map((mask) => draw(mask.length))
        const first = right(update(state, { weights, gradients, before, rate: 0.1 }, 1))
        state = first.state
        const { streams, layers } = state.network
        const inScope = streams.map((stream) => scope === 'all' || stream.scope === 'block')
        const isScaled = streams.map((stream) => by !== 'scale' || scalesOf(stream, state.network).length > 0)
        const all = streams.reduce(
          (n, { channels }, s) => n + (inScope[s] === true && isScaled[s] === true ? channels : 0),
          0,
        )
        const marked = state.marked.map(count)
        const total = marked.reduce((n, m) => n + m, 0)
        expect(total).toBeLessThanOrEqual(Math.round(fraction * all))
        // Each stream holds back no more than it takes to come out even.
        expect(total).toBeGreaterThanOrEqual(Math.round(fraction * all) - multiple * streams.length)
        for (const [s, { channels }] of streams.entries()) {
          const left = channels - (marked[s] ?? 0)
          if (inScope[s] !== true) expect(left).toBe(channels)
          expect(left).toBeGreaterThanOrEqual(Math.min(channels, multiple))
          expect(left % multiple === 0 || left === channels).toBe(true)
        }
        const goes = layers.map(({ shape }) => new Uint8Array(shape.reduce((n, d) => n * d, 1)))
        for (const [s, stream] of streams.entries()) {
          for (const { layer, axis, offset = 0 } of membersOf(stream, (name) => layers.find((x) => x.name === name))) {
            const l = layers.findIndex(({ name }) => name === layer)
            const { shape } = layers[l] ?? { shape: [] }
            const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1)
            const at = (i: number): number => (Math.floor(i / inner) % (shape[axis] ?? 1)) - offset
            goes[l] = (goes[l] ?? new Uint8Array()).map((mark, i) => mark | (state.marked[s]?.[at(i)] ?? 0))
          }
        }
        const after = carryOver(weights, happened(first))
        for (const [l, w] of after.entries()) {
          expect(w).toEqual(weights[l]?.map((x, i) => (goes[l]?.[i] === 1 ? x * Math.fround(2 / 3) : x)))
        }
        const [masks, chosen] = [state.masks, state.marked]
        const second = right(update(state, { weights: after }, 2))
        expect(second.state.masks).toEqual(masks)
        const third = right(update(second.state, { weights: after }, 3))
        expect(third.state.removed).toEqual(chosen)
        expect(third.state.marked.every((marks) => !marks.includes(1))).toBe(true)
        const ended = carryOver(after, happened(third))
        for (const [l, w] of ended.entries()) expect(w.every((x, i) => goes[l]?.[i] !== 1 || x === 0)).toBe(true)
        for (const [l, mask] of third.state.masks.entries()) {
          expect(mask.some((bit, i) => bit === 1 && goes[l]?.[i] === 1)).toBe(false)
        }
      }),
      { numRuns: 150 },
    )
  })
})
