/** From a trained network to a package: compiled, verified, tested on every test image, measured, written. */
import * as E from 'fp-ts/lib/Either.js'
import { classify, disagreements } from '../../package/classify.ts'
import { lower, type Lowered } from '../../export/lower.ts'
import { type Failure, invariant } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Target } from '../../passes/target.ts'
import { float32View, materialize, type Tensor } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { encodeMasks } from '../../masks/files.ts'
import { compile, type Compiled, surveyOf, totalsOf } from '../../passes/compile.ts'
import { picturesOf } from '../../passes/pictures.ts'
import {
  type LayerWidths,
  type NetworkFigures,
  type SoupReport,
  type TrainingReport,
  validationOf,
} from '../../report/training.ts'
import { measure } from '../../run/measure.ts'
import type { Provider } from '../../run/protocol.ts'
import type { Difference } from '../../run/verify.ts'
import type { DataSet, Trained } from '../../train/index.ts'
import { runnable } from '../../package/runnable.ts'
import { verifyCompiled } from '../../package/verify-compiled.ts'
import { lowerCompiled } from '../../package/contents.ts'
import { type Package, writePackage } from '../../package/write-package.ts'
import { uninterrupted } from '../interrupt.ts'
import { runProgress, type Say } from '../progress.ts'
import { writeFileWhole } from '../write-file.ts'
import { writeLowered } from '../write-model.ts'
import type { RunFolder } from './run-folder.ts'

/** The network that the others are compared with. */
export interface Baseline {
  readonly graph: Graph
  /** Where its weights come from. */
  readonly about: string
  /** Whether these weights are worth testing. */
  readonly trained: boolean
}

export interface FinishJob extends Pick<TrainingReport, 'model' | 'data' | 'backend' | 'recipe'> {
  readonly dense: Baseline
  readonly trained: Pick<Trained, 'graph' | 'masks' | 'history'>
  /** What the network is the mean of, where it is that of several runs. */
  readonly soup?: SoupReport
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
  const { trained, dense, folder, target, provider } = job
  say('writing the trained network')
  const masked = await saveTrained(trained, folder)
  if (E.isLeft(masked)) return masked
  say('compiling')
  const compiled = compile(trained.graph, trained.masks, { target })
  if (E.isLeft(compiled)) return compiled
  const lowered = lowerCompiled(compiled.right)
  if (E.isLeft(lowered)) return lowered
  const difference = await verifyCompiled(trained.graph, trained.masks, lowered.right, {
    provider,
    onProgress: runProgress(say),
  })()
  if (E.isLeft(difference)) return difference
  if (!difference.right.equal) return E.right({ compiled: compiled.right, difference: difference.right })

  const original = lower(dense.graph)
  if (E.isLeft(original)) return original
  const shrunk = totalsOf(trained.graph).parameters < totalsOf(dense.graph).parameters
  const compared = await compare(
    [
      { name: 'dense', about: dense.about, graph: dense.graph, lowered: original.right, tested: dense.trained },
      {
        name: 'masked',
        about:
          job.soup === undefined ? (shrunk ? 'as trained; channels left while training' : 'as trained') : 'the soup',
        graph: trained.graph,
        lowered: masked.right,
        tested: true,
      },
      { name: 'compiled', about: 'the package', graph: compiled.right.graph, lowered: lowered.right, tested: true },
    ],
    job,
    say,
  )
  if (E.isLeft(compared)) return compared
  const { model, data, backend, recipe } = job
  const training: TrainingReport = {
    ...{ model, data, backend, recipe, ...compared.right },
    dense: totalsOf(dense.graph),
    validation: validationOf(trained.history),
    widths: widthsOf(dense.graph, trained.graph, compiled.right),
    history: trained.history,
    ...(job.soup === undefined ? {} : { soup: job.soup }),
  }
  const pictures = picturesOf(trained.graph, trained.masks)
  if (E.isLeft(pictures)) return pictures
  const options = {
    verification: difference.right,
    lowered: lowered.right,
    training,
    pictures: pictures.right,
  }
  const written = await uninterrupted((signal) => {
    say(`writing ${folder.package}`)
    return writePackage(compiled.right, folder.package, { ...options, signal })()
  })
  if (E.isLeft(written)) return written
  return E.right({ compiled: compiled.right, difference: difference.right, package: written.right, training })
}

