/** Registers our kernels with TensorFlow.js: the gradients that its WebAssembly backend lacks, and faster ones. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import type { KernelConfig, KernelFunc } from '@tensorflow/tfjs-core'
import { invariant } from '../../../ir/failure.ts'
import type { Core } from '../tensor.ts'
import { columnImplementations } from './column-implementations.ts'
import { convolutionImplementations } from './convolution-implementations.ts'
import type { Call, Implementations } from './implementation.ts'
import { machineOf } from './machine.ts'
import { matrixImplementations } from './matrix-implementations.ts'

/** Registers all implementations. Does nothing when called again. */
export const registerKernels = (core: Core, isWasm: (backend: object) => backend is BackendWasm): void => {
  if (core.getKernel('ColumnSums', 'wasm') !== undefined) return
  const originals = new Map<string, KernelFunc>()
  const stockOf =
    (backend: object): Call['stock'] =>
    (kernel, inputs, attrs) => {
      const run = originals.get(kernel) ?? core.getKernel(kernel, 'wasm').kernelFunc
      const result = run({ inputs, backend, attrs })
      invariant(!Array.isArray(result), `several results of ${kernel}`)
      return result
    }
  const all: Implementations = { ...columnImplementations, ...convolutionImplementations, ...matrixImplementations }
  for (const [kernelName, implementation] of Object.entries(all)) {
    const original: KernelConfig | undefined = core.getKernel(kernelName, 'wasm')
    if (original !== undefined) {
      originals.set(kernelName, original.kernelFunc)
      core.unregisterKernel(kernelName, 'wasm')
    }
    core.registerKernel({
      ...original,
      kernelName,
      backendName: 'wasm',
      kernelFunc: ({ inputs, backend, attrs = {} }) => {
        invariant(isWasm(backend), `${kernelName} on another backend`)
        return implementation({
          machine: machineOf(backend),
          core,
          attributes: attrs,
          input: (name) => {
            const tensor = inputs[name]
            invariant(tensor !== undefined, `${kernelName} without ${name}`)
            return tensor
          },
          stock: stockOf(backend),
        })
      },
    })
  }
}
