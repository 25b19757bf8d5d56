/** Models of `test/models` with seeded weights. */
import { readFileSync } from 'node:fs'
import { fillWeights } from './made-up-weights.ts'

export { normals, uniforms } from './made-up-weights.ts'

/** The bytes of a model of `test/models` with seeded weights. */
export const inflate = (name: string, seed = 1): Uint8Array =>
  fillWeights(new Uint8Array(readFileSync(new URL(`models/${name}.onnx`, import.meta.url))), name, seed)
