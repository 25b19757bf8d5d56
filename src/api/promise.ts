/**
 * The calls of `chasec` for those who do not use fp-ts: each resolves to what the other entry has as `Right`, and rejects
 * with a {@link FailureError} for what it has as `Left`. Calls that cannot fail are the same in both.
 *
 * @module chasec/promise
 */
import * as api from './index.ts'
import { fromEither, fromTask } from './settle.ts'

export { type FailureError, isFailureError } from './settle.ts'

/** The graph that an ONNX file holds, or a model of TensorFlow.js: by its path, or its bytes. Rejects what is no valid model. */
export const readModel = fromTask(api.readModel)

/** The graph that the bytes of an ONNX file hold, or of the `model.json` of a TensorFlow.js model; they must not change afterwards. */
export const readModelBytes = fromEither(api.readModelBytes)

/** The masks for a graph that a file (safetensors, npz or a PyTorch checkpoint), or its bytes, hold; each finds its weight. */
export const readMasks = fromTask(api.readMasks)

/** As {@link readMasks}, with how each mask found its weight, and the graph that they are for, which may have more constants. */
export const readMatching = fromTask(api.readMatching)

/** A file, JSON or YAML, that says where masks belong. */
export const readMaskMap = fromTask(api.readMaskMap)

/** The tensors of a file (safetensors, npy, npz or a PyTorch checkpoint), or of its bytes. */
export const readTensors = fromTask(api.readTensors)

/** The masks for a graph that these bytes hold. */
export const decodeMasks = fromEither(api.decodeMasks)

/** The tensors that these bytes hold, told by their content. */
export const decodeFile = fromEither(api.decodeFile)

/** A map of masks from parsed JSON or YAML. */
export const decodeMap = fromEither(api.decodeMap)

/** Finds the weight that each tensor of a file of masks belongs to. Rejects what is not certain, with the candidates. */
export const matchMasks = fromEither(api.matchMasks)

/**
 * Compiles a graph with every weight multiplied by its mask: removes what computes nothing, folds what is left; exact up to
 * rounding. Without masks what is dead already goes. Rejects masks that do not fit.
 */
export const compile = fromEither(api.compile)

/**
 * The compiled model in half precision (float16), lossy: half the bytes, for GPUs. Inputs and outputs stay float32 unless
 * `keepIoTypes` is false; `report.float16` says what stays in float32 and why. Rejects names of nodes or operators that there are not.
 */
export const toFloat16 = fromEither(api.toFloat16)

/** The table of what work takes on a machine, from the text that `chasec tune` wrote; the second argument is what errors call it. */
export const parseCosts = fromEither(api.parseCosts)

/** The graph with every weight multiplied by its mask, and nothing else changed. */
export const applyMasks = fromEither(api.applyMasks)

/** Layer by layer: densities, dead and constant channels, scores, and what compiling would make of it. */
export const inspect = fromEither(api.inspect)

/** Pictures of the weights of the layers, before and after, for the report. */
export const picturesOf = fromEither(api.picturesOf)

/** Masks the channels that are worth least (lossy); the graph stays as it is. Give `channels`, the fraction that shall be gone. */
export const pruneChannels = fromEither(api.pruneChannels)

/**
 * The same for what may be left of the compiled model: `macs` or `parameters`, fractions, or `bytes` of the file. Rejects what cannot
 * be met.
 */
export const pruneToBudget = fromEither(api.pruneToBudget)

/**
 * Masks the single weights that are worth least (lossy): `sparsity`, a fraction, or a `pattern` like `2:4`. Rejects scores by activations
 * without statistics.
 */
export const pruneWeights = fromEither(api.pruneWeights)

/** What the layers of a graph read on a calibration set, by input channel: the path of a set, or inputs themselves. */
export const calibrate = fromTask(api.calibrate)

/** The gradients of the mean square of the first output by the weights of a graph, over a calibration set. */
export const outputGradients = fromTask(api.outputGradients)

/** A sparsity of a whole graph divided among its layers by what they are worth on a calibration set: `ratios` for {@link pruneWeights}. */
export const layerRatios = fromTask(api.layerRatios)

/** Masks more and more weights of a graph and runs each masked model beside the dense one: at which sparsity it breaks. */
export const findKnee = fromTask(api.findKnee)

