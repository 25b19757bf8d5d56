/** Densities: which fraction of the weights is kept. */
import { type Graph, labelOf } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { sizeOf } from '../ir/type.ts'
import { expandMask, type Mask, type Masks } from './mask.ts'
import { blockLayout, type Layer, readersOfWeights, resolveWeights } from './weights.ts'

export interface LayerDensity {
  /** The constant that holds the weight, and the nodes that read it. */
  readonly weight: ValueId
  readonly nodes: ReadonlyArray<string>
  readonly weights: number
  readonly kept: number
  /** `kept / weights`, between 0 and 1; 1 for a weight without elements. */
  readonly density: number
  /** The kept fraction of the weights that each output channel is made with. */
  readonly outputs: Float64Array
  /** The kept fraction of the weights that read each input channel. */
  readonly inputs: Float64Array
}

export interface Densities {
  readonly layers: ReadonlyArray<LayerDensity>
  /** Over all weights of all layers, each counted once however many nodes read it. */
  readonly weights: number
  readonly kept: number
  readonly density: number
}

const fraction = (kept: number, of: number): number => (of === 0 ? 1 : kept / of)

/**
 * Densities of the layers of a graph under masks. Only masks count: intersect with {@link zerosOf} to count zeros in the
 * weights as masked too. O(weights).
 */
export const densities = (graph: Graph, masks: Masks): Densities => {
  const byRoot = new Map<ValueId, Mask>()
  const { rootOf } = resolveWeights(graph)
  for (const [name, mask] of masks) byRoot.set(rootOf.get(name) ?? name, mask)
  const layers: LayerDensity[] = []
  let [weights, kept] = [0, 0]
  for (const [weight, readers] of readersOfWeights(graph)) {
    const [layer] = readers
    if (layer === undefined) continue
    const density = layerDensity(layer, byRoot.get(weight))
    layers.push({ weight, nodes: readers.map((reader) => labelOf(reader.node)), ...density })
    weights += density.weights
    kept += density.kept
  }
  return { layers, weights, kept, density: fraction(kept, weights) }
}

const layerDensity = (layer: Layer, mask: Mask | undefined): Omit<LayerDensity, 'weight' | 'nodes'> => {
  const weights = sizeOf(layer.tensor.shape)
  const outputs = new Float64Array(layer.outputs)
  const inputs = new Float64Array(layer.inputs)
  if (mask === undefined)
    return { weights, kept: weights, density: 1, outputs: outputs.fill(1), inputs: inputs.fill(1) }
  const bits = expandMask(mask)
  const { rows, columns, block, outputOf, inputOf } = blockLayout(layer)
  let kept = 0
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = (row * columns + column) * block
      let sum = 0
      for (let k = start; k < start + block; k++) sum += bits[k] ?? 0
      const [output, input] = [outputOf(row, column), inputOf(row, column)]
      outputs[output] = (outputs[output] ?? 0) + sum
      inputs[input] = (inputs[input] ?? 0) + sum
      kept += sum
    }
  }
  const perOutput = layer.inputsPerGroup * block
  const perInput = layer.outputsPerGroup * block
  return {
    weights,
    kept,
    density: fraction(kept, weights),
    outputs: outputs.map((n) => fraction(n, perOutput)),
    inputs: inputs.map((n) => fraction(n, perInput)),
  }
}
