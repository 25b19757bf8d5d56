import { int } from '../attributes.ts'
import { recurrent } from '../families/recurrent.ts'
import { gatedCell, type RecurrentAttributes, recurrentSchema } from '../families/recurrent-cells.ts'

export interface GRUAttributes extends RecurrentAttributes {
  readonly linear_before_reset: number
}

/** Gated recurrent unit. */
export const GRU = recurrent<'GRU', GRUAttributes>('GRU', gatedCell, {
  ...recurrentSchema,
  linear_before_reset: int(0),
})
