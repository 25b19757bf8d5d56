import { isFloat } from '../ir/dtype.ts'
import { channelsOf, readsOfContraction } from '../ir/families/contraction.ts'
import { isUnpadded } from '../ir/families/window.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { evaluateNode } from '../ir/interpret.ts'
import type { Contraction, Node } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Conv } from '../ir/ops/conv.ts'
import { Gemm } from '../ir/ops/gemm.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { Mul } from '../ir/ops/mul.ts'
import { isOp, opOf } from '../ir/registry.ts'
import { elements, type Tensor } from '../ir/tensor.ts'
import { sizeOf, tensorType } from '../ir/type.ts'
import { contractionOf, finiteTensor, onlyReader, soleProducer, withWeights } from './channel-affine.ts'
import { type Patch, rewritePass, type Rule } from './rewrite.ts'

/** A contraction and the node that computes it. */
interface Linear {
  readonly node: Node
  readonly c: Contraction
  readonly weight: Tensor
}

/**
 * Makes one contraction of two adjacent ones where that takes fewer multiplications:
 * `W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)`, for Conv after Conv, and for Gemm and MatMul after one another.
 *
 * Guards: nothing else reads what is between them and its name is not fixed; one group each; of two Convs one has a
 * kernel of one element, stride 1 and no padding; both biases are constant, and where the first one is not zero, every
 * output position of the second sums the same weights (no padding); the new weights are finite.
 */
const fuseContractions: Rule = (graph, node, names) => {
  const second = linearOf(graph, node)
  const value = node.inputs[second?.c.port ?? -1] ?? ''
  const producer = soleProducer(graph, value)
  const first = producer && linearOf(graph, producer)
  if (first === undefined || second === undefined || onlyReader(graph, value) !== node) return undefined
  if (second.c.axis !== first.c.outputAxis || first.c.groups !== 1 || second.c.groups !== 1) return undefined
  const form = formOf(first, second)
  const bias = fusedBias(graph, first, second)
  if (form === undefined || bias === undefined) return undefined
  const weight = fusedWeight(first, second, form)
  if (weight === undefined) return undefined
  const x = first.node.inputs[first.c.port] ?? ''
  const moved = { ...form.node, inputs: form.node.inputs.map((name, i) => (i === form.c.port ? x : name)) }
  const place = { removes: [first.node, node], outputs: node.outputs }
  const patch = withWeights(graph, moved, form.c, weight, bias, names, place)
  return patch !== undefined && macsAfter(graph, patch, node) < macsOf(graph, first.node) + macsOf(graph, node)
    ? patch
    : undefined
}

const linearOf = (graph: Graph, node: Node): Linear | undefined => {
  if (node.outputs.length !== 1) return undefined
  const c = contractionOf(graph, node)
  const weight = c && contextOf(graph, node).constant(c.weightPort)
  return c && weight && { node, c, weight }
}

/** Which of the two nodes the fused one looks like; undefined where they do not fuse. */
const formOf = (first: Linear, second: Linear): Linear | undefined => {
  if (isOp(first.node, Conv) && isOp(second.node, Conv)) {
    if (isPointwise(first)) return second
    return isPointwise(second) ? first : undefined
  }
  const isMatrix = ({ node }: Linear): boolean => isOp(node, Gemm) || isOp(node, MatMul)
  if (!isMatrix(first) || !isMatrix(second) || first.c.weightPort !== second.c.weightPort) return undefined
  // The first one knows how its input is laid out; Gemm has a bias.
  return isOp(second.node, Gemm) && isOp(first.node, MatMul) ? second : first
}

const isPointwise = ({ node, weight }: Linear): boolean => {
  const kernel = weight.shape.slice(2)
  return (
    isOp(node, Conv) &&
    kernel.every((size) => size === 1) &&
    (node.attrs.strides ?? []).every((stride) => stride === 1) &&
    isUnpadded(node.attrs, kernel)
  )
}

const fusedBias = (graph: Graph, first: Linear, second: Linear): Float64Array | undefined => {
  const reads = readsOfContraction(contextOf(graph, second.node), second.c)
  const inner = Float64Array.from({ length: reads.inputs }, (_, m) => first.c.bias(m) ?? NaN)
  if (inner.some((b) => b !== 0) && !second.c.uniform) return undefined
  const bias = new Float64Array(reads.outputs)
  for (let o = 0; o < bias.length; o++) {
    let sum = 0
    for (const [m, b] of inner.entries()) if (b !== 0) sum += b * reads.sum(o, m)
    bias[o] = (second.c.bias(o) ?? NaN) + second.c.scale * sum
  }
  return bias
}

/** Strides of a weight by output channel, input channel and place in the kernel. */
const layoutOf = ({ c, weight }: Linear) => {
  const block = sizeOf(weight.shape.slice(2))
  const row = (weight.shape[1] ?? 0) * block
  return c.weightOutputAxis === 0 ? { output: row, input: block, block } : { output: block, input: row, block }
}

