import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkProgram, programCases } from './property.ts'

test('random graphs under random masks compute what the masked graphs compute', async () => {
  let smaller = 0
  await fc.assert(
    fc.asyncProperty(programCases, async (one) => {
      if ((await checkProgram(one)).smaller) smaller += 1
    }),
    { seed: 20, numRuns: 300 },
  )
  // The property proves little unless channels really go.
  expect(smaller).toBeGreaterThan(60)
})
