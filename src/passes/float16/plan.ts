/** Which nodes of a model compute in half precision, and why others do not. */
import { contextOf, type Graph, labelOf, typesOf } from '../../ir/graph.ts'
import type { DType } from '../../ir/dtype.ts'
import type { Node, NodeContext, ValueId } from '../../ir/op.ts'
import { type AnyOp, isOp, isOpaque, opOf } from '../../ir/registry.ts'
import { MatMul } from '../../ir/ops/mat-mul.ts'
import { Transpose } from '../../ir/ops/transpose.ts'
import type { Tensor } from '../../ir/tensor.ts'
import { sizeOf, tensorType, type ValueType } from '../../ir/type.ts'
import * as E from 'fp-ts/lib/Either.js'
import type { Target } from '../target.ts'
import { lossOf, lostAsDivisors } from './constants.ts'
import type { ClampedConstant, KeptNode } from './report.ts'

/** What of a node is in half precision. */
export interface HalfNode {
  /** Ports of operands. */
  readonly inputs: ReadonlySet<number>
  /** Results that were float32. */
  readonly outputs: ReadonlyArray<ValueId>
}

export interface Plan {
  readonly nodes: ReadonlyMap<Node, HalfNode>
  /** Values in float32 that may hold numbers beyond half precision. */
  readonly beyond: ReadonlySet<ValueId>
  readonly kept: ReadonlyArray<KeptNode>
  readonly clamped: ReadonlyArray<ClampedConstant>
}

/** Constants of this many elements are worth a conversion of what they meet. */
const worthIt = 256

const dtypeOf = (type: ValueType | undefined): DType | undefined => (type?.kind === 'tensor' ? type.dtype : undefined)

const isSmallInteger = (dtype: DType | undefined): boolean => dtype !== undefined && /^u?int(2|4|8|16)$/.test(dtype)

/** Whether a result is always one of the operands, or nothing that grows with them: of equal operands it is that number. */
const chooses = (op: AnyOp, ctx: NodeContext<unknown>): boolean => {
  if (op.total === true || op.constant === 'copied') return true
  const large = 2 ** 100
  const slices = ctx.inputs.map((type) => (dtypeOf(type) === 'float32' ? large : undefined))
  return op.constant?.(ctx, slices, 0, 0) === large
}

/** The axis along which the rows of a constant are judged: the output channels of a weight. */
const rowsOf = (op: AnyOp, ctx: NodeContext<unknown>, port: number): number | undefined => {
  if (op.links === 'opaque' || op.links(ctx) === 'opaque') return undefined
  const c = op.contraction?.(ctx)
  return c?.weightPort === port ? c.weightOutputAxis : undefined
}

/** Remembers what each constant would lose, which is found out by reading it. */
const judging = (): ((tensor: Tensor, axis: number | undefined) => ReturnType<typeof lossOf>) => {
  const known = new Map<Tensor, Map<number, ReturnType<typeof lossOf>>>()
  return (tensor, axis) => {
    const ofTensor = known.get(tensor) ?? new Map<number, ReturnType<typeof lossOf>>()
    const found = ofTensor.get(axis ?? -1) ?? lossOf(tensor, axis)
    known.set(tensor, ofTensor.set(axis ?? -1, found))
    return found
  }
}

/**
 * A node computes in half precision where an operand does, or where it reads a large constant; but for operators that say
 * otherwise (`OpDef.float32`), nodes that `isNamed` says, those that compute on integers of few bits, and those of which half precision
 * does not hold the constants. Nodes that are not looked into, their subgraphs included, stay as they are.
 */
export const planHalf = (graph: Graph, isNamed: (node: Node) => boolean, target: Target): Plan => {
  let turned: ReadonlySet<Node> = new Set()
  if (target !== 'cpu') return planWith(graph, isNamed, turned)
  for (;;) {
    const plan = planWith(graph, isNamed, turned)
    const more = turnedBeforeProducts(graph, plan)
    if (more.size === 0) return plan
    turned = new Set([...turned, ...more])
  }
}

/**
 * Nodes in half precision from a Transpose that moves the first axis to a MatMul that reads it, directly or through what has no
 * weights. ONNX Runtime 1.30 to 1.32 may end the process that loads one for a CPU, where MatMul is computed in float32 whatever it is in
 * the model: it moves the Transpose on to the Cast before the MatMul and joins the two. It does not in every model (not in the whole of
 * ViT-B/16, but in a part of it), and in which is not known: so all of them count. It is moved on past a node only if more
 * axes are turned in front of that than would have to be turned back: past a sum with what is not turned, as in a residual stream, it is not.
 */
