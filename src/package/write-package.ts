/** Compiled models as folders. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { WriteError } from '../disk/error.ts'
import { startSha256 } from '../disk/sha256.ts'
import { type PackageFile, writeFiles } from '../export/package.ts'
import type { Compiled } from '../passes/compile.ts'
import type { Manifest, ManifestFile } from '../report/manifest.ts'
import { type Content, type ContentOptions, contentsOf, manifestContent } from './contents.ts'

export interface PackageOptions extends ContentOptions {
  /** Aborted: the package is not written, unless it has been already; the old one stays. */
  readonly signal?: AbortSignal
  /** Nothing is written: the result is what writing would give, an error too, as far as places and rights tell. */
  readonly dry?: boolean
}

/** A package that has been written. */
export interface Package {
  readonly directory: string
  readonly files: ReadonlyArray<ManifestFile>
  readonly manifest: Manifest
}

/**
 * Writes a package: `model.onnx` (and `model.onnx_data`), `chasec.json`, `report.html`. The folder is replaced as a
 * whole; a crash at any point leaves the old package or the new one. The same arguments give the same bytes.
 *
 * Errors: the folder holds other files, the disk is full or fails, the model is too large for one file, a file that weights
 * are read from has changed, it was aborted, Triton has no words for an input or an output.
 */
export const writePackage =
  (compiled: Compiled, directory: string, options: PackageOptions = {}): TaskEither<WriteError, Package> =>
  async () => {
    const { signal, dry = false, ...rest } = options
    const contents = contentsOf(compiled, rest)
    if (E.isLeft(contents)) return contents
    const { files, manifest } = contents.right
    const written: ManifestFile[] = []
    const own = manifestContent(() => manifest(written))
    const all = [...files, own].map((file) => recorded(file, written))
    const done = await writeFiles(directory, all, { dry, ...(signal === undefined ? {} : { signal }) })()
    if (E.isLeft(done)) return done
    return E.right({ directory, files: written, manifest: manifest(written.slice(0, files.length)) })
  }

/** The file, which is added to `files` when all of it has been given out. */
const recorded = ({ name, length = 0, chunks }: Content, files: ManifestFile[]): PackageFile => {
  async function* noted(): AsyncIterable<Uint8Array> {
    const sha256 = startSha256(length, chunks)
    let bytes = 0
    try {
      for (const chunk of chunks()) {
        await sha256.update(chunk)
        bytes += chunk.byteLength
        yield chunk
      }
      files.push({ name, bytes, sha256: await sha256.digest() })
    } finally {
      sha256.end()
    }
  }
  return { name, chunks: noted() }
}
