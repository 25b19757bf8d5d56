/** Arrays of a file as inputs of a model: by name, in its types and shapes, some samples at a time. Pure. */
import * as E from 'fp-ts/lib/Either.js'
import { bitsOf, byteLength, type DType, isFloat } from '../ir/dtype.ts'
import { numbersOf } from '../ir/evaluate.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { dense, type Dense, elements, isNumeric, tensorOf } from '../ir/tensor.ts'
import { isAnonymous, isStatic, type Shape, sizeOf } from '../ir/type.ts'
import { tensorFileError, type TensorFileError } from '../masks/file-entry.ts'

/** What a model reads once. */
export interface InputBatch {
  /** Where it comes from, for messages. */
  readonly from: string
  /** Samples in it. */
  readonly samples: number
  readonly feeds: ReadonlyMap<ValueId, Dense>
}

/** An input that arrays can be for. */
interface ModelInput {
  readonly name: ValueId
  readonly dtype: DType
  readonly shape: Shape | undefined
  /** Whether it may be left out. */
  readonly isOptional: boolean
}

/** The inputs of a graph that are tensors. */
export const tensorInputs = (graph: Graph): ReadonlyArray<ModelInput> =>
  graph.inputs.flatMap(({ name }) => {
    const type = graph.types.get(name)
    if (type?.kind !== 'tensor') return []
    return [{ name, dtype: type.dtype, shape: type.shape, isOptional: graph.defaults.has(name) }]
  })

const declared = ({ dtype, shape }: ModelInput): string =>
  `${dtype}[${shape?.map((dim) => (isAnonymous(dim) ? '?' : dim)).join(',') ?? '*'}]`

const holds = ({ dtype, shape }: Dense): string => `${dtype}[${shape.join(',')}]`

/**
 * The arrays of a file, `from`, as runs of a model. Where all of them have as many indices along their first axis, and the model
 * leaves the first axis of its inputs open or fixes it to a divisor of that, these are samples, of which a run takes that divisor,
 * or `batch`; else the file is one run. An array without the first axis is one sample.
 *
 * Errors: an array that is no input of the model, an input without one, a shape or a type that does not fit.
 */
export const fitInputs = (
  arrays: ReadonlyMap<string, Dense>,
  from: string,
  inputs: ReadonlyArray<ModelInput>,
  batch: number,
): E.Either<TensorFileError, Iterable<InputBatch>> => {
  const names = inputs.map(({ name }) => name).join(', ')
  for (const name of arrays.keys()) {
    if (inputs.some((input) => input.name === name)) continue
    const help = 'Name arrays after the inputs of the model, and leave others out.'
    return E.left(tensorFileError(`array ${name} of ${from}`, `an input of the model (${names})`, 'another name', help))
  }
  const given = inputs.filter(({ name }) => arrays.has(name))
  const feeds = new Map<ValueId, Dense>()
  for (const input of inputs) {
    const array = arrays.get(input.name)
    if (array === undefined) {
      if (input.isOptional) continue
      const found = [...arrays.keys()].join(', ') || 'none'
      const help = 'Save an array for each input: numpy.savez(file, **inputs).'
      return E.left(tensorFileError(from, `an array for each input (${names})`, `only ${found}`, help))
    }
    const fitted = fit(array, input, from)
    if (E.isLeft(fitted)) return fitted
    feeds.set(input.name, fitted.right)
  }
  const [count = 0, ...others] = [...feeds.values()].map(({ shape }) => shape[0] ?? 0)
  const fixed = new Set(given.map(({ shape }) => shape?.[0]).filter(isStatic))
  const [size = batch] = fixed
  const isSplit =
    count > 0 && others.every((n) => n === count) && fixed.size <= 1 && (fixed.size === 0 || count % size === 0)
  for (const input of given) {
    const array = feeds.get(input.name)
    if (array === undefined) continue
    const [first, ...rest] = input.shape ?? []
    const isFirstFit = !isStatic(first) || isSplit || array.shape[0] === first
    const isFit = input.shape === undefined || (array.shape.length === input.shape.length && isFirstFit)
    if (isFit && rest.every((dim, axis) => !isStatic(dim) || dim === array.shape[axis + 1])) continue
    return E.left(misfit(input, array, from))
  }
  if (feeds.size === 0 || [...feeds.values()].some(({ shape }) => sizeOf(shape) === 0))
    return E.left(tensorFileError(from, 'at least one sample', 'none', 'Leave the file out.'))
  if (!isSplit) return E.right([{ from, samples: 1, feeds }])
  return E.right(split(feeds, from, count, size))
}

/** Some samples at a time, each a view of the arrays. */
function* split(feeds: InputBatch['feeds'], from: string, count: number, size: number): Iterable<InputBatch> {
  for (let first = 0; first < count; first += size) {
    const end = Math.min(count, first + size)
    const part = new Map(Array.from(feeds, ([name, array]) => [name, rowsOf(array, first, end)]))
    yield { from: `${from} (samples ${first} to ${end - 1})`, samples: end - first, feeds: part }
  }
}

const misfit = (input: ModelInput, array: Dense, from: string): TensorFileError =>
  tensorFileError(
    `array ${input.name} of ${from}`,
    declared(input),
    holds(array),
    'Prepare the arrays as for the model: samples along the first axis, in the shape and type of its input.',
  )

/** An array in the type of an input, and with its first axis. */
const fit = (array: Dense, input: ModelInput, from: string): E.Either<TensorFileError, Dense> => {
  const converted = convert(array, input.dtype)
  if (converted === undefined) return E.left(misfit(input, array, from))
  const [first, ...rest] = input.shape ?? []
  const lacksFirst =
    input.shape !== undefined &&
    array.shape.length === rest.length &&
    (!isStatic(first) || first === 1) &&
    rest.every((dim, axis) => !isStatic(dim) || dim === array.shape[axis])
  return E.right(lacksFirst ? dense(converted.dtype, [1, ...array.shape], converted.bytes) : converted)
}

/** `array` in another type: floats rounded to floats, integers where all of them are numbers of that type. */
const convert = (array: Dense, dtype: DType): Dense | undefined => {
  if (array.dtype === dtype) return array
  if (isFloat(array.dtype) && isFloat(dtype)) return tensorOf(dtype, array.shape, numbersOf(array))
  const isIntegers = [array.dtype, dtype].every((type) => isNumeric(type) && !isFloat(type) && bitsOf(type) >= 8)
  if (!isIntegers) return undefined
  const numbers = Float64Array.from(elements(array), Number)
  const converted = tensorOf(dtype, array.shape, numbers)
  const back = elements(converted)
  return numbers.every((x, i) => Number.isSafeInteger(x) && Number(back[i]) === x) ? converted : undefined
}

const rowsOf = ({ dtype, shape, bytes }: Dense, first: number, end: number): Dense => {
  const each = byteLength(dtype, sizeOf(shape.slice(1)))
  return dense(dtype, [end - first, ...shape.slice(1)], bytes.subarray(first * each, end * each))
}
