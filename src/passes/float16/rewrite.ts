/** A model with some of its nodes in half precision: their constants rounded, conversions where the two types meet. */
import { freshNames } from '../../ir/analysis.ts'
import { dtypes } from '../../ir/dtype.ts'
import { invariant } from '../../ir/failure.ts'
import { type Graph, type ValueInfo, withParts } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Cast } from '../../ir/ops/cast.ts'
import { Clip } from '../../ir/ops/clip.ts'
import { isOpaque } from '../../ir/registry.ts'
import { type Tensor, tensorOf } from '../../ir/tensor.ts'
import { tensorType, type ValueType } from '../../ir/type.ts'
import { clampedTo, toHalf } from './constants.ts'
import type { Plan } from './plan.ts'

type Precision = 'float16' | 'float32'

const other = (precision: Precision): Precision => (precision === 'float16' ? 'float32' : 'float16')

export interface Rewritten {
  readonly graph: Graph
  readonly casts: number
}

export interface Clipped {
  readonly node: Node
  readonly constants: ReadonlyMap<ValueId, Tensor>
}

/** `value`, float32, with no number beyond {@link clampedTo}. */
export const clipped = (graph: Graph, value: ValueId, fresh: (hint: string) => ValueId): Clipped => {
  const to = fresh(`${value}_clamped`)
  if ((graph.opsets.get('') ?? 0) < 11)
    return { node: makeNode(Clip, [value], [to], { min: -clampedTo, max: clampedTo }), constants: new Map() }
  const [least, most] = [fresh(`${to}_least`), fresh(`${to}_most`)]
  const limits = new Map([
    [least, tensorOf('float32', [], [-clampedTo])],
    [most, tensorOf('float32', [], [clampedTo])],
  ])
  return { node: makeNode(Clip, [value, least, most], [to]), constants: limits }
}

/**
 * `graph` with the nodes of `plan` in half precision. Inputs and outputs keep their types with `keepIo`; what subgraphs and other
 * preserved parts name keeps them always.
 */
export const inHalf = (graph: Graph, plan: Plan, keepIo: boolean): Rewritten => {
  const fresh = freshNames(graph)
  const named = new Set(graph.preserved.uses)
  for (const node of graph.nodes) if (isOpaque(node)) for (const name of node.attrs.captures) named.add(name)
  const edges = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name))
  const isFloat32 = (name: ValueId): boolean => {
    const type = graph.types.get(name)
    return type?.kind === 'tensor' && type.dtype === 'float32'
  }
  /** The precision of what has the name of a value; undefined where that is whatever it is made in. */
  const fixed = (name: ValueId): Precision | undefined =>
    named.has(name) ? 'float32' : edges.has(name) ? (keepIo ? 'float32' : 'float16') : undefined

  const read: Readonly<Record<Precision, Set<ValueId>>> = { float16: new Set(), float32: new Set() }
  for (const node of graph.nodes) {
    const half = plan.nodes.get(node)
    node.inputs.forEach((name, port) => read[half?.inputs.has(port) === true ? 'float16' : 'float32'].add(name))
  }

  const names = new Map<ValueId, { float16?: ValueId; float32?: ValueId }>()
  const constants = new Map<ValueId, Tensor>(graph.constants)
  for (const [name, tensor] of graph.constants) {
    if (tensor.dtype !== 'float32') continue
    const home = fixed(name) ?? (read.float16.has(name) && !read.float32.has(name) ? 'float16' : 'float32')
    const away = other(home)
    if (home === 'float16') constants.set(name, toHalf(tensor))
    if (!read[away].has(name)) names.set(name, { [home]: name })
    else {
      const copy = fresh(`${name}_${away}`)
      constants.set(copy, away === 'float16' ? toHalf(tensor) : tensor)
      names.set(name, { [home]: name, [away]: copy })
    }
  }
  for (const { name } of graph.inputs) if (isFloat32(name)) names.set(name, { [fixed(name) ?? 'float32']: name })

  const nodes: Node[] = []
  const hints = new Map(graph.hints)
  let casts = 0
  const retyped = (type: ValueType, precision: Precision): ValueType =>
    type.kind === 'tensor' ? tensorType(precision, type.shape) : type
  const hinted = (name: ValueId, as: ValueId, precision: Precision): void => {
    const hint = graph.hints.get(name)
    if (hint !== undefined) hints.set(as, retyped(hint, precision))
  }
  const convert = (from: ValueId, to: ValueId, precision: Precision): void => {
    nodes.push(makeNode(Cast, [from], [to], { to: dtypes.indexOf(precision) + 1 }))
    casts += 1
  }
  /** `value` in float32, of which no number is beyond half precision. */
  const clampedValue = (value: ValueId): ValueId => {
    const clip = clipped(graph, value, fresh)
    nodes.push(clip.node)
    for (const [name, tensor] of clip.constants) constants.set(name, tensor)
    return clip.node.outputs[0] ?? value
  }
  /** The name of `value` in a precision, converted here where it has none yet. */
  const take = (value: ValueId, precision: Precision): ValueId => {
    const known = names.get(value) ?? {}
    const found = known[precision]
    if (found !== undefined) return found
    const from = known[other(precision)]
    invariant(from !== undefined, `${value} in a precision`)
    const to = fresh(`${value}_${precision}`)
    hinted(value, to, precision)
    convert(precision === 'float16' && plan.beyond.has(value) ? clampedValue(from) : from, to, precision)
    known[precision] = to
    names.set(value, known)
    return to
  }
  for (const node of graph.nodes) {
    const half = plan.nodes.get(node)
    const inputs = node.inputs.map((name, port) =>
      isFloat32(name) ? take(name, half?.inputs.has(port) === true ? 'float16' : 'float32') : name,
    )
    const moved: Array<readonly [from: ValueId, to: ValueId, precision: Precision]> = []
    const outputs = node.outputs.map((name) => {
      if (name === '' || !isFloat32(name)) return name
      const made: Precision = half?.outputs.includes(name) === true ? 'float16' : 'float32'
      const home = fixed(name) ?? made
      const own = made === home ? name : fresh(`${name}_${made}`)
      hinted(name, own, made)
      names.set(name, { [made]: own, [home]: name })
      if (own !== name) moved.push([own, name, home])
      return own
    })
    nodes.push({ ...node, inputs, outputs })
    for (const [from, to, precision] of moved) {
      const isBeyond = precision === 'float16' && plan.beyond.has(to)
      convert(isBeyond ? clampedValue(from) : from, to, precision)
      hinted(to, to, precision)
    }
  }
  const edge = (info: ValueInfo): ValueInfo =>
    isFloat32(info.name) ? { ...info, type: retyped(info.type, fixed(info.name) ?? 'float32') } : info
  const defaults = new Map(
    [...graph.defaults].map(([name, tensor]) => [
      name,
      tensor.dtype === 'float32' && fixed(name) === 'float16' ? toHalf(tensor) : tensor,
    ]),
  )
  const parts = { inputs: graph.inputs.map(edge), outputs: graph.outputs.map(edge), nodes, constants, defaults, hints }
  return { graph: withParts(graph, parts), casts }
}
