/** Where the time of a training step goes, layer by layer. */
import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../../ir/graph.ts'
import { drawsFrom, seededRandom } from '../../ir/random.ts'
import { sizeOf } from '../../ir/type.ts'
import type { Backend } from '../backend/backend.ts'
import { buildExecutor, type Batch } from './executor.ts'
import type { UnsupportedTraining } from './plan.ts'
import { initialMoments, sgdStep } from './sgd.ts'
import { usualShapes } from './specialise.ts'

/** What one layer took in each of the steps that were timed, in milliseconds. */
export interface LayerTimes {
  /** The operator and the name of its node. */
  readonly label: string
  readonly forward: ReadonlyArray<number>
  readonly backward: ReadonlyArray<number>
}

export interface StepProfile {
  /** Examples in a step. */
  readonly batch: number
  /** In the order in which they are computed. */
  readonly layers: ReadonlyArray<LayerTimes>
  /** What the optimiser took: momentum and weight decay. */
  readonly optimiser: ReadonlyArray<number>
  /** Everything together, the loss too. */
  readonly steps: ReadonlyArray<number>
}

export interface ProfileOptions {
  /** Examples where the model leaves its first axis open. */
  readonly batch: number
  /** Steps that are timed, after two that are not. */
  readonly repeats: number
  /** Sizes of other open axes by name; usual ones for those that are missing. */
  readonly sizes?: Readonly<Record<string, number>>
}

const untimed = 2

/**
 * Steps of stochastic gradient descent on drawn numbers (normal, labels all 0: they change no time), each layer timed. The
 * backend must have computed when it answers, as those on a CPU have; on others the times would be of asking.
 */
export const profileSteps = async (
  graph: Graph,
  backend: Backend,
  { batch, repeats, sizes = {} }: ProfileOptions,
): Promise<E.Either<UnsupportedTraining, StepProfile>> => {
  const built = buildExecutor(graph, backend)
  if (E.isLeft(built)) return built
  const executor = built.right
  const drawn = drawnBatch(executor.graph, batch, sizes)
  const state = executor.initialState()
  const moments = initialMoments(backend, state.parameters)
  const layers = new Map<string, { readonly forward: number[]; readonly backward: number[] }>()
  const [steps, optimiser]: [number[], number[]] = [[], []]
  try {
    for (let step = 0; step < untimed + repeats; step++) {
      const isTimed = step >= untimed
      const start = performance.now()
      const result = executor.lossAndGradients(state, drawn, {
        observe: (label, way, milliseconds) => {
          const layer = layers.get(label) ?? { forward: [], backward: [] }
          layers.set(label, layer)
          if (isTimed) layer[way].push(milliseconds)
        },
      })
      if (E.isLeft(result)) return result
      const { loss, logits, gradients } = result.right
      await loss.data()
      const middle = performance.now()
      sgdStep(backend, state.parameters, moments, gradients, { learningRate: 1e-3, momentum: 0.9, weightDecay: 5e-4 })
      const end = performance.now()
      for (const tensor of [loss, logits, ...gradients.values()]) tensor.dispose()
      if (!isTimed) continue
      optimiser.push(end - middle)
      steps.push(end - start)
    }
  } finally {
    for (const tensor of [...state.parameters.values(), ...state.statistics.values(), ...moments.values()]) {
      tensor.dispose()
    }
    executor.dispose()
  }
  const timed = [...layers].map(([label, times]) => ({ label, ...times }))
  return E.right({ batch: drawn.labels.length, layers: timed, optimiser, steps })
}

const drawnBatch = (graph: Graph, batch: number, sizes: Readonly<Record<string, number>>): Batch => {
  const { normal } = drawsFrom(seededRandom(1, 'profile'))
  const usual = usualShapes(graph)
  const inputs = graph.inputs.map(({ name, type }) => {
    const declared = (type.kind === 'tensor' ? type.shape : undefined) ?? []
    const shape = declared.map((d, axis) =>
      typeof d === 'number' ? d : (sizes[d] ?? (axis === 0 ? batch : (usual.get(name)?.[axis] ?? 1))),
    )
    return [name, { values: Float32Array.from({ length: sizeOf(shape) }, normal), shape }] as const
  })
  return { inputs: new Map(inputs), labels: new Uint16Array(inputs[0]?.[1].shape[0] ?? batch) }
}
