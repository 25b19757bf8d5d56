import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ChannelScore, channelScores } from '../../../src/masks/scores.ts'
import {
  chase,
  constant,
  type Event,
  init,
  type Network,
  type Policy,
  slim,
  type State,
  update,
} from '../../../src/train/sparse/index.ts'
import { chain, linear, mixed, resnet50, right, vgg19 } from './networks.ts'
import { noise } from './simulate.ts'

const removing = (
  fraction: number,
  scope: 'block' | 'all',
  score: ChannelScore,
  floor = 0,
  final = fraction,
): Policy => ({
  name: 'test',
  density: 0.5,
  distribution: { kind: 'uniform' },
  start: 'exact',
  phases: [
    {
      from: 0,
      until: 10,
      every: 1,
      offset: 0,
      moves: [{ kind: 'remove channels', fraction: constant(fraction), final, floor, score, scope }],
    },
  ],
  masked: 'zeroed',
})

interface Case {
  readonly before: State
  readonly after: State
  readonly event: Event
  readonly weights: ReadonlyArray<Float32Array>
}

const one = (network: Network, policy: Policy, seed: number, levels?: number): Case => {
  const before = right(init(network, policy, seed))
  const draw = noise(seed + 1, levels)
  // Masked weights are not zero here: only the mask may decide.
  const weights = before.masks.map((mask) => draw(mask.length))
  const { state: after, event } = right(update(before, { weights }, 1))
  if (event === undefined) throw new Error('no event')
  return { before, after, event, weights }
}

/** The kept weights of a channel of a stream, per producer and kernel, by the definition of a slot. */
const kernelsOf = (
  { before, weights }: Case,
  s: number,
  channel: number,
): ReadonlyArray<ReadonlyArray<readonly [w: number, kept: boolean]>> => {
  const kernels = new Map<string, Array<readonly [number, boolean]>>()
  for (const { layer, axis, offset = 0, span = 1 } of before.network.streams[s]?.producers ?? []) {
    const l = before.network.layers.findIndex(({ name }) => name === layer)
    const { shape, inputAxis } = before.network.layers[l] ?? { shape: [], inputAxis: 0 }
    for (const [i, w] of weights[l]?.entries() ?? []) {
      const at: number[] = []
      let rest = i
      for (let a = shape.length - 1; a >= 0; a--) {
        at[a] = rest % (shape[a] ?? 1)
        rest = Math.floor(rest / (shape[a] ?? 1))
      }
      if (Math.floor(((at[axis] ?? 0) - offset) / span) !== channel) continue
      const key = `${layer} ${at[axis]} ${at[inputAxis]}`
      const kernel = kernels.get(key) ?? []
      kernel.push([w, before.masks[l]?.[i] === 1])
      kernels.set(key, kernel)
    }
  }
  return [...kernels.values()]
}

const naiveScore = (score: ChannelScore, kernels: ReturnType<typeof kernelsOf>): number => {
  const all = kernels.flat()
  const kept = all.filter(([, bit]) => bit).map(([w]) => Math.abs(w))
  const sum = kept.reduce((a, b) => a + b, 0)
  switch (score) {
    case 'umm':
      return sum / all.length
    case 'mmm':
      return kept.length === 0 ? 0 : sum / kept.length
    case 'weights':
      return kept.filter((w) => w > 0).length / all.length
    case 'kernels':
      return kernels.filter((kernel) => kernel.some(([w, bit]) => bit && w !== 0)).length / kernels.length
    case 'l1':
      return sum
    case 'l2':
      return Math.sqrt(kept.reduce((a, w) => a + w * w, 0))
  }
}

