/** Takes removed channels out of the graph being trained, and out of everything that belongs to it. */
import type { Graph } from '../../ir/graph.ts'
import { withParts } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { float32View, gather, materialize, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { sameShape, sizeOf } from '../../ir/type.ts'
import { eliminateChannels } from '../../passes/channel-elimination/index.ts'
import { type KeptAxes, slim, type State } from '../sparse/index.ts'

export interface SlimGraph {
  /** Its parameters and running statistics are yet to be given their values. */
  readonly graph: Graph
  readonly state: State
  /** What is left of the values of a parameter or statistic, or of anything of its shape; row-major. */
  readonly pick: (name: ValueId, values: Float32Array) => Float32Array
}

/** Up to here float32 holds every whole number. */
const exactIntegers = 2 ** 24

/**
 * The graph without the channels that are removed in `state`, and the state without them. `held` are the parameters and
 * running statistics of `graph`.
 *
 * Which channels go is decided by liveness alone: channel elimination is given ones for the weights and zeros where they
 * read a removed channel, so that nothing else is dead and nothing is constant. In training mode too a channel that
 * nothing reads has no part in the loss: dropping it is exact. All other constants are numbered element by element, and
 * what is found in their place says what is left of them.
 *
 * The last channel of a stream stays, and as many removed ones as round its width up to a multiple of `multiple`. Undefined
 * where there is nothing to drop, or where the graph cannot lose exactly these channels: training then goes on with them
 * masked.
 */
export const slimGraph = (graph: Graph, state: State, held: Iterable<ValueId>, multiple = 1): SlimGraph | undefined => {
  const which = state.removed.map((marks) => droppable(marks, multiple))
  if (!which.some((marks) => marks.includes(1))) return undefined
  const { state: next, kept } = slim(state, which)
  const keptOf = new Map(kept.map((axes) => [axes.layer, axes]))
  const names = [...held]
  const probes = new Map(graph.constants)
  const inputAxes = new Map(state.network.layers.map(({ name, inputAxis }) => [name, inputAxis]))
  for (const name of names) {
    const { shape } = graph.constants.get(name) ?? { shape: [] }
    const axis = inputAxes.get(name)
    const layer = keptOf.get(name)
    const probe = layer === undefined || axis === undefined ? numbered(shape) : reading(shape, axis, layer.axes[axis])
    probes.set(name, probe)
  }
  const { after } = eliminateChannels(withParts(graph, { constants: probes }), {
    target: 'cpu',
    planWidths: false,
    cutTies: false,
  })
  const selections = new Map<ValueId, Int32Array>()
  const shapes = new Map(next.network.layers.map(({ name, shape }) => [name, shape]))
  for (const name of names) {
    const left = after.constants.get(name)
    const before = graph.constants.get(name)
    if (left === undefined || before === undefined) return undefined
    const shape = shapes.get(name)
    if (shape !== undefined) {
      if (!sameShape(left.shape, shape)) return undefined
    } else if (!sameShape(left.shape, before.shape)) {
      if (sizeOf(before.shape) >= exactIntegers) return undefined
      selections.set(
        name,
        Int32Array.from(float32View(materialize(left)), (number) => number - 1),
      )
    }
  }
  if ([...after.constants.keys()].some((name) => !graph.constants.has(name))) return undefined
  return {
    graph: after,
    state: next,
    pick: (name, values) => {
      const layer = keptOf.get(name)
      const shape = graph.constants.get(name)?.shape ?? []
      if (layer !== undefined) return gathered(shape, values, layer)
      const selection = selections.get(name)
      return selection === undefined ? values : Float32Array.from(selection, (from) => values[from] ?? 0)
    },
  }
}

/** The removed channels (1) but the first ones, as many as stay to fill the width up. */
const droppable = (removed: Uint8Array, multiple: number): Uint8Array => {
  const left = removed.reduce((n, mark) => n + 1 - mark, 0)
  let spare = Math.ceil(Math.max(1, left) / multiple) * multiple - left
  return removed.map((mark) => {
    if (mark === 0 || spare === 0) return mark
    spare -= 1
    return 0
  })
}

const numbered = (shape: ReadonlyArray<number>): Tensor =>
  tensorOf(
    'float32',
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => i + 1),
  )

/** A weight of ones that reads nothing of what is not kept along its input axis. */
const reading = (shape: ReadonlyArray<number>, axis: number, kept: Int32Array | undefined): Tensor => {
  const values = new Float32Array(sizeOf(shape)).fill(1)
  if (kept !== undefined) {
    const stays = new Uint8Array(shape[axis] ?? 0)
    for (const index of kept) stays[index] = 1
    const inner = sizeOf(shape.slice(axis + 1))
    for (let i = 0; i < values.length; i++) values[i] = stays[Math.floor(i / inner) % stays.length] ?? 0
  }
  return tensorOf('float32', shape, values)
}

const gathered = (shape: ReadonlyArray<number>, values: Float32Array, { axes }: KeptAxes): Float32Array => {
  let tensor: Tensor = tensorOf('float32', shape, values)
  for (const [axis, kept] of axes.entries()) if (kept !== undefined) tensor = gather(tensor, axis, kept)
  return float32View(materialize(tensor))
}
