import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { importing, type Loader, starting } from '../loader.ts'

const install = 'Run npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm.'

/** XNNPACK in WebAssembly on one core: works everywhere. */
export const wasm: Loader = {
  name: 'wasm',
  about: 'WebAssembly with SIMD, one core',
  install,
  open: pipe(
    importing('wasm', '@tensorflow/tfjs-backend-wasm', install, async () => {
      const core = await import('@tensorflow/tfjs-core')
      await import('@tensorflow/tfjs-backend-wasm')
      return core
    }),
    TE.flatMap((core) =>
      starting({ loader: { name: 'wasm', install }, core, registered: 'wasm', description: () => 'WebAssembly' }),
    ),
  ),
}
