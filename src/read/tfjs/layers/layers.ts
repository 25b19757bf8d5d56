/** Every Keras layer that is translated, by class. */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../../ir/record.ts'
import { isStatic } from '../../../ir/type.ts'
import { reshapeTo, sampleOf } from '../emit/shaping.ts'
import { configOf, type LayerLowering, one, onInput } from './config.ts'
import { plainLayers } from './plain-layers.ts'
import { recurrentLayers } from './recurrent-layers.ts'
import { windowLayers } from './window-layers.ts'

/** A layer at every step: steps become samples and samples steps again. */
const timeDistributed: LayerLowering = onInput((call, x) => {
  const { b, config } = call
  const inner = config.raw('layer')
  if (!isRecord(inner) || typeof inner['class_name'] !== 'string' || !isRecord(inner['config']))
    return E.left('no layer')
  const { class_name: kind, config: given } = inner
  const lowering = layers.get(kind)
  const name = given['name']
  if (lowering === undefined || typeof name !== 'string') return E.left(`layer ${kind}`)
  const shape = b.shapeOf(x)
  const [steps, ...step] = shape?.slice(1) ?? []
  if (shape === undefined || steps === undefined || !step.every(isStatic)) return E.left('steps of unknown size')
  const own = {
    ...call,
    layer: name,
    config: configOf(given),
    weight: (weight: string) => E.alt(() => call.weight(weight, name))(call.weight(weight)),
  }
  // A product with the last axis is the same at every step.
  if (kind === 'Dense') return lowering({ ...own, inputs: [x] })
  if (!isStatic(steps)) return E.left('an unknown number of steps')
  const made = lowering({ ...own, inputs: [reshapeTo(b, x, [-1, ...step.map(Number)])] })
  if (E.isLeft(made)) return made
  const [y] = made.right
  const sizes = y && sampleOf(b.shapeOf(y))
  if (y === undefined || sizes === undefined) return E.left('results of unknown size')
  return one(reshapeTo(b, y, [-1, steps, ...sizes]))
})

export const layers: ReadonlyMap<string, LayerLowering> = new Map([
  ...plainLayers,
  ...windowLayers,
  ...recurrentLayers,
  ['TimeDistributed', timeDistributed],
])
