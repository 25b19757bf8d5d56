/** A graph for inputs of given shapes: all types static, everything that only depends on shapes computed. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../../ir/dtype.ts'
import { usualSize } from '../../ir/bind.ts'
import { type Graph, makeGraph, withParts } from '../../ir/graph.ts'
import { evaluateNode } from '../../ir/interpret.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { type Tensor, tensorOf } from '../../ir/tensor.ts'
import { isStatic, sizeOf, staticShape, tensorType } from '../../ir/type.ts'
import { eliminateDead } from '../../passes/eliminate-dead.ts'

export type Shapes = ReadonlyMap<ValueId, ReadonlyArray<number>>

/** Shapes of all inputs with usual sizes for symbolic dimensions. */
export const usualShapes = (graph: Graph): Shapes => {
  const out = new Map<ValueId, ReadonlyArray<number>>()
  for (const { name, type } of graph.inputs) {
    const shape = (type.kind === 'tensor' ? type.shape : undefined) ?? []
    out.set(
      name,
      shape.map((dim, axis) => (isStatic(dim) ? dim : usualSize(shape.length, axis))),
    )
  }
  return out
}

/** Fails with a reason where the shapes do not fit the model. */
export const specialise = (graph: Graph, shapes: Shapes): E.Either<string, Graph> => {
  const inputs = graph.inputs.map((input) => {
    const shape = shapes.get(input.name)
    return input.type.kind === 'tensor' && shape !== undefined
      ? { ...input, type: tensorType(input.type.dtype, shape) }
      : input
  })
  const bound = makeGraph({ ...graph, inputs })
  if (E.isLeft(bound)) return E.left(bound.left.found)
  const dead = eliminateDead.run(computed(bound.right))
  return E.isLeft(dead) ? E.left(dead.left.found) : dead
}

/** Whether a constant is none that could be trained. */
const isPlain = (tensor: Tensor | undefined): boolean =>
  tensor === undefined || !isFloat(tensor.dtype) || sizeOf(tensor.shape) <= 1

/** Replaces nodes by constants where their results are known from shapes and plain constants. */
const computed = (graph: Graph): Graph => {
  const constants = new Map(graph.constants)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const values = node.outputs.some((name) => outputs.has(name)) ? undefined : known(graph, node, constants)
    if (values === undefined) nodes.push(node)
    else for (const [name, value] of values) constants.set(name, value)
  }
  return nodes.length === graph.nodes.length ? graph : withParts(graph, { nodes, constants })
}

const known = (
  graph: Graph,
  node: Node,
  constants: ReadonlyMap<ValueId, Tensor>,
): ReadonlyMap<ValueId, Tensor> | undefined => {
  const [first = ''] = node.outputs
  const content = graph.contents.get(first)
  const type = graph.types.get(first)
  const shape = type?.kind === 'tensor' ? staticShape(type.shape) : undefined
  if (content?.every(isStatic) && type?.kind === 'tensor' && shape && node.outputs.length === 1) {
    return new Map([[first, tensorOf(type.dtype, shape, content)]])
  }
  const inputs = node.inputs.map((name) => constants.get(name))
  if (!node.inputs.every((name, port) => name === '' || (inputs[port] !== undefined && isPlain(inputs[port])))) {
    return undefined
  }
  const results = evaluateNode(graph, node, inputs)
  if (results === undefined || !results.every(isPlain)) return undefined
  const out = new Map<ValueId, Tensor>()
  for (const [i, name] of node.outputs.entries()) {
    const value = results[i]
    if (name !== '' && value !== undefined) out.set(name, value)
  }
  return out
}