interface Compared extends Pick<NetworkFigures, 'name' | 'about'> {
  readonly graph: Graph
  readonly lowered: Lowered
  /** Whether its accuracy means something. */
  readonly tested: boolean
}

/** Predictions for all test images, speed and size of each network; the last two ought to predict the same. */
const compare = async (
  networks: ReadonlyArray<Compared>,
  { images, provider }: FinishJob,
  say: Say,
): Promise<E.Either<Failure, Pick<TrainingReport, 'networks' | 'test'>>> => {
  const models = networks.map(({ name, lowered }) => runnable(lowered, name))
  say(`testing on ${images.test.size} images`)
  const classified = await classify(models, images, images.test, { provider })()
  if (E.isLeft(classified)) return classified
  const speeds = await measure(models, { provider, batch: measuredBatch, onProgress: runProgress(say) })()
  if (E.isLeft(speeds)) return speeds
  const figures = networks.map(({ name, about, graph, lowered, tested }, i): NetworkFigures => {
    const [result, speed] = [classified.right[i], speeds.right[i]]
    invariant(result !== undefined && speed !== undefined, 'a result for every model')
    return {
      name,
      about,
      ...(tested ? { accuracy: result.accuracy } : {}),
      ...sizesOf(graph, lowered),
      speed,
    }
  })
  const [masked, compiled] = classified.right.slice(-2)
  invariant(masked !== undefined && compiled !== undefined, 'two networks to compare')
  return E.right({
    networks: figures,
    test: { images: images.test.size, differing: disagreements(masked, compiled) },
  })
}

/** Writes a trained network and its masks as `chasec compile` takes them; gives the network as it was written. */
export const saveTrained = async (
  { graph, masks }: Pick<Trained, 'graph' | 'masks'>,
  folder: RunFolder,
): Promise<E.Either<Failure, Lowered>> => {
  const lowered = lower(graph)
  if (E.isLeft(lowered)) return lowered
  const network = await writeLowered(folder.model, lowered.right, { force: true })
  if (E.isLeft(network)) return network
  const written = await writeFileWhole(folder.masks, encodeMasks(masks), { force: true })
  return E.isLeft(written) ? written : lowered
}

const widthsOf = (dense: Graph, trained: Graph, { report }: Compiled): ReadonlyArray<LayerWidths> => {
  const known = new Map(surveyOf(dense).layers.map((layer) => [layer.weight, layer]))
  return report.layers.map(({ layer, weight, inputs, outputs, macs }) => {
    const was = known.get(weight)
    return {
      layer,
      dense: was?.outputs ?? outputs.before,
      trained: outputs.before,
      compiled: outputs.after,
      denseInputs: was?.inputs ?? inputs.before,
      macs: { dense: was?.macs ?? macs.before, compiled: macs.after },
      density:
        nonZerosIn(trained.constants.get(weight)) / Math.max(1, sizeOf(dense.constants.get(weight)?.shape ?? [])),
    }
  })
}

const sizesOf = (
  graph: Graph,
  { model, external }: Lowered,
): Pick<NetworkFigures, 'parameters' | 'nonZero' | 'macs' | 'bytes'> => {
  const { parameters, macs } = totalsOf(graph)
  return { parameters, nonZero: nonZeros(graph), macs, bytes: model.byteLength + (external?.length ?? 0) }
}

/** Parameters that are not 0. */
const nonZeros = (graph: Graph): number => [...graph.constants.values()].reduce((n, one) => n + nonZerosIn(one), 0)

const nonZerosIn = (tensor: Tensor | undefined): number => {
  let count = 0
  if (tensor?.dtype === 'float32') for (const x of float32View(materialize(tensor))) count += x === 0 ? 0 : 1
  return count
}
