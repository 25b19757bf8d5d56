/** Laws that every operator of the registry keeps, checked on the samples of `samples/`. */
import { readdirSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { unqualified } from '../../src/ir/domain.ts'
import { type DType, isFloat } from '../../src/ir/dtype.ts'
import { numbersOf } from '../../src/ir/evaluate.ts'
import { emptyGroups, planGroups } from '../../src/ir/families/groups.ts'
import { constantOutputs, neededInputs, type Reads, readsOfContraction } from '../../src/ir/families/contraction.ts'
import { integerRange, isQuantized } from '../../src/ir/families/quantization.ts'
import { contextOf, type Graph } from '../../src/ir/graph.ts'
import { evaluateNode } from '../../src/ir/interpret.ts'
import { placeOf } from '../../src/ir/links.ts'
import { precisionOf } from '../../src/ir/numerics.ts'
import type { AxisLink, Patterns } from '../../src/ir/op.ts'
import { allOps, type AnyOp, decodeAttributes, encodeAttributes } from '../../src/ir/registry.ts'
import { copyElements, type Dense, elements, gather, materialize, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { type Dim, isStatic, sizeOf, tensorType, unknownDim, unknownType, type ValueType } from '../../src/ir/type.ts'
import { equalChannelsAlong } from '../../src/passes/equal-channels.ts'
import { uniforms } from '../inflate.ts'
import { difference, graphOf, inputName, nodeOf, type Operand, outputName, type Sample, valuesOf } from './helpers.ts'
import { runSample } from './onnx-runtime.ts'
import {
  type Case,
  cases,
  factOf,
  fill,
  isComputed,
  type Problem,
  problemOf,
  samplesByName,
  sliceOf,
  sourceOf,
  transferOf,
  withInputs,
} from './problems.ts'
import { closure, compatible, dropFrom, type Drops, evaluateRewrite, evaluateShrunk } from './slicing.ts'

/** Operators of which only the types are modelled, and those that stand for nothing ONNX has. */
const withoutEvaluation: ReadonlySet<string> = new Set<string>([
  'Opaque',
  'TopK',
  'Unique',
  'GridSample',
  'RoiAlign',
  'NonMaxSuppression',
])

test('every operator with an evaluation has samples, and every sample file is listed', () => {
  // Sequences are no tensors: `test/passes/scalarise-sequences.test.ts` runs what is read of them.
  const isOfTensors = ({ members, ofMembers }: AnyOp): boolean => members === undefined && ofMembers === undefined
  const names = allOps.filter(isOfTensors).map(({ name }) => name)
  const missing = names.filter((name) => !withoutEvaluation.has(name) && !samplesByName.has(name))
  expect(missing).toEqual([])
  const files = ['./samples', './samples/microsoft'].flatMap((folder) =>
    readdirSync(new URL(folder, import.meta.url)).filter((file) => file.endsWith('.ts') && file !== 'index.ts'),
  )
  expect(files.length).toBe(samplesByName.size)
})

test('every sample is within the opsets of its operator', () => {
  for (const [label, { op, sample }] of cases) {
    if (unqualified(op.name).domain !== '') continue
    expect(sample.opset, label).toBeGreaterThanOrEqual(op.versions[0])
    expect(sample.opset, label).toBeLessThanOrEqual(op.versions[1])
  }
})

describe('integers that stand for real numbers', () => {
  const withIntegers = cases.filter(([, { op }]) => op.integers !== undefined)

  test('all operators that quantizers write say which they are', () => {
    const written = allOps.filter(({ name }) => /^(Q[A-Z]|\w*Integer|Dequantize)/.test(unqualified(name).opType))
    expect(written.filter(({ integers }) => integers === undefined).map(({ name }) => name)).toEqual([])
  })

  test.each(withIntegers)('%s: their zero is on the port, and along the axis, that is said', (_, one) => {
    const { ctx, inputs, node } = problemOf(one, 1)
    for (const { port, zero, axis, block } of one.op.integers?.(ctx) ?? []) {
      const [x, z] = [inputs[port], zero === undefined ? undefined : inputs[zero]]
      if (x === undefined || z === undefined || zero === undefined) continue
      // The least number of the type is not drawn, so that all can be one less, as the zero of a slice is.
      const [low, high] = integerRange(x.dtype)
      const zeros = Array.from(elements(z), Number)
      const by = (zeros[0] ?? 0) > low ? -1 : 1
      const values = Array.from(elements(x), Number).map((q) => Math.min(high - 1, Math.max(low + 1, q)))
      const moves = (count: number): ReadonlyArray<number> => {
        const inner = sizeOf(x.shape.slice((axis ?? 0) + 1))
        const isIn = (i: number): boolean =>
          block !== undefined || count === 1 || Math.floor(i / inner) % (x.shape[axis ?? 0] ?? 1) === 0
        return values.map((q, i) => (isIn(i) ? q + by : q))
      }
      const made = (qs: ReadonlyArray<number>, zs: ReadonlyArray<number>) => {
        const given = inputs.map((input, at) =>
          at === port ? tensorOf(x.dtype, x.shape, qs) : at === zero ? tensorOf(z.dtype, z.shape, zs) : input,
        )
        return evaluateNode(graphOf(one.op, one.sample, given), node, given)?.[0]
      }
      const moved = zeros.map((q, i) => (i === 0 || block !== undefined ? q + by : q))
      const [before, after] = [made(values, zeros), made(moves(zeros.length), moved)]
      if (before === undefined || after === undefined) throw new Error('not evaluated')
      expect(elements(after)).toEqual(elements(before))
      const other = made(values, moved)
      if (other !== undefined) expect(elements(other)).not.toEqual(elements(before))
    }
  })
})

describe('types', () => {
  /** Outputs as evaluated, or by ONNX Runtime where only types are modelled. */
  const outputsOf = async (p: Problem, { op, sample }: Case): Promise<ReadonlyArray<Dense>> => {
    if (!withoutEvaluation.has(op.name)) {
      if (p.outputs === undefined && sample.outputs === 1) throw new Error('not evaluated')
    }
    return p.outputs ?? (await runSample(op, sample, p.inputs))
  }

  const checkType = (
    type: ValueType | undefined,
    actual: Dense | undefined,
    known: ReadonlyMap<string, number>,
  ): void => {
    if (actual === undefined || type?.kind !== 'tensor') throw new Error('no tensor type')
    expect(type.dtype).toBe(actual.dtype)
    if (type.shape === undefined) return
    expect(type.shape.length).toBe(actual.shape.length)
    type.shape.forEach((dim, axis) => {
      const size = isStatic(dim) ? dim : known.get(dim)
      if (size !== undefined) expect(size, `axis ${axis}`).toBe(actual.shape[axis])
    })
  }

  test.each(cases)('%s: inferred as evaluated', async (_, one) => {
    const p = problemOf(one, 1)
    const actual = await outputsOf(p, one)
    actual.forEach((tensor, i) => {
      const type = p.graph.types.get(outputName(i))
      if (one.sample.sizedByData) checkType(type, tensor, new Map())
      else expect(type).toEqual(tensorType(tensor.dtype, tensor.shape))
    })
  })

  const declarations: ReadonlyArray<readonly [string, (port: number, x: Operand) => ValueType]> = [
    [
      'a symbol for each axis',
      (port, x) =>
        tensorType(
          x.dtype,
          x.shape.map((_, axis) => `s${port}_${axis}`),
        ),
    ],
    [
      'a symbol for each size',
      (_, x) =>
        tensorType(
          x.dtype,
          x.shape.map((size) => `n${size}`),
        ),
    ],
    [
      'a symbol for the first axis',
      (_, x) =>
        tensorType(
          x.dtype,
          x.shape.map((size, a) => (a === 0 ? `n${size}` : size)),
        ),
    ],
    [
      'unknown sizes',
      (port, x) =>
        tensorType(
          x.dtype,
          x.shape.map((_, axis) => unknownDim(inputName(port), axis)),
        ),
    ],
    ['unknown rank', (_, x) => tensorType(x.dtype, undefined)],
  ]

  test.each(cases)('%s: consistent for symbolic inputs', async (_, one) => {
    const p = problemOf(one, 1)
    const actual = await outputsOf(p, one)
    const known = new Map<string, number>()
    one.sample.inputs.forEach((x, port) =>
      x?.shape.forEach((size, axis) => known.set(`s${port}_${axis}`, size).set(`n${size}`, size)),
    )
    for (const [, declare] of declarations) {
      const graph = graphOf(one.op, one.sample, p.inputs, declare)
      // Equal symbols are equal sizes, whatever they are called.
      const seen = new Map(known)
      actual.forEach((tensor, i) => {
        const type = graph.types.get(outputName(i))
        checkType(type, tensor, seen)
        if (type?.kind === 'tensor')
          type.shape?.forEach((dim, a) => !isStatic(dim) && seen.set(dim, tensor.shape[a] ?? 0))
      })
      actual.forEach((tensor, i) => checkType(graph.types.get(outputName(i)), tensor, seen))
      checkContents(graph, actual[0])
      const ctx = contextOf(graph, p.node)
      const { links } = one.op
      for (const link of links === 'opaque' ? [] : linksOf(links(ctx))) {
        const [from, to] = [ctx.inputs[link.input], ctx.outputs[link.output]]
        expect(isStatic(from?.kind === 'tensor' ? from.shape?.[link.inputAxis] : undefined)).toBe(true)
        expect(isStatic(to?.kind === 'tensor' ? to.shape?.[link.outputAxis] : undefined)).toBe(true)
      }
    }
    const demoted = one.op.inferTypes({
      ...p.ctx,
      inputs: p.ctx.inputs.map((x) => x && unknownType),
      constant: () => undefined,
      content: () => undefined,
    })
    if (E.isRight(demoted)) {
      actual.forEach((tensor, i) => {
        const type = demoted.right[i]
        if (type?.kind === 'tensor') checkType(type, tensor, new Map())
      })
    }
  })

  const checkContents = (graph: Graph, actual: Dense | undefined): void => {
    const content = graph.contents.get(outputName(0))
    if (content === undefined || actual === undefined) return
    const values = Array.from(elements(actual), Number)
    expect(content.length).toBe(values.length)
    content.forEach((dim: Dim, i) => isStatic(dim) && expect(dim).toBe(values[i]))
  }
})

const linksOf = (links: ReadonlyArray<AxisLink> | 'opaque'): ReadonlyArray<AxisLink> =>
  links === 'opaque' ? [] : links

const linksOfProblem = (p: Problem): ReadonlyArray<AxisLink> =>
  p.op.links === 'opaque' ? [] : linksOf(p.op.links(p.ctx))

/** Whether dropping leaves every axis that has to stay an index. */
const leavesSomething = (p: Problem, drops: Drops, outputs: ReadonlyArray<Dense>): boolean => {
  const emptied = (side: 'input' | 'output', tensors: ReadonlyArray<Dense | undefined>): boolean =>
    tensors.some((tensor, port) =>
      tensor?.shape.some((size, axis) => size > 0 && drops.get(`${side} ${port} ${axis}`)?.size === size),
    )
  return (
    (p.op.mayLoseInputs === true || !emptied('input', p.inputs)) &&
    (p.op.mayLoseOutputs === true || !emptied('output', outputs))
  )
}

describe('links', () => {
  test.each(cases)('%s: index maps say where indices lie, and whether they lie everywhere', (_, one) => {
    const p = problemOf(one, 2)
    const { outputs } = p
    if (outputs === undefined) return
    for (const link of linksOfProblem(p)) {
      const input = p.inputs[link.input]?.shape[link.inputAxis] ?? 0
      const output = outputs[link.output]?.shape[link.outputAxis] ?? 0
      const map = link.from ?? link.into
      if (map === undefined) expect(input).toBe(output)
      else if (link.from !== undefined && link.into !== undefined) {
        const [ofOutput, ofInput] = [link.from, link.into].map((one, i) =>
          Array.from({ length: i === 0 ? output : input }, (_, at) => placeOf(one, at)),
        )
        expect(new Set(ofOutput)).toEqual(new Set(ofInput))
      } else {
        const [length, size] = map === link.from ? [output, input] : [input, output]
        const places = Array.from({ length }, (_, i) => placeOf(map, i)).filter((place) => place >= 0)
        expect(map.end - map.first).toBe(places.length)
        for (const place of places) expect(place).toBeLessThan(size)
        expect(map.onto).toBe(new Set(places).size === size)
      }
    }
  })
  test.each(cases)('%s: what is linked goes together and nothing else changes', (_, one) => {
    const p = problemOf(one, 2)
    const { outputs } = p
    if (outputs === undefined) return
    const all = linksOfProblem(p)
    const uniform = uniforms(7)
    for (const link of all) {
      const links = compatible(link, all)
      const size = outputs[link.output]?.shape[link.outputAxis] ?? 0
      const at = { side: 'output', port: link.output, axis: link.outputAxis } as const
      const single = Array.from({ length: Math.min(size, 6) }, (_, i) => [i])
      const several = Array.from({ length: 3 }, () =>
        Array.from({ length: size }, (_, i) => i).filter(() => uniform() < 0.5),
      )
      for (const dropped of [...single, ...several]) {
        const drops = closure(
          dropped.map((i) => [at, i] as const),
          links,
        )
        if (!leavesSomething(p, drops, outputs)) continue
        const shrunk = evaluateShrunk(p.op, p.graph, p.node, drops, p.inputs, outputs)
        outputs.forEach((output, k) => {
          const rest = dropFrom(output, 'output', k, drops)
          const actual = shrunk.get(outputName(k))
          if (actual === undefined) expect(rest.shape).toContain(0)
          else expect(difference(rest, actual), `output ${k} without ${String(dropped)}`).toBe(0)
        })
      }
    }
  })
})

describe('sizes that are known of some inputs only', () => {
  /** Operators of which links were looked at. */
  const tried = new Set<string>()

  /**
   * The sample with one input computed, of which only the rank is known, or not even that; undefined where the operator then refuses,
   * which makes an opaque node of it.
   */
  const blurred = ({ op, sample }: Case, port: number, isRanked: boolean): Problem | undefined => {
    const own = { ...sample, inputs: sample.inputs.map((x, at) => (x && at === port ? { ...x, constant: false } : x)) }
    const inputs = valuesOf(own, 2)
    const blur = (x: Operand): ValueType =>
      tensorType(x.dtype, isRanked ? x.shape.map((_, axis) => unknownDim(inputName(port), axis)) : undefined)
    const { ctx: whole } = problemOf({ op, sample: own }, 2)
    const types = own.inputs.map((x, at) => (x && at === port ? blur(x) : whole.inputs[at]))
    const content = (at: number): ReturnType<typeof whole.content> => (at === port ? undefined : whole.content(at))
    if (E.isLeft(op.inferTypes({ ...whole, inputs: types, content }))) return undefined
    const graph = graphOf(op, own, inputs, (at, x) => (at === port ? blur(x) : tensorType(x.dtype, x.shape)))
    const node = nodeOf(op, own)
    const outputs = evaluateNode(graph, node, inputs)?.slice(0, own.outputs)
    return { op, graph, node, ctx: contextOf(graph, node), inputs, outputs }
  }

  test.each(cases)('%s: what goes is missed by no input of which the size is not known', (_, one) => {
    for (const port of one.sample.inputs.keys()) {
      if (one.sample.inputs[port] === undefined) continue
      for (const isRanked of [true, false]) {
        const p = blurred(one, port, isRanked)
        if (p?.outputs === undefined || p.op.links === 'opaque' || p.op.links(p.ctx) === 'opaque') continue
        const { outputs } = p
        tried.add(one.op.name)
        const all = linksOfProblem(p)
        const c = p.op.contraction?.(p.ctx)
        const ends = all.map((link) => ({ port: link.output, axis: link.outputAxis, links: compatible(link, all) }))
        // Groups stay of one size.
        if (c?.groups === 1) ends.push({ port: 0, axis: c.outputAxis, links: all })
        for (const end of ends) {
          const size = outputs[end.port]?.shape[end.axis] ?? 0
          if (size < 2) continue
          const drops = closure([[{ side: 'output', ...end }, 0]], end.links)
          if (!leavesSomething(p, drops, outputs)) continue
          const shrunk = evaluateShrunk(p.op, p.graph, p.node, drops, p.inputs, outputs)
          outputs.forEach((output, k) => {
            const [rest, actual] = [dropFrom(output, 'output', k, drops), shrunk.get(outputName(k))]
            if (actual === undefined) expect(rest.shape).toContain(0)
            else expect(difference(rest, actual), `output ${k}, input ${port} unknown`).toBe(0)
          })
        }
      }
    }
  })

  test('operators that join several inputs were among them', () => {
    const joining = [
      'Add',
      'Concat',
      'Conv',
      'Einsum',
      'Gemm',
      'LayerNormalization',
      'LSTM',
      'MatMul',
      'ScatterND',
      'Where',
    ]
    expect(joining.filter((name) => !tried.has(name))).toEqual([])
  })
})

describe('slices', () => {
  const informed = new Set<string>()

  test.each(cases)('%s: an output slice depends on the slices linked with it alone', (_, one) => {
    const p = problemOf(one, 12)
    const { outputs } = p
    const other = valuesOf(one.sample, 14)
    const contraction = p.op.links === 'opaque' ? undefined : p.op.contraction?.(p.ctx)
    const all = linksOfProblem(p)
    outputs?.forEach((output, k) =>
      output.shape.forEach((size, axis) => {
        if (contraction !== undefined && axis === contraction.outputAxis) return
        for (let index = 0; index < size; index++) {
          let changes = 0
          const inputs = p.inputs.map((x, port) => {
            const links = all.filter((l) => l.input === port && l.output === k && l.outputAxis === axis)
            const [link, ...others] = links
            const drawn = other[port]
            if (x === undefined || drawn === undefined || link === undefined || others.length > 0) return x
            if (!isFloat(x.dtype) || !isComputed(p, port)) return x
            const { from, into } = link
            const isLinked = (i: number): boolean =>
              (from === undefined ? index : placeOf(from, index)) === (into === undefined ? i : placeOf(into, i))
            const free = Array.from({ length: x.shape[link.inputAxis] ?? 0 }, (_, i) => i).filter((i) => !isLinked(i))
            changes += free.length
            return free.reduce((mixed, i) => copySlice(drawn, mixed, link.inputAxis, i), x)
          })
          if (changes === 0) continue
          informed.add(p.op.name)
          const changed = withInputs(p, inputs)[k]
          expect(changed && sliceOf(changed, axis, index)).toEqual(sliceOf(output, axis, index))
        }
      }),
    )
  })

  /** `to` with the slice that `from` has. */
  const copySlice = (from: Dense, to: Dense, axis: number, index: number): Dense => {
    const [source, values] = [elements(from), copyElements(to)]
    const inner = sizeOf(to.shape.slice(axis + 1))
    values.forEach((_, k) => {
      if (Math.floor(k / inner) % (to.shape[axis] ?? 1) === index) values[k] = Number(source[k])
    })
    return tensorOf(to.dtype, to.shape, values)
  }

  test('that is seen of most operators', () => {
    expect(informed.size).toBeGreaterThan(100)
  })
})

describe('statistics', () => {
  const taken = cases.flatMap(([name, one]) => {
    const p = problemOf(one, 1)
    if (!isComputed(p, 0) || p.outputs === undefined) return []
    return (p.op.statistics?.(p.ctx) ?? []).map(({ axis }, k) => [`${name}, axis ${axis}`, one, k] as const)
  })

  test.each(taken)('%s: constants that leave are made up for', (_, one, which) => {
    const uniform = uniforms(9)
    const p = problemOf(one, 2)
    const s = p.op.statistics?.(p.ctx)[which]
    const x = p.inputs[s?.port ?? -1]
    if (s === undefined || x === undefined) throw new Error('no statistics')
    const size = x.shape[s.axis] ?? 0
    const perGroup = size / s.groups
    for (const constants of [[0], [0.75], [0, -0.5, 0.75]]) {
      if (!constants.every(s.leaves)) continue
      for (let left = 1; left < perGroup; left++) {
        const gone = Array.from({ length: s.groups }, (_, group) =>
          Array.from({ length: perGroup }, (_, i) => group * perGroup + i)
            .map((i) => [uniform(), i] as const)
            .sort(([a], [b]) => a - b)
            .slice(left),
        ).flatMap((group) => group.map(([, i]) => i))
        const known = new Float64Array(size).fill(NaN)
        for (const [k, i] of gone.entries()) known[i] = constants[k % constants.length] ?? 0
        const held = gone.reduce((tensor, i) => fill(tensor, s.axis, i, known[i] ?? NaN), x)
        const inputs = p.inputs.map((tensor, port) => (port === s.port ? held : tensor))
        const outputs = withInputs(p, inputs).slice(0, one.sample.outputs)
        const seeds = gone.map((i) => [{ side: 'input', port: s.port, axis: s.axis }, i] as const)
        const drops = closure(seeds, s.links)
        const facts = { constantsOf: (port: number) => (port === s.port ? known : undefined) }
        const shrunk = evaluateShrunk(p.op, p.graph, p.node, drops, inputs, outputs, facts)
        outputs.forEach((output, k) => {
          const actual = shrunk.get(outputName(k))
          const rest = dropFrom(output, 'output', k, drops)
          expect(actual && difference(rest, actual), `${constants.join()} gone from ${gone.join()}`).toBeLessThan(1e-6)
        })
      }
    }
  })

  test('are taken by normalisations and sums', () => {
    expect(taken.length).toBeGreaterThan(8)
  })
})

describe('pairs', () => {
  const paired = cases.flatMap(([name, one]) => {
    const p = problemOf(one, 1)
    if (p.op.contraction?.(p.ctx) !== undefined || p.outputs === undefined) return []
    return (p.op.pairs?.(p.ctx) ?? []).map((_, k) => [name, one, k] as const)
  })

  test.each(paired)('%s: what is zero on one side goes on both', (_, one, which) => {
    const p = problemOf(one, 2)
    const pair = p.op.pairs?.(p.ctx)[which]
    if (pair === undefined) throw new Error('no pair')
    const sides = pair.ports.map((port, side) => {
      const [x, axis] = [p.inputs[port], pair.axes[side] ?? 0]
      if (x === undefined) throw new Error('no operand')
      return { port, axis, x, indices: Array.from({ length: x.shape[axis] ?? 0 }, (_, i) => i) }
    })
    const period = pair.period ?? Infinity
    for (const { port, axis, x, indices } of sides) {
      for (let k = 0; k < Math.min(period, indices.length); k++) {
        const isOne = (i: number): boolean => i % period === k
        const zeroed = indices.filter(isOne).reduce((tensor, i) => fill(tensor, axis, i, 0), x)
        const inputs = p.inputs.map((tensor, at) => (at === port ? zeroed : tensor))
        const outputs = withInputs(p, inputs).slice(0, one.sample.outputs)
        const seeds = sides.flatMap((side) =>
          side.indices.filter(isOne).map((i) => [{ side: 'input', port: side.port, axis: side.axis }, i] as const),
        )
        const shrunk = evaluateShrunk(p.op, p.graph, p.node, closure(seeds, []), inputs, outputs)
        outputs.forEach((output, o) => {
          const actual = shrunk.get(outputName(o))
          expect(actual && difference(output, actual), `index ${k} of port ${port}`).toBe(0)
        })
      }
    }
  })

  const owned = paired.filter(([, one, which]) => {
    const p = problemOf(one, 1)
    return p.op.pairs?.(p.ctx)[which]?.own !== undefined
  })
  test.each(owned)(
    '%s: what is the same everywhere on one side adds what is the same along its own axis',
    (_, one, which) => {
      const p = problemOf(one, 2)
      const pair = p.op.pairs?.(p.ctx)[which]
      const [before] = p.outputs ?? []
      if (pair?.own === undefined || before === undefined) throw new Error('no pair')
      for (const side of [0, 1] as const) {
        const [port, axis] = [pair.ports[side], pair.axes[side]]
        const x = p.inputs[port]
        if (x === undefined) throw new Error('no operand')
        const [zeroed, moved] = [0, 3].map((c) => {
          const inputs = p.inputs.map((tensor, at) => (at === port ? fill(x, axis, 0, c) : tensor))
          return withInputs(p, inputs)[0] ?? before
        })
        if (zeroed === undefined || moved === undefined) throw new Error('no result')
        for (const values of linesAlong(differences(zeroed, moved), before.shape, pair.own[side])) {
          for (const value of values) expect(Math.abs(value - (values[0] ?? NaN))).toBeLessThan(1e-5)
        }
      }
    },
  )

  test('are multiplied by products of matrices and convolutions', () => {
    expect(new Set(paired.map(([, { op }]) => op.name))).toEqual(new Set(['MatMul', 'Conv', 'ConvTranspose']))
  })
})

const differences = (a: Dense, b: Dense): ReadonlyArray<number> => {
  const [xs, ys] = [numbersOf(a), numbersOf(b)]
  return Array.from(xs, (x, i) => (ys[i] ?? NaN) - x)
}

/** The numbers of a shape that differ only in their place along an axis, together. */
const linesAlong = (
  values: ReadonlyArray<number>,
  shape: ReadonlyArray<number>,
  axis: number,
): ReadonlyArray<ReadonlyArray<number>> => {
  const inner = sizeOf(shape.slice(axis + 1))
  const size = shape[axis] ?? 1
  const lines = new Map<number, number[]>()
  values.forEach((value, i) => {
    const line = Math.floor(i / (inner * size)) * inner + (i % inner)
    lines.set(line, [...(lines.get(line) ?? []), value])
  })
  return [...lines.values()]
}

describe('what may be moved along an axis', () => {
  const met = new Set<string>()
  const movable = cases.filter(([, one]) => {
    const { op, outputs } = problemOf(one, 1)
    return op.shifts !== undefined && outputs?.[0]?.dtype === 'float32'
  })

  test.each(movable)('%s: adds nothing, or what is the same along that axis', (_, one) => {
    const p = problemOf(one, 2)
    const [before] = p.outputs ?? []
    if (before === undefined || p.op.shifts === undefined) throw new Error('not evaluated')
    for (const behind of [undefined, ...before.shape.keys()]) {
      const axes = new Set(behind === undefined ? [] : [behind])
      for (const [port, x] of p.inputs.entries()) {
        if (x === undefined || !isComputed(p, port) || !isFloat(x.dtype)) continue
        for (const axis of p.op.shifts(p.ctx, port, { axes, ends: axes })) {
          const uniform = uniforms(9)
          const [inner, size] = axis < 0 ? [1, 1] : [sizeOf(x.shape.slice(axis + 1)), x.shape[axis] ?? 1]
          const added = Array.from({ length: sizeOf(x.shape) / size }, () => uniform() - 0.5)
          const moved = tensorOf(
            x.dtype,
            x.shape,
            numbersOf(x).map((v, i) => v + (added[Math.floor(i / (inner * size)) * inner + (i % inner)] ?? 0)),
          )
          const [after] = withInputs(p, p.inputs.with(port, moved))
          if (after === undefined) throw new Error('no result')
          met.add(p.op.name)
          const change = differences(before, after).map((d, i) =>
            // What takes no part whatever is added.
            d === 0 && (numbersOf(before)[i] ?? 0) <= -3e38 ? NaN : d,
          )
          for (const line of linesAlong(change, before.shape, behind ?? 0)) {
            const told = line.filter((d) => !Number.isNaN(d))
            const expected = behind === undefined ? 0 : (told[0] ?? 0)
            const isFree = told.every((d) => Math.abs(d) < 1e-5)
            for (const d of told)
              expect(isFree || Math.abs(d - expected) < 1e-5, `port ${port}, axis ${axis}`).toBe(true)
          }
        }
      }
    }
  })

  test('is told by these operators', () => {
    const names = ['Add', 'Div', 'Flatten', 'LogSoftmax', 'Mul', 'Reshape', 'Softmax', 'Squeeze', 'Sub', 'Transpose']
    expect([...met].sort()).toEqual([...names, 'Where'])
  })
})

test.each(cases.filter(([, { op }]) => op.ignores !== undefined))(
  '%s: what is ignored may go and changes nothing',
  (_, one) => {
    const p = problemOf(one, 2)
    const { op, ctx, outputs } = p
    if (outputs === undefined) throw new Error('not evaluated')
    let checked = 0
    p.inputs.forEach((x, port) => {
      if (x === undefined || !isComputed(p, port)) return
      x.shape.forEach((size, axis) => {
        if (op.ignores?.(ctx, port, axis) !== true) return
        for (let left = 1; left < size; left++) {
          const dropped = Array.from({ length: size - left }, (_, i) => [{ side: 'input', port, axis }, i] as const)
          const shrunk = evaluateShrunk(op, p.graph, p.node, closure(dropped, []), p.inputs, outputs)
          outputs.forEach((output, k) => {
            const actual = shrunk.get(outputName(k))
            expect(actual && difference(output, actual), `axis ${axis}, ${left} left`).toBe(0)
          })
          checked += 1
        }
      })
    })
    expect(checked > 0).toBe(p.inputs.some((_, port) => isComputed(p, port)))
  },
)

/** Numbers that slices are set to. */
const candidates = [0, 1, -1, 0.5, 2]

/** The same for integers that stand for real numbers. */
const integers = [0, 1, 3, 100, 7]

const isWhole = (x: Dense | undefined): boolean => x !== undefined && isQuantized(x.dtype)

const isToldApart = (dtype: DType): boolean => isFloat(dtype) || isQuantized(dtype)

describe('constants', () => {
  const informed = new Set<string>()

  test.each(cases)('%s: a constant slice is what the operator says', (_, one) => {
    const p = problemOf(one, 3)
    const { op, ctx, outputs } = p
    const constant = transferOf(op)
    const computed = p.inputs.flatMap((x, port) =>
      x !== undefined && isToldApart(x.dtype) && isComputed(p, port) ? [port] : [],
    )
    if (constant === undefined || outputs === undefined || op.links === 'opaque' || op.links(ctx) === 'opaque') return
    const all = linksOfProblem(p)
    outputs.forEach((output, k) =>
      output.shape.forEach((size, axis) => {
        const here = all.filter((l) => l.output === k && l.outputAxis === axis)
        for (let index = 0; index < size; index++) {
          const subsets = [computed, ...computed.map((port) => [port]), []]
          for (const [round, c] of candidates.entries()) {
            for (const chosen of subsets) {
              // Different constants for different ports.
              const valueOf = (port: number): number =>
                (isWhole(p.inputs[port]) ? integers : candidates)[(round + port) % candidates.length] ?? c
              const set = (inputs: ReadonlyArray<Dense | undefined>): ReadonlyArray<Dense | undefined> =>
                inputs.map((x, port) => {
                  const link = here.find((l) => l.input === port)
                  if (x === undefined || !chosen.includes(port)) return x
                  if (link === undefined) return fill(x, undefined, 0, valueOf(port))
                  const at = sourceOf(link, index)
                  return at < 0 ? x : fill(x, link.inputAxis, at, valueOf(port))
                })
              const slices = p.inputs.map((x, port) => factOf(p, x, port, here, index, chosen, valueOf(port)))
              const claim = constant(ctx, slices, k, axis)
              if (claim === undefined) continue
              informed.add(op.name)
              // A rounding error in what is known must not decide between two quite different constants.
              const inexactness = isWhole(output) ? 2 ** -20 : 2 ** -12
              for (const error of [1 - inexactness, 1 + inexactness]) {
                const inexact = slices.map((fact, port) =>
                  typeof fact === 'number' && chosen.includes(port) && !isWhole(p.inputs[port]) ? fact * error : fact,
                )
                const other = constant(ctx, inexact, k, axis) ?? claim
                expect(Math.abs(other - claim), `${String(slices)}`).toBeLessThan(
                  2 ** -6 * Math.max(1, Math.abs(claim)),
                )
              }
              for (const seed of [4, 5]) {
                const [actual] = [withInputs(p, set(valuesOf(one.sample, seed)))[k]]
                const slice = actual === undefined ? [NaN] : sliceOf(actual, axis, index)
                for (const v of slice) {
                  expect(Math.abs(v - claim), `axis ${axis}, index ${index}, ${String(slices)}`).toBeLessThanOrEqual(
                    (isHalf(actual) ? 2 ** -10 : 2 ** -22) * Math.max(1, Math.abs(claim)),
                  )
                }
              }
            }
          }
        }
      }),
    )
  })

  test('every operator that tracks constants says one for some sample', () => {
    const silent = allOps.filter((op) => op.constant !== undefined && !informed.has(op.name)).map((op) => op.name)
    expect(silent).toEqual(silentByNature)
  })

  /** Operators with a transfer function that has nothing to say for the numbers above. */
  const silentByNature: ReadonlyArray<string> = []

  const isHalf = (tensor: Dense | undefined): boolean => tensor?.dtype === 'float16' || tensor?.dtype === 'bfloat16'
})

describe('finite numbers', () => {
  const totals = cases.filter(([, { op, sample }]) => {
    const p = problemOf({ op, sample }, 1)
    return op.total === true && p.outputs !== undefined && p.inputs.some((x) => x !== undefined && isFloat(x.dtype))
  })

  /** The largest, smallest and ordinary numbers of a type, of both signs. */
  const extremes = (x: Dense, seed: number): Dense => {
    const { largest, normal, tiny } = precisionOf(x.dtype)
    const uniform = uniforms(seed)
    const sizes = [largest, largest / 3, normal, tiny, 0, 1, 20]
    const values = Float64Array.from({ length: sizeOf(x.shape) }, () => {
      const size = sizes[Math.floor(uniform() * sizes.length)] ?? 0
      return uniform() < 0.5 ? -size : size
    })
    return tensorOf(x.dtype, x.shape, values)
  }

  test.each(totals)('%s: gives finite numbers for finite ones', (_, one) => {
    for (let seed = 0; seed < 20; seed++) {
      const p = problemOf(one, 3)
      const inputs = p.inputs.map((x, port) =>
        x !== undefined && isFloat(x.dtype) && isComputed(p, port) ? extremes(x, seed + port) : x,
      )
      for (const output of withInputs(p, inputs)) {
        if (isFloat(output.dtype)) for (const y of elements(output)) expect(Number.isFinite(Number(y))).toBe(true)
      }
    }
  })

  const passing = cases.filter(([, { op }]) => op.passes !== undefined)
  test.each(passing)('%s: passes on what it says it does', (_, one) => {
    const p = problemOf(one, 4)
    const [output] = p.outputs ?? []
    if (output === undefined || !isFloat(output.dtype)) return
    for (const value of [0, 1]) {
      for (const other of [0, 1]) {
        const slices = [0, 1].map((port) => (port === other ? value : undefined))
        const port = p.op.passes?.(p.ctx, slices)
        if (port === undefined || !isComputed(p, other)) continue
        expect(port).toBe(1 - other)
        const inputs = p.inputs.map((x, at) => {
          if (x === undefined) return x
          return tensorOf(x.dtype, x.shape, new Float64Array(sizeOf(x.shape)).fill(at === other ? value : 3.25))
        })
        for (const y of elements(withInputs(p, inputs)[0] ?? output)) expect(Number(y)).toBe(3.25)
      }
    }
  })
})

describe('contractions', () => {
  const contracted = cases.filter(([, one]) => {
    const p = problemOf(one, 1)
    const c = p.op.contraction?.(p.ctx)
    return c !== undefined && isComputed(p, c.port) && p.outputs !== undefined
  })

  interface Contracted extends Problem {
    readonly reads: Reads
    readonly outputs: ReadonlyArray<Dense>
    readonly x: Dense
  }

  const contractedOf = (one: Case, seed: number): Contracted => {
    const p = problemOf(one, seed)
    const c = p.op.contraction?.(p.ctx)
    const x = c && p.inputs[c.port]
    if (c === undefined || x === undefined || p.outputs === undefined) throw new Error('no contraction')
    return { ...p, reads: readsOfContraction(p.ctx, c), outputs: p.outputs, x }
  }

  /** The inputs with some channels of the contracted one set to constants. */
  /** Some channels of x, the same in all samples; the first sample of each. */
  const patternsOf = (p: Contracted, channels: ReadonlyArray<number>): Patterns => {
    const { axis } = p.reads.contraction
    const slices = new Map(
      channels.map((i) => {
        const all = sliceOf(p.x, axis, i)
        return [i, Float64Array.from(all.slice(0, all.length / (p.x.shape[0] ?? 1)))] as const
      }),
    )
    return { has: (i) => slices.has(i), slice: (i) => slices.get(i) ?? new Float64Array() }
  }

  /** `x` with the patterns in place. */
  const withPatterns = (p: Contracted, patterns: Patterns): Contracted => {
    const { axis } = p.reads.contraction
    const values = copyElements(p.x)
    const inner = sizeOf(p.x.shape.slice(axis + 1))
    values.forEach((_, k) => {
      const channel = Math.floor(k / inner) % p.reads.inputs
      const slice = patterns.slice(channel)
      if (axis !== 1 || !patterns.has(channel)) return
      values[k] = slice[k % inner] ?? NaN
    })
    return { ...p, x: tensorOf(p.x.dtype, p.x.shape, values) }
  }

  const withChannels = (p: Contracted, constants: Float64Array): ReadonlyArray<Dense | undefined> => {
    const { port, axis } = p.reads.contraction
    let x = p.x
    constants.forEach((c, i) => {
      if (!Number.isNaN(c)) x = fill(x, axis, i, c)
    })
    return p.inputs.map((tensor, at) => (at === port ? x : tensor))
  }

  test.each(contracted)('%s: an output depends on the channels it reads only', (_, one) => {
    const p = contractedOf(one, 1)
    const { contraction } = p.reads
    for (let o = 0; o < p.reads.outputs; o++) {
      const needed = neededInputs(p.reads, (at) => at === o)
      const others = new Float64Array(p.reads.inputs).map((_, i) => (needed[i] === 1 ? NaN : 7))
      const [changed] = withInputs(p, withChannels(p, others))
      const [before] = p.outputs
      if (changed === undefined || before === undefined) throw new Error('no output')
      expect(sliceOf(changed, contraction.outputAxis, o)).toEqual(sliceOf(before, contraction.outputAxis, o))
    }
  })

  /** Numbers that an input channel of a contraction may hold everywhere; the first counts as zero, where that is known. */
  const heldBy = ({ contraction: { counts } }: Reads, x: Dense): ReadonlyArray<number> => {
    if (counts === undefined) return candidates
    const low = x.dtype === 'int8' ? -128 : 0
    const zero = Array.from({ length: 256 }, (_, i) => low + i).find((q) => counts(q) === 0)
    return zero === undefined ? integers : [zero, 3, 100, zero, 17]
  }

  test.each(contracted)('%s: output channels said to be constant are', (_, one) => {
    const uniform = uniforms(11)
    for (let round = 0; round < 12; round++) {
      const p = contractedOf(one, 20 + round)
      const held = heldBy(p.reads, p.x)
      const share = [0, 0.5, 1][round % 3] ?? 1
      const constants = new Float64Array(p.reads.inputs).map(() =>
        uniform() < share ? (held[Math.floor(uniform() * held.length)] ?? 0) : NaN,
      )
      const claims = constantOutputs(
        p.reads,
        round % 6 < 3 ? constants : constants.map((c) => (Number.isNaN(c) ? c : (held[0] ?? 0))),
      ).values
      const [actual] = withInputs(
        p,
        withChannels(p, round % 6 < 3 ? constants : constants.map((c) => (Number.isNaN(c) ? c : (held[0] ?? 0)))),
      )
      claims.forEach((claim, o) => {
        if (Number.isNaN(claim) || actual === undefined) return
        for (const v of sliceOf(actual, p.reads.contraction.outputAxis, o)) {
          expect(Math.abs(v - claim)).toBeLessThanOrEqual(toleranceOf(actual) * Math.max(1, Math.abs(claim)))
        }
      })
      const { uniform: isUniform, counts } = p.reads.contraction
      if (share === 1 && isUniform && counts === undefined && claims.every(Number.isNaN)) {
        for (let o = 0; o < p.reads.outputs; o++) expect(p.reads.contraction.bias(o)).toBeUndefined()
      }
    }
  })

  const toleranceOf = (tensor: Dense): number =>
    tensor.dtype === 'float16' ? 2 ** -8 : tensor.dtype === 'float64' ? 2 ** -45 : 2 ** -18

  test.each(contracted)('%s: shrunk, it computes what it did', (_, one) => {
    const uniform = uniforms(13)
    const some = (n: number, share: number): Uint8Array => new Uint8Array(n).map(() => (uniform() < share ? 1 : 0))
    let shrunken = 0
    for (let round = 0; round < 40; round++) {
      const drawn = contractedOf(one, 40 + round)
      const { contraction: c, inputs: into, outputs: out } = drawn.reads
      const links = linksOfProblem(drawn)
      const held = heldBy(drawn.reads, drawn.x)
      const constants = new Float64Array(into).map(() =>
        uniform() < 0.6 ? (held[Math.floor(uniform() * held.length)] ?? 0) : NaN,
      )
      const patterned = some(into, c.contract === undefined ? 0 : 0.5)
      const isPattern = (i: number): boolean => patterned[i] === 1 && Number.isNaN(constants[i] ?? NaN)
      const patterns = patternsOf(
        drawn,
        Array.from(patterned.keys()).filter((i) => isPattern(i)),
      )
      const p = withPatterns(drawn, patterns)
      const input = some(into, 0.5).map((kept, i) => (Number.isNaN(constants[i] ?? NaN) && !isPattern(i) ? 1 : kept))
      const output = some(out, round % 4 === 0 ? 1.1 : 0.7)
      if (c.groups > 1 && round % 4 === 0) dropGroups(p.reads, some(c.groups, 0.5), constants, input, output)
      if (c.groups > 1 && round % 4 === 2) thinGroups(p.reads, round % c.groups, constants, input, output)
      if (c.missed !== undefined && round % 2 === 0) dropRuns(some(into, 0.5), constants, input)
      const inexact = some(out, round % 3 === 0 ? 0.3 : 0)
      const detours = { isBordered: round % 2 === 1 && c.contract !== undefined, isGathered: round % 5 === 1 }
      if (!settle(p, links, constants, patterns, input, output, detours)) continue
      const drops = closure(
        [
          ...[...input.keys()]
            .filter((i) => input[i] === 0)
            .map((i) => [{ side: 'input', port: c.port, axis: c.axis }, i] as const),
          ...[...output.keys()]
            .filter((o) => output[o] === 0)
            .map((o) => [{ side: 'output', port: 0, axis: c.outputAxis }, o] as const),
        ],
        links,
      )
      if (drops.size === 0) continue
      shrunken += 1
      const inputs = withChannels(p, constants)
      const [whole] = withInputs(p, inputs)
      if (whole === undefined) throw new Error('no output')
      const shrunk = evaluateShrunk(p.op, p.graph, p.node, drops, inputs, [whole], {
        constantsOf: (port, axis) => (port === c.port && axis === c.axis ? constants : undefined),
        patternsOf: (port, axis) => (port === c.port && axis === c.axis ? patterns : undefined),
        isBordered: detours.isBordered,
        exactOutput: (k, axis) => (k === 0 && axis === c.outputAxis ? inexact.map((d) => 1 - d) : undefined),
      }).get(outputName(0))
      const rest = dropFrom(whole, 'output', 0, drops)
      if (shrunk === undefined) throw new Error('no output')
      expect(shrunk.shape).toEqual(rest.shape)
      expect(shrunk.dtype).toEqual(rest.dtype)
      const kept = [...output.keys()].filter((o) => output[o] === 1)
      kept.forEach((o, at) => {
        // An output that nothing needs is written as zeros, so that what follows it is f(0).
        const blank = c.makes === undefined ? 0 : c.makes(0)
        if (inexact[o] === 1 && c.payable)
          expect(sliceOf(shrunk, c.outputAxis, at).every((v) => v === blank)).toBe(true)
        if (inexact[o] === 1) return
        const [expected, actual] = [sliceOf(rest, c.outputAxis, at), sliceOf(shrunk, c.outputAxis, at)]
        const scale = Math.max(4, ...expected.map(Math.abs))
        actual.forEach((v, i) =>
          expect(Math.abs(v - (expected[i] ?? NaN)), `round ${round}, output ${o}`).toBeLessThanOrEqual(
            toleranceOf(rest) * scale,
          ),
        )
      })
    }
    expect(shrunken).toBeGreaterThan(5)
  })

  /** Keeps the groups in `kept` whole and drops the others, their inputs constant. */
  const dropGroups = (
    { inputsPerGroup, outputsPerGroup }: Reads,
    kept: Uint8Array,
    constants: Float64Array,
    input: Uint8Array,
    output: Uint8Array,
  ): void => {
    output.forEach((_, o) => (output[o] = kept[Math.floor(o / outputsPerGroup)] ?? 1))
    input.forEach((_, i) => {
      input[i] = kept[Math.floor(i / inputsPerGroup)] ?? 1
      if (input[i] === 0 && Number.isNaN(constants[i] ?? NaN)) constants[i] = 2
    })
  }

  /** Drops sixteen inputs in a row or none of them, as `kept` says; the first stay. What goes is constant. */
  const dropRuns = (kept: Uint8Array, constants: Float64Array, input: Uint8Array): void => {
    input.forEach((_, i) => {
      input[i] = i < 16 || kept[Math.floor(i / 16)] === 1 ? 1 : 0
      if (input[i] === 0 && Number.isNaN(constants[i] ?? NaN)) constants[i] = 2
    })
  }

  /** Keeps one group whole and of the others an output that reads nothing, so that groups are better merged. */
  const thinGroups = (
    { inputsPerGroup, outputsPerGroup }: Reads,
    whole: number,
    constants: Float64Array,
    input: Uint8Array,
    output: Uint8Array,
  ): void => {
    output.forEach((_, o) => {
      const stays = Math.floor(o / outputsPerGroup) === whole || o % outputsPerGroup === 0
      output[o] = stays ? 1 : 0
    })
    input.forEach((_, i) => {
      input[i] = Math.floor(i / inputsPerGroup) === whole ? 1 : 0
      if (input[i] === 0) constants[i] = 0
    })
  }

  /**
   * Puts channels back until the operator is legal, linked channels agree and removed constants can be paid for. False
   * when nothing would be left, or nothing goes.
   */
  const settle = (
    p: Contracted,
    links: ReadonlyArray<AxisLink>,
    constants: Float64Array,
    patterns: Patterns,
    input: Uint8Array,
    output: Uint8Array,
    { isBordered, isGathered }: { readonly isBordered: boolean; readonly isGathered: boolean },
  ): boolean => {
    const { contraction: c } = p.reads
    const channel = links.find((l) => l.input === c.port && l.inputAxis === c.axis && l.outputAxis === c.outputAxis)
    for (let changed = true; changed;) {
      changed = false
      const put = (side: Uint8Array, i: number): void => {
        if (side[i] === 1) return
        side[i] = 1
        changed = true
      }
      const back = (isGathered ? emptyGroups : planGroups)(p.reads, c.groups, { input, output })
      if (c.groups > 1) {
        for (const i of back.backInputs) put(input, i)
        for (const o of back.backOutputs) put(output, o)
      }
      for (const i of c.missed?.((k) => input[k] === 1) ?? []) put(input, i)
      for (let o = 0; o < p.reads.outputs && channel?.from !== undefined; o++) {
        const i = placeOf(channel.from, o)
        if (input[i] === 1) put(output, o)
        if (output[o] === 1) put(input, i)
      }
      if (!isBordered) for (const i of input.keys()) if (patterns.has(i)) put(input, i)
      if (!(c.uniform && c.payable) && !isBordered) {
        for (let o = 0; o < p.reads.outputs; o++) {
          if (output[o] === 0) continue
          const [first, end] = p.reads.inputsOf(o)
          const channels = Array.from({ length: end - first }, (_, i) => first + i)
          const isConstant = (i: number): boolean => {
            const held = constants[i] ?? NaN
            return !Number.isNaN(held) && (c.counts?.(held) ?? held) !== 0
          }
          const owes = channels.find((i) => input[i] === 0 && isConstant(i) && p.reads.reads(o, i))
          const isHeld = p.reads.weight.tag === 'Held'
          const hasCarrier = !isHeld && channels.some((i) => input[i] === 1 && isConstant(i))
          if (owes !== undefined && !hasCarrier) put(input, owes)
        }
      }
    }
    return input.includes(1) && output.includes(1) && (input.includes(0) || output.includes(0))
  }
})

describe('rewrites', () => {
  test.each(cases)('%s: an identity is one, a simpler equivalent computes the same', (_, one) => {
    const p = problemOf(one, 8)
    const [output] = p.outputs ?? []
    const port = p.op.identity?.(p.ctx)
    const input = port === undefined ? undefined : p.inputs[port]
    if (port !== undefined) expect(output && input && difference(input, output)).toBe(0)
    let count = 0
    const rewrite = p.op.simplify?.(p.ctx, (hint) => `${hint}#${count++}`)
    if (rewrite === undefined || output === undefined) return
    const values = evaluateRewrite(p.graph, rewrite, valuesByName(p))
    p.outputs?.forEach((before, k) => {
      const after = values.get(outputName(k))
      expect(after && difference(before, after)).toBeLessThanOrEqual(isFloat(before.dtype) ? 2 ** -20 : 0)
    })
  })

  const valuesByName = (p: Problem): ReadonlyMap<string, Dense> =>
    new Map(p.inputs.flatMap((x, port) => (x === undefined ? [] : [[inputName(port), x] as const])))

  const optional = cases.filter(([, { op, sample }]) =>
    sample.inputs.some((x, k) => x && op.omitted?.(k) !== undefined),
  )

  test.each(optional)('%s: an operand that is left out stands for the number that the operator says', (_, one) => {
    const p = problemOf(one, 9)
    let checked = 0
    p.inputs.forEach((x, port) => {
      const number = p.op.omitted?.(port)
      if (x === undefined || number === undefined) return
      const left = p.node.inputs.map((name, k) => (k === port ? '' : name))
      const without = evaluateNode(
        p.graph,
        { ...p.node, inputs: left },
        p.inputs.map((other, k) => (k === port ? undefined : other)),
      )
      const filled = p.inputs.map((other, k) => (k === port ? fill(x, undefined, 0, number) : other))
      expect(without).toEqual(withInputs(p, filled))
      checked += 1
    })
    expect(checked).toBeGreaterThan(0)
  })

  const widening = cases.filter(([, { op, sample }]) => op.broadcasts !== undefined && sample.noRuntime === undefined)

  test.each(widening)('%s: an operand may be given in its smallest shape', async (_, { op, sample }) => {
    const p = problemOf({ op, sample }, 9)
    for (const [port, x] of p.inputs.entries()) {
      if (x === undefined || op.broadcasts?.(port) !== true) continue
      for (let axis = 0; axis < x.shape.length; axis++) {
        const shape = x.shape.map((size, a) => (a === axis ? size : 1))
        const small = materialize(gatherFirst(x, axis))
        expect(small.shape).toEqual(shape)
        const whole = withInputs(
          p,
          p.inputs.map((other, at) => (at === port ? widen(small, x.shape) : other)),
        )
        const inputs = sample.inputs.map((other, at) => (other && at === port ? { ...other, shape } : other))
        const smaller: Sample = { ...sample, inputs }
        const values = p.inputs.map((other, at) => (at === port ? small : other))
        const type = typesOf(op, smaller, values)
        // The passes keep the operand as it was where the output would get another type.
        if (JSON.stringify(type) !== JSON.stringify(p.graph.types.get(outputName(0)))) continue
        const [actual] = await runSample(op, smaller, values)
        const [expected] = whole
        expect(actual && expected && difference(expected, actual)).toBeLessThanOrEqual(2 ** -9)
      }
    }
  })

  /** Type of output 0; undefined where the node is none. */
  const typesOf = (op: AnyOp, s: Sample, values: ReadonlyArray<Dense | undefined>): ValueType | undefined => {
    const types = s.inputs.map((x, port) => (x === undefined ? undefined : tensorType(x.dtype, values[port]?.shape)))
    const { attrs, outputs } = nodeOf(op, s)
    const context = { attrs, opset: s.opset, inputs: types, outputNames: outputs }
    const inferred = op.inferTypes({ ...context, constant: () => undefined, content: () => undefined })
    return E.isLeft(inferred) ? undefined : inferred.right[0]
  }

  const gatherFirst = (x: Dense, axis: number): Tensor =>
    x.shape.reduce<Tensor>((t, _, a) => (a === axis ? t : gather(t, a, new Int32Array(1))), x)

  const widen = (x: Dense, shape: ReadonlyArray<number>): Dense =>
    materialize(shape.reduce<Tensor>((t, size, a) => (t.shape[a] === size ? t : gather(t, a, new Int32Array(size))), x))
})

describe('attributes', () => {
  test.each(cases)('%s: read and written back', (_, { op, sample }) => {
    const node = nodeOf(op, sample)
    const encoded = encodeAttributes(node)
    for (const [key, raw] of encoded) expect(raw, key).toEqual(sample.attributes[key])
    expect(decodeAttributes(op, encoded)).toEqual(E.right(node.attrs))
  })
})

describe('ONNX Runtime', () => {
  const evaluated = cases.filter(([, { sample }]) => sample.noRuntime === undefined)

  test.each(evaluated)('%s: agrees', async (_, one) => {
    const p = problemOf(one, 6)
    if (p.outputs === undefined) return
    const actual = await runSample(one.op, one.sample, p.inputs)
    p.outputs.forEach((output, k) => {
      const other = actual[k]
      if (other === undefined) throw new Error(`no output ${k}`)
      const exact = !isFloat(output.dtype)
      const tolerance = exact
        ? 0
        : output.dtype === 'float16'
          ? 2 ** -9
          : output.dtype === 'float64'
            ? 2 ** -40
            : 2 ** -18
      expect(difference(output, other)).toBeLessThanOrEqual(tolerance)
    })
  })
})

describe('equal channels', () => {
  /** The tensor with slice `to` along an axis set to slice `from`. */
  const copySlice = (tensor: Dense, axis: number, from: number, to: number): Dense => {
    const places = Int32Array.from({ length: tensor.shape[axis] ?? 0 }, (_, i) => (i === to ? from : i))
    return materialize(gather(tensor, axis, places))
  }
  let found = 0
  test.each(cases)('%s: makes equal channels of equal ones', (_, one) => {
    const p = problemOf(one, 3)
    if (p.outputs === undefined) return
    for (const [port, x] of p.inputs.entries()) {
      if (x === undefined || !isComputed(p, port)) continue
      for (const [axis, size] of x.shape.entries()) {
        if (!linksOfProblem(p).some((link) => link.input === port && link.inputAxis === axis)) continue
        for (const [from, to] of [
          [0, 1],
          [0, size - 1],
          [1, size - 1],
        ] as const) {
          if (from >= to || to >= size) continue
          const inputs = p.inputs.map((tensor, k) => (k === port ? copySlice(x, axis, from, to) : tensor))
          const classes = Int32Array.from({ length: size }, (_, i) => (i === to ? from : i))
          const equal = equalChannelsAlong(
            p.graph,
            () => true,
            (value, a) => (value === inputName(port) && a === axis ? classes : undefined),
          )
          const outputs = withInputs(p, inputs)
          outputs.forEach((output, k) => {
            for (const along of output.shape.keys()) {
              equal(outputName(k), along)?.forEach((first, o) => {
                if (first === o) return
                found += 1
                const what = `port ${port} axis ${axis}: ${from} is ${to}, output ${k} axis ${along}: ${first} is ${o}`
                expect(sliceOf(output, along, o), what).toEqual(sliceOf(output, along, first))
              })
            }
          })
        }
      }
    }
  })
  test('and there were some', () => {
    expect(found).toBeGreaterThan(1000)
  })
})
