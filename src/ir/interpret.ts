/** Runs nodes and whole graphs with the operators' reference evaluation: exact and slow. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from './failure.ts'
import { type Graph, type GraphParts, inferContext, labelOf, typesOf } from './graph.ts'
import type { Node, NodeContext, ValueId } from './op.ts'
import { opOf } from './registry.ts'
import { type Dense, materialize, type Tensor } from './tensor.ts'
import { tensorType, type ValueType } from './type.ts'

export type Interpretation = Failure<'NotEvaluated'>

/**
 * What `node` sees when its inputs are `inputs` (undefined where a port is omitted): all of them constants, all types
 * static. Undefined where its types cannot be inferred for these inputs.
 */
export const constantContext = (
  parts: Pick<GraphParts, 'opsets'>,
  node: Node,
  inputs: ReadonlyArray<Tensor | undefined>,
): NodeContext<unknown> | undefined => {
  const constants = new Map<ValueId, Tensor>()
  const types = new Map<ValueId, ValueType>()
  node.inputs.forEach((name, port) => {
    const tensor = inputs[port]
    if (tensor === undefined) return
    constants.set(name, tensor)
    types.set(name, tensorType(tensor.dtype, tensor.shape))
  })
  const ctx = inferContext(node, { constants, opsets: parts.opsets }, types, new Map())
  const outputs = typesOf(node, ctx)
  return E.isLeft(outputs) ? undefined : { ...ctx, node, outputs: outputs.right }
}

/** Outputs of `node` for `inputs`; undefined where its operator does not implement this case. */
export const evaluateNode = (
  parts: Pick<GraphParts, 'opsets'>,
  node: Node,
  inputs: ReadonlyArray<Tensor | undefined>,
): ReadonlyArray<Dense> | undefined => {
  const ctx = constantContext(parts, node, inputs)
  return (
    ctx &&
    opOf(node).evaluate?.(
      ctx,
      inputs.map((tensor) => tensor && materialize(tensor)),
    )
  )
}

/**
 * Every value of `graph` for the given inputs; inputs left out take their defaults. Fails where an input is missing or
 * a node cannot be evaluated.
 */
export const evaluateGraph = (
  graph: Graph,
  feeds: ReadonlyMap<ValueId, Dense>,
): E.Either<Interpretation, ReadonlyMap<ValueId, Dense>> => {
  const values = new Map<ValueId, Dense>()
  for (const [name, tensor] of graph.constants) values.set(name, materialize(tensor))
  for (const { name } of graph.inputs) {
    const given = feeds.get(name) ?? graph.defaults.get(name)
    if (given === undefined) {
      return E.left(failure('NotEvaluated', `input ${name}`, 'a tensor', 'none', 'Feed every input of the graph.'))
    }
    values.set(name, materialize(given))
  }
  for (const node of graph.nodes) {
    const outputs = evaluateNode(
      graph,
      node,
      node.inputs.map((name) => values.get(name)),
    )
    if (outputs === undefined) {
      return E.left(
        failure(
          'NotEvaluated',
          labelOf(node),
          'an operator with a reference evaluation of this case',
          node.op,
          'Run the model in ONNX Runtime instead.',
        ),
      )
    }
    node.outputs.forEach((name, i) => {
      const value = outputs[i]
      if (name !== '' && value !== undefined) values.set(name, value)
    })
  }
  return E.right(values)
}
