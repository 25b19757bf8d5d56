/** Inputs for a model of which only the metadata is known: sizes for its symbolic dimensions, and seeded contents. */
import * as E from 'fp-ts/lib/Either.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import { type DType, isFloat } from '../ir/dtype.ts'
import { numbersOf } from '../ir/evaluate.ts'
import { type Dense, tensorOf } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import { type RunError, runError } from './error.ts'
import type { ValueInfo } from './protocol.ts'
import { drawsFrom, seededRandom } from '../ir/random.ts'
import type { Tensors } from './runner.ts'

/**
 * Sizes a user fixes: of a symbolic dimension by its name (`N: 4`), of an unnamed one by its place (`'x[0]': 4`), or of
 * a whole input (`x: [1, 3, 224, 224]`), which also settles its rank.
 */
export type Bindings = Readonly<Record<string, number | ReadonlyArray<number>>>

/** The size of every dimension that the model leaves open, by name or, for unnamed ones, by place: `x[0]`. */
export type Sizes = Readonly<Record<string, number>>

/** What the inputs are used for: checking wants small and odd sizes, measuring wants sizes as in practice. */
export type Purpose = 'verify' | 'measure'

/**
 * How wide the values of inputs range, because models reject some: an integer may be an index into a short axis, a
 * divisor or a count, a float may be a threshold.
 */
export type ValueRange = 'wide' | 'positive' | 'binary' | 'zero'

/** In the order in which to try them. `binary` and `zero` concern integers only. */
export const valueRanges: ReadonlyArray<ValueRange> = ['wide', 'positive', 'binary', 'zero']

/** The name of an open dimension: its own, or its place when it has none. */
const dimName = (input: ValueInfo, axis: number): string => {
  const dim = input.shape[axis]
  return typeof dim === 'string' ? dim : `${input.name}[${axis}]`
}

interface OpenDim {
  readonly name: string
  /** Whether it is the first axis of an input, an image's height or width, an image's channels, or anything else. */
  readonly role: 'batch' | 'spatial' | 'channels' | 'other'
}

/** Of an image `[N, H, W, 3]`, as Keras and TensorFlow have it, the last; else the second. */
const channelAxisOf = ({ shape: [, second, , last] }: ValueInfo): number =>
  typeof last === 'number' && last <= 4 && typeof second !== 'number' ? 3 : 1

const openDims = (inputs: ReadonlyArray<ValueInfo>): ReadonlyArray<OpenDim> => {
  const found = new Map<string, OpenDim>()
  for (const input of inputs) {
    input.shape.forEach((dim, axis) => {
      if (typeof dim === 'number') return
      const name = dimName(input, axis)
      const channelsAt = input.shape.length === 4 ? channelAxisOf(input) : undefined
      const inImage = channelsAt === undefined ? 'other' : axis === channelsAt ? 'channels' : 'spatial'
      const role = axis === 0 ? 'batch' : inImage
      // A batch may stand elsewhere too, and an image's height may be some other input's width.
      const before = found.get(name)
      if (before === undefined || role === 'batch' || before.role === 'other') found.set(name, { name, role })
    })
  }
  return [...found.values()]
}

interface Plan {
  readonly batch: number
  readonly spatial: number
  readonly channels: number
  readonly other: number
}

const plan = (batch: number, spatial: number, channels: number, other: number): Plan => ({
  batch,
  spatial,
  channels,
  other,
})

/** Combinations to try, in order. The first three that a model accepts are what verification runs. */
const plansFor: Readonly<Record<Purpose, ReadonlyArray<Plan>>> = {
  verify: [
    plan(1, 32, 3, 7),
    plan(3, 48, 3, 2),
    plan(2, 64, 3, 1),
    plan(1, 224, 3, 16),
    plan(2, 128, 1, 3),
    plan(1, 64, 1, 1),
    plan(2, 2, 2, 2),
    plan(1, 1, 1, 1),
    plan(4, 256, 4, 4),
    plan(1, 299, 3, 32),
    plan(1, 320, 3, 128),
    plan(1, 640, 3, 512),
  ],
  measure: [
    plan(1, 224, 3, 128),
    plan(1, 224, 3, 16),
    plan(1, 32, 3, 32),
    plan(1, 64, 3, 7),
    plan(1, 28, 1, 1),
    plan(1, 256, 4, 64),
    plan(1, 299, 3, 224),
    plan(1, 640, 3, 512),
    plan(1, 1, 1, 1),
  ],
}

const isSize = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x >= 0

