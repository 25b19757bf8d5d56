import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { folderOf, readCase, runCase } from '../golden/case.ts'
import { cases } from '../golden/cases.ts'
import { noMasks } from '../src/masks/mask.ts'
import { compareCompiled } from './fuzz/differential.ts'

const names = Object.keys(cases)

test('every golden folder belongs to a case', () => {
  const folders = readdirSync(new URL('../golden/', import.meta.url), { withFileTypes: true }).filter((e) =>
    e.isDirectory(),
  )
  expect(folders.map((f) => f.name).sort()).toEqual([...names].sort())
})

test.each(names)('%s compiles to its golden files, and they run like the masked model', async (name) => {
  const graph = readCase(name)
  for (const [file, text] of Object.entries(runCase(graph).files)) {
    expect(text, `golden/${name}/${file}; accept with: npm run golden -- --accept`).toBe(
      readFileSync(new URL(file, folderOf(name)), 'utf8'),
    )
  }
  expect((await compareCompiled(graph, noMasks)).worst).toBeLessThan(1e-5)
})
