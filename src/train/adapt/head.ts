/** The end of a trained classifier, made anew for other classes. */
import * as E from 'fp-ts/lib/Either.js'
import { producersOf, soleProducer } from '../../ir/analysis.ts'
import { channelsOf } from '../../ir/families/contraction.ts'
import { contextOf, type Graph, labelOf } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Contraction, Node, ValueId } from '../../ir/op.ts'
import * as ops from '../../ir/ops/index.ts'
import { drawsFrom, seededRandom } from '../../ir/random.ts'
import { isOp, opOf } from '../../ir/registry.ts'
import { int64s, integersOf, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { isStatic, type Shape, sizeOf } from '../../ir/type.ts'
import { namesFor } from '../../passes/rewrite.ts'
import { type AdaptError, adaptError } from './error.ts'

/**
 * What becomes of the classifier. `keep`: it stays, for data of the same classes. `last`: its last layer is a new one. `pooled`:
 * everything behind the last images of features is left out, and a linear layer reads the mean of each. A softmax behind the last
 * layer goes in any case: training is on logits.
 */
export const heads = ['keep', 'last', 'pooled'] as const

export type Head = (typeof heads)[number]

/** New nodes in the place of old ones, the constants that they read, and the value that holds the logits. */
export interface Changed {
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyMap<ValueId, Tensor>
  readonly output: ValueId
}

const outputOf = (graph: Graph): ValueId => graph.outputs[0]?.name ?? ''

const others = 'Take another head, or cut the model behind its last layer and export it again.'

/** The graph's nodes and constants with another end. New weights are drawn from the seed. */
export const withHead = (
  graph: Graph,
  head: Head,
  { classes, seed }: { readonly classes: number; readonly seed: number },
): E.Either<AdaptError, Changed> => {
  switch (head) {
    case 'keep':
      return E.map((tail: Tail) => withoutSoftmax(graph, tail))(tailOf(graph))
    case 'last':
      return E.chain((tail: Tail) => withNewLayer(graph, tail, classes, seed))(tailOf(graph))
    case 'pooled':
      return E.chain((features: Features) => pooled(graph, features, classes, seed))(featuresOf(graph))
  }
}

/** Weights of a layer, at most: 2 GB of float32, which one tensor of an ONNX file may have. */
const mostWeights = 2 ** 29 - 1

/** Says that so many classes of so many inputs each are too many for one layer. */
const tooMany = (classes: number, inputs: number): AdaptError | undefined => {
  const most = Math.floor(mostWeights / Math.max(1, inputs))
  const expected = `at most ${most} for a layer that reads ${inputs} numbers`
  const help = 'A layer holds 2 GB of weights at most. Take as many as the data has.'
  return classes > most ? adaptError('classes', expected, `${classes}`, help) : undefined
}

/** Weights and biases of a new linear layer: uniform within 1 / √inputs, as PyTorch's. */
const drawn = (name: string, shape: ReadonlyArray<number>, inputs: number, seed: number): Tensor => {
  const draws = drawsFrom(seededRandom(seed, `new ${name}`))
  const bound = 1 / Math.sqrt(inputs)
  const values = Float32Array.from({ length: sizeOf(shape) }, () => bound * (2 * draws.next() - 1))
  return tensorOf('float32', shape, values)
}

/** The last layer, and the nodes behind it from the output on. */
interface Tail {
  readonly layer: Node
  readonly contraction: Contraction
  readonly weight: Tensor
  readonly behind: ReadonlyArray<Node>
}

const movesOnly = (node: Node): boolean =>
  isOp(node, ops.Identity) || isOp(node, ops.Flatten) || isOp(node, ops.Reshape) || isOp(node, ops.Squeeze)

const isSoftmax = (node: Node): boolean => isOp(node, ops.Softmax) || isOp(node, ops.LogSoftmax)

const shapeIn = (graph: Graph, name: ValueId | undefined): Shape | undefined => {
  const type = graph.types.get(name ?? '')
  return type?.kind === 'tensor' ? type.shape : undefined
}

/** The values that a node reads and that are computed, each once; of a Reshape only what is reshaped. */
const computedInputs = (graph: Graph, node: Node): ReadonlyArray<ValueId> => {
  const names = isOp(node, ops.Reshape) ? node.inputs.slice(0, 1) : node.inputs
  return [...new Set(names.filter((name) => name !== '' && !graph.constants.has(name)))]
}

/** Errors: something behind the last layer that is no bias, softmax or reshape; no layer at all. */
const tailOf = (graph: Graph): E.Either<AdaptError, Tail> => {
  const refused = (found: string): E.Either<AdaptError, never> => {
    const expected = 'a convolution or linear layer, then at most a bias, reshapes and a softmax over the classes'
    return E.left(adaptError(`end of graph ${graph.name}`, expected, found, others))
  }
  const behind: Node[] = []
  let value = outputOf(graph)
  for (;;) {
    const node = producersOf(graph).get(value)
    if (node === undefined) return refused('no such layer')
    const contraction = opOf(node).contraction?.(contextOf(graph, node))
    const weight = graph.constants.get(node.inputs[contraction?.weightPort ?? -1] ?? '')
    if (contraction !== undefined && weight !== undefined) {
      return contraction.groups === 1
        ? E.right({ layer: node, contraction, weight, behind })
        : refused(`${labelOf(node)}, in ${contraction.groups} groups`)
    }
    const [next, ...more] = computedInputs(graph, node)
    const isBias = isOp(node, ops.Add) && node.inputs.some((name) => graph.constants.has(name))
    const overClasses = isSoftmax(node) && shapeIn(graph, node.inputs[0])?.length === 2
    if (next === undefined || more.length > 0 || !(movesOnly(node) || isBias || overClasses)) {
      return refused(labelOf(node))
    }
    behind.push(node)
    value = next
  }
}

const passedOn = (node: Node): Node => makeNode(ops.Identity, node.inputs.slice(0, 1), node.outputs, {}, node.name)

const withoutSoftmax = (graph: Graph, { behind }: Tail): Changed => ({
  nodes: graph.nodes.map((node) => (behind.includes(node) && isSoftmax(node) ? passedOn(node) : node)),
  constants: graph.constants,
  output: outputOf(graph),
})

/** The shape with the axis of the old classes, the last that has as many, for the new ones; undefined where none has. */
const forClasses = (shape: ReadonlyArray<number>, old: number, classes: number): ReadonlyArray<number> | undefined => {
  const axis = shape.lastIndexOf(old)
  return axis < 0 ? undefined : shape.with(axis, classes)
}

const withNewLayer = (
  graph: Graph,
  { layer, contraction: c, weight, behind }: Tail,
  classes: number,
  seed: number,
): E.Either<AdaptError, Changed> => {
  const { outputs: old } = channelsOf(weight, c)
  const fanIn = sizeOf(weight.shape) / Math.max(1, old)
  const problem = tooMany(classes, fanIn)
  if (problem !== undefined) return E.left(problem)
  const names = namesFor(graph)
  const constants = new Map(graph.constants)
  const put = (name: ValueId, tensor: Tensor): ValueId => {
    const own = names.replacing(name)
    constants.set(own, tensor)
    return own
  }
  /** The node with its constant operands for other classes. */
  const renewed = (node: Node, isConstant: (port: number) => boolean): Node => {
    const inputs = node.inputs.map((name, port) => {
      const tensor = graph.constants.get(name)
      if (tensor === undefined || !isConstant(port)) return name
      if (isOp(node, ops.Reshape)) {
        const target = forClasses(integersOf(tensor) ?? [], old, classes)
        return target === undefined ? name : put(name, int64s(target))
      }
      const isWeight = node === layer && port === c.weightPort
      const shape = isWeight ? weight.shape.with(c.weightOutputAxis, classes) : forClasses(tensor.shape, old, classes)
      return shape === undefined ? name : put(name, drawn(name, shape, fanIn, seed))
    })
    return { ...node, inputs }
  }
  const nodes = graph.nodes.map((node) => {
    if (node === layer) return renewed(node, (port) => port !== c.port)
    if (!behind.includes(node)) return node
    return isSoftmax(node) ? passedOn(node) : renewed(node, () => true)
  })
  return E.right({ nodes, constants, output: outputOf(graph) })
}

/** Images of features: `[N, channels, height, width]`. */
interface Features {
  readonly value: ValueId
  readonly channels: number
}

/**
 * The last value on the way to the output that holds more than one position for each channel, behind the batch. Errors: on the
 * way back from the output a node with several operands, or the input, comes first.
 */
const featuresOf = (graph: Graph): E.Either<AdaptError, Features> => {
  const refused = (found: string): E.Either<AdaptError, never> => {
    const expected = 'images of features [N, channels, height, width], from which one way leads to the output'
    return E.left(adaptError(`end of graph ${graph.name}`, expected, found, others))
  }
  let value = outputOf(graph)
  for (;;) {
    const node = producersOf(graph).get(value)
    if (node === undefined) return refused('none')
    const shape = shapeIn(graph, value)
    const [, channels, height, width] = shape ?? []
    const isMoved = isOp(node, ops.Transpose) || movesOnly(node)
    const isImage = shape?.length === 4 && isStatic(channels) && !isMoved && !(height === 1 && width === 1)
    if (isImage) return E.right({ value, channels })
    const [next, ...more] = computedInputs(graph, node)
    if (next === undefined || more.length > 0) return refused(`${labelOf(node)} on the way`)
    value = next
  }
}

const pooled = (
  graph: Graph,
  { value, channels }: Features,
  classes: number,
  seed: number,
): E.Either<AdaptError, Changed> => {
  const problem = tooMany(classes, channels)
  if (problem !== undefined) return E.left(problem)
  const { fresh } = namesFor(graph)
  const before = outputOf(graph)
  const old = value === before ? undefined : soleProducer(graph, before)
  const output = old === undefined ? fresh('logits') : before
  const [means, rows] = [fresh('pooled'), fresh('features')]
  const [weight, bias] = [fresh('classifier.weight'), fresh('classifier.bias')]
  const made = [
    makeNode(ops.GlobalAveragePool, [value], [means], {}, means),
    makeNode(ops.Flatten, [means], [rows], {}, rows),
    makeNode(ops.Gemm, [rows, weight, bias], [output], { transB: 1 }, 'classifier'),
  ]
  const constants = new Map(graph.constants)
  constants.set(weight, drawn(weight, [classes, channels], channels, seed))
  constants.set(bias, drawn(bias, [classes], channels, seed))
  return E.right({ nodes: [...graph.nodes.filter((node) => node !== old), ...made], constants, output })
}
