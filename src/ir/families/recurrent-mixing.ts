/** How a recurrence mixes the features of its input and its units: the answers of `OpDef.mixes`, and its shrunk node. */
import * as E from 'fp-ts/lib/Either.js'
import { gatherOperand, gatherOperands, replaceOperands } from '../gather-operands.ts'
import { invariant } from '../failure.ts'
import { inputShape, outputShape } from '../links.ts'
import { precisionOf } from '../numerics.ts'
import type {
  Mixing,
  MixingRemoval,
  NodeAxis,
  NodeContext,
  Numbers,
  Rewrite,
  ShrinkContext,
  UnpaidChannels,
} from '../op.ts'
import { editElements } from '../edits.ts'
import { copyElements, elementReader, gather, type Tensor, tensorOf } from '../tensor.ts'
import { isStatic, sizeOf } from '../type.ts'
import {
  activationsOf,
  type Cell,
  parametersTaken,
  ports,
  type RecurrentAttributes,
  type States,
} from './recurrent-cells.ts'
import { coursesOf, hull, type Interval, intervalAround } from './recurrent-constants.ts'
import { type Parts, partsOf } from './recurrent-parts.ts'

/** Places of the bundles in {@link Mixing.bundles}. */
const [features, units, directions] = [0, 1, 2]

const featureAxis: NodeAxis = { side: 'input', port: ports.x, axis: 2 }

/** The axis of units, and that of directions, on an output or an input of states. */
const unitAxis = (side: NodeAxis['side'], port: number): NodeAxis => ({
  side,
  port,
  axis: side === 'output' && port === 0 ? 3 : 2,
})

const directionAxis = ({ layout }: RecurrentAttributes, side: NodeAxis['side'], port: number): NodeAxis => {
  const isAll = side === 'output' && port === 0
  return { side, port, axis: layout === 0 ? (isAll ? 1 : 0) : isAll ? 2 : 1 }
}

/** The ports that hold states. */
const statePorts = ({ node }: NodeContext<unknown>): ReadonlyArray<Pick<NodeAxis, 'side' | 'port'>> => [
  ...node.outputs.flatMap((value, port) => (value === '' ? [] : [{ side: 'output' as const, port }])),
  ...[ports.h, ports.c].flatMap((port) => ((node.inputs[port] ?? '') === '' ? [] : [{ side: 'input' as const, port }])),
]

/** How units are counted. */
interface Counting {
  /** Whether each direction has units of its own, which are counted over all of them along a joint axis. */
  readonly isJoint: boolean
  readonly count: number
  readonly channelOf: (direction: number, unit: number) => number
  /** The directions and the unit of a channel. */
  readonly waysOf: (channel: number) => ReadonlyArray<number>
  readonly unitOf: (channel: number) => number
  /** The axis that they are counted along, on an output or an input of states. */
  readonly axis: (side: NodeAxis['side'], port: number) => NodeAxis
}

/** Rows of what is held differ in their scales, so that directions cannot lose rows of their own. */
const countingOf = ({ directions: ways, units: each, weight, recurrent, bias, peephole }: Parts): Counting => {
  const isHeld = [weight, recurrent, bias, peephole].some((tensor) => tensor?.tag === 'Held')
  const every = Array.from({ length: ways }, (_, d) => d)
  if (ways === 1 || isHeld) {
    return {
      isJoint: false,
      count: each,
      channelOf: (_, unit) => unit,
      waysOf: () => every,
      unitOf: (channel) => channel,
      axis: unitAxis,
    }
  }
  return {
    isJoint: true,
    count: ways * each,
    channelOf: (direction, unit) => direction * each + unit,
    waysOf: (channel) => [Math.floor(channel / each)],
    unitOf: (channel) => channel % each,
    // Behind the axes of the value itself.
    axis: (side, port) => ({ ...unitAxis(side, port), axis: unitAxis(side, port).axis + 1 }),
  }
}

