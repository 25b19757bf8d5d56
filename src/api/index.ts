/**
 * chasec: compiles an ONNX model with pruning masks into a smaller one that computes the same, and trains such models.
 *
 * Everything a user can get wrong comes back as `Left` of a {@link Failure}; {@link renderError} makes it a sentence. The
 * same calls as rejecting promises are in `chasec/promise`.
 *
 * @module chasec
 */
export { type Failure, renderError } from '../ir/failure.ts'
export type { Graph } from '../ir/graph.ts'
export type { Target } from '../passes/target.ts'
export { macsOf } from '../passes/compile.ts'

export { readModel } from '../read/file.ts'
export { readAnyModel as readModelBytes } from '../read/any-model.ts'
export type { ReadOptions } from '../read/model.ts'
export type { ReadError } from '../read/error.ts'

export { type MaskSources, readMaskMap, readMasks, readMatching } from '../read/masks.ts'
export { readTensors } from '../read/tensors.ts'
export { decodeFile, decodeMasks, encodeMasks } from '../masks/files.ts'
export type { FileContents, FileEntry } from '../masks/file-entry.ts'
export {
  decodeMap,
  type MapEntry,
  type MaskFileError,
  type MaskMap,
  type Matching,
  matchMasks,
  type MatchOptions,
  type MatchSummary,
  summariseMatching,
} from '../masks/match/index.ts'
export { axisMask, elementMask, expandMask, intersectMasks, type Mask, type Masks, noMasks } from '../masks/mask.ts'
export { zerosOf } from '../masks/zeros.ts'
export type { ChannelScore } from '../masks/scores.ts'

export { compile } from '../package/compile.ts'
export {
  type Compiled,
  type CompileOptions,
  type CompileReport,
  type LayerReport,
  type Remainder,
  type Totals,
  type Width,
} from '../passes/compile.ts'
export { applyMasks } from '../passes/apply-masks.ts'
export { inspect, type Inspection, type LayerFacts } from '../passes/inspect.ts'
export { type Picture, type Pictures, picturesOf } from '../passes/pictures.ts'
export { observers, type Observer, type Pass, type PassError, stopAfter } from '../passes/pass.ts'
export { type Pruned, pruneChannels, type PruneOptions } from '../passes/prune.ts'
export { type Budget, type Budgeted, type BudgetOptions, pruneToBudget } from '../package/budget.ts'

export { lower, type Lowered, type LowerOptions } from '../export/lower.ts'
export type { WriteError } from '../disk/error.ts'
export { sourceOf } from '../package/digest.ts'
export { lowerCompiled } from '../package/contents.ts'
export { type FileBytes, packageBytes, type PackageBytes, sourceOfBytes } from '../package/package-bytes.ts'
export { type Package, type PackageOptions, writePackage } from '../package/write-package.ts'
export type { Manifest } from '../report/manifest.ts'
export type { Source } from '../report/source.ts'

export { verify, type Difference, type VerifyOptions } from '../run/verify.ts'
export { maskedModel, runnable } from '../package/runnable.ts'
export { verifyCompiled } from '../package/verify-compiled.ts'
export { classify, type Classified, disagreements } from '../package/classify.ts'
export { measure, type Measurement, type MeasureOptions } from '../run/measure.ts'
export { type ProviderReport, providers } from '../run/providers.ts'
export type { RunError } from '../run/error.ts'
export type { ModelSource, Tensors } from '../run/runner.ts'
export { version } from '../package/version.ts'

// Training. TensorFlow.js is loaded when a backend is opened, not before.
export { train, type CheckpointOptions, type Trained, type TrainOptions } from '../train/loop/train.ts'
export type { TrainError } from '../train/loop/error.ts'
export type { EvaluationProgress, Progress } from '../train/loop/progress.ts'
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
export {
  dataKinds,
  type DataError,
  type DataSet,
  type ImageShape,
  openData,
  type OpenOptions,
  type Split,
} from '../train/data/index.ts'
export { type Backend, type BackendError, type BackendName, backendNames } from '../train/backend/backend.ts'
export { type BackendReport, describeBackends, openBackend } from '../train/backend/open.ts'
export { type Model, type ModelEntry, type ModelError, type ModelOptions, models, parseModel } from '../models/index.ts'

// Sparse training on plain typed arrays, for any training loop: which masks to start with, and how they change.
export * as sparse from '../train/sparse/index.ts'
export { networkOf } from '../train/loop/network.ts'
export { dense as denseTensor, float32View, type Tensor, tensorOf } from '../ir/tensor.ts'
export { decodeSafetensors, encodeSafetensors, type TensorFile } from '../masks/safetensors.ts'
