/** Constructor for recurrent operators: LSTM, GRU, RNN. */
import * as E from 'fp-ts/lib/Either.js'
import type { Schema } from '../attributes.ts'
import { sharedDtype } from '../infer.ts'
import { ofOneSize, sameIndex, shapeOf } from '../links.ts'
import { type AxisLink, defineOp, type InferContext, type NodeContext, type OpDef, type Rewrite } from '../op.ts'
import { uniformValue } from '../slices.ts'
import { type Dim, isStatic, type Shape, tensorType, unknownDim } from '../type.ts'
import { type Cell, directionsOf, ports, type RecurrentAttributes } from './recurrent-cells.ts'
import { recurrentMixing, shrinkRecurrence } from './recurrent-mixing.ts'
import { evaluateRecurrence } from './recurrent-steps.ts'

/** Sizes of a recurrence, numbers where they are known. */
interface Sizes {
  readonly time: Dim
  readonly batch: Dim
  readonly features: Dim
  readonly directions: number
  readonly hidden: Dim
}

const sizesOf = (ctx: InferContext<RecurrentAttributes>): Sizes => {
  const [name = ''] = ctx.outputNames
  const unknown = (axis: number): Dim => unknownDim(name, axis)
  const [first = unknown(0), second = unknown(1), features = unknown(4)] = shapeOf(ctx.inputs[ports.x]) ?? []
  const [time, batch] = ctx.attrs.layout === 0 ? [first, second] : [second, first]
  const read = shapeOf(ctx.inputs[ports.r])?.[2]
  const hidden = ctx.attrs.hidden_size ?? (isStatic(read) ? read : unknown(3))
  return { time, batch, features, directions: directionsOf(ctx.attrs), hidden }
}

/** What the operands have to look like, by port; times are of sizes that are known. */
const expectedShapes = (gates: number, s: Sizes, isTimeFirst: boolean): ReadonlyArray<Shape> => {
  const times = (n: number, size: Dim): Dim => (isStatic(size) ? n * size : '?')
  const state = isTimeFirst ? [s.directions, s.batch, s.hidden] : [s.batch, s.directions, s.hidden]
  return [
    isTimeFirst ? [s.time, s.batch, s.features] : [s.batch, s.time, s.features],
    [s.directions, times(gates, s.hidden), s.features],
    [s.directions, times(gates, s.hidden), s.hidden],
    [s.directions, times(2 * gates, s.hidden)],
    [s.batch],
    state,
    state,
    [s.directions, times(3, s.hidden)],
  ]
}

/**
 * `x[T,N,I]`, weights `W[D,gates·H,I]`, recurrent weights `R[D,gates·H,H]`, biases `B[D,2·gates·H]`, lengths of the N
 * sequences, first states `[D,N,H]`, peepholes `[D,3·H]`; outputs all states `[T,D,N,H]` and then the last ones, `[D,N,H]`.
 * With `layout` 1 the batch comes first everywhere but in the weights.
 */
export const recurrent = <const Name extends string, A extends RecurrentAttributes>(
  name: Name,
  cell: Cell<A>,
  schema: Schema<A>,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions: [7, Infinity],
    schema,
    inferTypes: (ctx) => {
      const dtype = sharedDtype(ctx, [ports.x, ports.w, ports.r])
      if (E.isLeft(dtype)) return dtype
      const s = sizesOf(ctx)
      const isTimeFirst = ctx.attrs.layout === 0
      for (const [port, expected] of expectedShapes(cell.gates, s, isTimeFirst).entries()) {
        const shape = shapeOf(ctx.inputs[port])
        if (shape === undefined) continue
        const fits = shape.every((size, a) => !isStatic(size) || !isStatic(expected[a]) || size === expected[a])
        if (shape.length !== expected.length || !fits) {
          return E.left(`input ${port} is of shape [${shape.join(',')}], not [${expected.join(',')}]`)
        }
      }
      const { time, directions, batch, hidden } = s
      const all: Shape = isTimeFirst ? [time, directions, batch, hidden] : [batch, time, directions, hidden]
      const last: Shape = isTimeFirst ? [directions, batch, hidden] : [batch, directions, hidden]
      const finals = Array.from({ length: cell.hasCellState ? 2 : 1 }, () => tensorType(dtype.right, last))
      return E.right([tensorType(dtype.right, all), ...finals])
    },
    links: (ctx) => batchLinks(ctx),
    omitted: (port) => (optional.has(port) ? 0 : undefined),
    simplify: (ctx) => withoutZeros(ctx),
    mixes: (ctx) => recurrentMixing(cell, ctx),
    shrink: (s) => shrinkRecurrence(cell, s),
    evaluate: (ctx, inputs) => evaluateRecurrence(cell, ctx, inputs),
    macs: (ctx) => {
      const { time, batch, features, directions, hidden } = sizesOf(ctx)
      const count = (size: Dim): number => (isStatic(size) ? size : 1)
      const rows = cell.gates * count(hidden)
      return directions * count(time) * count(batch) * rows * (count(features) + count(hidden))
    },
  })

/** Operands that stand for zeros where they are left out. */
const optional: ReadonlySet<number> = new Set([ports.b, ports.h, ports.c, ports.p])

/** The node without constant operands that are zero everywhere. */
const withoutZeros = ({ node, constant }: NodeContext<unknown>): Rewrite | undefined => {
  const inputs = node.inputs.map((input, port) => {
    const tensor = optional.has(port) ? constant(port) : undefined
    return tensor !== undefined && uniformValue(tensor) === 0 ? '' : input
  })
  if (inputs.every((input, port) => input === node.inputs[port])) return undefined
  const last = inputs.findLastIndex((input) => input !== '')
  return { nodes: [{ ...node, inputs: inputs.slice(0, last + 1) }], constants: new Map() }
}

/** Sequences of a batch do not meet. */
const batchLinks = (ctx: NodeContext<RecurrentAttributes>): ReadonlyArray<AxisLink> => {
  const isTimeFirst = ctx.attrs.layout === 0
  const inputs = [
    { port: ports.x, axis: isTimeFirst ? 1 : 0 },
    { port: ports.lengths, axis: 0 },
    ...[ports.h, ports.c].map((port) => ({ port, axis: isTimeFirst ? 1 : 0 })),
  ]
  const links = inputs.flatMap(({ port, axis }) =>
    ctx.node.outputs.flatMap((value, k) => {
      const to = isTimeFirst ? (k === 0 ? 2 : 1) : 0
      return value === '' || ctx.inputs[port] === undefined ? [] : [sameIndex(port, axis, k, to)]
    }),
  )
  return ofOneSize(ctx, links)
}