export const recurrentMixing = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  ctx: NodeContext<A>,
): Mixing | undefined => {
  const parts = partsOf(cell, ctx)
  const isSized = ctx.outputs.every((_, k) => {
    const shape = outputShape(ctx, k)
    return ctx.node.outputs[k] === '' || isStatic(shape?.[unitAxis('output', k).axis])
  })
  const states = statePorts(ctx)
  const known = states.every(({ side, port }) => side === 'output' || isStatic(inputShape(ctx, port)?.[2]))
  if (parts === undefined || !isSized || !known) return undefined
  const { features: width } = parts
  const counting = countingOf(parts)
  const ways = states.map(({ side, port }) => directionAxis(ctx.attrs, side, port))
  const ofAll = states.map(({ side, port }) => unitAxis(side, port))
  const own = states.map(({ side, port }) => counting.axis(side, port))
  const joints = states.map(({ side, port }, k) => ({
    side,
    port,
    outer: ways[k]?.axis ?? 0,
    inner: ofAll[k]?.axis ?? 0,
  }))
  return {
    bundles: [[featureAxis], own, ways, ...(counting.isJoint ? [ofAll] : [])],
    joints: counting.isJoint ? joints : [],
    layer: { inputs: features, outputs: units, weightPort: ports.w },
    needed: (wanted, given) => neededBy(parts, counting, wanted, givenUnits(ctx, parts, counting, given)),
    constants: (of) => {
      let found: HeldByOutputs | undefined
      return ({ side, port, axis }) => {
        const [channels, places] = [counting.axis(side, port).axis, unitAxis(side, port).axis]
        if (side === 'input' || (axis !== channels && axis !== places)) return undefined
        found ??= heldByOutputs(cell, ctx, parts, of)
        const held = found[port] ?? []
        const each = Array.from({ length: axis === channels ? counting.count : parts.units }, (_, k) =>
          (axis === channels ? counting.waysOf(k) : [...held.keys()])
            .map((d) => held[d]?.[axis === channels ? counting.unitOf(k) : k])
            .reduce(hull),
        )
        return measured(each)
      }
    },
    unpaid: (removal) => {
      const payment = payFor(cell, ctx, parts, counting, removal)
      return E.isLeft(payment) ? payment.left : undefined
    },
    zeroed: zeroedUnit(cell, ctx),
    work: (counts) => {
      const [i = width, channels = counting.count, d = parts.directions] = counts
      const h = counting.isJoint ? channels / Math.max(1, d) : channels
      return ((d / parts.directions) * h * (i + h)) / (parts.units * (width + parts.units))
    },
  }
}

/** Units whose hidden state is given, the first one too: what reads them need not have them computed. */
const givenUnits = (
  ctx: NodeContext<RecurrentAttributes>,
  parts: Parts,
  counting: Counting,
  given: (axis: NodeAxis) => Uint8Array,
): Uint8Array => {
  const isOutput = (port: number): boolean => (ctx.node.outputs[port] ?? '') !== ''
  const constants = firstConstants(ctx, parts, ports.h)
  const isComputed = constants === undefined && (ctx.node.inputs[ports.h] ?? '') !== ''
  const first = isComputed ? given(unitAxis('input', ports.h)) : undefined
  const later = [0, 1].filter(isOutput).map((port) => given(counting.axis('output', port)))
  return new Uint8Array(counting.count).map((_, k) => {
    const u = counting.unitOf(k)
    const starts = counting.waysOf(k).every((d) => !Number.isNaN(constants?.[d * parts.units + u] ?? 0))
    return starts && first?.[u] !== 0 && later.some((marks) => marks[k] === 1) ? 1 : 0
  })
}

/**
 * What a constant of first states holds, by direction and then unit: NaN where that differs within the batch. Undefined where
 * the states are computed or left out.
 */
