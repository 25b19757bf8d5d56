/** What every way of dividing a sparsity among the layers of a model answers. */
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import type { Masks } from '../../masks/mask.ts'
import type { PruneWeightsOptions, WeightComparison, WeightGradients } from '../../passes/prune-weights.ts'
import type { RunnerOptions } from '../../run/runner.ts'
import type { BackendName } from '../../train/backend/backend.ts'
import type { CalibrationSource } from '../calibrate.ts'

/** What is divided, among what, and on what samples. What weights are compared by and in is as {@link PruneWeightsOptions} has it. */
export interface RatioOptions
  extends Omit<PruneWeightsOptions, 'pattern' | 'ratios'>, Omit<RunnerOptions, 'freeDimensions' | 'tf32'> {
  /** Fraction of all weights that shall go: 0 to 1, 1 excluded. */
  readonly sparsity: number
  /** The largest share of a layer that goes; each method has its default. */
  readonly most?: number
  /** Samples that the model runs on, at most; default 32. */
  readonly samples?: number
  /** Samples that are run at once, where the model leaves that open; default 8. */
  readonly batch?: number
  /** `ecoflap`: how far weights are moved; default 0.001. */
  readonly epsilon?: number
  /** `ecoflap`: of the directions in which they are; default 1. */
  readonly seed?: number
  /** `lpvit`: whether what reading a layer's blocks takes counts, too; default false. */
  readonly power?: boolean
  /** `lpvit`: what gradients are computed with where none are given; default `auto`. */
  readonly backend?: BackendName | 'auto'
  /** Called with the layers or samples that are done, and all of them where that is known. */
  readonly onProgress?: (done: number, all: number | undefined) => void
}

export interface LayerRatio {
  readonly weight: ValueId
  readonly layer: string
  /** Share of its weights that goes. */
  readonly ratio: number
  /** What the method found the layer to be worth, as it measures that. */
  readonly importance: number
}

export interface LayerRatios {
  /** What goes of each layer, by weight: for `pruneWeights`. */
  readonly ratios: ReadonlyMap<ValueId, number>
  /** In graph order. */
  readonly layers: ReadonlyArray<LayerRatio>
  /** What layers were judged by: `cross-entropy` of labels, or the `mean-square` of the output. */
  readonly loss: 'cross-entropy' | 'mean-square'
  readonly samples: number
  /** What computed it, with its version. */
  readonly runtime: string
  /** Those that were given or computed. */
  readonly gradients?: WeightGradients
}

/** The layers compared of a model that is masked already, to be given their shares. */
export interface RatioInput {
  readonly graph: Graph
  readonly masks: Masks
  readonly comparison: WeightComparison
  readonly source: CalibrationSource
  /** Where the method needs them. */
  readonly gradients:
    { readonly values: WeightGradients; readonly samples: number; readonly runtime: string } | undefined
  readonly options: RatioOptions
}

export interface RatioMethod {
  /** Whether it asks for gradients of the output. */
  readonly needsGradients: boolean
  readonly divide: (input: RatioInput) => TaskEither<Failure, LayerRatios>
}
