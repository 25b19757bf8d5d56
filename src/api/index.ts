/**
 * chasec: compiles an ONNX model with pruning masks into a smaller one that computes the same, and trains such models.
 *
 * Everything a user can get wrong comes back as `Left` of a {@link Failure}; {@link renderError} makes it a sentence. The
 * same calls as rejecting promises are in `chasec/promise`.
 *
 * @module chasec
 */
export * from './compiler.ts'

export { readModel } from '../read/file.ts'
// In the place of the compiler's: TensorFlow.js is read without being asked for.
export { readAnyModel as readModelBytes } from '../read/any-model.ts'
export { type MaskSources, readMaskMap, readMasks, readMatching } from '../read/masks.ts'
export { readTensors } from '../read/tensors.ts'
export { sourceOf } from '../package/digest.ts'
export { type Package, type PackageOptions, writePackage } from '../package/write-package.ts'

export { verify, type Difference, type VerifyOptions } from '../run/verify.ts'
export { verifyCompiled } from '../package/verify-compiled.ts'
export { measureFloat16 } from '../package/measure-float16.ts'
export { calibrate, type CalibrateOptions, type Calibration, type CalibrationSource } from '../package/calibrate.ts'
export { type GradientOptions, outputGradients, type OutputGradients } from '../package/gradients.ts'
export {
  type LayerRatio,
  layerRatios,
  type LayerRatios,
  type RatioName,
  ratioNames,
  type RatioOptions,
} from '../package/ratios/index.ts'
export { sliceStream, type Sliced, type SliceOptions } from '../package/slice-stream.ts'
export type { SlicedValue } from '../passes/slice-stream/rotate.ts'
export { type KneeOptions, findKnee, type FoundKnee } from '../package/knee.ts'
export { classify, type Classified, disagreements } from '../package/classify.ts'
export { measure, type Measurement, type MeasureOptions } from '../run/measure.ts'
export { type ProviderReport, providers } from '../run/providers.ts'
export type { RunError } from '../run/error.ts'
export type { ModelSource, Tensors } from '../run/runner.ts'

// Training. TensorFlow.js is loaded when a backend is opened, not before.
export { train, type CheckpointOptions, type TrainOptions } from '../train/loop/train.ts'
export type { Trained } from '../train/loop/training.ts'
export { adaptClassifier, type AdaptError, type AdaptOptions, type Head, heads } from '../train/adapt/index.ts'
export type { TrainError } from '../train/loop/error.ts'
export type { EvaluationProgress, Progress } from '../train/loop/progress.ts'
export {
  type Ingredient,
  soup,
  type Soup,
  type SoupChoice,
  type SoupError,
  type SoupOptions,
  type SoupProgress,
  type TriedIngredient,
} from '../train/soup/index.ts'
export {
  type EpochEntry,
  type History,
  type HistoryEntry,
  historyLines,
  historyTable,
  type LayersLeft,
  type PlanEntry,
  type Score,
  type TestEntry,
  type UpdateEntry,
} from '../train/loop/history.ts'
export {
  decodeRecipe,
  type LearningRate,
  type Method,
  methodNames,
  policyOf,
  presets,
  type Recipe,
  type RecipeError,
} from '../train/recipe/index.ts'
export { decodeSweep, type RunSettings, type SweepError, type SweepRun } from '../train/recipe/sweep.ts'
export {
  type DataError,
  type DataSet,
  dataSetOf,
  type Division,
  type ImageArrays,
  type ImageShape,
  type LabelledImages,
  type Normalisation,
  normalisations,
  type Split,
} from '../train/data/index.ts'
export { dataKinds, openData, type OpenOptions } from '../train/data/open.ts'
export { type Backend, type BackendError, type BackendName, backendNames } from '../train/backend/backend.ts'
export { type BackendReport, describeBackends, openBackend } from '../train/backend/open.ts'
export { type Model, type ModelEntry, type ModelError, type ModelOptions, models, parseModel } from '../models/index.ts'

// Sparse training on plain typed arrays, for any training loop: which masks to start with, and how they change.
export * as sparse from '../train/sparse/index.ts'
export { networkOf } from '../train/loop/network.ts'
