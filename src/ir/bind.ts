import * as E from 'fp-ts/lib/Either.js'
import { type Graph, type GraphError, makeGraph } from './graph.ts'
import { tensorType, type ValueType } from './type.ts'

/** Sizes for the symbolic dimensions of a model's inputs: by name, else by what they usually are. */
export type Bindings = ReadonlyMap<string, number>

/** The size a symbolic input dimension gets when none is given: a batch of 1, images of 224 x 224, sequences of 64. */
export const usualSize = (rank: number, axis: number): number => (axis === 0 ? 1 : rank === 4 && axis >= 2 ? 224 : 64)

/**
 * The graph with every symbolic input dimension replaced by a size; the same symbol gets the same size everywhere. Fails
 * where the sizes do not fit the model.
 */
export const bindInputs = (
  graph: Graph,
  bindings: Bindings,
): E.Either<GraphError, { readonly graph: Graph; readonly sizes: Bindings }> => {
  const sizes = new Map(bindings)
  const bind = (type: ValueType): ValueType => {
    if (type.kind !== 'tensor' || type.shape === undefined) return type
    const { shape } = type
    return tensorType(
      type.dtype,
      shape.map((dim, axis) => {
        if (typeof dim === 'number') return dim
        const size = sizes.get(dim) ?? usualSize(shape.length, axis)
        sizes.set(dim, size)
        return size
      }),
    )
  }
  const inputs = graph.inputs.map((input) => ({ ...input, type: bind(input.type) }))
  const bound = makeGraph({ ...graph, inputs })
  return E.isLeft(bound) ? bound : E.right({ graph: bound.right, sizes })
}
