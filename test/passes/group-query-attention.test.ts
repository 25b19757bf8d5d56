/** What goes from attention over groups with caches: heads of queries, as many of each group, and groups that no cache fixes. */
import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import * as microsoft from '../../src/ir/ops/microsoft/index.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import type { Shape } from '../../src/ir/type.ts'
import { noMasks } from '../../src/masks/mask.ts'
import { compile } from '../../src/package/compile.ts'
import { eliminateChannels } from '../../src/passes/channel-elimination/index.ts'
import { joinAttention } from '../../src/passes/join-attention.ts'
import { buildGraph, type GraphBuilder } from '../builder.ts'
import { compareCompiled, orThrow } from '../fuzz/differential.ts'

const heads = 4
const groups = 2
const size = 16
const places = 5
const before = 3

const ofHeads = (...which: ReadonlyArray<number>): ReadonlyArray<number> =>
  which.flatMap((h) => Array.from({ length: size }, (_, i) => h * size + i))

interface Options {
  /** Heads of which nothing is read, and groups of which keys or values are zero. */
  readonly unread?: ReadonlyArray<number>
  readonly zeroValues?: ReadonlyArray<number>
  readonly zeroKeys?: ReadonlyArray<number>
  /** Whether keys and values from before are inputs, constants without places, or not there; whether those with the new ones are outputs. */
  readonly past?: 'inputs' | 'empty' | 'none'
  readonly gives?: boolean | 'keys'
  readonly isPacked?: boolean
  readonly hasRotary?: boolean
  /** The heads that what is added to scores has, and whether it is an input. */
  readonly bias?: readonly [count: number | string, kind: 'input' | 'constant']
  readonly hasSink?: boolean
  /** Whether values that go in are read besides. */
  readonly isRead?: boolean
}

const graphOf = ({ past = 'inputs', gives = past === 'inputs', ...options }: Options): Graph => {
  const {
    unread = [],
    zeroValues = [],
    zeroKeys = [],
    isPacked = false,
    hasRotary = true,
    bias,
    hasSink,
    isRead = false,
  } = options
  const length = places + (past === 'inputs' ? before : 0)
  const cache: Shape = [1, groups, before, size]
  const added = [1, bias?.[0] ?? 1, places, length]
  const inputs = {
    x: [1, places, 16],
    ...(past === 'inputs' ? { past_k: cache, past_v: cache } : {}),
    ...(bias?.[1] === 'input' ? { bias: added } : {}),
  }
  return buildGraph(inputs, (b: GraphBuilder) => {
    const linear = (name: string, count: number, columns: ReadonlyArray<number>): string =>
      b.op(ops.MatMul, ['x', b.weight(name, [16, count * size], { columns })])
    const [k, v] = [ofHeads(...zeroKeys), ofHeads(...zeroValues)]
    const shift = (by: number, columns: ReadonlyArray<number>): ReadonlyArray<number> =>
      columns.map((c) => c + by * size)
    const operands = isPacked
      ? [linear('qkv', heads + 2 * groups, [...shift(heads, k), ...shift(heads + groups, v)]), '', '']
      : [linear('q', heads, []), linear('k', groups, k), linear('v', groups, v)]
    const none = (name: string): string => b.constant(name, tensorOf('float32', [1, groups, 0, size], []))
    const caches =
      past === 'empty' ? ['past_k', 'past_v'].map(none) : past === 'inputs' ? ['past_k', 'past_v'] : ['', '']
    const counts = [
      b.constant('last', tensorOf('int32', [1], [length - 1])),
      b.constant('total', tensorOf('int32', [1], [length])),
    ]
    const tables = hasRotary ? [b.positive('cos', [length, size / 2]), b.positive('sin', [length, size / 2])] : ['', '']
    const more = [
      '',
      bias === undefined ? '' : bias[1] === 'input' ? 'bias' : b.weight('bias', added.map(Number)),
      hasSink ? b.weight('sink', [heads]) : '',
    ]
    const attrs = { num_heads: heads, kv_num_heads: groups, do_rotary: hasRotary ? 1 : 0 }
    const given = [...operands, ...caches, ...counts, ...tables, ...more]
    const all = given.slice(0, given.findLastIndex((name) => name !== '') + 1)
    const y = b.op(microsoft.GroupQueryAttention, all, attrs, past === 'none' && gives === false ? 1 : 3)
    const out = b.op(ops.MatMul, [y, b.weight('o', [heads * size, 16], { rows: ofHeads(...unread) })])
    const [newKeys, newValues] = [1, 2].map((i) => y.replace(/0$/, String(i)))
    return [
      out,
      ...(gives === false ? [] : [newKeys ?? '']),
      ...(gives === true ? [newValues ?? ''] : []),
      ...(isRead ? [operands[2] ?? ''] : []),
    ]
  })
}

/** Runs both, and tells how many heads of queries, and of keys and values, are left. */
const left = async (options: Options): Promise<string> => {
  const { compiled, worst } = await compareCompiled(graphOf(options), noMasks)
  expect(worst).toBeLessThan(1e-5)
  expect(orThrow(compile(compiled.graph, noMasks, { target: 'cpu' })).graph).toBe(compiled.graph)
  const node = compiled.graph.nodes.find(({ op }) => op === 'com.microsoft.GroupQueryAttention')
  const { constants } = compiled.graph
  const columns = ['q', 'k', 'v', 'qkv'].flatMap((name) => constants.get(name)?.shape[1] ?? [])
  expect(node).toMatchObject({ attrs: expect.anything() })
  expect(compiled.graph.nodes.filter(({ op }) => op === 'Split')).toEqual([])
  return columns.map((count) => count / size).join()
}

