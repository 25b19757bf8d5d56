import { recurrent } from '../families/recurrent.ts'
import { elmanCell, recurrentSchema } from '../families/recurrent-cells.ts'

/** Elman recurrent network. */
export const RNN = recurrent('RNN', elmanCell, recurrentSchema)
