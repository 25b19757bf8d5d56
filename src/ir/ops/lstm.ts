import { int } from '../attributes.ts'
import { recurrent } from '../families/recurrent.ts'
import { longShortTermCell, type RecurrentAttributes, recurrentSchema } from '../families/recurrent-cells.ts'

export interface LSTMAttributes extends RecurrentAttributes {
  readonly input_forget: number
}

/** Long short-term memory; the two last states are the hidden and the cell state. */
export const LSTM = recurrent<'LSTM', LSTMAttributes>('LSTM', longShortTermCell, {
  ...recurrentSchema,
  input_forget: int(0),
})
