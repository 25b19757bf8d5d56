/** Sequences of which the members are known: what reads them reads these, and channels are followed through them. */
import { describe, expect, test } from 'vitest'
import { noMasks } from '../../src/masks/mask.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { compile } from '../../src/passes/compile.ts'
import { toFloat16 } from '../../src/package/float16.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, compareGraphs, orThrow } from '../fuzz/differential.ts'

/** A whole number as a scalar. */
const place = (b: GraphBuilder, name: string, at: number): string => b.constant(name, tensorOf('int64', [], [at]))

/** Operators of what is compiled of a layer of twelve channels, three of them dead, and `behind` it, which gives what is read. */
const operatorsOf = async (
  behind: (b: GraphBuilder, hidden: string) => ReadonlyArray<string>,
  opset = 17,
): Promise<ReadonlyArray<string>> => {
  const graph = buildGraph(
    { x: [4, 5] },
    (b) => behind(b, b.op(ops.Relu, [b.op(ops.MatMul, ['x', b.weight('w', [5, 12], { columns: [0, 5, 11] })])])),
    { opset },
  )
  const { compiled, worst } = await compareCompiled(graph, noMasks)
  expect(worst).toBeLessThan(1e-6)
  return compiled.graph.nodes.map(({ op }) => op)
}

const sequences = /Sequence/

describe('what is read of a sequence is read without it', () => {
  const sizes: ReadonlyArray<
    readonly [string, ReadonlyArray<number> | number | undefined, number, ReadonlyArray<number>]
  > = [
    ['one index each', undefined, 1, [0, 4, -1]],
    ['one index each, without the axis', undefined, 0, [0, 4, -12]],
    ['one size', 6, 1, [0, 1]],
    ['one size that leaves a rest', 5, 1, [0, -1]],
    ['one size beyond the axis', 20, 1, [0]],
    ['sizes', [1, 7, 4], 1, [1, -3]],
    ['sizes, and a word about the axis that says nothing then', [6, 6], 0, [0, 1]],
    ['one size as a list', [12], 0, [0]],
  ]
  for (const opset of [11, 13, 18]) {
    test.each(sizes)(`parts of a tensor: %s (opset ${opset})`, async (_, split, keepdims, places) => {
      const found = await operatorsOf((b, x) => {
        const given =
          split === undefined ? [] : [typeof split === 'number' ? place(b, 'split', split) : b.ints('split', split)]
        const all = b.op(ops.SplitToSequence, [x, ...given], { axis: -1, keepdims })
        return places.map((at) => {
          const part = b.op(ops.SequenceAt, [all, place(b, `at ${at}`, at)])
          return b.op(ops.Relu, [part])
        })
      }, opset)
      expect(found.join()).not.toMatch(sequences)
    })
  }

  test('values that were put in, at any place', async () => {
    const found = await operatorsOf((b, x) => {
      const [one, two, three] = [b.op(ops.Neg, [x]), b.op(ops.Exp, [x]), b.op(ops.Abs, [x])]
      const empty = b.op(ops.SequenceEmpty, [])
      const first = b.op(ops.SequenceInsert, [empty, one])
      const front = b.op(ops.SequenceInsert, [first, two, place(b, 'front', -1)])
      const end = b.op(ops.SequenceInsert, [front, three, place(b, 'end', 2)])
      const length = b.op(ops.SequenceLength, [end])
      const at = [0, 1, 2].map((k) => b.op(ops.SequenceAt, [end, place(b, `at ${k}`, k)]))
      const [shorter, without] = [b.op(ops.SequenceErase, [end]), b.op(ops.SequenceErase, [end, place(b, 'gone', -3)])]
      return [
        ...at,
        b.op(ops.Cast, [length], { to: 1 }),
        b.op(ops.ConcatFromSequence, [shorter], { axis: 1 }),
        b.op(ops.ConcatFromSequence, [without], { axis: -1, new_axis: 1 }),
      ]
    })
    expect(found.join()).not.toMatch(sequences)
  })

  test.each([11, 13])('in a row, of which some are parts (opset %d)', async (opset) => {
    const found = await operatorsOf((b, x) => {
      const halves = b.op(ops.SplitToSequence, [x, place(b, 'half', 6)], { axis: 1 })
      const more = b.op(ops.SequenceInsert, [halves, b.op(ops.SequenceAt, [halves, place(b, 'first', 0)])])
      const single = b.op(ops.SequenceConstruct, [x])
      return [
        b.op(ops.ConcatFromSequence, [more], { axis: 0, new_axis: 1 }),
        b.op(ops.ConcatFromSequence, [single], { axis: -1 }),
      ]
    }, opset)
    expect(found.join()).not.toMatch(sequences)
  })
})

