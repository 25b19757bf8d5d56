import { readFileSync, renameSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { externalFailure } from '../../src/ir/external-failure.ts'
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

describe('what is thrown while a model is worked on', () => {
  it('is told of the file that could not be read', () => {
    const missing = thrownBy(() => readFileSync('/nowhere/x'))
    expect(externalFailure(missing)).toMatchObject({ subject: '/nowhere/x', found: 'no such file or directory' })
    const changed = Object.assign(new Error('x has changed'), { code: 'ESTALE' })
    expect(externalFailure(changed)).toMatchObject({ subject: 'a file beside the model', found: 'x has changed' })
  })

  it('is nothing of a file where something else was asked of the system, or of Node', () => {
    expect(externalFailure(thrownBy(() => renameSync('/nowhere/a', '/nowhere/b')))).toBeUndefined()
    expect(externalFailure(Object.assign(new Error('no'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBeUndefined()
    expect(externalFailure(new Error('no'))).toBeUndefined()
  })
})
