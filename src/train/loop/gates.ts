/** Numbers of diagonals that are trained beside the weights, by which these count until the diagonals to stay are chosen. */
import type { ValueId } from '../../ir/op.ts'
import type { Tensor } from '../backend/tensor.ts'
import type { Arrays, DeviceTensors, Executor } from '../executor/executor.ts'
import { type Gates, type State, valueAt } from '../sparse/index.ts'
import {
  type Diagonals,
  diagonalsKept,
  diagonalsOf,
  softBest,
  softBestGradient,
  spreadOver,
  sumsByDiagonal,
} from '../sparse/diagonals.ts'

/** Of one layer, on the host: α of every diagonal, and what Adam keeps of its gradients. */
export interface Gate {
  readonly alpha: Float32Array
  readonly mean: Float32Array
  readonly square: Float32Array
}

export type GateMap = ReadonlyMap<ValueId, Gate>

/** As they begin: α = 1 / diagonals. None where the policy has none. */
export const firstGates = ({ policy, network }: State): GateMap => {
  const out = new Map<ValueId, Gate>()
  if (policy.gates === undefined) return out
  for (const layer of network.layers) {
    if (layer.exempt === true) continue
    const { count } = diagonalsOf(layer)
    const zeros = (): Float32Array => new Float32Array(count)
    out.set(layer.name, { alpha: zeros().fill(1 / count), mean: zeros(), square: zeros() })
  }
  return out
}

/** As one array each, for checkpoints, and back. */
export const gateArrays = (gates: GateMap): Arrays =>
  new Map(Array.from(gates, ([name, { alpha, mean, square }]) => [name, Float32Array.of(...alpha, ...mean, ...square)]))

export const gatesFrom = (arrays: Arrays): GateMap =>
  new Map(
    Array.from(arrays, ([name, values]) => {
      const third = values.length / 3
      const part = (n: number): Float32Array => values.slice(n * third, (n + 1) * third)
      return [name, { alpha: part(0), mean: part(1), square: part(2) }]
    }),
  )

interface Gated {
  readonly name: ValueId
  readonly diagonals: Diagonals
  readonly gate: Gate
  readonly k: number
}

const gatedLayers = ({ policy, network }: State, gates: GateMap): ReadonlyArray<Gated> =>
  network.layers.flatMap((layer) => {
    const gate = gates.get(layer.name)
    if (gate === undefined) return []
    const diagonals = diagonalsOf(layer)
    return [{ name: layer.name, diagonals, gate, k: diagonalsKept(diagonals, policy.gates?.density ?? 1) }]
  })

/** For each weight the α of its diagonal. */
export const gateScores = (state: State, gates: GateMap): ReadonlyArray<Float32Array> => {
  const byName = new Map(gatedLayers(state, gates).map((one) => [one.name, one]))
  return state.network.layers.map(({ name, shape }) => {
    const found = byName.get(name)
    return found === undefined
      ? new Float32Array(shape.reduce((n, d) => n * d, 1))
      : spreadOver(found.diagonals, found.gate.alpha)
  })
}

/** What weights are multiplied by after `step` steps, on the device; nothing once the diagonals are chosen. */
export const gateFactors = (executor: Executor, state: State, gates: GateMap, step: number): Map<ValueId, Tensor> => {
  const policy = state.policy.gates
  if (policy === undefined || step >= policy.until) return new Map()
  const temperature = valueAt(policy.temperature, step)
  return executor.writeParameters(
    new Map(
      gatedLayers(state, gates).map(({ name, diagonals, gate, k }) => [
        name,
        spreadOver(diagonals, softBest(gate.alpha, k, temperature)),
      ]),
    ),
  )
}

/**
 * The gates after a step of Adam by the gradients of the weights that the network computed with, and the gradients of the weights
 * themselves. Takes over the gradients.
 */
export const trainGates = async (
  executor: Executor,
  state: State,
  gates: GateMap,
  factors: DeviceTensors,
  gradients: DeviceTensors,
  weights: DeviceTensors,
  step: number,
): Promise<{ readonly gates: GateMap; readonly gradients: DeviceTensors }> => {
  const policy = state.policy.gates
  if (policy === undefined || factors.size === 0) return { gates, gradients }
  const { mul } = executor.backend.ops
  const products = new Map<ValueId, Tensor>()
  const own = new Map(gradients)
  for (const [name, factor] of factors) {
    const [gradient, weight] = [gradients.get(name), weights.get(name)]
    if (gradient === undefined || weight === undefined) continue
    products.set(name, mul(gradient, weight))
    own.set(name, mul(gradient, factor))
    gradient.dispose()
  }
  const read = await executor.readParameters(products)
  for (const tensor of products.values()) tensor.dispose()
  const temperature = valueAt(policy.temperature, step)
  const next = new Map(gates)
  for (const { name, diagonals, gate, k } of gatedLayers(state, gates)) {
    const values = read.get(name)
    if (values === undefined) continue
    const slope = softBestGradient(gate.alpha, k, temperature, sumsByDiagonal(diagonals, values))
    next.set(name, adamStep(gate, slope, policy, step + 1))
  }
  return { gates: next, gradients: own }
}

/** Adam's `count`-th step, with decay as part of the gradient, β = (0.9, 0.999) and ε = 1e-8. */
export const adamStep = (
  { alpha, mean, square }: Gate,
  slope: Float64Array,
  { rate, decay }: Pick<Gates, 'rate' | 'decay'>,
  count: number,
): Gate => {
  const gradient = slope.map((g, i) => g + decay * (alpha[i] ?? 0))
  const nextMean = mean.map((m, i) => 0.9 * m + 0.1 * (gradient[i] ?? 0))
  const nextSquare = square.map((v, i) => 0.999 * v + 0.001 * (gradient[i] ?? 0) ** 2)
  const [first, second] = [1 - 0.9 ** count, 1 - 0.999 ** count]
  return {
    alpha: alpha.map(
      (a, i) => a - (rate * (nextMean[i] ?? 0)) / first / (Math.sqrt((nextSquare[i] ?? 0) / second) + 1e-8),
    ),
    mean: nextMean,
    square: nextSquare,
  }
}