describe('removing channels', () => {
  it.each(channelScores)('by %s takes the lowest scores of all streams in scope', (score) => {
    fc.assert(
      fc.property(
        fc.constantFrom(mixed, chain([5, 9, 6, 8, 3])),
        fc.constantFrom('block', 'all'),
        fc.nat({ max: 1e6 }),
        (network, scope, seed) => {
          const c = one(network, removing(0.4, scope, score), seed)
          const list = network.streams.flatMap((stream, s) =>
            stream.scope === 'all' && scope === 'block'
              ? []
              : Array.from({ length: stream.channels }, (_, i) => ({
                  s,
                  i,
                  score: naiveScore(score, kernelsOf(c, s, i)),
                })),
          )
          const removed = (s: number, i: number): boolean => c.after.removed[s]?.[i] === 1
          const gone = list.filter(({ s, i }) => removed(s, i)).map((x) => x.score)
          const left = list.filter(({ s, i }) => !removed(s, i)).map((x) => x.score)
          expect(gone.length).toBe(Math.round(0.4 * list.length))
          // Sums in another order may differ in the last bits, so equal scores are left to the rounding.
          expect(Math.max(...gone)).toBeLessThanOrEqual(Math.min(...left) * (1 + 1e-12))
          const outside = c.after.removed.filter((_, s) => !list.some((x) => x.s === s))
          expect(outside.every((marks) => !marks.includes(1))).toBe(true)
        },
      ),
      { numRuns: 25 },
    )
  })

  it('of equal scores takes the first, exactly as many as asked', () => {
    const network = chain([2, 4, 4, 2])
    const policy = { ...removing(0.5, 'block', 'umm'), distribution: { kind: 'dense' } } as const
    const state = right(init(network, policy, 1))
    const weights = state.masks.map((mask) => new Float32Array(mask.length).fill(1))
    const { state: after } = right(update(state, { weights }, 1))
    expect(after.removed.map((marks) => [...marks])).toEqual([
      [1, 1, 1, 1],
      [0, 0, 0, 0],
    ])
  })

  it('cuts a stream to its floor and takes the rest from the others, until none can give', () => {
    const network = chain([1, 10, 10, 1])
    const weights = [
      new Float32Array(10).map((_, i) => i),
      new Float32Array(100).map((_, i) => 100 + i),
      new Float32Array(10),
    ]
    const at = (fraction: number, final: number): Event | undefined => {
      const policy: Policy = { ...removing(fraction, 'block', 'umm', 0.9, final), distribution: { kind: 'dense' } }
      return right(update(right(init(network, policy, 1)), { weights }, 1)).event
    }
    // All of the first stream scores lower than any of the second; its floor is ⌊10 · (1 - 0.5) · 0.9⌋ = 4.
    const half = at(0.4, 0.5)
    expect(half?.channels.map(({ channels }) => [...channels])).toEqual([
      [0, 1, 2, 3, 4, 5],
      [0, 1],
    ])
    expect(half?.removal).toEqual({ wanted: 8, missing: 0, saturated: ['fc0'] })
    const { missing, saturated } = at(0.5, 0.5)?.removal ?? { missing: -1, saturated: [] }
    expect([missing, saturated]).toEqual([0, ['fc0']])
  })

  it("names the producers' and the consumers' indices, and takes their weights", () => {
    const c = one(mixed, removing(0.5, 'block', 'umm'), 4)
    const right = c.event.channels.find(({ stream }) => stream === 'right')
    const channels = [...(right?.channels ?? [])]
    expect(channels.length).toBeGreaterThan(0)
    expect(right?.producers.map(({ layer, axis, indices }) => [layer, axis, [...indices]])).toEqual([
      ['right', 0, channels],
    ])
    const columns = channels.flatMap((channel) => [0, 1, 2, 3].map((k) => 20 + 4 * channel + k))
    expect(right?.consumers.map(({ layer, axis, indices }) => [layer, axis, [...indices]])).toEqual([
      ['hidden', 1, columns],
    ])
    const hidden = c.after.masks[6] ?? new Uint8Array(0)
    for (const column of columns) for (let row = 0; row < 10; row++) expect(hidden[row * 48 + column]).toBe(0)
  })

  it('counts 4,992 channels in VGG-19 and 7,552 in ResNet-50, residual ones not', () => {
    const inScope = (network: Network): number =>
      network.streams.reduce((n, stream) => n + (stream.scope === 'block' ? stream.channels : 0), 0)
    expect([inScope(vgg19(100)), inScope(resnet50(7, 1000))]).toEqual([4992, 7552])
  })

  it("drops a channel's indices from every weight", () => {
    const c = one(mixed, removing(0.5, 'all', 'umm'), 4)
    const { state, kept } = slim(c.after)
    for (const [s, stream] of mixed.streams.entries()) {
      const alive = [...(c.after.removed[s] ?? [])].flatMap((mark, i) => (mark === 1 ? [] : [i]))
      expect(state.network.streams[s]?.channels).toBe(alive.length)
      expect([...(state.channels[s] ?? [])]).toEqual(alive)
      for (const { layer, axis } of stream.producers) {
        const l = mixed.layers.findIndex(({ name }) => name === layer)
        expect([...(kept[l]?.axes[axis] ?? alive)]).toEqual(alive)
      }
    }
    const [left = 0, rightChannels = 0] = [state.network.streams[2]?.channels, state.network.streams[3]?.channels]
    expect(state.network.streams[3]?.consumers[0]?.offset).toBe(4 * left)
    expect(state.network.layers[6]?.shape[1]).toBe(4 * (left + rightChannels))
  })
})

describe('Chase on ResNet-50 an eighth as wide', () => {
  it('ends at half the channels and the full budget of weights', () => {
    const network = resnet50(3, 10, 8)
    const policy = chase({
      density: 0.1,
      channels: 0.5,
      steps: 16,
      softUntil: 13,
      channelsUntil: 13,
      every: 1,
      channelsEvery: 1,
      floor: 0.2,
    })
    let state = right(init(network, policy, 3))
    const draw = noise(5)
    let event: Event | undefined
    for (let step = 1; step < 16; step++) {
      const weights = state.masks.map((mask) => draw(mask.length))
      const gradients = state.masks.map((mask) => draw(mask.length))
      ;({ state, event } = right(update(state, { weights, gradients }, step)))
    }
    expect(event?.live).toBe(Math.round(0.1 * (event?.total ?? 0)))
    const inBlocks = state.removed.filter((_, s) => network.streams[s]?.scope === 'block')
    const channels = inBlocks.reduce((n, marks) => n + marks.length, 0)
    const gone = inBlocks.reduce((n, marks) => n + marks.reduce((a, b) => a + b, 0), 0)
    expect([channels, gone]).toEqual([7552 / 8, Math.round(0.5 * (1 - (1 / 13) ** 3) * (7552 / 8))])
    expect((event?.capacity ?? 0) / (event?.total ?? 1)).toBeLessThan(0.75)
  })
})

describe('a stream with one producer', () => {
  it('judges a wholly masked channel as worth nothing, under every score', () => {
    const network: Network = {
      layers: [linear('a', 3, 4), linear('b', 2, 3)],
      streams: [
        {
          name: 'a',
          channels: 3,
          scope: 'block',
          producers: [{ layer: 'a', axis: 0 }],
          consumers: [{ layer: 'b', axis: 1 }],
        },
      ],
    }
    for (const score of channelScores) {
      const state = right(init(network, removing(0.34, 'block', score), 1))
      const masks = [Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), new Uint8Array(6).fill(1)]
      const weights = [new Float32Array(12).fill(1), new Float32Array(6).fill(1)]
      expect([...(right(update({ ...state, masks }, { weights }, 1)).state.removed[0] ?? [])], score).toEqual([0, 1, 0])
    }
  })
})
