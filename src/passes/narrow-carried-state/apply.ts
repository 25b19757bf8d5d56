/** A node and its bodies without the channels that go. */
import { withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { tensorType, type ValueType } from '../../ir/type.ts'
import type { OpaqueNode, Subgraph } from '../subgraphs.ts'
import { type Built, building, freshIn, restore, type Restored, select } from './build.ts'
import { type Cut, keptBy, outerAxis, type Site } from './lanes.ts'

/** A node and its bodies with what goes gone. */
interface Narrowed {
  readonly node: OpaqueNode
  readonly bodies: ReadonlyArray<Subgraph>
  readonly front: Built
  readonly behind: Built
  readonly hints: ReadonlyMap<ValueId, ValueType>
  /** Values in bodies that hold zeros for what is not needed. */
  readonly zeros: ReadonlyArray<ValueId>
}

const withSizes = (type: ValueType, sizes: ReadonlyMap<number, number>): ValueType =>
  type.kind === 'tensor'
    ? tensorType(
        type.dtype,
        type.shape?.map((dim, axis) => sizes.get(axis) ?? dim),
      )
    : type

/** Takes channels out of what crosses the edge of a node. */
export const apply = ({ graph, node, bodies }: Site, cuts: ReadonlyArray<Cut>): Narrowed => {
  const fresh = freshIn(
    graph,
    bodies.map((body) => body.graph),
  )
  const [front, behind] = [building(fresh), building(fresh)]
  const hints = new Map<ValueId, ValueType>()
  const zeros: ValueId[] = []
  const [inputs, outputs] = [[...node.inputs], [...node.outputs]]
  const parts = bodies.map(({ graph: body }) => ({
    body,
    inputs: [...body.inputs],
    outputs: [...body.outputs],
    head: building(fresh),
    end: building(fresh),
    renamed: new Map<ValueId, ValueId>(),
  }))
  const added: ValueId[] = []
  for (const lane of new Set(cuts.map((cut) => cut.lane))) {
    const own = cuts.filter((cut) => cut.lane === lane)
    const inside = new Map(own.map((cut) => [cut.axis, keptBy(cut).length]))
    const outside = new Map(own.map((cut) => [outerAxis(lane, cut.axis), keptBy(cut).length]))
    const { read, made } = lane
    if (read !== undefined) {
      let outer = read.outer
      for (const cut of own)
        outer = select(front, outer, outerAxis(lane, cut.axis), keptBy(cut), fresh(`${read.outer}_kept`))
      added.push(outer)
      if (read.port !== undefined) inputs[read.port] = outer
      for (const part of parts) {
        const at = part.inputs.findIndex(({ name }) => name === read.name)
        const input = part.inputs[at]
        if (input === undefined) continue
        // What is captured is called inside as it is outside, and what is restored of it something else.
        const isOwn = read.port !== undefined
        let name = isOwn ? fresh(`${read.name}_kept`) : outer
        const restored = isOwn ? read.name : fresh(`${read.name}_inside`)
        if (!isOwn) part.renamed.set(read.name, restored)
        let type = withSizes(input.type, inside)
        part.inputs[at] = { name, type }
        // Zeros first: what is not needed is not where constants are known, which come back at all positions.
        const steps = own.flatMap(
          (cut): ReadonlyArray<{ readonly axis: number; readonly isZero: boolean } & Restored> => {
            const kept = keptBy(cut)
            const all = [...cut.needed.keys()]
            const isConstant = (index: number): boolean => !Number.isNaN(cut.constants[index])
            const known = all.filter((index) => kept.includes(index) || !isConstant(index))
            const zero = { axis: cut.axis, isZero: true, from: kept, to: known, numberOf: () => 0 }
            // The channel that stays where none has to is one of them.
            const from = known.map((index) => (isConstant(index) ? -1 : index))
            const constant = {
              axis: cut.axis,
              isZero: false,
              from,
              to: all,
              numberOf: (i: number) => cut.constants[i] ?? 0,
            }
            return [...(known.length > kept.length ? [zero] : []), ...(all.some(isConstant) ? [constant] : [])]
          },
        )
        steps.sort((one, other) => Number(other.isZero) - Number(one.isZero))
        for (const [i, step] of steps.entries()) {
          const to = i === steps.length - 1 ? restored : fresh(`${read.name}_part`)
          const from = part.head.nodes.length
          restore(part.head, [name, to], type, step.axis, step)
          const added = part.head.nodes.slice(from).flatMap((one) => one.outputs)
          if (step.isZero) zeros.push(...added.filter((one) => one !== restored))
          type = withSizes(type, new Map([[step.axis, step.to.length]]))
          name = to
        }
      }
    }
    if (made === undefined) continue
    for (const part of parts) {
      const output = part.outputs[made.index]
      if (output === undefined) continue
      let { name } = output
      for (const cut of own) name = select(part.end, name, cut.axis, keptBy(cut), fresh(`${output.name}_kept`))
      part.outputs[made.index] = { name, type: withSizes(output.type, inside) }
    }
    const type = graph.types.get(made.outer)
    if (made.outer === '' || type === undefined) continue
    let name = fresh(`${made.outer}_kept`)
    outputs[made.port] = name
    let current = withSizes(type, outside)
    hints.set(name, current)
    added.push(name)
    for (const [i, cut] of own.entries()) {
      const axis = outerAxis(lane, cut.axis)
      const next = i === own.length - 1 ? made.outer : fresh(`${made.outer}_part`)
      const all = [...cut.needed.keys()]
      restore(behind, [name, next], current, axis, {
        from: keptBy(cut),
        to: all,
        numberOf: (index) => (Number.isNaN(cut.constants[index]) ? 0 : (cut.constants[index] ?? 0)),
      })
      current = withSizes(current, new Map([[axis, all.length]]))
      name = next
    }
  }
  const narrowed = parts.map(({ body, head, end, renamed, ...ports }, i): Subgraph => {
    const nameOf = (name: ValueId): ValueId => renamed.get(name) ?? name
    const inner = [...body.nodes, ...end.nodes].map((one) =>
      one.inputs.some((input) => renamed.has(input)) ? { ...one, inputs: one.inputs.map(nameOf) } : one,
    )
    return {
      name: bodies[i]?.name ?? '',
      graph: withParts(body, {
        inputs: ports.inputs,
        outputs: ports.outputs.map((output) => ({ ...output, name: nameOf(output.name) })),
        nodes: [...head.nodes, ...inner],
        constants: new Map([...body.constants, ...head.constants, ...end.constants]),
        preserved: { ...body.preserved, uses: [...body.preserved.uses, ...added] },
      }),
    }
  })
  const captures = [...new Set([...node.attrs.captures, ...added])]
  return {
    node: { ...node, inputs, outputs, attrs: { ...node.attrs, captures } },
    bodies: narrowed,
    front,
    behind,
    hints,
    zeros,
  }
}
