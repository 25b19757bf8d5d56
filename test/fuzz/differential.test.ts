import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkHalf, notInHalf } from './half.ts'
import { floatTypes } from './numbers.ts'
import { checkProgram, edgeCases, type ProgramCase, programCases } from './property.ts'

test('random graphs under random masks compute what the masked graphs compute', async () => {
  let smaller = 0
  await fc.assert(
    fc.asyncProperty(programCases(), async (one) => {
      if ((await checkProgram(one)).smaller) smaller += 1
    }),
    { seed: 20, numRuns: 60 },
  )
  // The property proves little unless channels really go.
  expect(smaller).toBeGreaterThan(25)
})

test('so do programs at the edges of their types', async () => {
  let [smaller, compared] = [0, 0]
  await fc.assert(
    fc.asyncProperty(edgeCases(floatTypes), async (one) => {
      const outcome = await checkProgram(one)
      if (outcome.smaller) smaller += 1
      if (outcome.compared) compared += 1
    }),
    { seed: 20, numRuns: 100 },
  )
  expect(smaller).toBeGreaterThan(20)
  expect(compared).toBeGreaterThan(50)
})

test('so do layers of blocks that are computed in parts', async () => {
  let split = 0
  const cases = programCases({ only: ['partedLayers'] }).map((one): ProgramCase => ({
    ...one,
    target: 'cpu',
    program: { ...one.program, seed: 4 * one.program.seed },
  }))
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      if ((await checkProgram(one)).split) split += 1
    }),
    { seed: 20, numRuns: 40 },
  )
  expect(split).toBeGreaterThan(5)
})

test.each([
  ['ordinary numbers', programCases(), 60, 20],
  ['edges of the type', edgeCases(['float32'], { without: notInHalf }), 60, 10],
])('programs of %s load and compute the same in half precision', async (_, cases, numRuns, least) => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      if ((await checkHalf(one)).compared) compared += 1
    }),
    { seed: 20, numRuns },
  )
  expect(compared).toBeGreaterThan(least)
})
