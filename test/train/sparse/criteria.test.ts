/** Each criterion and way of sharing, against what a plain full sort gives. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  constant,
  densitiesOf,
  type Event,
  init,
  type Move,
  type Network,
  type Policy,
  type PruneCriterion,
  type State,
  update,
} from '../../../src/train/sparse/index.ts'
import { diagonalsOf, softBest, softBestGradient } from '../../../src/train/sparse/diagonals.ts'
import { chain, linear, mixed, resnet50, right } from './networks.ts'
import { noise } from './simulate.ts'

const policyOf = (moves: ReadonlyArray<Move>, density = 0.4): Policy => ({
  name: 'test',
  density,
  distribution: { kind: 'erk' },
  start: 'exact',
  phases: [{ from: 0, until: 10, every: 1, offset: 0, moves }],
  masked: 'zeroed',
})

interface Case {
  readonly before: State
  readonly after: State
  readonly event: Event
  readonly weights: ReadonlyArray<Float32Array>
  readonly gradients: ReadonlyArray<Float32Array>
}

const one = (network: Network, moves: ReadonlyArray<Move>, seed: number, levels?: number): Case => {
  // Curvature is looked at before the first step only.
  const flows = moves.some((move) => move.kind === 'prune' && move.by.kind === 'gradient flow')
  const first = { moves, batches: 1, temperature: 1 }
  const policy = policyOf(moves)
  const before = right(init(network, flows ? { ...policy, phases: [], first } : policy, seed))
  const draw = noise(seed + 1, levels)
  const weights = before.masks.map((mask) => draw(mask.length).map((x, i) => (mask[i] === 1 ? x : 0)))
  const gradients = before.masks.map((mask) => draw(mask.length))
  const { state: after, event } = right(update(before, { weights, gradients, curvature: gradients }, flows ? 0 : 1))
  if (event === undefined) throw new Error('no event')
  return { before, after, event, weights, gradients }
}

interface Entry {
  readonly l: number
  readonly i: number
  readonly worth: number
}

const isCounted = (state: State, l: number): boolean => state.network.layers[l]?.exempt !== true

/** The entries of the layers where `bits` are 1, the exempt ones left out. */
const entries = (
  state: State,
  worth: (l: number, i: number) => number,
  which: (l: number, i: number) => boolean,
): Entry[] =>
  state.masks.flatMap((mask, l) =>
    [...mask.keys()].flatMap((i) => (isCounted(state, l) && which(l, i) ? [{ l, i, worth: worth(l, i) }] : [])),
  )

const ascending = (list: Entry[]): Entry[] => list.sort((a, b) => a.worth - b.worth || a.l - b.l || a.i - b.i)
const descending = (list: Entry[]): Entry[] => list.sort((a, b) => b.worth - a.worth || a.l - b.l || a.i - b.i)
const keyOf = ({ l, i }: { l: number; i: number }): string => `${l}:${i}`
const changed = (event: Event, what: 'pruned' | 'grown'): ReadonlySet<string> =>
  new Set(event.layers.flatMap((layer, l) => [...layer[what]].map((i) => keyOf({ l, i }))))

const worths: Readonly<Record<string, { by: PruneCriterion; worth: (w: number, g: number) => number }>> = {
  magnitude: { by: { kind: 'magnitude' }, worth: (w) => Math.abs(w) },
  'gradient flow': { by: { kind: 'gradient flow' }, worth: (w, g) => Math.fround(w * g) },
  SNIP: { by: { kind: 'snip' }, worth: (w, g) => Math.abs(Math.fround(w * g)) },
  sensitivity: { by: { kind: 'sensitivity' }, worth: (w, g) => Math.fround(Math.abs(g) / (Math.abs(w) + 1e-8)) },
  'reciprocal sensitivity': {
    by: { kind: 'reciprocal sensitivity' },
    worth: (w, g) => Math.fround(Math.abs(w) / (Math.abs(g) + 1e-8)),
  },
  MEST: {
    by: { kind: 'magnitude and gradient', gradient: 0.3 },
    worth: (w, g) => Math.fround(Math.abs(w) + 0.3 * Math.abs(g)),
  },
}

const situations = fc.record({
  network: fc.constantFrom(mixed, chain([6, 9, 7, 4])),
  seed: fc.nat({ max: 1e6 }),
  levels: fc.constantFrom(undefined, 2, 5),
})

