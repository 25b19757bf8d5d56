/** Which modules Node loads. */
import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'

const asModule = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`

const hooks = `
  import { writeSync } from 'node:fs'
  export const load = (url, context, next) => (writeSync(2, url + String.fromCharCode(10)), next(url, context))`

const register = asModule(`import { register } from 'node:module'; register(${JSON.stringify(asModule(hooks))})`)

/** The files that Node loads when it is given these arguments, as addresses; its own modules left out. */
export const loadedBy = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { status, stderr } = spawnSync(process.execPath, ['--import', register, ...args], { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return stderr.split('\n').filter((line) => line.startsWith('file:'))
}

/** The packages of `node_modules` among them, each once, in order of their names. */
export const packagesOf = (loaded: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = loaded.flatMap((url) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
  return [...new Set(names)].sort()
}
