/**
 * The calls of `chasec` for those who do not use fp-ts: each resolves to what the other entry has as `Right`, and rejects
 * with a {@link FailureError} for what it has as `Left`. Calls that cannot fail are the same in both.
 */
import * as api from './index.ts'
import { fromEither, fromTask } from './settle.ts'

export { type FailureError, isFailureError } from './settle.ts'

export const readModel = fromTask(api.readModel)
export const readModelBytes = fromEither(api.readModelBytes)
export const readMasks = fromTask(api.readMasks)
export const readMatching = fromTask(api.readMatching)
export const readMaskMap = fromTask(api.readMaskMap)
export const readTensors = fromTask(api.readTensors)
export const decodeMasks = fromEither(api.decodeMasks)
export const decodeFile = fromEither(api.decodeFile)
export const decodeMap = fromEither(api.decodeMap)
export const matchMasks = fromEither(api.matchMasks)

export const compile = fromEither(api.compile)
export const applyMasks = fromEither(api.applyMasks)
export const inspect = fromEither(api.inspect)
export const picturesOf = fromEither(api.picturesOf)
export const pruneChannels = fromEither(api.pruneChannels)

export const lower = fromEither(api.lower)
export const sourceOf = fromTask(api.sourceOf)
export const lowerCompiled = fromEither(api.lowerCompiled)
export const packageBytes = fromTask(api.packageBytes)
export const sourceOfBytes = fromTask(api.sourceOfBytes)
export const writePackage = fromTask(api.writePackage)

export const verify = fromTask(api.verify)
export const verifyCompiled = fromTask(api.verifyCompiled)
export const maskedModel = fromEither(api.maskedModel)
export const classify = fromTask(api.classify)
export const measure = fromTask(api.measure)
export const providers = fromTask(api.providers)

export const train = fromTask(api.train)
/** Rejects with everything that is wrong with the recipe. */
export const decodeRecipe = fromEither(api.decodeRecipe)
export const openData = fromTask(api.openData)
export const openBackend = fromTask(api.openBackend)

/** A model of its own without classes, image size and seed; `build` rejects options that no such model can be built for. */
export interface Model {
  readonly name: string
  readonly build: (options: api.ModelOptions) => Promise<api.Graph>
}

export const parseModel = async (text: string): Promise<Model> => {
  const { name, build } = await fromEither(api.parseModel)(text)
  return { name, build: fromEither(build) }
}

export const decodeSafetensors = fromEither(api.decodeSafetensors)

export * as sparse from './promise-sparse.ts'
export {
  axisMask,
  backendNames,
  dataKinds,
  denseTensor,
  describeBackends,
  disagreements,
  elementMask,
  encodeMasks,
  encodeSafetensors,
  expandMask,
  float32View,
  historyLines,
  historyTable,
  intersectMasks,
  macsOf,
  methodNames,
  models,
  networkOf,
  noMasks,
  observers,
  policyOf,
  presets,
  renderError,
  runnable,
  stopAfter,
  summariseMatching,
  tensorOf,
  version,
  zerosOf,
} from './index.ts'
export type * from './index.ts'
