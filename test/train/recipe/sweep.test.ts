/** The runs of a plan: all combinations, names that are apart, and what can be wrong with it. */
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { decodeRecipe, decodeSweep, presets, type SweepRun } from '../../../src/train/index.ts'

const base = { model: 'resnet20', data: 'cifar10:x' }

const runsOf = (plan: unknown): ReadonlyArray<SweepRun> => {
  const decoded = decodeSweep(plan)
  if (E.isLeft(decoded)) throw new Error(decoded.left.map(renderError).join('\n'))
  return decoded.right
}

const problemsOf = (plan: unknown): string => {
  const decoded = decodeSweep(plan)
  return E.isLeft(decoded) ? decoded.left.map(renderError).join('\n') : 'none'
}

describe('a plan', () => {
  it('is all combinations of every grid, the last list changing fastest', () => {
    const runs = runsOf({
      ...base,
      recipe: { epochs: 4 },
      grid: [
        { method: ['dense'], seed: [1, 2] },
        { method: ['set', { name: 'chase', channels: 0.5 }], 'method.density': [0.1, 0.2], seed: [1], trainSize: [9] },
      ],
    })
    expect(runs.map(({ name }) => name)).toEqual([
      'dense,seed=1',
      'dense,seed=2',
      'set,density=0.1,trainSize=9,seed=1',
      'set,density=0.2,trainSize=9,seed=1',
      'chase,channels=0.5,density=0.1,trainSize=9,seed=1',
      'chase,channels=0.5,density=0.2,trainSize=9,seed=1',
    ])
    expect(runs.map(({ configuration }) => configuration).slice(0, 3)).toEqual([
      'dense',
      'dense',
      'set,density=0.1,trainSize=9',
    ])
    const { settings, recipe } = runs[4] ?? expect.fail()
    expect(settings).toEqual({ ...base, trainSize: 9 })
    expect(recipe).toMatchObject({ epochs: 4, seed: 1, method: { name: 'chase', channels: 0.5, density: 0.1 } })
  })

  it('takes a method into entries of no name, and starts anew for another name', () => {
    const grid = { method: ['set', 'rigl'] }
    const shared = runsOf({ ...base, recipe: { method: { density: 0.3 } }, grid })
    expect(shared.map(({ recipe }) => recipe.method)).toMatchObject([{ density: 0.3 }, { density: 0.3 }])
    const named = runsOf({ ...base, recipe: { method: { name: 'rigl', density: 0.3 } }, grid })
    const usual = decodeRecipe({ method: { name: 'set' } })
    expect(named.map(({ recipe }) => recipe.method)).toEqual([
      E.isRight(usual) ? usual.right.method : undefined,
      expect.objectContaining({ name: 'rigl', density: 0.3 }),
    ])
  })

  it('takes a preset, and changes it', () => {
    const [run] = runsOf({ ...base, preset: 'chase-cifar-resnet50', grid: { epochs: [7] } })
    expect(run?.recipe).toEqual({ ...presets['chase-cifar-resnet50'], epochs: 7 })
    expect([run?.name, run?.configuration]).toEqual(['epochs=7', 'epochs=7'])
    expect(runsOf({ ...base, recipe: { method: { name: 'set' } }, grid: { seed: [3] } })[0]).toMatchObject({
      name: 'seed=3',
      configuration: 'set',
    })
  })

  it('has as many runs as there are combinations, each with its values and a name for itself', () => {
    const axes = fc.record({
      density: fc.uniqueArray(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 }),
      model: fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }),
      seed: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 3 }),
    })
    fc.assert(
      fc.property(axes, ({ density, model, seed }) => {
        const runs = runsOf({
          data: 'mnist:x',
          recipe: { method: { name: 'set' } },
          grid: { seed, model, 'method.density': density },
        })
        expect(runs).toHaveLength(density.length * model.length * seed.length)
        const names = new Set(runs.map(({ name }) => name.toLowerCase()))
        expect(names.size).toBe(runs.length)
        for (const name of names) expect(name).toMatch(/^[a-z0-9._=,+-]{1,150}$/)
        const configurations = new Set(runs.map(({ configuration }) => configuration))
        expect(configurations.size).toBe(density.length * model.length)
        const values = runs.map(({ settings, recipe }) => [
          settings.model,
          recipe.seed,
          'density' in recipe.method && recipe.method.density,
        ])
        expect(values).toEqual(seed.flatMap((s) => model.flatMap((m) => density.map((d) => [m, s, d]))))
      }),
    )
  })

  it('keeps the names of runs when values are added', () => {
    const named = (values: ReadonlyArray<string>) =>
      runsOf({ data: 'mnist:x', recipe: { method: { name: 'set' } }, grid: { model: values } }).map(({ name }) => name)
    expect(named(['a/b', 'a:b', 'c'])).toEqual([...named(['a:b', 'a/b']).toReversed(), 'model=c'])
  })
})