/** `W2 W1` in the layout of the weight of `form`, at most one of the two having a kernel. The other's factor goes in. */
const fusedWeight = (first: Linear, second: Linear, form: Linear): Tensor | undefined => {
  const outputs = channelsOf(second.weight, second.c).outputs
  const { inputs, outputs: inner } = channelsOf(first.weight, first.c)
  const [at1, at2] = [layoutOf(first), layoutOf(second)]
  const [w1, w2] = [elements(first.weight), elements(second.weight)]
  const block = Math.max(at1.block, at2.block)
  const shape = form.weight.shape.map((size, axis) => {
    if (axis === form.c.weightOutputAxis) return outputs
    return axis === form.c.weightInputAxis ? inputs : size
  })
  const factor = form === first ? second.c.scale : first.c.scale
  const out = new Float64Array(sizeOf(shape))
  const row = (shape[1] ?? 0) * block
  const at = form.c.weightOutputAxis === 0 ? { output: row, input: block } : { output: block, input: row }
  for (let o = 0; o < outputs; o++) {
    for (let m = 0; m < inner; m++) {
      for (let k = 0; k < block; k++) {
        const b = factor * Number(w2[o * at2.output + m * at2.input + (at2.block === 1 ? 0 : k)])
        if (b === 0) continue
        const from = m * at1.output + (at1.block === 1 ? 0 : k)
        const to = o * at.output + k
        for (let i = 0; i < inputs; i++) {
          out[to + i * at.input] = (out[to + i * at.input] ?? 0) + b * Number(w1[from + i * at1.input])
        }
      }
    }
  }
  return finiteTensor(form.weight.dtype, shape, out)
}

const macsOf = (graph: Graph, node: Node): number => opOf(node).macs?.(contextOf(graph, node)) ?? 0

/** Multiplications of the fused node, which is not in a graph yet. */
const macsAfter = (graph: Graph, patch: Patch, old: Node): number => {
  const [fused] = patch.nodes
  const constants = new Map([...graph.constants, ...patch.constants])
  const types = new Map(graph.types)
  for (const [name, tensor] of patch.constants) types.set(name, tensorType(tensor.dtype, tensor.shape))
  return fused === undefined ? Infinity : macsOf({ ...graph, constants, types }, { ...fused, outputs: old.outputs })
}

/**
 * Makes one Add of two, and one Mul of two: `(x + c1) + c2 = x + (c1 + c2)`, `(x · c1) · c2 = x · (c1 · c2)`.
 *
 * Guards: floats; nothing else reads what is between them and its name is not fixed; the new constant is no larger than
 * the larger one of the two and finite; a product is neither zero nor so small that it loses digits.
 */
const fuseConstants: Rule = (graph, node, names) => {
  if (!isOp(node, Add) && !isOp(node, Mul)) return undefined
  const outer = constantPort(graph, node)
  const value = node.inputs[1 - (outer ?? 0)] ?? ''
  const before = soleProducer(graph, value)
  if (outer === undefined || before?.op !== node.op || onlyReader(graph, value) !== node) return undefined
  const inner = constantPort(graph, before)
  if (inner === undefined) return undefined
  const name = before.inputs[inner] ?? ''
  const [c1, c2] = [graph.constants.get(name), graph.constants.get(node.inputs[outer] ?? '')]
  if (c1 === undefined || c2 === undefined || !isFloat(c1.dtype)) return undefined
  const sum = evaluateNode(graph, { ...node, inputs: [name, node.inputs[outer] ?? ''] }, [c1, c2])?.[0]
  if (sum === undefined || sizeOf(sum.shape) > Math.max(sizeOf(c1.shape), sizeOf(c2.shape))) return undefined
  if (!isHarmless(sum, isOp(node, Mul))) return undefined
  const constant = names.replacing(name)
  const inputs = before.inputs.map((input, port) => (port === inner ? constant : input))
  return { removes: [before, node], nodes: [{ ...node, inputs }], constants: new Map([[constant, sum]]) }
}

/** The port of the only constant operand. */
const constantPort = (graph: Graph, node: Node): number | undefined => {
  const ports = [0, 1].filter((port) => graph.constants.has(node.inputs[port] ?? ''))
  return ports.length === 1 ? ports[0] : undefined
}

/** Whether every number is finite, and no product has lost digits by being too small. */
const isHarmless = (result: Tensor, isProduct: boolean): boolean => {
  const smallest = result.dtype === 'float16' ? 2 ** -14 : 2 ** -126
  return elements(result).every((x) => Number.isFinite(Number(x)) && (!isProduct || Math.abs(Number(x)) >= smallest))
}

/** Adjacent linear operators as one: contractions, and Adds and Muls of constants. */
export const fuseLinear = rewritePass('fuse-linear', [fuseContractions, fuseConstants])