describe.each(Object.entries(worths))('pruning by %s', (_, { by, worth }) => {
  it('masks the least of all layers, or the least of each', () => {
    fc.assert(
      fc.property(situations, fc.constantFrom('global', 'layer'), ({ network, seed, levels }, scope) => {
        const c = one(network, [{ kind: 'prune', to: { fraction: constant(0.25) }, scope, by }], seed, levels)
        const list = ascending(
          entries(
            c.before,
            (l, i) => worth(c.weights[l]?.[i] ?? 0, c.gradients[l]?.[i] ?? 0),
            (l, i) => c.before.masks[l]?.[i] === 1,
          ),
        )
        const groups = scope === 'global' ? [list] : c.before.masks.map((_m, l) => list.filter((e) => e.l === l))
        const expected = groups.flatMap((group) => group.slice(0, Math.round(0.25 * group.length)))
        expect(changed(c.event, 'pruned')).toEqual(new Set(expected.map(keyOf)))
        expect(changed(c.event, 'grown').size).toBe(0)
      }),
    )
  })
})

describe('keeping the best', () => {
  it('keeps as many of each layer as there were, those of the highest scores, the first of equal ones', () => {
    const levels = fc.constantFrom(undefined, 1, 3)
    fc.assert(
      fc.property(fc.nat({ max: 1e6 }), levels, fc.boolean(), (seed, level, isBroken) => {
        const policy: Policy = {
          ...policyOf([{ kind: 'keep best' }]),
          masked: constant(0),
          scores: { kept: 1, masked: 0 },
        }
        const before = right(init(mixed, policy, seed))
        const draw = noise(seed + 1, level)
        const scores = before.masks.map((mask) => draw(mask.length))
        // A score that is no number counts as 0.
        if (isBroken) for (const list of scores) list[Math.floor(list.length / 2)] = NaN
        const { state, event } = right(update(before, { weights: scores, scores }, 1))
        for (const [l, mask] of before.masks.entries()) {
          if (!isCounted(before, l)) continue
          const live = mask.reduce((n, bit) => n + bit, 0)
          const list = descending([...(scores[l] ?? [])].map((worth, i) => ({ l, i, worth: worth || 0 })))
          const expected = new Set(list.slice(0, live).map(({ i }) => i))
          expect(state.masks[l]).toEqual(mask.map((_, i) => (expected.has(i) ? 1 : 0)))
          expect(event?.layers[l]?.live).toBe(live)
        }
      }),
    )
  })
})

