/** Sizes from the command line for the open dimensions of a graph. */
import * as E from 'fp-ts/lib/Either.js'
import type { Bindings } from '../ir/bind.ts'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type Dim, isAnonymous } from '../ir/type.ts'
import type { Bindings as Shapes } from '../run/inputs.ts'

const misfit = (name: string, expected: string, found: string): E.Either<Failure, never> =>
  E.left(
    failure('UsageError', `--shape ${name}`, expected, found, 'Run chasec inspect to see the inputs of the model.'),
  )

/**
 * What `--shape` says as sizes of symbols. Fails where a name is neither an open dimension nor an input of the graph, or
 * where the sizes of an input are not as many as it has axes.
 */
export const bindSizes = (graph: Graph, shapes: Shapes): E.Either<Failure, Bindings> => {
  const symbols = new Map<string, Dim>()
  const inputs = new Map<string, ReadonlyArray<Dim> | undefined>()
  for (const { name } of graph.inputs) {
    const type = graph.types.get(name)
    const shape = type?.kind === 'tensor' ? type.shape : undefined
    inputs.set(name, shape)
    shape?.forEach((dim, axis) => {
      if (typeof dim === 'string') symbols.set(isAnonymous(dim) ? `${name}[${axis}]` : dim, dim)
    })
  }
  const sizes = new Map<string, number>()
  for (const [name, given] of Object.entries(shapes)) {
    const symbol = symbols.get(name)
    if (typeof given === 'number' && typeof symbol === 'string') {
      sizes.set(symbol, given)
      continue
    }
    if (!inputs.has(name)) {
      const known = [...symbols.keys(), ...inputs.keys()].join(', ')
      return misfit(name, `an open dimension or an input of the model: ${known}`, 'neither')
    }
    const shape = inputs.get(name)
    const list = typeof given === 'number' ? [given] : given
    if (shape !== undefined && shape.length !== list.length) {
      return misfit(name, `${shape.length} sizes`, `${list.length}`)
    }
    for (const [axis, dim] of (shape ?? []).entries()) {
      const size = list[axis]
      if (typeof dim === 'string' && size !== undefined) sizes.set(dim, size)
      else if (dim !== size) return misfit(name, `the size ${dim} along axis ${axis}`, String(size))
    }
  }
  return E.right(sizes)
}
