/** Operators that move or copy elements: what they share about facts, operands and evaluation. */
import * as E from 'fp-ts/lib/Either.js'
import { bitsOf, isWide } from '../dtype.ts'
import { forEachIndex } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { outputShape } from '../links.ts'
import { makeNode } from '../make-node.ts'
import type { InferContext, NodeContext, Rewrite, ShrinkContext, SliceFact } from '../op.ts'
import { Add } from '../ops/add.ts'
import { type Dense, dense, elements, int64s, type Tensor } from '../tensor.ts'
import { type Shape, sizeOf, staticShape, type TensorType, tensorType, type ValueType } from '../type.ts'

/** The number that all slices taking part hold; undefined where they differ, are unknown, or none takes part. */
export const copied = (slices: ReadonlyArray<SliceFact>): number | undefined => {
  let value: number | undefined
  for (const slice of slices) {
    if (slice === null) continue
    if (slice === undefined || (value !== undefined && !Object.is(value, slice))) return undefined
    value = slice
  }
  return value
}

/** A tensor of the element type of input 0, its shape computed from that of input 0 where its rank is known. */
export const movedType = (
  ctx: InferContext<unknown>,
  shape: (from: Shape) => E.Either<string, Shape | undefined>,
): E.Either<string, ReadonlyArray<TensorType>> => {
  const type = tensorInput(ctx, 0)
  if (E.isLeft(type)) return type
  const to = type.right.shape === undefined ? E.right(undefined) : shape(type.right.shape)
  return E.isLeft(to) ? to : E.right([tensorType(type.right.dtype, to.right)])
}

/** The static shape of output `output`; what an evaluation has to fill. */
export const targetShape = (ctx: NodeContext<unknown>, output = 0): ReadonlyArray<number> | undefined =>
  staticShape(outputShape(ctx, output))

/** Integers of a constant, those beyond 2^53 replaced by the nearest that is not: where ONNX clamps anyway. */
export const clampedIntegers = (values: Iterable<number | bigint>): ReadonlyArray<number> =>
  Array.from(values, (x) => Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(x))))

/** Known integers on an input port, constant or computed from shapes; beyond 2^53 clamped. */
export const integersOn = (ctx: InferContext<unknown>, port: number): ReadonlyArray<number> | undefined => {
  const constant = ctx.constant(port)
  if (constant !== undefined) {
    return isWide(constant.dtype) || constant.dtype === 'int32' ? clampedIntegers(elements(constant)) : undefined
  }
  return staticShape(ctx.content(port))
}

export const dtypeOf = (type: ValueType | undefined): TensorType['dtype'] | undefined =>
  type?.kind === 'tensor' ? type.dtype : undefined

/** `to[t + i] = from[f + i · step]` for `i < count`, in units of `unit` array elements. */
const copyRow = <T extends Uint8Array | Uint32Array>(
  [to, t]: readonly [T, number],
  [from, f]: readonly [T, number],
  [count, step, unit]: readonly [number, number, number],
): void => {
  if (unit === 1) {
    for (let i = 0; i < count; i++) to[t + i] = from[f + i * step] ?? 0
    return
  }
  for (let i = 0; i < count; i++) {
    for (let b = 0; b < unit; b++) to[(t + i) * unit + b] = from[(f + i * step) * unit + b] ?? 0
  }
}

/** Rows and columns that are transposed at once: those of both sides stay in the cache. */
const tile = 32

/** `to[t + r · columns + c] = from[f + r + c · step]`, tile by tile. */
const copyTransposed = (
  [to, t]: readonly [Uint32Array, number],
  [from, f]: readonly [Uint32Array, number],
  [rows, columns, step]: readonly [number, number, number],
): void => {
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(rows, top + tile)
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(columns, left + tile)
      for (let r = top; r < bottom; r++) {
        for (let c = left; c < right; c++) to[t + r * columns + c] = from[f + r + c * step] ?? 0
      }
    }
  }
}

/**
 * The elements at places `start + Σ index · stride` of `x`, under `shape`. Undefined for strings and types under 8 bits.
 */
export const strided = (
  x: Dense,
  shape: ReadonlyArray<number>,
  strides: ReadonlyArray<number>,
  start = 0,
): Dense | undefined => {
  const width = bitsOf(x.dtype) / 8
  if (x.strings || width < 1) return undefined
  const out = new Uint8Array(sizeOf(shape) * width)
  const [count, step] = [shape.at(-1) ?? 1, strides.at(-1) ?? 0]
  const [rows, isTransposed] = [shape.at(-2) ?? 1, strides.at(-2) === 1 && step !== 1]
  const aligned = width !== 4 || x.bytes.byteOffset % 4 === 0 ? x.bytes : x.bytes.slice()
  const words = width === 4 ? new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4) : undefined
  const to = width === 4 ? new Uint32Array(out.buffer) : new Uint32Array()
  const isTiled = words !== undefined && isTransposed
  forEachIndex(shape.slice(0, isTiled ? -2 : -1), (index, row) => {
    let at = start
    for (let a = 0; a < index.length; a++) at += (index[a] ?? 0) * (strides[a] ?? 0)
    if (isTiled) copyTransposed([to, row * rows * count], [words, at], [rows, count, step])
    else if (words) copyRow([to, row * count], [words, at], [count, step, 1])
    else copyRow([out, row * count], [x.bytes, at], [count, step, width])
  })
  return dense(x.dtype, shape, out)
}

/** The rewrite of one node with another constant on one of its ports, which it may not have had before. */
export const withOperand = (s: ShrinkContext<unknown>, rewrite: Rewrite, port: number, tensor: Tensor): Rewrite => {
  const name = s.rename(port, s.node.inputs[port] || `${s.node.outputs[0] ?? ''}_operand`)
  return {
    nodes: rewrite.nodes.map((node) => ({ ...node, inputs: node.inputs.map((x, i) => (i === port ? name : x)) })),
    constants: new Map([...rewrite.constants, [name, tensor]]),
  }
}

/** The rewrite of one node with `amounts` added to the computed integers on one of its ports. */
export const withAmounts = (
  s: ShrinkContext<unknown>,
  rewrite: Rewrite,
  port: number,
  amounts: ReadonlyArray<number>,
): Rewrite => {
  if (amounts.every((amount) => amount === 0)) return rewrite
  const from = s.node.inputs[port] ?? ''
  const [sum, added] = [s.fresh(`${from}_left`), s.fresh(`${from}_lost`)]
  const nodes = rewrite.nodes.map((node) => ({ ...node, inputs: node.inputs.map((x, i) => (i === port ? sum : x)) }))
  return {
    nodes: [makeNode(Add, [from, added], [sum]), ...nodes],
    constants: new Map([...rewrite.constants, [added, int64s(amounts)]]),
  }
}

/** Size of an axis after shrinking. */
export const keptSize = (kept: Int32Array | undefined, size: number): number =>
  kept === undefined ? size : kept.length
