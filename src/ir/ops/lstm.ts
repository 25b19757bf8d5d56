import { int } from '../attributes.ts'
import { recurrent, type RecurrentAttributes, recurrentSchema } from '../families/recurrent.ts'

export interface LSTMAttributes extends RecurrentAttributes {
  readonly input_forget: number
}

/** Long short-term memory; the two last states are the hidden and the cell state. */
export const LSTM = recurrent<'LSTM', LSTMAttributes>('LSTM', 2, { ...recurrentSchema, input_forget: int(0) })
