/** What a program loads that imports the library: the packages that it needs, and nothing of the command line. */
import { describe, expect, it } from 'vitest'
import { loadedBy, packagesOf } from '../loads.ts'

const dist = new URL('../../dist/', import.meta.url).href

const importing = (entry: string): ReadonlyArray<string> =>
  loadedBy(['--input-type=module', '--eval', `await import(${JSON.stringify(`${dist}api/${entry}.js`)})`])

const compiler = ['@bufbuild/protobuf', 'd3-path', 'd3-shape', 'fflate', 'fp-ts', 'preact', 'preact-render-to-string']
const library = [...compiler, 'yaml']

describe('importing', () => {
  it.each([
    ['index', library],
    ['promise', library],
    ['compiler', compiler],
    ['tensorflowjs', ['@bufbuild/protobuf', 'fp-ts']],
    ['training', ['fp-ts']],
  ])('%s loads these packages and no others, and nothing of the command line', (entry, packages) => {
    const loaded = importing(entry)
    expect(loaded).toContain(`${dist}api/${entry}.js`)
    expect(packagesOf(loaded)).toEqual(packages)
    expect(loaded.filter((url) => /dist\/(cli|report\/terminal)\//.test(url))).toEqual([])
  })
})
