/** Small graphs for tests, written as a function of a builder. Weights are seeded normal numbers. */
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../src/ir/failure.ts'
import { type Graph, makeGraph } from '../src/ir/graph.ts'
import type { Node, OpDef } from '../src/ir/op.ts'
import * as ops from '../src/ir/ops/index.ts'
import { makeNode } from '../src/ir/make-node.ts'
import { int64s, type Tensor, tensorOf } from '../src/ir/tensor.ts'
import { type Shape, sizeOf, tensorType } from '../src/ir/type.ts'
import { normals, uniforms } from './inflate.ts'

/** Which slices of a weight are zero: indices along axis 0 (`rows`) and axis 1 (`columns`). */
export interface Zeros {
  readonly rows?: ReadonlyArray<number>
  readonly columns?: ReadonlyArray<number>
}

export interface GraphBuilder {
  /** A node; gives the name of its first output. */
  readonly op: <A>(op: OpDef<string, A>, inputs: ReadonlyArray<string>, attrs?: Partial<A>, outputs?: number) => string
  /** A weight N(0, 0.5), some slices zero. */
  readonly weight: (name: string, shape: ReadonlyArray<number>, zeros?: Zeros) => string
  /** Numbers in [0.5, 1.5), for scales and variances. */
  readonly positive: (name: string, shape: ReadonlyArray<number>) => string
  readonly constant: (name: string, tensor: Tensor) => string
  readonly ints: (name: string, values: ReadonlyArray<number>) => string
  readonly floats: (name: string, values: ReadonlyArray<number>, shape?: ReadonlyArray<number>) => string
}

export interface GraphOptions {
  readonly opset?: number
  readonly seed?: number
}

/** The graph that `body` describes; it returns the names of the outputs. */
export const buildGraph = (
  inputs: Readonly<Record<string, Shape>>,
  body: (b: GraphBuilder) => ReadonlyArray<string>,
  { opset = 17, seed = 7 }: GraphOptions = {},
): Graph => {
  const uniform = uniforms(seed)
  const normal = normals(uniform)
  const constants = new Map<string, Tensor>()
  const nodes: Node[] = []
  const constant = (name: string, tensor: Tensor): string => {
    constants.set(name, tensor)
    return name
  }
  const outputs = body({
    op: (op, given, attrs = {}, count = 1) => {
      const kind = op.name.charAt(0).toLowerCase() + op.name.slice(1)
      const id = `${kind}${nodes.filter((n) => n.op === op.name).length}`
      const made = Array.from({ length: count }, (_, i) => (count === 1 ? id : `${id}.${i}`))
      nodes.push(makeNode(op, given, made, attrs, id))
      return made[0] ?? ''
    },
    weight: (name, shape, { rows = [], columns = [] } = {}) => {
      const inner = sizeOf(shape.slice(2))
      const second = shape[1] ?? 1
      const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
        const value = 0.5 * normal()
        const block = Math.floor(i / inner)
        const zero =
          shape.length > 1
            ? rows.includes(Math.floor(block / second)) || columns.includes(block % second)
            : rows.includes(i)
        return zero ? 0 : value
      })
      return constant(name, tensorOf('float32', shape, values))
    },
    positive: (name, shape) =>
      constant(
        name,
        tensorOf(
          'float32',
          shape,
          Float32Array.from({ length: sizeOf(shape) }, () => 0.5 + uniform()),
        ),
      ),
    constant,
    ints: (name, values) => constant(name, int64s(values)),
    floats: (name, values, shape = [values.length]) => constant(name, tensorOf('float32', shape, values)),
  })
  const info = (name: string, shape: Shape | undefined) => ({ name, type: tensorType('float32', shape) })
  const made = makeGraph({
    name: 'test',
    inputs: Object.entries(inputs).map(([name, shape]) => info(name, shape)),
    outputs: outputs.map((name) => info(name, undefined)),
    nodes,
    constants,
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', opset]]),
    preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
  })
  if (E.isLeft(made)) throw new Error(renderError(made.left))
  const graph = made.right
  // Outputs declare the types that inference finds.
  const typed = makeGraph({
    ...graph,
    outputs: outputs.map((name) => ({ name, type: graph.types.get(name) ?? tensorType('float32', undefined) })),
  })
  if (E.isLeft(typed)) throw new Error(renderError(typed.left))
  return typed.right
}

/** Convolution, BatchNormalization and, unless `relu` is false, ReLU as exporters write them: `[outputs, inputs, kernel]`. */
export const convNormRelu = (
  b: GraphBuilder,
  name: string,
  x: string,
  [outs, ins, kernel]: readonly [number, number, number],
  zeros: Zeros = {},
  relu = true,
  group = 1,
): string => {
  const pad = (kernel - 1) / 2
  const weight = b.weight(`${name}.weight`, [outs, ins / group, kernel, kernel], zeros)
  const y = b.op(ops.Conv, [x, weight], { pads: [pad, pad, pad, pad], group })
  const params = [
    b.positive(`${name}.scale`, [outs]),
    b.weight(`${name}.shift`, [outs]),
    b.weight(`${name}.mean`, [outs]),
    b.positive(`${name}.var`, [outs]),
  ]
  const z = b.op(ops.BatchNormalization, [y, ...params])
  return relu ? b.op(ops.Relu, [z]) : z
}
