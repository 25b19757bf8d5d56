/** Networks that may be averaged: the same graph, the same masks, other weights. */
import * as E from 'fp-ts/lib/Either.js'
import { sameTensor } from '../../ir/equal.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { encodeAttributes } from '../../ir/registry.ts'
import { sameShape } from '../../ir/type.ts'
import { expandMask, type Mask, type Masks, onesIn } from '../../masks/mask.ts'

/** A trained network. */
export interface Ingredient {
  /** What errors and results call it. */
  readonly name: string
  /** With its weights, masked ones 0. */
  readonly graph: Graph
  /** By the names of the graph's constants; a weight without one is kept whole. */
  readonly masks: Masks
}

/** At least one. */
export type Some<A> = readonly [first: A, ...others: ReadonlyArray<A>]

/** Why networks cannot be averaged, or a soup not be tried. */
export type SoupError = Failure<'SoupError'>

export const soupError = (subject: string, expected: string, found: string, help: string): SoupError =>
  failure('SoupError', subject, expected, found, help)

const sameParent =
  'Only networks with the same masks keep their sparsity when they are averaged: prune one parent, and train what is left several times (chasec train --masks FILE, by recipes or seeds that differ).'

/**
 * The ingredients, of which there is at least one. Errors: another one than the first that has other nodes, other
 * constants that are no float32 weights, or other masks: the first layer that differs, and by how many weights.
 */
export const checkIngredients = (ingredients: ReadonlyArray<Ingredient>): E.Either<SoupError, Some<Ingredient>> => {
  const [first, ...others] = ingredients
  if (first === undefined) return E.left(soupError('soup', 'at least one network', 'none', 'Give several to average.'))
  for (const other of others) {
    const problem = nodesProblem(first, other) ?? constantsProblem(first, other) ?? masksProblem(first, other)
    if (problem !== undefined) return E.left(problem)
  }
  return E.right([first, ...others])
}

const otherModel = 'Average runs of one model; channels that have left while training make another one of it.'

const nodesProblem = (first: Ingredient, other: Ingredient): SoupError | undefined => {
  const [a, b] = [first.graph, other.graph]
  const named = ({ inputs, outputs }: Graph): string => [...inputs, ...outputs].map(({ name }) => name).join(', ')
  if (named(a) !== named(b) || a.inputs.length !== b.inputs.length) {
    return soupError(other.name, `the inputs and outputs of ${first.name}: ${named(a)}`, named(b), otherModel)
  }
  if (a.nodes.length !== b.nodes.length) {
    const expected = `the ${a.nodes.length} nodes of ${first.name}`
    return soupError(other.name, expected, `${b.nodes.length}`, otherModel)
  }
  for (const [i, node] of a.nodes.entries()) {
    const found = b.nodes[i]
    if (found !== undefined && textOf(node) === textOf(found)) continue
    const is = found === undefined ? 'none' : labelOf(found)
    const expected = `${labelOf(node)} as in ${first.name}`
    return soupError(`${other.name}, node ${i + 1}`, expected, is === labelOf(node) ? `another ${is}` : is, otherModel)
  }
  return undefined
}

const textOf = (node: Node): string =>
  JSON.stringify([
    ...[node.op, node.inputs, node.outputs],
    Array.from(encodeAttributes(node), ([key, { kind, value }]) => [key, kind, String(value)]),
  ])

const constantsProblem = (first: Ingredient, other: Ingredient): SoupError | undefined => {
  const [a, b] = [first.graph.constants, other.graph.constants]
  for (const [name, tensor] of a) {
    const found = b.get(name)
    const expected = `${tensor.dtype}[${tensor.shape.join(',')}] as in ${first.name}`
    const subject = `${other.name}, ${name}`
    if (found === undefined) return soupError(subject, expected, 'none', otherModel)
    if (found.dtype !== tensor.dtype || !sameShape(found.shape, tensor.shape)) {
      return soupError(subject, expected, `${found.dtype}[${found.shape.join(',')}]`, otherModel)
    }
    if (tensor.dtype !== 'float32' && !sameTensor(tensor, found)) {
      return soupError(subject, `the same ${tensor.dtype} numbers as in ${first.name}`, 'others', otherModel)
    }
  }
  const more = [...b.keys()].find((name) => !a.has(name))
  return more === undefined ? undefined : soupError(`${other.name}, ${more}`, 'none', 'a constant', otherModel)
}

const masksProblem = (first: Ingredient, other: Ingredient): SoupError | undefined => {
  for (const name of namesInOrder(first, other)) {
    const [a, b] = [first.masks.get(name), other.masks.get(name)]
    if (a === b) continue
    if (a !== undefined && b !== undefined && !sameShape(a.shape, b.shape)) {
      const found = `[${b.shape.join(',')}]`
      return soupError(`${other.name}, mask of ${name}`, `[${a.shape.join(',')}]`, found, sameParent)
    }
    const count = differing(a, b)
    if (count === 0) continue
    const expected = `the mask that ${first.name} has`
    return soupError(`${other.name}, mask of ${name}`, expected, `${count} weights that differ`, sameParent)
  }
  return undefined
}

/** Masked weights in the order of the graph; names that the graph does not have come last. */
const namesInOrder = (first: Ingredient, other: Ingredient): ReadonlyArray<ValueId> => {
  const masked = new Set([...first.masks.keys(), ...other.masks.keys()])
  const known = first.graph.nodes.flatMap(({ inputs }) => inputs.filter((name) => masked.has(name)))
  return [...new Set([...known, ...masked])]
}

/** In how many elements two masks of one weight differ; one that is not there keeps all. */
const differing = (a: Mask | undefined, b: Mask | undefined): number => {
  const [x, y] = [a && expandMask(a), b && expandMask(b)]
  if (x === undefined || y === undefined) {
    const only = x ?? y ?? new Uint8Array(0)
    return only.length - onesIn(only)
  }
  let count = 0
  for (const [i, bit] of x.entries()) count += bit === y[i] ? 0 : 1
  return count
}
