/**
 * Joint axes: two axes that one axis was split into (heads and places) are tracked together as one more axis of the value, behind
 * its own, whose index `outer · size of inner + inner` is that of the axis they come from. Along it each head may lose places of
 * its own. Links between joint axes follow from those of the axes: what keeps both index by index keeps both together.
 */
import { pairsOf, periodic, sameIndex, shapeOf } from '../../ir/links.ts'
import type { AxisLink, IndexMap, Mixing, NodeContext, Pair } from '../../ir/op.ts'
import { isStatic } from '../../ir/type.ts'

/** Two axes of a value, tracked together. */
export interface Joint {
  readonly outer: number
  readonly inner: number
  readonly outerSize: number
  readonly innerSize: number
}

/** What an operator does with joint axes. */
export interface JointLinks {
  /** The joint axis of each output. */
  readonly made: ReadonlyArray<BoundJoint | undefined>
  readonly links: ReadonlyArray<AxisLink>
  readonly pairs: ReadonlyArray<Pair>
  /** The inputs whose joint axes are not followed: places cannot go by themselves there. */
  readonly binds: ReadonlyArray<number>
}

/** A joint axis, and whether the operator that makes it lets no place go by itself. */
export interface BoundJoint extends Joint {
  readonly isBound: boolean
  /** The node that makes places go alike in all heads, if one is known. */
  readonly boundBy?: string
}

/** `jointsOf` gives the joint axis of each input port. */
export const jointLinks = (
  { inputs, outputs }: NodeContext<unknown>,
  links: ReadonlyArray<AxisLink>,
  pairs: ReadonlyArray<Pair>,
  jointsOf: (port: number) => Joint | undefined,
): JointLinks => {
  const rankOf = (type: (typeof outputs)[number] | undefined): number => shapeOf(type)?.length ?? 0
  const ports = [...inputs.keys()].filter((port) => jointsOf(port) !== undefined)
  const followed = new Set<number>()
  const out: AxisLink[] = []
  const made = outputs.map((type, k): BoundJoint | undefined => {
    const into = links.filter((link) => link.output === k)
    const joint = splitInto(into, inputs, type) ?? carriedInto(into, ports, jointsOf)
    if (joint === undefined) return undefined
    const { from, outer, inner, outerSize, innerSize } = joint
    const axis = rankOf(type)
    for (const { port, axis: source, repeats = 1 } of from) {
      // An axis that is split again is no joint axis that is carried on.
      if (source === undefined) followed.add(port)
      const link = sameIndex(port, source ?? rankOf(inputs[port]), k, axis)
      out.push(repeats === 1 ? link : { ...link, from: repeated(outerSize, innerSize, repeats) })
    }
    let isBound = false
    for (const link of into) {
      if (from.some(({ port }) => port === link.input)) continue
      if (link.outputAxis === inner) isBound = true
      if (link.from !== undefined || link.into !== undefined) continue
      const [size, unit] = link.outputAxis === inner ? [innerSize, 1] : [outerSize, innerSize]
      if (link.outputAxis === inner || link.outputAxis === outer)
        out.push({
          ...sameIndex(link.input, link.inputAxis, k, axis),
          from: periodic(outerSize * innerSize, size, unit),
        })
    }
    return { outer, inner, outerSize, innerSize, isBound }
  })
  for (const port of ports) {
    const joint = jointsOf(port)
    if (joint === undefined) continue
    for (const link of mergedFrom(links, port, joint)) {
      followed.add(port)
      out.push(sameIndex(port, rankOf(inputs[port]), link.output, link.outputAxis))
    }
  }
  const joined: Pair[] = []
  for (const {
    ports: [p, q],
    axes,
    own,
  } of pairs) {
    const [a, b] = [jointsOf(p), jointsOf(q)]
    if (a === undefined || b === undefined || a.inner !== axes[0] || b.inner !== axes[1]) continue
    if (a.outerSize !== b.outerSize) continue
    const heads = [p, q].map((port, side) =>
      links.filter((l) => l.input === port && l.inputAxis === (side === 0 ? a : b).outer && isPlain(l)),
    )
    if (!heads[0]?.some((l) => heads[1]?.some((m) => m.output === l.output && m.outputAxis === l.outputAxis))) continue
    followed.add(p).add(q)
    joined.push({ ports: [p, q], axes: [rankOf(inputs[p]), rankOf(inputs[q])], ...(own && { own }) })
  }
  return { made, links: out, pairs: joined, binds: ports.filter((port) => !followed.has(port)) }
}

/** The joint axes of what a node mixes: those of its outputs, and the inputs whose joint axes they go on with. */
export const mixedJoints = (
  { node, outputs, constant }: NodeContext<unknown>,
  mixing: Mixing | undefined,
  jointsOf: (port: number) => Joint | undefined,
): { readonly made: ReadonlyArray<BoundJoint | undefined>; readonly follows: ReadonlyArray<number> } => {
  const read = (mixing?.joints ?? []).filter(
    ({ side, port }) => side === 'input' && (node.inputs[port] ?? '') !== '' && constant(port) === undefined,
  )
  const follows = read.flatMap((one) => (isJointOf(one, jointsOf(one.port)) ? [one.port] : []))
  const made = outputs.map((type, k): BoundJoint | undefined => {
    const own = mixing?.joints.find(({ side, port }) => side === 'output' && port === k)
    const [outerSize, innerSize] = [shapeOf(type)?.[own?.outer ?? -1], shapeOf(type)?.[own?.inner ?? -1]]
    if (own === undefined || !isStatic(outerSize) || !isStatic(innerSize)) return undefined
    return { outer: own.outer, inner: own.inner, outerSize, innerSize, isBound: follows.length < read.length }
  })
  return { made, follows }
}

