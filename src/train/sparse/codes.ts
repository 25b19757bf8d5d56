/** What an update has done with each weight so far: one byte per weight, one bit set. */
import { type Layer, sizeOfLayer } from './network.ts'

export const code = {
  /** Kept, and untouched by this update. */
  active: 1,
  /** Masked, in surviving channels. */
  inactive: 2,
  /** Was kept when the update began, and is masked now. */
  pruned: 4,
  /** In a removed channel: masked for ever. */
  gone: 8,
  /** Was masked when the update began, and is kept now. */
  grown: 16,
  /** Was pruned by this update and grown again: kept, but it starts anew from 0. */
  restarted: 32,
  /** As `active`, set apart for a moment because the weight is below zero. */
  negative: 64,
  /** As `pruned`, by a prune that is carried out before what grows next: grown again, it starts anew from 0. */
  forgotten: 128,
} as const

/** The bits of weights that are kept, and of those that can grow. */
export const kept = code.active | code.grown | code.restarted
export const growable = code.inactive | code.pruned | code.forgotten

/** 1 for a kept weight, else 0; without a branch, because a scan over a mask cannot foresee it. */
export const isKept = (from: number): number => ((from & kept) + 63) >> 6

/** 1 for a weight that this update pruned and grew again, else 0. */
export const hasRestarted = (from: number): number => (from >> 5) & 1

/** What pruning makes of a kept weight. */
export const prunedCode = (from: number): number => (from === code.grown ? code.inactive : code.pruned)
export const forgottenCode = (from: number): number => (from === code.grown ? code.inactive : code.forgotten)

/** What growing makes of a masked weight: one pruned by the same update starts anew, or goes on with its value. */
export const grownCode =
  (regrown: 'restarts' | 'continues') =>
  (from: number): number => {
    if (from === code.forgotten) return code.restarted
    if (from !== code.pruned) return code.grown
    return regrown === 'restarts' ? code.restarted : code.active
  }

/** The codes of a mask of 0 and 1. */
export const codesOf = (mask: Uint8Array): Uint8Array => {
  const out = new Uint8Array(mask.length)
  for (let i = 0; i < mask.length; i++) out[i] = code.inactive - (mask[i] ?? 0)
  return out
}

/** Sets every weight of the marked indices of each axis to `to`. */
export const fillAxes = (
  codes: Uint8Array,
  layer: Pick<Layer, 'shape'>,
  marks: ReadonlyArray<Uint8Array | undefined>,
  to: number,
): void => {
  for (const [axis, marked] of marks.entries()) {
    if (marked === undefined) continue
    const inner = sizeOfLayer({ shape: layer.shape.slice(axis + 1) })
    const period = inner * marked.length
    for (const [index, mark] of marked.entries()) {
      if (mark !== 1) continue
      for (let start = index * inner; start < codes.length; start += period) codes.fill(to, start, start + inner)
    }
  }
}

/** How many weights have one of the bits. */
export const countCodes = (codes: Uint8Array, bits: number): number => {
  let n = 0
  for (let i = 0; i < codes.length; i++) n += (((codes[i] ?? 0) & bits) + 127) >> 7
  return n
}
