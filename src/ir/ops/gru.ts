import { int } from '../attributes.ts'
import { recurrent, type RecurrentAttributes, recurrentSchema } from '../families/recurrent.ts'

export interface GRUAttributes extends RecurrentAttributes {
  readonly linear_before_reset: number
}

/** Gated recurrent unit. */
export const GRU = recurrent<'GRU', GRUAttributes>('GRU', 1, { ...recurrentSchema, linear_before_reset: int(0) })
