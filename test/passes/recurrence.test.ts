/** What goes from recurrences: units, features and directions, masked as a user would; each result runs like the masked model. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import type { RecurrentAttributes } from '../../src/ir/families/recurrent-cells.ts'
import type { Node } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, materialize, tensorOf } from '../../src/ir/tensor.ts'
import { elementMask, noMasks } from '../../src/masks/mask.ts'
import { compile, macsOf } from '../../src/passes/compile.ts'
import { inspect } from '../../src/passes/inspect.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'
import { normals, uniforms } from '../inflate.ts'

type Kind = 'LSTM' | 'GRU' | 'RNN'

const gatesOf: Readonly<Record<Kind, number>> = { LSTM: 4, GRU: 3, RNN: 1 }

/** Runs masked and compiled model; the recurrences that are left. */
const compiled = async (graph: Graph) => {
  const { compiled, worst } = await compareCompiled(graph, noMasks, { target: 'cpu' })
  expect(worst).toBeLessThan(1e-5)
  const after = compiled.graph
  const recurrences = after.nodes.filter((node) => node.op in gatesOf)
  const shape = (node: Node | undefined, port: number): string =>
    after.constants.get(node?.inputs[port] ?? '')?.shape.join('x') ?? ''
  return {
    graph: after,
    recurrences,
    /** Shapes of the weights for features and for units. */
    shapes: recurrences.map((node) => `${shape(node, 1)} ${shape(node, 2)}`),
    biases: recurrences.map((node) => {
      const bias = after.constants.get(node.inputs[3] ?? '')
      return bias === undefined ? [] : Array.from(elements(materialize(bias)), Number)
    }),
    ops: after.nodes.map(({ op }) => op),
    share: macsOf(after) / macsOf(graph),
    layers: new Map(compiled.report.layers.map((layer) => [layer.weight, layer])),
  }
}

interface Options {
  readonly kind: Kind
  readonly features: number
  readonly units: number
  readonly directions?: number
  /** By direction units of which all rows of W, R and B and the column of R are zero. */
  readonly dead?: ReadonlyArray<ReadonlyArray<number>>
  /** Units whose rows only are zero: they hold zero, but others read them. */
  readonly silent?: ReadonlyArray<number>
  /** Units that no unit reads, but that compute. */
  readonly unread?: ReadonlyArray<number>
  /** Features that no unit reads. */
  readonly blind?: ReadonlyArray<number>
  readonly bias?: boolean
  readonly attrs?: Partial<RecurrentAttributes>
  readonly linear_before_reset?: number
  /** Further operands: lengths, first states, peepholes. */
  readonly more?: ReadonlyArray<string>
  readonly outputs?: number
}

const numbers = (seed: number) => normals(uniforms(seed))

/** A recurrence with masked structure; the name of its first output. */
const recurrence = (b: GraphBuilder, name: string, x: string, o: Options): string => {
  const { features, units, directions = 1, dead = [], silent = [], unread = [], blind = [], bias = true } = o
  const gates = gatesOf[o.kind]
  const draw = numbers(name.length + 3)
  const rows = gates * units
  const isDead = (d: number, u: number): boolean => dead[d]?.includes(u) === true
  const isSilent = (d: number, u: number): boolean => isDead(d, u) || silent.includes(u)
  const fill = (columns: number, isZero: (d: number, unit: number, column: number) => boolean): number[] =>
    Array.from({ length: directions * rows * columns }, (_, k) => {
      const [column, row, d] = [k % columns, Math.floor(k / columns) % rows, Math.floor(k / columns / rows)]
      const value = 0.5 * draw()
      return isZero(d, row % units, column) ? 0 : value
    })
  const w = b.floats(
    `${name}.W`,
    fill(features, (d, u, i) => isSilent(d, u) || blind.includes(i)),
    [directions, rows, features],
  )
  const r = b.floats(
    `${name}.R`,
    fill(units, (d, u, v) => isSilent(d, u) || isDead(d, v) || unread.includes(v)),
    [directions, rows, units],
  )
  const biases = fill(2, (d, u) => isSilent(d, u))
  const both = Array.from({ length: directions * 2 * rows }, (_, k) => {
    const [d, part, row] = [Math.floor(k / (2 * rows)), Math.floor(k / rows) % 2, k % rows]
    return biases[(d * rows + row) * 2 + part] ?? 0
  })
  const inputs = [x, w, r, bias ? b.floats(`${name}.B`, both, [directions, 2 * rows]) : '', ...(o.more ?? [])]
  const attrs = {
    hidden_size: units,
    direction: directions === 2 ? ('bidirectional' as const) : ('forward' as const),
    ...o.attrs,
  }
  const { outputs, linear_before_reset = 0 } = o
  if (o.kind === 'LSTM') return b.op(ops.LSTM, inputs, attrs, outputs ?? 3)
  if (o.kind === 'GRU') return b.op(ops.GRU, inputs, { ...attrs, linear_before_reset }, outputs ?? 2)
  return b.op(ops.RNN, inputs, attrs, outputs ?? 2)
}

