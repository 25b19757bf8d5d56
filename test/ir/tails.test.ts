/**
 * Laws of constants where random numbers never go: tails of functions, zeros, large and tiny numbers. What an operator
 * says of a constant slice has to be what ONNX Runtime computes, to the accuracy that the operator promises.
 */
import { describe, expect, test } from 'vitest'
import { type DType, isFloat } from '../../src/ir/dtype.ts'
import { numbersOf } from '../../src/ir/evaluate.ts'
import { contextOf } from '../../src/ir/graph.ts'
import { evaluateNode } from '../../src/ir/interpret.ts'
import { precisionOf, roundTo } from '../../src/ir/numerics.ts'
import type { SliceFact } from '../../src/ir/op.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { graphOf, nodeOf, valuesOf } from './helpers.ts'
import { openSample } from './onnx-runtime.ts'
import {
  type Case,
  cases,
  factOf,
  fill,
  isComputed,
  type Problem,
  problemOf,
  sliceOf,
  sourceOf,
  transferOf,
} from './problems.ts'

/** What slices are set to: a dead channel, biases in front of activations, and the ends of half and single precision. */
const numbers = [0, -30, -17, -16, -10, -6, -1e-3, 1e-7, 1e-20, 17, 30, 100, 1e4, -3e4, 1e25, -2e38]

/** Units in the last place that one operator may be off by, beside what it says in `accurateTo`. */
const units = 16

/** A claim of an operator: what a slice of an output holds when slices of its inputs hold `facts`. */
interface Claim {
  readonly output: number
  readonly axis: number
  readonly index: number
  readonly facts: ReadonlyArray<SliceFact>
  readonly value: number
  /** The inputs that make it so; what is not set is random. */
  readonly inputs: ReturnType<typeof valuesOf>
}

/** All claims for one number in each of the computed inputs alone, and in all of them. */
const claimsOf = (p: Problem, { sample }: Case): ReadonlyArray<Claim> => {
  const { op, ctx, outputs } = p
  const links = op.links === 'opaque' ? 'opaque' : op.links(ctx)
  const constant = transferOf(op)
  if (constant === undefined || outputs === undefined || links === 'opaque') return []
  const computed = p.inputs.flatMap((x, port) => (x && isFloat(x.dtype) && isComputed(p, port) ? [port] : []))
  const subsets = computed.length > 1 ? [computed, ...computed.map((port) => [port])] : [computed]
  const claims: Claim[] = []
  outputs.forEach((output, k) => {
    if (!isFloat(output.dtype)) return
    output.shape.forEach((size, axis) => {
      const here = links.filter((l) => l.output === k && l.outputAxis === axis)
      for (let index = 0; index < Math.min(size, 2); index++) {
        for (const c of numbers) {
          for (const chosen of subsets) {
            const facts = p.inputs.map((x, port) => factOf(p, x, port, here, index, chosen, c))
            const value = constant(ctx, facts, k, axis)
            if (value === undefined) continue
            const inputs = valuesOf(sample, 4).map((x, port) => {
              const link = here.find((l) => l.input === port)
              if (x === undefined || !chosen.includes(port)) return x
              if (link === undefined) return fill(x, undefined, 0, c)
              const at = sourceOf(link, index)
              return at < 0 ? x : fill(x, link.inputAxis, at, c)
            })
            claims.push({ output: k, axis, index, facts, value, inputs })
          }
        }
      }
    })
  })
  return claims
}

const show = (p: Problem, claim: Claim): string =>
  `${p.node.op}(${claim.facts.map(String).join(', ')}), axis ${claim.axis}, index ${claim.index}`

/** How far a runtime's number may be from a claim: rounding of the claim, of the inputs, and what the operator says. */
const allowance = (p: Problem, { facts, value, output, axis }: Claim, dtype: DType): number => {
  const { digits, tiny } = precisionOf(dtype)
  const unit = 2 ** -digits
  let moved = 0
  for (const [port, fact] of facts.entries()) {
    if (typeof fact !== 'number' || fact === 0) continue
    for (const other of [fact * (1 - unit), fact * (1 + unit)]) {
      const claim = transferOf(p.op)?.(p.ctx, facts.with(port, other), output, axis)
      moved = Math.max(moved, Math.abs((claim ?? Infinity) - value))
    }
  }
  return units * (unit * Math.max(Math.abs(value), p.op.accurateTo?.(p.ctx, facts) ?? 0) + moved + tiny)
}

const float32Cases = cases.filter(
  ([, { op, sample }]) =>
    op.constant !== undefined &&
    sample.noRuntime === undefined &&
    sample.inputs.every((x) => x === undefined || !isFloat(x.dtype) || x.dtype === 'float32'),
)

