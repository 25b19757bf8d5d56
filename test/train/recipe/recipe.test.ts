import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import {
  decodeRecipe,
  learningRateAt,
  methodNames,
  policyOf,
  presets,
  type Recipe,
} from '../../../src/train/recipe/index.ts'
import { dueSteps } from '../../../src/train/sparse/index.ts'

const decoded = (data: unknown): Recipe => {
  const result = decodeRecipe(data)
  if (E.isLeft(result)) throw new Error(result.left.map(({ subject, found }) => `${subject}: ${found}`).join('\n'))
  return result.right
}

const problems = (data: unknown): ReadonlyArray<string> => {
  const result = decodeRecipe(data)
  return E.isLeft(result)
    ? result.left.map(({ subject, expected, found }) => `${subject} | ${expected} | ${found}`)
    : []
}

describe('decodeRecipe', () => {
  it('fills in everything but the method', () => {
    expect(decoded({ method: { name: 'rigl', density: 0.2 } })).toEqual({
      method: { name: 'rigl', density: 0.2, distribution: 'erk', every: 100, fraction: 0.3, until: 0.75 },
      epochs: 160,
      batch: 128,
      learningRate: { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 },
      momentum: 0.9,
      nesterov: false,
      weightDecay: 5e-4,
      decay: 'all',
      labelSmoothing: 0,
      augmentation: { padding: 4, flip: true },
      seed: 0,
      slim: true,
    })
  })

  it.each(methodNames)('%s goes through JSON unchanged', (name) => {
    const recipe = decoded({ method: { name }, augmentation: null })
    expect(recipe.method.name).toBe(name)
    expect(recipe.augmentation).toBeNull()
    expect(decoded(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe)
  })

  it.each(Object.entries(presets))('preset %s is a whole recipe', (_, preset) => {
    expect(decoded(JSON.parse(JSON.stringify(preset)))).toEqual(preset)
  })

  it('reports everything that is wrong at once', () => {
    const found = problems({
      method: { name: 'chase', density: 0, channels: 1, every: { epochs: -1 }, scop: 'all' },
      epochs: 1.5,
      batch: 'many',
      learningRate: { schedule: 'step', at: [0.8, 0.4] },
      augmentation: { padding: 4, flip: 1 },
      labelSmooth: 0.1,
    })
    expect(found).toEqual([
      'recipe entry method.density | a number above 0 and at most 1 | 0',
      'recipe entry method.every.epochs | a number above 0 | -1',
      'recipe entry method.channels | a number of at least 0 and below 1 | 1',
      'recipe entry method.scop | an entry that exists | one of no meaning',
      'recipe entry learningRate.at | an ascending list, each a number of at least 0 and at most 1 | [0.8,0.4]',
      'recipe entry epochs | a whole number of at least 1 | 1.5',
      'recipe entry batch | a whole number of at least 1 | "many"',
      'recipe entry augmentation.flip | true or false | 1',
      'recipe entry labelSmooth | an entry that exists | one of no meaning',
    ])
  })

  it.each([
    [undefined, 'recipe | an object | nothing'],
    [[], 'recipe | an object | []'],
    [{ method: 'chase' }, 'recipe entry method | an object | "chase"'],
    [{ method: {} }, `recipe entry method.name | one of ${methodNames.join(', ')} | nothing`],
    [{ method: { name: 'rigl', every: 0.5 } }, 'recipe entry method.every | a whole number of at least 1 | 0.5'],
    [
      { method: { name: 'dense', density: 0.1 } },
      'recipe entry method.density | an entry that exists | one of no meaning',
    ],
    [{ method: { name: 'gmp', begin: 0.8 } }, 'recipe entry method.until | at least 0.8, where it begins | 0.75'],
    [{ method: { name: 'dense' }, momentum: NaN }, 'recipe entry momentum | a number of at least 0 and below 1 | null'],
    [
      { method: { name: 'dense' }, seed: 2 ** 32 },
      `recipe entry seed | a whole number of at least 0 and at most ${2 ** 32 - 1} | ${2 ** 32}`,
    ],
  ])('%j', (data, problem) => {
    expect(problems(data)).toContain(problem)
  })

  it('knows what a mistyped entry was to be', () => {
    const result = decodeRecipe({ method: { name: 'dense' }, epoch: 3 })
    expect(E.isLeft(result) && result.left.map(({ help }) => help)[0]).toMatch(/^Did you mean epochs\?/)
  })
})

describe('learning rates', () => {
  const length = { steps: 100, stepsPerEpoch: 10 }

  it('step: falls after the fractions of the training', () => {
    const rate = { schedule: 'step', peak: 1, warmup: 0, at: [0.5, 0.75], factor: 0.1 } as const
    const values = [1, 50, 51, 75, 76, 100].map((step) => learningRateAt(rate, step, length))
    expect(values).toEqual([1, 1, 0.1, 0.1, 0.1 ** 2, 0.1 ** 2])
  })

  it('cosine: rises in a line, then half a cosine', () => {
    const rate = { schedule: 'cosine', peak: 2, warmup: 2, final: 0 } as const
    expect(learningRateAt(rate, 1, length)).toBe(0.1)
    expect(learningRateAt(rate, 20, length)).toBe(2)
    expect(learningRateAt(rate, 21, length)).toBe(2)
    expect(learningRateAt(rate, 61, length)).toBeCloseTo(1, 12)
    expect(learningRateAt(rate, 100, length)).toBeCloseTo(1 + Math.cos((Math.PI * 79) / 80), 12)
  })

  it('cosine: ends near its final fraction', () => {
    const rate = { schedule: 'cosine', peak: 2, warmup: 0, final: 0.5 } as const
    expect(learningRateAt(rate, 100, length)).toBeCloseTo(1 + (1 + Math.cos((Math.PI * 99) / 100)) / 2, 12)
  })
})

describe('policies', () => {
  const channelSteps = (recipe: Recipe, stepsPerEpoch: number): ReadonlyArray<number> => {
    const steps = recipe.epochs * stepsPerEpoch
    const { phases } = policyOf(recipe.method, { steps, stepsPerEpoch })
    const [phase] = phases.filter(({ moves }) => moves.some(({ kind }) => kind === 'remove channels'))
    return phase === undefined ? [] : dueSteps(phase, steps)
  }

  it.each([
    ['chase-cifar-vgg19', 500, 8, 7500, 63500],
    ['chase-cifar-resnet50', 500, 65, 500, 64500],
    ['chase-imagenet-resnet50', 2502, 40, 4504, 199660],
  ] as const)('%s removes channels when the released scripts do', (name, stepsPerEpoch, count, first, last) => {
    const steps = channelSteps(presets[name], stepsPerEpoch)
    expect([steps.length, steps[0], steps.at(-1)]).toEqual([count, first, last])
  })

  it('takes intervals in epochs and times as fractions', () => {
    const method = decoded({ method: { name: 'rigl', every: { epochs: 0.5 }, until: 0.4 } }).method
    const [phase] = policyOf(method, { steps: 100, stepsPerEpoch: 10 }).phases
    expect(phase).toMatchObject({ every: 5, until: 40 })
  })

  it('dense keeps everything and does nothing', () => {
    expect(policyOf({ name: 'dense' }, { steps: 10, stepsPerEpoch: 5 })).toMatchObject({
      density: 1,
      distribution: { kind: 'dense' },
      phases: [],
    })
  })
})
