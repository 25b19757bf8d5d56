/** Where the bytes of a tensor are that a model keeps outside itself. */
import * as E from 'fp-ts/lib/Either.js'
import type { TensorProto } from '../onnx/onnx_pb.ts'
import { type ReadError, readError } from './error.ts'

/** A file beside the model. */
export interface ExternalFile {
  readonly size: number
  /** The bytes of a range, in memory of their own; throws when the file has changed or gone. */
  readonly read: (offset: number, length: number) => Uint8Array
}

/** Finds the file at a location, which is relative to the model and has passed {@link checkLocation}. */
export type ExternalReader = (location: string) => ExternalFile | ReadError | undefined

/** A range of an external file, as a tensor states it. */
export interface ExternalRange {
  readonly location: string
  readonly offset: number
  readonly length: number | undefined
}

const keys: ReadonlySet<string> = new Set(['location', 'offset', 'length', 'checksum', 'basepath'])

const invalid = (subject: string, expected: string, found: string): ReadError =>
  readError('external-data-invalid', subject, expected, found)

/**
 * A location that stays below the model's folder however it is resolved: relative, `/` between its parts, none of them
 * `..`. Symbolic links are for whoever opens the file to judge.
 */
export const checkLocation = (subject: string, location: string): E.Either<ReadError, string> => {
  const refused = (found: string): E.Either<ReadError, string> =>
    E.left(invalid(`${subject}, external location ${JSON.stringify(location)}`, "a path in the model's folder", found))
  if (location === '') return refused('an empty path')
  if (location.includes('\0')) return refused('a NUL character')
  if (location.includes('\\')) return refused('a backslash')
  if (location.startsWith('/') || /^[A-Za-z]:/.test(location)) return refused('an absolute path')
  const parts = location.split('/')
  if (parts.includes('..')) return refused('a step to a parent folder')
  if (parts.every((part) => part === '' || part === '.')) return refused('a folder')
  return E.right(location)
}

const decimal = (text: string): number | undefined => {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(value) ? value : undefined
}

/** The range that the `external_data` entries of a tensor give. Keys other than ONNX's five are refused. */
export const externalRange = (proto: TensorProto, subject: string): E.Either<ReadError, ExternalRange> => {
  const entries = new Map<string, string>()
  for (const { key, value } of proto.externalData) {
    if (!keys.has(key)) return E.left(invalid(subject, `external data keys ${[...keys].join(', ')}`, `key ${key}`))
    if (entries.has(key)) return E.left(invalid(subject, 'external data keys given once', `key ${key} twice`))
    entries.set(key, value)
  }
  const location = checkLocation(subject, entries.get('location') ?? '')
  if (E.isLeft(location)) return location
  const number = (key: string): number | undefined => decimal(entries.get(key) ?? '')
  for (const key of ['offset', 'length']) {
    if (entries.has(key) && number(key) === undefined) {
      const found = JSON.stringify(entries.get(key))
      return E.left(invalid(`${subject}, external data ${key}`, 'a decimal number below 2^53', found))
    }
  }
  return E.right({ location: location.right, offset: number('offset') ?? 0, length: number('length') })
}
