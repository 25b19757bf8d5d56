import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { decodeRecipe, policyOf } from '../../../src/train/recipe/index.ts'
import {
  chase,
  type ChaseOptions,
  constant,
  dueSteps,
  gradualMagnitude,
  granet,
  maskedMultiplier,
  maskDecay,
  type Move,
  needs,
  patternDecay,
  type Phase,
  type Schedule,
  valueAt,
} from '../../../src/train/sparse/index.ts'

const phaseOf = (policy: { phases: ReadonlyArray<Phase> }, index: number): Phase => {
  const phase = policy.phases[index]
  if (phase === undefined) throw new Error(`no phase ${index}`)
  return phase
}

/** The schedule of the first move of that kind. */
const scheduleOf = ({ moves }: Phase, kind: Move['kind'], to: 'density' | 'fraction'): Schedule => {
  for (const move of moves) {
    if (move.kind !== kind) continue
    if (move.kind === 'remove channels') return move.fraction
    if (move.kind === 'grow') return move.density
    if (move.kind === 'prune' && to in move.to) return 'density' in move.to ? move.to.density : move.to.fraction
  }
  throw new Error(`no ${kind} to a ${to}`)
}

const cifar: ChaseOptions = {
  density: 0.1,
  channels: 0.5,
  steps: 160 * 500,
  softUntil: 130 * 500,
  channelsUntil: 130 * 500,
}
const imagenet: ChaseOptions = {
  density: 0.1,
  channels: 0.4,
  steps: 100 * 2502,
  softUntil: 80 * 2502,
  channelsUntil: 80 * 2502,
  channelsEvery: 2 * 2502,
  finalMargin: 0.005,
  floor: 0.2,
  exploration: 'layer',
}

describe('Chase', () => {
  it('removes channels of VGG-19 at eight steps, by the cubic', () => {
    const phase = phaseOf(chase({ ...cifar, channelsEvery: 8000, floor: 0.2 }), 0)
    const steps = dueSteps(phase, 80_000)
    expect(steps).toEqual([7500, 15_500, 23_500, 31_500, 39_500, 47_500, 55_500, 63_500])
    const fractions = steps.map((step) => valueAt(scheduleOf(phase, 'remove channels', 'fraction'), step))
    const golden = [0.154, 0.279, 0.37, 0.432, 0.47, 0.49, 0.498]
    for (const [i, s] of golden.entries()) expect(fractions[i]).toBeCloseTo(s, 3)
    expect(fractions[7]).toBeCloseTo(0.49999, 5)
    expect(fractions[0]).toBe(0.5 * (1 - (1 - 7500 / 65_000) ** 3))
  })

  it('removes channels of ResNet-50 at 65 steps on CIFAR and 40 on ImageNet', () => {
    const small = dueSteps(phaseOf(chase({ ...cifar, channelsEvery: 1000 }), 0), 80_000)
    expect([small.length, small[0], small.at(-1)]).toEqual([65, 500, 64_500])
    const large = dueSteps(phaseOf(chase(imagenet), 0), 250_200)
    expect([large.length, large[0], large.at(-1)]).toEqual([40, 4504, 199_660])
  })

  it('explores every thousand steps, softly at first, and not after the last step', () => {
    const policy = chase(cifar)
    const soft = dueSteps(phaseOf(policy, 1), 80_000)
    const exchange = dueSteps(phaseOf(policy, 2), 80_000)
    expect([soft.length, soft[0], soft.at(-1)]).toEqual([64, 1000, 64_000])
    expect([exchange.length, exchange[0], exchange.at(-1)]).toEqual([15, 65_000, 79_000])
  })

  it("enters the second phase with the rates of the paper's runs", () => {
    for (const [options, rate] of [
      [cifar, 0.0467],
      [imagenet, 0.0523],
    ] as const) {
      const schedule = scheduleOf(phaseOf(chase(options), 2), 'prune', 'fraction')
      expect(valueAt(schedule, options.softUntil)).toBeCloseTo(rate, 4)
      expect(valueAt(schedule, 0)).toBe(0.5)
      expect(valueAt(schedule, options.steps)).toBe(0.005)
    }
  })

  it('bounds memory softly, from density + margin down', () => {
    const bound = scheduleOf(phaseOf(chase(imagenet), 1), 'grow', 'density')
    expect(valueAt(bound, 0)).toBeCloseTo(0.15, 12)
    expect(valueAt(bound, 40 * 2502)).toBeCloseTo((0.15 + 0.105) / 2, 12)
    expect(valueAt(bound, 80 * 2502)).toBeCloseTo(0.105, 12)
  })

  it('asks for weights and gradients only when something is due', () => {
    const policy = chase(cifar)
    expect([499, 500, 999, 1000, 64_500, 65_500, 79_999, 80_000].map((step) => needs(policy, step))).toEqual([
      'nothing',
      'weights',
      'nothing',
      'weights and gradients',
      'weights',
      'nothing',
      'nothing',
      'nothing',
    ])
    expect(chase({ ...cifar, channels: 0 }).phases.length).toBe(2)
  })
})

