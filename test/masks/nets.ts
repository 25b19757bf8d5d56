/** Small graphs for tests of masks. */
import * as E from 'fp-ts/lib/Either.js'
import { type Graph, type GraphParts, makeGraph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import { Add, Constant, Conv, Flatten, Gemm, Identity, Relu } from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf, type Shape, tensorType } from '../../src/ir/type.ts'

export const graphOf = (
  inputs: Readonly<Record<string, Shape>>,
  constants: Readonly<Record<string, Tensor>>,
  nodes: ReadonlyArray<Node>,
  outputs: ReadonlyArray<string>,
  more: Partial<GraphParts> = {},
): Graph => {
  const made = makeGraph({
    name: 'test',
    inputs: Object.entries(inputs).map(([name, shape]) => ({ name, type: tensorType('float32', shape) })),
    outputs: outputs.map((name) => ({ name, type: tensorType('float32', undefined) })),
    nodes,
    constants: new Map(Object.entries(constants)),
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', 17]]),
    preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
    ...more,
  })
  if (E.isLeft(made)) throw new Error(JSON.stringify(made.left))
  return made.right
}

/** A float32 tensor; without values 1, 2, 3, ... */
export const weight = (shape: ReadonlyArray<number>, values?: ReadonlyArray<number>): Tensor =>
  tensorOf('float32', shape, values ?? Array.from({ length: sizeOf(shape) }, (_, i) => i + 1))

/** `x[N,2,3,3]` → Conv with `conv.weight[4,2,3,3]` → Relu → Flatten → Gemm with `gemm.weight[4,3]` → `y[N,3]`. */
export const net: Graph = graphOf(
  { x: ['N', 2, 3, 3] },
  { 'conv.weight': weight([4, 2, 3, 3]), 'conv.bias': weight([4]), 'gemm.weight': weight([4, 3]) },
  [
    makeNode(Conv, ['x', 'conv.weight', 'conv.bias'], ['a'], { kernel_shape: [3, 3] }, 'conv'),
    makeNode(Relu, ['a'], ['b']),
    makeNode(Flatten, ['b'], ['c']),
    makeNode(Gemm, ['c', 'gemm.weight'], ['y'], {}, 'gemm'),
  ],
  ['y'],
)

/**
 * Two layers with the constant `w[2,2]`: `first` reads it directly, `second` through two identities as `w2`; a third with a
 * weight that the node of `held[2,2]` holds.
 */
export const sharing: Graph = graphOf(
  { x: ['N', 2] },
  { w: weight([2, 2]) },
  [
    makeNode(Gemm, ['x', 'w'], ['a'], {}, 'first'),
    makeNode(Identity, ['w'], ['w1']),
    makeNode(Identity, ['w1'], ['w2']),
    makeNode(Gemm, ['a', 'w2'], ['b'], {}, 'second'),
    makeNode(Constant, [], ['held'], { value: weight([2, 2]) }),
    makeNode(Gemm, ['b', 'held'], ['c'], {}, 'third'),
    makeNode(Add, ['c', 'x'], ['y']),
  ],
  ['y'],
)