describe('keeping diagonals', () => {
  const axes = [
    [3, 5],
    [5, 3],
    [4, 4],
    [1, 6],
    [6, 1],
    [1, 1],
  ] as const

  it.each(axes)(
    'of %d rows and %d columns: each weight lies on one of them, each as long as the smaller side',
    (rows, columns) => {
      for (const layer of [
        { shape: [rows, columns], outputAxis: 0, inputAxis: 1 },
        { shape: [columns, 1, rows], outputAxis: 2, inputAxis: 0 },
      ]) {
        const found = diagonalsOf(layer)
        expect([found.count, found.length]).toEqual([Math.max(rows, columns), Math.min(rows, columns)])
        const at = (row: number, column: number): number | undefined =>
          found.of[layer.outputAxis === 0 ? row * columns + column : column * rows + row]
        for (let p = 0; p < found.count; p++) {
          for (let j = 0; j < found.length; j++) {
            expect(rows >= columns ? at((j + p) % rows, j) : at(j, (j + p) % columns)).toBe(p)
          }
        }
      }
    },
  )

  it('keeps those of the highest scores, the first of equal ones, as many as the density takes', () => {
    const densities = fc.double({ min: 0.01, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.constantFrom(...axes), densities, fc.nat({ max: 1e6 }), ([rows, columns], density, seed) => {
        const layer = linear('fc', rows, columns)
        const policy: Policy = {
          ...policyOf([{ kind: 'keep diagonals', density }]),
          ...{ distribution: { kind: 'dense' }, layers: 'matrices' },
          gates: { density, until: 1, temperature: constant(1), rate: 0, decay: 0 },
        }
        const before = right(init({ layers: [layer], streams: [] }, policy, seed))
        const { of, count, length } = diagonalsOf(layer)
        const alphas = noise(seed, 2)(count)
        const scores = [Float32Array.from(of, (p) => alphas[p] ?? NaN)]
        const { state, event } = right(update(before, { weights: scores, scores }, 1))
        const list = descending([...alphas].map((worth, i) => ({ l: 0, i, worth })))
        const few = Math.max(1, Math.ceil(Math.floor(density * rows * columns + 1e-9) / length))
        const expected = new Set(list.slice(0, few).map(({ i }) => i))
        expect(state.masks[0]).toEqual(Uint8Array.from(of, (p) => (expected.has(p) ? 1 : 0)))
        expect(event?.live).toBe(few * length)
      }),
    )
  })

  it('softly: a gradient that is what differences are, and numbers that come to be k ones', () => {
    const x = noise(3)(9)
    const dy = Float64Array.from(noise(4)(9))
    for (const [k, temperature] of [
      [3, 2],
      [4, 0.4],
      [1, 1],
    ] as const) {
      const gradient = softBestGradient(x, k, temperature, dy)
      const value = (i: number, step: number): number => {
        const moved = Float32Array.from(x, (v, j) => (j === i ? v + step : v))
        return softBest(moved, k, temperature).reduce((sum, v, j) => sum + v * (dy[j] ?? NaN), 0)
      }
      for (const [i, v] of x.entries()) {
        const [up, down] = [Math.fround(v + 1e-3), Math.fround(v - 1e-3)]
        expect((value(i, 1e-3) - value(i, -1e-3)) / (up - down)).toBeCloseTo(gradient[i] ?? NaN, 5)
      }
    }
    const best = [...softBest(Float32Array.of(0.3, -1, 0.5, 0.1, 0.49), 1, 1e-3)]
    expect(best.map((v) => Math.round(v * 1e3) / 1e3)).toEqual([0, 0, 1, 0, 0])
    expect(softBest(Float32Array.of(3e38, -3e38), 2, 1e-6)).toEqual(Float64Array.of(1, 0))
  })
})

describe('shrinking', () => {
  it('multiplies the smallest kept weights of each layer, as many as it is to, and masks nothing', () => {
    fc.assert(
      fc.property(situations, fc.integer({ min: 0, max: 100 }), ({ network, seed, levels }, percent) => {
        const fraction = percent / 100
        const shrink: Move = { kind: 'shrink', fraction: constant(fraction), factor: 0.5 }
        // Of two shrinks both count.
        const { before, after, event, weights } = one(network, [shrink, shrink], seed, levels)
        expect(after.masks).toEqual(before.masks)
        for (const [l, { weights: own, live, pruned, grown, restarted }] of event.layers.entries()) {
          expect([...pruned, ...grown, ...restarted]).toEqual([])
          const given = weights[l] ?? new Float32Array(0)
          const chosen = [...(own ?? []).entries()].filter(([i, w]) => w !== given[i])
          const zeros = given.filter((w, i) => w === 0 && before.masks[l]?.[i] === 1).length
          const count = isCounted(before, l) ? Math.round(fraction * live) : 0
          expect(chosen.length).toBe(Math.max(0, count - zeros))
          expect(chosen.every(([i, w]) => w === (given[i] ?? NaN) / 4)).toBe(true)
          const sizes = chosen.map(([i]) => Math.abs(weights[l]?.[i] ?? NaN))
          const largest = Math.max(0, ...sizes)
          for (const [i, bit] of (before.masks[l] ?? new Uint8Array(0)).entries()) {
            if (own === undefined || own[i] !== given[i] || given[i] === 0) continue
            if (bit === 1) expect(Math.abs(weights[l]?.[i] ?? NaN)).toBeGreaterThanOrEqual(largest)
          }
        }
      }),
    )
  })
})

