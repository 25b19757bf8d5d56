import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { attemptOf, failedAttempt } from '../../../src/train/backend/attempt.ts'
import { type Backend, backendError, backendNames } from '../../../src/train/backend/backend.ts'
import { automaticBackend, describeBackendsBy, openBackend, tryBackend } from '../../../src/train/backend/open.ts'

const opened = await openBackend('cpu')()
if (E.isLeft(opened)) throw new Error('the backend cpu comes with npm ci')
const cpu: Backend = opened.right

/** The backend with another product of matrices. */
const multiplying = (matMul: Backend['core']['matMul']): Backend => ({ ...cpu, core: { ...cpu.core, matMul } })

describe('trying a backend', () => {
  test('that works tells what computes', async () => {
    expect(await tryBackend('cpu')()).toEqual({ available: true, software: false, found: 'plain JavaScript' })
  })

  test('that does not open tells why', async () => {
    const error = backendError('wasm', 'a package', 'no package', 'Install it.')
    expect(await attemptOf(async () => E.left(error))()).toEqual(failedAttempt('no package'))
  })

  test('that opens and then computes something else finds it unavailable', async () => {
    const wrong = multiplying((a, b) => cpu.core.matMul(a, b, true))
    expect(await attemptOf(async () => E.right(wrong))()).toEqual(
      failedAttempt('plain JavaScript multiplies two matrices wrongly'),
    )
  })

  test('that opens and then throws tells the first line of it', async () => {
    const throwing = multiplying(() => {
      throw new Error('no kernel\n    at somewhere')
    })
    expect(await attemptOf(async () => E.right(throwing))()).toEqual(
      failedAttempt('plain JavaScript cannot multiply two matrices: no kernel'),
    )
  })
})

describe('describing all', () => {
  const works = { available: true, software: false, found: 'works' }

  test('reports each attempt under its name, in the order of auto', async () => {
    const reports = await describeBackendsBy((name) => async () => (name === 'wasm' ? works : failedAttempt(name)))()
    expect(reports.map(({ name, available, found }) => [name, available, found])).toEqual(
      backendNames.map((name) => [name, name === 'wasm', name === 'wasm' ? 'works' : name]),
    )
    expect(automaticBackend(reports)).toBe('wasm')
  })

  test('auto passes over a GPU that a program stands in for, and has nothing where nothing works', async () => {
    const software = await describeBackendsBy((name) => async () => ({ ...works, software: name !== 'cpu' }))()
    expect(automaticBackend(software)).toBe('cpu')
    const nothing = await describeBackendsBy(() => async () => failedAttempt('nothing'))()
    expect(automaticBackend(nothing)).toBe(undefined)
  })
})
