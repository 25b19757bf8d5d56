import { float, int } from '../../attributes.ts'
import { rotary } from '../../families/rotary.ts'

/** Rotates places of `[batch, heads, places, size]` or `[batch, places, heads · size]`; one position is that of the first place. */
export const RotaryEmbedding = rotary(
  'com.microsoft.RotaryEmbedding',
  [1, 1],
  {
    interleaved: int(0),
    num_heads: int(0),
    rotary_embedding_dim: int(0),
    scale: float(1),
    is_packed_batching: int(0),
  },
  { positions: 1, cos: 2, sin: 3 },
)