describe('pruning', () => {
  it('at random, masks as many as it is to, elsewhere with other numbers drawn, wherever the kept weights lie', () => {
    fc.assert(
      fc.property(situations, fc.constantFrom('global', 'layer'), ({ network, seed }, scope) => {
        const move: Move = { kind: 'prune', to: { fraction: constant(0.25) }, scope, by: { kind: 'random' } }
        const first = one(network, [move], seed)
        const kept = entries(
          first.before,
          () => 0,
          (l, i) => first.before.masks[l]?.[i] === 1,
        )
        const groups = scope === 'global' ? [kept] : first.before.masks.map((_m, l) => kept.filter((e) => e.l === l))
        const pruned = changed(first.event, 'pruned')
        for (const group of groups) {
          expect(group.filter((e) => pruned.has(keyOf(e)))).toHaveLength(Math.round(0.25 * group.length))
        }
        // The weights have no say in it.
        const sample = { weights: first.weights.map((w) => w.map((x) => -3 * x)) }
        expect(right(update(first.before, sample, 1)).state.masks).toEqual(first.after.masks)
        const other: State = { ...first.before, random: first.after.random }
        expect(right(update(other, sample, 1)).state.masks).not.toEqual(first.after.masks)
      }),
      { numRuns: 20 },
    )
  })

  it('signed, takes the same part of positive and negative weights', () => {
    fc.assert(
      fc.property(situations, ({ network, seed }) => {
        const c = one(
          network,
          [{ kind: 'prune', to: { fraction: constant(0.3) }, scope: 'layer', by: { kind: 'signed' } }],
          seed,
        )
        const pruned = changed(c.event, 'pruned')
        for (const [l, w] of c.weights.entries()) {
          const kept = [...w.keys()].filter((i) => c.before.masks[l]?.[i] === 1)
          const groups = [kept.filter((i) => (w[i] ?? 0) >= 0), kept.filter((i) => (w[i] ?? 0) < 0)]
          let total = 0
          for (const group of groups) {
            const nearest = ascending(group.map((i) => ({ l, i, worth: Math.abs(w[i] ?? 0) })))
            const gone = nearest.filter((e) => pruned.has(keyOf(e)))
            expect(gone).toEqual(nearest.slice(0, gone.length))
            if (isCounted(c.before, l)) expect(Math.abs(gone.length - 0.3 * group.length)).toBeLessThan(1.5)
            total += gone.length
          }
          expect(total).toBe(isCounted(c.before, l) ? Math.round(0.3 * kept.length) : 0)
        }
      }),
    )
  })

  it('to a density, by layer, takes the same part of each', () => {
    const c = one(
      resnet50(3, 10, 16),
      [{ kind: 'prune', to: { density: constant(0.2) }, scope: 'layer', by: { kind: 'magnitude' } }],
      3,
    )
    expect(c.event.live).toBe(Math.round(0.2 * c.event.total))
    for (const [l, layer] of c.event.layers.entries()) {
      const had = c.before.masks[l]?.reduce((n, bit) => n + bit, 0) ?? 0
      expect(Math.abs(layer.live - had / 2)).toBeLessThanOrEqual(1)
    }
  })

  it('leaves layers a minimum and takes it from the others in proportion', () => {
    const network: Network = {
      layers: [linear('small', 4, 4), linear('weak', 20, 20), linear('strong', 20, 20)],
      streams: [],
    }
    const dense: Policy = {
      ...policyOf([
        { kind: 'prune', to: { density: constant(0.1) }, scope: 'global', by: { kind: 'magnitude' }, minimum: 0.03 },
      ]),
      distribution: { kind: 'dense' },
    }
    const draw = noise(11)
    const weights = [draw(16), draw(400).map((x) => x / 1000), draw(400)]
    const { event } = right(update(right(init(network, dense, 1)), { weights }, 1))
    // 816 weights: 82 stay, at least 24 in a layer that has as many; the small one has not, and stays whole.
    expect(event?.layers.map(({ live }) => live)).toEqual([16, 24, 82 - 16 - 24])
    const strong = ascending([...(weights[2] ?? [])].map((w, i) => ({ l: 2, i, worth: Math.abs(w) })))
    expect(new Set(event?.layers[2]?.pruned)).toEqual(new Set(strong.slice(0, 400 - 42).map(({ i }) => i)))
  })
})

