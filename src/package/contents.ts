/** What a compiled model is written as: the files of a package. Pure; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { WriteError } from '../disk/error.ts'
import { type Lowered, type LoweredPieces, lower, lowerInPieces } from '../export/lower.ts'
import { manifestName } from '../export/manifest-name.ts'
import { tritonFiles, type TritonOptions } from '../export/triton.ts'
import type { Graph } from '../ir/graph.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import type { MatchSummary } from '../masks/match/index.ts'
import type { Compiled } from '../passes/compile.ts'
import type { Pictures } from '../passes/pictures.ts'
import { makeManifest, type Manifest, type ManifestFile, printManifest } from '../report/manifest.ts'
import { renderPage } from '../report/report-page.tsx'
import type { Float16Error } from '../report/float16-error.ts'
import type { Measured, Results } from '../report/results.ts'
import type { Source } from '../report/source.ts'
import type { TrainingReport } from '../report/training.ts'
import { recordVerification } from '../report/verification-record.ts'
import type { Difference } from '../run/verify.ts'
import { version } from './version.ts'

/** What is known of a compilation besides its result, and how its weights are to be kept. */
export interface ContentOptions {
  /** What was compiled, for the manifest. */
  readonly model?: Source
  readonly masks?: Source
  /** How the masks found their weights, for the report. */
  readonly matching?: MatchSummary
  /** What the weights of the masked model look like, for the report. */
  readonly pictures?: Pictures
  /** The difference between the masked and the compiled model, when it was looked for. */
  readonly verification?: Difference
  /** How far the model in half precision is from the one that was verified, when that was looked for. */
  readonly float16Error?: Float16Error
  /** What was measured on this machine, to be written down as well; the package is then not the same on every run. */
  readonly measured?: Measured
  /** A sentence for the report, such as where the model comes from. */
  readonly note?: string
  /** How the network was trained, where it was trained here. */
  readonly training?: TrainingReport
  /** Whether weights go into `model.onnx_data`. Absent: when they exceed what one ONNX file can hold. */
  readonly external?: boolean
  /**
   * The package as a model repository of the Triton Inference Server: `NAME/1/model.onnx` and `NAME/config.pbtxt` instead of
   * `model.onnx`.
   */
  readonly triton?: TritonOptions
  /** The compiled graph as ONNX, where the caller has lowered it already. */
  readonly lowered?: Lowered
}

const optionChoices: Readonly<Record<keyof ContentOptions, Choice>> = {
  triton: 'any',
  model: 'any',
  masks: 'any',
  matching: 'any',
  pictures: 'any',
  verification: 'any',
  float16Error: 'any',
  measured: 'any',
  note: 'any',
  training: 'any',
  external: 'any',
  lowered: 'any',
}

/** The compiled graph as it is written: with this version of chasec as its producer, and with the shapes of its values. */
export const lowerCompiled = (
  compiled: Compiled,
  options: Pick<ContentOptions, 'external'> = {},
): E.Either<WriteError, Lowered> => lower(compiled.graph, { producer: version, shapes: true, ...options })

export interface Content {
  readonly name: string
  /** Bytes; not said of what is short. */
  readonly length?: number
  /** The content in order, made piece by piece. */
  readonly chunks: () => Iterable<Uint8Array>
}

/** A package before it is written. */
export interface Contents {
  /** The model and the report, to be written in this order. */
  readonly files: ReadonlyArray<Content>
  /** The manifest that lists them, once their sizes and digests are known. */
  readonly manifest: (files: ReadonlyArray<ManifestFile>) => Manifest
}

/** `model.onnx` (and `model.onnx_data`), `report.html` and the manifest. The same arguments give the same bytes. */
export const contentsOf = (compiled: Compiled, options: ContentOptions): E.Either<WriteError, Contents> => {
  const wrong = wrongOption('WriteError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const models = options.lowered === undefined ? lowerFiles(compiled, options) : E.right(filesOf(options.lowered))
  if (E.isLeft(models)) return models
  const { triton } = options
  const placed = triton === undefined ? models : inRepository(compiled.graph, models.right, triton)
  if (E.isLeft(placed)) return placed
  const results = resultsOf(compiled, options)
  return E.right({
    files: [...placed.right, textFile('report.html', () => renderPage(results))],
    manifest: (files) => makeManifest(results, files),
  })
}

/** `chasec.json`, the last file of a package; its manifest is made when it is written. */
export const manifestContent = (manifest: () => Manifest): Content =>
  textFile(manifestName, () => printManifest(manifest()))

/** The model in pieces that share the bytes of the graph's tensors: a weight is not copied to be written. */
const modelPieces = (
  { graph }: Compiled,
  { external }: Pick<ContentOptions, 'external'> = {},
): E.Either<WriteError, LoweredPieces> =>
  lowerInPieces(graph, { producer: version, shapes: true, ...(external === undefined ? {} : { external }) })

/** Bytes of the model in a package, weights in a file of their own included. Nothing is written for it. */
export const modelBytes = (compiled: Compiled): E.Either<WriteError, number> =>
  pipe(
    modelPieces(compiled),
    E.map(({ model, external }) => model.length + (external?.length ?? 0)),
  )

const lowerFiles = (compiled: Compiled, options: ContentOptions): E.Either<WriteError, ReadonlyArray<Content>> =>
  pipe(
    modelPieces(compiled, options),
    E.map(({ model, external: data }) => [
      { name: 'model.onnx', length: model.length, chunks: model.chunks },
      ...(data === undefined ? [] : [data]),
    ]),
  )

const filesOf = ({ model, external }: Lowered): ReadonlyArray<Content> => [
  { name: 'model.onnx', length: model.byteLength, chunks: () => [model] },
  ...(external === undefined ? [] : [external]),
]

/** The files of the model where Triton looks for them. */
const inRepository = (
  graph: Graph,
  files: ReadonlyArray<Content>,
  options: TritonOptions,
): E.Either<WriteError, ReadonlyArray<Content>> =>
  pipe(
    tritonFiles(graph, options),
    E.map(({ model, config }) => [
      ...files.map((file) => ({ ...file, name: model(file.name) })),
      textFile(config.name, () => config.text),
    ]),
  )

const textFile = (name: string, text: () => string): Content => ({
  name,
  chunks: () => [new TextEncoder().encode(text())],
})

/** Everything that a package tells of a compilation. */
export const resultsOf = (
  { report }: Compiled,
  { model, masks, matching, pictures, verification, float16Error, measured, note, training }: ContentOptions,
): Results => ({
  version,
  report,
  ...(model === undefined ? {} : { model }),
  ...(masks === undefined ? {} : { masks }),
  ...(matching === undefined ? {} : { matching }),
  ...(pictures === undefined ? {} : { pictures }),
  ...(verification === undefined ? {} : { verification: recordVerification(verification) }),
  ...(float16Error === undefined ? {} : { float16Error }),
  ...(measured === undefined ? {} : { measured }),
  ...(note === undefined ? {} : { note }),
  ...(training === undefined ? {} : { training }),
})
