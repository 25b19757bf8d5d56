/** The training rules of all operators by name. */
import type { Lowering } from '../lowering.ts'
import { activations } from './activation.ts'
import { arithmetic } from './arithmetic.ts'
import { contractions } from './contraction.ts'
import { convolutions } from './convolution.ts'
import { movements } from './movement.ts'
import { normalizations } from './normalization.ts'
import { poolings } from './pooling.ts'
import { reductions } from './reduction.ts'
import { resamplings } from './resize.ts'
import { reshapings } from './reshaping.ts'
import { softmaxes } from './softmax.ts'

const table: ReadonlyMap<string, Lowering> = new Map(
  [
    activations,
    arithmetic,
    contractions,
    convolutions,
    movements,
    normalizations,
    poolings,
    reductions,
    resamplings,
    reshapings,
    softmaxes,
  ].flatMap((family) => family.map((rule) => [rule.op, rule] as const)),
)

export const loweringOf = (op: string): Lowering | undefined => table.get(op)

/** The operators that can be trained. */
export const trainable: ReadonlyArray<string> = [...table.keys()]
