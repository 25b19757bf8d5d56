/** Small concrete problems of one node, for the laws: how a sample is written down, and how it becomes a graph. */
import * as E from 'fp-ts/lib/Either.js'
import type { RawAttribute } from '../../src/ir/attributes.ts'
import { type DType, isFloat } from '../../src/ir/dtype.ts'
import { unqualified } from '../../src/ir/domain.ts'
import { renderError } from '../../src/ir/failure.ts'
import { type Graph, makeGraph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import { type AnyOp, decodeAttributes } from '../../src/ir/registry.ts'
import { type Dense, elements, isNumeric, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf, tensorType, type ValueType } from '../../src/ir/type.ts'
import { uniforms } from '../inflate.ts'

/** One input of a sample. */
export interface Operand {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  /** Whether it is an initializer of the model; other operands are inputs, which the laws fill and perturb at will. */
  readonly constant: boolean
  /** Its numbers; drawn from `range` where absent. */
  readonly values?: ReadonlyArray<number> | undefined
  readonly range: readonly [low: number, high: number]
}

/** A node of an operator with its inputs; undefined for an omitted port. */
export interface Sample {
  readonly label: string
  readonly opset: number
  readonly attributes: Readonly<Record<string, RawAttribute>>
  readonly inputs: ReadonlyArray<Operand | undefined>
  readonly outputs: number
  /** Why ONNX Runtime cannot be asked about this sample. */
  readonly noRuntime?: string | undefined
  /** Whether output sizes depend on numbers that are only known when the model runs. */
  readonly sizedByData: boolean
}

export interface OperandOptions {
  readonly dtype?: DType
  readonly values?: ReadonlyArray<number>
  readonly range?: readonly [low: number, high: number]
}

const operand = (shape: ReadonlyArray<number>, constant: boolean, options: OperandOptions): Operand => ({
  dtype: options.dtype ?? 'float32',
  shape,
  constant,
  values: options.values,
  range: options.range ?? [-2, 2],
})

/** A model input: float32 in -2 .. 2 unless told otherwise. */
export const input = (shape: ReadonlyArray<number>, options: OperandOptions = {}): Operand =>
  operand(shape, false, options)

/** An initializer: float32 in -2 .. 2 unless told otherwise. */
export const constant = (shape: ReadonlyArray<number>, options: OperandOptions = {}): Operand =>
  operand(shape, true, options)

/** An initializer `[D,blocks·units,columns]`, or `[D,blocks·units]` of no columns, zero where `isZero` says so. */
export const unitWeights = (
  [directions, blocks, units, columns]: readonly [number, number, number, number?],
  isZero: (unit: number, column: number, block: number, direction: number) => boolean,
): Operand => {
  const [rows, inner] = [blocks * units, columns ?? 1]
  const values = Array.from({ length: directions * rows * inner }, (_, k) => {
    const row = Math.floor(k / inner) % rows
    const zero = isZero(row % units, k % inner, Math.floor(row / units), Math.floor(k / inner / rows))
    return zero ? 0 : 1.5 * Math.sin(k + 1)
  })
  return constant([directions, rows, ...(columns === undefined ? [] : [columns])], { values })
}

/** An int64 initializer: a vector unless told otherwise. */
export const sizes = (values: ReadonlyArray<number>, shape: ReadonlyArray<number> = [values.length]): Operand =>
  operand(shape, true, { dtype: 'int64', values })

export interface SampleOptions {
  /** 21 unless told otherwise. */
  readonly opset?: number
  readonly attributes?: Readonly<Record<string, RawAttribute>>
  readonly outputs?: number
  readonly noRuntime?: string
  readonly sizedByData?: boolean
}

export const sample = (
  label: string,
  inputs: ReadonlyArray<Operand | undefined>,
  options: SampleOptions = {},
): Sample => ({
  label,
  opset: options.opset ?? 21,
  attributes: options.attributes ?? {},
  inputs,
  outputs: options.outputs ?? 1,
  noRuntime: options.noRuntime,
  sizedByData: options.sizedByData ?? false,
})

/** Attributes as a file holds them. */
export const int = (value: number): RawAttribute => ({ kind: 'int', value: BigInt(value) })
export const ints = (...value: ReadonlyArray<number>): RawAttribute => ({ kind: 'ints', value: value.map(BigInt) })
export const float = (value: number): RawAttribute => ({ kind: 'float', value: Math.fround(value) })
export const floats = (...value: ReadonlyArray<number>): RawAttribute => ({
  kind: 'floats',
  value: value.map(Math.fround),
})
export const text = (value: string): RawAttribute => ({ kind: 'string', value })
export const texts = (...value: ReadonlyArray<string>): RawAttribute => ({ kind: 'strings', value })

/** Name of the value on an input port, and of an output. */
export const inputName = (port: number): string => `x${port}`
export const outputName = (output: number): string => `y${output}`

/** Numbers of an operand: its own, or drawn with `seed`. */
export const valueOf = (x: Operand, seed: number): Dense => {
  if (x.values !== undefined) return tensorOf(x.dtype, x.shape, x.values)
  const uniform = uniforms(seed)
  const [low, high] = x.range
  const draw = (): number => {
    if (x.dtype === 'bool') return uniform() < 0.5 ? 0 : 1
    return isFloat(x.dtype) ? low + (high - low) * uniform() : low + Math.floor((high - low + 1) * uniform())
  }
  return tensorOf(x.dtype, x.shape, Float64Array.from({ length: sizeOf(x.shape) }, draw))
}

/** All operands of a sample. */
export const valuesOf = (s: Sample, seed: number): ReadonlyArray<Dense | undefined> =>
  s.inputs.map((x, port) => x && valueOf(x, x.constant ? port + 1 : 1000 * seed + port + 1))

/** The node of a sample. */
export const nodeOf = (op: AnyOp, s: Sample): Node => {
  const attrs = decodeAttributes(op, new Map(Object.entries(s.attributes)))
  if (E.isLeft(attrs)) throw new Error(`${op.name}, ${s.label}: ${attrs.left}`)
  return {
    op: op.name,
    attrs: attrs.right,
    inputs: s.inputs.map((x, port) => (x === undefined ? '' : inputName(port))),
    outputs: Array.from({ length: s.outputs }, (_, i) => outputName(i)),
    name: op.name,
  }
}

/** The sample as a graph, the types of its model inputs as `declare` says. */
export const graphOf = (
  op: AnyOp,
  s: Sample,
  values: ReadonlyArray<Dense | undefined>,
  declare: (port: number, x: Operand) => ValueType = (_, x) => tensorType(x.dtype, x.shape),
): Graph => {
  const node = nodeOf(op, s)
  const { domain } = unqualified(op.name)
  const constants = new Map<string, Dense>()
  const inputs: Array<{ readonly name: string; readonly type: ValueType }> = []
  s.inputs.forEach((x, port) => {
    const value = values[port]
    if (x === undefined || value === undefined) return
    if (x.constant) constants.set(inputName(port), value)
    else inputs.push({ name: inputName(port), type: declare(port, x) })
  })
  const graph = makeGraph({
    name: 'sample',
    inputs,
    outputs: [],
    nodes: [node],
    constants,
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', s.opset], ...(domain === '' ? [] : [[domain, op.versions[0]] as const])]),
    preserved: { irVersion: 10, model: new Uint8Array(), uses: [] },
  })
  if (E.isLeft(graph)) throw new Error(`${op.name}, ${s.label}: ${renderError(graph.left)}`)
  const types = graph.right.types
  const outputs = node.outputs.map((name) => ({ name, type: types.get(name) ?? tensorType('float32', undefined) }))
  return { ...graph.right, outputs }
}

/**
 * Largest difference of two tensors, relative to the largest number where that exceeds 1; infinite where one has a
 * number that is not finite and the other has another. Throws when types or shapes differ.
 */
export const difference = (a: Dense, b: Dense): number => {
  const [before, after] = [a, b].map(({ dtype, shape }) => `${dtype}[${shape.join(',')}]`)
  if (before !== after) throw new Error(`expected ${before}, found ${after}`)
  if (!isNumeric(a.dtype)) return a.bytes.every((x, i) => x === b.bytes[i]) ? 0 : Infinity
  const [xs, ys] = [elements(a), elements(b)]
  let scale = 1
  let worst = 0
  for (let i = 0; i < xs.length; i++) {
    const [x, y] = [Number(xs[i]), Number(ys[i])]
    if (Object.is(x, y) || xs[i] === ys[i]) continue
    if (!Number.isFinite(x) || !Number.isFinite(y)) return Infinity
    scale = Math.max(scale, Math.abs(x))
    worst = Math.max(worst, Math.abs(x - y))
  }
  return worst / scale
}
