/**
 * Layers of random sizes, each in a model of its own, of which the times make a table. Convolutions stand behind one that
 * makes blocks of channels, as they do in a network.
 */
import * as E from 'fp-ts/lib/Either.js'
import { invariant } from '../ir/failure.ts'
import { contextOf, type Graph, makeGraph } from '../ir/graph.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Node, OpDef } from '../ir/op.ts'
import * as ops from '../ir/ops/index.ts'
import { type Draws, drawsFrom, seededRandom } from '../ir/random.ts'
import { opOf } from '../ir/registry.ts'
import { int64s, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sizeOf, tensorType } from '../ir/type.ts'
import { nodeWork } from './node-work.ts'
import type { Work } from './work.ts'

export interface Sample {
  readonly graph: Graph
  /** The node that is measured: {@link layerName}. */
  readonly work: Work
}

/** What the node is called that is measured. */
export const layerName = 'layer'

/** Multiply-accumulates of a layer at most, so that it takes some milliseconds. */
const mostMacs = 3e8

/** Elements of a tensor at most. */
const mostElements = 4e6

const opset = 17

/** `count` samples; the same seed gives the same ones. */
export const samplesOf = (count: number, seed: number): ReadonlyArray<Sample> => {
  const draws = drawsFrom(seededRandom(seed, 'samples'))
  const out: Sample[] = []
  while (out.length < count) {
    // A third each: convolutions over several positions, products and kernels of one place, everything else.
    const makers = [convolutions, products, others][out.length % 3] ?? others
    const sample = choose(draws, makers)(draws)
    if (sample !== undefined) out.push(sample)
  }
  return out
}

type Some<T> = readonly [T, ...T[]]

type Maker = (draws: Draws) => Sample | undefined

/** A number between two, small ones as often as large ones; mostly a multiple of 4, 8 or 16. */
const width = (draws: Draws, least: number, most: number): number => {
  const x = Math.exp(Math.log(least) + draws.next() * Math.log(most / least))
  const multiple = choose(draws, [1, 4, 4, 8, 16, 16])
  return Math.max(multiple, Math.round(x / multiple) * multiple)
}

const choose = <T>(draws: Draws, [first, ...rest]: Some<T>): T => {
  const at = draws.below(rest.length + 1)
  return at === 0 ? first : (rest[at - 1] ?? first)
}

const imageSizes: Some<number> = [7, 8, 10, 14, 14, 16, 20, 28, 28, 32, 40, 56, 80, 112]

const convolution =
  (sizes: Some<number>, group: 'none' | 'depthwise' | 'some'): Maker =>
  (draws) => {
    const [size, stride] = [choose(draws, sizes), choose(draws, [1, 1, 1, 2])]
    const [image, batch] = [choose(draws, imageSizes), choose(draws, [1, 1, 1, 4])]
    const groups = group === 'some' ? choose(draws, [2, 4, 8, 32]) : 1
    const drawn = width(draws, 3, group === 'depthwise' ? 1000 : 640)
    const inputs = group === 'some' ? Math.ceil(drawn / groups) * groups : drawn
    const outputs = group === 'depthwise' ? inputs : Math.ceil(width(draws, 4, 640) / groups) * groups
    const perGroup = group === 'depthwise' ? 1 : inputs / groups
    const made = Math.ceil(image / stride) ** 2 * batch
    if (made * outputs * perGroup * size * size > mostMacs) return undefined
    if (Math.max(batch * image * image * inputs, made * outputs) > mostElements) return undefined
    const pad = (size - 1) / 2
    return sampleOf({ x: [batch, 16, image, image] }, (b) => {
      const front = b.node(ops.Conv, 'front', ['x', b.tensor([inputs, 16, 1, 1])])
      b.node(ops.Conv, layerName, [front, b.tensor([outputs, perGroup, size, size]), b.tensor([outputs])], {
        group: group === 'depthwise' ? inputs : groups,
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      })
    })
  }

const constantProduct: Maker = (draws) => {
  const [rows, inner, columns] = [
    choose(draws, [1, 1, 4, 16, 50, 128, 197, 512, 1024]),
    width(draws, 8, 3072),
    width(draws, 8, 3072),
  ]
  if (rows * inner * columns > mostMacs || inner * columns > mostElements) return undefined
  const isGemm = draws.next() < 0.3
  return sampleOf({ x: isGemm ? [rows, inner] : [1, rows, inner] }, (b) => {
    if (isGemm) b.node(ops.Gemm, layerName, ['x', b.tensor([columns, inner]), b.tensor([columns])], { transB: 1 })
    else b.node(ops.MatMul, layerName, ['x', b.tensor([inner, columns])])
  })
}

const computedProduct: Maker = (draws) => {
  const [batch, rows] = [choose(draws, [1, 4, 12, 16]), choose(draws, [16, 50, 128, 197, 384])]
  const [inner, columns] = draws.next() < 0.5 ? [width(draws, 8, 128), rows] : [rows, width(draws, 8, 128)]
  if (batch * rows * inner * columns > mostMacs) return undefined
  return sampleOf({ x: [1, batch, rows, inner], y: [1, batch, inner, columns] }, (b) => {
    b.node(ops.MatMul, layerName, ['x', 'y'])
  })
}

/** An operator on an image: `[batch, channels, size, size]`. */
const onImage =
  (body: (b: Builder, shape: readonly [number, number, number, number], draws: Draws) => void, inputs = 1): Maker =>
  (draws) => {
    const shape = [choose(draws, [1, 1, 4]), width(draws, 8, 640), ...same(choose(draws, imageSizes))] as const
    if (sizeOf(shape) > mostElements || sizeOf(shape) < 2000) return undefined
    return sampleOf(inputs === 1 ? { x: shape } : { x: shape, y: shape }, (b) => {
      body(b, shape, draws)
    })
  }

