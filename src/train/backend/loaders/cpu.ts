import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { importing, type Loader, starting } from '../loader.ts'

const install = 'Run npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu.'

/** Plain JavaScript: right everywhere and slow, for tests. */
export const cpu: Loader = {
  name: 'cpu',
  about: 'plain JavaScript, one core, for tests',
  install,
  open: pipe(
    importing('cpu', '@tensorflow/tfjs-backend-cpu', install, async () => {
      const core = await import('@tensorflow/tfjs-core')
      await import('@tensorflow/tfjs-backend-cpu')
      return core
    }),
    TE.flatMap((core) =>
      starting({ loader: { name: 'cpu', install }, core, registered: 'cpu', description: () => 'plain JavaScript' }),
    ),
  ),
}
