/** What is known of a model and its masks before anything is compiled away. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../ir/op.ts'
import type { Graph } from '../ir/graph.ts'
import { copyElements } from '../ir/tensor.ts'
import type { Masks } from '../masks/mask.ts'
import { densities } from '../masks/density.ts'
import { scoreChannels } from '../masks/scores.ts'
import { layersOf } from '../masks/weights.ts'
import { zerosOf } from '../masks/zeros.ts'
import { applyMasks } from './apply-masks.ts'
import { analyse } from './channel-elimination/analyse.ts'
import { nameLayers } from './channel-elimination/explain.ts'
import { bundlesOf, channelsMixed } from './channel-elimination/mixing.ts'
import { type Channel, viewsOf } from './channel-elimination/views.ts'
import { compile, type CompileOptions, type CompileReport, type LayerReport } from './compile.ts'
import { type PassError, runPipeline } from './pass.ts'
import { cleanUp } from './pipeline.ts'

export interface LayerFacts {
  readonly layer: string
  readonly op: string
  readonly weight: ValueId
  /** Shape of the weight. */
  readonly shape: ReadonlyArray<number>
  /** Fraction of the weights that are neither masked nor zero. */
  readonly density: number
  /** Output channels that hold one number at every position and for every input. */
  readonly constant: ReadonlyArray<number>
  /** The others that no graph output depends on. */
  readonly dead: ReadonlyArray<number>
  /** Unmasked mean magnitude of each output channel: mean |w|, masked weights counting as zero. Empty for a recurrence. */
  readonly umm: Float64Array
  /** What compiling would make of the layer; undefined when nothing is left of it. */
  readonly change: LayerReport | undefined
}

export interface Inspection {
  readonly layers: ReadonlyArray<LayerFacts>
  /** Fraction of all layers' weights that are neither masked nor zero; a weight with several readers counts once. */
  readonly density: number
  /** What compiling would do. */
  readonly report: CompileReport
}

/**
 * The layers of `model` under `masks`: densities, dead and constant channels, channel scores, and what {@link compile}
 * would make of them. Fails where compiling does.
 */
export const inspect = (model: Graph, masks: Masks, options: CompileOptions = {}): E.Either<PassError, Inspection> => {
  const compiled = compile(model, masks, options)
  if (E.isLeft(compiled)) return compiled
  const masked = applyMasks(model, masks)
  if (E.isLeft(masked)) return masked
  const clean = runPipeline(cleanUp, masked.right)
  if (E.isLeft(clean)) return clean
  const graph = nameLayers(clean.right)
  const facts = analyse(graph)
  const { layers, density } = densities(graph, zerosOf(graph))
  const densityOf = new Map(layers.map((layer) => [layer.weight, layer.density]))
  const { report } = compiled.right
  const changes = new Map(report.layers.map((layer) => [layer.layer, layer]))
  const summing = new Map(layersOf(graph).map((layer) => [layer.node.outputs[0] ?? '', layer]))
  /** Of `count` channels those that are constant in all of these places, and the others that nothing needs in any. */
  const idle = (
    places: ReadonlyArray<Pick<Channel, 'value' | 'axis'>>,
    count: number,
  ): Pick<LayerFacts, 'constant' | 'dead'> => {
    const known = places.map(({ value, axis }) => facts.constants(value, axis))
    const live = places.map(({ value, axis }) => facts.live(value, axis))
    const isConstant = (i: number): boolean => known.every((constants) => !Number.isNaN(constants?.[i] ?? NaN))
    const indices = Array.from({ length: count }, (_, i) => i)
    const dead = indices.filter((i) => !isConstant(i) && live.every((marks) => marks?.[i] === 0))
    return { constant: indices.filter(isConstant), dead }
  }
  return E.right({
    density,
    report,
    layers: viewsOf(graph).flatMap(({ node, mixing, ctx }): ReadonlyArray<LayerFacts> => {
      const change = changes.get(node.name)
      const layer = summing.get(node.outputs[0] ?? '')
      if (layer !== undefined) {
        const { output, axis } = { output: node.outputs[0] ?? '', axis: layer.contraction.outputAxis }
        const own = { layer: node.name, op: node.op, weight: layer.weight, shape: layer.tensor.shape, change }
        const density = densityOf.get(layer.weight) ?? 1
        return [
          {
            ...own,
            density,
            ...idle([{ value: output, axis }], layer.outputs),
            umm: scoreChannels(layer, undefined, 'umm'),
          },
        ]
      }
      const tensor = mixing && ctx.constant(mixing.layer.weightPort)
      if (mixing === undefined || tensor === undefined) return []
      const weight = node.inputs[mixing.layer.weightPort] ?? ''
      const made = (bundlesOf(graph, { node, mixing })[mixing.layer.outputs] ?? []).filter(
        ({ side }) => side === 'output',
      )
      const values = copyElements(tensor)
      const own = { layer: node.name, op: node.op, weight, shape: tensor.shape, change, umm: new Float64Array() }
      const density = values.length === 0 ? 1 : values.filter((w) => w !== 0).length / values.length
      return [{ ...own, density, ...idle(made, channelsMixed(ctx, mixing).outputs) }]
    }),
  })
}
