import type { Graph } from '../../src/ir/graph.ts'
import { parseModel } from '../../src/models/index.ts'
import { orThrow } from '../fuzz/differential.ts'

/** Images that a model is meant for, smaller ones where the size makes no difference to what is tested. */
export const shapeOf = (name: string): readonly [number, number, number] => {
  if (name.startsWith('mlp')) return [1, 28, 28]
  return name.includes('-imagenet') ? [3, 64, 64] : [3, 32, 32]
}

export const build = (
  name: string,
  { classes = 10, shape = shapeOf(name), seed = 1 }: Partial<Parameters<typeof options>[0]> = {},
): Graph => orThrow(orThrow(parseModel(name)).build(options({ classes, shape, seed })))

const options = (given: {
  readonly classes: number
  readonly shape: readonly [number, number, number]
  readonly seed: number
}): typeof given => given
