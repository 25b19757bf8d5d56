/** What a user says of masks by name, in JSON or YAML: where each belongs, whatever the evidence. */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../ir/record.ts'
import { failure } from '../../ir/failure.ts'
import { closestName } from '../../ir/closest.ts'
import { labelOf } from '../../ir/graph.ts'
import { permuted, layoutsOn } from './layout.ts'
import { type Layout, type Region } from './region.ts'
import { stridesOf } from '../../ir/evaluate.ts'
import type { MaskError } from './error.ts'
import { parameterName } from './parameter-name.ts'
import type { MaskTensor } from './mask-tensors.ts'
import { describeSlot, isPrunable, type Slot } from './slots.ts'

/** Where one mask belongs. */
export interface MapEntry {
  /** The name of an initializer, or of a node whose weight is meant. */
  readonly weight: string
  /**
   * `true`: inputs and outputs change places; an order of the mask's axes: axis `a` of the weight is axis `transpose[a]` of the
   * mask; `false`: they lie as they are. Absent: what shapes and conventions leave.
   */
  readonly transpose?: boolean | ReadonlyArray<number>
  /** The first of the output channels of the weight that the mask is for, where it holds several parameters. */
  readonly at?: number
}

/** By the name of the mask; `null` leaves a mask out. */
export type MaskMap = ReadonlyMap<string, MapEntry | null>

const broken = (subject: string, expected: string, found: string, help: string): E.Either<MaskError, never> =>
  E.left(failure('MaskError', subject, expected, found, help))

const isOrder = (x: unknown): x is ReadonlyArray<number> =>
  Array.isArray(x) &&
  x.length > 0 &&
  x.every((axis) => x.includes(axis)) &&
  new Set(x).size === x.length &&
  x.every((axis) => Number.isSafeInteger(axis) && axis >= 0 && axis < x.length)

const mapHelp =
  'Write MASK: WEIGHT, or MASK: { weight: WEIGHT, transpose: true, at: 0 }, or MASK: null; chasec masks --write-map drafts one.'

/** The map that parsed JSON or YAML stands for. */
export const decodeMap = (value: unknown): E.Either<MaskError, MaskMap> => {
  // A file of comments alone.
  if (value === null) return E.right(new Map())
  if (!isRecord(value))
    return broken('mask map', 'an object with an entry for each mask', JSON.stringify(value) ?? 'nothing', mapHelp)
  const out = new Map<string, MapEntry | null>()
  for (const [name, entry] of Object.entries(value)) {
    const decoded = decodeEntry(name, entry)
    if (E.isLeft(decoded)) return decoded
    out.set(name, decoded.right)
  }
  return E.right(out)
}

const decodeEntry = (name: string, entry: unknown): E.Either<MaskError, MapEntry | null> => {
  const subject = `mask map, ${name}`
  if (entry === null) return E.right(null)
  if (typeof entry === 'string') return E.right({ weight: entry })
  if (!isRecord(entry)) return broken(subject, 'a name, an object or null', JSON.stringify(entry) ?? 'nothing', mapHelp)
  const { weight, transpose, at, ...rest } = entry
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) return broken(subject, 'weight, transpose and at only', unknown, mapHelp)
  if (typeof weight !== 'string') return broken(subject, 'weight: a name', JSON.stringify(weight) ?? 'none', mapHelp)
  if (transpose !== undefined && typeof transpose !== 'boolean' && !isOrder(transpose)) {
    return broken(subject, 'transpose: true, false or an order of axes', JSON.stringify(transpose), mapHelp)
  }
  if (at !== undefined && !(typeof at === 'number' && Number.isSafeInteger(at) && at >= 0)) {
    return broken(subject, 'at: a whole number', JSON.stringify(at), mapHelp)
  }
  return E.right({
    weight,
    ...(transpose === undefined ? {} : { transpose }),
    ...(at === undefined ? {} : { at }),
  })
}

export interface MapPlace {
  readonly slots: ReadonlyArray<Slot>
  readonly layouts: ReadonlyArray<Layout>
}

/** Where a map puts a mask: on all slots of an initializer, or on the weight that a node reads. */
export const placeByMap = (
  mask: MaskTensor,
  entry: MapEntry,
  slots: ReadonlyArray<Slot>,
): E.Either<MaskError, MapPlace> => {
  const subject = `mask map, ${mask.label}`
  const own = slots.filter(({ alias }) => alias === entry.weight)
  const byNode = slots.filter((slot) =>
    slot.reads.some(({ node }) => labelOf(node) === entry.weight || node.name === entry.weight),
  )
  const ofNode = byNode.filter(isPrunable).length > 0 ? byNode.filter(isPrunable) : byNode
  const named = own.length > 0 ? own : ofNode
  const [first] = named
  if (first === undefined) {
    const names = slots.flatMap(({ alias, reads }) => [
      alias,
      ...reads.flatMap(({ node }) => [labelOf(node), node.name]),
    ])
    const close = closestName(entry.weight, new Set(names))
    const help = close === undefined ? 'chasec masks lists the weights of the model.' : `Did you mean ${close}?`
    return broken(subject, 'an initializer or a node of the model', entry.weight, help)
  }
  if (named.some(({ root }) => root !== first.root)) {
    return broken(
      subject,
      'a node that reads one weight',
      `${named.map(({ alias }) => alias).join(', ')}`,
      'Name the initializer.',
    )
  }
  const layouts = layoutsFor(mask, entry, first)
  if (layouts.length > 0) return E.right({ slots: named, layouts })
  const asked = entry.transpose === undefined ? '' : ` with transpose: ${JSON.stringify(entry.transpose)}`
  return broken(subject, `a mask that fits ${describeSlot(first)}`, `shape [${mask.shape.join(',')}]${asked}`, mapHelp)
}

const layoutsFor = (mask: MaskTensor, { transpose, at }: MapEntry, slot: Slot): ReadonlyArray<Layout> => {
  const { shape } = mask
  const order = transpose === true ? [...shape.keys()].map((a) => (a < 2 && shape.length > 1 ? 1 - a : a)) : transpose
  if (at !== undefined) return rowsAt(mask, slot, at, Array.isArray(order) ? order : [...shape.keys()])
  if (Array.isArray(order)) {
    const layout =
      order.length === shape.length
        ? permuted(shape, slot.tensor.shape, order, transpose === true ? 'transposed' : 'permuted')
        : undefined
    return layout === undefined ? [] : [layout]
  }
  const all = layoutsOn(slot, shape, transpose === false ? parameterName(slot.alias) : mask.name)
  return transpose === false ? all.filter(({ kind }) => kind === 'same') : all
}

/** A mask on some of the output channels of a weight. */
const rowsAt = (mask: MaskTensor, slot: Slot, at: number, order: ReadonlyArray<number>): ReadonlyArray<Layout> => {
  const target = slot.tensor.shape
  const axis = slot.layer?.contraction.weightOutputAxis ?? 0
  const sizes = order.map((a) => mask.shape[a] ?? 0)
  const fits =
    sizes.length === target.length && sizes.every((d, a) => (a === axis ? at + d <= (target[a] ?? 0) : d === target[a]))
  if (!fits) return []
  const [to, from] = [stridesOf(target), stridesOf(mask.shape)]
  const region: Region = {
    shape: sizes,
    to: { offset: at * (to[axis] ?? 0), strides: to },
    from: { offset: 0, strides: order.map((a) => from[a] ?? 0) },
  }
  return [
    {
      kind: 'rows',
      text: `output channels ${at} to ${at + (sizes[axis] ?? 1) - 1} of ${target[axis] ?? 0}`,
      regions: [region],
    },
  ]
}