const firstConstants = (
  ctx: NodeContext<RecurrentAttributes>,
  { directions: ways, units: each }: Parts,
  port: number,
): Float64Array | undefined => {
  const tensor = ctx.constant(port)
  if (tensor === undefined) return undefined
  const isTimeFirst = ctx.attrs.layout === 0
  const batch = tensor.shape[isTimeFirst ? 1 : 0] ?? 0
  const read = elementReader(tensor)
  return new Float64Array(ways * each).map((_, k) => {
    const [d, u] = [Math.floor(k / each), k % each]
    const stateOf = (b: number): number => read((isTimeFirst ? d * batch + b : b * ways + d) * each + u)
    const first = batch === 0 ? NaN : stateOf(0)
    for (let b = 1; b < batch; b++) if (!Object.is(stateOf(b), first)) return NaN
    return first
  })
}

const neededBy = (
  parts: Parts,
  { count, channelOf, waysOf, unitOf, isJoint }: Counting,
  wanted: ReadonlyArray<Uint8Array>,
  given: Uint8Array,
): ReadonlyArray<Uint8Array> => {
  const wantedDirections = wanted[directions] ?? new Uint8Array()
  const found = wanted[units]?.slice() ?? new Uint8Array()
  const read = new Uint8Array(parts.features)
  const places = new Uint8Array(parts.units)
  const waiting = Array.from({ length: count }, (_, k) => k).filter((k) => found[k] === 1)
  for (let k = waiting.pop(); k !== undefined; k = waiting.pop()) {
    const u = unitOf(k)
    places[u] = 1
    for (const d of waysOf(k)) {
      if (wantedDirections[d] !== 1) continue
      for (let i = 0; i < parts.features; i++) if (read[i] === 0 && parts.readsFeature(d, u, i)) read[i] = 1
      for (let v = 0; v < parts.units; v++) {
        const other = channelOf(d, v)
        if (found[other] === 1 || given[other] === 1 || !parts.readsUnit(d, u, v)) continue
        found[other] = 1
        waiting.push(other)
      }
    }
  }
  return [read, found, wantedDirections, ...(isJoint ? [places] : [])]
}

type Known = (axis: NodeAxis) => { readonly values: Numbers; readonly errors: Numbers }

const at = (numbers: Numbers, i: number): number => (typeof numbers === 'number' ? numbers : (numbers[i] ?? NaN))

/** What the units of a direction hold at first; zeros where that is omitted. */
const firstStates = (
  ctx: NodeContext<RecurrentAttributes>,
  parts: Parts,
  known: Known,
  port: number,
  d: number,
): ReadonlyArray<Interval> => {
  const constants = firstConstants(ctx, parts, port)
  const isOmitted = (ctx.node.inputs[port] ?? '') === ''
  const computed = isOmitted || constants !== undefined ? undefined : known(unitAxis('input', port))
  return Array.from({ length: parts.units }, (_, u) => {
    if (computed !== undefined) return intervalAround(at(computed.values, u), at(computed.errors, u))
    return intervalAround(constants?.[d * parts.units + u] ?? 0, 0)
  })
}

/** By output and direction what the units hold at every step. */
type HeldByOutputs = ReadonlyArray<ReadonlyArray<ReadonlyArray<Interval>>>

