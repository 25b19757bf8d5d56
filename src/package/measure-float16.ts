/** How far a compiled model in half precision is from the compiled model, in ONNX Runtime. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { WriteError } from '../disk/error.ts'
import type { Compiled } from '../passes/compile.ts'
import { type Float16Options, roundedToFloat16, toFloat16 } from '../passes/float16/index.ts'
import type { PassError } from '../passes/pass.ts'
import { type Float16Error, recordFloat16Error } from '../report/float16-error.ts'
import type { RunError } from '../run/error.ts'
import { type Difference, verify, type VerifyOptions } from '../run/verify.ts'
import { lowerCompiled } from './contents.ts'
import { runnable } from './runnable.ts'

/** Only what is no number any more counts as different: how far numbers may be off is for the caller to judge. */
const any = 0.999999

/**
 * Runs `compiled`, and what `toFloat16` makes of it with the same `conversion`, on seeded inputs, or on those that `options.inputs`
 * gives, and says how far their outputs are apart. The second runs twice: as it is, or, unless `options.provider` is a GPU's, as it would be
 * for the CPU, whose provider may not load the other; and in float32 with every result of half precision rounded, since ONNX
 * Runtime's CPU provider leaves that out between two nodes. The larger difference counts.
 *
 * Errors: those of `toFloat16` and of `verify`.
 */
export const measureFloat16 =
  (
    compiled: Compiled,
    conversion: Float16Options = {},
    options: VerifyOptions = {},
  ): TaskEither<PassError | WriteError | RunError, Float16Error> =>
  async () => {
    const { target } = compiled.report
    const isOnGpu = options.provider === 'cuda' || options.provider === 'webgpu'
    // As other types they would not be the same inputs.
    const place = isOnGpu ? {} : { target: 'cpu' as const }
    const half = toFloat16(compiled.graph, { target, ...conversion, keepIoTypes: true, ...place })
    if (E.isLeft(half)) return half
    const rounded = roundedToFloat16(compiled.graph, { target, ...conversion })
    if (E.isLeft(rounded)) return rounded
    const reference = lowerCompiled(compiled)
    if (E.isLeft(reference)) return reference
    const found: Difference[] = []
    for (const [graph, name] of [
      [rounded.right, 'the model rounded to half precision'],
      [half.right.graph, 'the model in half precision'],
    ] as const) {
      const lowered = lowerCompiled({ ...compiled, graph })
      if (E.isLeft(lowered)) return lowered
      const models = [runnable(reference.right, 'the compiled model'), runnable(lowered.right, name)] as const
      const difference = await verify(...models, { magnitudes: [], ...options, tolerance: any })()
      if (E.isLeft(difference)) return difference
      found.push(difference.right)
    }
    return E.right(recordFloat16Error(found))
  }
