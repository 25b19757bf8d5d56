/** Everything that is known of a compilation when it is written down. */
import type { MatchSummary } from '../masks/match/index.ts'
import type { CompileReport } from '../passes/compile.ts'
import type { Pictures } from '../passes/pictures.ts'
import type { Measurement } from '../run/measure.ts'
import type { Float16Error } from './float16-error.ts'
import type { Source } from './source.ts'
import type { TrainingReport } from './training.ts'
import type { VerificationRecord } from './verification-record.ts'

export interface Results {
  /** Version of chasec. */
  readonly version: string
  readonly report: CompileReport
  /** What the weights of the masked model look like, by name; for pages, not for machines. */
  readonly pictures?: Pictures
  /** The model and the masks that were compiled, where they came from files. */
  readonly model?: Source
  readonly masks?: Source
  /** Which mask was found to belong to which weight. */
  readonly matching?: MatchSummary
  readonly verification?: VerificationRecord
  /** How far half precision is off, where the model was changed to it. */
  readonly float16Error?: Float16Error
  /** What was measured on one machine; leaves the written files different on every run. */
  readonly measured?: Measured
  /** What whoever had it compiled says of the model. */
  readonly note?: string
  /** How the network was trained, where it was trained here; holds speeds of one machine too. */
  readonly training?: TrainingReport
}

export interface Measured {
  /** Largest relative difference between the outputs of the masked and the compiled model. */
  readonly relativeError?: number
  /** Speed of the masked model, then of the compiled one. */
  readonly speed?: ReadonlyArray<Measurement>
}