const heldByOutputs = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  ctx: NodeContext<A>,
  parts: Parts,
  known: Known,
): HeldByOutputs => {
  const { values, errors } = known(featureAxis)
  const inputs = Array.from({ length: parts.features }, (_, i) => intervalAround(at(values, i), at(errors, i)))
  const courses = Array.from({ length: parts.directions }, (_, d) => {
    const start = (port: number): ReadonlyArray<Interval> => firstStates(ctx, parts, known, port, d)
    const first: States<Interval> = { hidden: start(ports.h), cell: cell.hasCellState ? start(ports.c) : [] }
    return coursesOf(cell, ctx.attrs, parts, d, inputs, first)
  })
  const time = inputShape(ctx, ports.x)?.[ctx.attrs.layout === 0 ? 0 : 1]
  const isShorter = (ctx.node.inputs[ports.lengths] ?? '') !== ''
  const steps = isStatic(time) && time > 0 && !isShorter
  // Behind the end of a sequence there are zeros; without a step the last states may be the first ones, or zeros.
  const held = (
    pick: (states: States<Interval>) => ReadonlyArray<Interval>,
    isLast: boolean,
  ): ReadonlyArray<ReadonlyArray<Interval>> =>
    courses.map(({ first, later }) =>
      Array.from({ length: parts.units }, (_, u) =>
        [
          pick(later)[u],
          ...(isLast && !steps ? [pick(first)[u]] : []),
          ...(isShorter ? [{ low: 0, high: 0 }] : []),
        ].reduce(hull),
      ),
    )
  return [held((s) => s.hidden, false), held((s) => s.hidden, true), held((s) => s.cell, true)]
}

const measured = (
  found: ReadonlyArray<Interval>,
): { readonly values: Float64Array; readonly errors: Float64Array } | undefined =>
  found.every((x) => x === undefined)
    ? undefined
    : {
        values: Float64Array.from(found, (x) => (x === undefined ? NaN : (x.low + x.high) / 2)),
        errors: Float64Array.from(found, (x) => (x === undefined ? 0 : (x.high - x.low) / 2)),
      }

/** What a unit without weights and biases holds: zero for ever, or nothing known; undefined where it may grow. */
const zeroedUnit = <A extends RecurrentAttributes>(cell: Cell<A>, ctx: NodeContext<A>): Mixing['zeroed'] => {
  const functions = activationsOf(ctx.attrs, cell.activations, 1)
  if (functions === undefined) return undefined
  const isFresh = [ports.h, ports.c].every((port) => (ctx.node.inputs[port] ?? '') === '')
  const zero = (): number => 0
  const step = (f: NonNullable<typeof functions>[number], state: number): States<number> =>
    cell.step(
      { of: (x) => x, add: (a, b) => a + b, times: (a, b) => a * b, apply: (g, x) => g.f(x) },
      ctx.attrs,
      { units: 1, activations: f, clip: (x) => x, fromInput: zero, fromState: zero, peephole: zero },
      { hidden: [state], cell: [state] },
    )
  const stays = functions.every((f) => {
    const next = step(f, 0)
    return next.hidden[0] === 0 && (next.cell[0] ?? 0) === 0
  })
  if (isFresh && stays) return 0
  return undefined
}

