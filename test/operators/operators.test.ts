/** `OPERATORS.md` says what the registry says, and of every operator that stops elimination why. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { listed, operatorsPage } from './list.ts'

/** Without what a formatter does: spaces that align tables, lengths of lines. */
const plain = (text: string): string => text.replace(/-{3,}/g, '---').replace(/\s+/g, ' ')

test('the list is what `npm run operators` writes', () => {
  const written = readFileSync(new URL('../../OPERATORS.md', import.meta.url), 'utf8')
  expect(plain(written)).toBe(plain(operatorsPage()))
})

test.each(['ai.onnx', 'com.microsoft'])('every operator of %s that stops elimination has its reason', (domain) => {
  const silent = listed(domain).filter(
    ({ group, reason }) => group !== 'followed' && group !== 'taken apart' && reason === undefined,
  )
  expect(silent.map(({ name }) => name)).toEqual([])
})
