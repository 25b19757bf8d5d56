/** Data sets and their batches, in Node and in browsers; `open.ts` reads published files, in Node. */
export {
  type Batch,
  batchesInOrder,
  type BatchOptions,
  drawBatch,
  type DrawnBatch,
  drawTrainingBatch,
  loadBatch,
} from './batch.ts'
export type { Augmentation } from './cuts.ts'
export type { DataSet, ImageShape, Split } from './data-set.ts'
export type { Division } from './divide.ts'
export type { DataError } from './error.ts'
export { dataSetOf, type ImageArrays, type LabelledImages } from './from-arrays.ts'
export { type Normalisation, normalisations } from './normalisation.ts'
export { type Cursor, cursorFrom, cursorWords, startOf, stepsPerEpoch } from './order.ts'
