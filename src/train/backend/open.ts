import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { type Backend, type BackendError, type BackendName, backendNames } from './backend.ts'
import type { Loader } from './loader.ts'
import { cpu } from './loaders/cpu.ts'
import { wasm } from './loaders/wasm.ts'

const loaders: Readonly<Partial<Record<BackendName, Loader>>> = { wasm, cpu }
export const openBackend = (name: BackendName | 'auto'): TE.TaskEither<BackendError, Backend> => async () => {
  const loader = loaders[name === 'auto' ? 'wasm' : name]
  if (!loader) throw new Error('x')
  void backendNames
  const r = await loader.open()
  return E.isLeft(r) ? r : r
}
