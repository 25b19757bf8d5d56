/**
 * The compiler of chasec alone: bytes in, bytes out. No Node, no TensorFlow.js, no disk; for browsers, workers and edges.
 *
 * Its names mean what they mean in `chasec`, but {@link readModelBytes}: here it reads ONNX, and models of TensorFlow.js where it
 * is given `tensorFlowJs`, the reader of `chasec/compiler/tensorflowjs`.
 *
 * @module chasec/compiler
 */
export { type Failure, renderError } from '../ir/failure.ts'
export type { Graph } from '../ir/graph.ts'
export { dense as denseTensor, float32View, type Tensor, tensorOf } from '../ir/tensor.ts'

export { readModelBytes, type ReadOptions } from '../read/model.ts'
export type { ExternalFile, ExternalReader } from '../read/external.ts'
export type { ReadError } from '../read/error.ts'

export { decodeFile, decodeMasks, encodeMasks } from '../masks/files.ts'
export { encodePackedMasks } from '../masks/packed/pack.ts'
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
export { type ChannelStatistics, decodeStatistics, encodeStatistics, type Statistics } from '../masks/statistics.ts'
export { decodeSafetensors, encodeSafetensors, type TensorFile } from '../masks/safetensors.ts'

export { compile } from '../package/compile.ts'
export {
  type Compiled,
  type CompileOptions,
  type CompileReport,
  type LayerReport,
  macsOf,
  type Remainder,
  type Totals,
  type Width,
} from '../passes/compile.ts'
export { toFloat16 } from '../package/float16.ts'
export type { Float16Options } from '../passes/float16/index.ts'
export type { ClampedConstant, Float16Report, KeptNode } from '../passes/float16/report.ts'
export type { Target } from '../passes/target.ts'
export { type CostError, parseCosts } from '../cost/read.ts'
export type { CostTable } from '../cost/table.ts'
export { applyMasks } from '../passes/apply-masks.ts'
export { inspect, type Inspection, type LayerFacts } from '../passes/inspect.ts'
export { observers, type Observer, type Pass, type PassError, stopAfter } from '../passes/pass.ts'
export { picturesOf, type Picture, type Pictures } from '../passes/pictures.ts'
export { type Pruned, pruneChannels, type PruneOptions, type PruneScore } from '../passes/prune.ts'
export { type PrunedWeights, pruneWeights, type PruneWeightsOptions } from '../passes/prune-weights.ts'
export { type Budget, type Budgeted, type BudgetOptions, pruneToBudget } from '../package/budget.ts'

export { lower, type Lowered, type LowerOptions } from '../export/lower.ts'
export type { WriteError } from '../disk/error.ts'
export { type ContentOptions, lowerCompiled } from '../package/contents.ts'
export { type FileBytes, packageBytes, type PackageBytes, sourceOfBytes } from '../package/package-bytes.ts'
export { maskedModel, runnable } from '../package/runnable.ts'
export type { Manifest } from '../report/manifest.ts'
export type { Float16Error, Float16OutputError } from '../report/float16-error.ts'
export type { Results } from '../report/results.ts'
export type { Source } from '../report/source.ts'
export { renderPage } from '../report/report-page.tsx'
export { version } from '../package/version.ts'
