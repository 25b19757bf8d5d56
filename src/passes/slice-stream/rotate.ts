/**
 * SliceGPT (Ashkboos et al., arXiv 2401.15024): a residual stream in the basis of its principal components, without the smallest.
 *
 * A value x of the stream becomes `x · R`, with `R = Q` where RMS normalisations read it, and `R = (I - 11ᵀ/D) · Q` where layer
 * normalisations do, which centre in any case and are RMS normalisations of what is centred. Q is orthogonal, so the root of the mean
 * square stays, and `RMS(x) · scale + bias = RMS(x · R) · Qᵀ · diag(scale) + bias`. What adds to the stream takes R into its weight, what
 * reads a normalisation `Qᵀ · diag(scale)`; where that cannot be, a product of matrices stands for it. Between two values a and b
 * `x_a · Q_aᵀ · R_b` is added. Columns of R beyond those that are kept are zeros: the compiler takes the channels out.
 *
 * Unlike the released code, which calibrates layer by layer behind what is sliced already, all bases come of the dense model.
 */
import { freshNames, onlyReader, soleProducer, usersOf } from '../../ir/analysis.ts'
import { invariant } from '../../ir/failure.ts'
import { eigenvectors, product, transposed } from '../../ir/eigen.ts'
import { numbersOf } from '../../ir/evaluate.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import * as ops from '../../ir/ops/index.ts'
import { isOp } from '../../ir/registry.ts'
import { int64s, materialize, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { type Norm, type Stream, type StreamValue, widthOf } from './find.ts'

/** Σ xᵀ·x of the values of a stream over a calibration set, `[size, size]` row by row, by their names. */
export type Moments = ReadonlyMap<ValueId, Float64Array>

/** Both `[size, size]`, row by row: what a value is multiplied by, and what brings it back. */
interface Basis {
  readonly size: number
  readonly into: Float64Array
  readonly back: Float64Array
  /** Share of Σ x² that the components that count hold; 1 of a value that is 0. */
  readonly held: number
}

/** x less its mean: `I - 11ᵀ/D` on both sides of a moment, or on the left of a matrix. */
const centredRows = (a: Float64Array, size: number): Float64Array => {
  const out = Float64Array.from(a)
  const columns = a.length / size
  for (let c = 0; c < columns; c++) {
    let sum = 0
    for (let r = 0; r < size; r++) sum += a[r * columns + c] ?? 0
    for (let r = 0; r < size; r++) out[r * columns + c] = (a[r * columns + c] ?? 0) - sum / size
  }
  return out
}

/** The basis of a value, of which `kept` components count. */
const basisOf = ({ size, centres }: StreamValue, moment: Float64Array, kept: number): Basis => {
  const half = centres ? centredRows(moment, size) : moment
  const whole = centres ? centredRows(transposed(half, size, size), size) : moment
  const { vectors: rows, values } = eigenvectors(whole, size)
  const sum = (parts: Float64Array): number => parts.reduce((total, x) => total + x, 0)
  const held = sum(values) > 0 ? sum(values.subarray(0, kept)) / sum(values) : 1
  rows.fill(0, kept * size)
  const columns = transposed(rows, size, size)
  return { size, into: centres ? centredRows(columns, size) : columns, back: rows, held }
}

/** A product with a constant matrix: `x · weight + bias`, weight `[inputs, outputs]`. */
interface Linear {
  readonly x: ValueId
  readonly weight: Float64Array
  readonly bias: Float64Array | undefined
  readonly inputs: number
  readonly outputs: number
}

const float32 = (graph: Graph, name: ValueId | undefined): Tensor | undefined => {
  const tensor = graph.constants.get(name ?? '')
  return tensor?.dtype === 'float32' && tensor.tag !== 'Held' ? tensor : undefined
}

/** Whether a node is a MatMul or Gemm with a constant matrix on its right, and at most a constant row added. */
const isLinear = (graph: Graph, node: Node): boolean => {
  const [x = '', b, c] = node.inputs
  if (float32(graph, b)?.shape.length !== 2 || graph.constants.has(x)) return false
  if (isOp(node, ops.MatMul)) return true
  if (!isOp(node, ops.Gemm) || node.attrs.transA !== 0) return false
  if (!c) return true
  const outputs = widthOf(graph, node.outputs[0] ?? '')
  const shape = float32(graph, c)?.shape
  return shape !== undefined && [1, outputs].includes(sizeOf(shape)) && [1, outputs].includes(shape.at(-1) ?? 1)
}

const linearOf = (graph: Graph, node: Node): Linear => {
  const [x = '', b, c] = node.inputs
  const tensor = float32(graph, b)
  invariant(tensor !== undefined && isLinear(graph, node), `${node.name} is no product with a constant`)
  const [rows = 0, columns = 0] = tensor.shape
  const values = Float64Array.from(numbersOf(materialize(tensor)))
  if (!isOp(node, ops.Gemm)) return { x, weight: values, bias: undefined, inputs: rows, outputs: columns }
  const { alpha, beta, transB } = node.attrs
  const [inputs, outputs] = transB === 0 ? [rows, columns] : [columns, rows]
  const weight = transB === 0 ? values : transposed(values, rows, columns)
  const held = float32(graph, c)
  const shift = held && numbersOf(materialize(held))
  return {
    ...{ x, inputs, outputs },
    weight: weight.map((w) => alpha * w),
    bias: shift && Float64Array.from({ length: outputs }, (_, o) => beta * (shift[shift.length === 1 ? 0 : o] ?? 0)),
  }
}

/** Whether a node lays the elements anew and leaves the last axis as it is. */
const keepsLast = (graph: Graph, node: Node | undefined): boolean => {
  const size = widthOf(graph, node?.inputs[0] ?? '')
  return isOp(node, ops.Reshape) && size !== undefined && size === widthOf(graph, node.outputs[0] ?? '')
}

/** The products that alone read a value, by way of nothing but reshapes; undefined where something else does. */
const readersOf = (graph: Graph, value: ValueId): ReadonlyArray<Node> | undefined => {
  const found: Node[] = []
  const waiting = [value]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const user of usersOf(graph).get(name) ?? []) {
      if (keepsLast(graph, user)) waiting.push(user.outputs[0] ?? '')
      else if (user.inputs[0] === name && user.inputs.lastIndexOf(name) === 0 && isLinear(graph, user)) found.push(user)
      else return undefined
    }
    if (graph.outputs.some((output) => output.name === name)) return undefined
  }
  return found
}