/**
 * The residual stream of a transformer in the basis of its principal components on a calibration set, the smallest `fraction` of them zero
 * (SliceGPT; lossy). Rejects models that have no such stream.
 */
export const sliceStream = fromTask(api.sliceStream)

/** The statistics that `encodeStatistics` wrote. */
export const decodeStatistics = fromEither(api.decodeStatistics)

/** A graph as the bytes of an ONNX model, and of its weights where these go into a file of their own. */
export const lower = fromEither(api.lower)

/** Name and SHA-256 of a file, for the manifest of a package. */
export const sourceOf = fromTask(api.sourceOf)

/** The compiled graph as the bytes of an ONNX model, as a package has it. */
export const lowerCompiled = fromEither(api.lowerCompiled)

/** The files of a package in memory, byte for byte those of {@link writePackage}. */
export const packageBytes = fromTask(api.packageBytes)

/** Name and SHA-256 of bytes, for the manifest of a package. */
export const sourceOfBytes = fromTask(api.sourceOfBytes)

/** Writes `model.onnx`, `chasec.json` and `report.html` into a folder, which is replaced as a whole; never one with other files. */
export const writePackage = fromTask(api.writePackage)

/** Runs two models on the same inputs in ONNX Runtime and compares their outputs. A difference is no rejection: see `equal`. */
export const verify = fromTask(api.verify)

/** Runs the masked model against the compiled one, as {@link verify} does. */
export const verifyCompiled = fromTask(api.verifyCompiled)

/** Runs a compiled model and what `toFloat16` makes of it on random inputs, or given ones: how far their outputs are apart. */
export const measureFloat16 = fromTask(api.measureFloat16)

/** The model with every weight multiplied by its mask, as something to run. */
export const maskedModel = fromEither(api.maskedModel)

/** The predictions of models for the images of a data set, and their accuracy. */
export const classify = fromTask(api.classify)

/** Measures models side by side in one runtime: latency, throughput, speed against the first, each with its quartiles. */
export const measure = fromTask(api.measure)

/** What ONNX Runtime can run models on here, tried with a small one; best first. */
export const providers = fromTask(api.providers)

/**
 * A trained classifier made to fit other images and classes, to be trained further: `head` says what becomes of its last layers. Rejects
 * an end or an input that is not understood.
 */
export const adaptClassifier = fromEither(api.adaptClassifier)

/** Trains a graph sparsely, by a recipe. TensorFlow.js is loaded now. */
export const train = fromTask(api.train)

/** Averages the weights of trained networks with the same masks, and estimates the statistics of BatchNormalization anew. */
export const soup = fromTask(api.soup)

/** Rejects with everything that is wrong with the recipe. */
export const decodeRecipe = fromEither(api.decodeRecipe)

/** The runs of a grid of methods, densities, seeds and other values, each with its recipe. Rejects with everything that is wrong. */
export const decodeSweep = fromEither(api.decodeSweep)

/** A data set of images that a program has. Rejects labels and sizes that do not fit. */
export const dataSetOf = fromTask(api.dataSetOf)

/** Opens a data set: a kind and a folder, like `cifar10:DIR`. */
export const openData = fromTask(api.openData)

/** Opens a backend of TensorFlow.js by its name; `auto` takes the first that works here. */
export const openBackend = fromTask(api.openBackend)

/** A model of its own without classes, image size and seed; `build` rejects options that no such model can be built for. */
export interface Model {
  readonly name: string
  readonly build: (options: api.ModelOptions) => Promise<api.Graph>
}

/** A model that comes with chasec, by a name like `resnet20` or `mlp:300,100`. */
export const parseModel = async (text: string): Promise<Model> => {
  const { name, build } = await fromEither(api.parseModel)(text)
  return { name, build: fromEither(build) }
}

/** The tensors and the metadata of a safetensors file. */
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
  encodePackedMasks,
  encodeSafetensors,
  encodeStatistics,
  expandMask,
  float32View,
  heads,
  historyLines,
  historyTable,
  intersectMasks,
  macsOf,
  methodNames,
  models,
  networkOf,
  noMasks,
  normalisations,
  observers,
  policyOf,
  presets,
  ratioNames,
  renderError,
  renderPage,
  runnable,
  stopAfter,
  summariseMatching,
  tensorOf,
  version,
  zerosOf,
} from './index.ts'
export type * from './index.ts'