/** Another output than the first one. */
const output = (first: string, k: number): string => first.replace(/0$/, `${k}`)

/** All states of one direction, read by a linear layer whose columns for some units are zero. */
const readAll = (b: GraphBuilder, y: string, units: number, outs: number, unread: ReadonlyArray<number> = []): string =>
  b.op(ops.MatMul, [
    b.op(ops.Squeeze, [y, b.ints(`${y}.one`, [1])]),
    b.weight(`${y}.out`, [units, outs], { rows: unread }),
  ])

const every: ReadonlyArray<readonly [Kind, number]> = [
  ['LSTM', 0],
  ['GRU', 0],
  ['GRU', 1],
  ['RNN', 0],
]

describe.each(every)('%s, linear before reset %i', (kind, linear_before_reset) => {
  const gates = gatesOf[kind]
  const base = { kind, linear_before_reset, features: 6, units: 8 }

  test('loses units that are masked, and features that nothing reads', async () => {
    const { shapes, recurrences, share } = await compiled(
      buildGraph({ x: [5, 'N', 6] }, (b) => {
        const y = recurrence(b, 'r', 'x', { ...base, dead: [[1, 4, 5]] })
        return [readAll(b, y, 8, 4, [1, 4, 5])]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 5}x6 1x${gates * 5}x5`])
    expect(recurrences[0]?.attrs).toMatchObject({ hidden_size: 5 })
    expect(share).toBeLessThan((gates * 5 * (6 + 5) + 5 * 4) / (gates * 8 * (6 + 8) + 8 * 4) + 1e-9)
  })

  test('loses units that nothing reads in the end, though they compute', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: [5, 2, 6] }, (b) => {
        const y = recurrence(b, 'r', 'x', { ...base, unread: [0, 7] })
        return [readAll(b, y, 8, 4, [0, 7])]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 6}x6 1x${gates * 6}x6`])
  })

  test('loses units that hold zero, though others read them', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: ['T', 2, 6] }, (b) => [readAll(b, recurrence(b, 'r', 'x', { ...base, silent: [2, 3] }), 8, 4)]),
    )
    expect(shapes).toEqual([`1x${gates * 6}x6 1x${gates * 6}x6`])
  })

  test('keeps a unit that a needed unit reads', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: [5, 2, 6] }, (b) => [readAll(b, recurrence(b, 'r', 'x', base), 8, 4, [0, 1, 2])]),
    )
    expect(shapes).toEqual([`1x${gates * 8}x6 1x${gates * 8}x8`])
  })

  test('loses features that it does not read, with what makes them', async () => {
    const { shapes, layers } = await compiled(
      buildGraph({ x: [5, 'N', 10] }, (b) => {
        const x = b.op(ops.MatMul, ['x', b.weight('in', [10, 6])])
        return [readAll(b, recurrence(b, 'r', x, { ...base, blind: [0, 5] }), 8, 4)]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 8}x4 1x${gates * 8}x8`])
    expect(layers.get('in')?.outputs.after).toBe(4)
  })

  test('takes constant features into its bias, made where there is none', async () => {
    for (const bias of [true, false]) {
      const { shapes, biases } = await compiled(
        buildGraph({ x: [5, 'N', 10] }, (b) => {
          const product = b.op(ops.MatMul, ['x', b.weight('in', [10, 6], { columns: [1, 2] })])
          const x = b.op(ops.Add, [product, b.floats('in.bias', [0, 0.5, -1.5, 0, 0.25, 0])])
          return [readAll(b, recurrence(b, 'r', x, { ...base, bias }), 8, 4)]
        }),
      )
      expect(shapes).toEqual([`1x${gates * 8}x4 1x${gates * 8}x8`])
      expect(biases[0]?.length).toBe(2 * gates * 8)
      expect(biases[0]?.some((x) => x !== 0)).toBe(true)
    }
  })

  test('is gone where all of its units are masked', async () => {
    const { recurrences } = await compiled(
      buildGraph({ x: [5, 2, 6] }, (b) => {
        const y = readAll(b, recurrence(b, 'r', 'x', { ...base, silent: [0, 1, 2, 3, 4, 5, 6, 7] }), 8, 6)
        return [b.op(ops.Add, ['x', y])]
      }),
    )
    expect(recurrences).toEqual([])
  })

  test('reads last states as well, and shrinks with first states that are constant', async () => {
    const states = kind === 'LSTM' ? ['h', 'c'] : ['h']
    const { graph, recurrences, shapes } = await compiled(
      buildGraph(
        { x: ['T', 2, 6] },
        (b) => {
          const more = ['', ...states.map((name) => b.weight(name, [1, 2, 8]))]
          const y = recurrence(b, 'r', 'x', { ...base, unread: [1, 6], more })
          const last = b.op(ops.Squeeze, [output(y, 1), b.ints('zero', [0])])
          const sum = b.op(ops.ReduceMean, [readAll(b, y, 8, 4, [1, 6])], { axes: [0], keepdims: 0 })
          return [sum, b.op(ops.MatMul, [last, b.weight('last', [8, 3], { rows: [1, 6] })])]
        },
        { opset: 16 },
      ),
    )
    expect(shapes).toEqual([`1x${gates * 6}x6 1x${gates * 6}x6`])
    for (const port of states.map((_, k) => 5 + k)) {
      expect(graph.constants.get(recurrences[0]?.inputs[port] ?? '')?.shape).toEqual([1, 2, 6])
    }
  })

  test('does without first states that are zero, of a batch that is not known', async () => {
    const {
      recurrences,
      shapes,
      ops: left,
    } = await compiled(
      buildGraph({ x: [5, 'N', 6] }, (b) => {
        const size = b.op(ops.Gather, [b.op(ops.Shape, ['x']), b.ints('batch', [1])], { axis: 0 })
        const sizes = b.op(ops.Concat, [b.ints('one', [1]), size, b.ints('units', [8])], { axis: 0 })
        const first = b.op(ops.ConstantOfShape, [sizes])
        const more = ['', ...(kind === 'LSTM' ? [first, first] : [first])]
        return [readAll(b, recurrence(b, 'r', 'x', { ...base, silent: [1, 6], more }), 8, 4)]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 6}x6 1x${gates * 6}x6`])
    expect(recurrences[0]?.inputs.slice(4).filter((input) => input !== '')).toEqual([])
    expect(left).not.toContain('ConstantOfShape')
  })

  test('keeps what starts with something else than what it holds', async () => {
    const states = kind === 'LSTM' ? ['h', 'c'] : ['h']
    const { shapes } = await compiled(
      buildGraph({ x: [5, 2, 6] }, (b) => {
        const more = ['', ...states.map((name) => b.weight(name, [1, 2, 8]))]
        return [readAll(b, recurrence(b, 'r', 'x', { ...base, silent: [1, 6], more }), 8, 4)]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 8}x6 1x${gates * 8}x8`])
  })

  test('loses the same units in both directions, whose states are merged', async () => {
    const gone = [0, 3, 4]
    const { shapes } = await compiled(
      buildGraph({ x: [5, 'N', 6] }, (b) => {
        const y = recurrence(b, 'r', 'x', { ...base, directions: 2, dead: [gone, gone] })
        const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('s', [0, 0, 16])])
        return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4])])]
      }),
    )
    expect(shapes).toEqual([`2x${gates * 5}x6 2x${gates * 5}x5`])
  })

  test('loses other units in each direction, as many of both', async () => {
    const cases = [
      [[0, 3, 4], [1, 2, 7], 5],
      [[0, 3, 4], [2], 7],
      [[], [5, 6], 8],
    ] as const
    for (const [forward, reverse, left] of cases) {
      const { shapes, layers } = await compiled(
        buildGraph({ x: [5, 'N', 6] }, (b) => {
          const y = recurrence(b, 'r', 'x', { ...base, directions: 2, dead: [forward, reverse] })
          const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('s', [0, 0, 16])])
          return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4])])]
        }),
      )
      expect(shapes).toEqual([`2x${gates * left}x6 2x${gates * left}x${left}`])
      expect(layers.get('out')?.inputs.after).toBe(2 * left)
    }
  })

  test('loses other units in each direction of last states, with constant first ones', async () => {
    const states = kind === 'LSTM' ? ['h', 'c'] : ['h']
    const { graph, recurrences, shapes } = await compiled(
      buildGraph({ x: ['T', 2, 6] }, (b) => {
        const more = ['', ...states.map((name) => b.weight(name, [2, 2, 8]))]
        const dead = [
          [0, 3],
          [1, 2],
        ]
        const last = output(recurrence(b, 'r', 'x', { ...base, directions: 2, dead, more }), 1)
        const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [last], { perm: [1, 0, 2] }), b.ints('s', [0, 16])])
        return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4], { rows: [0, 3, 9, 10] })])]
      }),
    )
    expect(shapes).toEqual([`2x${gates * 6}x6 2x${gates * 6}x6`])
    for (const port of states.map((_, k) => 5 + k)) {
      expect(graph.constants.get(recurrences[0]?.inputs[port] ?? '')?.shape).toEqual([2, 2, 6])
    }
  })

  test('loses units with first states that a layer makes, in each direction where these are told apart', async () => {
    // What a layer makes for both directions, for both alike, or for both sequences of the batch.
    const cases = [
      { of: 'directions', left: 6, made: 12 },
      { of: 'both', left: 7, made: 7 },
      { of: 'batch', left: 7, made: 14 },
    ] as const
    for (const { of, left, made: outputs } of cases) {
      const { shapes, layers } = await compiled(
        buildGraph({ x: [5, 2, 6], z: [2, 3] }, (b) => {
          const dead = [
            [0, 3],
            [3, 7],
          ]
          const made = (name: string): string => {
            if (of === 'both') {
              const state = b.op(ops.MatMul, ['z', b.weight(name, [3, 8])])
              const one = b.op(ops.Unsqueeze, [state, b.ints('zero', [0])])
              return b.op(ops.Concat, [one, one], { axis: 0 })
            }
            const state = b.op(ops.Reshape, [b.op(ops.MatMul, ['z', b.weight(name, [3, 16])]), b.ints('h', [2, 2, 8])])
            return of === 'batch' ? state : b.op(ops.Transpose, [state], { perm: [1, 0, 2] })
          }
          const more = ['', ...(kind === 'LSTM' ? ['first', 'cell'] : ['first']).map(made)]
          const y = recurrence(b, 'r', 'x', { ...base, directions: 2, dead, more })
          const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('s', [0, 0, 16])])
          return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4], { rows: [0, 3, 11, 15] })])]
        }),
      )
      expect(shapes).toEqual([`2x${gates * left}x6 2x${gates * left}x${left}`])
      expect(layers.get('first')?.outputs.after).toBe(outputs)
    }
  })

  test('loses the same units in both directions where weights are held as integers, rows in scales of their own', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: [5, 'N', 6] }, (b) => {
        const rows = 2 * gates * 8
        const dead = [
          [0, 3],
          [3, 7],
        ]
        const isDead = (row: number): boolean => dead[Math.floor(row / gates / 8)]?.includes(row % 8) === true
        const held = (name: string, columns: number): string => {
          const values = Array.from({ length: rows * columns }, (_, k) => {
            const [row, column] = [Math.floor(k / columns), k % columns]
            const isUnread = columns === 8 && isDead(row - (row % 8) + column)
            return isDead(row) || isUnread ? 0 : ((k * 37) % 251) - 125
          })
          const scales = Array.from({ length: rows / 2 }, (_, row) => 0.001 * (1 + (row % 5)))
          const stored = b.constant(name, tensorOf('int8', [2, rows / 2, columns], values))
          return b.op(ops.DequantizeLinear, [stored, b.floats(`${name}.scales`, scales)], { axis: 1 })
        }
        const inputs = ['x', held('W', 6), held('R', 8)]
        const attrs = { hidden_size: 8, direction: 'bidirectional' } as const
        const y =
          kind === 'LSTM'
            ? b.op(ops.LSTM, inputs, attrs, 3)
            : kind === 'GRU'
              ? b.op(ops.GRU, inputs, { ...attrs, linear_before_reset }, 2)
              : b.op(ops.RNN, inputs, attrs, 2)
        const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('s', [0, 0, 16])])
        return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4], { rows: [0, 3, 11, 15] })])]
      }),
    )
    expect(shapes).toEqual([`2x${gates * 7}x6 2x${gates * 7}x7`])
  })

  test('has a row in the layers of a report, of features and of units of all directions', async () => {
    const graph = buildGraph({ x: [5, 2, 10] }, (b) => {
      const x = b.op(ops.MatMul, ['x', b.weight('in', [10, 6])])
      const dead = [[0, 3, 4], [2]]
      const y = recurrence(b, 'r', x, { ...base, directions: 2, blind: [1], dead })
      const merged = b.op(ops.Reshape, [b.op(ops.Transpose, [y], { perm: [0, 2, 1, 3] }), b.ints('s', [0, 0, 16])])
      return [b.op(ops.MatMul, [merged, b.weight('out', [16, 4])])]
    })
    const { layers } = await compiled(graph)
    const row = layers.get('r.W')
    const kept = row?.outputs.kept ?? []
    expect(row).toMatchObject({
      op: kind,
      inputs: { before: 6, after: 5, kept: [0, 2, 3, 4, 5] },
      outputs: { before: 16, after: 14 },
      macs: {
        before: 2 * 5 * 2 * gates * 8 * (6 + 8),
        after: 2 * 5 * 2 * gates * 7 * (5 + 7),
      },
    })
    expect(kept.filter((k) => k >= 8)).toEqual([8, 9, 11, 12, 13, 14, 15])
    expect(row?.stays.map(({ side, reason, channels }) => [side, reason.kind, channels.length])).toEqual([
      ['output', 'groups', 2],
    ])
    // If each direction could shrink by itself: 12 units of 16 as if 6 of each.
    expect(row?.macs.alone).toBe(2 * 5 * 2 * gates * 6 * (5 + 6))

    const facts = orThrow(inspect(graph, noMasks)).layers.find(({ weight }) => weight === 'r.W')
    expect(facts).toMatchObject({ op: kind, shape: [2, 8 * gates, 6], constant: [0, 3, 4, 10], dead: [] })
    expect(facts?.density).toBeCloseTo((12 / 16) * (5 / 6), 6)
  })

  test('says why a mask of its weight takes effect nowhere', () => {
    const graph = buildGraph({ x: [5, 'N', 6] }, (b) => [readAll(b, recurrence(b, 'r', 'x', base), 8, 4)])
    const rows = graph.constants.get('r.W')?.shape[1] ?? 0
    const bits = new Uint8Array(rows * 6).fill(1)
    bits[3] = 0
    const { report } = orThrow(compile(graph, new Map([['r.W', elementMask([1, rows, 6], bits)]]), { target: 'cpu' }))
    expect(report.idleMasks.map(({ mask }) => mask)).toEqual(['r.W'])
  })

  test('keeps units of one direction whose last states are an output', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: [5, 'N', 6] }, (b) => {
        const y = recurrence(b, 'r', 'x', { ...base, directions: 2, dead: [[0], [1]] })
        return [output(y, 1)]
      }),
    )
    expect(shapes).toEqual([`2x${gates * 8}x6 2x${gates * 8}x8`])
  })

  test('loses a direction that nothing reads', async () => {
    for (const way of [0, 1]) {
      const { shapes, recurrences } = await compiled(
        buildGraph({ x: [5, 'N', 6] }, (b) => {
          const y = recurrence(b, 'r', 'x', { ...base, directions: 2 })
          const bounds = [b.ints('from', [way]), b.ints('to', [way + 1]), b.ints('axis', [1])]
          return [readAll(b, b.op(ops.Slice, [y, ...bounds]), 8, 4)]
        }),
      )
      expect(shapes).toEqual([`1x${gates * 8}x6 1x${gates * 8}x8`])
      expect(recurrences[0]?.attrs).toMatchObject({ direction: way === 0 ? 'forward' : 'reverse' })
    }
  })

  test('shrinks one behind another', async () => {
    const { shapes } = await compiled(
      buildGraph({ x: [5, 2, 6] }, (b) => {
        const first = recurrence(b, 'r', 'x', { ...base, dead: [[1, 2]] })
        const x = b.op(ops.Squeeze, [first, b.ints('one', [1])])
        const second = recurrence(b, 'second', x, { ...base, features: 8, units: 4, dead: [[3]] })
        return [readAll(b, second, 4, 3)]
      }),
    )
    expect(shapes).toEqual([`1x${gates * 6}x6 1x${gates * 6}x6`, `1x${gates * 3}x6 1x${gates * 3}x3`])
  })
})

test('units that all hold constants leave them behind', async () => {
  const { recurrences } = await compiled(
    buildGraph({ x: [5, 'N', 6] }, (b) => {
      const [w, r] = [b.floats('w', new Array<number>(12).fill(0), [1, 2, 6]), b.floats('r', [0, 0, 0, 0], [1, 2, 2])]
      const inputs = ['x', w, r, b.floats('b', [0.2, -0.1, 0.3, 0.4], [1, 4])]
      const y = b.op(ops.RNN, inputs, { hidden_size: 2 }, 2)
      const z = b.op(ops.Squeeze, [y, b.ints('one', [1])])
      return [b.op(ops.MatMul, [z, b.weight('out', [2, 4])])]
    }),
  )
  expect(recurrences).toEqual([])
})
