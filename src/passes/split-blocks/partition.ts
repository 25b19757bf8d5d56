/** Outputs of a layer in parts of one size, so that each part reads few inputs: where a weight is zero outside of blocks. */
import type { Blocks } from '../../ir/slices.ts'

/** Outputs in an order in which they are cut into parts. */
export interface Order {
  /** Undefined: as they are. */
  readonly outputs: Int32Array | undefined
}

export interface Partition {
  readonly order: Order
  readonly parts: number
  /** Inputs of the part that reads most. */
  readonly inputs: number
}

/** The inputs and outputs of parts, one part after another; as many inputs for each. */
export interface Parts {
  readonly inputs: Int32Array
  readonly outputs: Int32Array
}

/** Numbers of parts that are tried: more of them are small products that a runtime is slow at. */
const counts = [128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 5, 4, 3, 2]

/** Outputs that a part has at least. */
const leastOutputs = 4

/** The most of a weight that may be left of it: what less of it saves is lost to the nodes around. */
const mostShare = 0.75

/** How many times its inputs a layer reads at most, all parts together. */
const mostRead = 6

/** Partitions of the outputs of a weight that leave out at least a quarter of it and read no input too often. */
export const partitionsOf = (blocks: Blocks): ReadonlyArray<Partition> => {
  if (blocks.outputs * blocks.inputs === 0 || countBits(blocks.nonZero) > mostShare * blocks.outputs * blocks.inputs)
    return []
  return ordersOf(blocks).flatMap((order) =>
    counts.flatMap((parts): ReadonlyArray<Partition> => {
      if (blocks.outputs % parts !== 0 || blocks.outputs / parts < leastOutputs) return []
      const inputs = mostInputs(blocks, order, parts)
      const isLess = inputs > 0 && inputs <= mostShare * blocks.inputs && parts * inputs <= mostRead * blocks.inputs
      return isLess ? [{ order, parts, inputs }] : []
    }),
  )
}

/** The parts of a partition, `width` inputs for each: where a part reads fewer, the first of those that it does not read besides. */
export const partsOf = (blocks: Blocks, { order, parts }: Partition, width: number): Parts => {
  const outputs = order.outputs ?? Int32Array.from({ length: blocks.outputs }, (_, o) => o)
  const inputs = new Int32Array(parts * width)
  const union = new Uint32Array(blocks.words)
  for (let part = 0; part < parts; part++) {
    unite(blocks, order, parts, part, union)
    let missing = width - countBits(union)
    for (let i = 0, at = part * width; i < blocks.inputs && at < (part + 1) * width; i++) {
      const isRead = (((union[i >>> 5] ?? 0) >>> (i & 31)) & 1) === 1
      if (!isRead && missing-- <= 0) continue
      inputs[at++] = i
    }
  }
  return { inputs, outputs }
}

const mostInputs = (blocks: Blocks, order: Order, parts: number): number => {
  const union = new Uint32Array(blocks.words)
  let most = 0
  for (let part = 0; part < parts; part++) {
    unite(blocks, order, parts, part, union)
    most = Math.max(most, countBits(union))
  }
  return most
}

/** The inputs that some output of a part reads, as bits of `union`. */
const unite = (
  { outputs: count, nonZero, words }: Blocks,
  { outputs }: Order,
  parts: number,
  part: number,
  union: Uint32Array,
): void => {
  const size = count / parts
  union.fill(0)
  for (let at = part * size; at < (part + 1) * size; at++) {
    const row = (outputs?.[at] ?? at) * words
    for (let w = 0; w < words; w++) union[w] = (union[w] ?? 0) | (nonZero[row + w] ?? 0)
  }
}

const countBits = (words: Uint32Array): number => {
  let count = 0
  for (const word of words) {
    let bits = word - ((word >>> 1) & 0x55555555)
    bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
    count += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return count
}

/**
 * Orders that bring outputs together that read the same: as they are, by what is tied through common inputs (the blocks of a
 * matrix that rows and columns were permuted of), and by equal inputs (blocks in rows of blocks).
 */
const ordersOf = (blocks: Blocks): ReadonlyArray<Order> => {
  const orders: Order[] = [{ outputs: undefined }]
  for (const labels of [tiedOutputs(blocks), equalOutputs(blocks)]) {
    const outputs = Int32Array.from(labels.keys()).sort((a, b) => (labels[a] ?? 0) - (labels[b] ?? 0) || a - b)
    if (!outputs.every((o, at) => o === at)) orders.push({ outputs })
  }
  return orders
}

/** For each output the first one that it is tied to through inputs that both read, directly or through others. */
const tiedOutputs = ({ outputs, inputs, nonZero, words }: Blocks): Int32Array => {
  const parent = Int32Array.from({ length: outputs }, (_, o) => o)
  const root = (o: number): number => {
    let at = o
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] ?? 0] ?? 0
      at = parent[at] ?? 0
    }
    return at
  }
  const reader = new Int32Array(inputs).fill(-1)
  for (let o = 0; o < outputs; o++) {
    for (let w = 0; w < words; w++) {
      for (let rest = nonZero[o * words + w] ?? 0; rest !== 0; rest &= rest - 1) {
        const i = w * 32 + 31 - Math.clz32(rest & -rest)
        const known = reader[i] ?? -1
        if (known < 0) reader[i] = o
        else {
          const [a, b] = [root(known), root(o)]
          parent[Math.max(a, b)] = Math.min(a, b)
        }
      }
    }
  }
  return parent.map((_, o) => root(o))
}

/** For each output the first one that reads the same inputs. */
const equalOutputs = ({ outputs, nonZero, words }: Blocks): Int32Array => {
  const first = new Map<string, number>()
  return Int32Array.from({ length: outputs }, (_, o) => {
    const key = nonZero.subarray(o * words, (o + 1) * words).join()
    const known = first.get(key) ?? o
    first.set(key, known)
    return known
  })
}
