/** What every pass has to obey, on graphs written as text. */
import * as E from 'fp-ts/lib/Either.js'
import { expect } from 'vitest'
import { checkGraph } from '../../src/ir/check.ts'
import { digestOf } from '../../src/ir/digest.ts'
import { sameTensor } from '../../src/ir/equal.ts'
import { type Failure, renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { evaluateGraph } from '../../src/ir/interpret.ts'
import { parse } from '../../src/ir/parse.ts'
import { print } from '../../src/ir/print.ts'
import { type Dense, elements, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import type { Pass } from '../../src/passes/pass.ts'
import { uniforms } from '../inflate.ts'

export const right = <T>(result: E.Either<Failure, T>): T => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

/** The graph of a text without its first line. */
export const read = (body: string, opset = 17): Graph => right(parse(`graph "test" (ir 8, opset ${opset})\n${body}`))

/** The text of a graph without its first line, all data written. */
export const write = (graph: Graph): string => {
  const text = print(graph, { data: 'full' })
  return text.slice(text.indexOf('\n') + 1)
}

/** Numbers in [-1, 1) for every input; symbolic sizes are 2. */
const feedsFor = (graph: Graph): ReadonlyMap<string, Dense> => {
  const uniform = uniforms(5)
  const feeds = new Map<string, Dense>()
  for (const { name, type } of graph.inputs) {
    if (type.kind !== 'tensor' || type.shape === undefined) throw new Error(`input ${name} has no shape`)
    const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : 2))
    const values = Float64Array.from({ length: sizeOf(shape) }, () => 2 * uniform() - 1)
    feeds.set(
      name,
      tensorOf(type.dtype, shape, type.dtype.startsWith('int') ? values.map((x) => Math.round(4 * x)) : values),
    )
  }
  return feeds
}

const outputsOf = (graph: Graph): ReadonlyArray<readonly [string, Dense | undefined]> => {
  const values = right(evaluateGraph(graph, feedsFor(graph)))
  return graph.outputs.map(({ name }) => [name, values.get(name)])
}

/** The same names, types and numbers, up to a rounding or two. */
export const expectSameFunction = (before: Graph, after: Graph): void => {
  const [expected, found] = [outputsOf(before), outputsOf(after)]
  expect(found.map(([name, value]) => [name, value?.dtype, value?.shape])).toStrictEqual(
    expected.map(([name, value]) => [name, value?.dtype, value?.shape]),
  )
  for (const [i, [name, value]] of expected.entries()) {
    const other = found[i]?.[1]
    if (value === undefined || other === undefined) throw new Error(`output ${name} has no value`)
    if (value.dtype === 'string') {
      expect(sameTensor(value, other), `output ${name}`).toBe(true)
      continue
    }
    const [a, b] = [Array.from(elements(value), Number), Array.from(elements(other), Number)]
    const tolerance = 2e-6 * Math.max(1, ...a.map(Math.abs))
    const worst = Math.max(0, ...a.map((x, k) => Math.abs(x - (b[k] ?? NaN))))
    expect(worst, `output ${name}: ${a.join(' ')} became ${b.join(' ')}`).toBeLessThanOrEqual(tolerance)
  }
}

const buffersOf = (graph: Graph): ReadonlyArray<string> => {
  const digest = (tensor: Tensor): string =>
    tensor.tag === 'Dense' ? digestOf(tensor.bytes) : tensor.tag === 'Gather' ? digest(tensor.source) : ''
  return [...graph.constants.values()].map(digest)
}

export interface Lawful {
  /** Whether the graph has nodes without a reference evaluation, so that only its structure is compared. */
  readonly unevaluated?: boolean
}

/** Runs a pass: it computes the same, types check, a second run changes nothing, and no buffer is written to. */
export const runLawful = (pass: Pass, graph: Graph, { unevaluated = false }: Lawful = {}): Graph => {
  const buffers = buffersOf(graph)
  const after = right(pass.run(graph))
  expect(buffersOf(graph)).toStrictEqual(buffers)
  right(checkGraph(after))
  expect(right(pass.run(after)), 'a second run').toBe(after)
  // What the run has seen that it must not do is what is found in the same graph that it has not run on.
  expect(pass.refusals?.(after)).toStrictEqual(pass.refusals?.({ ...after }))
  expect(after.inputs).toBe(graph.inputs)
  expect(after.outputs).toBe(graph.outputs)
  if (!unevaluated) expectSameFunction(graph, after)
  return after
}

/** `pass` makes `after` of `before`, lawfully. */
export const expectRewrite = (pass: Pass, before: string, after: string, opset = 17, lawful: Lawful = {}): void => {
  const result = runLawful(pass, read(before, opset), lawful)
  expect(write(result)).toBe(write(read(after, opset)))
}

/** `pass` leaves the graph alone. */
export const expectRefusal = (pass: Pass, body: string, opset = 17): void => {
  const graph = read(body, opset)
  const after = right(pass.run(graph))
  expect(after === graph ? 'unchanged' : write(after)).toBe('unchanged')
}
