/** A table of what work costs on this machine, from the times of random layers. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fit } from '../cost/fit.ts'
import { layerName, probe, type Sample, samplesOf } from '../cost/samples.ts'
import { type CostTable, predict, reorderings } from '../cost/table.ts'
import { type Block, termsOf, type Terms } from '../cost/work.ts'
import type { WriteError } from '../disk/error.ts'
import { lower } from '../export/lower.ts'
import type { Graph } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { isStatic } from '../ir/type.ts'
import type { RunError } from '../run/error.ts'
import { type NodeTime, profileNodes } from '../run/profile.ts'

export interface TuneOptions {
  /** Layers that are measured; default 900, which takes about a minute. */
  readonly layers?: number
  /** Decides which layers. */
  readonly seed?: number
  /** Threads of one operator; default 1. */
  readonly threads?: number
  readonly onProgress?: (done: number, all: number) => void
}

/** A layer with what was measured. */
export interface MeasuredLayer extends Terms {
  /** In nanoseconds. */
  readonly time: number
}

/** Times below this many microseconds are lost in the profile's whole ones. */
const leastMicroseconds = 6

/** Measures random layers. Fails where onnxruntime-node is not there. */
export const measureLayers = (
  options: TuneOptions = {},
): TE.TaskEither<RunError | WriteError, { readonly block: Block; readonly layers: ReadonlyArray<MeasuredLayer> }> => {
  const { layers: count = 900, seed = 1, threads = 1, onProgress } = options
  return async () => {
    const block = await blockOf(threads)()
    if (E.isLeft(block)) return block
    const out: MeasuredLayer[] = []
    for (const [at, sample] of samplesOf(count, seed).entries()) {
      const times = await profileOf(sample.graph, threads)()
      if (E.isLeft(times)) return times
      out.push(...measured(sample, times.right, block.right))
      onProgress?.(at + 1, count)
    }
    return E.right({ block: block.right, layers: out })
  }
}

/** The coefficients that explain what was measured best. */
export const tableOf = (
  about: string,
  block: Block,
  threads: number,
  layers: ReadonlyArray<MeasuredLayer>,
): CostTable => {
  const names = [...new Set(layers.map(({ kernel }) => kernel))].sort()
  const kernels = names.map((name) => [name, fit(layers.filter(({ kernel }) => kernel === name)).map(rounded)] as const)
  return { about, block, threads, kernels: Object.fromEntries(kernels) }
}

/** Three digits: more are not measured. */
const rounded = (x: number): number => (x < 1e-9 ? 0 : Number(x.toPrecision(3)))

/**
 * How far off a table is for layers that it was not made of: `|predicted / measured - 1|` of each. What was reordered around them
 * is left out.
 */
export const errorsOf = (table: CostTable, layers: ReadonlyArray<MeasuredLayer>): ReadonlyArray<number> =>
  layers
    .filter(({ kernel }) => !isReordering(kernel))
    .map((layer) => Math.abs((predict(layer, table) ?? 0) / layer.time - 1))

const isReordering = (kernel: string): boolean => reorderings.some((op) => op === kernel)

const profileOf = (graph: Graph, threads: number): TE.TaskEither<RunError | WriteError, ReadonlyArray<NodeTime>> =>
  pipe(
    TE.fromEither(lower(graph)),
    TE.chainW(({ model }) => {
      const inputs = graph.inputs.map(({ name, type }) => [name, (shapeOf(type) ?? []).filter(isStatic)] as const)
      return profileNodes(model, Object.fromEntries(inputs), { threads, runs: 9, milliseconds: 30 })
    }),
  )

/** The layer itself, and what was reordered around it. */
const measured = ({ work }: Sample, times: ReadonlyArray<NodeTime>, block: Block): ReadonlyArray<MeasuredLayer> =>
  times.flatMap(({ name, op, microseconds, inputs, outputs }) => {
    if (microseconds < leastMicroseconds) return []
    const time = 1000 * microseconds
    if (name.startsWith(layerName)) return [{ ...termsOf(work, block), time }]
    if (!isReordering(op)) return []
    const elements = [...inputs, ...outputs].reduce((sum, shape) => sum + shape.reduce((p, x) => p * x, 1), 0)
    return [{ ...termsOf({ kind: 'elements', op, elements }, block), time }]
  })

/** Channels in a block, as a convolution of one output shows them. */
export const blockOf = (threads: number): TE.TaskEither<RunError | WriteError, Block> =>
  pipe(
    profileOf(probe(), threads),
    TE.map((times) => {
      const outputs = times.find(({ name }) => name.startsWith(layerName))?.outputs[0]?.[1]
      return outputs === 8 ? 8 : outputs === 16 ? 16 : 1
    }),
  )
