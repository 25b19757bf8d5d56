import { describe, expect, it } from 'vitest'
import { readEnvironment } from '../../src/cli/environment.ts'

describe('colours', () => {
  it.each([
    [{}, undefined],
    [{ TERM: 'xterm-256color' }, undefined],
    [{ TERM: 'dumb' }, false],
    [{ TERM: 'dumb', FORCE_COLOR: '1' }, true],
    [{ FORCE_COLOR: '0' }, false],
    [{ NO_COLOR: '1' }, false],
    [{ NO_COLOR: '' }, undefined],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true],
  ])('%j', (variables, colour) => {
    expect(readEnvironment(variables).colour).toBe(colour)
  })
})
