/** What may be chosen of runners, for the checks of options. */
import { graphOptimizationLevels, providerNames, runtimeNames } from './protocol.ts'

/** What every call that runs models takes. */
export const runnerChoices = {
  runtime: runtimeNames,
  provider: [...providerNames, 'auto'],
  threads: 'any',
  timeoutSeconds: 'any',
  graphOptimizationLevel: graphOptimizationLevels,
  worker: 'any',
} as const
