import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  fromArrays,
  type KeptAxes,
  type Move,
  type Network,
  removesChannels,
  slim,
  type State,
  toArrays,
  update,
  valueAt,
} from '../../../src/train/sparse/index.ts'
import { movesAt } from '../../../src/train/sparse/policy.ts'
import { markAxes } from '../../../src/train/sparse/network.ts'
import { chain, mixed, right } from './networks.ts'
import { policies, steps } from './policies.ts'
import { carryOver, run, start, type Step } from './simulate.ts'

const networks: fc.Arbitrary<Network> = fc.oneof(
  fc.constant(mixed),
  fc.array(fc.integer({ min: 2, max: 14 }), { minLength: 3, maxLength: 6 }).map(chain),
)

const situation = fc.record({
  network: networks,
  seed: fc.nat({ max: 1_000_000 }),
  // Few levels make many weights and gradients equal.
  levels: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
})

const count = (bits: Iterable<number>): number => {
  let n = 0
  for (const bit of bits) n += bit
  return n
}

const exempt = (state: State, l: number): boolean => state.network.layers[l]?.exempt === true

const live = (state: State): number => state.masks.reduce((n, mask, l) => n + (exempt(state, l) ? 0 : count(mask)), 0)

/** Per layer 1 where a weight lies in a removed channel, by the definition of a slot. */
const inRemoved = (state: State): ReadonlyArray<Uint8Array> => {
  const known = marksOf.get(state)
  if (known !== undefined) return known
  const gone = markAxes(state.network, state.removed)
  const marks = state.network.layers.map((layer, l) => {
    const size = layer.shape.reduce((n, d) => n * d, 1)
    return Uint8Array.from({ length: size }, (_, i) => {
      let rest = i
      for (let axis = layer.shape.length - 1; axis >= 0; axis--) {
        const d = layer.shape[axis] ?? 1
        if (gone[l]?.[axis]?.[rest % d] === 1) return 1
        rest = Math.floor(rest / d)
      }
      return 0
    })
  })
  marksOf.set(state, marks)
  return marks
}

const marksOf = new WeakMap<State, ReadonlyArray<Uint8Array>>()

const capacity = (state: State): number =>
  inRemoved(state).reduce((n, marks, l) => n + (exempt(state, l) ? 0 : marks.length - count(marks)), 0)

/** How many weights there are to be after the moves. */
const expectedLive = (moves: ReadonlyArray<Move>, { before, after, event, step }: Step): number => {
  const gone = inRemoved(after)
  let n = before.masks.reduce(
    (sum, mask, l) => sum + (exempt(before, l) ? 0 : count(mask.map((bit, i) => bit & ~(gone[l]?.[i] ?? 0)))),
    0,
  )
  let exchanging: number | undefined
  for (const move of moves) {
    if (move.kind === 'prune' && 'density' in move.to)
      n = Math.min(n, Math.round(valueAt(move.to.density, step) * event.total))
    // An exchange by fraction leaves as many as there were; what it grows is looked at elsewhere.
    else if (move.kind === 'prune') exchanging = n
    else if (move.kind === 'regrow') n = exchanging ?? n
    else if (move.kind === 'grow') n = Math.min(capacity(after), Math.round(valueAt(move.density, step) * event.total))
  }
  return n
}

describe.each(policies.map((policy, i) => ({ policy, title: `${policy.name} ${i}` })))('$title', ({ policy }) => {
  it('meets its counts exactly, says truly what changed and writes to nothing', () => {
    fc.assert(
      fc.property(situation, ({ network, seed, levels }) => {
        run(
          start(network, policy, seed, levels),
          0,
          steps,
          seed,
          (step) => {
            checkCounts(step)
            checkEvent(step)
            checkRemoval(step)
          },
          levels,
        )
      }),
      { numRuns: 8 },
    )
  })

  it('goes on from a checkpoint as if nothing had happened, and twice the same way', () => {
    fc.assert(
      fc.property(situation, fc.integer({ min: 0, max: steps }), ({ network, seed }, cut) => {
        const whole = run(start(network, policy, seed), 0, steps, seed)
        const half = run(start(network, policy, seed), 0, cut, seed)
        const arrays = new Map([...toArrays(half.state)].map(([name, array]) => [name, array.slice()]))
        const again = right(fromArrays(network, JSON.parse(JSON.stringify(policy)), arrays))
        expect(again).toEqual(half.state)
        const rest = run({ state: again, weights: half.weights }, cut + 1, steps, seed)
        expect(rest).toEqual(whole)
        expect(toArrays(rest.state)).toEqual(toArrays(whole.state))
      }),
      { numRuns: 4 },
    )
  })
})

const checkCounts = (step: Step): void => {
  const { after, event } = step
  const moves = movesAt(after.policy, step.step)
  expect(event.live).toBe(live(after))
  expect(event.capacity).toBe(capacity(after))
  expect(event.total).toBe(
    after.origin.layers.reduce((n, layer) => n + (layer.exempt ? 0 : layer.shape.reduce((m, d) => m * d, 1)), 0),
  )
  // These leave counts of their own, which their own tests look at.
  const ownCounts = ['keep pattern', 'keep diagonals', 'exchange fan-in']
  if (moves.some(({ kind }) => ownCounts.includes(kind))) return
  expect(event.live).toBe(expectedLive(moves, step))
}

