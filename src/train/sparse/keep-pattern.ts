/** N:M sparsity: of every m neighbours, n are kept. */
import { code } from './codes.ts'
import { type Layer, sizeOfLayer } from './network.ts'
import type { KeepPattern } from './phase.ts'
import type { Pattern } from './policy.ts'
import type { Work, WorkLayer } from './workspace.ts'

/**
 * Masks all but the n largest |w| of every m consecutive indices of the axis, ties in their order; a last group of fewer
 * is filled up with zeros in thought. Weights are looked at whether masked or not, so the mask is found anew from the
 * weights each time.
 */
export const keepPattern = (work: Work, move: KeepPattern): void => {
  const pattern = move.patterns.findLast(({ step }) => step <= work.step)
  if (pattern === undefined) return
  for (const layer of work.layers) maskGroups(layer, move.axis, pattern.n, pattern.m)
}

/**
 * Calls `body` with every group of m consecutive indices of the layer's axis, the last ones maybe smaller: its weights are those at
 * `start`, `start + stride` and so on before `end`.
 */
export const eachGroup = (
  { shape, inputAxis, outputAxis }: Layer,
  along: 'input' | 'output',
  m: number,
  body: (start: number, end: number, stride: number) => void,
): void => {
  const axis = along === 'input' ? inputAxis : outputAxis
  const length = shape[axis] ?? 0
  const stride = sizeOfLayer({ shape: shape.slice(axis + 1) })
  const lines = sizeOfLayer({ shape }) / Math.max(1, length)
  for (let line = 0; line < lines; line++) {
    const start = Math.floor(line / stride) * length * stride + (line % stride)
    for (let group = 0; group < length; group += m) {
      body(start + group * stride, start + Math.min(group + m, length) * stride, stride)
    }
  }
}

/** The weights of which the plain pattern n:m keeps the n largest of every m along the axis, 0 elsewhere. */
export const keptByPattern = (layer: Layer, weights: Float32Array, { n, m, axis }: Pattern): Float32Array => {
  const out = new Float32Array(weights.length)
  const best = new Int32Array(n)
  eachGroup(layer, axis, m, (start, end, stride) => {
    const found = largest(weights, undefined, start, end, stride, best)
    for (const i of best.subarray(0, found)) out[i] = weights[i] ?? 0
  })
  return out
}

const maskGroups = (layer: WorkLayer, axis: 'input' | 'output', n: number, m: number): void => {
  const { codes, weights } = layer
  const best = new Int32Array(n)
  layer.live = 0
  eachGroup(layer.layer, axis, m, (start, end, stride) => {
    const found = largest(weights, codes, start, end, stride, best)
    for (let i = start; i < end; i += stride) recode(codes, i, false)
    for (let b = 0; b < found; b++) recode(codes, best[b] ?? 0, true)
    layer.live += found
  })
}

/** Fills `best` with the positions of the largest magnitudes, of those that `codes` do not say are gone, and says how many there are. */
const largest = (
  weights: Float32Array,
  codes: Uint8Array | undefined,
  start: number,
  end: number,
  stride: number,
  best: Int32Array,
): number => {
  let found = 0
  for (let i = start; i < end; i += stride) {
    if (codes?.[i] === code.gone) continue
    const magnitude = Math.abs(weights[i] ?? 0) || 0
    let place = found
    while (place > 0 && magnitude > (Math.abs(weights[best[place - 1] ?? 0] ?? 0) || 0)) place -= 1
    if (place === best.length) continue
    found = Math.min(found + 1, best.length)
    best.copyWithin(place + 1, place, found - 1)
    best[place] = i
  }
  return found
}

/** Keeps a weight or masks it, whatever the update has done with it so far. */
export const recode = (codes: Uint8Array, i: number, keep: boolean): void => {
  switch (codes[i]) {
    case code.active:
      if (!keep) codes[i] = code.pruned
      return
    case code.pruned:
      if (keep) codes[i] = code.active
      return
    case code.forgotten:
      if (keep) codes[i] = code.restarted
      return
    case code.restarted:
      if (!keep) codes[i] = code.forgotten
      return
    case code.inactive:
      if (keep) codes[i] = code.grown
      return
    case code.grown:
      if (!keep) codes[i] = code.inactive
  }
}
