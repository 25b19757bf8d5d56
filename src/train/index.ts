/** Training: graphs, data and recipes in, trained graphs and their masks out. Node only. */
export { type Backend, type BackendError, type BackendName, backendNames } from './backend/backend.ts'
export { type BackendReport, describeBackends, openBackend } from './backend/open.ts'
export {
  dataKinds,
  type DataError,
  type DataSet,
  openData,
  type OpenOptions,
  parseDataSource,
  stepsPerEpoch,
} from './data/index.ts'
export * from './loop/index.ts'
export * from './recipe/index.ts'
export * from './soup/index.ts'
export * as sparse from './sparse/index.ts'
