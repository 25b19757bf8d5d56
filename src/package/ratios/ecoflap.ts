/** Layers keep weights in proportion to the size of the loss's gradient by them: ECoFLaP (arXiv 2310.02998), zeroth-order. */
import * as E from 'fp-ts/lib/Either.js'
import { labelOf } from '../../ir/graph.ts'
import { shareOut } from '../../masks/share-out.ts'
import { applyMasks } from '../../passes/apply-masks.ts'
import { weightsGone } from '../../passes/prune-weights.ts'
import type { RatioMethod } from './method.ts'
import { zerothOrder } from './zeroth-order.ts'

export const ecoflap: RatioMethod = {
  needsGradients: false,
  divide:
    ({ graph, masks, comparison, source, options }) =>
    async () => {
      const {
        sparsity,
        epsilon = 1e-3,
        seed = 1,
        samples = 32,
        batch = 8,
        onProgress,
        most = usualMost(sparsity),
      } = options
      const { runtime, provider, threads, timeoutSeconds, graphOptimizationLevel, worker } = options
      const runner = {
        ...(runtime && { runtime }),
        ...(provider && { provider }),
        ...(threads !== undefined && { threads }),
        ...(timeoutSeconds !== undefined && { timeoutSeconds }),
        ...(graphOptimizationLevel && { graphOptimizationLevel }),
        ...(worker && { worker }),
      }
      const masked = applyMasks(graph, masks)
      if (E.isLeft(masked)) return masked
      const { compared } = comparison
      const how = { ...runner, epsilon, seed, samples, batch, ...(onProgress && { onProgress }) }
      const found = await zerothOrder(masked.right, compared, source, how)()
      if (E.isLeft(found)) return found
      const sharers = compared.map(({ layer, given }) => ({
        weights: given.length,
        alive: given.reduce((n, bit) => n + bit, 0),
        importance: found.right.importance.get(layer.weight) ?? 0,
      }))
      const all = sharers.reduce((n, { weights }) => n + weights, 0)
      const kept = shareOut(sharers, all - weightsGone(sparsity, all), most)
      const layers = compared.map(({ layer }, i) => {
        const { weights = 0, importance = 0 } = sharers[i] ?? {}
        const ratio = weights === 0 ? 0 : 1 - (kept[i] ?? 0) / weights
        return { weight: layer.weight, layer: labelOf(layer.node), ratio, importance }
      })
      return E.right({
        ratios: new Map(layers.map(({ weight, ratio }) => [weight, ratio])),
        layers,
        loss: found.right.loss,
        samples: found.right.samples,
        runtime: found.right.runtime,
      })
    },
}

/** 0.1 above the sparsity, as the authors have it for networks that lose up to 0.7; above 0.8, half of what they would leave. */
const usualMost = (sparsity: number): number => Math.min(sparsity + 0.1, (1 + sparsity) / 2)
