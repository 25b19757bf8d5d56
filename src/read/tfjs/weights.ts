/**
 * The weights of a TensorFlow.js model: a manifest of groups, each a list of tensors that lie one behind the other in the bytes of
 * some files.
 * Format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (`WeightsManifestConfig`)
 */
import * as E from 'fp-ts/lib/Either.js'
import { type DType, fromFloat16 } from '../../ir/dtype.ts'
import { isRecord } from '../../ir/record.ts'
import { dense, type Dense, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { type ReadError, readError } from '../error.ts'
import { checkLocation, type ExternalReader } from '../external.ts'
import { invalid, shown, unsupported } from './error.ts'

export type Weights = ReadonlyMap<string, Dense>

/** How a weight is kept in fewer bytes. */
type Quantization =
  { readonly dtype: 'uint8' | 'uint16'; readonly min: number; readonly scale: number } | { readonly dtype: 'float16' }

interface Spec {
  readonly name: string
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  readonly quantization: Quantization | undefined
}

const bytesEach: ReadonlyMap<string, number> = new Map([
  ['float32', 4],
  ['int32', 4],
  ['bool', 1],
  ['uint8', 1],
  ['uint16', 2],
  ['float16', 2],
])

const isSize = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x >= 0

const quantizationOf = (given: unknown, subject: string): E.Either<ReadError, Quantization | undefined> => {
  if (given === undefined || given === null) return E.right(undefined)
  if (isRecord(given)) {
    const { dtype, min, scale } = given
    if (dtype === 'float16') return E.right({ dtype })
    if ((dtype === 'uint8' || dtype === 'uint16') && typeof min === 'number' && typeof scale === 'number') {
      return E.right({ dtype, min, scale })
    }
  }
  const expected = 'quantization to uint8 or uint16 with min and scale, or to float16'
  return E.left(invalid(subject, expected, shown(given)))
}

const specOf = (given: unknown): E.Either<ReadError, Spec> => {
  if (!isRecord(given) || typeof given['name'] !== 'string') {
    return E.left(invalid('weightsManifest', 'weights with names', shown(given)))
  }
  const { name, dtype, shape } = given
  const subject = `weight ${name}`
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return E.left(invalid(subject, 'a shape', shown(shape)))
  }
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    return E.left(unsupported(subject, `element type ${String(dtype)}`))
  }
  const quantization = quantizationOf(given['quantization'], subject)
  return E.isLeft(quantization) ? quantization : E.right({ name, dtype, shape, quantization: quantization.right })
}

/** The numbers that `bytes` stand for, as TensorFlow.js makes them: computed in double, rounded once. */
const decode = ({ dtype, shape, quantization }: Spec, bytes: Uint8Array): Dense => {
  if (quantization === undefined) return dense(dtype, shape, bytes)
  const copy = bytes.slice().buffer
  if (quantization.dtype === 'float16')
    return tensorOf(dtype, shape, Float32Array.from(new Uint16Array(copy), fromFloat16))
  const { min, scale } = quantization
  const whole = quantization.dtype === 'uint8' ? new Uint8Array(copy) : new Uint16Array(copy)
  const value = (x: number): number => (dtype === 'float32' ? x * scale + min : Math.round(x * scale + min))
  return tensorOf(dtype, shape, dtype === 'float32' ? Float32Array.from(whole, value) : Float64Array.from(whole, value))
}

/** The bytes of all files of a group, one behind the other. */
const filesOf = (paths: unknown, external: ExternalReader | undefined): E.Either<ReadError, Uint8Array> => {
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) {
    return E.left(invalid('weightsManifest', 'paths of files', shown(paths)))
  }
  const parts: Uint8Array[] = []
  for (const path of paths) {
    const location = checkLocation('weightsManifest', path)
    if (E.isLeft(location)) return location
    const file = external?.(location.right)
    if (file === undefined) {
      const help = 'Copy all files of the model, or give the reader of its bytes a way to them (`external`).'
      return E.left(
        readError('external-data-file-missing', `weights ${path}`, 'a file beside model.json', 'none', help),
      )
    }
    if ('_tag' in file) return E.left(file)
    parts.push(file.read(0, file.size))
  }
  const [only, ...others] = parts
  if (only !== undefined && others.length === 0) return E.right(only)
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return E.right(all)
}

/** All weights of a `weightsManifest` by name. The bytes of those that are not quantised are views of the files'. */
export const readWeights = (manifest: unknown, external: ExternalReader | undefined): E.Either<ReadError, Weights> => {
  if (!Array.isArray(manifest)) return E.left(invalid('model.json', 'a weightsManifest', 'none'))
  const weights = new Map<string, Dense>()
  for (const group of manifest) {
    if (!isRecord(group) || !Array.isArray(group['weights'])) {
      return E.left(invalid('weightsManifest', 'groups of weights', shown(group)))
    }
    const bytes = filesOf(group['paths'], external)
    if (E.isLeft(bytes)) return bytes
    let at = 0
    for (const given of group['weights']) {
      const spec = specOf(given)
      if (E.isLeft(spec)) return spec
      const { name, dtype, shape, quantization } = spec.right
      if (weights.has(name)) return E.left(invalid(`weight ${name}`, 'a name of its own', 'a second weight'))
      const length = sizeOf(shape) * (bytesEach.get(quantization?.dtype ?? dtype) ?? 0)
      if (!(at + length <= bytes.right.length)) {
        return E.left(
          invalid(`weight ${name}`, `${length} bytes from ${at} on`, `files of ${bytes.right.length} bytes`),
        )
      }
      weights.set(name, decode(spec.right, bytes.right.subarray(at, at + length)))
      at += length
    }
  }
  return E.right(weights)
}
