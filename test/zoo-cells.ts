/**
 * The tests of the zoo, for two files that run side by side: what is compiled under masks of a whole structure computes what
 * the masked model computes, and what `bench/results/structures.json` says was taken out as by hand still is.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Cell, cellOf, exactness, loadZoo, met, zooNames } from './zoo.ts'

const { rows }: { readonly rows: ReadonlyArray<Omit<Cell, 'report'>> } = JSON.parse(
  readFileSync(new URL('../bench/results/structures.json', import.meta.url), 'utf8'),
)
const wasMet = new Set(rows.filter((row) => met(row)).map(({ model, structure }) => `${model} ${structure}`))

/** Models of which `isHere` is true; `ZOO=name,name` runs some of them. */
export const testZoo = (isHere: (name: string) => boolean): void => {
  const wanted = process.env['ZOO']?.split(',')
  const names = zooNames().filter((name) => isHere(name) && wanted?.includes(name) !== false)
  describe.each(names)('%s', (name) => {
    const model = loadZoo(name)
    test.each(Object.keys(model.structures))('%s', async (structure) => {
      const cell = await cellOf(model, structure)
      expect(cell.difference).toBeLessThan(exactness)
      if (wasMet.has(`${name} ${structure}`)) expect(met(cell), `${cell.macs} for ${cell.byHand}`).toBe(true)
    })
  })

  test('the figures are of this zoo', () => {
    expect(rows.filter(({ model }) => !zooNames().includes(model))).toEqual([])
  })
}
