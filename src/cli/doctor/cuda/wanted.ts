/** Which files of which Python packages make CUDA work in onnxruntime-node. */
import { neededCuda, providerFiles } from '../../../run/runtime/cuda.ts'
import type { Wanted } from './package-index.ts'

/** A Python package and what is taken out of its wheel. */
export interface Part extends Wanted {
  readonly takes: (name: string) => boolean
}

const { cuda, cudnn } = neededCuda

/** NVIDIA's packages and the first number of their versions: those that onnxruntime-gpu 1.30 names as what it needs, and what they load. */
const libraries: ReadonlyArray<readonly [string, number]> = [
  ['nvidia-cuda-runtime', cuda],
  ['nvidia-cublas', cuda],
  [`nvidia-cudnn-cu${cuda}`, cudnn],
  ['nvidia-cufft', 12],
  ['nvidia-curand', 10],
  ['nvidia-cuda-nvrtc', cuda],
  ['nvidia-nvjitlink', cuda],
]

/** The provider of this version of ONNX Runtime, and the libraries of CUDA. */
export const wantedParts = (version: string): ReadonlyArray<Part> => [
  {
    project: 'onnxruntime-gpu',
    versions: version,
    fits: (found) => found === version,
    takes: (name) => providerFiles.some((file) => name === `onnxruntime/capi/${file}`),
  },
  ...libraries.map(([project, major]) => ({
    project,
    versions: `${major}.*`,
    fits: (found: string) => found.startsWith(`${major}.`),
    takes: (name: string) => /^nvidia\/[^/]+\/lib\/lib[^/]+\.so[.\d]*$/.test(name),
  })),
]