describe('a plan that is wrong', () => {
  it.each([
    ['no object', 3, /^plan: expected an object, found 3/],
    ['no grid', base, /^grid: expected lists of values by their entry, found nothing/],
    ['an empty list of grids', { ...base, grid: [] }, /^grid: expected at least one grid/],
    ['a list without values', { ...base, grid: { seed: [] } }, /^grid, seed: expected a list of values, found \[\]/],
    [
      'a value for a list',
      { ...base, grid: [{ seed: [1] }, { seed: 1 }] },
      /^grid 2, seed: expected a list of values, found 1/,
    ],
    ['a value twice', { ...base, grid: { seed: [1, 2, 1] } }, /^grid, seed: expected each value once, found 1 twice/],
    [
      'an unknown entry',
      { ...base, epoch: 3, grid: { seed: [1] } },
      /^plan entry epoch: .*Entries of a recipe go under recipe/,
    ],
    ['a misspelt entry', { ...base, trainsize: 3, grid: { seed: [1] } }, /Did you mean trainSize\?/],
    [
      'a wrong setting',
      { ...base, trainSize: 0, grid: { seed: [1] } },
      /^plan entry trainSize: expected a whole number of at least 1, found 0/,
    ],
    [
      'a wrong setting in a grid',
      { ...base, grid: { validationShare: [0.1, 1] } },
      /^grid, validationShare: expected .*below 1, found 1\./,
    ],
    [
      'a wrong seed of the validation images',
      { ...base, validationSeed: 0.5, grid: { seed: [1] } },
      /^plan entry validationSeed: expected .*whole number.*found 0.5/,
    ],
    [
      'wrong data',
      { ...base, data: 'cifr10:x', grid: { seed: [1] } },
      /^plan entry data: expected one of .*, found "cifr10:x"/,
    ],
    [
      'two bases',
      { ...base, recipe: {}, preset: 'chase-cifar-vgg19', grid: { seed: [1] } },
      /^plan entry preset: expected no recipe beside it/,
    ],
    ['no such preset', { ...base, preset: 'none', grid: { seed: [1] } }, /^plan entry preset: expected one of /],
    ['a grid of recipes', { ...base, grid: { recipe: [{}] } }, /^grid, recipe: expected an entry of a run/],
    [
      'no model',
      { data: 'mnist:x', grid: { method: ['set'] } },
      /^plan entry model \(run set\): expected .*, found nothing/,
    ],
    [
      'a wrong value',
      { ...base, grid: { method: ['set', 'rigl'], 'method.density': [0.1, 2] } },
      /^grid, method.density 2: recipe entry method.density \(run set,density=2\): expected .*, found 2/,
    ],
    [
      'a misspelt method',
      { ...base, grid: { method: ['rigll'] } },
      /^grid, method "rigll": recipe entry method.name .*Did you mean rigl\?/,
    ],
    [
      'a misspelt entry of a recipe',
      { ...base, recipe: { method: { name: 'set' } }, grid: { epoch: [3] } },
      /^grid, epoch 3: recipe entry epoch .*Did you mean epochs\?/,
    ],
    [
      'an entry that a method lacks',
      { ...base, grid: { method: ['dense'], 'method.density': [0.1] } },
      /^grid, method.density 0.1: recipe entry method.density \(run dense,density=0.1\)/,
    ],
    [
      'two values for one entry',
      { ...base, grid: { method: [{ name: 'set', density: 0.2 }], 'method.density': [0.1] } },
      /^grid, method.density .*expected one value, found 0.1, and \{.*\}/,
    ],
    [
      'the same run twice',
      {
        ...base,
        grid: [
          { method: ['set'], seed: [1] },
          { seed: [1], method: [{ name: 'set' }] },
        ],
      },
      /^run set,seed=1: expected each run once/,
    ],
    [
      'masks beside a method',
      { ...base, masks: 'm.npz', grid: { method: ['set'] } },
      /^masks \(run set\): expected method dense/,
    ],
    [
      'a normalisation that there is not',
      { ...base, normalisation: 'half', grid: { method: ['set'] } },
      /^plan entry normalisation: expected one of data, unit, signed, imagenet, found "half"/,
    ],
  ])('says so: %s', (_, plan, expected) => {
    expect(problemsOf(plan)).toMatch(expected)
  })

  it('is told of everything at once, each thing once, and never takes long', () => {
    const told = problemsOf({
      ...base,
      grid: { method: ['set', 'rigl'], 'method.density': [2], batch: [0], seed: [1, 2, 3] },
    })
    expect(told.split('\n')).toHaveLength(2)
    const many = Array.from({ length: 101 }, (_, i) => i)
    expect(problemsOf({ ...base, grid: { seed: many, epochs: many } })).toMatch('at most 10000 runs, found 10201')
  })
})
