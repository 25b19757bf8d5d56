/** Checks of a whole graph, for finding the pass that broke one. A graph that `makeGraph` made and nobody touched passes. */
import * as E from 'fp-ts/lib/Either.js'
import { fixedNames } from './analysis.ts'
import { byteLength } from './dtype.ts'
import { unqualified } from './domain.ts'
import { type Failure, failure } from './failure.ts'
import { type Graph, labelOf, makeGraph } from './graph.ts'
import type { Node, ValueId } from './op.ts'
import { Constant } from './ops/constant.ts'
import { Identity } from './ops/identity.ts'
import { Opaque } from './ops/opaque.ts'
import { decodeAttributes, encodeAttributes, findOp, isOfOpset, isOp } from './registry.ts'
import { type Dense, type Edited, type External, hasWholeRows, type Held, type Tensor } from './tensor.ts'
import { contradict, printType, sameShape, sameType, sizeOf, unknownType, type ValueType } from './type.ts'

export type CheckError = Failure<'CheckError'>

/** What must hold besides, at one point of the pipeline; the violation or nothing. */
export type Spec = (graph: Graph) => CheckError | undefined

const wrong = (subject: string, expected: string, found: string): CheckError =>
  failure('CheckError', subject, expected, found, 'The pass that made this graph is at fault: please report it.')

/**
 * The graph itself if it is consistent: values are defined once and before use, stored types and contents are those that
 * follow from the nodes, attributes and opset versions are ones their operators cover, tensors hold what their shapes
 * say, defaults fit their inputs, declared outputs do not contradict what is computed, and all of `specs` hold. Else the
 * first violation.
 */
export const checkGraph = (graph: Graph, specs: ReadonlyArray<Spec> = []): E.Either<CheckError, Graph> => {
  for (const check of [checkNodes, checkTensors, checkTypes, checkInterface, ...specs]) {
    const violation = check(graph)
    if (violation) return E.left(violation)
  }
  return E.right(graph)
}

const checkNodes: Spec = (graph) => {
  for (const node of graph.nodes) {
    const op = findOp(node.op)
    if (op === undefined) return wrong(`node ${node.name}`, 'an operator of the registry', node.op)
    if (!isOfOpset(node, graph.opsets)) {
      const [first, last] = op.versions
      const opset = graph.opsets.get(unqualified(node.op).domain) ?? 1
      return wrong(labelOf(node), `an opset from ${first} to ${last}`, `opset ${opset}`)
    }
    if (isOp(node, Opaque)) continue
    const attrs = decodeAttributes(op, encodeAttributes(node))
    if (E.isLeft(attrs)) return wrong(labelOf(node), 'attributes that can be written', attrs.left)
  }
  return undefined
}

const checkTensors: Spec = (graph) => {
  for (const [name, tensor] of [...graph.constants, ...graph.defaults]) {
    const violation = checkTensor(`constant ${name}`, tensor)
    if (violation) return violation
  }
  for (const node of graph.nodes) {
    for (const [key, raw] of encodeAttributes(node)) {
      const violation = raw.kind === 'tensor' ? checkTensor(`${labelOf(node)}, attribute ${key}`, raw.value) : undefined
      if (violation) return violation
    }
  }
  return undefined
}

const checkTensor = (subject: string, tensor: Tensor): CheckError | undefined => {
  const shape = `[${tensor.shape.join(',')}]`
  if (!tensor.shape.every((size) => Number.isInteger(size) && size >= 0))
    return wrong(subject, 'sizes from 0 up', shape)
  if (tensor.tag === 'Held') return checkHeld(subject, tensor)
  if (tensor.tag !== 'Gather') return checkData(subject, tensor)
  const { source, indices } = tensor
  if (source.dtype !== tensor.dtype || indices.length !== source.shape.length) {
    return wrong(subject, `a selection from ${source.dtype} of rank ${source.shape.length}`, `${tensor.dtype}${shape}`)
  }
  for (const [axis, kept] of indices.entries()) {
    const size = source.shape[axis] ?? 0
    const count = kept?.length ?? size
    if (tensor.shape[axis] !== count) return wrong(subject, `${count} indices on axis ${axis}`, `shape ${shape}`)
    const outside = kept?.find((i) => i < 0 || i >= size)
    if (outside !== undefined) return wrong(subject, `indices below ${size} on axis ${axis}`, String(outside))
  }
  return checkData(`${subject}, source`, source)
}