describe('in ONNX Runtime', () => {
  test.each(float32Cases)('%s: a constant slice is what the operator says', async (_, one) => {
    const p = problemOf(one, 4)
    const claims = claimsOf(p, one)
    if (claims.length === 0) return
    const session = await openSample(one.op, one.sample, valuesOf(one.sample, 4))
    if (session === undefined) return
    for (const claim of claims) {
      expect(claim.value, show(p, claim)).toSatisfy(Number.isFinite)
      const allowed = allowance(p, claim, 'float32')
      // The compiler takes no constant that rounding decides, and none that its type cannot hold.
      if (!Number.isFinite(allowed) || !Number.isFinite(Math.fround(claim.value))) continue
      const actual = (await session.run(claim.inputs))[claim.output]
      const slice = actual === undefined ? [NaN] : sliceOf(actual, claim.axis, claim.index)
      for (const v of slice) {
        const text = `${show(p, claim)}: ${v} for ${claim.value}`
        // Where a runtime overflows on the way, there is no finite model to keep; but what is written for a dead channel is 0.
        if (!Number.isFinite(v) && claim.facts.some((fact) => Math.abs(fact ?? 0) > 1e20)) continue
        expect(Math.abs(v - claim.value), text).toBeLessThanOrEqual(allowed)
      }
    }
    await session.close()
  })
})

describe('in ONNX Runtime', () => {
  const total = float32Cases.filter(([, { op }]) => op.total === true)

  test.each(total)('%s: a total operator gives finite numbers for finite ones', async (_, one) => {
    const values = valuesOf(one.sample, 4)
    const session = await openSample(one.op, one.sample, values)
    if (session === undefined) return
    const extremes = [3.4e38, 1e38, 1, 1e-38, 1e-45, 0]
    for (let round = 0; round < extremes.length; round++) {
      const inputs = values.map((x, port) => {
        if (x === undefined || !isFloat(x.dtype) || one.sample.inputs[port]?.constant === true) return x
        const numbers = Array.from(
          numbersOf(x),
          (__, i) => (extremes[(i + port + round) % 6] ?? 0) * (i % 4 < 2 ? 1 : -1),
        )
        return tensorOf(x.dtype, x.shape, numbers)
      })
      for (const output of await session.run(inputs)) {
        if (isFloat(output.dtype)) for (const y of numbersOf(output)) expect(y).toSatisfy(Number.isFinite)
      }
    }
    await session.close()
  })
})

describe.each(['float16', 'bfloat16', 'float64'] as const)('in %s', (dtype) => {
  const floats = float32Cases.filter(([, { sample }]) => sample.outputs === 1)

  test.each(floats)('%s: a constant slice is what the operator says, and finite', (_, one) => {
    const typed: Case = {
      ...one,
      sample: {
        ...one.sample,
        inputs: one.sample.inputs.map((x) => x && (x.dtype === 'float32' ? { ...x, dtype } : x)),
      },
    }
    const values = valuesOf(typed.sample, 4)
    const graph = graphOf(typed.op, typed.sample, values)
    const node = nodeOf(typed.op, typed.sample)
    const outputs = evaluateNode(graph, node, values)?.slice(0, 1)
    // Scales and the like have to stay what they are.
    if (outputs === undefined || graph.outputs[0]?.type.kind !== 'tensor') return
    const p: Problem = { op: typed.op, graph, node, ctx: contextOf(graph, node), inputs: values, outputs }
    for (const claim of claimsOf(p, typed)) {
      const expected = roundTo(dtype, claim.value)
      if (!Number.isFinite(expected)) continue
      const actual = evaluateNode(graph, node, claim.inputs)?.[0]
      if (actual === undefined || actual.dtype !== dtype) return
      const inexact = claim.facts.some((fact) => typeof fact === 'number' && roundTo(dtype, fact) !== fact)
      if (inexact) continue
      const allowed = allowance(p, claim, dtype)
      if (!Number.isFinite(allowed)) continue
      for (const v of sliceOf(actual, claim.axis, claim.index)) {
        const text = `${show(p, claim)}: ${v} for ${expected}`
        expect(Math.abs(v - expected), text).toBeLessThanOrEqual(allowed)
      }
    }
  })
})

test('what is said of a dead channel is finite for every operator', () => {
  for (const [label, one] of cases) {
    const p = problemOf(one, 4)
    for (const claim of claimsOf(p, one)) {
      expect(Number.isFinite(claim.value), `${label}: ${show(p, claim)}`).toBe(true)
    }
  }
})
