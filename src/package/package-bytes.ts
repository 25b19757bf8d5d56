/** Packages in memory, where there is no disk. Pure but for the digests, which the platform makes; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type WriteError, writeError } from '../disk/error.ts'
import type { Compiled } from '../passes/compile.ts'
import type { Manifest, ManifestFile } from '../report/manifest.ts'
import type { Source } from '../report/source.ts'
import { type Content, type ContentOptions, contentsOf, manifestContent } from './contents.ts'

export interface FileBytes {
  readonly name: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

export interface PackageBytes {
  /** In the order in which they are written to disk; the manifest last. */
  readonly files: ReadonlyArray<FileBytes>
  readonly manifest: Manifest
}

/**
 * The files of the package that `writePackage` writes, byte for byte.
 *
 * Errors: the model is too large for one file or for the memory; the page is not one of a secure context (HTTPS or localhost),
 * without which browsers make no digests.
 */
export const packageBytes =
  (compiled: Compiled, options: ContentOptions = {}): TaskEither<WriteError, PackageBytes> =>
  async () => {
    const { subtle } = globalThis.crypto
    if (subtle === undefined) return E.left(insecure)
    const contents = contentsOf(compiled, options)
    if (E.isLeft(contents)) return contents
    const files = contents.right.files.map(gathered)
    const list: ManifestFile[] = []
    for (const { name, bytes } of files) {
      list.push({ name, bytes: bytes.byteLength, sha256: hexOf(await subtle.digest('SHA-256', bytes)) })
    }
    const manifest = contents.right.manifest(list)
    return E.right({ files: [...files, gathered(manifestContent(() => manifest))], manifest })
  }

/** A file as {@link Source}: its name and what `chasec.json` says of it. */
export const sourceOfBytes =
  (name: string, bytes: Uint8Array<ArrayBuffer>): TaskEither<WriteError, Source> =>
  async () => {
    const { subtle } = globalThis.crypto
    return subtle === undefined
      ? E.left(insecure)
      : E.right({ name, sha256: hexOf(await subtle.digest('SHA-256', bytes)) })
  }

const insecure: WriteError = writeError(
  'digest',
  'the Web Crypto API',
  'a page without it',
  'Serve the page over HTTPS, or from localhost.',
)

const gathered = ({ name, chunks }: Content): FileBytes => {
  const list = [...chunks()]
  const bytes = new Uint8Array(list.reduce((sum, chunk) => sum + chunk.byteLength, 0))
  let at = 0
  for (const chunk of list) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return { name, bytes }
}

const hexOf = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
