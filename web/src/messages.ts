/** What the page and its workers say to each other. */
import type { Failure } from '../../src/ir/failure.ts'
import type { ChannelScore } from '../../src/masks/scores.ts'
import type { LayerFacts } from '../../src/passes/inspect.ts'
import type { PrunedWidth } from '../../src/passes/prune.ts'
import type { Totals } from '../../src/passes/compile.ts'
import type { Target } from '../../src/passes/target.ts'
import type { Results } from '../../src/report/results.ts'

/** A file as it was dropped, or the bytes of an example. Neither is copied when it is sent. */
export interface InputFile {
  readonly name: string
  readonly blob: Blob
}

/** A model with what lies beside it. */
export interface Input {
  readonly model: InputFile
  /** Files that tensors of the model keep their bytes in. */
  readonly beside: ReadonlyArray<InputFile>
  /** A file of masks; absent: the zeros that the weights hold are all that is masked. */
  readonly masks?: InputFile
}

/** How channels are selected; see `PruneOptions`. */
export interface Selection {
  /** Fraction of the channels that can go to mask; 0 selects none. */
  readonly channels: number
  readonly score: ChannelScore
  readonly scope: 'block' | 'all'
  readonly floor: number
}

/** What the page knows of a model before it is compiled. */
export interface Overview {
  readonly layers: ReadonlyArray<LayerFacts>
  readonly density: number
  readonly before: Totals
  /** By the masks that were given, before any channel is selected. */
  readonly after: Totals
  readonly sizes: Readonly<Record<string, number>>
}

/** What a selection would leave, told from the masks alone: compiling may find more to remove. */
export interface Preview {
  readonly channels: number
  readonly widths: ReadonlyArray<PrunedWidth>
  readonly wanted: number
  readonly removed: number
  readonly note?: string
}

/** To the worker that looks at a model. */
export type LookRequest =
  { readonly kind: 'open'; readonly input: Input } | { readonly kind: 'select'; readonly selection: Selection }

export type LookReply =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'overview'; readonly overview: Overview }
  | { readonly kind: 'preview'; readonly preview: Preview }
  | { readonly kind: 'failed'; readonly error: Failure }

/** To the worker that compiles. It keeps what it made, to measure it. */
export type CompileRequest =
  | {
      readonly kind: 'compile'
      readonly input: Input
      readonly selection: Selection
      readonly target: Target
    }
  | { readonly kind: 'measure' }

/** A package, and what it tells. */
export interface Packaged {
  readonly results: Results
  /** The package as a zip file, and the masks that were selected. */
  readonly zip: Uint8Array<ArrayBuffer>
  readonly masks?: Uint8Array<ArrayBuffer>
  readonly files: ReadonlyArray<{ readonly name: string; readonly bytes: number }>
}

export type CompileReply =
  | { readonly kind: 'progress'; readonly text: string; readonly fraction?: number }
  | { readonly kind: 'packaged'; readonly packaged: Packaged }
  | { readonly kind: 'failed'; readonly error: Failure }
