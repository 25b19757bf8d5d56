import { checkpointFiles } from './checkpoints.ts'
import { dataFiles } from './data.ts'
import { type Draw, drawOf } from './draw.ts'
import type { FileKind } from './kind.ts'
import { mapFiles, maskFiles, torchFiles } from './masks.ts'
import { modelFiles } from './models.ts'
import { recipeFiles } from './recipes.ts'

export const fileKinds: ReadonlyMap<string, FileKind> = new Map([
  ['model', modelFiles],
  ['mask', maskFiles],
  ['pytorch', torchFiles],
  ['map', mapFiles],
  ['recipe', recipeFiles],
  ['checkpoint', checkpointFiles],
  ['data', dataFiles],
])

export interface MadeFile {
  readonly name: string
  readonly kind: FileKind
  readonly bytes: Uint8Array
  readonly draw: Draw
}

/** File `index` of a seed, of a kind that is drawn from all or from those given; the same arguments give the same file. */
export const fileAt = (seed: number, index: number, only: ReadonlyArray<string> = []): MadeFile => {
  const draw = drawOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const kinds = [...fileKinds].filter(([name]) => only.length === 0 || only.includes(name))
  let left = draw.below(kinds.reduce((sum, [, { share }]) => sum + share, 0))
  const drawn = kinds.find(([, { share }]) => (left -= share) < 0)
  if (drawn === undefined)
    throw new Error(`kinds of files: ${[...fileKinds.keys()].join(', ')}; found ${only.join(', ')}`)
  const [name, kind] = drawn
  return { name, kind, bytes: kind.make(draw), draw }
}

/** The kinds that a text names, with commas between them; empty for all. */
export const kindsIn = (text: string): ReadonlyArray<string> => text.split(',').filter((name) => name !== '')
