/** Weights made of several: products of two in a row, sums of two side by side, sums over equal channels. */
import * as E from 'fp-ts/lib/Either.js'
import { editElements } from '../edits.ts'
import { cancels, fits, growthLimit, precisionOf, type Refusal } from '../numerics.ts'
import { elementBuffer, elementReader, elements, type Tensor, tensorOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'
import type { Channels, Reads } from './contraction.ts'
import { blockSize, channelsAt, editBlocks, forEachBlock, isHeldSmall, isPlain, layoutOf } from './weights.ts'

/** A composed weight and, of each output, Σ|W2 · W1| over everything it is the sum of. */
export interface Composed {
  readonly weight: Tensor
  readonly terms: Float64Array
}

/**
 * `W2 · W1` of two contractions of one group each, in the layout of the weight of `form`, which is one of the two; the
 * other has one tap. The scale of the other one is multiplied in. In double, rounded once. Refused where an element is
 * not finite or loses digits, and where it grows so much beyond the first weight that a sum might overflow.
 */
export const composeWeights = (first: Reads, second: Reads, form: Reads): E.Either<Refusal, Composed> => {
  const [c1, c2] = [first.contraction, second.contraction]
  if (first.weight.tag === 'Held' || second.weight.tag === 'Held') return E.left(isHeldSmall)
  const precision = precisionOf(form.weight.dtype)
  const [at1, at2] = [layoutOf(first.weight.shape, c1, first), layoutOf(second.weight.shape, c2, second)]
  const [w1, w2] = [elements(first.weight), elements(second.weight)]
  const { inputs, outputs: inner } = first
  const { outputs } = second
  const shape = form.weight.shape.map((size, axis) => {
    if (axis === form.contraction.weightOutputAxis) return outputs
    return axis === form.contraction.weightInputAxis ? inputs : size
  })
  const channels: Channels = { inputs, outputs, inputsPerGroup: inputs, outputsPerGroup: outputs }
  const { taps, start } = layoutOf(shape, form.contraction, channels)
  const scale = form === first ? c2.scale : c1.scale
  let largest = 0
  for (const w of w1) largest = Math.max(largest, Math.abs(Number(w)))
  const limit = growthLimit(precision) * largest
  const out = elementBuffer(form.weight.dtype, sizeOf(shape))
  const terms = new Float64Array(outputs)
  const row = new Float64Array(inputs * taps)
  const sizes = new Float64Array(inputs * taps)
  for (let o = 0; o < outputs; o++) {
    row.fill(0)
    sizes.fill(0)
    for (let m = 0; m < inner; m++) {
      for (let k = 0; k < taps; k++) {
        const b = scale * Number(w2[at2.start(o, m) + (at2.taps === 1 ? 0 : k)])
        if (b === 0) continue
        for (let i = 0; i < inputs; i++) {
          const product = b * Number(w1[at1.start(m, i) + (at1.taps === 1 ? 0 : k)])
          row[i * taps + k] = (row[i * taps + k] ?? 0) + product
          sizes[i * taps + k] = (sizes[i * taps + k] ?? 0) + Math.abs(product)
        }
      }
    }
    let sum = 0
    let top = 0
    for (let i = 0; i < inputs; i++) {
      for (let k = 0; k < taps; k++) {
        const [x, size] = [row[i * taps + k] ?? 0, sizes[i * taps + k] ?? 0]
        out[start(o, i) + k] = x
        sum += size
        top = Math.max(top, Math.abs(x))
        if (!isPlain(x, precision) && !fits(precision, x, size)) {
          return E.left(`the product ${x} of two weights has no ${form.weight.dtype} as exact as they are`)
        }
      }
    }
    if (top > limit && sum > 1) return E.left(`the product ${top} of two weights might overflow before sums cancel`)
    terms[o] = sum
  }
  return E.right({ weight: tensorOf(form.weight.dtype, shape, out), terms })
}

/** What is added to element `tap` of a block `W[o, i]`, an output and an input of its group; counted over all groups. */
export type Added = (o: number, i: number, tap: number) => number

/** A sum of weights and, of each output, Σ|w| over all terms. */
export interface Summed {
  readonly weight: Tensor
  readonly terms: Float64Array
}

/**
 * The weight of a contraction with something added to each element, in double and rounded once. `added` is asked for when
 * the weight is made, so that nothing large is held until then. Refused where an element is not finite or loses digits, and
 * where the terms of an output cancel: of their sum few digits are known.
 */
export const addToWeight = (r: Reads, added: () => Added): E.Either<Refusal, Summed> => {
  const { contraction: c, weight } = r
  const precision = precisionOf(weight.dtype)
  const { taps, start } = layoutOf(weight.shape, c, r)
  const [at, more] = [elementReader(weight), added()]
  const terms = new Float64Array(r.outputs)
  for (let o = 0; o < r.outputs; o++) {
    const [first, end] = r.inputsOf(o)
    let before = 0
    let after = 0
    for (let i = first; i < end; i++) {
      const begin = start(o, i)
      for (let k = 0; k < taps; k++) {
        const [a, b] = [at(begin + k), more(o, i, k)]
        const size = Math.abs(a) + Math.abs(b)
        if (b !== 0 && !fits(precision, a + b, size)) {
          return E.left(`the sum of the weights ${a} and ${b} has no ${weight.dtype} as exact as they are`)
        }
        before += size
        after += Math.abs(a + b)
      }
    }
    if (cancels(precision, before, after)) {
      return E.left(`its weights cancel: of a sum of ${before} they leave ${after}, of which few digits are known`)
    }
    terms[o] = before
  }
  const sum = editElements(weight, (values, first) => {
    const rest = added()
    forEachBlock(weight, c, first, values.length, (row, column, begin) => {
      const [o, i] = channelsAt(c, r, row, column)
      for (let k = 0; k < taps; k++) values[begin + k] = (values[begin + k] ?? NaN) + rest(o, i, k)
    })
  })
  return E.right({ weight: sum, terms })
}

/** Input channels `from` that equal the channel `to` of the same group, which takes over their weights. */
export interface Merged {
  readonly to: number
  readonly from: ReadonlyArray<number>
}

/** A merge that is not admissible. */
export interface Unmerged {
  readonly to: number
  readonly reason: Refusal
}

/**
 * The weight with `W'[o, to] = W[o, to] + Σ W[o, from]` and `W'[o, from] = 0`, in double and rounded once. Refused where an
 * element is not finite or loses digits, where it grows so much that a sum might overflow before it cancels, and where the
 * weights of an output cancel so far that of their sum few digits are known.
 */
export const mergeInputs = (r: Reads, merged: ReadonlyArray<Merged>): E.Either<Unmerged, Tensor> => {
  const { contraction: c, weight } = r
  const precision = precisionOf(weight.dtype)
  const { taps, start } = layoutOf(weight.shape, c, r)
  const at = elementReader(weight)
  /** Blocks that change, by output and input. */
  const blocks = new Map<number, Float64Array>()
  const goes = new Uint8Array(r.inputs)
  for (const { from } of merged) for (const i of from) goes[i] = 1
  for (let o = 0; o < r.outputs; o++) {
    const [first, end] = r.inputsOf(o)
    let before = 0
    let after = 0
    let worst: Unmerged | undefined
    for (const { to, from } of merged) {
      const read = to < first || to >= end ? [] : from.filter((i) => r.reads(o, i))
      if (read.length === 0) continue
      const block = Float64Array.from({ length: taps }, (_, k) => at(start(o, to) + k))
      for (let k = 0; k < taps; k++) {
        let size = Math.abs(block[k] ?? 0)
        let largest = size
        for (const i of read) {
          const w = at(start(o, i) + k)
          block[k] = (block[k] ?? NaN) + w
          size += Math.abs(w)
          largest = Math.max(largest, Math.abs(w))
        }
        const sum = Math.abs(block[k] ?? NaN)
        if (!fits(precision, sum, size) || sum > growthLimit(precision) * largest) {
          return E.left({ to, reason: `a sum of weights ${block[k]} has no ${weight.dtype} as exact as they are` })
        }
        before += size
        after += sum
      }
      worst ??= { to, reason: `weights of equal channels cancel: of their sum few digits are known` }
      blocks.set(o * r.inputs + to, block)
    }
    // What is left of the row may be far above what cancels.
    if (worst !== undefined && cancels(precision, before, after)) {
      for (let i = first; i < end; i++) {
        if (goes[i] === 0 && !blocks.has(o * r.inputs + i)) after += blockSize(r, at, o, i)
      }
      if (cancels(precision, before, after)) return E.left(worst)
    }
  }
  return E.right(
    editBlocks(weight, c, (row, column, values, begin, count) => {
      const [o, i] = channelsAt(c, r, row, column)
      if (goes[i] === 1) values.fill(0, begin, begin + count)
      else {
        const block = blocks.get(o * r.inputs + i)
        if (block !== undefined) values.set(block, begin)
      }
    }),
  )
}
