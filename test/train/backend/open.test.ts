import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { backendNames, describeBackends, openBackend } from '../../../src/train/backend/index.ts'
import { loaderOf } from '../../../src/train/backend/loaders/loader.ts'

describe('opening', () => {
  test('a backend by name gives that backend', async () => {
    for (const name of ['wasm', 'cpu'] as const) {
      const opened = await openBackend(name)()
      expect(E.isRight(opened) && opened.right.name).toBe(name)
    }
  })

  test('automatically takes the first that works and says why not those before it', async () => {
    const opened = await openBackend('auto')()
    if (E.isLeft(opened)) return expect.unreachable()
    const { name, passedOver, software } = opened.right
    expect(software).toBe(false)
    expect(passedOver.map(({ subject }) => subject)).toEqual(
      backendNames.slice(0, backendNames.indexOf(name)).map((before) => `backend ${before}`),
    )
    for (const { help } of passedOver) expect(help).toMatch(/npm install|Name the backend/)
  })

  test('leaves the backend active that was activated last', async () => {
    const [wasm, cpu] = [await openBackend('wasm')(), await openBackend('cpu')()]
    if (E.isLeft(wasm) || E.isLeft(cpu)) return expect.unreachable()
    wasm.right.activate()
    expect(wasm.right.core.getBackend()).toBe('wasm')
    cpu.right.activate()
    expect(cpu.right.core.getBackend()).toBe('cpu')
  })
})

describe('a backend that does not load', () => {
  const failing = (load: () => Promise<never>) =>
    loaderOf({
      name: 'webgpu',
      about: 'a test',
      install: 'Run npm install missing.',
      packages: 'the package missing',
      load,
    }).open({})()

  test('is a failure that says what is missing and how to get it', async () => {
    const name: string = 'a-package-that-does-not-exist'
    const load = async (): Promise<never> => Promise.reject(await import(name))
    expect(await failing(load)).toEqual(
      E.left({
        _tag: 'BackendError',
        subject: 'backend webgpu',
        expected: 'the package missing',
        found: `${name} is not installed`,
        help: 'Run npm install missing.',
      }),
    )
  })

  test('is a failure with the first line of any other reason', async () => {
    const result = await failing(() => Promise.reject(new Error('no driver\n    at somewhere')))
    expect(E.isLeft(result) && result.left.found).toBe('no driver')
  })
})

test('the report names every backend, those that work and how to get the others', async () => {
  const reports = await describeBackends()
  expect(reports.map(({ name }) => name)).toEqual(backendNames)
  for (const { name, available, install, found } of reports) {
    expect(install).toMatch(/^Run npm install .*\.$/)
    expect(found).not.toBe('')
    if (name === 'wasm' || name === 'cpu') expect(available).toBe(true)
  }
})
