/** Models with seeded weights and their masks, as files for benchmarks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeMasks, noMasks, type PruneOptions } from '../src/api/index.ts'
import { pruneChannels, readModel } from '../src/api/promise.ts'
import { inflate } from '../test/inflate.ts'

/** Gives `use` a folder of its own that is removed afterwards. */
export const withFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), 'chasec-bench-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Writes a graph of `test/models` with seeded weights; gives its path and size. */
export const writeInflated = async (
  name: string,
  folder: string,
): Promise<{ readonly path: string; readonly bytes: number }> => {
  const path = join(folder, `${name}.onnx`)
  const bytes = inflate(name)
  await writeFile(path, bytes)
  return { path, bytes: bytes.byteLength }
}

/** Masks as Chase leaves them: 40 % of all channels, residual streams included, a fifth of its share kept in every layer. */
export const chaseMasks: PruneOptions = { channels: 0.4, score: 'umm', scope: 'all', floor: 0.2, seed: 1 }

/** Writes the masks that pruning a model gives; gives their path. */
export const writeMasks = async (model: string, options: PruneOptions, folder: string): Promise<string> => {
  const pruned = await pruneChannels(await readModel(model), noMasks, options)
  const path = join(folder, 'masks.safetensors')
  await writeFile(path, encodeMasks(pruned.masks))
  return path
}