describe('schedules', () => {
  const curve = (kind: 'linear' | 'cosine' | 'cubic' | 'sigmoid'): Schedule => ({
    kind,
    from: 1,
    to: 0.2,
    begin: 100,
    end: 300,
  })

  it('start, end and stay where they should', () => {
    for (const kind of ['linear', 'cosine', 'cubic', 'sigmoid'] as const) {
      expect([0, 100, 300, 400].map((step) => valueAt(curve(kind), step))).toEqual([1, 1, 0.2, 0.2])
      for (let step = 100; step < 300; step++)
        expect(valueAt(curve(kind), step)).toBeGreaterThan(valueAt(curve(kind), step + 1))
    }
  })

  it('have the shapes of their formulas', () => {
    const at150 = (kind: 'linear' | 'cosine' | 'cubic' | 'sigmoid'): number => valueAt(curve(kind), 150)
    expect(at150('linear')).toBeCloseTo(0.8, 12)
    expect(at150('cosine')).toBeCloseTo(0.2 + 0.4 * (1 + Math.cos(Math.PI / 4)), 12)
    expect(at150('cubic')).toBeCloseTo(0.2 + 0.8 * 0.75 ** 3, 12)
    const logistic = (x: number): number => 1 / (1 + Math.exp(-x))
    const scale = 1 / (2 * (logistic(6) - 0.5))
    // CHTss: k = 6 / mid with mid = 100 steps after the beginning.
    expect(at150('sigmoid')).toBeCloseTo(1 - 0.8 * ((logistic((6 / 100) * (50 - 100)) - 0.5) * scale + 0.5), 12)
    expect(valueAt(curve('sigmoid'), 200)).toBeCloseTo(0.6, 12)
  })

  it('hold steps and constants', () => {
    expect(valueAt(constant(0.3), 7)).toBe(0.3)
    const steps: Schedule = {
      kind: 'steps',
      values: [
        { step: 0, value: 0.12 },
        { step: 90, value: 0.11 },
        { step: 120, value: 0.1 },
      ],
    }
    expect([0, 89, 90, 119, 120].map((step) => valueAt(steps, step))).toEqual([0.12, 0.12, 0.11, 0.11, 0.1])
  })
})

