/** Building a network layer by layer: names, parameters and nodes gathered into one graph. */
import * as E from 'fp-ts/lib/Either.js'
import { invariant } from '../ir/failure.ts'
import { type Graph, makeGraph } from '../ir/graph.ts'
import type { Node, OpDef, ValueId } from '../ir/op.ts'
import { drawsFrom, seededRandom } from '../ir/random.ts'
import { makeNode } from '../ir/make-node.ts'
import { type Tensor, tensorOf } from '../ir/tensor.ts'
import { tensorType } from '../ir/type.ts'
import type { Initial } from './initial.ts'

export interface ModelOptions {
  /** How many classes the model tells apart: the length of `logits`. */
  readonly classes: number
  /** Channels, height and width of an image. */
  readonly shape: readonly [channels: number, height: number, width: number]
  /** Decides the initial weights, together with the name of each. */
  readonly seed: number
}

/** Adds to a network under construction. Everything is called by name; a name is used once. */
export interface Network {
  /** A node `name`, whose output is called `output`. */
  readonly node: <Name extends string, A>(
    op: OpDef<Name, A>,
    name: string,
    inputs: ReadonlyArray<ValueId>,
    attrs?: Partial<A>,
    output?: ValueId,
  ) => ValueId
  /** A float32 tensor with initial values, drawn from the model's seed and this name. */
  readonly parameter: (name: ValueId, shape: ReadonlyArray<number>, initial: Initial) => ValueId
  /** A tensor that is not trained; the same name is the same tensor. */
  readonly constant: (name: ValueId, make: () => Tensor) => ValueId
}

/** The versions that models are written for: readable since ONNX 1.12 and ONNX Runtime 1.12. */
const opset = 17
const irVersion = 8

/** The name of a model's input, `float32[N, channels, height, width]`. */
export const inputName = 'input'

/** The name of a model's output, `float32[N, classes]`: unnormalised log-probabilities. */
export const outputName = 'logits'

/**
 * The graph of the nodes that `body` adds from the input on, the last of which has to be called `logits`. It has opset 17
 * and a symbolic batch `N`. The same seed gives the same weights on every machine, and the weights of one layer do not
 * depend on what other layers there are.
 */
export const buildNetwork = (
  name: string,
  { classes, shape, seed }: ModelOptions,
  body: (network: Network, input: ValueId) => ValueId,
): Graph => {
  const constants = new Map<ValueId, Tensor>()
  const nodes: Node[] = []
  const output = body(
    {
      node: (op, label, inputs, attrs = {}, out = label) => {
        nodes.push(makeNode(op, inputs, [out], attrs, label))
        return out
      },
      parameter: (label, dims, initial) => {
        invariant(!constants.has(label), `two parameters ${label}`)
        constants.set(label, tensorOf('float32', dims, initial(dims, drawsFrom(seededRandom(seed, label)))))
        return label
      },
      constant: (label, make) => {
        if (!constants.has(label)) constants.set(label, make())
        return label
      },
    },
    inputName,
  )
  invariant(output === outputName, `the output of ${name} is ${output}`)
  const graph = makeGraph({
    name,
    inputs: [{ name: inputName, type: tensorType('float32', ['N', ...shape]) }],
    outputs: [{ name: outputName, type: tensorType('float32', ['N', classes]) }],
    nodes,
    constants,
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map([['', opset]]),
    preserved: { irVersion, model: new Uint8Array(), uses: [] },
  })
  invariant(E.isRight(graph), E.isLeft(graph) ? `${name}: ${graph.left.subject}, ${graph.left.found}` : '')
  return graph.right
}
