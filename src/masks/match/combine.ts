/** From assignments to masks of constants: what lies on one constant is joined, and what one constant stands for is told apart. */
import * as E from 'fp-ts/lib/Either.js'
import { failure } from '../../ir/failure.ts'
import { type Graph, labelOf, withParts } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { sizeOf } from '../../ir/type.ts'
import { channelMask } from '../channel-mask.ts'
import { elementMask, expandMask, type Mask, type Masks, sameMask } from '../mask.ts'
import type { Assignment } from './assignment.ts'
import type { MaskError } from './error.ts'
import { isGenerated, isSameName, sameTokens } from './parameter-name.ts'
import { forEachPair, isWhole } from './region.ts'
import { isCalledAgain, type Slot, slotsByRoot } from './slots.ts'
import { areTied } from './tied.ts'
import { resolveWeights } from '../weights.ts'

export interface Combined {
  readonly graph: Graph
  readonly masks: Masks
}

const problem = (name: string, expected: string, found: string, help: string): MaskError =>
  failure('MaskError', `mask ${name}`, expected, found, help)

/** The mask of one slot from all that lies on it, or two masks that say different things of one element. */
const maskOf = (slot: Slot, assignments: ReadonlyArray<Assignment>): E.Either<MaskError, Mask> => {
  const [first] = assignments
  if (first?.layout.kind === 'channels' && slot.layer !== undefined && assignments.length === 1) {
    return E.right(channelMask(slot.layer, first.mask.kept))
  }
  const size = sizeOf(slot.tensor.shape)
  const [region] = first?.layout.kind === 'channels' ? [] : (first?.layout.regions ?? [])
  const isAlone = assignments.length === 1 && first?.layout.regions.length === 1 && first.mask.kept.length === size
  if (isAlone && region !== undefined && isWhole(region, size)) {
    return E.right(elementMask(slot.tensor.shape, first.mask.kept))
  }
  const unset = 2
  const out = new Uint8Array(size).fill(unset)
  for (const { mask, layout } of assignments) {
    let clash = false
    const write = (to: number, kept: number): void => {
      if (out[to] !== unset && out[to] !== kept) clash = true
      out[to] = kept
    }
    if (layout.kind === 'channels' && slot.layer !== undefined) {
      for (const [to, kept] of expandMask(channelMask(slot.layer, mask.kept)).entries()) write(to, kept)
    } else for (const region of layout.regions) forEachPair(region, (to, from) => write(to, mask.kept[from] ?? 1))
    if (clash) {
      return E.left(
        problem(
          mask.label,
          `the mask of ${first?.mask.label}, because both are the constant ${slot.root}`,
          'another mask',
          'Give both the same mask, or export the model with one initializer for each weight.',
        ),
      )
    }
  }
  for (let i = 0; i < out.length; i++) if (out[i] === unset) out[i] = 1
  return E.right(elementMask(slot.tensor.shape, out))
}

/** Whether a slot without a mask is the parameter of one with a mask; undefined where nothing tells. */
const isSameParameter = (masked: Slot, other: Slot, pruned: boolean): boolean | undefined => {
  if (pruned && areTied(masked, other)) return undefined
  if (isSameName(masked.name, other.name)) return true
  if (areTied(masked, other)) return true
  if (masked.alias === other.alias) {
    if (masked.path === undefined || other.path === undefined) return true
    return isCalledAgain(masked.path, other.path) ? true : undefined
  }
  if (masked.path !== undefined && other.path !== undefined) {
    return sameTokens(masked.path, other.path) ? undefined : isCalledAgain(masked.path, other.path)
  }
  if ((other.name?.tokens.length ?? 0) > 1) return false
  if (isGenerated(masked.alias) || isGenerated(other.alias)) return undefined
  return other.chain.includes(masked.alias) ? true : undefined
}

