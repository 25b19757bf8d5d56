/** Training: graphs, data and recipes in, trained graphs and their masks out. Node only. */
export { adaptClassifier, type AdaptError, type AdaptOptions, type Head, heads } from './adapt/index.ts'
export { type Backend, type BackendError, type BackendName, backendNames } from './backend/backend.ts'
export { type BackendReport, describeBackends, openBackend } from './backend/open.ts'
export {
  dataKinds,
  type DataError,
  type DataSet,
  type ImageShape,
  type Normalisation,
  normalisations,
  openData,
  type OpenOptions,
  parseDataSource,
  stepsPerEpoch,
} from './data/index.ts'
export * from './loop/index.ts'
export * from './recipe/index.ts'
export * from './soup/index.ts'
export * as sparse from './sparse/index.ts'
