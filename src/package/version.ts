/** The version of this package and of the Node that it needs, as its package.json states them. Node only. */
import { readFileSync } from 'node:fs'

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined

const textOf = (value: unknown): string => (typeof value === 'string' ? value : 'unknown')

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

export const version: string = textOf(member(manifest, 'version'))

/** A range of versions, like `>=20.19`. */
export const neededNode: string = textOf(member(member(manifest, 'engines'), 'node'))
