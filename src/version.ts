/** The version of this package, as its package.json states it. Node only. */
import { readFileSync } from 'node:fs'

const versionOf = (manifest: unknown): string =>
  typeof manifest === 'object' && manifest !== null && 'version' in manifest && typeof manifest.version === 'string'
    ? manifest.version
    : 'unknown'

export const version: string = versionOf(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))
