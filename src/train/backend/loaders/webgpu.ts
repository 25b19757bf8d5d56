import { importCore, loaderOf } from './loader.ts'
import { importOptional, property } from './optional.ts'

const install =
  'Run npm install --save-dev @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-webgpu@4 webgpu; it needs a Vulkan, Metal or Direct3D 12 driver.'

const isFunction = (value: unknown): value is (...values: ReadonlyArray<unknown>) => unknown =>
  typeof value === 'function'

/** The method `name` of `target`, ready to be called. */
const method = (target: unknown, name: string): ((...values: ReadonlyArray<unknown>) => unknown) => {
  const found = property(target, name)
  if (!isFunction(found)) throw new Error(`no ${name} in the package webgpu`)
  return found.bind(target)
}

/** Puts `navigator.gpu` in place where the platform has none, and gives it. */
const provideGpu = async (): Promise<unknown> => {
  const navigator: unknown = property(globalThis, 'navigator') ?? {}
  const present = property(navigator, 'gpu')
  if (present !== undefined) return present
  const webgpu = await importOptional('webgpu')
  Object.assign(globalThis, property(webgpu, 'globals'))
  const gpu = method(webgpu, 'create')([])
  if (typeof navigator === 'object' && navigator !== null) {
    Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true })
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
  }
  return gpu
}

/** Names under which programs present themselves as a GPU. */
const softwareAdapters = /swiftshader|llvmpipe|lavapipe|software|basic render/i

/** WebGPU through Dawn. */
export const webgpu = loaderOf({
  name: 'webgpu',
  about: 'a GPU through WebGPU',
  install,
  packages: 'the packages @tensorflow/tfjs-core, @tensorflow/tfjs-backend-webgpu and webgpu, and a GPU',
  load: async () => {
    const gpu = await provideGpu()
    const adapter = await method(gpu, 'requestAdapter')()
    if (adapter === null || adapter === undefined) throw new Error('no GPU that WebGPU can use')
    const info = property(adapter, 'info')
    const parts = ['vendor', 'architecture', 'device', 'description'].map((key) => String(property(info, key) ?? ''))
    const label = parts.filter((part) => part !== '').join(' ')
    const core = await importCore()
    await import('@tensorflow/tfjs-backend-webgpu')
    return {
      core,
      registered: 'webgpu',
      describe: () => `TensorFlow.js ${core.version_core} on ${label || 'a GPU'}`,
      software: softwareAdapters.test(label),
    }
  },
})
