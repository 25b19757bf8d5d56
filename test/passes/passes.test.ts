/**
 * The laws of passes on random graphs: same function, types check, a second run changes nothing, no buffer is written to.
 * `RUNS=n` tries n graphs for each pass.
 */
import { readdirSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Graph, withParts } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { isStatic } from '../../src/ir/type.ts'
import { isOp } from '../../src/ir/registry.ts'
import { copyElements, int64s, materialize, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { eliminateCommon } from '../../src/passes/eliminate-common.ts'
import { eliminateDead } from '../../src/passes/eliminate-dead.ts'
import { eliminateIdentity } from '../../src/passes/eliminate-identity.ts'
import { foldAffine } from '../../src/passes/fold-affine.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { foldPad } from '../../src/passes/fold-pad.ts'
import { fuseLinear } from '../../src/passes/fuse-linear.ts'
import { fuseParallel } from '../../src/passes/fuse-parallel.ts'
import { mergeChannels } from '../../src/passes/merge-channels.ts'
import { shareConstants } from '../../src/passes/share-constants.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { splitRanks } from '../../src/passes/split-rank.ts'
import { buildProgram, programs } from '../fuzz/program.ts'
import { uniforms } from '../inflate.ts'
import { runLawful } from './laws.ts'

const passes = [
  eliminateCommon,
  eliminateDead,
  eliminateIdentity,
  foldAffine,
  foldConstants,
  foldPad,
  fuseLinear,
  fuseParallel,
  mergeChannels({ target: 'cpu' }),
  shareConstants,
  simplify,
  splitRanks({ target: 'cpu' }),
]

/**
 * The graph with what exporters leave behind: copies of nodes and of constants, Identities, Adds of zero, constants in
 * nodes, arithmetic on constants, scales and shifts of channels, padding in nodes, sums of two convolutions, outputs that are
 * multiples of others, and nodes that nothing reads.
 */
const roughen = (graph: Graph, seed: number): Graph => {
  const uniform = uniforms(seed)
  const constants = new Map(graph.constants)
  const nodes: Node[] = []
  let count = 0
  const fresh = (): string => `rough${count++}`
  const constant = (tensor: Tensor): string => {
    const name = fresh()
    constants.set(name, tensor)
    return name
  }
  /** Names that hold the same as a value; reads are spread over them. */
  const alike = new Map<string, string[]>()
  const pick = (name: string): string => {
    const names = alike.get(name) ?? [name]
    return names[Math.floor(uniform() * names.length)] ?? name
  }
  const also = (name: string, other: string): void => void alike.set(name, [...(alike.get(name) ?? [name]), other])
  const copies: ReadonlyArray<(name: string, shape: ReadonlyArray<number>) => void> = [
    (name) => {
      const [copy, twice] = [fresh(), fresh()]
      nodes.push(
        makeNode(ops.Identity, [name], [copy]),
        makeNode(ops.Add, [copy, constant(tensorOf('float32', [], [0]))], [twice]),
      )
      also(name, copy)
      also(name, twice)
    },
    (name, shape) => {
      const [scaled, back] = [fresh(), fresh()]
      const factor = constant(
        tensorOf(
          'float32',
          [shape[1] ?? 1, ...shape.slice(2).map(() => 1)],
          Float32Array.from({ length: shape[1] ?? 1 }, () => 0.5 + uniform()),
        ),
      )
      nodes.push(makeNode(ops.Mul, [name, factor], [scaled]), makeNode(ops.Div, [scaled, factor], [back]))
      also(name, back)
    },
    (name) => {
      const [half, one, up, down] = [fresh(), fresh(), fresh(), fresh()]
      nodes.push(
        makeNode(ops.Constant, [], [half], { value_float: 0.5 }),
        makeNode(ops.Add, [half, half], [one]),
        makeNode(ops.Add, [name, one], [up]),
        makeNode(ops.Sub, [up, one], [down]),
      )
      also(name, down)
    },
  ]
  /** A convolution whose padding is a node of its own. */
  const unpadded = (node: Node): Node => {
    if (!isOp(node, ops.Conv) || node.attrs.pads === undefined || uniform() < 0.5) return node
    const { pads } = node.attrs
    const padded = fresh()
    const rank = pads.length / 2
    const widths = int64s([0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)])
    nodes.push(makeNode(ops.Pad, [node.inputs[0] ?? '', constant(widths)], [padded]))
    return { ...node, inputs: [padded, ...node.inputs.slice(1)], attrs: { ...node.attrs, pads: undefined } }
  }
  /** A convolution as the sum of two, of which the second one has another weight and no bias. */
  const branched = (node: Node): Node => {
    const weight = isOp(node, ops.Conv) ? constants.get(node.inputs[1] ?? '') : undefined
    if (weight?.shape[2] !== 3 || uniform() < 0.5) return node
    const [first, second] = [fresh(), fresh()]
    const values = copyElements(weight).map((w) => 0.5 * w)
    const inputs = [node.inputs[0] ?? '', constant(tensorOf('float32', weight.shape, values))]
    nodes.push({ ...node, outputs: [first] }, { ...node, inputs, outputs: [second] })
    return makeNode(ops.Add, [first, second], node.outputs)
  }
  /** A convolution of which the outputs are multiples of the first two. */
  const repeated = (node: Node): Node => {
    const weight = isOp(node, ops.Conv) ? constants.get(node.inputs[1] ?? '') : undefined
    if (weight?.shape[2] !== 3 || uniform() < 0.5) return node
    const values = copyElements(weight)
    const each = values.length / (weight.shape[0] ?? 1)
    const same = values.map((w, k) =>
      k < 2 * each ? w : (values[k % (2 * each)] ?? 0) * 2 ** -(Math.floor(k / each) % 3),
    )
    return { ...node, inputs: node.inputs.with(1, constant(tensorOf('float32', weight.shape, same))) }
  }
  for (const [name, tensor] of graph.constants) if (uniform() < 0.3) also(name, constant({ ...materialize(tensor) }))
  for (const given of graph.nodes) {
    const picked = { ...given, inputs: given.inputs.map((name) => (name === '' ? '' : pick(name))) }
    const node = branched(repeated(unpadded(picked)))
    nodes.push(node)
    const [output] = node.outputs
    const type = graph.types.get(output ?? '')
    if (output === undefined || type?.kind !== 'tensor' || type.dtype !== 'float32') continue
    if (uniform() < 0.2 && node.outputs.length === 1) {
      const copy = fresh()
      nodes.push({ ...node, outputs: [copy] })
      also(output, copy)
    }
    // Only the first axis of an image is of unknown size; of a sequence it may be the second.
    const sizes = type.shape?.slice(1).every(isStatic) === true ? type.shape.map(Number) : undefined
    if (uniform() < 0.3 && sizes !== undefined) copies[Math.floor(uniform() * copies.length)]?.(output, sizes)
    if (uniform() < 0.1) nodes.push(makeNode(ops.Relu, [output], [fresh()]))
  }
  return withParts(graph, { nodes, constants })
}

const runs = Number(process.env['RUNS'] ?? 100)

/** How many of them each pass changes at least: a law that holds because nothing happens is none. */
const changes = runs / 50

describe.each(passes)('$name', (pass) => {
  test('obeys the laws', () => {
    let changed = 0
    fc.assert(
      fc.property(programs, (program) => {
        const graph = roughen(buildProgram(program), program.seed)
        if (runLawful(pass, graph) !== graph) changed += 1
      }),
      { numRuns: runs },
    )
    expect(changed).toBeGreaterThan(changes)
  })

  test('has the name of its file', () => {
    expect(readdirSync(new URL('../../src/passes', import.meta.url))).toContain(`${pass.name}.ts`)
  })
})