const checkEvent = ({ before, after, event, sample }: Step): void => {
  for (const [l, { pruned, grown, restarted, layer, live: kept }] of event.layers.entries()) {
    const [was, is] = [before.masks[l] ?? new Uint8Array(0), after.masks[l] ?? new Uint8Array(0)]
    expect(layer).toBe(after.network.layers[l]?.name)
    expect(kept).toBe(count(is))
    const positions = (test: (i: number) => boolean): number[] => [...is.keys()].filter(test)
    expect([...pruned]).toEqual(positions((i) => was[i] === 1 && is[i] === 0))
    expect([...grown]).toEqual(positions((i) => was[i] === 0 && is[i] === 1))
    expect(restarted.every((i) => was[i] === 1 && is[i] === 1)).toBe(true)
  }
  // The sample is what carryOver starts from, so an update that had written to it would show here.
  const weights = carryOver(sample.weights, event)
  if (after.policy.masked !== 'zeroed') return
  for (const [l, w] of weights.entries()) expect(w.some((x, i) => x !== 0 && after.masks[l]?.[i] === 0)).toBe(false)
}

const checkRemoval = ({ before, after, event }: Step): void => {
  const gone = inRemoved(after)
  for (const [l, mask] of after.masks.entries()) {
    expect(mask.some((bit, i) => bit === 1 && gone[l]?.[i] === 1)).toBe(false)
    if (exempt(after, l)) expect(mask).toEqual(gone[l]?.map((mark) => 1 - mark))
  }
  for (const [s, marks] of after.removed.entries()) {
    for (const [c, mark] of before.removed[s]?.entries() ?? []) if (mark === 1) expect(marks[c]).toBe(1)
    const told = event.channels.find(({ stream }) => stream === after.network.streams[s]?.name)
    expect([...(told?.channels ?? [])]).toEqual(
      [...marks.keys()].filter((c) => marks[c] === 1 && before.removed[s]?.[c] === 0),
    )
  }
  const move = movesAt(after.policy, event.step).find(({ kind }) => kind === 'remove channels')
  if (move?.kind !== 'remove channels') return
  const streams = after.network.streams.flatMap((stream, s) =>
    move.scope === 'all' || stream.scope === 'block' ? [s] : [],
  )
  const all = streams.reduce((n, s) => n + (after.removed[s]?.length ?? 0), 0)
  const removed = streams.reduce((n, s) => n + count(after.removed[s] ?? []), 0)
  const wanted = Math.round(valueAt(move.fraction, event.step) * all)
  expect(removed + (event.removal?.missing ?? 0)).toBe(wanted)
  for (const s of streams) {
    const channels = after.removed[s]?.length ?? 0
    const floor = Math.floor(channels * (1 - move.final) * move.floor + 1e-9)
    expect(channels - count(after.removed[s] ?? [])).toBeGreaterThanOrEqual(floor)
  }
}

describe('update', () => {
  it('writes to none of the arrays it is given', () => {
    for (const policy of policies) {
      run(start(mixed, policy, 5), 0, steps, 5, ({ before, after, sample, step }) => {
        const copies = structuredClone({ before, sample })
        expect(right(update(before, sample, step)).state).toEqual(after)
        expect({ before, sample }).toEqual(copies)
      })
    }
  })

  it('depends on the seed', () => {
    const [policy] = policies
    if (policy === undefined) throw new Error('no policy')
    const masks = [1, 2].map((seed) => start(mixed, policy, seed).state.masks)
    expect(masks[0]).not.toEqual(masks[1])
  })
})

/** The elements of a row-major array whose index on every axis is kept. */
const gathered = (values: Float32Array, shape: ReadonlyArray<number>, axes: KeptAxes['axes']): Float32Array =>
  values.filter((_, i) => {
    let rest = i
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const d = shape[axis] ?? 1
      if (axes[axis]?.includes(rest % d) === false) return false
      rest = Math.floor(rest / d)
    }
    return true
  })

describe('dropping removed channels', () => {
  const removing = policies.filter(({ phases }) => phases.some(({ moves }) => moves.some(removesChannels)))

  it.each(removing.map((policy, i) => ({ policy, i })))(
    'changes no later update of $policy.name ($i)',
    ({ policy }) => {
      fc.assert(
        fc.property(situation, fc.integer({ min: 1, max: 3 }), ({ network, seed, levels }, every) => {
          const trainer = start(network, policy, seed, levels)
          let small = trainer.state
          let updates = 0
          const drops: Array<{ network: Network; kept: ReadonlyArray<KeptAxes> }> = []
          const shrink = (values: ReadonlyArray<Float32Array>): ReadonlyArray<Float32Array> =>
            drops.reduce(
              (arrays, drop) =>
                arrays.map((x, l) => gathered(x, drop.network.layers[l]?.shape ?? [], drop.kept[l]?.axes ?? [])),
              values,
            )
          const follow = ({ after, sample, step }: Step): void => {
            const given = {
              ...{ weights: shrink(sample.weights), gradients: shrink(sample.gradients ?? []) },
              ...{ before: shrink(sample.before ?? []), rate: sample.rate ?? 0 },
              active: small.channels.map((left, s) => Uint8Array.from(left, (c) => sample.active?.[s]?.[c] ?? 1)),
            }
            small = right(update(small, given, step)).state
            expect(slim(small).state).toEqual(slim(after).state)
            updates += 1
            if (updates % every > 0) return
            const { state, kept } = slim(small)
            drops.push({ network: small.network, kept })
            small = state
            expect(right(fromArrays(network, policy, toArrays(small)))).toEqual(small)
          }
          run(trainer, 0, steps, seed, follow, levels)
        }),
        { numRuns: 8 },
      )
    },
  )
})
