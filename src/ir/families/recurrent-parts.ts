/** The constant operands of a recurrence, with what its units read: ready to be asked by analyses and to be shrunk. */
import { isFloat } from '../dtype.ts'
import { inputShape } from '../links.ts'
import type { NodeContext } from '../op.ts'
import { type Blocks, isNonZero } from '../slices.ts'
import { elementReader, type Tensor } from '../tensor.ts'
import { isStatic } from '../type.ts'
import {
  type Activation,
  activationsOf,
  type Cell,
  directionsOf,
  ports,
  type RecurrentAttributes,
} from './recurrent-cells.ts'

/** A recurrence of constant weights. Units are counted within a direction; `row` of a gate is of all directions. */
export interface Parts {
  readonly directions: number
  readonly units: number
  readonly features: number
  readonly gates: number
  readonly weight: Tensor
  readonly recurrent: Tensor
  readonly bias: Tensor | undefined
  readonly peephole: Tensor | undefined
  /** The activations of each direction; undefined where some are not known. */
  readonly activations: ReadonlyArray<ReadonlyArray<Activation>> | undefined
  /** Whether a unit of a direction has a weight other than zero, in any gate, for a feature or for another unit. */
  readonly readsFeature: (direction: number, unit: number, feature: number) => boolean
  readonly readsUnit: (direction: number, unit: number, other: number) => boolean
}

/** Undefined where a weight, a bias or a peephole is computed. */
export const partsOf = <A extends RecurrentAttributes>(cell: Cell<A>, ctx: NodeContext<A>): Parts | undefined => {
  const [weight, recurrent] = [ctx.constant(ports.w), ctx.constant(ports.r)]
  if (weight === undefined || recurrent === undefined || !isFloat(weight.dtype)) return undefined
  const [bias, peephole] = [ctx.constant(ports.b), ctx.constant(ports.p)]
  const isGiven = (port: number): boolean => (ctx.node.inputs[port] ?? '') !== ''
  if ((isGiven(ports.b) && bias === undefined) || (isGiven(ports.p) && peephole === undefined)) return undefined
  const units = recurrent.shape[2] ?? 0
  const features = inputShape(ctx, ports.x)?.[2]
  if (!isStatic(features) || units === 0) return undefined
  const directions = directionsOf(ctx.attrs)
  return {
    directions,
    units,
    features,
    gates: cell.gates,
    weight,
    recurrent,
    bias,
    peephole,
    activations: activationsOf(ctx.attrs, cell.activations, directions),
    readsFeature: (d, u, i) => isNonZero(unitBlocks(weight, units), d * units + u, i),
    readsUnit: (d, u, v) => isNonZero(unitBlocks(recurrent, units), d * units + u, v),
  }
}

const blocks = new WeakMap<Tensor, Map<number, Blocks>>()

/** Of a weight `[D,gates·H,columns]` a bit for each unit of each direction and each column, gates taken together. */
const unitBlocks = (tensor: Tensor, units: number): Blocks => {
  const known = blocks.get(tensor) ?? new Map<number, Blocks>()
  blocks.set(tensor, known)
  const found = known.get(units)
  if (found) return found
  const [directions = 0, rows = 0, inputs = 0] = tensor.shape
  const words = Math.ceil(inputs / 32)
  const nonZero = new Uint32Array(directions * units * words)
  const valueAt = elementReader(tensor)
  for (let row = 0; row < directions * rows; row++) {
    const unit = Math.floor(row / rows) * units + (row % units)
    for (let i = 0; i < inputs; i++) {
      const at = unit * words + (i >>> 5)
      if (valueAt(row * inputs + i) !== 0) nonZero[at] = (nonZero[at] ?? 0) | (1 << (i & 31))
    }
  }
  const result = { outputs: directions * units, inputs, nonZero, words }
  known.set(units, result)
  return result
}