/** What makes a value that only the stream reads, where R fits into its weight: a product or a table, by way of reshapes. */
const writerOf = (graph: Graph, value: ValueId): Node | undefined => {
  let node: Node | undefined = soleProducer(graph, value)
  while (node !== undefined && keepsLast(graph, node)) {
    const [from = ''] = node.inputs
    if (onlyReader(graph, from) !== node) return undefined
    node = soleProducer(graph, from)
  }
  if (node === undefined) return undefined
  const { inputs }: Node = node
  const isTable = isOp(node, ops.Gather) && node.attrs.axis === 0 && float32(graph, inputs[0])?.shape.length === 2
  return isTable || isLinear(graph, node) ? node : undefined
}

export interface SlicedValue {
  readonly value: ValueId
  readonly channels: number
  readonly kept: number
  /** Share of the sum of squares over the calibration set, centred where layer normalisations read it, that is kept: 0 to 1. */
  readonly held: number
}

export interface Rotated {
  readonly graph: Graph
  readonly values: ReadonlyArray<SlicedValue>
}

/** The graph with its stream in the basis of `moments`, all components but the first `keep(size)` of each value zero. */
export const rotateStream = (
  graph: Graph,
  stream: Stream,
  moments: Moments,
  keep: (size: number) => number,
): Rotated => {
  const fresh = freshNames(graph)
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const bases = new Map<ValueId, Basis>()
  for (const one of stream.values.values()) {
    const moment = moments.get(one.value)
    invariant(moment !== undefined, `no moments of ${one.value}`)
    bases.set(one.value, basisOf(one, moment, keep(one.size)))
  }
  const basis = (value: ValueId): Basis => {
    const found = bases.get(value)
    invariant(found !== undefined, `no basis of ${value}`)
    return found
  }
  const constant = (hint: string, shape: ReadonlyArray<number>, values: Float64Array): ValueId => {
    const name = fresh(hint)
    constants.set(name, tensorOf('float32', shape, values))
    return name
  }
  const matrix = (hint: string, size: number, values: Float64Array): ValueId => constant(hint, [size, size], values)
  const vectorOf = (name: ValueId | undefined, size: number): Float64Array => {
    const tensor = float32(graph, name)
    const held = tensor === undefined ? [] : numbersOf(materialize(tensor))
    return Float64Array.from({ length: size }, (_, i) => held[held.length === 1 ? 0 : i] ?? 0)
  }
  /** `back · diag(scale)`. */
  const scaled = ({ size, back }: Basis, { scale }: Norm): Float64Array => {
    const factors = vectorOf(scale, size)
    return back.map((x, i) => x * (factors[i % size] ?? 0))
  }

  /** Products and tables that take a basis into what they make, and what values before them are called in the new one. */
  const writes = new Map<Node, Basis>()
  /** Products that read a normalisation, and which. */
  const reads = new Map<Node, readonly [Basis, Norm]>()
  /** Values that take a product of their own, under the name that the stream has them by. */
  const turned = new Map<string, ValueId>()
  const turnedLate = new Map<ValueId, Basis>()

  for (const one of stream.values.values()) {
    for (const norm of one.norms) {
      for (const reader of readersOf(graph, norm.node.outputs[0] ?? '') ?? [])
        reads.set(reader, [basis(one.value), norm])
    }
    if (!isOp(soleProducer(graph, one.value), ops.Add)) {
      const writer = writerOf(graph, one.value)
      if (writer === undefined) turnedLate.set(one.value, basis(one.value))
      else writes.set(writer, basis(one.value))
    }
  }
  for (const [node, one] of stream.adds) {
    for (const operand of node.inputs) {
      const maker = soleProducer(graph, operand)
      const isInside = maker !== undefined && stream.adds.has(maker)
      if (graph.constants.has(operand) || stream.values.has(operand) || isInside) continue
      const writer = onlyReader(graph, operand) === node ? writerOf(graph, operand) : undefined
      if (writer !== undefined) writes.set(writer, basis(one.value))
    }
  }

  const nodes: Node[] = []
  const moved = (x: ValueId, by: Float64Array, size: number, hint: string): ValueId => {
    const out = fresh(hint)
    nodes.push(makeNode(ops.MatMul, [x, matrix(`${hint}_matrix`, size, by)], [out]))
    return out
  }
  /** An operand of an addition to `one`, in the basis of that. */
  const joined = (node: Node, one: StreamValue, operand: ValueId): ValueId => {
    const to = basis(one.value)
    const tensor = graph.constants.get(operand)
    if (tensor !== undefined) {
      const values = numbersOf(materialize(tensor))
      const last = tensor.shape.at(-1) ?? 1
      const rows = values.length / last
      const wide = Float64Array.from(
        { length: rows * to.size },
        (_, i) => values[last === 1 ? Math.floor(i / to.size) : i] ?? 0,
      )
      const shape = [...tensor.shape.slice(0, -1), to.size]
      return constant(`${operand}_turned`, shape, product(wide, to.into, [rows, to.size, to.size]))
    }
    const from = bases.get(operand)
    const key = `${operand} ${one.value}`
    const known = turned.get(key)
    if (known !== undefined) return known
    const maker = soleProducer(graph, operand)
    const isInside =
      from === undefined &&
      maker !== undefined &&
      (stream.adds.has(maker) || (onlyReader(graph, operand) === node && writesTo(operand)))
    if (isInside) return operand
    const by = from === undefined ? to.into : product(from.back, to.into, [to.size, to.size, to.size])
    const made = moved(operand, by, to.size, `${operand}_turned`)
    turned.set(key, made)
    return made
  }
  const writesTo = (operand: ValueId): boolean => {
    const writer = writerOf(graph, operand)
    return writer !== undefined && writes.has(writer)
  }
  /** `x / √(mean(x²) + epsilon)`, in operators that every opset has. */
  const normalised = (x: ValueId, epsilon: number, hint: string): ValueId => {
    const names = ['squares', 'mean', 'sum', 'root'].map((part) => fresh(`${hint}_${part}`))
    const [square = '', mean = '', sum = '', root = ''] = names
    const out = fresh(`${hint}_normalised`)
    const isOperand = (graph.opsets.get('') ?? 0) >= 18
    const axes = fresh(`${hint}_axes`)
    if (isOperand) constants.set(axes, int64s([-1]))
    nodes.push(
      makeNode(ops.Mul, [x, x], [square]),
      makeNode(ops.ReduceMean, isOperand ? [square, axes] : [square], [mean], isOperand ? {} : { axes: [-1] }),
      makeNode(ops.Add, [mean, constant(`${hint}_epsilon`, [], Float64Array.of(epsilon))], [sum]),
      makeNode(ops.Sqrt, [sum], [root]),
      makeNode(ops.Div, [x, root], [out]),
    )
    return out
  }
  const norms = new Map<Node, readonly [StreamValue, Norm]>()
  for (const one of stream.values.values()) for (const norm of one.norms) norms.set(norm.node, [one, norm])
  /** Normalised values by value and epsilon. */
  const made = new Map<string, ValueId>()
  const renamed = new Map<ValueId, ValueId>()

  /** `y`, where the result goes, is the norm's output, or stands for it before that is brought into a basis. */
  const emitNorm = (one: StreamValue, norm: Norm, y: ValueId): void => {
    const key = `${norm.epsilon} ${one.value}`
    const plain = made.get(key) ?? normalised(one.value, norm.epsilon, y)
    made.set(key, plain)
    if (y === norm.node.outputs[0] && readersOf(graph, y) !== undefined) {
      renamed.set(y, plain)
      return
    }
    const to = basis(one.value)
    const weight = matrix(`${y}_matrix`, to.size, scaled(to, norm))
    if (norm.bias === undefined) nodes.push(makeNode(ops.MatMul, [plain, weight], [y]))
    else {
      const whole = fresh(`${y}_scaled`)
      const bias = constant(`${y}_bias`, [to.size], vectorOf(norm.bias, to.size))
      nodes.push(makeNode(ops.MatMul, [plain, weight], [whole]), makeNode(ops.Add, [whole, bias], [y]))
    }
  }

  /** A product with other matrices on either side. */
  const emitLinear = (node: Node, linear: Linear): void => {
    const [read, written] = [reads.get(node), writes.get(node)]
    const { inputs, outputs } = linear
    let { weight, bias } = linear
    if (read !== undefined) {
      const [from, norm] = read
      if (norm.bias !== undefined) {
        const more = product(vectorOf(norm.bias, inputs), weight, [1, inputs, outputs])
        bias = more.map((x, o) => x + (bias?.[o] ?? 0))
      }
      weight = product(scaled(from, norm), weight, [inputs, inputs, outputs])
    }
    if (written !== undefined) {
      weight = product(weight, written.into, [inputs, outputs, outputs])
      bias = bias && product(bias, written.into, [1, outputs, outputs])
    }
    const [y = ''] = node.outputs
    const [x = ''] = node.inputs
    const name = constant(`${y}_weight`, [inputs, outputs], weight)
    const from = renamed.get(x) ?? x
    if (isOp(node, ops.Gemm)) {
      const shift = bias === undefined ? [] : [constant(`${y}_bias`, [outputs], bias)]
      nodes.push(makeNode(ops.Gemm, [from, name, ...shift], [y]))
      return
    }
    const plain = bias === undefined ? y : fresh(`${y}_product`)
    nodes.push(makeNode(ops.MatMul, [from, name], [plain]))
    if (bias !== undefined) nodes.push(makeNode(ops.Add, [plain, constant(`${y}_bias`, [outputs], bias)], [y]))
  }

  for (const node of graph.nodes) {
    const norm = norms.get(node)
    const one = stream.adds.get(node)
    const late = turnedLate.get(node.outputs[0] ?? '')
    const linear = (reads.has(node) || writes.has(node)) && isLinear(graph, node) ? linearOf(graph, node) : undefined
    const [result = ''] = node.outputs
    const plain = late === undefined ? result : fresh(`${result}_plain`)
    if (norm !== undefined) emitNorm(...norm, plain)
    else if (one !== undefined) {
      const inputs = node.inputs.map((operand) => joined(node, one, operand))
      nodes.push({ ...node, inputs })
    } else if (linear !== undefined) emitLinear(node, linear)
    else if (writes.has(node)) {
      const [table = '', places = ''] = node.inputs
      const held = float32(graph, table)
      const to = writes.get(node)
      invariant(held !== undefined && to !== undefined, `a table of ${node.name}`)
      const [rows = 0] = held.shape
      const values = product(Float64Array.from(numbersOf(materialize(held))), to.into, [rows, to.size, to.size])
      nodes.push({ ...node, inputs: [constant(`${table}_turned`, [rows, to.size], values), places] })
    } else {
      const inputs = node.inputs.map((x) => renamed.get(x) ?? x)
      nodes.push({ ...node, inputs, outputs: late === undefined ? node.outputs : [plain] })
    }
    if (late === undefined) continue
    nodes.push(makeNode(ops.MatMul, [plain, matrix(`${result}_matrix`, late.size, late.into)], [result]))
  }
  const values = [...stream.values.values()].map(({ value, size }): SlicedValue => ({
    value,
    channels: size,
    kept: keep(size),
    held: basis(value).held,
  }))
  return { graph: withParts(graph, { nodes, constants }), values }
}
