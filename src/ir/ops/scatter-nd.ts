import { string } from '../attributes.ts'
import { forEachIndex, stridesOf } from '../evaluate.ts'
import { copied, withOperand } from '../families/movement.ts'
import { type Run, type ScatterAttributes, scattering } from '../families/scattering.ts'
import { gatherOperands } from '../gather-operands.ts'
import { inputShape, listed, sameIndex } from '../links.ts'
import { makeNode } from '../make-node.ts'
import type { AxisLink, NodeContext, OpDef } from '../op.ts'
import { int64s, integersOf } from '../tensor.ts'
import { isStatic, sizeOf } from '../type.ts'
import { Identity } from './identity.ts'

/**
 * Places that are those of some indices along one axis and all along the other leading ones, in order: `y[:, places] = updates`.
 */
interface Block {
  /** Leading axes that the indices tell apart. */
  readonly depth: number
  /** The axis of which only some indices are written, and those. */
  readonly axis: number
  readonly places: ReadonlyArray<number>
}

const knownBlocks = new WeakMap<NodeContext<ScatterAttributes>, Block | 'none'>()

const blockOf = (ctx: NodeContext<ScatterAttributes>): Block | undefined => {
  const known = knownBlocks.get(ctx) ?? findBlock(ctx) ?? 'none'
  knownBlocks.set(ctx, known)
  return known === 'none' ? undefined : known
}

const findBlock = (ctx: NodeContext<ScatterAttributes>): Block | undefined => {
  const [data, indices] = [inputShape(ctx, 0), ctx.constant(1)]
  const depth = indices?.shape.at(-1) ?? 0
  const grid = indices?.shape.slice(0, -1) ?? []
  const leading = data?.slice(0, depth) ?? []
  if (indices === undefined || depth === 0 || grid.length !== depth || leading.length !== depth) return undefined
  if (ctx.attrs.reduction !== 'none' || !leading.every(isStatic)) return undefined
  const cut = leading.findIndex((size, axis) => size !== grid[axis])
  const axis = cut < 0 ? depth - 1 : cut
  if (leading.some((size, a) => a !== axis && size !== grid[a])) return undefined
  const size = Number(leading[axis])
  const steps = stridesOf(grid)
  const picked = integersOf(indices)?.map((i, k) => (i < 0 ? i + Number(leading[k % depth]) : i))
  if (picked === undefined) return undefined
  const places = Array.from({ length: grid[axis] ?? 0 }, (_, i) => picked[i * (steps[axis] ?? 0) * depth + axis] ?? -1)
  if (new Set(places).size < places.length || places.some((place) => place < 0 || place >= size)) return undefined
  const expected = indicesOf(grid, axis, places)
  return picked.every((i, k) => i === expected[k]) ? { depth, axis, places } : undefined
}

/** The vectors of all places of a grid, of which those along `axis` are `places`. */
const indicesOf = (grid: ReadonlyArray<number>, axis: number, places: ReadonlyArray<number>): Float64Array => {
  const out = new Float64Array(sizeOf(grid) * grid.length)
  forEachIndex(grid, (index, flat) => {
    index.forEach((i, a) => {
      out[flat * grid.length + a] = a === axis ? (places[i] ?? 0) : i
    })
  })
  return out
}

const base = scattering<'ScatterND', ScatterAttributes>(
  'ScatterND',
  { reduction: string('none', 'add', 'mul', 'max', 'min') },
  (_ctx, data, indices) => {
    const picked = integersOf(indices)
    const depth = indices.shape.at(-1) ?? 0
    if (picked === undefined) return undefined
    const strides = stridesOf(data.shape)
    const count = sizeOf(data.shape.slice(depth))
    const runs: Run[] = []
    for (let k = 0; k < sizeOf(indices.shape.slice(0, -1)); k++) {
      let to = 0
      for (let a = 0; a < depth; a++) {
        const size = data.shape[a] ?? 0
        const i = picked[k * depth + a] ?? 0
        if (i < -size || i >= size) return undefined
        to += (i < 0 ? i + size : i) * (strides[a] ?? 0)
      }
      runs.push({ from: k * count, to, count })
    }
    return runs
  },
)

/**
 * Slices of the data replaced at the places that the vectors along the last axis of the indices name. Where these are
 * constant and name a block, as an assignment to a slice is exported, the axes correspond.
 */
export const ScatterND: OpDef<'ScatterND', ScatterAttributes> = {
  ...base,
  links: (ctx) => {
    const [data, updates, block] = [inputShape(ctx, 0), inputShape(ctx, 2), blockOf(ctx)]
    if (data === undefined || updates === undefined || block === undefined) return 'opaque'
    return data.flatMap((size, axis): ReadonlyArray<AxisLink> => {
      // What goes from the data goes from the updates, also where it is not known of these that they are as long.
      if (!isStatic(size) || updates[axis] !== (axis === block.axis ? block.places.length : size)) return []
      const update = sameIndex(2, axis, 0, axis)
      return [
        sameIndex(0, axis, 0, axis),
        axis === block.axis ? { ...update, into: listed(block.places, size) } : update,
      ]
    })
  },
  constant: (ctx, [data, , updates], _output, axis) => {
    if (axis !== blockOf(ctx)?.axis) return copied([data, updates])
    return (updates === null ? data : updates) ?? undefined
  },
  total: true,
  mayLoseInputs: true,
  shrink: (s) => {
    const [data, block] = [inputShape(s, 0) ?? [], blockOf(s)]
    const rewrite = gatherOperands(s)
    const isSame = block === undefined || block.places.length === 0
    if (isSame || data.every((_, axis) => axis >= block.depth || s.keptOutput(0, axis) === undefined)) return rewrite
    const kept = s.keptOutput(0, block.axis)
    const places = kept ? block.places.map((place) => kept.indexOf(place)).filter((place) => place >= 0) : block.places
    if (places.length === 0) {
      const [node] = rewrite.nodes
      return { ...rewrite, nodes: [makeNode(Identity, [node?.inputs[0] ?? ''], s.node.outputs, {}, s.node.name)] }
    }
    const grid = data
      .slice(0, block.depth)
      .map((size, axis) => (axis === block.axis ? places.length : (s.keptOutput(0, axis)?.length ?? Number(size))))
    const indices = int64s(Array.from(indicesOf(grid, block.axis, places)), [...grid, block.depth])
    return withOperand(s, rewrite, 1, indices)
  },
}
