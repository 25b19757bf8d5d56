/** Networks of any size, as graphs: what the scale benchmark compiles. Weights are pseudo-random and made when they are read. */
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../src/ir/failure.ts'
import { type Graph, makeGraph } from '../src/ir/graph.ts'
import { makeNode } from '../src/ir/make-node.ts'
import type { Node } from '../src/ir/op.ts'
import * as ops from '../src/ir/ops/index.ts'
import { type External, type Tensor, tensorOf } from '../src/ir/tensor.ts'
import { type Shape, sizeOf, tensorType } from '../src/ir/type.ts'

export const shapesOfNetworks = ['chain', 'residual', 'concat'] as const
export type NetworkShape = (typeof shapesOfNetworks)[number]

const graphOf = (
  input: Shape,
  output: string,
  nodes: ReadonlyArray<Node>,
  constants: ReadonlyMap<string, Tensor>,
): Graph => {
  const made = makeGraph({
    name: 'scale',
    inputs: [{ name: 'x', type: tensorType('float32', input) }],
    outputs: [{ name: output, type: tensorType('float32', undefined) }],
    nodes,
    constants,
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', 17]]),
    preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
  })
  if (E.isLeft(made)) throw new Error(renderError(made.left))
  return made.right
}

const channels = 8

/** A weight `[8,8,1,1]` of which one output channel in four is zero. */
const smallWeight = (seed: number): Tensor =>
  tensorOf(
    'float32',
    [channels, channels, 1, 1],
    Float32Array.from({ length: channels * channels }, (_, i) =>
      Math.floor(i / channels) % 4 === 0 ? 0 : Math.sin(seed * 64 + i) / 4,
    ),
  )

/**
 * A network of about `count` nodes: convolutions with activations one after another, blocks of two of them with a shortcut,
 * or side by side, all read by one Concat.
 */
export const networkOf = (shape: NetworkShape, count: number): Graph => {
  const nodes: Node[] = []
  const constants = new Map<string, Tensor>()
  const convolution = (x: string): string => {
    const at = nodes.length
    constants.set(`w${at}`, smallWeight(at))
    nodes.push(makeNode(ops.Conv, [x, `w${at}`], [`c${at}`], {}, `conv${at}`))
    return `c${at}`
  }
  const activation = (x: string): string => {
    const at = nodes.length
    nodes.push(makeNode(ops.Relu, [x], [`r${at}`], {}, `relu${at}`))
    return `r${at}`
  }
  const layer = (x: string): string => activation(convolution(x))
  let last = 'x'
  if (shape === 'concat') {
    const parts: string[] = []
    while (nodes.length < count - 2) parts.push(layer('x'))
    nodes.push(makeNode(ops.Concat, parts, ['joined'], { axis: 1 }, 'concat'))
    last = activation('joined')
  } else {
    if (shape === 'residual') last = layer(last)
    while (nodes.length < count - 1) {
      if (shape === 'chain') last = layer(last)
      else {
        const inner = convolution(layer(last))
        nodes.push(makeNode(ops.Add, [last, inner], [`s${nodes.length}`], {}, `add${nodes.length}`))
        last = activation(`s${nodes.length - 1}`)
      }
    }
    last = convolution(last)
  }
  return graphOf(['N', channels, 8, 8], last, nodes, constants)
}

/** `length` bytes of small float32 numbers from a place of a stream that is the same every time. */
const randomBytes = (seed: number, offset: number, length: number): Uint8Array => {
  const values = new Uint32Array(length / 4)
  let state = (seed * 0x9e3779b9 + offset) >>> 0
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    // A sign, an exponent for numbers of about 2^-7, and the bits of a fraction.
    values[i] = (state & 0x80000000) | 0x3c000000 | (state >>> 9)
  }
  return new Uint8Array(values.buffer)
}

/** A network of matrix products with about `bytes` bytes of weights, in matrices of `width` by `width`; a quarter of rows is zero. */
export const heavyNetwork = (bytes: number, width: number): Graph => {
  const nodes: Node[] = []
  const constants = new Map<string, Tensor>()
  const shape = [width, width]
  const size = 4 * sizeOf(shape)
  let last = 'x'
  for (let layer = 0; layer < Math.max(2, Math.round(bytes / size)); layer++) {
    const weight: External = {
      tag: 'External',
      dtype: 'float32',
      shape,
      location: '',
      offset: 0,
      length: size,
      read: (offset, length) => {
        const out = randomBytes(layer, offset, length)
        for (let column = 0; column < width; column += 4) {
          // Column c of the matrix makes output channel c.
          for (let at = 4 * column; at < out.byteLength; at += 4 * width) out.fill(0, at, at + 4)
        }
        return out
      },
    }
    constants.set(`w${layer}`, weight)
    nodes.push(makeNode(ops.MatMul, [last, `w${layer}`], [`m${layer}`], {}, `matMul${layer}`))
    nodes.push(makeNode(ops.Relu, [`m${layer}`], [`r${layer}`], {}, `relu${layer}`))
    last = `r${layer}`
  }
  return graphOf(['N', width], last, nodes, constants)
}
