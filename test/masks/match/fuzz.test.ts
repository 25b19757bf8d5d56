import { expect, test } from 'vitest'
import { fuzz, table } from './fuzz.ts'

/** Of tries that leave no doubt, the least share that must be matched. */
const least = { 'names kept': 0.75, 'faithful torchscript': 0.9, 'faithful dynamo': 0.85, 'values given': 0.85 }

test('masks of random exports of random networks find their weights or are refused, and never find others', () => {
  const { groups, easy, failures } = fuzz(1, 2000)
  const shown = failures.slice(0, 5).map(({ seed, verdict }) => `seed ${seed}: ${verdict.kind}`)
  expect(failures.length, `${shown.join('\n')}\n${table('group', groups)}`).toBe(0)
  for (const [name, share] of Object.entries(least)) {
    const { tried = 0, matched = 0 } = easy.get(name) ?? {}
    expect(tried, `tries of ${name}`).toBeGreaterThan(10)
    expect(matched / tried, `of ${tried} of ${name}`).toBeGreaterThanOrEqual(share)
  }
  expect(groups.get('all')?.matched).toBeGreaterThan(500)
})