const bindingHelp = 'Bind sizes with `--shape name=size`.'

/** The sizes that bindings say, by name of the open dimension; an error for a name that the model does not have. */
const bound = (inputs: ReadonlyArray<ValueInfo>, bindings: Bindings): E.Either<RunError, Sizes> => {
  const dims = new Set(openDims(inputs).map((d) => d.name))
  const sizes: Record<string, number> = {}
  for (const [name, value] of Object.entries(bindings)) {
    if (typeof value === 'number') {
      if (!isSize(value)) {
        return E.left(runError(`size of '${name}'`, 'a whole number, 0 or more', String(value), bindingHelp))
      }
      if (!dims.has(name)) {
        const choices = dims.size === 0 ? 'none: every dimension has a fixed size' : [...dims].join(', ')
        return E.left(runError(`dimension '${name}'`, 'an open dimension of an input', `only ${choices}`, bindingHelp))
      }
      sizes[name] = value
      continue
    }
    const input = inputs.find((x) => x.name === name)
    if (input === undefined) {
      const choices = inputs.map((x) => x.name).join(', ')
      return E.left(runError(`shape of '${name}'`, `an input of the model`, `only ${choices}`, bindingHelp))
    }
    const text = `[${value.join(', ')}]`
    const declared = `[${input.shape.map((d) => d ?? '?').join(', ')}]`
    const fits = input.shape.length === 0 || input.shape.length === value.length
    for (const [axis, size] of value.entries()) {
      const dim = input.shape[axis]
      if (!isSize(size) || !fits || (typeof dim === 'number' && dim !== size)) {
        return E.left(runError(`shape of '${name}'`, `one that fits ${declared}`, text, bindingHelp))
      }
      const key = dim === undefined ? `${name}[${axis}]` : dimName(input, axis)
      if (typeof dim === 'number') continue
      if (sizes[key] !== undefined && sizes[key] !== size) {
        return E.left(runError(`dimension '${key}'`, `one size`, `${sizes[key]} and ${size}`, bindingHelp))
      }
      sizes[key] = size
    }
    if (!fits) return E.left(runError(`shape of '${name}'`, `one that fits ${declared}`, text, bindingHelp))
  }
  return E.right(sizes)
}

/**
 * Sizes to try for the open dimensions of a model, in order; each once. Equal names get equal sizes. A model without
 * open dimensions has one choice, the empty one.
 *
 * Errors: a binding names no open dimension or input, or does not fit.
 */
export const sizeChoices = (
  inputs: ReadonlyArray<ValueInfo>,
  bindings: Bindings = {},
  purpose: Purpose = 'verify',
  batch?: number,
): E.Either<RunError, NonEmptyArray<Sizes>> => {
  const fixed = bound(inputs, bindings)
  if (E.isLeft(fixed)) return fixed
  const dims = openDims(inputs)
  const choose = (p: Plan): Sizes => {
    const sizes: Record<string, number> = { ...fixed.right }
    for (const { name, role } of dims) {
      sizes[name] = fixed.right[name] ?? (role === 'batch' && batch !== undefined ? batch : p[role])
    }
    return sizes
  }
  const [first, ...rest] = plansFor[purpose]
  const choices: NonEmptyArray<Sizes> = [choose(first ?? plan(1, 1, 1, 1))]
  const seen = new Set([JSON.stringify(choices[0])])
  for (const next of rest) {
    const sizes = choose(next)
    const key = JSON.stringify(sizes)
    if (!seen.has(key)) choices.push(sizes)
    seen.add(key)
  }
  return E.right(choices)
}

/** The names of open dimensions that are the first axis of an input, where a batch stands by convention. */
export const batchDims = (inputs: ReadonlyArray<ValueInfo>): ReadonlyArray<string> =>
  openDims(inputs)
    .filter((d) => d.role === 'batch')
    .map((d) => d.name)

/** The shape of an input with its open dimensions filled in; undefined when one of them has no size. */
export const shapeOf = (input: ValueInfo, sizes: Sizes): ReadonlyArray<number> | undefined => {
  const shape: number[] = []
  if (input.shape.length === 0) {
    // Unknown rank and no dimensions look alike; only sizes given by place can tell.
    for (let axis = 0; ; axis++) {
      const size = sizes[`${input.name}[${axis}]`]
      if (size === undefined) return shape
      shape.push(size)
    }
  }
  for (const [axis, dim] of input.shape.entries()) {
    const size = typeof dim === 'number' ? dim : sizes[dimName(input, axis)]
    if (size === undefined) return undefined
    shape.push(size)
  }
  return shape
}

