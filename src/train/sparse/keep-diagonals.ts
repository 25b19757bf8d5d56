/** Masks of whole diagonals. */
import { code } from './codes.ts'
import { diagonalsKept, diagonalsOf } from './diagonals.ts'
import { recode } from './keep-pattern.ts'
import type { KeepDiagonals } from './phase.ts'
import type { Work, WorkLayer } from './workspace.ts'

/** Keeps the wrapped diagonals of the highest scores, of equal ones the first; weights of a diagonal have one score. */
export const keepDiagonals = (work: Work, { density }: KeepDiagonals): void => {
  for (const layer of work.layers) keepDiagonalsOf(layer, density)
}

const keepDiagonalsOf = (layer: WorkLayer, density: number): void => {
  const { codes, scores } = layer
  const diagonals = diagonalsOf(layer.layer)
  const worth = new Float32Array(diagonals.count)
  for (const [i, p] of diagonals.of.entries()) worth[p] = scores[i] ?? 0
  const order = Array.from(worth.keys()).sort((a, b) => (worth[b] || 0) - (worth[a] || 0) || a - b)
  const kept = new Uint8Array(diagonals.count)
  for (const p of order.slice(0, diagonalsKept(diagonals, density))) kept[p] = 1
  layer.live = 0
  for (const [i, p] of diagonals.of.entries()) {
    if (codes[i] === code.gone) continue
    recode(codes, i, kept[p] === 1)
    layer.live += kept[p] ?? 0
  }
}