test('channels are followed through parts', async () => {
  const graph = buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
    const hidden = b.op(ops.Relu, [b.op(ops.Conv, ['x', b.weight('w0', [16, 3, 3, 3], { rows: [0, 1, 2, 3, 9] })])])
    const halves = b.op(ops.SplitToSequence, [hidden, place(b, 'half', 8)], { axis: 1 })
    const [first, second] = [0, 1].map((k) => b.op(ops.SequenceAt, [halves, place(b, `at ${k}`, k)]))
    const more = b.op(ops.Conv, [first ?? '', b.weight('w1', [8, 8, 1, 1], { rows: [0, 1] })])
    return [b.op(ops.Conv, [b.op(ops.Concat, [more, second ?? ''], { axis: 1 }), b.weight('w2', [4, 16, 1, 1])])]
  })
  const { compiled, worst } = await compareCompiled(graph, noMasks, { sizes: new Map([['N', 2]]) })
  expect(worst).toBeLessThan(1e-6)
  const widths = compiled.report.layers.map(({ inputs, outputs }) => `${inputs.after} -> ${outputs.after}`)
  expect(widths).toEqual(['3 -> 11', '4 -> 6', '13 -> 4'])
})

describe('a sequence stays', () => {
  test('where it is computed which member is read, how large parts are, or how many there are', async () => {
    const stays = (body: (b: GraphBuilder, x: string) => ReadonlyArray<string>) => operatorsOf(body)
    const computed = await stays((b, x) => {
      const at = b.op(ops.ReduceMin, [b.op(ops.Cast, [b.op(ops.Sign, [x])], { to: 7 })], { keepdims: 0 })
      const halves = b.op(ops.SplitToSequence, [x, place(b, 'half', 6)], { axis: 1 })
      return [b.op(ops.Relu, [b.op(ops.SequenceAt, [halves, at])])]
    })
    expect(computed).toContain('SequenceAt')
    const nested = await stays((b, x) => {
      const at = b.op(ops.ReduceMin, [b.op(ops.Cast, [b.op(ops.Sign, [x])], { to: 7 })], { keepdims: 0 })
      const two = b.op(ops.SequenceConstruct, [x, b.op(ops.Neg, [x])])
      const one = b.op(ops.SequenceErase, [two, at])
      return [b.op(ops.SequenceAt, [one, place(b, 'only', 0)])]
    })
    expect(nested).toEqual(expect.arrayContaining(['SequenceConstruct', 'SequenceErase', 'SequenceAt']))
  })

  /** Operators of what is compiled of sequences of a vector. */
  const ofVector = async (
    size: number,
    body: (b: GraphBuilder, x: string) => ReadonlyArray<string>,
  ): Promise<ReadonlyArray<string>> => {
    const graph = buildGraph({ x: [size] }, (b) => body(b, b.op(ops.Relu, ['x'])))
    const { compiled, worst } = await compareCompiled(graph, noMasks)
    expect(worst).toBe(0)
    return compiled.graph.nodes.map(({ op }) => op)
  }

  test('of more parts put together than are worth a node each, or of more members than are looked into', async () => {
    const joined = (size: number) =>
      ofVector(size, (b, x) => [b.op(ops.ConcatFromSequence, [b.op(ops.SplitToSequence, [x])], { axis: 0 })])
    expect((await joined(32)).join()).not.toMatch(sequences)
    expect(await joined(33)).toEqual(['Relu', 'SplitToSequence', 'ConcatFromSequence'])
    const last = (size: number) =>
      ofVector(size, (b, x) => [b.op(ops.SequenceAt, [b.op(ops.SplitToSequence, [x]), place(b, 'last', -1)])])
    expect(await last(1024)).toEqual(['Relu', 'Slice'])
    expect(await last(1025)).toEqual(['Relu', 'SplitToSequence', 'SequenceAt'])
  })

  test('that an unrolled loop fills, beyond so many members, without memory for each of its lengths', () => {
    const graph = buildGraph({ x: [4] }, (b) => {
      let all = b.op(ops.SequenceEmpty, [])
      for (let i = 0; i < 1500; i++) all = b.op(ops.SequenceInsert, [all, 'x'])
      return [b.op(ops.ConcatFromSequence, [all], { axis: 0 })]
    })
    const { graph: compiled } = orThrow(compile(graph, noMasks))
    expect(compiled.nodes.at(-1)?.op).toBe('ConcatFromSequence')
  })

  test('where there is no such member', () => {
    const wrong: ReadonlyArray<(b: GraphBuilder) => string> = [
      (b) => b.op(ops.SequenceAt, [b.op(ops.SequenceConstruct, ['x']), place(b, 'beyond', 1)]),
      (b) => b.op(ops.SequenceAt, [b.op(ops.SequenceConstruct, ['x']), place(b, 'before', -2)]),
      (b) => b.op(ops.SequenceLength, [b.op(ops.SequenceErase, [b.op(ops.SequenceEmpty, [])])]),
      (b) =>
        b.op(ops.SequenceLength, [b.op(ops.SequenceInsert, [b.op(ops.SequenceEmpty, []), 'x', place(b, 'at', 1)])]),
      (b) => b.op(ops.ConcatFromSequence, [b.op(ops.SequenceEmpty, [])], { axis: 0 }),
      (b) => b.op(ops.SequenceLength, [b.op(ops.SplitToSequence, ['x', b.ints('sizes', [1, 2])])]),
      (b) => b.op(ops.SequenceLength, [b.op(ops.SplitToSequence, ['x', b.ints('sizes', [5, -1])])]),
      (b) => b.op(ops.SequenceLength, [b.op(ops.SplitToSequence, ['x', place(b, 'size', 0)])]),
    ]
    for (const body of wrong) {
      const { graph } = orThrow(
        compile(
          buildGraph({ x: [4] }, (b) => [body(b)]),
          noMasks,
        ),
      )
      expect(graph.nodes.at(-1)?.op).toMatch(sequences)
    }
  })

  test('where sizes are open, and as what the model gives', async () => {
    const open = buildGraph({ x: ['N', 6] }, (b) => {
      const rows = b.op(ops.SplitToSequence, [b.op(ops.Relu, ['x'])], { axis: 0, keepdims: 0 })
      return [b.op(ops.SequenceAt, [rows, place(b, 'last', -1)])]
    })
    const { compiled, worst } = await compareCompiled(open, noMasks, { sizes: new Map([['N', 3]]) })
    expect([worst, compiled.graph.nodes.map(({ op }) => op)]).toEqual([0, ['Relu', 'SplitToSequence', 'SequenceAt']])
    // A dimension that is open beside the one that is split.
    const beside = buildGraph({ x: ['N', 6] }, (b) => {
      const columns = b.op(ops.SplitToSequence, [b.op(ops.Relu, ['x'])], { axis: 1, keepdims: 0 })
      return [b.op(ops.SequenceAt, [columns, place(b, 'last', -1)])]
    })
    const found = await compareCompiled(beside, noMasks, { sizes: new Map([['N', 3]]) })
    expect([found.worst, found.compiled.graph.nodes.map(({ op }) => op)]).toEqual([0, ['Relu', 'Slice', 'Squeeze']])
  })
})

