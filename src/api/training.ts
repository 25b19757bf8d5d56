/**
 * Training without Node: for pages and their workers. It wants the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-wasm;
 * models are read, compiled and written by `chasec/compiler`.
 *
 * Its names mean what they mean in `chasec`, but {@link openBackend}, which is given TensorFlow.js's build, and {@link train}, which is
 * given an open backend and keeps checkpoints where the page says.
 *
 * @module chasec/training
 */
export { type BrowserOpenOptions as OpenOptions, openBackend } from '../train/backend/open-in-browser.ts'
export type { Backend, BackendError } from '../train/backend/backend.ts'
export {
  type BrowserCheckpointOptions as CheckpointOptions,
  type BrowserTrainOptions as TrainOptions,
  train,
} from '../train/loop/train-in-browser.ts'
export type { Trained } from '../train/loop/training.ts'
export type { TrainError } from '../train/loop/error.ts'
export type { EvaluationProgress, Progress } from '../train/loop/progress.ts'
export { type History, type HistoryEntry, historyLines, historyTable } from '../train/loop/history.ts'
export {
  type DataError,
  type DataSet,
  dataSetOf,
  type Division,
  type ImageArrays,
  type ImageShape,
  type LabelledImages,
  normalisations,
} from '../train/data/index.ts'
export { decodeRecipe, methodNames, presets, type Recipe, type RecipeError } from '../train/recipe/index.ts'
export { type Model, type ModelOptions, models, parseModel } from '../models/index.ts'
