/** Whether a compiled graph computes what the masked model computes, in ONNX Runtime. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { WriteError } from '../disk/error.ts'
import type { Lowered } from '../export/lower.ts'
import type { Graph } from '../ir/graph.ts'
import { coarsestTypes } from '../ir/precision.ts'
import type { Masks } from '../masks/mask.ts'
import type { MaskError } from '../passes/apply-masks.ts'
import type { Tolerances } from '../run/compare.ts'
import type { RunError } from '../run/error.ts'
import { type Difference, verify, type VerifyOptions } from '../run/verify.ts'
import { maskedModel, runnable } from './runnable.ts'

/**
 * Runs `model` with every weight multiplied by its mask against the compiled graph as it will be written. See
 * {@link verify}; a difference is no error. Outputs that are computed in half precision are judged by that precision.
 */
export const verifyCompiled =
  (
    model: Graph,
    masks: Masks,
    compiled: Lowered,
    options: VerifyOptions = {},
  ): TaskEither<MaskError | WriteError | RunError, Difference> =>
  async () => {
    const reference = maskedModel(model, masks)
    if (E.isLeft(reference)) return reference
    const how = { through: throughTypes(model), ...options }
    return verify(reference.right, runnable(compiled, 'the compiled model'), how)()
  }

/** The outputs of a model whose numbers pass through a half precision type. */
const throughTypes = (model: Graph): ReadonlyMap<string, keyof Tolerances> => {
  const coarsest = coarsestTypes(model)
  return new Map(
    model.outputs.flatMap(({ name }): ReadonlyArray<readonly [string, keyof Tolerances]> => {
      const type = coarsest.get(name)
      return type === 'float16' || type === 'bfloat16' ? [[name, type]] : []
    }),
  )
}