test('half precision leaves a sequence that stays in float32', async () => {
  const graph = buildGraph({ x: [4, 8] }, (b) => {
    const hidden = b.op(ops.MatMul, ['x', b.weight('w', [8, 8])])
    const at = b.op(ops.ReduceMax, [b.op(ops.Cast, [b.op(ops.Greater, ['x', b.floats('one', [1])])], { to: 7 })], {
      keepdims: 0,
    })
    const two = b.op(ops.SequenceConstruct, [hidden, b.op(ops.Neg, [hidden])])
    return [b.op(ops.MatMul, [b.op(ops.SequenceAt, [two, at]), b.weight('v', [8, 3])])]
  })
  const compiled = orThrow(compile(graph, noMasks, { target: 'cuda' }))
  const half = orThrow(toFloat16(compiled))
  // What is read of it is in float32 then, for no reason of its own.
  expect(half.report.float16?.kept).toEqual([
    { node: 'SequenceConstruct sequenceConstruct0', reason: 'it makes or reads a sequence' },
  ])
  expect((await compareGraphs(compiled.graph, half.graph)).worst).toBeLessThan(1e-2)
})

test('members of unequal sizes are not said to be of one size', () => {
  const { types } = buildGraph({ x: ['N', 12] }, (b) => {
    const parts = b.op(ops.SplitToSequence, ['x', b.ints('split', [5, 7])], { axis: 1 })
    const two = [0, 1].map((k) => b.op(ops.SequenceAt, [parts, place(b, `at ${k}`, k)]))
    const mixed = b.op(ops.SequenceConstruct, ['x', ...two])
    return [...two, b.op(ops.SequenceAt, [mixed, place(b, 'any', 0)])]
  })
  const shapes = ['sequenceAt0', 'sequenceAt1', 'sequenceAt2'].map((name) => {
    const type = types.get(name)
    return type?.kind === 'tensor' ? type.shape : undefined
  })
  expect(shapes).toEqual([
    ['N', '?sequenceAt0.1'],
    ['N', '?sequenceAt1.1'],
    ['N', '?sequenceAt2.1'],
  ])
})
