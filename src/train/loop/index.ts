export { idlePhase } from './begin.ts'
export { densityOf } from './counts.ts'
export type { TrainError } from './error.ts'
export {
  type EpochEntry,
  type History,
  type HistoryEntry,
  historyLines,
  historyTable,
  isEntry,
  type LayersLeft,
  lastPlan,
  type PlanEntry,
  revived,
  type Score,
  type TestEntry,
  type UpdateEntry,
} from './history.ts'
export { networkOf } from './network.ts'
export type { EvaluationProgress, Progress } from './progress.ts'
export { type CheckpointOptions, train, type TrainOptions, tryTraining } from './train.ts'
export type { Trained } from './training.ts'
