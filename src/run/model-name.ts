/** What models are called in messages. */
import type { ModelSource } from './runner.ts'

/** What to call a model of which nothing but its source is known. */
export const nameOf = (source: ModelSource, otherwise: string): string => {
  if (typeof source === 'string') return source
  if (source instanceof Uint8Array) return otherwise
  return source.name ?? ('path' in source ? baseName(source.path) : otherwise)
}

/** The same source under the name that messages shall use. */
export const withName = (source: ModelSource, name: string): ModelSource => {
  if (typeof source === 'string') return { path: source, name }
  return source instanceof Uint8Array ? { bytes: source, name } : { ...source, name }
}

/** The last part of a path. */
const baseName = (path: string): string => path.split(/[/\\]/).at(-1) ?? path