/**
 * Factors on float inputs besides 1. Products of three of them are normal numbers still, and sums of a thousand are finite.
 */
export const magnitudesOf = (inputs: ReadonlyArray<ValueInfo>): ReadonlyArray<number> => {
  const floats = inputs.flatMap(({ dtype }) => (isFloat(dtype) ? [dtype] : []))
  if (floats.length === 0) return []
  return floats.includes('float16') ? [1e-4, 1e-2, 1e2, 1e4] : [1e-12, 1e-3, 1e3, 1e12]
}

const fill = (
  input: ValueInfo,
  shape: ReadonlyArray<number>,
  seed: number,
  range: ValueRange,
  magnitude: number,
): Dense => {
  const { dtype } = input
  const count = sizeOf(shape)
  const source = drawsFrom(seededRandom(seed, input.name))
  if (dtype === 'string') {
    const encoder = new TextEncoder()
    const strings = Array.from({ length: count }, () => encoder.encode(`s${source.below(range === 'wide' ? 8 : 2)}`))
    return { tag: 'Dense', dtype, shape, bytes: new Uint8Array(), strings }
  }
  const values = new Float64Array(count)
  const positive = range === 'positive'
  const limit = dtype === 'bool' || range === 'binary' ? 2 : range === 'zero' ? 1 : dtype === 'uint8' ? 256 : 8
  for (let i = 0; i < count; i++) {
    if (isFloat(dtype))
      values[i] = magnitude * (positive ? Math.min(Math.abs(source.normal()) / 6, 1) : source.normal())
    else values[i] = positive && dtype !== 'bool' ? 1 + source.below(3) : source.below(limit)
  }
  return tensorOf(dtype, shape, values)
}

/** Elements of an input, at most: 4 GB of float32. */
const mostElements = 2 ** 30

/**
 * Contents for every input of a model. `wide`: floats are approximately standard normal, integers go from 0 to 7 (uint8:
 * to 255). `positive`: floats from 0 to 1, integers from 1 to 3. `binary` and `zero` are `wide` with integers of 0 and 1
 * or only 0. Booleans are either; strings are short. Floats are `magnitude` times as large. The same seed gives the same
 * bytes on every machine, each input has a stream of its own.
 *
 * Errors: `sizes` lacks an open dimension, or is of more elements than can be run.
 */
export const seededInputs = (
  inputs: ReadonlyArray<ValueInfo>,
  seed: number,
  sizes: Sizes = {},
  range: ValueRange = 'wide',
  magnitude = 1,
): E.Either<RunError, Tensors> => {
  const tensors = new Map<string, Dense>()
  for (const input of inputs) {
    const shape = shapeOf(input, sizes)
    if (shape === undefined) {
      const open = input.shape.flatMap((d, a) => (typeof d === 'number' ? [] : [dimName(input, a)]))
      const found = `sizes for ${Object.keys(sizes).join(', ') || 'none'}`
      return E.left(runError(`input '${input.name}'`, `sizes for ${open.join(', ')}`, found, bindingHelp))
    }
    if (sizeOf(shape) > mostElements) {
      const found = `[${shape.join(', ')}]`
      const help = 'Bind smaller sizes with `--shape name=size`.'
      return E.left(runError(`input '${input.name}'`, `at most ${mostElements} elements`, found, help))
    }
    tensors.set(input.name, fill(input, shape, seed, range, magnitude))
  }
  return E.right(tensors)
}

/** The same inputs, every float moved to its next or previous neighbour, by turns. */
export const nudged = (feeds: Tensors, way: number): Tensors =>
  new Map(
    [...feeds].map(([name, tensor]): readonly [string, Dense] => {
      const unit = isFloat(tensor.dtype) ? units[tensor.dtype] : undefined
      if (unit === undefined) return [name, tensor]
      const moved = Float64Array.from(numbersOf(tensor), (x, i) => x * (((i >> way) & 1) === 0 ? 1 + unit : 1 - unit))
      return [name, tensorOf(tensor.dtype, tensor.shape, moved)]
    }),
  )

/** About the distance between neighbouring numbers, relative to them. */
const units: Partial<Record<DType, number>> = {
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
  float32: 2 ** -23,
  float64: 2 ** -52,
}

/** Sizes for people: `N=1, H=32`. */
export const showSizes = (sizes: Sizes): string =>
  Object.entries(sizes)
    .map(([name, size]) => `${name}=${size}`)
    .join(', ') || 'fixed'