describe('gradual policies', () => {
  it('reach the density at the last of their updates', () => {
    const gmp = phaseOf(gradualMagnitude({ density: 0.1, begin: 250, end: 2030, every: 200 }), 0)
    const steps = dueSteps(gmp, 5000)
    expect([steps[0], steps.at(-1)]).toEqual([430, 2030])
    expect(valueAt(scheduleOf(gmp, 'prune', 'density'), 2030)).toBe(0.1)
    const exchanging = phaseOf(granet({ density: 0.1, begin: 0, end: 2030, steps: 4000, every: 200 }), 0)
    expect(dueSteps(exchanging, 5000)).toContain(2030)
    expect(dueSteps(exchanging, 5000).at(-1)).toBe(3830)
  })

  it('EAST goes up and down twice in the first two fifths, and ends its cycles at the density', () => {
    const decoded = decodeRecipe({ method: { name: 'east', density: 0.01, every: { epochs: 1 } } })
    if (E.isLeft(decoded)) throw new Error(decoded.left[0].subject)
    const length = { steps: 250 * 40, stepsPerEpoch: 40 }
    const policy = policyOf(decoded.right.method, length)
    const density = scheduleOf(phaseOf(policy, 0), 'grow', 'density')
    const steps = dueSteps(phaseOf(policy, 0), length.steps)
    expect([steps.length, steps.at(-1)]).toEqual([100, 100 * 40])
    for (const [i, step] of steps.entries()) {
      // The authors' formula: low + (high - low) · ½ (1 - cos 2πp), p the place in the cycle of 50 epochs.
      const place = ((i + 1) % 50) / 50
      expect(valueAt(density, step)).toBeCloseTo(0.01 + 0.02 * 0.5 * (1 - Math.cos(2 * Math.PI * place)), 12)
    }
    expect([25, 75].map((epoch) => valueAt(density, epoch * 40))).toEqual([0.03, 0.03])
    expect([50, 100, 101, 250].map((epoch) => valueAt(density, epoch * 40).toFixed(12))).toEqual(
      Array(4).fill('0.010000000000'),
    )
    // Exchanges begin after that.
    expect(dueSteps(phaseOf(policy, 1), length.steps)[0]).toBe(4400)
  })

  it('MEST has the bounds of the released scripts: 160 epochs, updates every 5', () => {
    const decoded = decodeRecipe({ method: { name: 'mest', density: 0.1 } })
    if (E.isLeft(decoded)) throw new Error(decoded.left[0].subject)
    for (const stepsPerEpoch of [1, 7, 500]) {
      const phase = phaseOf(policyOf(decoded.right.method, { steps: 160 * stepsPerEpoch, stepsPerEpoch }), 0)
      const grow = scheduleOf(phase, 'grow', 'density')
      const steps = dueSteps(phase, 160 * stepsPerEpoch)
      expect(steps).toEqual(Array.from({ length: 24 }, (_, i) => 5 * (i + 1) * stepsPerEpoch))
      const bounds = steps.map((step) => valueAt(grow, step))
      const expected = steps.map((step) =>
        step < 90 * stepsPerEpoch ? 0.15 : step < 120 * stepsPerEpoch ? 0.125 : 0.1,
      )
      for (const [i, bound] of bounds.entries()) expect(bound).toBeCloseTo(expected[i] ?? NaN, 12)
    }
  })

  it.each([0, 0.01, 0.3, 0.75, 0.99, 1])('MEST ends at its density, until %d', (until) => {
    for (const [steps, every] of [
      [100, 7],
      [100, 100],
      [3, 1],
      [50, 25],
    ] as const) {
      const decoded = decodeRecipe({ method: { name: 'mest', density: 0.2, every, until } })
      if (E.isLeft(decoded)) throw new Error(decoded.left[0].subject)
      const phase = phaseOf(policyOf(decoded.right.method, { steps, stepsPerEpoch: steps }), 0)
      const last = dueSteps(phase, steps).at(-1) ?? NaN
      expect(valueAt(scheduleOf(phase, 'grow', 'density'), last)).toBe(0.2)
    }
  })

  it('one cycle is that of optax.cosine_onecycle_schedule, but for 0 after its end', () => {
    const of = (end: number, steps: ReadonlyArray<number>) =>
      steps.map((step) => valueAt({ kind: 'one cycle', peak: 2, end }, step))
    // As optax gives them, in float32.
    const long = [0.08000004, 0.08005273, 1.04, 1.9999473, 2, 1.99999, 1.0000039, 1.8073144e-5]
    for (const [i, value] of of(1000, [0, 1, 150, 299, 300, 301, 650, 999]).entries()) {
      expect(value).toBeCloseTo(long[i] ?? NaN, 6)
    }
    const short = [0.08, 0.56, 1.52, 2, 1.9009691, 1.6234913, 1.2225239, 0.77748382, 0.37651652, 0.099038698, 0, 0]
    for (const [i, value] of of(10, [...short.keys()]).entries()) expect(value).toBeCloseTo(short[i] ?? NaN, 6)
    for (const end of [1, 2, 3, 4]) {
      for (const value of of(end, [0, 1, 2, 3])) expect(value >= 0 && value <= 2).toBe(true)
    }
  })

  it('N:M fades in by its multiplier or by its patterns', () => {
    const base = { n: 1, m: 16, begin: 100, end: 500, steps: 1000 }
    const linear = maskDecay({ ...base, decay: 'linear', rate: 0.005 })
    expect([0, 100, 200, 300, 499, 500].map((step) => maskedMultiplier(linear, step))).toEqual([1, 1, 0.5, 0, 0, 0])
    const exponential = maskDecay({ ...base, decay: 'exponential', rate: 0.01 })
    expect(maskedMultiplier(exponential, 200)).toBeCloseTo(Math.exp(-1), 12)
    expect(maskedMultiplier(exponential, 500)).toBe(0)
    const patterns = (policy: ReturnType<typeof patternDecay>): ReadonlyArray<string> =>
      phaseOf(policy, 0).moves.flatMap((move) =>
        move.kind === 'keep pattern' ? move.patterns.map(({ step, n, m }) => `${step} ${n}:${m}`) : [],
      )
    expect(patterns(patternDecay(base))).toEqual(['100 15:16', '200 8:16', '300 4:16', '400 2:16', '500 1:16'])
    expect(patterns(patternDecay({ ...base, n: 2, m: 4 }))).toEqual(['100 3:4', '500 2:4'])
    expect(patterns(patternDecay({ ...base, n: 2, m: 4, end: 400, frames: 'fine' }))).toEqual([
      '100 16:32',
      '200 8:16',
      '300 4:8',
      '400 2:4',
    ])
  })
})
