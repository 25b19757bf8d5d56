import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { memoized } from '../../src/ir/analysis.ts'
import { failure, renderError } from '../../src/ir/failure.ts'
import { type Graph, withParts } from '../../src/ir/graph.ts'
import { fixpoint, observers, type Pass, runPipeline, stopAfter } from '../../src/passes/pass.ts'
import { read } from './laws.ts'

const graph = read('input x: float32[2]\ny = Relu(x)\noutput y: float32[2]')

/** Renames the graph as long as `step` gives a name. */
const rename = (name: string, step: (name: string) => string | undefined): Pass => ({
  name,
  run: (g) => {
    const next = step(g.name)
    return E.right(next === undefined ? g : withParts(g, { name: next }))
  },
})

const grow = (to: number): Pass => rename('grow', (name) => (name.length < to ? `${name}!` : undefined))
const keep: Pass = { name: 'keep', run: (g) => E.right(g) }
const fail: Pass = { name: 'fail', run: () => E.left(failure('Odd', 'this', 'that', 'other', 'Do so.')) }

const nameOf = (result: E.Either<unknown, Graph>): string => (E.isRight(result) ? result.right.name : 'failed')

describe('runPipeline', () => {
  test('runs in order, and gives the graph itself when nothing changes', () => {
    expect(nameOf(runPipeline([grow(5), rename('a', (n) => `${n}a`)], graph))).toBe('test!a')
    expect(runPipeline([keep, fixpoint([keep], 1)], graph)).toStrictEqual(E.right(graph))
  })

  test('ends with the first failure', () => {
    const seen: string[] = []
    const result = runPipeline([grow(5), fail, grow(6)], graph, (pass) => void seen.push(pass.name))
    expect(E.isLeft(result) && result.left._tag).toBe('Odd')
    expect(seen).toStrictEqual(['grow'])
  })

  test('shows every run to the observer, those that change nothing included', () => {
    const seen: string[] = []
    runPipeline(
      [fixpoint([grow(6), keep], 9), keep],
      graph,
      (pass, before, after) => void seen.push(`${pass.name} ${before.name} ${after.name} ${before === after}`),
    )
    expect(seen).toStrictEqual([
      'grow test test! false',
      'keep test! test! true',
      'grow test! test!! false',
      'keep test!! test!! true',
      'grow test!! test!! true',
      'keep test!! test!! true',
    ])
  })

  test('drops what is remembered of a graph that was replaced, and nothing else', () => {
    const asked: string[] = []
    const facts = memoized(({ name }) => asked.push(name))
    const ask: Pass = { name: 'ask', run: (g) => (facts(g), E.right(g)) }
    const result = runPipeline([ask, keep, ask, rename('a', (name) => `${name}a`), ask, keep, ask], graph)
    expect(asked).toStrictEqual(['test', 'testa'])
    if (E.isRight(result)) facts(result.right)
    expect(asked).toStrictEqual(['test', 'testa'])
    facts(graph)
    expect(asked).toStrictEqual(['test', 'testa', 'test'])
  })

  test('stops after as many runs as asked', () => {
    expect(
      [0, 1, 2, 3, 9].map((n) => nameOf(runPipeline([fixpoint([grow(6), keep], 9), grow(8)], graph, stopAfter(n)))),
    ).toStrictEqual(['test!', 'test!', 'test!', 'test!!', 'test!!!'])
  })

  test('all observers see a run of which one says stop', () => {
    const seen: string[] = []
    const note = (label: string) => () => void seen.push(label)
    runPipeline([keep, keep], graph, observers(note('a'), stopAfter(1), note('b')))
    expect(seen).toStrictEqual(['a', 'b'])
  })
})

describe('fixpoint', () => {
  test('stops when each pass in turn has changed nothing', () => {
    expect(nameOf(runPipeline([fixpoint([grow(8)], 5)], graph))).toBe('test!!!!')
  })

  test('does not stop quietly', () => {
    const flip = rename('flip', (name) => (name === 'test' ? 'tset' : 'test'))
    const result = runPipeline([fixpoint([keep, flip], 10)], graph)
    expect(E.isLeft(result) && renderError(result.left)).toBe(
      'passes keep, flip: expected no change within 10 rounds, found a graph of 1 nodes that still changes. Two of these passes undo each other: please report this model.',
    )
  })

  test('budget that is just enough', () => {
    expect(nameOf(runPipeline([fixpoint([grow(6)], 2)], graph))).toBe('failed')
    expect(nameOf(runPipeline([fixpoint([grow(6)], 3)], graph))).toBe('test!!')
  })
})
