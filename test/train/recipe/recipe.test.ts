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
import { dueSteps, maskedMultiplier } from '../../../src/train/sparse/index.ts'

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
      method: {
        name: 'rigl',
        density: 0.2,
        distribution: 'erk',
        every: 100,
        fraction: 0.3,
        criterion: 'magnitude',
        until: 0.75,
        skipStep: true,
      },
      epochs: 30,
      batch: 128,
      partial: true,
      learningRate: { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 },
      momentum: 0.9,
      nesterov: false,
      weightDecay: 5e-4,
      decay: 'all',
      labelSmoothing: 0,
      augmentation: { crop: 'padded', padding: 4, flip: true },
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

  it.each([
    [
      { name: 'static', distribution: 'uniform+' },
      { distribution: 'uniform+', last: 0.2 },
    ],
    [
      { name: 'static', distribution: 'erk+' },
      { distribution: 'erk+', last: 1 },
    ],
    [
      { name: 'chase', distribution: 'erk+', last: 0.5 },
      { distribution: 'erk+', last: 0.5, every: { part: 1 / 80 } },
    ],
    [
      { name: 'set', distribution: 'snip' },
      { distribution: 'snip', every: { epochs: 1 } },
    ],
    [
      { name: 'n-of-m', decay: 'mask-exponential' },
      { decay: 'mask-exponential', rate: 5 },
    ],
    [{ name: 'n-of-m', decay: 'mask-exponential', rate: 2.5 }, { rate: 2.5 }],
    [
      { name: 'n-of-m', n: 5 },
      { n: 5, m: 5 },
    ],
    [{ name: 'granet', density: 0.8 }, { initialDensity: 0.8 }],
    [{ name: 'set' }, { criterion: 'set' }],
    [
      { name: 'rigl', criterion: 'mest' },
      { criterion: 'mest', gradient: 1 },
    ],
    [{ name: 'rigl-itop', criterion: 'reciprocal-sensitivity' }, { criterion: 'reciprocal-sensitivity' }],
  ])('method %j', (given, method) => {
    const recipe = decoded({ method: given })
    expect(recipe.method).toMatchObject(method)
    expect(decoded(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe)
  })

  it.each([
    [{}, { crop: 'padded', padding: 4, flip: true }],
    [
      { padding: 0, flip: false },
      { crop: 'padded', padding: 0, flip: false },
    ],
    [{ crop: 'resized' }, { crop: 'resized', scale: [0.08, 1], ratio: [3 / 4, 4 / 3], flip: true }],
    [
      { crop: 'resized', scale: [0.5, 0.5], ratio: [1, 1], flip: false },
      { crop: 'resized', scale: [0.5, 0.5], ratio: [1, 1], flip: false },
    ],
  ])('augmentation %j', (given, augmentation) => {
    const recipe = decoded({ method: { name: 'dense' }, augmentation: given })
    expect(recipe.augmentation).toEqual(augmentation)
    expect(decoded(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe)
  })

  it.each(Object.entries(presets))('preset %s is a whole recipe', (_, preset) => {
    expect(decoded(JSON.parse(JSON.stringify(preset)))).toEqual(preset)
  })

  it.each([
    ['rigl', 'recipe entry method | an object with the name of a method | "rigl"'],
    [undefined, 'recipe entry method | an object with the name of a method | nothing'],
    [['rigl'], 'recipe entry method | an object | ["rigl"]'],
    [{ name: 'rigl', density: NaN }, 'recipe entry method.density | a number above 0 and at most 1 | NaN'],
    [{ name: 'rigl', density: -Infinity }, 'recipe entry method.density | a number above 0 and at most 1 | -Infinity'],
  ])('tells what method was given where it is no object, and numbers as they are: %j', (method, problem) => {
    expect(problems({ method })).toEqual([problem])
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
      'recipe entry epochs | a whole number of at least 1 | 1.5',
      'recipe entry batch | a whole number of at least 1 | "many"',
      'recipe entry learningRate.at | an ascending list, each a number of at least 0 and at most 1 | [0.8,0.4]',
      'recipe entry augmentation.flip | true or false | 1',
      'recipe entry labelSmooth | an entry that exists | one of no meaning',
    ])
  })

  it('refuses a warm-up that the training does not outlast', () => {
    const found = problems({ ...presets['chase-imagenet-resnet50'], epochs: 8 })
    expect(found).toEqual(['recipe entry learningRate.warmup | less than the 8 epochs of training | 8'])
  })

  it('reports everything that is wrong with entries of variants', () => {
    const found = problems({
      method: { name: 'static', distribution: 'erk+', last: 1.5 },
      learningRate: { schedule: 'cosine', per: 'epochs', warmup: -1 },
      augmentation: { crop: 'resized', scale: [0, 1], ratio: [4 / 3, 3 / 4], padding: 4 },
      partial: 'no',
    })
    expect(found).toEqual([
      'recipe entry method.last | a number of at least 0 and at most 1 | 1.5',
      'recipe entry partial | true or false | "no"',
      'recipe entry learningRate.per | one of step, epoch | "epochs"',
      'recipe entry learningRate.warmup | a number of at least 0 | -1',
      'recipe entry augmentation.scale | a list of two numbers, ascending, each a number above 0 and at most 1 | [0,1]',
      'recipe entry augmentation.ratio | a list of two numbers, ascending, each a number above 0 | [1.3333333333333333,0.75]',
      'recipe entry augmentation.padding | an entry that exists | one of no meaning',
    ])
  })

  it.each([
    [undefined, ['recipe | an object | nothing']],
    [{ method: null }, ['recipe entry method | an object | null']],
    [{ method: { name: 'rigl', every: [3] } }, ['recipe entry method.every | an object | [3]']],
  ])('%j: says nothing about what is in no object', (data, expected) => {
    expect(problems(data)).toEqual(expected)
  })

  it('says nothing about entries whose meaning a wrong choice leaves open', () => {
    const unknown = (what: string, choices: string, found: string): ReadonlyArray<string> => [
      `recipe entry ${what} | one of ${choices} | ${found}`,
    ]
    expect(problems({ method: { name: 'regl', density: 0.1, every: 3 } })).toEqual(
      unknown('method.name', methodNames.join(', '), '"regl"'),
    )
    expect(problems({ method: { name: 'static', distribution: 'erk++', last: 0.3, lst: 1 } })).toEqual([
      ...unknown('method.distribution', 'uniform, uniform+, er, erk, erk+, snip', '"erk++"'),
      'recipe entry method.lst | an entry that exists | one of no meaning',
    ])
    expect(problems({ method: { name: 'n-of-m', decay: 'exponential', rate: 3 } })).toEqual(
      unknown('method.decay', 'mask, mask-exponential, halving, fine', '"exponential"'),
    )
    const method = { name: 'dense' }
    expect(problems({ method, learningRate: { schedule: 'cos', final: 0.1 } })).toEqual(
      unknown('learningRate.schedule', 'step, cosine, constant', '"cos"'),
    )
    expect(problems({ method, augmentation: { crop: 'random', scale: [0.1, 1] } })).toEqual(
      unknown('augmentation.crop', 'padded, resized', '"random"'),
    )
  })

  it.each([
    [undefined, 'recipe | an object | nothing'],
    [[], 'recipe | an object | []'],
    [{ method: 'chase' }, 'recipe entry method | an object with the name of a method | "chase"'],
    [{ method: {} }, `recipe entry method.name | one of ${methodNames.join(', ')} | nothing`],
    [{ method: { name: 'rigl', every: 0.5 } }, 'recipe entry method.every | a whole number of at least 1 | 0.5'],
    [
      { method: { name: 'dense', density: 0.1 } },
      'recipe entry method.density | an entry that exists | one of no meaning',
    ],
    [{ method: { name: 'static', last: 0.2 } }, 'recipe entry method.last | an entry that exists | one of no meaning'],
    [{ method: { name: 'n-of-m', rate: 2 } }, 'recipe entry method.rate | an entry that exists | one of no meaning'],
    [
      { method: { name: 'n-of-m', decay: 'mask-exponential', rate: 0 } },
      'recipe entry method.rate | a number above 0 | 0',
    ],
    [{ method: { name: 'n-of-m', n: 3, m: 2 } }, 'recipe entry method.m | at least 3, n | 2'],
    [
      { method: { name: 'granet', density: 0.4, initialDensity: 0.3 } },
      'recipe entry method.initialDensity | at least 0.4, the density | 0.3',
    ],
    [{ method: { name: 'rigl', every: null } }, 'recipe entry method.every | a whole number of at least 1 | null'],
    [{ method: { name: 'dense' }, learningRate: null }, 'recipe entry learningRate | an object | null'],
    [
      { method: { name: 'dense' }, learningRate: { schedule: 'cosine', per: 'epoch', warmup: 0.5 } },
      'recipe entry learningRate.warmup | a whole number of at least 0 | 0.5',
    ],
    [
      { method: { name: 'dense' }, augmentation: { crop: 'resized', scale: [0.5] } },
      'recipe entry augmentation.scale | a list of two numbers, ascending, each a number above 0 and at most 1 | [0.5]',
    ],
    [{ method: { name: 'gmp', begin: 0.8 } }, 'recipe entry method.until | at least 0.8, where it begins | 0.75'],
    [{ method: { name: 'dense' }, momentum: NaN }, 'recipe entry momentum | a number of at least 0 and below 1 | NaN'],
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

  it('lists what there is where nothing is close', () => {
    const result = decodeRecipe({ method: { name: 'dense', sparsity: 0.9 } })
    expect(E.isLeft(result) && result.left.map(({ help }) => help)).toEqual(['Remove it. Entries here are name.'])
  })

  it.each([
    [{ method: { name: 'rigll' } }, 'Did you mean rigl?'],
    [{ method: { name: 'static', distribution: 'ERK+' } }, 'Choose one of these.'],
    [{ method: { name: 'n-of-m', decay: 'mask-exponental' } }, 'Did you mean mask-exponential?'],
    [{ method: { name: 'dense' }, augmentation: { crop: 'resize' } }, 'Did you mean resized?'],
    [{ method: { name: 'dense' }, augmentation: { crop: 7 } }, 'Choose one of these.'],
  ])('and what a mistyped choice was to be: %j', (data, help) => {
    const result = decodeRecipe(data)
    expect(E.isLeft(result) && result.left.map((problem) => problem.help)).toEqual([help])
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
    const rate = { schedule: 'cosine', peak: 2, warmup: 2, final: 0, per: 'step' } as const
    expect(learningRateAt(rate, 1, length)).toBe(0.1)
    expect(learningRateAt(rate, 20, length)).toBe(2)
    expect(learningRateAt(rate, 21, length)).toBe(2)
    expect(learningRateAt(rate, 61, length)).toBeCloseTo(1, 12)
    expect(learningRateAt(rate, 100, length)).toBeCloseTo(1 + Math.cos((Math.PI * 79) / 80), 12)
  })

  it('cosine: ends near its final fraction', () => {
    const rate = { schedule: 'cosine', peak: 2, warmup: 0, final: 0.5, per: 'step' } as const
    expect(learningRateAt(rate, 100, length)).toBeCloseTo(1 + (1 + Math.cos((Math.PI * 99) / 100)) / 2, 12)
  })
})

