/** `chasec.json`: what a package is, what it was made from, and what became of every layer. */
import type { MatchSummary } from '../masks/match/index.ts'
import { type CompactReport, compactReport } from './compile-json.ts'
import type { Float16Error } from './float16-error.ts'
import { toJson } from './json.ts'
import type { Measured, Results } from './results.ts'
import type { Source } from './source.ts'
import type { TrainingReport } from './training.ts'
import type { VerificationRecord } from './verification-record.ts'

/** A file of the package. */
export interface ManifestFile {
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export interface Manifest {
  /** Raised when a field changes its meaning. */
  readonly format: 1
  readonly tool: { readonly name: 'chasec'; readonly version: string }
  /** Null when the model was not read from a file. */
  readonly model: Source | null
  readonly masks: Source | null
  /** Which mask was found to belong to which weight; absent when none came from a file. */
  readonly matching?: MatchSummary
  readonly files: ReadonlyArray<ManifestFile>
  /** Null when the package was not verified. */
  readonly verification: VerificationRecord | null
  /** How far the model in half precision is from the one that was verified. */
  readonly float16Error?: Float16Error
  readonly measured?: Measured
  /** What whoever had it compiled says of the model. */
  readonly note?: string
  /** Without the history. */
  readonly training?: Omit<TrainingReport, 'history'>
  readonly report: CompactReport
}

export const makeManifest = (results: Results, files: ReadonlyArray<ManifestFile>): Manifest => ({
  format: 1,
  tool: { name: 'chasec', version: results.version },
  model: results.model ?? null,
  masks: results.masks ?? null,
  ...(results.matching === undefined ? {} : { matching: results.matching }),
  files,
  verification: results.verification ?? null,
  ...(results.float16Error === undefined ? {} : { float16Error: results.float16Error }),
  ...(results.measured === undefined ? {} : { measured: results.measured }),
  ...(results.note === undefined ? {} : { note: results.note }),
  ...(results.training === undefined ? {} : { training: withoutHistory(results.training) }),
  report: compactReport(results.report),
})

const withoutHistory = ({ history: _history, ...rest }: TrainingReport): Omit<TrainingReport, 'history'> => rest

/** The text of the manifest file; the same manifest gives the same bytes. */
export const printManifest = (manifest: Manifest): string => `${toJson(manifest)}\n`
