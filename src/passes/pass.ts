/** What a pass is, and how passes are run one after another. */
import * as E from 'fp-ts/lib/Either.js'
import { forget } from '../ir/analysis.ts'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'

/** Why a pass could not do its work: something in the model or the options that only the user can change. */
export type PassError = Failure

/**
 * A rewrite of the whole graph that keeps what it computes. File name, `name` and dump name are equal. Unchanged means
 * the same reference, and a pass run on its own result changes nothing.
 */
export interface Pass {
  readonly name: string
  readonly run: (graph: Graph) => E.Either<PassError, Graph>
  /** What the pass would do in a graph but must not, since it would not be exact; for reports. */
  readonly refusals?: (graph: Graph) => ReadonlyArray<Omit<Refusal, 'pass'>>
}

/** A node that a pass would change but must not, and why. */
export interface Refusal {
  readonly pass: string
  readonly node: string
  readonly reason: string
}

/** Passes repeated in order until none of them changes the graph. */
export interface Fixpoint {
  readonly passes: ReadonlyArray<Pass>
  /** The most rounds, counted in runs of the whole list. */
  readonly budget: number
}

export type Step = Pass | Fixpoint

/**
 * Sees every run of a pass, changed or not (`before === after`): timing, dumping, verifying and bisecting are all
 * observers. Answering `'stop'` ends the pipeline with `after`.
 */
export type Observer = (pass: Pass, before: Graph, after: Graph) => 'stop' | void

/** What the passes of `steps` refuse in `graph`. */
export const refusalsOf = (steps: ReadonlyArray<Step>, graph: Graph): ReadonlyArray<Refusal> =>
  steps
    .flatMap((step) => ('run' in step ? [step] : step.passes))
    .flatMap((pass) => pass.refusals?.(graph).map((refusal) => ({ pass: pass.name, ...refusal })) ?? [])

/** Repeats `passes` until a whole round leaves the graph as it is; more than `budget` rounds is a `DidNotConverge` failure. */
export const fixpoint = (passes: ReadonlyArray<Pass>, budget: number): Fixpoint => ({ passes, budget })

/** An observer that ends the pipeline after `count` runs of passes. */
export const stopAfter = (count: number): Observer => {
  let runs = 0
  return () => {
    runs += 1
    return runs >= count ? 'stop' : undefined
  }
}

/** One observer that calls all of `observers`, and stops when one of them does. */
export const observers =
  (...all: ReadonlyArray<Observer>): Observer =>
  (pass, before, after) => {
    let answer: 'stop' | undefined
    for (const observe of all) if (observe(pass, before, after) === 'stop') answer = 'stop'
    return answer
  }

const silent: Observer = () => undefined

interface Progress {
  readonly graph: Graph
  readonly stopped: boolean
}

/** Runs `steps` in order on `graph`. Fails with the first failure of a pass, or where a fixpoint does not converge. */
export const runPipeline = (
  steps: ReadonlyArray<Step>,
  graph: Graph,
  observer: Observer = silent,
): E.Either<PassError, Graph> => {
  let current = graph
  for (const step of steps) {
    const next = 'run' in step ? runPass(step, current, observer) : runFixpoint(step, current, observer)
    if (E.isLeft(next)) return next
    current = next.right.graph
    if (next.right.stopped) break
  }
  return E.right(current)
}

const runPass = (pass: Pass, graph: Graph, observer: Observer): E.Either<PassError, Progress> => {
  const next = pass.run(graph)
  if (E.isLeft(next)) return next
  const stopped = observer(pass, graph, next.right) === 'stop'
  if (next.right !== graph) forget(graph)
  return E.right({ graph: next.right, stopped })
}

const runFixpoint = (step: Fixpoint, graph: Graph, observer: Observer): E.Either<PassError, Progress> => {
  let current = graph
  let unchanged = 0
  for (let round = 0; round < step.budget; round++) {
    for (const pass of step.passes) {
      const next = runPass(pass, current, observer)
      if (E.isLeft(next) || next.right.stopped) return next
      unchanged = next.right.graph === current ? unchanged + 1 : 0
      current = next.right.graph
      if (unchanged >= step.passes.length) return E.right({ graph: current, stopped: false })
    }
  }
  const names = step.passes.map((p) => p.name).join(', ')
  return E.left(
    failure(
      'DidNotConverge',
      `passes ${names}`,
      `no change within ${step.budget} rounds`,
      `a graph of ${current.nodes.length} nodes that still changes`,
      'Two of these passes undo each other: please report this model.',
    ),
  )
}
