/** Graphs as something that ONNX Runtime runs. Pure; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import type { WriteError } from '../disk/error.ts'
import { type Lowered, lower } from '../export/lower.ts'
import type { Graph } from '../ir/graph.ts'
import type { Masks } from '../masks/mask.ts'
import { applyMasks, type MaskError } from '../passes/apply-masks.ts'
import type { ModelSource } from '../run/runner.ts'

/** A lowered model as something to run, called `name` in messages. */
export const runnable = ({ model, external }: Lowered, name: string): ModelSource => {
  if (external === undefined) return { bytes: model, name }
  const data = new Uint8Array(external.length)
  let at = 0
  for (const chunk of external.chunks()) {
    data.set(chunk, at)
    at += chunk.byteLength
  }
  return { bytes: model, externalData: [{ path: external.name, data }], name }
}

/** The model with every weight multiplied by its mask, as something to run: what compiling has to preserve. */
export const maskedModel = (model: Graph, masks: Masks): E.Either<MaskError | WriteError, ModelSource> => {
  const masked = applyMasks(model, masks)
  if (E.isLeft(masked)) return masked
  const lowered = lower(masked.right)
  return E.isLeft(lowered) ? lowered : E.right(runnable(lowered.right, 'the masked model'))
}
