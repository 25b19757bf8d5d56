/** Budgets: what compiling leaves is within them, and not much less. */
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { parseModel } from '../../src/models/index.ts'
import { type Budget, type Budgeted, type BudgetOptions, pruneToBudget } from '../../src/package/budget.ts'
import { compile } from '../../src/package/compile.ts'
import { lowerCompiled } from '../../src/package/contents.ts'
import { pruneChannels } from '../../src/passes/prune.ts'
import { fastMultiple } from '../../src/passes/target.ts'
import { orThrow } from '../fuzz/differential.ts'

const built = (name: string): Graph =>
  orThrow(orThrow(parseModel(name)).build({ classes: 10, shape: [3, 32, 32], seed: 1 }))

const resnet = built('resnet20')
const mobile = built('mobilenet-v2:0.25')

/** What a budget counts of a selection, and how much it may be. */
const counted = (
  budget: Budget,
  { before, after, predicted, bytes }: Pick<Budgeted, 'before' | 'after' | 'predicted' | 'bytes'>,
): readonly [left: number, limit: number] =>
  budget.latency !== undefined
    ? [predicted?.after ?? NaN, budget.latency * (predicted?.before ?? NaN)]
    : budget.macs !== undefined
      ? [after.macs, budget.macs * before.macs]
      : budget.parameters !== undefined
        ? [after.parameters, budget.parameters * before.parameters]
        : [bytes, budget.bytes ?? NaN]

describe.each<[string, Graph, BudgetOptions]>([
  ['half of the multiply-accumulates', resnet, { macs: 0.5 }],
  ['half of them, widths as they come', resnet, { macs: 0.5, multiple: 1 }],
  ['half of the time', mobile, { latency: 0.5, scope: 'all' }],
  ['a fifth of them, streams included', resnet, { macs: 0.2, scope: 'all', score: 'l2' }],
  ['a third of the parameters', mobile, { parameters: 1 / 3, target: 'cuda' }],
  ['400 kB', mobile, { bytes: 400_000, scope: 'all', score: 'random', seed: 4, floor: 1 }],
])('%s', (_name, graph, options) => {
  const budgeted = orThrow(pruneToBudget(graph, noMasks, options))
  const { target = 'cpu', macs: _m, parameters: _p, bytes: _b, latency: _l, ...given } = options
  const how = { ...given, multiple: options.multiple ?? fastMultiple(target) }
  test('is kept, and 99.5 % of it used, or one channel less would exceed it', () => {
    const [left, limit] = counted(options, budgeted)
    expect(left).toBeLessThanOrEqual(limit)
    if (left >= 0.995 * limit) return
    const all = budgeted.groups.reduce((sum, { channels }) => sum + channels, 0)
    const channels = (Math.round(budgeted.channels * all) - 1) / all
    const { masks } = orThrow(pruneChannels(graph, noMasks, { ...how, channels }))
    const compiled = orThrow(compile(graph, masks, { target }))
    const { before, after, predicted } = compiled.report
    const bytes = orThrow(lowerCompiled(compiled)).model.byteLength
    const found = { before, after, bytes, ...(predicted === undefined ? {} : { predicted }) }
    expect(counted(options, found)[0]).toBeGreaterThan(limit)
  })
  test('is what compiling with the masks leaves', () => {
    const compiled = orThrow(compile(graph, budgeted.masks, { target }))
    expect([budgeted.before, budgeted.after]).toEqual([compiled.report.before, compiled.report.after])
    expect(budgeted.bytes).toBe(orThrow(lowerCompiled(compiled)).model.byteLength)
  })
  test('is met by the masks of that fraction of the channels', () => {
    const { channels, masks, groups } = budgeted
    expect(orThrow(pruneChannels(graph, noMasks, { ...how, channels }))).toMatchObject({ masks, groups })
  })
})

test('where the budget is kept already, nothing goes', () => {
  expect(orThrow(pruneToBudget(resnet, noMasks, { macs: 1 }))).toMatchObject({ channels: 0, removed: 0 })
})

const refused = (options: BudgetOptions): string => {
  const found = pruneToBudget(resnet, noMasks, options)
  return E.isLeft(found) ? renderError(found.left) : 'selected'
}

test('what cannot be met is refused, with what is left at least', () => {
  expect(refused({ bytes: 1000 })).toMatch(
    /^bytes 1000: expected a budget that can be met, found \d+ bytes left at least\./,
  )
  expect(refused({ macs: 0.01 })).toMatch(/found 0\.\d+ of the multiply-accumulates left at least\. Allow more, lower/)
})

test('one budget, in its range', () => {
  const one = 'budget: expected one of macs, parameters, bytes, latency, found'
  expect(refused({})).toContain(`${one} none`)
  expect(refused({ macs: 0.5, bytes: 1e6 })).toContain(`${one} macs and bytes`)
  for (const macs of [0, -1, 1.01, NaN]) {
    expect(refused({ macs })).toBe(
      `macs: expected a number of more than 0 and at most 1, found ${macs}. Give the fraction that may be left, for example 0.5.`,
    )
  }
  expect(refused({ bytes: 0 })).toContain('bytes: expected a number of more than 0, found 0')
  expect(refused({ macs: 0.5, floor: -1 })).toContain('floor: expected a number of 0 or more')
})
