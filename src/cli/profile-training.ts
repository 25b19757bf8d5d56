/** `chasec bench --training`: where the time of training steps goes. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../ir/failure.ts'
import { readModel } from '../read/file.ts'
import { renderTrainingProfile } from '../report/terminal/training-profile-table.ts'
import { type ProfiledStep, summariseProfile } from '../report/training-profile.ts'
import type { Bindings } from '../run/inputs.ts'
import { openBackend } from '../train/backend/open.ts'
import { profileSteps } from '../train/executor/profile.ts'
import { done, type Outcome } from './outcome.ts'
import type { Say } from './progress.ts'
import type { Style } from '../report/terminal/style.ts'

export interface TrainingBench {
  /** One of those that have computed when they answer, so that a layer's time is its own. */
  readonly backend: 'tfjs-node' | 'wasm' | 'cpu'
  readonly batch: number
  readonly repeats: number
  readonly shape: Bindings
  readonly threads?: number
}

export const profileTraining = async (
  models: ReadonlyArray<string>,
  { backend: name, batch, repeats, shape, threads }: TrainingBench,
  style: Style,
  say: Say,
): Promise<E.Either<Failure, Outcome>> => {
  const backend = await openBackend(name, threads === undefined ? {} : { threads })()
  if (E.isLeft(backend)) return backend
  const sizes: Record<string, number> = {}
  for (const [axis, size] of Object.entries(shape)) if (typeof size === 'number') sizes[axis] = size
  const texts: string[] = []
  const profiles: Array<ProfiledStep & { readonly model: string }> = []
  for (const model of models) {
    say(`training ${model}`)
    const graph = await readModel(model)()
    if (E.isLeft(graph)) return graph
    const profile = await profileSteps(graph.right, backend.right, { batch, repeats, sizes })
    if (E.isLeft(profile)) return profile
    const summary = summariseProfile(profile.right)
    profiles.push({ model, ...summary })
    const table = renderTrainingProfile(summary, backend.right.description, style)
    texts.push(models.length === 1 ? table : `${model}\n${table}`)
  }
  return E.right(done(texts.join('\n\n'), { backend: backend.right.description, profiles }))
}
