/** Laws of operators that mix channels by constant weights in more ways than one contraction (`OpDef.mixes`), on their samples. */
import { describe, expect, test } from 'vitest'
import type { Mixing, NodeAxis, NodeJoint } from '../../src/ir/op.ts'
import { sliceConstants } from '../../src/ir/slices.ts'
import { copyElements, type Dense, elements, gather, materialize, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { uniforms } from '../inflate.ts'
import { difference, outputName, valuesOf } from './helpers.ts'
import { type Case, cases, fill, isComputed, type Problem, problemOf, sliceOf, withInputs } from './problems.ts'
import { dropFrom, evaluateShrunk } from './slicing.ts'

/** A problem of an operator that mixes channels. */
interface Mixed extends Problem {
  readonly mixing: Mixing
  readonly outputs: ReadonlyArray<Dense>
}

const mixedProblem = (one: Case, seed: number): Mixed | undefined => {
  const p = problemOf(one, seed)
  const mixing = p.op.mixes?.(p.ctx)
  return mixing === undefined || p.outputs === undefined ? undefined : { ...p, mixing, outputs: p.outputs }
}

const mixedCases = cases.filter(([, one]) => mixedProblem(one, 1) !== undefined)

const orThrow = <T>(x: T | undefined): T => {
  if (x === undefined) throw new Error('nothing is mixed')
  return x
}

/** The joint axis on a port, which is the one behind those of the tensor. */
const jointAt = ({ mixing }: Mixed, side: NodeAxis['side'], port: number): NodeJoint | undefined =>
  mixing.joints.find((one) => one.side === side && one.port === port)

const shapeAt = (p: Mixed, side: NodeAxis['side'], port: number): ReadonlyArray<number> =>
  (side === 'input' ? p.inputs : p.outputs)[port]?.shape ?? []

const isJoint = (p: Mixed, { side, port, axis }: NodeAxis): boolean =>
  jointAt(p, side, port) !== undefined && axis === shapeAt(p, side, port).length

/** Sizes of the axes of a joint axis. */
const jointSizes = (p: Mixed, { side, port }: NodeAxis): { readonly outer: number; readonly inner: number } => {
  const [shape, joint] = [shapeAt(p, side, port), jointAt(p, side, port)]
  return { outer: shape[joint?.outer ?? -1] ?? 0, inner: shape[joint?.inner ?? -1] ?? 0 }
}

const sizeAlong = (p: Mixed, at: NodeAxis): number => {
  const { outer, inner } = jointSizes(p, at)
  return isJoint(p, at) ? outer * inner : (shapeAt(p, at.side, at.port)[at.axis] ?? 0)
}

/** A tensor on a port with the two axes of its joint axis in front, merged; of the sizes that it has. */
const joined = (tensor: Dense, { outer, inner }: NodeJoint): Dense => {
  const rest = tensor.shape.map((_, axis) => axis).filter((axis) => axis !== outer && axis !== inner)
  const order = [outer, inner, ...rest]
  const shape = order.map((axis) => tensor.shape[axis] ?? 0)
  const strides = tensor.shape.map((_, axis) => sizeOf(tensor.shape.slice(axis + 1)))
  const source = elements(tensor)
  const values = Float64Array.from({ length: sizeOf(shape) }, (_, k) => {
    let [left, at] = [k, 0]
    for (const axis of order.toReversed()) {
      const size = tensor.shape[axis] ?? 1
      at += (left % size) * (strides[axis] ?? 0)
      left = Math.floor(left / size)
    }
    return Number(source[at])
  })
  return tensorOf(tensor.dtype, [(shape[0] ?? 0) * (shape[1] ?? 0), ...shape.slice(2)], values)
}

/** All numbers of a slice of what is on a port, along an axis of its own or its joint axis. */
const slicesAt = (p: Mixed, tensor: Dense, at: NodeAxis, index: number): ReadonlyArray<number> => {
  const joint = jointAt(p, at.side, at.port)
  return joint !== undefined && isJoint(p, at)
    ? sliceOf(joined(tensor, joint), 0, index)
    : sliceOf(tensor, at.axis, index)
}

/** By bundle 1 for some channels. */
type Marks = ReadonlyArray<Uint8Array>

const marksFor = (p: Mixed, isMarked: (bundle: number, channel: number) => boolean): Marks =>
  p.mixing.bundles.map(([axis], k) =>
    new Uint8Array(axis === undefined ? 0 : sizeAlong(p, axis)).map((_, i) => (isMarked(k, i) ? 1 : 0)),
  )

const marked = (marks: Uint8Array | undefined): number[] =>
  Array.from(marks?.keys() ?? []).filter((i) => marks?.[i] === 1)

/** The marked channels of an output; of a joint axis those of which the outer index is marked as well. */
const within = (p: Mixed, output: Dense, port: number, marks: Marks): Dense => {
  const axisIn = (bundle: Mixing['bundles'][number]): NodeAxis | undefined =>
    bundle.find((one) => one.side === 'output' && one.port === port)
  const joint = jointAt(p, 'output', port)
  if (joint === undefined) {
    return p.mixing.bundles.reduce((tensor, bundle, k) => {
      const at = axisIn(bundle)
      return at === undefined ? tensor : materialize(gather(tensor, at.axis, Int32Array.from(marked(marks[k]))))
    }, output)
  }
  const alongOf = (axis: number): Uint8Array | undefined =>
    marks[p.mixing.bundles.findIndex((bundle) => axisIn(bundle)?.axis === axis)]
  const [own, outer] = [alongOf(output.shape.length), alongOf(joint.outer)]
  const inner = output.shape[joint.inner] ?? 1
  const kept = marked(own).filter((k) => outer?.[Math.floor(k / inner)] === 1)
  return materialize(gather(joined(output, joint), 0, Int32Array.from(kept)))
}

/** `to` with the slice that `from` has. */
const copySlice = (p: Mixed, from: Dense, to: Dense, at: NodeAxis, index: number): Dense => {
  const [source, values] = [elements(from), copyElements(to)]
  const placeAlong = (axis: number, k: number): number =>
    Math.floor(k / sizeOf(to.shape.slice(axis + 1))) % (to.shape[axis] ?? 1)
  const joint = isJoint(p, at) ? jointAt(p, at.side, at.port) : undefined
  values.forEach((_, k) => {
    const place =
      joint === undefined
        ? placeAlong(at.axis, k)
        : placeAlong(joint.outer, k) * (to.shape[joint.inner] ?? 1) + placeAlong(joint.inner, k)
    if (place === index) values[k] = Number(source[k])
  })
  return tensorOf(to.dtype, to.shape, values)
}

const numbers = [0, 0, 1, -0.5, 2]

/** A problem of which a share of the features and of the first states hold constants, and these by input port and axis. */
const withConstants = (one: Case, seed: number, share: number, uniform: () => number) => {
  const drawn = orThrow(mixedProblem(one, seed))
  const held = new Map<string, Float64Array>()
  const inputs = drawn.inputs.map((x, port) =>
    drawn.mixing.bundles.flat().reduce((tensor, at) => {
      // Along axes of directions nothing is constant: units differ.
      if (tensor === undefined || at.side !== 'input' || at.port !== port || at.axis !== 2) return tensor
      if (!isComputed(drawn, port)) return tensor
      const constants = new Float64Array(sizeAlong(drawn, at)).map(() =>
        uniform() < share ? (numbers[Math.floor(uniform() * numbers.length)] ?? 0) : NaN,
      )
      held.set(`${port} ${at.axis}`, constants)
      return constants.reduce<Dense>((t, c, i) => (Number.isNaN(c) ? t : fill(t, at.axis, i, c)), tensor)
    }, x),
  )
  const p: Mixed = { ...drawn, inputs, outputs: withInputs(drawn, inputs) }
  const ofInput = (at: NodeAxis): Float64Array => {
    const x = inputs[at.port]
    if (isJoint(drawn, at)) {
      const { outer, inner } = jointSizes(drawn, at)
      const each = ofInput({ ...at, axis: jointAt(drawn, 'input', at.port)?.inner ?? 0 })
      return new Float64Array(outer * inner).map((_, k) => each[k % inner] ?? NaN)
    }
    if (x !== undefined && !isComputed(p, at.port)) return sliceConstants(x, at.axis)
    return held.get(`${at.port} ${at.axis}`) ?? new Float64Array(sizeAlong(p, at)).fill(NaN)
  }
  const said = p.mixing.constants((at) => ({ values: ofInput(at), errors: 0 }))
  const constantsOf = (at: NodeAxis): Float64Array =>
    at.side === 'input' ? ofInput(at) : (said(at)?.values ?? new Float64Array(sizeAlong(p, at)).fill(NaN))
  const given = (at: NodeAxis): Uint8Array => Uint8Array.from(constantsOf(at), (x) => (Number.isNaN(x) ? 0 : 1))
  const isGiven = (k: number, i: number, side: NodeAxis['side']): boolean =>
    p.mixing.bundles[k]?.some((at) => at.side === side && given(at)[i] === 1) === true
  return { p, said, constantsOf, given, isGiven }
}

describe('what is wanted depends on what is needed for it alone', () => {
  let unneeded = 0

  test.each(mixedCases)('%s', (_, one) => {
    const uniform = uniforms(17)
    for (let round = 0; round < 30; round++) {
      const share = [0.15, 0.5, 1][round % 3] ?? 1
      const { p, given, isGiven } = withConstants(one, 30 + round, round % 2 === 0 ? 0 : 0.5, uniform)
      const wanted = marksFor(p, (k, i) => !isGiven(k, i, 'output') && uniform() < share)
      const needed = p.mixing.needed(wanted, given)
      const other = valuesOf(one.sample, 60 + round)
      const inputs = p.inputs.map((x, port) => {
        const another = other[port]
        if (x === undefined || another === undefined || !isComputed(p, port)) return x
        return p.mixing.bundles.reduce((tensor, bundle, k) => {
          const at = bundle.find((axis) => axis.side === 'input' && axis.port === port)
          if (at === undefined) return tensor
          const free = Array.from(needed[k]?.keys() ?? []).filter((i) => needed[k]?.[i] === 0 && given(at)[i] === 0)
          unneeded += free.length
          return free.reduce((t, i) => copySlice(p, another, t, at, i), tensor)
        }, x)
      })
      withInputs(p, inputs).forEach((output, port) => {
        const before = p.outputs[port]
        if (before === undefined) return
        expect(within(p, output, port, wanted)).toEqual(within(p, before, port, wanted))
      })
    }
  })

  test('which is not everything', () => {
    expect(unneeded).toBeGreaterThan(100)
  })
})

/** By index of the outer axis that is kept, the inner ones that are, of a joint axis. */
const lists = (p: Mixed, kept: Marks): ReadonlyMap<string, ReadonlyArray<number>> => {
  const [joint] = p.mixing.joints
  const out = new Map<string, ReadonlyArray<number>>()
  if (joint === undefined) return out
  const { inner } = jointSizes(p, { ...joint, axis: 0 })
  const ways = kept[p.mixing.bundles.findIndex((bundle) => bundle.some((at) => isOuter(at, joint)))]
  for (const way of marked(ways)) {
    const list = marked(kept[p.mixing.layer.outputs])
      .filter((k) => Math.floor(k / inner) === way)
      .map((k) => k % inner)
    out.set(list.join(' '), list)
  }
  return out
}

const isOuter = (at: NodeAxis, joint: NodeJoint): boolean =>
  at.side === joint.side && at.port === joint.port && at.axis === joint.outer

/** Of a joint axis, as many channels are kept for each index of the outer one that is kept, and none for the others. */
const evenOut = (p: Mixed, kept: Marks): void => {
  const [joint] = p.mixing.joints
  const own = kept[p.mixing.layer.outputs]
  if (joint === undefined || own === undefined) return
  const { outer, inner } = jointSizes(p, { ...joint, axis: 0 })
  const ways = kept[p.mixing.bundles.findIndex((bundle) => bundle.some((at) => isOuter(at, joint)))]
  const ofWay = (way: number): Uint8Array => own.subarray(way * inner, (way + 1) * inner)
  for (let way = 0; way < outer; way++) if (ways?.[way] !== 1) ofWay(way).fill(0)
  const most = Math.max(...Array.from({ length: outer }, (_, way) => marked(ofWay(way)).length))
  for (const way of marked(ways)) {
    const marks = ofWay(way)
    for (let u = 0; u < inner && marked(marks).length < most; u++) marks[u] = 1
  }
}

describe('shrunk, it computes what it did; constants are what it says', () => {
  const seen = { constants: 0, unpaid: 0, paid: 0, zeros: 0, uneven: 0 }

  test.each(mixedCases)('%s', (_, one) => {
    const uniform = uniforms(19)
    for (let round = 0; round < 40; round++) {
      check(withConstants(one, 90 + round, [0, 0.4, 0.8, 1][round % 4] ?? 0, uniform), uniform, `round ${round}`)
    }
  })

  const check = (
    { p, said, constantsOf, given, isGiven }: ReturnType<typeof withConstants>,
    uniform: () => number,
    label: string,
  ): void => {
    const { mixing, inputs, outputs } = p
    for (const at of mixing.bundles.flat()) {
      if (at.side === 'input') continue
      constantsOf(at).forEach((claim, i) => {
        if (Number.isNaN(claim)) return
        seen.constants += 1
        const output = outputs[at.port]
        for (const v of output === undefined ? [NaN] : slicesAt(p, output, at, i)) {
          expect(Math.abs(v - claim), `${label}, output ${at.port}, ${i}`).toBeLessThanOrEqual(said(at)?.errors[i] ?? 0)
        }
      })
    }
    const wanted = marksFor(p, (k, i) => !isGiven(k, i, 'output') && uniform() < 0.5)
    const needed = mixing.needed(wanted, given)
    const kept = marksFor(p, (k, i) => {
      const mayGo = needed[k]?.[i] !== 1 || (k === mixing.layer.inputs && isGiven(k, i, 'input'))
      return !mayGo || uniform() < 0.3
    })
    const exact = marksFor(p, (k, i) => needed[k]?.[i] === 1 || isGiven(k, i, 'output'))
    const keeps = (k: number, i: number): boolean => kept[k]?.[i] === 1
    for (;;) {
      evenOut(p, kept)
      const isExact = (k: number, i: number): boolean => exact[k]?.[i] === 1
      const found = mixing.unpaid({ keeps, isExact, constants: constantsOf })
      if (found === undefined) break
      seen.unpaid += 1
      for (const i of found.channels) {
        expect(keeps(found.bundle, i), `${label}: what comes back had gone`).toBe(false)
        kept[found.bundle]?.set([1], i)
      }
    }
    if (kept.some((marks) => !marks.includes(1))) return
    const drops = new Map(
      mixing.bundles.flatMap((bundle, k) =>
        bundle.map(({ side, port, axis }) => {
          const gone = Array.from(kept[k]?.keys() ?? []).filter((i) => !keeps(k, i))
          return [`${side} ${port} ${axis}`, new Set(gone)] as const
        }),
      ),
    )
    if (kept[mixing.layer.outputs]?.includes(0) === true && lists(p, kept).size > 1) seen.uneven += 1
    const bundleOf = (port: number, axis: number): number =>
      mixing.bundles.findIndex((bundle) =>
        bundle.some((at) => at.side === 'output' && at.port === port && at.axis === axis),
      )
    const shrunk = evaluateShrunk(p.op, p.graph, p.node, drops, inputs, outputs, {
      constantsOf: (port, axis) => constantsOf({ side: 'input', port, axis }),
      constantsOfOutput: (port, axis) => constantsOf({ side: 'output', port, axis }),
      exactOutput: (port, axis) => exact[bundleOf(port, axis)],
      joints: mixing.joints,
    })
    outputs.forEach((output, port) => {
      const whole = dropFrom(output, 'output', port, drops, mixing.joints)
      const actual = shrunk.get(outputName(port))
      if (actual === undefined) throw new Error(`${label}: no output ${port}`)
      expect(actual.shape).toEqual(whole.shape)
      const left = kept.map((marks, k) => Uint8Array.from(marked(marks), (i) => exact[k]?.[i] ?? 0))
      expect(
        difference(within(p, whole, port, left), within(p, actual, port, left)),
        `${label}, output ${port}`,
      ).toBeLessThanOrEqual(2 ** -18)
      const units = mixing.layer.outputs
      const dead = left.map((marks, k) => (k === units ? marks.map((mark) => 1 - mark) : marks.map(() => 1)))
      if (mixing.zeroed === undefined) return
      for (const v of elements(within(p, actual, port, dead))) {
        seen.zeros += 1
        expect(Number(v)).toBe(mixing.zeroed)
      }
    })
    if (kept[mixing.layer.inputs]?.includes(0) === true) seen.paid += 1
  }

  test('which is seen of constants, of what can and cannot be paid for, and of what is written as zeros', () => {
    expect(Object.entries(seen).filter(([, count]) => count <= 20)).toEqual([])
  })
})
