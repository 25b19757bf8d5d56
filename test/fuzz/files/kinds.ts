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

const total = [...fileKinds.values()].reduce((sum, { share }) => sum + share, 0)

export interface MadeFile {
  readonly name: string
  readonly kind: FileKind
  readonly bytes: Uint8Array
  readonly draw: Draw
}

/** File `index` of a seed, of a kind that is drawn or given; the same arguments give the same file. */
export const fileAt = (seed: number, index: number, only?: string): MadeFile => {
  const draw = drawOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  let left = draw.below(total)
  const kinds = [...fileKinds]
  const drawn = kinds.find(([, { share }]) => (left -= share) < 0) ?? kinds[0]
  const given = only === undefined ? drawn : kinds.find(([name]) => name === only)
  if (given === undefined) throw new Error(`kinds of files: ${kinds.map(([name]) => name).join(', ')}; found ${only}`)
  const [name, kind] = given
  return { name, kind, bytes: kind.make(draw), draw }
}
