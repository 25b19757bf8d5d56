import { readFileSync, renameSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { systemReason } from '../../src/ir/system-reason.ts'

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (thrown) {
    return thrown
  }
}

describe('what an operating system refuses', () => {
  it.each([
    ['a file that is not there', () => readFileSync('/nowhere/x, y'), 'no such file or directory'],
    ['two paths', () => renameSync('/nowhere/a', '/nowhere/b'), 'no such file or directory'],
    ['a folder', () => readFileSync('/'), 'illegal operation on a directory'],
  ])('is said in words: %s', (_, work, words) => {
    expect(systemReason(thrownBy(work))).toBe(words)
  })

  it('is left as it is where it is not of that form', () => {
    expect(systemReason(new Error('EOF: found none'))).toBe('EOF: found none')
    expect(systemReason('text')).toBe('text')
  })
})
