/** What a training run is about to do, for a terminal. */
import type { DataSet, Recipe } from '../../train/index.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { formatBytes, formatCount, formatValue, plural } from '../units.ts'

/** Times at which masks change, or channels leave. */
export interface PlannedUpdates {
  readonly what: 'masks change' | 'channels leave'
  /** The steps after which it happens. */
  readonly steps: ReadonlyArray<number>
}

export interface TrainingPlan {
  readonly model: string
  /** Of the network before training. */
  readonly totals: { readonly parameters: number; readonly macs: number; readonly bytes: number }
  readonly data: DataSet
  readonly recipe: Recipe
  readonly stepsPerEpoch: number
  readonly updates: ReadonlyArray<PlannedUpdates>
  /** Whether the number of epochs is the default. */
  readonly epochsUnsaid: boolean
  /** A file of masks that stay, if there is one. */
  readonly masks?: string | undefined
  /** Whether the dense network is trained first. */
  readonly dense: boolean
  readonly folder: string
  /** Steps from one checkpoint to the next. */
  readonly checkpointEvery: number
}

/** Numbers in full, the recipe in full: whoever reads it later can tell what was done. */
export const renderPlan = (plan: TrainingPlan, style: Style): string => {
  const { model, totals, data, recipe, stepsPerEpoch, masks, dense, folder, checkpointEvery } = plan
  const { method, epochs, batch, learningRate, partial, augmentation, ...rest } = recipe
  const { schedule, peak, ...rate } = learningRate
  const count = (n: number): string => n.toLocaleString('en-US')
  const why = plan.epochsUnsaid ? ' (the default; --epochs changes it)' : ''
  const rows: ReadonlyArray<readonly [name: string, text: string]> = [
    [
      'model',
      `${model}: ${formatCount(totals.parameters)} parameters, ${formatBytes(totals.bytes)}, ${formatCount(totals.macs)} MACs for an image`,
    ],
    [
      'data',
      `${data.name}: ${count(data.train.size)} training, ${count(data.validation.size)} validation, ${count(data.test.size)} test images of ${data.shape.join('x')}, ${plural(data.classes.length, 'class', 'classes')}`,
    ],
    ['pixels', `parts of 255, less ${numbers(data.mean)}, over ${numbers(data.deviation)}`],
    ['method', described(method)],
    ...(masks === undefined ? [] : [['masks', `${masks}; what it masks stays 0`] as const]),
    [
      'steps',
      `${plural(epochs, 'epoch')}${why} of ${plural(stepsPerEpoch, 'step')} of ${plural(batch, 'image')}${partial ? '' : ', whole batches only'}: ${count(epochs * stepsPerEpoch)} steps${dense ? ', twice: the dense network first' : ''}`,
    ],
    ...plan.updates.map(({ what, steps }): readonly [string, string] => ['', whenUpdated(what, steps)]),
    ['learning rate', described({ schedule, peak, ...rate })],
    ['augmentation', augmentation === null ? 'none' : described(augmentation)],
    ['besides', described(rest)],
    [
      'folder',
      `${folder}: a checkpoint every ${plural(checkpointEvery, 'step')}; Ctrl-C saves and stops, --resume goes on`,
    ],
  ]
  return renderTable(
    [{ title: '' }, { title: '', fit: 'text' }],
    rows.map(([name, text]) => [style.bold(name), text]),
    style,
  )
}

/** To four digits, one for all channels where these agree. */
const numbers = (values: ReadonlyArray<number>): string =>
  [...new Set(values)].map((x) => Number(x.toPrecision(4))).join(', ')

const whenUpdated = (what: PlannedUpdates['what'], steps: ReadonlyArray<number>): string => {
  const [first, last] = [steps[0], steps.at(-1)]
  if (first === undefined || last === undefined) return `${what} never`
  if (first === last) return `${what} once, after step ${first}`
  return `${what} ${steps.length} times, from step ${first} to step ${last}`
}

/** `density 0.1, distribution erk, every {part: 0.0125}`; the name comes first, alone. */
const described = (entries: object): string =>
  Object.entries(entries)
    .map(([key, value]: [string, unknown]) =>
      key === 'name' || key === 'schedule' ? formatValue(value) : `${words(key)} ${formatValue(value)}`,
    )
    .join(', ')

/** `weightDecay` as people write it. */
const words = (key: string): string => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