describe('a cosine that falls once an epoch', () => {
  it('is that of the released ImageNet script: set in the warm-up, then stepped before each epoch', () => {
    const rate = presets['chase-imagenet-resnet50'].learningRate
    const length = { steps: 100 * 2502, stepsPerEpoch: 2502 }
    // The script: epochs from 0; CosineAnnealingLR in its recursive form, T_max 93.
    let value = 0
    for (let epoch = 0; epoch < 100; epoch++) {
      const k = epoch - 7
      if (epoch < 8) value = (0.512 * (epoch + 1)) / 8
      else value *= (1 + Math.cos((Math.PI * k) / 93)) / (1 + Math.cos((Math.PI * (k - 1)) / 93))
      for (const step of [1, 1251, 2502]) {
        expect(learningRateAt(rate, epoch * 2502 + step, length) / value).toBeCloseTo(1, 9)
      }
    }
    expect(value).toBeCloseTo(0.256 * (1 + Math.cos((92 / 93) * Math.PI)), 12)
  })

  it('begins below its peak without warm-up, and goes towards its final fraction', () => {
    const rate = { schedule: 'cosine', peak: 2, warmup: 0, final: 0.5, per: 'epoch' } as const
    const values = [1, 5, 6, 10, 11, 15].map((step) => learningRateAt(rate, step, { steps: 15, stepsPerEpoch: 5 }))
    const at = (part: number): number => 1 + (1 + Math.cos(Math.PI * part)) / 2
    expect(values).toEqual([at(1 / 4), at(1 / 4), at(2 / 4), at(2 / 4), at(3 / 4), at(3 / 4)])
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

  it.each([
    [
      { distribution: 'uniform+', last: 0.3 },
      { kind: 'uniform+', last: 0.3 },
    ],
    [{ distribution: 'erk+' }, { kind: 'erk+', last: 1 }],
    [{ distribution: 'uniform' }, { kind: 'uniform' }],
    [{ distribution: 'er' }, { kind: 'er' }],
    [{ distribution: 'erk' }, { kind: 'erk' }],
    [{ distribution: 'snip' }, { kind: 'given', densities: [] }],
  ])('distribution %j', (given, distribution) => {
    for (const name of ['static', 'set', 'rigl', 'rigl-itop', 'mest', 'granet', 'chase']) {
      const { method } = decoded({ method: { name, ...given } })
      expect(policyOf(method, { steps: 100, stepsPerEpoch: 10 }).distribution).toEqual(distribution)
    }
  })

  it.each([
    ['mask', {}, (x: number) => 1 - x],
    ['mask-exponential', { rate: 3 }, (x: number) => Math.exp(-3 * x)],
  ])('n-of-m fades masked weights out: %s', (decay, more, value) => {
    const { method } = decoded({ method: { name: 'n-of-m', decay, begin: 0.2, until: 0.6, ...more } })
    const policy = policyOf(method, { steps: 100, stepsPerEpoch: 10 })
    expect(maskedMultiplier(policy, 10)).toBe(1)
    for (const step of [20, 30, 45, 59]) {
      expect(maskedMultiplier(policy, step)).toBeCloseTo(value((step - 20) / 40), 12)
    }
    expect([60, 100].map((step) => maskedMultiplier(policy, step))).toEqual([0, 0])
  })

  it('gmp reaches its density even when it is given no time', () => {
    const { method } = decoded({ method: { name: 'gmp', begin: 0, until: 0, every: 7 } })
    const { phases } = policyOf(method, { steps: 100, stepsPerEpoch: 10 })
    expect(phases.flatMap((phase) => dueSteps(phase, 100))).toEqual([1])
  })

  it('dense keeps everything and does nothing', () => {
    expect(policyOf({ name: 'dense' }, { steps: 10, stepsPerEpoch: 5 })).toMatchObject({
      density: 1,
      distribution: { kind: 'dense' },
      phases: [],
    })
  })
})

it('tells the first of many entries that mean nothing, and how many there are', () => {
  const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`${'x'.repeat(100)}${i}`, 1]))
  const decoded = decodeRecipe({ method: { name: 'dense' }, ...many })
  const problems = E.isLeft(decoded) ? decoded.left : []
  expect(problems.length).toBe(21)
  expect(problems.at(-1)).toMatchObject({ found: 'it and 49979 more' })
})
