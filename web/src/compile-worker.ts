/** Compiles a model, runs it against the masked one, and packs it: what `chasec prune` and `chasec compile` do, and in their order. */
import * as E from 'fp-ts/lib/Either.js'
import { zipSync } from 'fflate'
import { type Failure, failure } from '../../src/ir/failure.ts'
import type { Lowered } from '../../src/export/lower.ts'
import { encodeMasks } from '../../src/masks/files.ts'
import { compile } from '../../src/package/compile.ts'
import { type ContentOptions, lowerCompiled, resultsOf } from '../../src/package/contents.ts'
import { packageBytes, sourceOfBytes } from '../../src/package/package-bytes.ts'
import { maskedModel, runnable } from '../../src/package/runnable.ts'
import { verifyCompiled } from '../../src/package/verify-compiled.ts'
import type { Compiled } from '../../src/passes/compile.ts'
import { picturesOf } from '../../src/passes/pictures.ts'
import { pruneChannels } from '../../src/passes/prune.ts'
import { measure, type Measurement } from '../../src/run/measure.ts'
import type { Progress } from '../../src/run/progress.ts'
import type { Provider } from '../../src/run/protocol.ts'
import type { CompileReply, CompileRequest, Packaged } from './messages.ts'
import { type InputBytes, type Read, readInput, withMasks } from './read-input.ts'

const say = (reply: CompileReply, transfer: Transferable[] = []): void => postMessage(reply, { transfer })

const progress = (text: string, fraction?: number): void =>
  say({ kind: 'progress', text, ...(fraction === undefined ? {} : { fraction }) })

/** What was compiled last, for measuring. */
interface Made {
  readonly read: Read
  readonly compiled: Compiled
  readonly lowered: Lowered
  readonly options: ContentOptions
  readonly masks?: InputBytes
}

let made: Made | undefined

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}

/** The file that `chasec prune` would write, and the model with the masks in it. */
const prune = (
  read: Read,
  { channels, score, scope, floor }: Extract<CompileRequest, { kind: 'compile' }>['selection'],
): E.Either<Failure, Read> => {
  if (channels === 0) return E.right(read)
  progress('Selecting channels')
  if (!read.asRead) {
    const help = 'Export the model with one initializer for each weight.'
    return E.left(failure('MaskError', 'masks', 'one constant for each weight', 'equal weights in one constant', help))
  }
  const pruned = pruneChannels(read.graph, read.masks, { channels, score, scope, floor, seed: 1 })
  if (E.isLeft(pruned)) return pruned
  return withMasks(read, { name: 'masks.safetensors', bytes: joined(encodeMasks(pruned.right.masks)) })
}

const runProgress = ({ phase, done, total, note }: Progress): void =>
  progress(
    `${phase === 'load' ? 'Starting ONNX Runtime' : phase === 'measure' || phase === 'warm-up' ? 'Measuring' : 'Comparing outputs'}: ${note}`,
    total === 0 ? 0 : done / total,
  )

/** The same bytes whenever it is made: files in the order of the package, none with a date of its own. */
const zipped = (files: ReadonlyArray<InputBytes>): Uint8Array<ArrayBuffer> =>
  zipSync(
    Object.fromEntries(files.map(({ name, bytes }) => [name, [bytes, { level: name.endsWith('.onnx') ? 1 : 6 }]])),
    { mtime: '1980-01-01T00:00:00' },
  )

const pack = async ({ compiled, options, masks }: Made): Promise<E.Either<Failure, Packaged>> => {
  progress('Packing')
  const files = await packageBytes(compiled, options)()
  if (E.isLeft(files)) return files
  return E.right({
    results: resultsOf(compiled, options),
    zip: zipped(files.right.files),
    files: files.right.files.map(({ name, bytes }) => ({ name, bytes: bytes.length })),
    ...(masks === undefined ? {} : { masks: masks.bytes.slice() }),
  })
}

const make = async (request: Extract<CompileRequest, { kind: 'compile' }>): Promise<E.Either<Failure, Packaged>> => {
  progress(`Reading ${request.input.model.name}`)
  const input = await readInput(request.input)
  if (E.isLeft(input)) return input
  const read = prune(input.right, request.selection)
  if (E.isLeft(read)) return read
  const { graph, masks, matching, model, maskFile } = read.right
  const observer = ({ name }: { readonly name: string }): void => progress(`Compiling: ${name}`)
  const compiled = compile(graph, masks, { target: request.target, advise: 'small', sizes: new Map(), observer })
  if (E.isLeft(compiled)) return compiled
  const lowered = lowerCompiled(compiled.right)
  if (E.isLeft(lowered)) return lowered
  const difference = await verifyCompiled(graph, masks, lowered.right, { onProgress: runProgress })()
  if (E.isLeft(difference)) return difference
  if (!difference.right.equal) {
    const help =
      'Nothing was packed. Please report the model: chasec has a bug, or the model is at the mercy of rounding.'
    return E.left(failure('Different', 'the compiled model', 'what the masked model computes', 'something else', help))
  }
  const pictures = picturesOf(graph, masks)
  if (E.isLeft(pictures)) return pictures
  const source = await sourceOfBytes(model.name, model.bytes)()
  if (E.isLeft(source)) return source
  const maskSource = maskFile && (await sourceOfBytes(maskFile.name, maskFile.bytes)())
  if (maskSource !== undefined && E.isLeft(maskSource)) return maskSource
  made = {
    read: read.right,
    compiled: compiled.right,
    lowered: lowered.right,
    options: {
      model: source.right,
      ...(maskSource === undefined ? {} : { masks: maskSource.right }),
      pictures: pictures.right,
      ...(matching === undefined ? {} : { matching }),
      verification: difference.right,
      lowered: lowered.right,
    },
    ...(maskFile === undefined || request.selection.channels === 0 ? {} : { masks: maskFile }),
  }
  return pack(made)
}

const providersHere = async (): Promise<ReadonlyArray<Provider>> => {
  const adapter = 'gpu' in navigator ? await navigator.gpu.requestAdapter().catch(() => null) : null
  return adapter === null ? ['cpu'] : ['cpu', 'webgpu']
}

/** Both models on everything that this browser computes with, in turn. */
const time = async (last: Made): Promise<E.Either<Failure, Packaged>> => {
  const masked = maskedModel(last.read.graph, last.read.masks)
  if (E.isLeft(masked)) return masked
  const models = [masked.right, runnable(last.lowered, 'the compiled model')]
  const speed: Measurement[] = []
  let refusal: Failure | undefined
  for (const provider of await providersHere()) {
    const measured = await measure(models, { provider, onProgress: runProgress })()
    if (E.isRight(measured)) speed.push(...measured.right)
    else refusal ??= measured.left
  }
  // A provider that cannot run the model is no reason to hide what another measured.
  if (speed.length === 0 && refusal !== undefined) return E.left(refusal)
  made = { ...last, options: { ...last.options, measured: { speed } } }
  return pack(made)
}

addEventListener('message', ({ data }: MessageEvent<CompileRequest>) => {
  const work = data.kind === 'compile' ? make(data) : made === undefined ? undefined : time(made)
  void work?.then((outcome) => {
    if (E.isLeft(outcome)) return say({ kind: 'failed', error: outcome.left })
    const { zip, masks } = outcome.right
    return say({ kind: 'packaged', packaged: outcome.right }, [
      zip.buffer,
      ...(masks === undefined ? [] : [masks.buffer]),
    ])
  })
})
