/** What methods that go by links are made of: their scores, draws in proportion, neurons that idle, layers that are matrices. */
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { missingLinkScores } from '../../../src/train/sparse/epitopology.ts'
import { constant, init, type Move, type Network, type Policy, update } from '../../../src/train/sparse/index.ts'
import { drawnScores } from '../../../src/train/sparse/scores.ts'
import { chain, conv, linear, mixed, right } from './networks.ts'
import { noise } from './simulate.ts'

type Matrix = ReadonlyArray<ReadonlyArray<number>>

const transposed = (a: Matrix): Matrix => (a[0] ?? []).map((_, j) => a.map((row) => row[j] ?? 0))
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => transposed(b).map((column) => row.reduce((sum, x, k) => sum + x * (column[k] ?? 0), 0)))

/** One side of the score, with whole matrices as the paper has it. */
const oneSide = (a: Matrix): Matrix => {
  const degree = a.map((row) => row.reduce((sum, x) => sum + x, 0))
  const common = product(a, transposed(a))
  const worth = common.map((row) =>
    row.map((shared, j) => (shared === 0 ? 0 : (shared + 1) / Math.max((degree[j] ?? 0) - shared, 1))),
  )
  return product(worth, a)
}

describe('missingLinkScores', () => {
  it('is C · A of both sides, 0 for links that are there', () => {
    const matrices = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 })).chain(([rows, columns]) =>
      fc.array(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: columns, maxLength: columns }), {
        minLength: rows,
        maxLength: rows,
      }),
    )
    fc.assert(
      fc.property(matrices, (a) => {
        const [there, back] = [oneSide(a), transposed(oneSide(transposed(a)))]
        const expected = a.flatMap((row, i) =>
          row.map((x, j) => (x === 1 ? 0 : (there[i]?.[j] ?? 0) + (back[i]?.[j] ?? 0))),
        )
        const found = missingLinkScores(Uint8Array.from(a.flat()), a.length, a[0]?.length ?? 0)
        expect(found.length).toBe(expected.length)
        for (const [i, score] of found.entries()) expect(score).toBeCloseTo(expected[i] ?? NaN, 4)
      }),
    )
  })
})

describe('drawnScores', () => {
  it('has each come first as often as its part of the whole, and what is worth nothing never', () => {
    const worths = [0, 1, 2, 5, 0]
    const draws = drawsFrom(seededRandom(7))
    const firsts = worths.map(() => 0)
    const rounds = 20_000
    for (let round = 0; round < rounds; round++) {
      const scores = drawnScores(worths, draws)
      const best = scores.indexOf(Math.max(...scores))
      firsts[best] = (firsts[best] ?? 0) + 1
    }
    for (const [i, worth] of worths.entries()) {
      const p = worth / 8
      // Five standard deviations.
      expect(Math.abs((firsts[i] ?? 0) / rounds - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / rounds))
    }
  })
})

const policyOf = (moves: ReadonlyArray<Move>, more: Partial<Policy> = {}): Policy => ({
  name: 'test',
  density: 0.5,
  distribution: { kind: 'uniform' },
  start: 'exact',
  phases: [{ from: 0, until: 10, every: 1, offset: 0, moves }],
  masked: 'zeroed',
  ...more,
})

describe('prune idle', () => {
  it('leaves no neuron with weights on one side only, and gives back as many as went', () => {
    const prune: Move = { kind: 'prune', to: { fraction: constant(0.6) }, scope: 'layer', by: { kind: 'magnitude' } }
    const regrow: Move = { kind: 'regrow', scope: 'layer', by: 'drawn links', regrown: 'continues' }
    let idle = 0
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 5 }),
        fc.nat({ max: 1e6 }),
        (widths, seed) => {
          const network = chain(widths)
          const state = right(init(network, policyOf([prune, { kind: 'prune idle' }]), seed))
          const weights = state.masks.map((mask, l) => noise(seed + l)(mask.length).map((w, i) => w * (mask[i] ?? 0)))
          const { state: after, event } = right(update(state, { weights }, 1))
          for (const [l, [mask, next]] of after.masks
            .slice(0, -1)
            .map((mask, l) => [mask, after.masks[l + 1]] as const)
            .entries()) {
            const [outputs, inputs] = [widths[l + 1] ?? 0, widths[l] ?? 0]
            for (let c = 0; c < outputs; c++) {
              const made = mask.subarray(c * inputs, (c + 1) * inputs).includes(1)
              const read = next?.some((bit, i) => bit === 1 && i % outputs === c) ?? false
              expect(made).toBe(read)
            }
          }
          const kept = state.masks.map((mask) => mask.reduce((n, bit) => n + bit, 0))
          for (const [l, layer] of event?.layers.entries() ?? []) {
            idle += (kept[l] ?? 0) - Math.round(0.6 * (kept[l] ?? 0)) - layer.live
          }
          const whole = { ...state, policy: policyOf([prune, { kind: 'prune idle' }, regrow]) }
          const regrown = right(update(whole, { weights }, 1)).event
          expect(regrown?.layers.map(({ live }) => live)).toEqual(kept)
        },
      ),
    )
    expect(idle).toBeGreaterThan(50)
  })
})

describe('policies for matrices', () => {
  const policy = policyOf([], { layers: 'matrices' })

  it('leave other layers whole, and count them towards nothing', () => {
    const { masks, network } = right(init(mixed, policy, 1))
    const whole = network.layers.filter(({ exempt }) => exempt === true).map(({ name }) => name)
    expect(whole).toEqual(['stem', 'depthwise', 'left', 'classifier'])
    for (const [l, { exempt }] of network.layers.entries()) expect(masks[l]?.includes(0)).toBe(exempt !== true)
  })

  it('refuse a network that has none', () => {
    const network: Network = { layers: [conv('a', 4, 3, 3)], streams: [] }
    const refused = init(network, policy, 1)
    expect(E.isLeft(refused) && refused.left.expected).toBe('a weight that is a matrix')
    expect(E.isRight(init({ layers: [...network.layers, linear('b', 2, 4)], streams: [] }, policy, 1))).toBe(true)
  })
})