/** Whether the joint axis of a value is of these two axes. */
export const isJointOf = (axes: Pick<Joint, 'outer' | 'inner'>, joint: Joint | undefined): boolean =>
  joint?.outer === axes.outer && joint.inner === axes.inner

const isPlain = ({ from, into }: AxisLink): boolean => from === undefined && into === undefined

/** What a joint axis of an output is linked with: an axis of an input, or the joint axis of one. */
interface Origin {
  readonly port: number
  readonly axis: number | undefined
  /** How many heads in a row have the places of one (keys that several queries share). */
  readonly repeats?: number
}

interface Found extends Joint {
  readonly from: ReadonlyArray<Origin>
}

/** Where the places of `outer` heads lie, of which `repeats` in a row have the same. */
const repeated = (outer: number, inner: number, repeats: number): IndexMap => ({
  first: 0,
  end: outer * inner,
  at: (i) => Math.floor(i / (inner * repeats)) * inner + (i % inner),
  onto: true,
})

/** One axis of an input split into two of an output. */
const splitInto = (
  into: ReadonlyArray<AxisLink>,
  inputs: NodeContext<unknown>['inputs'],
  output: NodeContext<unknown>['outputs'][number] | undefined,
): Found | undefined => {
  for (const pair of pairsOf(into)) {
    for (const axis of new Set(pair.map((link) => link.inputAxis))) {
      const parts = pair.filter((link) => link.inputAxis === axis && link.into !== undefined && link.from === undefined)
      const [first] = parts
      if (first === undefined || parts.length !== 2) continue
      const [length, sizes] = [shapeOf(inputs[first.input])?.[axis], shapeOf(output)]
      for (const [a, b] of [parts, parts.toReversed()]) {
        const [n, m] = [sizes?.[a?.outputAxis ?? -1], sizes?.[b?.outputAxis ?? -1]]
        if (a?.into === undefined || b?.into === undefined || !isStatic(n) || !isStatic(m) || n * m !== length) continue
        if (!isDigit(a.into, n, m) || !isDigit(b.into, m, 1)) continue
        const joint = { outer: a.outputAxis, inner: b.outputAxis, outerSize: n, innerSize: m }
        return { ...joint, from: [{ port: first.input, axis }] }
      }
    }
  }
  return undefined
}

const isDigit = ({ digit }: IndexMap, size: number, unit: number): boolean =>
  digit?.size === size && digit.unit === unit

/** A joint axis of inputs of which both axes are kept index by index. */
const carriedInto = (
  into: ReadonlyArray<AxisLink>,
  ports: ReadonlyArray<number>,
  jointsOf: (port: number) => Joint | undefined,
): Found | undefined => {
  let found: Found | undefined
  for (const port of ports) {
    const joint = jointsOf(port)
    const along = (axis: number | undefined): ReadonlyArray<AxisLink> =>
      into.filter((link) => link.input === port && link.inputAxis === axis)
    const [outer, ...moreOuter] = along(joint?.outer)
    const [inner, ...moreInner] = along(joint?.inner)
    if (joint === undefined || outer === undefined || inner === undefined) continue
    if (moreOuter.length + moreInner.length > 0 || !isPlain(inner)) continue
    const repeats = isPlain(outer) ? 1 : repeatsOf(outer, joint.outerSize)
    if (repeats === undefined) continue
    const origin = { port, axis: undefined, repeats }
    if (found === undefined) {
      const outerSize = joint.outerSize * repeats
      found = { ...joint, outer: outer.outputAxis, outerSize, inner: inner.outputAxis, from: [origin] }
    } else if (found.outer === outer.outputAxis && found.inner === inner.outputAxis) {
      found = { ...found, from: [...found.from, origin] }
    }
  }
  return found
}

/** How often in a row each index of an axis of `size` is repeated by a link, if it is and nothing else. */
const repeatsOf = ({ from, into }: AxisLink, size: number): number | undefined =>
  into === undefined && from?.digit?.size === size && from.end === size * from.digit.unit ? from.digit.unit : undefined

/** The links by which the outer axis of a joint one becomes part of an axis that both merge into. */
const mergedFrom = (links: ReadonlyArray<AxisLink>, port: number, joint: Joint): ReadonlyArray<AxisLink> => {
  const { outer, inner, outerSize, innerSize } = joint
  return links.filter(
    (a) =>
      a.input === port &&
      a.inputAxis === outer &&
      a.into === undefined &&
      a.from?.end === outerSize * innerSize &&
      isDigit(a.from, outerSize, innerSize) &&
      links.some(
        (b) =>
          b.input === port &&
          b.inputAxis === inner &&
          b.output === a.output &&
          b.outputAxis === a.outputAxis &&
          b.into === undefined &&
          b.from?.end === outerSize * innerSize &&
          isDigit(b.from, innerSize, 1),
      ),
  )
}
