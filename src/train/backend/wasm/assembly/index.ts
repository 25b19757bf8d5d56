/**
 * Our kernels for TensorFlow.js's WebAssembly backend, in AssemblyScript; `npm run kernels` compiles them. Every kernel does
 * the units `begin` to `end` of its work, and no unit writes what another writes: how they are split over threads changes no
 * bit. `part` numbers those who work at the same time. Tensors are addresses of float32.
 */
export * from './columns'
export * from './elements'
export * from './matrices'
export * from './convolution'
export * from './gradients'
