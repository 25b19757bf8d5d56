/** What If, Loop and Scan compute, by running their bodies: the reference for how far rounding moves them. */
import type { Graph } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import { isOpaque } from '../../src/ir/registry.ts'
import { type Dense, elements, int64s, materialize, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { restore } from '../../src/export/restore.ts'
import { NodeProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { subgraphs } from '../../src/package/subgraphs.ts'

type Values = ReadonlyMap<string, Dense>

/** Gives all values of a graph. */
type Run = (graph: Graph, feeds: Values) => Values

const truth = (tensor: Dense | undefined): boolean => tensor === undefined || Number(elements(tensor)[0]) !== 0

const flag = (value: boolean): Dense => tensorOf('bool', [], [value ? 1 : 0])

const dense = (tensor: Dense | undefined): Dense => {
  if (tensor === undefined) throw new Error('a body leaves out an output')
  return tensor
}

/** Slice `i` of a tensor along an axis, without that axis. */
const sliceOf = ({ dtype, shape, ...rest }: Dense, axis: number, i: number): Dense => {
  const values = elements({ dtype, shape, ...rest })
  const [inner, count] = [sizeOf(shape.slice(axis + 1)), shape[axis] ?? 1]
  const left = shape.filter((_, a) => a !== axis)
  const at = (k: number): number => Math.floor(k / inner) * count * inner + i * inner + (k % inner)
  return tensorOf(
    dtype,
    left,
    Array.from({ length: sizeOf(left) }, (_, k) => Number(values[at(k)])),
  )
}

/** Tensors of one shape side by side along a new axis. */
const stacked = (parts: ReadonlyArray<Dense>, axis: number): Dense => {
  const [first] = parts
  if (first === undefined) throw new Error('a body that never ran has no results')
  const shape = [...first.shape.slice(0, axis), parts.length, ...first.shape.slice(axis)]
  const inner = sizeOf(first.shape.slice(axis))
  const numbers = parts.map((part) => elements(part))
  return tensorOf(
    first.dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, (_, k) => {
      const [block, place] = [Math.floor(k / inner), k % inner]
      const [outer, part] = [Math.floor(block / parts.length), block % parts.length]
      return Number(numbers[part]?.[outer * inner + place])
    }),
  )
}

/** Outputs of a node with bodies; undefined for any other node. */
export const runBodies = (graph: Graph, node: Node, values: Values, run: Run): ReadonlyArray<Dense> | undefined => {
  if (!isOpaque(node)) return undefined
  const opened = subgraphs.open(node, graph) ?? []
  const inputs = node.inputs.map((name) => values.get(name))
  /** Results of a body for its own inputs. */
  const call = (body: Graph, own: ReadonlyArray<Dense | undefined>): ReadonlyArray<Dense> => {
    const feeds = new Map<string, Dense>()
    body.inputs.forEach(({ name }, i) => {
      const given = values.get(name) ?? own[i]
      if (given !== undefined) feeds.set(name, given)
    })
    const all = run(body, feeds)
    return body.outputs.map(({ name }) => {
      const constant = body.constants.get(name)
      return dense(all.get(name) ?? feeds.get(name) ?? (constant && materialize(constant)))
    })
  }
  const [first] = opened
  if (first === undefined) return undefined
  if (node.attrs.opType === 'If') {
    const taken = truth(inputs[0]) ? 'then_branch' : 'else_branch'
    const branch = opened.find(({ name }) => name === taken)
    return branch && call(branch.graph, [])
  }
  if (node.attrs.opType === 'Loop') {
    const most = inputs[0] === undefined ? Infinity : Number(elements(inputs[0])[0])
    let goesOn = truth(inputs[1])
    let states: ReadonlyArray<Dense | undefined> = inputs.slice(2)
    const kept: Dense[][] = []
    for (let i = 0; i < most && goesOn; i++) {
      const [next, ...made] = call(first.graph, [int64s([i], []), flag(goesOn), ...states])
      goesOn = truth(next)
      kept.push(made.slice(states.length))
      states = made.slice(0, states.length)
    }
    const scans =
      kept[0]?.map((_, k) =>
        stacked(
          kept.map((row) => dense(row[k])),
          0,
        ),
      ) ?? []
    return [...states.map(dense), ...scans]
  }
  const attributes = restore(NodeProtoSchema, node.attrs.payload).attribute
  const numbers = (name: string): ReadonlyArray<number> =>
    (attributes.find((attribute) => attribute.name === name)?.ints ?? []).map(Number)
  const scanned = Number(attributes.find(({ name }) => name === 'num_scan_inputs')?.i ?? 1)
  const [from, to] = [numbers('scan_input_axes'), numbers('scan_output_axes')]
  let states: ReadonlyArray<Dense | undefined> = inputs.slice(0, inputs.length - scanned)
  const sequences = inputs.slice(inputs.length - scanned).map(dense)
  const length = sequences[0]?.shape[from[0] ?? 0] ?? 0
  const kept: Dense[][] = []
  for (let i = 0; i < length; i++) {
    const made = call(first.graph, [...states, ...sequences.map((x, k) => sliceOf(x, from[k] ?? 0, i))])
    kept.push(made.slice(states.length))
    states = made.slice(0, states.length)
  }
  const scans =
    kept[0]?.map((_, k) =>
      stacked(
        kept.map((row) => dense(row[k])),
        to[k] ?? 0,
      ),
    ) ?? []
  return [...states.map(dense), ...scans]
}