/** What is added to the biases `[D,2·gates·H]` for constant channels that go; undefined when nothing is. */
const payFor = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  ctx: NodeContext<A>,
  parts: Parts,
  counting: Counting,
  { keeps, isExact, constants }: MixingRemoval,
): E.Either<UnpaidChannels, Float64Array | undefined> => {
  const { units: each, gates, weight, recurrent, bias } = parts
  const { count, channelOf } = counting
  const inputs = constants(featureAxis)
  const absent = Array.from({ length: parts.features }, (_, i) => i).filter(
    (i) => !keeps(features, i) && !Number.isNaN(inputs?.[i] ?? NaN) && inputs?.[i] !== 0,
  )
  const hidden = hiddenConstants(ctx, constants, counting)
  const first = firstConstants(ctx, parts, ports.h)
  // A unit that holds zero owes nothing; one that does not start with what it holds is not constant for those that read it.
  const isSteady = (k: number): boolean => {
    const u = counting.unitOf(k)
    if ((ctx.node.inputs[ports.h] ?? '') === '') return hidden[k] === 0
    if (first === undefined) return constants(unitAxis('input', ports.h))?.[u] === hidden[k]
    return counting.waysOf(k).every((d) => first[d * each + u] === hidden[k])
  }
  const isGone = Uint8Array.from({ length: count }, (_, k) => {
    const isOwed = !Number.isNaN(hidden[k] ?? NaN) && (hidden[k] !== 0 || !isSteady(k))
    return !keeps(units, k) && isOwed ? 1 : 0
  })
  if (!isGone.includes(1) && absent.length === 0) return E.right(undefined)
  const rows = gates * each
  const { largest } = precisionOf(weight.dtype)
  const [w, r, b] = [elementReader(weight), elementReader(recurrent), bias && elementReader(bias)]
  const [gatedSums, gatedBiases] = [cell.gatedSums(ctx.attrs), cell.gatedBiases(ctx.attrs)]
  const shift = new Float64Array(parts.directions * 2 * rows)
  let changed = false
  const add = (place: number, amount: number): boolean => {
    shift[place] = (shift[place] ?? 0) + amount
    changed = true
    return Math.abs((b?.(place) ?? 0) + (shift[place] ?? 0)) <= largest
  }
  const text = (amount: number): string => `${amount} added to a bias would be too large for its type`
  for (let d = 0; d < parts.directions; d++) {
    if (!keeps(directions, d)) continue
    for (let u = 0; u < each; u++) {
      if (!keeps(units, channelOf(d, u)) || !isExact(units, channelOf(d, u))) continue
      for (let gate = 0; gate < gates; gate++) {
        const row = gate * each + u
        for (const i of absent) {
          const amount = w((d * rows + row) * parts.features + i) * (inputs?.[i] ?? NaN)
          if (amount !== 0 && !add(2 * d * rows + row, amount)) {
            return E.left({ bundle: features, channels: [i], reason: text(amount) })
          }
        }
        for (let v = 0; v < each; v++) {
          const k = channelOf(d, v)
          const factor = isGone[k] === 1 ? r((d * rows + row) * each + v) : 0
          if (factor === 0) continue
          if (!isSteady(k) || gatedSums.includes(gate)) {
            return E.left({ bundle: units, channels: [k], reason: 'other units read it, and not as a constant' })
          }
          const place = (2 * d + (gatedBiases.includes(gate) ? 1 : 0)) * rows + row
          const amount = factor * (hidden[k] ?? NaN)
          if (!add(place, amount)) return E.left({ bundle: units, channels: [k], reason: text(amount) })
        }
      }
    }
  }
  return E.right(changed ? shift : undefined)
}

/** Constants of the hidden states of the units, from the first step on. */
const hiddenConstants = (
  { node }: NodeContext<unknown>,
  constants: MixingRemoval['constants'],
  { count, axis }: Counting,
): Float64Array => {
  const out = new Float64Array(count).fill(NaN)
  for (const port of [0, 1]) {
    const found = (node.outputs[port] ?? '') === '' ? undefined : constants(axis('output', port))
    found?.forEach((value, k) => {
      if (!Number.isNaN(value)) out[k] = value
    })
  }
  return out
}

const all = (length: number): Int32Array => new Int32Array(length).map((_, i) => i)

/**
 * The recurrence with the kept features, units and directions, constants that go paid for in the biases. Units that are kept
 * although nothing needs them are written as zeros.
 */
