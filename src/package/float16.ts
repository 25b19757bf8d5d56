/** Compiled models in half precision. Pure; also runs in a browser. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Compiled } from '../passes/compile.ts'
import { type Float16Options, toFloat16 as graphToFloat16 } from '../passes/float16/index.ts'
import type { PassError } from '../passes/pass.ts'

/**
 * The compiled model in half precision (float16): about half the bytes, made for GPUs. This is lossy: the outputs keep about three
 * digits; what the rest of the report says of exactness is about the model before. Inputs and outputs stay float32 unless
 * `keepIoTypes` is false. Subgraphs (If, Loop, Scan), operators that are not known, integers and what half precision cannot hold
 * stay as they are; `report.float16` says what and why. It is for what the model was compiled for, unless `target` says otherwise.
 *
 * Fails where an option is none, or names no node or operator of the model, and for models of an opset below 6.
 */
export const toFloat16 = (compiled: Compiled, options: Float16Options = {}): E.Either<PassError, Compiled> =>
  pipe(
    graphToFloat16(compiled.graph, { target: compiled.report.target, ...options }),
    E.map(({ graph, report }) => ({ graph, report: { ...compiled.report, float16: report } })),
  )
