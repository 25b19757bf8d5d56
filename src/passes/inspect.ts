/** What is known of a model and its masks before anything is compiled away. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../ir/op.ts'
import type { Graph } from '../ir/graph.ts'
import type { Masks } from '../masks/mask.ts'
import { densities } from '../masks/density.ts'
import { scoreChannels } from '../masks/scores.ts'
import { layersOf } from '../masks/weights.ts'
import { zerosOf } from '../masks/zeros.ts'
import { applyMasks } from './apply-masks.ts'
import { analyse } from './channel-elimination/analyse.ts'
import { nameLayers } from './channel-elimination/explain.ts'
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
  /** Unmasked mean magnitude of each output channel: mean |w|, masked weights counting as zero. */
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
  return E.right({
    density,
    report,
    layers: layersOf(graph).map((layer) => {
      const output = layer.node.outputs[0] ?? ''
      const axis = layer.contraction.outputAxis
      const live = facts.live(output, axis)
      const constants = facts.constants(output, axis)
      const indices = Array.from({ length: layer.outputs }, (_, i) => i)
      const isConstant = (i: number): boolean => !Number.isNaN(constants?.[i] ?? NaN)
      return {
        layer: layer.node.name,
        op: layer.node.op,
        weight: layer.weight,
        shape: layer.tensor.shape,
        density: densityOf.get(layer.weight) ?? 1,
        constant: indices.filter(isConstant),
        dead: indices.filter((i) => !isConstant(i) && live?.[i] === 0),
        umm: scoreChannels(layer, undefined, 'umm'),
        change: changes.get(layer.node.name),
      }
    }),
  })
}
