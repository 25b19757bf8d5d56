/** Work on an operator of many operands grows with their number, not with its square. */
import { expect, test, vi } from 'vitest'
import { networkOf } from '../../bench/scale-models.ts'
import type * as Links from '../../src/ir/links.ts'
import { equalChannelsAlong } from '../../src/passes/equal-channels.ts'

const { places } = vi.hoisted(() => ({ places: { asked: 0 } }))

vi.mock('../../src/ir/links.ts', async (original) => {
  const links = await original<typeof Links>()
  const placeOf: typeof links.placeOf = (map, index) => {
    places.asked += 1
    return links.placeOf(map, index)
  }
  return { ...links, placeOf }
})

/** How often the equal channels of so many layers beside each other, all read by one Concat, ask where an index lies. */
const askedOf = (layers: number): number => {
  const graph = networkOf('concat', 2 * layers + 2)
  places.asked = 0
  equalChannelsAlong(graph, () => true)
  return places.asked
}

test('equal channels of a Concat are found in time in proportion to its operands', () => {
  const few = askedOf(50)
  expect(few).toBeGreaterThan(0)
  expect(askedOf(200)).toBeLessThanOrEqual(4 * few)
})
