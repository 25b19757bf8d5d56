/** From a trained network to a package: compiled, verified, tested on every test image, measured, written. */
import * as E from 'fp-ts/lib/Either.js'
import { classify, disagreements } from '../../classify.ts'
import { lower, type Lowered } from '../../export/lower.ts'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Target } from '../../ir/op.ts'
import { encodeMasks } from '../../masks/files.ts'
import { expandMask, type Masks } from '../../masks/mask.ts'
import { layersOf } from '../../masks/weights.ts'
import { compile, type Compiled, totalsOf } from '../../passes/compile.ts'
import type { LayerWidths, NetworkFigures, TrainingReport } from '../../report/training.ts'
import { measure } from '../../run/measure.ts'
import type { Provider } from '../../run/protocol.ts'
import type { Difference } from '../../run/verify.ts'
import type { DataSet, Trained } from '../../train/index.ts'
import { runnable, verifyCompiled } from '../../verify-compiled.ts'
import { lowerCompiled, type Package, writePackage } from '../../write-package.ts'
import { uninterrupted } from '../interrupt.ts'
import { runProgress, type Say } from '../progress.ts'
import { writeFileWhole } from '../write-file.ts'
import type { RunFolder } from './run-folder.ts'

/** The network that the others are compared with. */
export interface Baseline {
  readonly graph: Graph
  /** Where its weights come from. */
  readonly about: string
  /** Whether these weights are worth testing. */
  readonly trained: boolean
}

export interface FinishJob extends Omit<TrainingReport, 'networks' | 'widths' | 'test' | 'history'> {
  readonly dense: Baseline
  readonly trained: Trained
  readonly images: DataSet
  readonly folder: RunFolder
  readonly target: Target
  readonly provider: Provider | 'auto'
}

export interface Finished {
  readonly compiled: Compiled
  readonly difference: Difference
  /** Absent where the compiled network computes something else: then no package is written. */
  readonly package?: Package
  readonly training?: TrainingReport
}

/** Images at once when speed is measured. */
const measuredBatch = 32

/** Compiles what was trained and leaves a package. The trained network and its masks are written first, and stay. */
export const finish = async (job: FinishJob, say: Say): Promise<E.Either<Failure, Finished>> => {
  const { trained, dense, images, folder, target, provider } = job
  const onProgress = runProgress(say)
  say('writing the trained network')
  const masked = await saveTrained(trained, folder)
  if (E.isLeft(masked)) return masked
  say('compiling')
  const compiled = compile(trained.graph, trained.masks, { target })
  if (E.isLeft(compiled)) return compiled
  const lowered = lowerCompiled(compiled.right)
  if (E.isLeft(lowered)) return lowered
  const difference = await verifyCompiled(trained.graph, trained.masks, lowered.right, { provider, onProgress })()
  if (E.isLeft(difference)) return difference
  if (!difference.right.equal) return E.right({ compiled: compiled.right, difference: difference.right })

  const original = lower(dense.graph)
  if (E.isLeft(original)) return original
  const models = [
    runnable(original.right, 'dense'),
    runnable(masked.right, 'masked'),
    runnable(lowered.right, 'compiled'),
  ]
  say(`testing on ${images.test.size} images`)
  const classified = await classify(models, images, images.test, { provider })()
  if (E.isLeft(classified)) return classified
  const speeds = await measure(models, { provider, batch: measuredBatch, onProgress })()
  if (E.isLeft(speeds)) return speeds
  const [ofDense, ofMasked, ofCompiled] = classified.right
  const [denseSpeed, maskedSpeed, compiledSpeed] = speeds.right
  if (!ofDense || !ofMasked || !ofCompiled || !denseSpeed || !maskedSpeed || !compiledSpeed) {
    throw new Error('as many results as models')
  }
  const gone = maskedWeights(trained.masks)
  const shrunk = totalsOf(trained.graph).parameters < totalsOf(dense.graph).parameters
  const networks: ReadonlyArray<NetworkFigures> = [
    {
      name: 'dense',
      about: dense.about,
      ...(dense.trained ? { accuracy: ofDense.accuracy } : {}),
      ...figuresOf(dense.graph, original.right, 0),
      speed: denseSpeed,
    },
    {
      name: 'masked',
      about: shrunk ? 'as trained; channels left while training' : 'as trained',
      accuracy: ofMasked.accuracy,
      ...figuresOf(trained.graph, masked.right, gone),
      speed: maskedSpeed,
    },
    {
      name: 'compiled',
      about: 'the package',
      accuracy: ofCompiled.accuracy,
      ...figuresOf(compiled.right.graph, lowered.right, 0),
      speed: compiledSpeed,
    },
  ]
  const { model, data, backend, recipe } = job
  const test = { images: images.test.size, differing: disagreements(ofMasked, ofCompiled) }
  const widths = widthsOf(dense.graph, compiled.right)
  const training: TrainingReport = { model, data, backend, recipe, networks, widths, test, history: trained.history }
  say(`writing ${folder.package}`)
  const options = { verification: difference.right, lowered: lowered.right, training }
  const written = await uninterrupted(writePackage(compiled.right, folder.package, options))
  if (E.isLeft(written)) return written
  return E.right({ compiled: compiled.right, difference: difference.right, package: written.right, training })
}

/** Writes a trained network and its masks as `chasec compile` takes them; gives the network as it was written. */
export const saveTrained = async (
  { graph, masks }: Trained,
  folder: RunFolder,
): Promise<E.Either<Failure, Lowered>> => {
  const lowered = lower(graph)
  if (E.isLeft(lowered)) return lowered
  const network = await writeFileWhole(folder.model, [lowered.right.model], true)
  if (E.isLeft(network)) return network
  const written = await writeFileWhole(folder.masks, encodeMasks(masks), true)
  return E.isLeft(written) ? written : lowered
}

const widthsOf = (dense: Graph, { report }: Compiled): ReadonlyArray<LayerWidths> => {
  const widths = new Map(
    layersOf(dense).map(({ weight, tensor, contraction }) => [weight, tensor.shape[contraction.weightOutputAxis]]),
  )
  return report.layers.map(({ layer, weight, outputs }) => ({
    layer,
    dense: widths.get(weight) ?? outputs.before,
    trained: outputs.before,
    compiled: outputs.after,
  }))
}

const maskedWeights = (masks: Masks): number => {
  let count = 0
  for (const mask of masks.values()) for (const bit of expandMask(mask)) count += 1 - bit
  return count
}

const figuresOf = (
  graph: Graph,
  { model, external }: Lowered,
  masked: number,
): Pick<NetworkFigures, 'parameters' | 'live' | 'macs' | 'bytes'> => {
  const { parameters, macs } = totalsOf(graph)
  return { parameters, live: parameters - masked, macs, bytes: model.byteLength + (external?.length ?? 0) }
}
