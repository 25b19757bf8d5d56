import { int } from '../attributes.ts'
import { rotary } from '../families/rotary.ts'

/** Rotates places of `[batch, heads, places, size]` or `[batch, places, heads · size]`; without positions a table is for each place. */
export const RotaryEmbedding = rotary(
  'RotaryEmbedding',
  [23, Infinity],
  { interleaved: int(0), num_heads: int(0), rotary_embedding_dim: int(0) },
  { cos: 1, sin: 2, positions: 3 },
)