export const shrinkRecurrence = <A extends RecurrentAttributes>(cell: Cell<A>, s: ShrinkContext<A>): Rewrite => {
  const mixing = recurrentMixing(cell, s)
  const parts = partsOf(cell, s)
  const operands = new Map<number, Tensor>()
  const take = (port: number, tensor: Tensor | undefined): void => {
    if (tensor !== undefined && tensor !== s.constant(port)) operands.set(port, tensor)
  }
  const lengths = s.constant(ports.lengths)
  take(ports.lengths, lengths && gatherOperand(s, ports.lengths, lengths))
  if (mixing === undefined || parts === undefined) return gatherOperands(s)
  const counting = countingOf(parts)
  const output = s.node.outputs.findIndex((value) => value !== '')
  const [channelPlace, directionPlace] = [counting.axis('output', output), directionAxis(s.attrs, 'output', output)]
  const inputs = s.keptInput(featureAxis.port, featureAxis.axis) ?? all(parts.features)
  const channels = s.keptOutput(output, channelPlace.axis) ?? all(counting.count)
  const ways = s.keptOutput(output, directionPlace.axis) ?? all(parts.directions)
  const marks = [inputs, channels, ways].map((list) => new Set(list))
  const exact = mixing.bundles.map((bundle) =>
    bundle.flatMap(({ side, port, axis }) => (side === 'output' ? [s.exactOutput(port, axis)] : [])),
  )
  const isExact = (bundle: number, i: number): boolean => exact[bundle]?.some((found) => found?.[i] !== 0) === true
  const payment = payFor(cell, s, parts, counting, {
    keeps: (bundle, i) => marks[bundle]?.has(i) === true,
    isExact,
    constants: ({ side, port, axis }) =>
      side === 'input' ? s.constantsOf(port, axis) : s.constantsOfOutput(port, axis),
  })
  invariant(E.isRight(payment), `${s.node.name}: channels went that cannot be paid for`)
  /** By kept direction the units that stay. */
  const rest = Array.from(ways, (d) => channels.filter((k) => counting.waysOf(k).includes(d)).map(counting.unitOf))
  const width = rest[0]?.length ?? 0
  invariant(
    rest.every((list) => list.length === width),
    `${s.node.name}: directions of ${rest.map((list) => list.length).join(' and ')} units`,
  )
  const isAlike = rest.every((list) => list.every((u, k) => u === rest[0]?.[k]))
  /** A parameter of the kept directions, of each what `select` takes for its units. */
  const ofDirections = (tensor: Tensor, select: (one: Tensor, kept: Int32Array) => Tensor): Tensor => {
    const base = select(gather(tensor, 0, ways), rest[0] ?? all(parts.units))
    if (isAlike) return base
    const each = sizeOf(base.shape.slice(1))
    return editElements(base, (values, first) => {
      for (let k = 0; k * each < values.length; k++) {
        const one = gather(tensor, 0, ways.subarray(first + k, first + k + 1))
        values.set(copyElements(select(one, rest[first + k] ?? all(parts.units))), k * each)
      }
    })
  }
  /** Rows of blocks of units, `count` of them. */
  const rowsOf = (count: number, kept: Int32Array): Int32Array =>
    Int32Array.from({ length: count * width }, (_, k) => {
      const block = Math.floor(k / width)
      return block * parts.units + (kept[k % width] ?? 0)
    })
  // A unit that holds a constant needs no reader, nor does its direction then: what was concluded from it has to hold.
  const held = s.node.outputs.map((_, port) => s.constantsOfOutput(port, counting.axis('output', port).axis))
  const isGiven = (k: number): boolean => held.some((constants) => !Number.isNaN(constants?.[k] ?? NaN))
  const isDead = Uint8Array.from({ length: ways.length * width }, (_, k) => {
    const [way, unit] = [ways[Math.floor(k / width)] ?? 0, rest[Math.floor(k / width)]?.[k % width] ?? 0]
    const channel = counting.channelOf(way, unit)
    return isExact(units, channel) && (isGiven(channel) || isExact(directions, way)) ? 0 : 1
  })
  /** Elements of units that nothing needs as zeros; `inner` of them for each unit of each block. */
  const cleared = (tensor: Tensor, inner: number): Tensor =>
    isDead.includes(1)
      ? editElements(tensor, (values, first) => {
          const [ofDirection, ofBlock] = [sizeOf(tensor.shape.slice(1)), width * inner]
          for (let k = 0; k < values.length; k++) {
            const way = first + Math.floor(k / ofDirection)
            if (isDead[way * width + Math.floor((k % ofBlock) / inner)] === 1) values[k] = 0
          }
        })
      : tensor
  const rows = (count: number) => (one: Tensor, kept: Int32Array) => gather(one, 1, rowsOf(count, kept))
  const [weight, recurrent] = [
    ofDirections(parts.weight, (one, kept) => gather(rows(parts.gates)(one, kept), 2, inputs)),
    ofDirections(parts.recurrent, (one, kept) => gather(rows(parts.gates)(one, kept), 2, kept)),
  ]
  take(ports.w, cleared(weight, inputs.length))
  take(ports.r, cleared(recurrent, width))
  const biased = payment.right === undefined ? parts.bias : shifted(parts, payment.right)
  take(ports.b, biased && cleared(ofDirections(biased, rows(2 * parts.gates)), 1))
  take(ports.p, parts.peephole && cleared(ofDirections(parts.peephole, rows(3)), 1))
  for (const port of [ports.h, ports.c]) {
    const tensor = s.constant(port)
    const sequences = s.attrs.layout === 0 ? 1 : 0
    const batch = s.keptInput(port, sequences) ?? all(tensor?.shape[sequences] ?? 0)
    take(port, tensor && statesOf(tensor, s.attrs.layout === 0, parts, { ways, batch, rest }))
  }
  const hidden = s.attrs.hidden_size === undefined ? {} : { hidden_size: width }
  const attrs = { ...s.attrs, ...hidden, ...attributesOf(cell, s.attrs, ways) }
  return replaceOperands({ ...s.node, attrs }, operands, s, `${s.node.outputs[output] ?? ''}_bias`)
}

