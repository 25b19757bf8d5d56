/** Compiled models as folders. Node only. */
import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { WriteError } from '../disk/error.ts'
import { type Lowered, lower, lowerInPieces } from '../export/lower.ts'
import { manifestName, type PackageFile, writeFiles } from '../export/package.ts'
import type { MatchSummary } from '../masks/match/index.ts'
import type { Compiled } from '../passes/compile.ts'
import { makeManifest, type Manifest, type ManifestFile, printManifest } from '../report/manifest.ts'
import { renderPage } from '../report/report-page.ts'
import type { Measured, Results } from '../report/results.ts'
import type { Source } from '../report/source.ts'
import type { TrainingReport } from '../report/training.ts'
import { recordVerification } from '../report/verification-record.ts'
import type { Difference } from '../run/verify.ts'
import { version } from './version.ts'

export interface PackageOptions {
  /** What was compiled, for the manifest. */
  readonly model?: Source
  readonly masks?: Source
  /** How the masks found their weights, for the report. */
  readonly matching?: MatchSummary
  /** The difference between the masked and the compiled model, when it was looked for. */
  readonly verification?: Difference
  /** What was measured on this machine, to be written down as well; the package is then not the same on every run. */
  readonly measured?: Measured
  /** How the network was trained, where it was trained here. */
  readonly training?: TrainingReport
  /** Whether weights go into `model.onnx_data`. Absent: when they exceed what one ONNX file can hold. */
  readonly external?: boolean
  /** The compiled graph as ONNX, where the caller has lowered it already. */
  readonly lowered?: Lowered
  /** Aborted: the package is not written, unless it has been already; the old one stays. */
  readonly signal?: AbortSignal
}

/** A package that has been written. */
export interface Package {
  readonly directory: string
  readonly files: ReadonlyArray<ManifestFile>
  readonly manifest: Manifest
}

/** The compiled graph as it is written: with this version of chasec as its producer. */
export const lowerCompiled = (
  compiled: Compiled,
  options: Pick<PackageOptions, 'external'> = {},
): E.Either<WriteError, Lowered> => lower(compiled.graph, { producer: version, ...options })

/**
 * Writes a package: `model.onnx` (and `model.onnx_data`), `chasec.json`, `report.html`. The folder is replaced as a
 * whole; a crash at any point leaves the old package or the new one. The same arguments give the same bytes.
 *
 * Errors: the folder holds other files, the disk is full or fails, the model is too large for one file, a file that weights
 * are read from has changed, it was aborted.
 */
export const writePackage =
  (compiled: Compiled, directory: string, options: PackageOptions = {}): TaskEither<WriteError, Package> =>
  async () => {
    const models = options.lowered === undefined ? lowerFiles(compiled, options) : E.right(filesOf(options.lowered))
    if (E.isLeft(models)) return models
    const results = resultsOf(compiled, options)
    const page = textFile('report.html', () => renderPage(results))
    const files: ManifestFile[] = []
    const content = [...models.right, page].map((file) => recorded(file, files))
    // Comes last: it lists what has been written.
    const own = textFile(manifestName, () => printManifest(makeManifest(results, files)))
    const { signal } = options
    const all = [...content, recorded(own, files)]
    const written = await writeFiles(directory, all, signal === undefined ? {} : { signal })()
    if (E.isLeft(written)) return written
    return E.right({ directory, files, manifest: makeManifest(results, files.slice(0, content.length)) })
  }

interface Content {
  readonly name: string
  readonly chunks: () => Iterable<Uint8Array>
}

/** The file, which is added to `files` when all of it has been given out. */
const recorded = ({ name, chunks }: Content, files: ManifestFile[]): PackageFile => {
  function* noted(): Iterable<Uint8Array> {
    const hash = createHash('sha256')
    let bytes = 0
    for (const chunk of chunks()) {
      hash.update(chunk)
      bytes += chunk.byteLength
      yield chunk
    }
    files.push({ name, bytes, sha256: hash.digest('hex') })
  }
  return { name, chunks: noted() }
}

/** The model in pieces that share the bytes of the graph's tensors: a weight is not copied to be written. */
const lowerFiles = (compiled: Compiled, { external }: PackageOptions): E.Either<WriteError, ReadonlyArray<Content>> =>
  pipe(
    lowerInPieces(compiled.graph, { producer: version, ...(external === undefined ? {} : { external }) }),
    E.map(({ model, external: data }) => [
      { name: 'model.onnx', chunks: model.chunks },
      ...(data === undefined ? [] : [data]),
    ]),
  )

const filesOf = ({ model, external }: Lowered): ReadonlyArray<Content> => [
  { name: 'model.onnx', chunks: () => [model] },
  ...(external === undefined ? [] : [external]),
]

const textFile = (name: string, text: () => string): Content => ({
  name,
  chunks: () => [new TextEncoder().encode(text())],
})

const resultsOf = (
  { report }: Compiled,
  { model, masks, matching, verification, measured, training }: PackageOptions,
): Results => ({
  version,
  report,
  ...(model === undefined ? {} : { model }),
  ...(masks === undefined ? {} : { masks }),
  ...(matching === undefined ? {} : { matching }),
  ...(verification === undefined ? {} : { verification: recordVerification(verification) }),
  ...(measured === undefined ? {} : { measured }),
  ...(training === undefined ? {} : { training }),
})