describe.each([false, true])('attention over groups with queries, keys and values in one: %s', (isPacked) => {
  const of = async (options: Options): Promise<string> => await left({ isPacked, ...options })
  const counts = (q: number, kv: number): string => (isPacked ? `${q + 2 * kv}` : `${q},${kv},${kv}`)

  test('loses as many heads of each group, whichever they are, besides caches', async () => {
    expect(await of({})).toBe(counts(4, 2))
    expect(await of({ unread: [1, 3] })).toBe(counts(2, 2))
    expect(await of({ unread: [1, 2] })).toBe(counts(2, 2))
    expect(await of({ unread: [0, 3], hasRotary: false })).toBe(counts(2, 2))
  })
  test('keeps heads of which other groups would have more, and groups that caches fix', async () => {
    expect(await of({ unread: [1] })).toBe(counts(4, 2))
    expect(await of({ unread: [0, 1] })).toBe(counts(4, 2))
    expect(await of({ unread: [0, 1, 2] })).toBe(counts(2, 2))
    expect(await of({ unread: [0, 1], past: 'none', gives: true })).toBe(counts(4, 2))
    expect(await of({ unread: [0, 1], past: 'none', gives: 'keys' })).toBe(counts(4, 2))
    expect(await of({ zeroValues: [0] })).toBe(counts(4, 2))
  })
  test('loses groups where there are no caches, or empty ones that nothing reads', async () => {
    for (const past of ['none', 'empty'] as const) {
      expect(await of({ unread: [0, 1], past })).toBe(counts(2, 1))
      expect(await of({ unread: [0, 1, 2], past })).toBe(counts(1, 1))
      expect(await of({ zeroValues: [1], past })).toBe(counts(2, 1))
    }
    // Keys of zeros attend to all alike.
    expect(await of({ zeroKeys: [1], past: 'none' })).toBe(counts(4, 2))
  })
  test('stays as it is where what is added to scores is for a number of heads that is not known', async () => {
    const graph = graphOf({ isPacked, unread: [1, 2], bias: ['H', 'input'] })
    for (const H of [1, heads]) {
      const { compiled, worst } = await compareCompiled(graph, noMasks, { sizes: new Map([['H', H]]) })
      expect(worst).toBeLessThan(1e-5)
      expect(compiled.graph.constants.get('o')?.shape).toEqual([heads * size, 16])
    }
  })
  test('loses what is added to scores with its heads', async () => {
    expect(await of({ unread: [1, 2], bias: [heads, 'constant'], hasSink: true })).toBe(counts(2, 2))
    expect(await of({ unread: [1, 2], bias: [1, 'input'] })).toBe(counts(2, 2))
    expect(await of({ unread: [0, 1], bias: [heads, 'constant'], past: 'none' })).toBe(counts(2, 1))
  })
})

test('keys of a group stay where its values do for others, and nothing is selected', () => {
  const groupsLeft = (unread: ReadonlyArray<number>, cutTies: boolean): unknown =>
    eliminateChannels(graphOf({ unread, past: 'none', isRead: true }), { target: 'cpu', cutTies }).after.nodes.find(
      ({ op }) => op.endsWith('Attention'),
    )?.attrs
  expect(groupsLeft([0, 1], true)).toMatchObject({ num_heads: 2, kv_num_heads: 1 })
  expect(groupsLeft([0, 1], false)).toMatchObject({ num_heads: 4, kv_num_heads: 2 })
  expect(groupsLeft([0, 2], false)).toMatchObject({ num_heads: 2, kv_num_heads: 2 })
})

test('queries, keys and values that something else reads stay apart', () => {
  const opsOf = (isRead: boolean): ReadonlyArray<string> => {
    const graph = buildGraph({ x: [1, places, (heads + 2 * groups) * size] }, (b) => {
      const q = b.op(
        ops.Split,
        [
          'x',
          b.ints(
            'sizes',
            [heads, groups, groups].map((n) => n * size),
          ),
        ],
        { axis: 2 },
        3,
      )
      const [k, v] = [1, 2].map((i) => q.replace(/0$/, String(i)))
      const counts = [places - 1, places].map((n, i) => b.constant(`count${i}`, tensorOf('int32', [1], [n])))
      const attrs = { num_heads: heads, kv_num_heads: groups }
      const y = b.op(microsoft.GroupQueryAttention, [q, k ?? '', v ?? '', '', '', ...counts], attrs)
      return [y, ...(isRead ? [b.op(ops.Relu, [v ?? ''])] : [])]
    })
    return orThrow(joinAttention(new Set(['com.microsoft.GroupQueryAttention'])).run(graph))
      .nodes.filter(({ op }) => op.endsWith('Attention'))
      .map(({ inputs }) => inputs[1] ?? '')
  }
  expect(opsOf(false)).toEqual([''])
  expect(opsOf(true)).not.toEqual([''])
})