/** What stays of first states `[D,N,H]`, or `[N,D,H]` where sequences come first. */
const statesOf = (
  tensor: Tensor,
  isTimeFirst: boolean,
  parts: Parts,
  kept: {
    readonly ways: Int32Array
    readonly batch: Int32Array
    readonly rest: ReadonlyArray<ArrayLike<number>>
  },
): Tensor => {
  const { ways, batch, rest } = kept
  const width = rest[0]?.length ?? 0
  const [outer, middle] = isTimeFirst ? [ways, batch] : [batch, ways]
  const read = elementReader(tensor)
  const inner = tensor.shape[1] ?? 0
  const values = new Float64Array(outer.length * middle.length * width).map((_, k) => {
    const [i, j] = [Math.floor(k / width / middle.length), Math.floor(k / width) % middle.length]
    const unit = rest[isTimeFirst ? i : j]?.[k % width] ?? 0
    return read(((outer[i] ?? 0) * inner + (middle[j] ?? 0)) * parts.units + unit)
  })
  const shape = [outer.length, middle.length, width]
  return shape.every((size, axis) => size === tensor.shape[axis]) ? tensor : tensorOf(tensor.dtype, shape, values)
}

/** The biases with what is paid into them. */
const shifted = ({ directions: ways, gates, units: count, weight, bias }: Parts, shift: Float64Array): Tensor => {
  const old = bias && elementReader(bias)
  return tensorOf(
    weight.dtype,
    [ways, 2 * gates * count],
    shift.map((amount, k) => (old?.(k) ?? 0) + amount),
  )
}

/** What changes in the attributes when one of two directions is left. */
const attributesOf = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  attrs: A,
  ways: Int32Array,
): Partial<RecurrentAttributes> => {
  const [way] = ways
  if (attrs.direction !== 'bidirectional' || ways.length !== 1) return {}
  const direction = way === 1 ? 'reverse' : 'forward'
  if (attrs.activations === undefined) return { direction }
  const count = cell.activations.length
  const names = attrs.activations.slice((way ?? 0) * count, ((way ?? 0) + 1) * count)
  const before = way === 1 ? attrs.activations.slice(0, count) : []
  const [skippedAlphas, skippedBetas] = parametersTaken(before)
  const [alphas, betas] = parametersTaken(names)
  return {
    direction,
    activations: names,
    activation_alpha: attrs.activation_alpha?.slice(skippedAlphas, skippedAlphas + alphas),
    activation_beta: attrs.activation_beta?.slice(skippedBetas, skippedBetas + betas),
  }
}
