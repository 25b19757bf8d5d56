/**
 * Models of the zoo under masks of whole structures: what is compiled computes what the masked model computes, and what
 * `bench/results/structures.json` says was taken out as by hand still is. `ZOO=name,name` runs some models.
 */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Cell, cellOf, exactness, loadZoo, met, zooNames } from './zoo.ts'

const recorded = new URL('../bench/results/structures.json', import.meta.url)
const { rows }: { readonly rows: ReadonlyArray<Omit<Cell, 'report'>> } = existsSync(recorded)
  ? JSON.parse(readFileSync(recorded, 'utf8'))
  : { rows: [] }
const wasMet = new Set(rows.filter((row) => met(row)).map(({ model, structure }) => `${model} ${structure}`))
const names = process.env['ZOO']?.split(',') ?? zooNames()

test('the figures are of this zoo', () => {
  expect(rows.filter(({ model }) => !zooNames().includes(model))).toEqual([])
})

describe.each(names)('%s', (name) => {
  const model = loadZoo(name)
  test.each(Object.keys(model.structures))('%s', async (structure) => {
    const cell = await cellOf(model, structure)
    expect(cell.difference).toBeLessThan(exactness)
    if (wasMet.has(`${name} ${structure}`)) expect(met(cell), `${cell.macs} for ${cell.byHand}`).toBe(true)
  })
})