const checkHeld = (subject: string, { shape, stored, scale, zero, axis, block }: Held): CheckError | undefined => {
  if (!sameShape(shape, stored.shape))
    return wrong(subject, `stored numbers [${shape.join(',')}]`, `[${stored.shape.join(',')}]`)
  for (const part of [scale, zero]) {
    const count = sizeOf(part?.shape ?? [])
    const blocks =
      block === undefined ? shape[axis] : sizeOf(shape.map((d, a) => (a === axis ? Math.ceil(d / block) : d)))
    if (count !== 1 && count !== blocks) return wrong(subject, `a scale or zero for axis ${axis}`, `${count} of them`)
  }
  return [stored, scale, zero]
    .map((part) => part && checkTensor(`${subject}, part`, part))
    .find((one) => one !== undefined)
}

const checkData = (subject: string, tensor: Dense | External | Edited): CheckError | undefined => {
  if (tensor.tag === 'Edited') {
    const { dtype, shape, source } = tensor
    return shape[0] === source.shape[0] && hasWholeRows(tensor) && hasWholeRows(source)
      ? checkTensor(`${subject}, source`, source)
      : wrong(subject, `rows of ${source.dtype}[${source.shape.join(',')}]`, `${dtype}[${shape.join(',')}]`)
  }
  const count = sizeOf(tensor.shape)
  const expected = byteLength(tensor.dtype, count)
  const found = tensor.tag === 'External' ? tensor.length : tensor.bytes.length
  if (found !== expected) return wrong(subject, `${expected} bytes`, String(found))
  if (tensor.dtype !== 'string' || tensor.tag === 'External') return undefined
  const strings = tensor.strings?.length ?? 0
  return strings === count ? undefined : wrong(subject, `${count} strings`, String(strings))
}

const checkTypes: Spec = (graph) => {
  const again = makeGraph(graph)
  if (E.isLeft(again)) return wrong(again.left.subject, again.left.expected, again.left.found)
  for (const [name, type] of again.right.types) {
    const stored = graph.types.get(name)
    if (stored === undefined || !sameType(stored, type)) {
      return wrong(`value ${name}`, `the type ${printType(type)}`, stored === undefined ? 'none' : printType(stored))
    }
  }
  for (const [name, elements] of again.right.contents) {
    const stored = graph.contents.get(name)
    if (stored?.join() !== elements.join()) {
      return wrong(`value ${name}`, `the elements ${elements.join(',')}`, stored?.join() ?? 'none')
    }
  }
  const extra =
    [...graph.types.keys()].find((name) => !again.right.types.has(name)) ??
    [...graph.contents.keys()].find((name) => !again.right.contents.has(name))
  return extra === undefined ? undefined : wrong(`value ${extra}`, 'no type and no contents', 'some')
}

const checkInterface: Spec = (graph) => {
  const inputs = new Map(graph.inputs.map((input) => [input.name, input.type]))
  for (const [name, tensor] of graph.defaults) {
    const type = inputs.get(name)
    if (type === undefined) return wrong(`default ${name}`, 'a graph input of this name', 'none')
    const own: ValueType = { kind: 'tensor', dtype: tensor.dtype, shape: tensor.shape }
    if (contradict(type, own)) return wrong(`default ${name}`, printType(type), printType(own))
  }
  const names = new Set<ValueId>()
  for (const { name, type } of graph.outputs) {
    if (names.has(name)) return wrong(`graph output ${name}`, 'one output of this name', 'several')
    names.add(name)
    const computed = graph.types.get(name) ?? unknownType
    if (contradict(type, computed)) return wrong(`graph output ${name}`, printType(type), printType(computed))
  }
  return undefined
}

/** After cleaning up and after compiling: constants are constants, and an Identity is there for a name only. */
export const noHiddenConstants: Spec = (graph) => {
  const fixed = fixedNames(graph)
  const isIdle = (node: Node): boolean => {
    const [x, y] = [node.inputs[0] ?? '', node.outputs[0] ?? '']
    const [from, to] = [graph.types.get(x) ?? unknownType, graph.types.get(y) ?? unknownType]
    return isOp(node, Identity) && !fixed.has(y) && sameType(from, to)
  }
  for (const node of graph.nodes) {
    if (isOp(node, Constant)) return wrong(labelOf(node), 'an initializer', 'a Constant node')
    if (isIdle(node)) return wrong(labelOf(node), 'no Identity of which the name can change', 'one')
  }
  return undefined
}