/** Masks by constant. Slots of one constant whose masks differ get constants of their own. */
export const combine = (
  graph: Graph,
  assignments: ReadonlyArray<Assignment>,
): E.Either<ReadonlyArray<MaskError>, Combined> => {
  const bySlot = new Map<Slot, Assignment[]>()
  for (const one of assignments) {
    const known = bySlot.get(one.slot)
    if (known) known.push(one)
    else bySlot.set(one.slot, [one])
  }
  const problems: MaskError[] = []
  const masks = new Map<ValueId, Mask>()
  const separate: Separation[] = []
  for (const [root, slots] of slotsByRoot(graph)) {
    if (!slots.some((slot) => bySlot.has(slot))) continue
    const shared = masksOfConstant(root, slots, bySlot)
    if (E.isLeft(shared)) {
      problems.push(shared.left)
      continue
    }
    const all = [...shared.right]
    const [[, first] = [undefined, undefined]] = all
    if (first !== undefined && all.every(([, mask]) => mask !== undefined && sameMask(mask, first)))
      masks.set(root, first)
    else for (const [slot, mask] of all) if (mask !== undefined) separate.push({ slot, mask })
  }
  if (problems.length > 0) return E.left(problems)
  return E.right(takeApart(graph, masks, separate))
}

/** The masks of all slots of one constant; undefined for those that keep it whole. */
const masksOfConstant = (
  root: ValueId,
  slots: ReadonlyArray<Slot>,
  bySlot: ReadonlyMap<Slot, ReadonlyArray<Assignment>>,
): E.Either<MaskError, ReadonlyMap<Slot, Mask | undefined>> => {
  const out = new Map<Slot, Mask | undefined>()
  for (const slot of slots) {
    const own = bySlot.get(slot)
    const mask = own === undefined ? undefined : maskOf(slot, own)
    if (mask !== undefined && E.isLeft(mask)) return mask
    out.set(slot, mask?.right)
  }
  const masked = slots.filter((slot) => bySlot.has(slot))
  for (const slot of slots) {
    if (bySlot.has(slot) || slot.reads.length === 0) continue
    const said = masked.map((other) => ({
      other,
      same: isSameParameter(other, slot, bySlot.get(other)?.some(({ mask }) => mask.name.pruned) ?? false),
    }))
    const same = said.find((one) => one.same === true)
    if (same !== undefined) {
      out.set(slot, out.get(same.other))
      continue
    }
    const unclear = said.find((one) => one.same === undefined)
    if (unclear === undefined) continue
    const name = bySlot.get(unclear.other)?.[0]?.mask.label ?? ''
    const readers = slot.reads.map(({ node }) => labelOf(node)).join(', ')
    return E.left(
      problem(
        name,
        'a weight of its own',
        `the constant ${root}, which is also read by ${readers}${slot.alias === root ? '' : ` as ${slot.alias}`}`,
        `Mask that too, under its own name; or give the mask the name ${root} to mask it everywhere; or export the model with one initializer for each weight.`,
      ),
    )
  }
  for (const slot of slots) if (slot.reads.length === 0 && !bySlot.has(slot)) out.delete(slot)
  return E.right(out)
}

interface Separation {
  readonly slot: Slot
  readonly mask: Mask
}

const freshName = (graph: Graph, taken: ReadonlyMap<ValueId, unknown>, hint: string): ValueId => {
  for (let n = 1; ; n++) {
    const name = `${hint}_masked${n === 1 ? '' : `_${n}`}`
    if (!graph.types.has(name) && !taken.has(name)) return name
  }
}

/** Gives each of these slots a constant of its own, which shares the bytes of the old one. */
const takeApart = (graph: Graph, masks: Map<ValueId, Mask>, separate: ReadonlyArray<Separation>): Combined => {
  if (separate.length === 0) return { graph, masks }
  const { graph: resolved } = resolveWeights(graph)
  const constants = new Map(graph.constants)
  const renamed = new Map<Node, Map<number, ValueId>>()
  for (const { slot, mask } of separate) {
    const name = freshName(graph, constants, slot.alias)
    constants.set(name, resolved.constants.get(slot.root) ?? slot.tensor)
    masks.set(name, mask)
    for (const { node, port } of slot.reads) {
      const ports = renamed.get(node) ?? new Map<number, ValueId>()
      renamed.set(node, ports.set(port, name))
    }
  }
  const nodes = graph.nodes.map((node) => {
    const ports = renamed.get(node)
    return ports === undefined ? node : { ...node, inputs: node.inputs.map((input, port) => ports.get(port) ?? input) }
  })
  return { graph: withParts(graph, { nodes, constants }), masks }
}
