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
export type { DataError } from './error.ts'
export { type Normalisation, normalisations } from './normalisation.ts'
export { dataKinds, openData, type OpenOptions, parseDataSource } from './open.ts'
export { type Cursor, cursorFrom, cursorWords, startOf, stepsPerEpoch } from './order.ts'
