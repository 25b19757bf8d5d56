import { recurrent, recurrentSchema } from '../families/recurrent.ts'

/** Elman recurrent network. */
export const RNN = recurrent('RNN', 1, recurrentSchema)
