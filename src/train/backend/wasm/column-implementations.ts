/** The kernels of `ops/fused.ts`, on rows `[P, C]`, and of elements. */
import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Call, Implementations } from './implementation.ts'

const sizes = ({ shape: [rows = 0, columns = 0] }: TensorInfo): readonly [number, number] => [rows, columns]

/** Rows of which the sums are added up, and elements that are computed by one thread, as in `assembly`. */
const chunk = 256
const piece = 1024

/** A kernel of `inputs` that gives as many vectors of one number for each column. */
const summing =
  (kernel: string, inputs: ReadonlyArray<string>, results: number) =>
  ({ machine, input }: Call): TensorInfo[] => {
    const tensors = inputs.map(input)
    const [rows, columns] = sizes(input('x'))
    const chunks = Math.ceil(rows / chunk)
    const parts = Array.from({ length: results }, () => machine.output([chunks, columns]))
    machine.call(kernel, chunks, ...[...tensors, ...parts].map(machine.address), rows, columns)
    return parts.map((part) => {
      const sums = machine.output([columns])
      machine.callAlone('addChunks', columns, machine.address(part), machine.address(sums), chunks, columns)
      machine.free(part)
      return sums
    })
  }

/** A kernel that gives one number for each element of `x`. */
const mapping =
  (kernel: string, inputs: ReadonlyArray<string>) =>
  ({ machine, input }: Call): TensorInfo => {
    const tensors = inputs.map(input)
    const x = input('x')
    const output = machine.output(x.shape)
    const [rows, columns] = sizes(x)
    machine.call(kernel, rows, ...[...tensors, output].map(machine.address), columns)
    return output
  }

/** A kernel of two tensors of the same shape. */
const elementwise =
  (kernel: string, inputs: ReadonlyArray<string>) =>
  ({ machine, input }: Call): TensorInfo => {
    const tensors = inputs.map(input)
    const { shape } = input('dy')
    const output = machine.output(shape)
    const size = sizeOf(shape)
    machine.call(kernel, Math.ceil(size / piece), ...[...tensors, output].map(machine.address), size)
    return output
  }

/** Fewer elements than this are not worth the waking of threads. */
const few = 1 << 15

const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

const relu = ({ machine, input, attributes, stock }: Call): TensorInfo => {
  const x = input('x')
  const size = sizeOf(x.shape)
  if (size < few || x.dtype !== 'float32') return stock('Relu', { x }, attributes)
  const y = machine.output(x.shape)
  machine.call('relu', Math.ceil(size / piece), machine.address(x), machine.address(y), size)
  return y
}

const add = ({ machine, input, attributes, stock }: Call): TensorInfo => {
  const [a, b] = [input('a'), input('b')]
  const size = sizeOf(a.shape)
  const isSame = a.shape.length === b.shape.length && a.shape.every((d, axis) => d === b.shape[axis])
  if (size < few || !isSame || a.dtype !== 'float32' || b.dtype !== 'float32') return stock('Add', { a, b }, attributes)
  const c = machine.output(a.shape)
  machine.call('add', Math.ceil(size / piece), ...[a, b, c].map(machine.address), size)
  return c
}

export const columnImplementations: Implementations = {
  ColumnSums: summing('columnSums', ['x'], 1),
  ColumnSquares: summing('columnSquares', ['x', 'mean'], 1),
  ColumnProducts: summing('columnProducts', ['dy', 'x', 'mean'], 2),
  ScaleColumns: mapping('scaleColumns', ['x', 'factor', 'term']),
  CombineColumns: mapping('combineColumns', ['dy', 'x', 'a', 'b', 'c']),
  Relu: relu,
  Add: add,
  ReluGradient: elementwise('reluGradient', ['dy', 'y']),
  ClipGradient: elementwise('clipGradient', ['dy', 'x', 'bounds']),
}
