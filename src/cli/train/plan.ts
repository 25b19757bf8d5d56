/** What a run is about to do: its settings, worked out against its data and its network. */
import type { Graph } from '../../ir/graph.ts'
import { totalsOf } from '../../passes/compile.ts'
import type { PlannedUpdates, TrainingPlan } from '../../report/terminal/training-plan.ts'
import { type DataSet, policyOf, type Recipe, sparse, stepsPerEpoch } from '../../train/index.ts'
import type { Settings } from './settings.ts'

export interface PlanInputs {
  readonly graph: Graph
  readonly data: DataSet
  readonly folder: string
  readonly checkpointEvery: number | undefined
  readonly epochsUnsaid: boolean
}

export const planOf = (settings: Settings, inputs: PlanInputs): TrainingPlan => {
  const { model, masks, dense, recipe } = settings
  const { graph, data, folder, checkpointEvery, epochsUnsaid } = inputs
  const perEpoch = stepsPerEpoch(data.train.size, recipe.batch, recipe.partial)
  return {
    ...{ model, totals: totalsOf(graph), data, recipe, stepsPerEpoch: perEpoch, epochsUnsaid, masks, dense, folder },
    updates: updatesOf(recipe, perEpoch),
    checkpointEvery: checkpointEvery ?? perEpoch,
  }
}

/** When the method acts. */
const updatesOf = ({ method, epochs }: Recipe, perEpoch: number): ReadonlyArray<PlannedUpdates> => {
  const length = { steps: epochs * perEpoch, stepsPerEpoch: perEpoch }
  const due = (removing: boolean): ReadonlyArray<number> => {
    const phases = policyOf(method, length).phases.filter(
      ({ moves }) => moves.some(sparse.removesChannels) === removing && !moves.every(sparse.isQuiet),
    )
    return [...new Set(phases.flatMap((phase) => sparse.dueSteps(phase, length.steps)))].toSorted((a, b) => a - b)
  }
  const [masks, channels] = [due(false), due(true)]
  return [
    ...(masks.length === 0 ? [] : [{ what: 'masks change', steps: masks } as const]),
    ...(channels.length === 0 ? [] : [{ what: 'channels leave', steps: channels } as const]),
  ]
}