describe('growing', () => {
  const prune: Move = { kind: 'prune', to: { fraction: constant(0.4) }, scope: 'layer', by: { kind: 'magnitude' } }

  it('by gradient, globally, takes the largest of all that are masked', () => {
    fc.assert(
      fc.property(situations, ({ network, seed, levels }) => {
        const c = one(
          network,
          [{ kind: 'grow', density: constant(0.55), scope: 'global', by: 'gradient', regrown: 'restarts' }],
          seed,
          levels,
        )
        const list = descending(
          entries(
            c.before,
            (l, i) => Math.abs(c.gradients[l]?.[i] ?? 0),
            (l, i) => c.before.masks[l]?.[i] === 0,
          ),
        )
        const count = Math.round(0.55 * c.event.total) - Math.round(0.4 * c.event.total)
        expect(changed(c.event, 'grown')).toEqual(new Set(list.slice(0, count).map(keyOf)))
      }),
    )
  })

  it.each(['continues', 'restarts'] as const)(
    'gives every layer back what it lost; a weight that returns %s',
    (regrown) => {
      fc.assert(
        fc.property(situations, ({ network, seed, levels }) => {
          const c = one(network, [prune, { kind: 'regrow', scope: 'layer', by: 'gradient', regrown }], seed, levels)
          for (const [l, layer] of c.event.layers.entries()) {
            const mask = c.before.masks[l] ?? new Uint8Array(0)
            const kept = [...mask.keys()].filter((i) => mask[i] === 1)
            const lost = isCounted(c.before, l) ? Math.round(0.4 * kept.length) : 0
            const least = ascending(kept.map((i) => ({ l, i, worth: Math.abs(c.weights[l]?.[i] ?? 0) }))).slice(0, lost)
            const stay = new Set(kept.filter((i) => !least.some((e) => e.i === i)))
            const free = [...mask.keys()].filter((i) => !stay.has(i))
            const best = descending(free.map((i) => ({ l, i, worth: Math.abs(c.gradients[l]?.[i] ?? 0) }))).slice(
              0,
              lost,
            )
            const now = [...stay, ...best.map(({ i }) => i)].sort((a, b) => a - b)
            expect([...mask.keys()].filter((i) => c.after.masks[l]?.[i] === 1)).toEqual(now)
            const returned = best
              .map(({ i }) => i)
              .filter((i) => mask[i] === 1)
              .sort((a, b) => a - b)
            expect([...layer.restarted]).toEqual(regrown === 'restarts' ? returned : [])
          }
        }),
      )
    },
  )

  it('at random, gives every layer back what it lost, elsewhere with each seed', () => {
    const moves: ReadonlyArray<Move> = [prune, { kind: 'regrow', scope: 'layer', by: 'random', regrown: 'restarts' }]
    const first = one(mixed, moves, 1)
    for (const [l, layer] of first.event.layers.entries()) {
      expect(layer.live).toBe(first.before.masks[l]?.reduce((n, bit) => n + bit, 0))
    }
    // The next update draws other numbers.
    const next = right(update({ ...first.after, masks: first.before.masks }, { weights: first.weights }, 1))
    expect(next.state.masks).not.toEqual(first.after.masks)
    const other: State = { ...first.before, random: one(mixed, moves, 2).before.random }
    const again = right(update(other, { weights: first.weights }, 1))
    expect(again.state.masks).not.toEqual(first.after.masks)
    expect(again.event?.layers.map(({ live }) => live)).toEqual(first.event.layers.map(({ live }) => live))
  })

  it('in proportion, refills what ERK has dense and grows the rest alike', () => {
    const network = resnet50(3, 100, 8)
    const moves: ReadonlyArray<Move> = [
      { kind: 'prune', to: { fraction: constant(0.2) }, scope: 'layer', by: { kind: 'magnitude' } },
      { kind: 'grow', density: constant(0.36), scope: 'proportional', by: 'gradient', regrown: 'restarts' },
    ]
    const c = one(network, moves, 9)
    expect(c.event.live).toBe(Math.round(0.36 * c.event.total))
    const densities = densitiesOf({ kind: 'erk' }, network.layers, 0.4)
    const ratios: number[] = []
    for (const [l, layer] of c.event.layers.entries()) {
      const before = c.before.masks[l]?.reduce((n, bit) => n + bit, 0) ?? 0
      const afterPrune = before - Math.round(0.2 * before)
      if (densities[l] === 1) expect(layer.live).toBe(layer.capacity)
      else if (layer.live < layer.capacity && layer.live > 500) ratios.push(layer.live / afterPrune)
    }
    expect(densities.filter((d) => d === 1).length).toBeGreaterThan(0)
    expect(ratios.length).toBeGreaterThan(10)
    for (const ratio of ratios) expect(Math.abs(ratio - (ratios[0] ?? 0))).toBeLessThan(0.01)
  })

  it('by the distribution, prunes every layer to its share, and counts what no layer has to others', () => {
    const network = resnet50(3, 100, 8)
    const by = { kind: 'magnitude' } as const
    const c = one(network, [{ kind: 'prune', to: { density: constant(0.25) }, scope: 'distribution', by }], 9)
    expect(c.event.live).toBe(Math.round(0.25 * c.event.total))
    // ERK at the density of the policy, brought down by one factor where layers are not dense there.
    const densities = densitiesOf({ kind: 'erk' }, network.layers, 0.4)
    const ratios = c.event.layers.map((layer, l) => layer.live / (layer.capacity * (densities[l] ?? NaN)))
    for (const [l, ratio] of ratios.entries()) {
      if ((c.event.layers[l]?.live ?? 0) > 500) expect(Math.abs(ratio - 0.25 / 0.4)).toBeLessThan(0.002)
    }
    for (const [l, { pruned }] of c.event.layers.entries()) {
      const gone = new Set(pruned)
      const sizes = (keep: boolean) =>
        [...(c.before.masks[l] ?? []).entries()].flatMap(([i, bit]) =>
          bit === 1 && gone.has(i) !== keep ? [Math.abs(c.weights[l]?.[i] ?? NaN)] : [],
        )
      expect(sizes(false).reduce((a, b) => Math.max(a, b), 0)).toBeLessThanOrEqual(
        sizes(true).reduce((a, b) => Math.min(a, b), Infinity),
      )
    }
  })

  it('by the distribution, brings every layer to its share', () => {
    const network = resnet50(3, 100, 8)
    const moves: ReadonlyArray<Move> = [
      { kind: 'prune', to: { fraction: constant(0.5) }, scope: 'global', by: { kind: 'magnitude' } },
      { kind: 'grow', density: constant(0.4), scope: 'distribution', by: 'gradient', regrown: 'restarts' },
    ]
    const c = one(network, moves, 9)
    const densities = densitiesOf({ kind: 'erk' }, network.layers, 0.4)
    expect(c.event.live).toBe(Math.round(0.4 * c.event.total))
    for (const [l, layer] of c.event.layers.entries()) {
      expect(Math.abs(layer.live - layer.capacity * (densities[l] ?? 0))).toBeLessThan(1)
    }
  })

  it('lets start anew what a prune that forgets took, and go on what another one took', () => {
    // GraNet: a global prune and an exchange in each layer. Gradients that rise as weights fall bring back whatever went.
    const network = chain([4, 6, 3])
    const prune = (scope: 'global' | 'layer', fraction: number): Move => ({
      kind: 'prune',
      to: { fraction: constant(fraction) },
      scope,
      by: { kind: 'magnitude' },
      ...(scope === 'global' ? { forgets: true } : {}),
    })
    const moves = [prune('global', 0.25), prune('layer', 0.5)]
    const grow: Move = { kind: 'grow', density: constant(1), scope: 'global', by: 'gradient', regrown: 'continues' }
    const before = right(init(network, policyOf([...moves, grow], 1), 3))
    const weights = [24, 18].map((size, l) => new Float32Array(size).map((_, i) => (i + 1) * (l === 0 ? 1 : -100)))
    const { event } = right(update(before, { weights, gradients: weights }, 1))
    // A quarter of 42 weights, all of them in the first layer: those of 1 to 11.
    expect(event?.layers.map(({ restarted }) => [...restarted])).toEqual([[...Array(11).keys()], []])
    expect(event?.layers.map(({ pruned, grown, live }) => [pruned.length, grown.length, live])).toEqual([
      [0, 0, 24],
      [0, 0, 18],
    ])
  })

  it('fills everything when there is no room for more', () => {
    const c = one(
      chain([3, 4, 2]),
      [{ kind: 'grow', density: constant(1), scope: 'global', by: 'random', regrown: 'restarts' }],
      1,
    )
    expect([c.event.live, c.event.capacity, c.event.target]).toEqual([20, 20, 20])
  })
})