const same = (size: number): readonly [number, number] => [size, size]

/** One operator each; those that cost about the same are one. */
const unary = [ops.Relu, ops.Sigmoid, ops.Tanh, ops.Erf, ops.Exp, ops.Sqrt]

const binary = [ops.Add, ops.Mul, ops.Div]

const others: Some<Maker> = [
  onImage((b) => b.node(ops.Clip, layerName, ['x', b.scalar(0), b.scalar(6)])),
  onImage((b, [, channels]) =>
    b.node(ops.BatchNormalization, layerName, ['x', ...[1, 2, 3, 4].map(() => b.tensor([channels]))]),
  ),
  onImage((b) => b.node(ops.Concat, layerName, ['x', 'y'], { axis: 1 }), 2),
  onImage((b, [, channels]) => {
    const indices = Array.from({ length: channels }, (_, i) => i).filter((i) => i % 3 > 0)
    b.node(ops.Gather, layerName, ['x', b.ints(indices)], { axis: 1 })
  }),
  onImage((b, [, channels]) => b.node(ops.Slice, layerName, ['x', b.ints([1]), b.ints([channels - 1]), b.ints([1])])),
  onImage((b) => b.node(ops.Transpose, layerName, ['x'], { perm: [0, 2, 3, 1] })),
  onImage((b) => b.node(ops.Pad, layerName, ['x', b.ints([0, 1, 0, 0, 0, 2, 0, 0])])),
  onImage((b) => b.node(ops.MaxPool, layerName, ['x'], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })),
  onImage((b) => b.node(ops.AveragePool, layerName, ['x'], { kernel_shape: [2, 2], strides: [2, 2] })),
  onImage((b) => b.node(ops.GlobalAveragePool, layerName, ['x'])),
  onImage((b) => b.node(ops.ReduceMean, layerName, ['x'], { axes: [2, 3] })),
  onImage((b) => b.node(ops.Softmax, layerName, ['x'], { axis: 3 })),
  onImage((b, [, , , size]) =>
    b.node(ops.LayerNormalization, layerName, ['x', b.tensor([size]), b.tensor([size])], { axis: 3 }),
  ),
  ...unary.map((op) => onImage((b) => b.node(op, layerName, ['x']))),
  ...binary.map((op) => onImage((b) => b.node(op, layerName, ['x', 'y']), 2)),
]

/** A model of one convolution with one output, which shows how many channels a block has. */
export const probe = (): Graph =>
  sampleOf({ x: [1, 16, 8, 8] }, (b) => {
    b.node(ops.Conv, layerName, ['x', b.tensor([1, 16, 1, 1])])
  }).graph

const convolutions: Some<Maker> = [
  convolution([3, 3, 3, 5, 7], 'none'),
  convolution([3, 3, 3, 5, 7], 'none'),
  convolution([3, 3, 5, 7], 'depthwise'),
  convolution([3], 'some'),
]

const products: Some<Maker> = [
  convolution([1], 'none'),
  convolution([1], 'none'),
  constantProduct,
  constantProduct,
  computedProduct,
]

interface Builder {
  readonly node: <A>(op: OpDef<string, A>, name: string, inputs: ReadonlyArray<string>, attrs?: Partial<A>) => string
  /** A constant of random numbers, all positive where there is one axis. */
  readonly tensor: (shape: ReadonlyArray<number>) => string
  readonly scalar: (x: number) => string
  readonly ints: (values: ReadonlyArray<number>) => string
}

const sampleOf = (inputs: Readonly<Record<string, ReadonlyArray<number>>>, body: (b: Builder) => void): Sample => {
  const constants = new Map<string, Tensor>()
  const nodes: Node[] = []
  const constant = (tensor: Tensor): string => {
    const name = `constant${constants.size}`
    constants.set(name, tensor)
    return name
  }
  body({
    node: (op, name, given, attrs = {}) => {
      nodes.push(makeNode(op, given, [`${name}.output`], attrs, name))
      return `${name}.output`
    },
    tensor: (shape) => constant(tensorOf('float32', shape, numbers(shape))),
    scalar: (x) => constant(tensorOf('float32', [], Float32Array.of(x))),
    ints: (values) => constant(int64s(values)),
  })
  const graph = makeGraph({
    name: 'sample',
    inputs: Object.entries(inputs).map(([name, shape]) => ({ name, type: tensorType('float32', shape) })),
    outputs: [{ name: `${layerName}.output`, type: tensorType('float32', undefined) }],
    nodes,
    constants,
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', opset]]),
    preserved: { irVersion: 8, model: new Uint8Array(), uses: [] },
  })
  invariant(E.isRight(graph), E.isLeft(graph) ? `a sample: ${graph.left.subject}, ${graph.left.found}` : '')
  const layer = graph.right.nodes.find(({ name }) => name === layerName)
  invariant(layer !== undefined, 'a sample has no layer')
  return { graph: graph.right, work: nodeWork(opOf(layer), contextOf(graph.right, layer)) }
}

/** Numbers of both signs without zeros, of which a normalisation of few channels has only positive ones. */
const numbers = (shape: ReadonlyArray<number>): Float32Array<ArrayBuffer> => {
  const sign = shape.length === 1 ? 1 : -1
  return Float32Array.from(
    { length: sizeOf(shape) },
    (_, i) => (i % 2 === 0 ? 1 : sign) * (0.01 + ((i * 31) % 97) / 1000),
  )
}
