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
import { elementReader, gather, type Tensor, tensorOf } from '../tensor.ts'
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
  const { units: count, features: width } = parts
  return {
    bundles: [
      [featureAxis],
      states.map(({ side, port }) => unitAxis(side, port)),
      states.map(({ side, port }) => directionAxis(ctx.attrs, side, port)),
    ],
    layer: { inputs: features, outputs: units, weightPort: ports.w },
    needed: (wanted, given) => neededBy(parts, wanted, givenUnits(ctx, given, count)),
    constants: (of) => {
      let found: ReadonlyArray<ReadonlyArray<Interval>> | undefined
      return ({ side, port, axis }) => {
        if (side === 'input' || axis !== unitAxis(side, port).axis) return undefined
        found ??= heldByOutputs(cell, ctx, parts, of)
        return measured(found[port] ?? [])
      }
    },
    unpaid: (removal) => {
      const payment = payFor(cell, ctx, parts, removal)
      return E.isLeft(payment) ? payment.left : undefined
    },
    zeroed: zeroedUnit(cell, ctx),
    work: (counts) => {
      const [i = width, h = count, d = parts.directions] = counts
      return ((d / parts.directions) * h * (i + h)) / (count * (width + count))
    },
  }
}

/** Units whose hidden state is given, the first one too: what reads them need not have them computed. */
const givenUnits = (ctx: NodeContext<unknown>, given: (axis: NodeAxis) => Uint8Array, count: number): Uint8Array => {
  const isOutput = (port: number): boolean => (ctx.node.outputs[port] ?? '') !== ''
  const first = (ctx.node.inputs[ports.h] ?? '') === '' ? undefined : given(unitAxis('input', ports.h))
  const later = [0, 1].filter(isOutput).map((port) => given(unitAxis('output', port)))
  return new Uint8Array(count).map((_, u) => (first?.[u] !== 0 && later.some((marks) => marks[u] === 1) ? 1 : 0))
}

const neededBy = (parts: Parts, wanted: ReadonlyArray<Uint8Array>, given: Uint8Array): ReadonlyArray<Uint8Array> => {
  const wantedDirections = wanted[directions] ?? new Uint8Array()
  const found = wanted[units]?.slice() ?? new Uint8Array()
  const read = new Uint8Array(parts.features)
  const waiting = Array.from(found.keys()).filter((u) => found[u] === 1)
  for (let u = waiting.pop(); u !== undefined; u = waiting.pop()) {
    for (let d = 0; d < parts.directions; d++) {
      if (wantedDirections[d] !== 1) continue
      for (let i = 0; i < parts.features; i++) if (read[i] === 0 && parts.readsFeature(d, u, i)) read[i] = 1
      for (let v = 0; v < parts.units; v++) {
        if (found[v] === 1 || given[v] === 1 || !parts.readsUnit(d, u, v)) continue
        found[v] = 1
        waiting.push(v)
      }
    }
  }
  return [read, found, wantedDirections]
}

type Known = (axis: NodeAxis) => { readonly values: Numbers; readonly errors: Numbers }

const at = (numbers: Numbers, i: number): number => (typeof numbers === 'number' ? numbers : (numbers[i] ?? NaN))

/** The constants of a first state; zeros where it is omitted. */
const firstState = (ctx: NodeContext<unknown>, known: Known, port: number, u: number): Interval => {
  if ((ctx.node.inputs[port] ?? '') === '') return { low: 0, high: 0 }
  const { values, errors } = known(unitAxis('input', port))
  return intervalAround(at(values, u), at(errors, u))
}