const turnedBeforeProducts = (graph: Graph, { nodes }: Plan): ReadonlySet<Node> => {
  const behind = new Map<ValueId, Node>()
  const axesOf = (names: ReadonlyArray<ValueId>): number =>
    names.reduce((sum, name) => {
      const type = graph.constants.has(name) ? undefined : graph.types.get(name)
      return sum + (type?.kind === 'tensor' ? (type.shape?.length ?? 0) : 0)
    }, 0)
  const isMovedPast = (node: Node): boolean => {
    const isTurned = (name: ValueId): boolean => behind.has(name)
    const others = node.inputs.filter((name) => !isTurned(name))
    const isWeighted = opOf(node).contraction?.(contextOf(graph, node)) !== undefined
    return !isWeighted && node.inputs.some(isTurned) && axesOf(node.inputs.filter(isTurned)) > axesOf(others)
  }
  for (const [node, { outputs }] of nodes)
    if (movesFirstAxis(node) || isMovedPast(node)) for (const name of outputs) behind.set(name, node)
  const products = graph.nodes.filter((node) => isOp(node, MatMul))
  const found = new Set<Node>()
  for (const names = products.flatMap(({ inputs }) => inputs); names.length > 0;) {
    const node = behind.get(names.pop() ?? '')
    if (node === undefined || found.has(node)) continue
    found.add(node)
    names.push(...node.inputs)
  }
  return found
}

const movesFirstAxis = (node: Node): boolean => isOp(node, Transpose) && node.attrs.perm?.[0] !== 0

const planWith = (graph: Graph, isNamed: (node: Node) => boolean, turned: ReadonlySet<Node>): Plan => {
  const nodes = new Map<Node, HalfNode>()
  const beyond = new Set<ValueId>()
  const kept: KeptNode[] = []
  const clamped = new Map<ValueId, ClampedConstant>()
  const judge = judging()
  const halves = new Set(graph.inputs.flatMap(({ name, type }) => (dtypeOf(type) === 'float32' ? [name] : [])))

  /** What becomes half precision, a reason why nothing does, or undefined where nothing calls for it. */
  const decide = (node: Node, ports: ReadonlyArray<number>): HalfNode | string | undefined => {
    const [op, ctx] = [opOf(node), contextOf(graph, node)]
    if (isNamed(node)) return 'its name was given'
    if (isOpaque(node)) return 'it is not looked into'
    if (turned.has(node)) return 'ONNX Runtime does not load it in half precision before a product on a CPU'
    if (op.float32 !== undefined && op.float32.inputs === undefined) return op.float32.because
    if ([...ctx.inputs, ...ctx.outputs].some((type) => isSmallInteger(dtypeOf(type)))) return 'it is about integers'
    const open = ports.filter((port) => op.float32?.inputs?.includes(port) !== true)
    const isCalledFor = open.some((port) => {
      const constant = ctx.constant(port)
      return constant === undefined ? halves.has(node.inputs[port] ?? '') : sizeOf(constant.shape) >= worthIt
    })
    if (!isCalledFor) return undefined
    const untyped = node.inputs.find((_, port) => ctx.inputs[port]?.kind === 'other')
    if (untyped !== undefined) return `the model does not say of what type ${untyped} is`
    const isSquare = node.inputs[0] === node.inputs[1] && ctx.constant(0) === undefined
    if (op.multiplies === true && isSquare) return 'it squares, which leaves the range of half precision'
    if (op.multiplies === true && node.inputs.some((name) => beyond.has(name)))
      return 'a factor may be beyond half precision'
    const marked: ClampedConstant[] = []
    for (const port of open) {
      const [name, constant] = [node.inputs[port] ?? '', ctx.constant(port)]
      if (constant === undefined) continue
      const { beyond: count, lost } = judge(constant, rowsOf(op, ctx, port))
      if (lost > 0) return `half precision holds too few digits of ${name}`
      if (count > 0 && !chooses(op, ctx)) return `${name} has numbers beyond half precision`
      const divisor = op.divisors?.(ctx).find((one) => one.port === port)
      if (divisor !== undefined && lostAsDivisors(constant, divisor.offset) > 0)
        return `half precision holds too few digits of ${name} to divide by`
      if (count > 0) marked.push({ constant: name, elements: count })
    }
    const inputs = ctx.inputs.map((type, port) =>
      open.includes(port) && type?.kind === 'tensor' ? tensorType('float16', type.shape) : type,
    )
    const made = typesOf(node, { ...ctx, inputs })
    if (E.isLeft(made)) return 'it takes no half precision here'
    for (const one of marked) clamped.set(one.constant, one)
    const outputs = node.outputs.filter(
      (name, k) => name !== '' && dtypeOf(ctx.outputs[k]) === 'float32' && dtypeOf(made.right[k]) === 'float16',
    )
    return { inputs: new Set(open), outputs }
  }

  for (const node of graph.nodes) {
    const ports = node.inputs.flatMap((name, port) => (dtypeOf(graph.types.get(name)) === 'float32' ? [port] : []))
    const found = ports.length === 0 ? undefined : decide(node, ports)
    if (typeof found === 'object') {
      nodes.set(node, found)
      for (const name of found.outputs) halves.add(name)
      continue
    }
    if (found !== undefined) kept.push({ node: labelOf(node), reason: found })
    const reads = (name: ValueId): boolean => {
      const constant = graph.constants.get(name)
      return beyond.has(name) || (constant?.dtype === 'float32' && judge(constant, undefined).beyond > 0)
    }
    // Shares of 1 are small, whatever they are shares of.
    const isSmall = opOf(node).sumsToOne?.(contextOf(graph, node)) !== undefined
    if (!isSmall && node.inputs.some(reads)) for (const name of node.outputs) if (name !== '') beyond.add(name)
  }
  return { nodes, beyond, kept, clamped: [...clamped.values()] }
}
