/** Training: graphs, data and recipes in, trained graphs and their masks out. Node only. */
export { adaptClassifier, type AdaptError, type AdaptOptions, type Head, heads } from './adapt/index.ts'
export { type Backend, type BackendError, type BackendName, backendNames } from './backend/backend.ts'
export { type BackendReport, describeBackends, openBackend } from './backend/open.ts'
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
  stepsPerEpoch,
} from './data/index.ts'
export { dataKinds, openData, type OpenOptions, parseDataSource } from './data/open.ts'
export * from './loop/index.ts'
export * from './recipe/index.ts'
export { decodeSweep, type RunSettings, type SweepError, type SweepRun } from './recipe/sweep.ts'
export * from './soup/index.ts'
export * as sparse from './sparse/index.ts'
