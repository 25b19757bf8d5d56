import { importCore, loaderOf } from './loader.ts'

/** Plain JavaScript: right everywhere and slow, for tests. */
export const cpu = loaderOf({
  name: 'cpu',
  about: 'plain JavaScript on one core, for tests',
  install: 'Run npm install --save-dev @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-cpu@4.',
  packages: 'the packages @tensorflow/tfjs-core and @tensorflow/tfjs-backend-cpu',
  load: async () => {
    const core = await importCore()
    await import('@tensorflow/tfjs-backend-cpu')
    return { core, registered: 'cpu', describe: () => 'plain JavaScript' }
  },
})
