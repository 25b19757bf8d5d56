/** What operators share that add to a residual stream and normalise it. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../op.ts'
import { Add } from '../ops/add.ts'
import type { Parts } from './composition.ts'

/** `x + skip + bias` of inputs 0, 1 and `biasPort`. The statistics, outputs 1 and 2, are for training and nothing gives them. */
export const summedStream = (p: Parts, biasPort: number | undefined): E.Either<string, ValueId> => {
  if (p.wants(1) || p.wants(2)) return E.left('its statistics are asked for')
  const sum = p.node(Add, [p.input(0), p.input(1)])
  return E.right(biasPort === undefined ? sum : p.node(Add, [sum, p.input(biasPort)]))
}
