/**
 * ONNX Runtime in the worker that this is loaded by: what `src/run/runner.ts` is in Node, which the build puts this in the place
 * of. A crash of the WebAssembly ends the worker, which the page sees.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type * as Ort from 'onnxruntime-web'
import type { InferenceSession, Tensor } from 'onnxruntime-web'
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import webGpuUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import type { Dense } from '../../src/ir/tensor.ts'
import { type RunError, runError } from '../../src/run/error.ts'
import { nameOf } from '../../src/run/model-name.ts'
import type { Provider } from '../../src/run/protocol.ts'
import type * as NodeRunner from '../../src/run/runner.ts'
import type { ModelHandle, PreparedInputs, Runner, RunnerOptions, Tensors } from '../../src/run/runner.ts'
import { toDense, toTensor, valueInfo } from '../../src/run/runtime/tensors.ts'

type Runtime = typeof Ort

const runtimes = new Map<Provider, Promise<Runtime>>()

/** The build of ONNX Runtime for a provider: the one for WebGPU is twice as large and is loaded where it is asked for only. */
const runtimeFor = (provider: Provider): Promise<Runtime> => {
  const known = runtimes.get(provider)
  if (known !== undefined) return known
  const loading = (async (): Promise<Runtime> => {
    const ort: Runtime =
      provider === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm')
    ort.env.wasm.wasmPaths = { wasm: provider === 'webgpu' ? webGpuUrl : wasmUrl }
    // Threads need a page that is isolated from others, and verification need not be fast.
    ort.env.wasm.numThreads = 1
    ort.env.logLevel = 'error'
    return ort
  })()
  runtimes.set(provider, loading)
  return loading
}

/** What came of something; throws where the runtime cannot move it. */
const supported = <A>(result: E.Either<string, A>): A => {
  if (E.isLeft(result)) throw new Error(result.left)
  return result.right
}

interface Loaded {
  readonly session: InferenceSession
  readonly ort: Runtime
}

interface Prepared extends Loaded {
  readonly feeds: Readonly<Record<string, Tensor>>
}

/** The message of ONNX Runtime on one line. */
const messageOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).replace(/^.*ERROR_MESSAGE: /s, '').replace(/\s+/g, ' ')

const failed = (subject: string, expected: string, thrown: unknown): E.Either<RunError, never> =>
  E.left(runError(subject, expected, messageOf(thrown), 'Try smaller inputs, or another browser.'))

const openRunner = async (options: RunnerOptions): Promise<E.Either<RunError, Runner>> => {
  const provider = options.provider === 'webgpu' ? 'webgpu' : 'cpu'
  let ort: Runtime
  try {
    ort = await runtimeFor(provider)
  } catch (thrown) {
    return failed('onnxruntime-web', 'ONNX Runtime to start', thrown)
  }
  const models = new Map<number, Loaded>()
  const prepared = new Map<number, Prepared>()
  let next = 1

  const load: Runner['load'] =
    (source, own = {}) =>
    async () => {
      const name = nameOf(source, 'the model')
      try {
        if (typeof source === 'string' || 'path' in source) throw new Error('a browser reads no paths')
        const { bytes, externalData } = source instanceof Uint8Array ? { bytes: source, externalData: [] } : source
        const level = own.graphOptimizationLevel ?? options.graphOptimizationLevel
        const session = await ort.InferenceSession.create(bytes, {
          executionProviders: [provider === 'webgpu' ? 'webgpu' : 'wasm'],
          logSeverityLevel: 3,
          ...(level === undefined ? {} : { graphOptimizationLevel: level }),
          ...(externalData === undefined ? {} : { externalData: [...externalData] }),
        })
        const id = next++
        models.set(id, { session, ort })
        const handle: ModelHandle = {
          id,
          name,
          inputs: session.inputMetadata.map((value) => supported(valueInfo('input', value))),
          outputs: session.outputMetadata.map((value) => supported(valueInfo('output', value))),
          placement: { onCpu: [] },
        }
        return E.right(handle)
      } catch (thrown) {
        return failed(name, 'a model that onnxruntime-web can load', thrown)
      }
    }

  const loadedOf = ({ id, name }: ModelHandle): Loaded => {
    const found = models.get(id)
    if (found === undefined) throw new Error(`${name} was released`)
    return found
  }

  const feedsOf = (feeds: Tensors): Readonly<Record<string, Tensor>> =>
    Object.fromEntries([...feeds].map(([name, tensor]) => [name, supported(toTensor(ort, name, tensor))]))

  const attempt =
    <A>({ name }: ModelHandle, work: () => Promise<A>): TaskEither<RunError, A> =>
    async () => {
      try {
        return E.right(await work())
      } catch (thrown) {
        return failed(name, 'a model that runs on these inputs', thrown)
      }
    }

  const run: Runner['run'] = (model, feeds) =>
    attempt(model, async () => {
      const { session } = loadedOf(model)
      const results = await session.run(feedsOf(feeds))
      const out = new Map<string, Dense>()
      for (const name of session.outputNames) {
        const tensor = results[name]
        if (tensor === undefined) throw new Error(`no output '${name}' came back`)
        const { bytes, ...rest } = supported(toDense(name, tensor, await tensor.getData()))
        out.set(name, { ...rest, bytes: bytes.slice() })
        tensor.dispose()
      }
      return out
    })

  return E.right({
    provider,
    why: `${provider === 'webgpu' ? 'WebGPU' : 'WebAssembly'} was asked for`,
    runtime: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common} (${provider === 'webgpu' ? 'WebGPU' : 'WebAssembly'})`,
    pid: 0,
    alive: () => true,
    load,
    run,
    prepare: (model, feeds) =>
      attempt(model, async () => {
        const id = next++
        prepared.set(id, { ...loadedOf(model), feeds: feedsOf(feeds) })
        const inputs: PreparedInputs = { id, model }
        return inputs
      }),
    time: ({ id, model }, { warmup, seconds }) =>
      attempt(model, async () => {
        const found = prepared.get(id)
        if (found === undefined) throw new Error('the inputs were released')
        const once = async (): Promise<void> => {
          const results = await found.session.run(found.feeds)
          // What is computed on a GPU is there when it was read.
          for (const tensor of Object.values(results)) {
            await tensor.getData()
            tensor.dispose()
          }
        }
        for (let i = 0; i < warmup; i++) await once()
        let iterations = 0
        let milliseconds = 0
        do {
          const start = performance.now()
          await once()
          milliseconds += performance.now() - start
          iterations += 1
        } while (milliseconds < seconds * 1000)
        return { iterations, milliseconds }
      }),
    release: (model) =>
      attempt(model, async () => {
        await loadedOf(model).session.release()
        models.delete(model.id)
      }),
    close: async () => {
      for (const { session } of models.values()) await session.release()
      models.clear()
    },
  })
}

/** See `withRunner` of `src/run/runner.ts`. */
export const withRunner: typeof NodeRunner.withRunner = (options, use) => async () => {
  const opened = await openRunner(options)
  if (E.isLeft(opened)) return opened
  try {
    return await use(opened.right)
  } finally {
    await opened.right.close()
  }
}
