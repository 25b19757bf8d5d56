/** Weights of which single elements are live, by the structures that masks of single weights come in. */
import { type Draws, drawsFrom, seededRandom } from '../../src/ir/random.ts'
import { roundTo } from '../../src/ir/numerics.ts'

export const structures = ['fan-in', 'diagonals', 'blocks', 'groups', 'permuted groups'] as const

export type Structure = (typeof structures)[number]

/** A weight `[inputs, outputs]`, each element a kernel of `taps` places; only what an output reads is live. */
export interface SparseWeight {
  readonly structure: Structure
  readonly inputs: number
  readonly outputs: number
  readonly taps: number
  /** Of each output the inputs that it reads, ascending; of these structures as many for all. */
  readonly live: ReadonlyArray<Int32Array>
  /** Outputs that lie side by side in parts, and the inputs that each part reads; absent where no two outputs read the same. */
  readonly parts?: ReadonlyArray<Part>
  /** Of diagonals by how much the input is moved against the output, over the longer of both sides. */
  readonly offsets?: ReadonlyArray<number>
}

export interface Part {
  readonly inputs: Int32Array
  readonly outputs: Int32Array
}

/** What is live of a weight. */
export const densityOf = ({ live, inputs, outputs }: SparseWeight): number =>
  live.reduce((sum, some) => sum + some.length, 0) / (inputs * outputs)

/** A number of [-1, 1) that the place decides, as float32. */
export const elementAt = (input: number, output: number, tap: number): number => {
  let bits = Math.imul(input + 1, 0x9e3779b1) ^ Math.imul(output + 1, 0x85ebca6b) ^ Math.imul(tap + 1, 0xc2b2ae35)
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d)
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39)
  return roundTo('float32', (bits ^ (bits >>> 15)) / 2 ** 31)
}

/** Channels of a block of weights that is live or dead as a whole. */
export const blockSize = 32

/** A weight of about that density; undefined where the structure has none. */
export const sparseWeight = (
  structure: Structure,
  sizes: { readonly inputs: number; readonly outputs: number; readonly taps: number },
  density: number,
): SparseWeight | undefined => {
  const { inputs, outputs } = sizes
  const draws = drawsFrom(seededRandom(1, `${structure} ${inputs} ${outputs} ${density}`))
  const base = { structure, ...sizes }
  if (structure === 'fan-in') {
    const count = Math.round(density * inputs)
    return count < 1 ? undefined : { ...base, live: Array.from({ length: outputs }, () => some(draws, inputs, count)) }
  }
  if (structure === 'diagonals') {
    const count = Math.round(density * Math.min(inputs, outputs))
    if (count < 1) return undefined
    const offsets = Array.from(some(draws, Math.min(inputs, outputs), count))
    return { ...base, offsets, live: liveOfDiagonals(inputs, outputs, offsets) }
  }
  const parts =
    structure === 'blocks'
      ? partsOfBlocks(draws, inputs, outputs, Math.round((density * inputs) / blockSize))
      : partsOfGroups(draws, inputs, outputs, Math.round(1 / density), structure === 'permuted groups')
  if (parts === undefined) return undefined
  const live = new Array<Int32Array>(outputs)
  for (const part of parts) for (const o of part.outputs) live[o] = part.inputs
  return { ...base, parts, live }
}

/** Output `o` reads input `(o + offset) mod inputs`; where there are more inputs, input `i` goes to `(i + offset) mod outputs`. */
const liveOfDiagonals = (
  inputs: number,
  outputs: number,
  offsets: ReadonlyArray<number>,
): ReadonlyArray<Int32Array> => {
  const live = Array.from({ length: outputs }, () => new Array<number>())
  for (const offset of offsets) {
    for (let k = 0; k < Math.max(inputs, outputs); k++) {
      if (inputs <= outputs) live[k]?.push((k + offset) % inputs)
      else live[(k + offset) % outputs]?.push(k)
    }
  }
  return live.map((some) => Int32Array.from(some).sort())
}

const partsOfBlocks = (
  draws: Draws,
  inputs: number,
  outputs: number,
  count: number,
): ReadonlyArray<Part> | undefined => {
  const [rows, columns] = [inputs / blockSize, outputs / blockSize]
  if (count < 1 || !Number.isInteger(rows) || !Number.isInteger(columns)) return undefined
  return Array.from({ length: columns }, (_, column) => ({
    inputs: Int32Array.from(Array.from(some(draws, rows, count)).flatMap((block) => range(block, blockSize))),
    outputs: Int32Array.from(range(column, blockSize)),
  }))
}

const partsOfGroups = (
  draws: Draws,
  inputs: number,
  outputs: number,
  count: number,
  isPermuted: boolean,
): ReadonlyArray<Part> | undefined => {
  const [into, outOf] = [inputs / count, outputs / count]
  if (!Number.isInteger(into) || !Number.isInteger(outOf) || into < 4 || outOf < 4) return undefined
  const order = (size: number): Int32Array =>
    isPermuted ? shuffled(draws, size) : Int32Array.from({ length: size }, (_, i) => i)
  const [ins, outs] = [order(inputs), order(outputs)]
  return Array.from({ length: count }, (_, g) => ({
    inputs: ins.slice(g * into, (g + 1) * into).sort(),
    outputs: outs.slice(g * outOf, (g + 1) * outOf).sort(),
  }))
}

const range = (at: number, size: number): ReadonlyArray<number> => Array.from({ length: size }, (_, i) => at * size + i)

const shuffled = (draws: Draws, size: number): Int32Array => {
  const order = Int32Array.from({ length: size }, (_, i) => i)
  for (let i = size - 1; i > 0; i--) {
    const j = draws.below(i + 1)
    const [a = 0, b = 0] = [order[i], order[j]]
    order[i] = b
    order[j] = a
  }
  return order
}

/** `count` of the numbers below `size`, ascending. */
const some = (draws: Draws, size: number, count: number): Int32Array => {
  const chosen = new Uint8Array(size)
  // Of more than half of them those that are left out are drawn.
  const isInverse = 2 * count > size
  for (let left = isInverse ? size - count : count; left > 0;) {
    const i = draws.below(size)
    if (chosen[i] === 1) continue
    chosen[i] = 1
    left -= 1
  }
  return Int32Array.from({ length: size }, (_, i) => i).filter((i) => (chosen[i] === 1) !== isInverse)
}
