import { globalPool } from '../families/pooling.ts'
import { maximumOf } from '../special-functions.ts'

/** Largest element of each channel. */
export const GlobalMaxPool = globalPool('GlobalMaxPool', [1, Infinity], {}, maximumOf, (c) => c)