/** By output what the units hold at every step, in all directions. */
const heldByOutputs = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  ctx: NodeContext<A>,
  parts: Parts,
  known: Known,
): ReadonlyArray<ReadonlyArray<Interval>> => {
  const { values, errors } = known(featureAxis)
  const inputs = Array.from({ length: parts.features }, (_, i) => intervalAround(at(values, i), at(errors, i)))
  const start = (port: number): Interval[] =>
    Array.from({ length: parts.units }, (_, u) => firstState(ctx, known, port, u))
  const first: States<Interval> = { hidden: start(ports.h), cell: cell.hasCellState ? start(ports.c) : [] }
  const courses = Array.from({ length: parts.directions }, (_, d) =>
    coursesOf(cell, ctx.attrs, parts, d, inputs, first),
  )
  const time = inputShape(ctx, ports.x)?.[ctx.attrs.layout === 0 ? 0 : 1]
  const isShorter = (ctx.node.inputs[ports.lengths] ?? '') !== ''
  const steps = isStatic(time) && time > 0 && !isShorter
  // Behind the end of a sequence there are zeros; without a step the last states may be the first ones, or zeros.
  const held = (pick: (states: States<Interval>) => ReadonlyArray<Interval>, isLast: boolean): Interval[] =>
    Array.from({ length: parts.units }, (_, u) => {
      const all = courses.flatMap(({ first: before, later }) => [
        pick(later)[u],
        ...(isLast && !steps ? [pick(before)[u]] : []),
        ...(isShorter ? [{ low: 0, high: 0 }] : []),
      ])
      return all.reduce(hull)
    })
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
  { keeps, isExact, constants }: MixingRemoval,
): E.Either<UnpaidChannels, Float64Array | undefined> => {
  const { units: count, gates, weight, recurrent, bias } = parts
  const owed = (bundle: number, size: number, held: Float64Array | undefined): ReadonlyArray<number> =>
    held === undefined
      ? []
      : Array.from({ length: size }, (_, i) => i).filter(
          (i) => !keeps(bundle, i) && !Number.isNaN(held[i] ?? NaN) && held[i] !== 0,
        )
  const inputs = constants(featureAxis)
  const hidden = hiddenConstants(ctx, constants, count)
  // A unit that holds zero owes nothing; one that does not start with what it holds is not constant for those that read it.
  const isSteady = (v: number): boolean => {
    const isOmitted = (ctx.node.inputs[ports.h] ?? '') === ''
    return (isOmitted ? 0 : constants(unitAxis('input', ports.h))?.[v]) === hidden[v]
  }
  const gone = Array.from({ length: count }, (_, v) => v).filter(
    (v) => !keeps(units, v) && !Number.isNaN(hidden[v] ?? NaN) && (hidden[v] !== 0 || !isSteady(v)),
  )
  const absent = owed(features, parts.features, inputs)
  if (gone.length === 0 && absent.length === 0) return E.right(undefined)
  const rows = gates * count
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
    for (let u = 0; u < count; u++) {
      if (!keeps(units, u) || !isExact(units, u)) continue
      for (let gate = 0; gate < gates; gate++) {
        const row = gate * count + u
        for (const i of absent) {
          const amount = w((d * rows + row) * parts.features + i) * (inputs?.[i] ?? NaN)
          if (amount !== 0 && !add(2 * d * rows + row, amount)) {
            return E.left({ bundle: features, channels: [i], reason: text(amount) })
          }
        }
        for (const v of gone) {
          const factor = r((d * rows + row) * count + v)
          if (factor === 0) continue
          if (!isSteady(v) || gatedSums.includes(gate)) {
            return E.left({ bundle: units, channels: [v], reason: 'other units read it, and not as a constant' })
          }
          const place = (2 * d + (gatedBiases.includes(gate) ? 1 : 0)) * rows + row
          const amount = factor * (hidden[v] ?? NaN)
          if (!add(place, amount)) return E.left({ bundle: units, channels: [v], reason: text(amount) })
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
  count: number,
): Float64Array => {
  const out = new Float64Array(count).fill(NaN)
  for (const port of [0, 1]) {
    const found = (node.outputs[port] ?? '') === '' ? undefined : constants(unitAxis('output', port))
    found?.forEach((value, u) => {
      if (!Number.isNaN(value)) out[u] = value
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
  const output = s.node.outputs.findIndex((value) => value !== '')
  const [unitPlace, directionPlace] = [unitAxis('output', output), directionAxis(s.attrs, 'output', output)]
  const kept = [
    s.keptInput(featureAxis.port, featureAxis.axis) ?? all(parts.features),
    s.keptOutput(output, unitPlace.axis) ?? all(parts.units),
    s.keptOutput(output, directionPlace.axis) ?? all(parts.directions),
  ] as const
  const marks = kept.map((list) => new Set(list))
  const exact = mixing.bundles.map((bundle) =>
    bundle.flatMap(({ side, port, axis }) => (side === 'output' ? [s.exactOutput(port, axis)] : [])),
  )
  const isExact = (bundle: number, i: number): boolean => exact[bundle]?.some((found) => found?.[i] !== 0) === true
  const payment = payFor(cell, s, parts, {
    keeps: (bundle, i) => marks[bundle]?.has(i) === true,
    isExact,
    constants: ({ side, port, axis }) =>
      side === 'input' ? s.constantsOf(port, axis) : s.constantsOfOutput(port, axis),
  })
  invariant(E.isRight(payment), `${s.node.name}: channels went that cannot be paid for`)
  const [inputs, rest, ways] = kept
  /** Rows of blocks of units, `count` of them. */
  const rowsOf = (count: number): Int32Array =>
    Int32Array.from({ length: count * rest.length }, (_, k) => {
      const block = Math.floor(k / rest.length)
      return block * parts.units + (rest[k % rest.length] ?? 0)
    })
  // A unit that holds a constant needs no reader, nor does its direction then: what was concluded from it has to hold.
  const held = s.node.outputs.map((_, port) => s.constantsOfOutput(port, unitAxis('output', port).axis))
  const isGiven = (u: number): boolean => held.some((constants) => !Number.isNaN(constants?.[u] ?? NaN))
  const isDead = Uint8Array.from({ length: ways.length * rest.length }, (_, k) => {
    const [way, unit] = [ways[Math.floor(k / rest.length)] ?? 0, rest[k % rest.length] ?? 0]
    return isExact(units, unit) && (isGiven(unit) || isExact(directions, way)) ? 0 : 1
  })
  /** Elements of units that nothing needs as zeros; `inner` of them for each unit of each block. */
  const cleared = (tensor: Tensor, inner: number): Tensor =>
    isDead.includes(1)
      ? editElements(tensor, (values, first) => {
          const [ofDirection, ofBlock] = [sizeOf(tensor.shape.slice(1)), rest.length * inner]
          for (let k = 0; k < values.length; k++) {
            const way = first + Math.floor(k / ofDirection)
            if (isDead[way * rest.length + Math.floor((k % ofBlock) / inner)] === 1) values[k] = 0
          }
        })
      : tensor
  const ofDirections = (tensor: Tensor): Tensor => gather(tensor, 0, ways)
  const rows = rowsOf(parts.gates)
  take(ports.w, cleared(gather(gather(ofDirections(parts.weight), 1, rows), 2, inputs), inputs.length))
  take(ports.r, cleared(gather(gather(ofDirections(parts.recurrent), 1, rows), 2, rest), rest.length))
  const biased = payment.right === undefined ? parts.bias : shifted(parts, payment.right)
  take(ports.b, biased && cleared(gather(ofDirections(biased), 1, rowsOf(2 * parts.gates)), 1))
  take(ports.p, parts.peephole && cleared(gather(ofDirections(parts.peephole), 1, rowsOf(3)), 1))
  for (const port of [ports.h, ports.c]) {
    const tensor = s.constant(port)
    const batch = s.keptInput(port, s.attrs.layout === 0 ? 1 : 0)
    const whole = tensor && batch ? gather(tensor, s.attrs.layout === 0 ? 1 : 0, batch) : tensor
    take(port, whole && gather(gather(whole, 2, rest), directionAxis(s.attrs, 'input', port).axis, ways))
  }
  const hidden = s.attrs.hidden_size === undefined ? {} : { hidden_size: rest.length }
  const attrs = { ...s.attrs, ...hidden, ...attributesOf(cell, s.attrs, ways) }
  return replaceOperands({ ...s.node, attrs }, operands, s, `${s.node.outputs[output] ?? ''}_bias`)
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
