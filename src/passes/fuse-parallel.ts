/** Linear branches side by side as one, as in networks that were trained with more branches than they need. */
import * as E from 'fp-ts/lib/Either.js'
import { onlyReader, soleProducer } from '../ir/analysis.ts'
import { type Reads, readsOfContraction } from '../ir/families/contraction.ts'
import { type Added, addToWeight } from '../ir/families/weight-sums.ts'
import { isHeldSmall, layoutOf, rowSums } from '../ir/families/weights.ts'
import { numbersOf } from '../ir/evaluate.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import { cancels, precisionOf } from '../ir/numerics.ts'
import type { Node, Sampling, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { opOf } from '../ir/registry.ts'
import { elementReader, materialize } from '../ir/tensor.ts'
import { sizeOf, tensorType } from '../ir/type.ts'
import { composition } from './fuse-linear.ts'
import { type Found, namingOf, type Names, refuse, rewritePass, type Rule } from './rewrite.ts'

/** A linear map of `input`. */
interface Branch {
  readonly input: ValueId
  /** The node that computes it, which nothing else reads; undefined for the value itself. */
  readonly node: Node | undefined
  readonly reads: Reads | undefined
  /** Of a map of each channel by itself, along an axis; all 1 and 0 for the value itself. */
  readonly affine: (axis: number) => { readonly scale: Float64Array; readonly shift: Float64Array } | undefined
}

/**
 * Makes one contraction of the sum of a contraction and another linear map of the same value: another contraction, an affine
 * map of channels (BatchNormalization), or the value itself:
 *
 *     (W x + b) + (V x + c) = (W + V) x + (b + c),   (W x + b) + (s · x + t) = (W + diag(s)) x + (b + t)
 *
 * The smaller kernel is laid into the larger one where it reads the same positions. With three branches, as RepVGG has
 * them, two become one and then the third with it.
 *
 * Guards: nothing else reads a branch that is computed, and its name is not fixed; the kernel of one contraction has room
 * for the other one, with the same steps and as many output positions; the groups of the other one lie within its
 * groups; both biases are constant; the numbers are admissible (`ir/numerics.ts`), weights and biases that cancel are not.
 */
const fuseBranches: Rule = (graph, node, names) => {
  const [left = '', right = ''] = node.inputs
  return (
    fuseSum(graph, node, names) ??
    fuseBehindBias(graph, node, left, right, names) ??
    fuseBehindBias(graph, node, right, left, names)
  )
}

/**
 * The same where a constant is added to one of them in between, as exporters write the bias of a product of matrices:
 * `(W x + b) + V x = (W + V) x + b`. A constant far above the sums that it is added to is there to round them, and stays.
 */
const fuseBehindBias = (graph: Graph, node: Node, biased: ValueId, other: ValueId, names: Names): Found => {
  const inner = soleProducer(graph, biased)
  if (node.op !== Add.name || inner?.op !== Add.name || onlyReader(graph, biased) !== node) return undefined
  const [bias] = inner.inputs.filter((name) => graph.constants.has(name))
  const [value = ''] = inner.inputs.filter((name) => name !== bias)
  const [form] = branchesOf(graph, value, inner).filter(({ reads }) => reads !== undefined)
  const [beside] = branchesOf(graph, other, node).filter(({ reads }) => reads !== undefined)
  const constant = graph.constants.get(bias ?? '')
  if (bias === undefined || constant === undefined || form?.reads === undefined || beside?.node === undefined)
    return undefined
  const isFrom = (branch: Branch): boolean => branch.input === form.input
  if (!isFrom(beside) && !branchesOf(graph, beside.input, beside.node).some(isFrom)) return undefined
  const [y = ''] = node.outputs
  const sum = makeNode(Add, [value, other], [names.fresh(`${y}_unbiased`)])
  const after = makeNode(Add, [sum.outputs[0] ?? '', bias], [y], {}, inner.name)
  const nodes = graph.nodes.flatMap((one) => (one === inner ? [] : one === node ? [sum, after] : [one]))
  const fused = fuseSum(withParts(graph, { nodes }), sum, names)
  if (fused === undefined || 'refused' in fused) return fused
  let largest = 0
  for (const b of numbersOf(materialize(constant))) largest = Math.max(largest, Math.abs(b))
  const least = rowSums(form.reads).reduce((size, terms) => (terms > 0 ? Math.min(size, terms) : size), Infinity)
  if (cancels(precisionOf(constant.dtype), largest, 0, least)) {
    return refuse(node, 'its sums with a bias keep few digits, which those of one product might not')
  }
  const removes = [...fused.removes.filter((one) => one !== sum), inner, node]
  return { removes, nodes: [...fused.nodes, after], constants: fused.constants }
}

const fuseSum: Rule = (graph, node, names) => {
  const [left, right] = node.inputs
  if (node.op !== Add.name || left === undefined || right === undefined || left === right) return undefined
  for (const a of branchesOf(graph, left, node)) {
    for (const b of branchesOf(graph, right, node)) {
      if (a.input !== b.input) continue
      const fused = join(node, a, b, names) ?? join(node, b, a, names)
      if (fused !== undefined) return fused
    }
  }
  return fuseChain(graph, node, left, right, names) ?? fuseChain(graph, node, right, left, names)
}

/**
 * A contraction and two after one another, as a layer with a low-rank adapter is (LoRA): `W x + B A x = (W + B A) x`, where the
 * two become one first (`fuse-linear`).
 */
const fuseChain = (graph: Graph, sum: Node, whole: ValueId, chain: ValueId, names: Names): Found => {
  const form = branchesOf(graph, whole, sum).find(({ reads }) => reads !== undefined)
  const last = branchesOf(graph, chain, sum).find(({ reads }) => reads !== undefined)
  if (form === undefined || last?.node === undefined) return undefined
  const first = branchesOf(graph, last.input, last.node).find(({ reads }) => reads !== undefined)
  if (first?.node === undefined || first.input !== form.input) return undefined
  const one = composition(graph, last.node, names)
  if (one === undefined || 'refused' in one) return one
  const [node, ...others] = one.nodes
  if (node === undefined || others.length > 0) return undefined
  const types = new Map(graph.types)
  for (const [name, { dtype, shape }] of one.constants) types.set(name, tensorType(dtype, shape))
  const ctx = contextOf({ ...graph, types, constants: new Map([...graph.constants, ...one.constants]) }, node)
  const c = opOf(node).contraction?.(ctx)
  if (c === undefined) return undefined
  const fused = join(sum, form, { ...last, node, reads: readsOfContraction(ctx, c) }, names)
  return fused === undefined || 'refused' in fused
    ? fused
    : { ...fused, removes: [...fused.removes.filter((removed) => removed !== node), ...one.removes] }
}

/** What `value` may be seen as: itself, and the linear map that makes it, if only `reader` reads it. */
const branchesOf = (graph: Graph, value: ValueId, reader: Node): ReadonlyArray<Branch> => {
  const size = (axis: number): number => Number(shapeOf(graph.types.get(value))?.[axis])
  const itself: Branch = {
    input: value,
    node: undefined,
    reads: undefined,
    affine: (axis) =>
      Number.isInteger(size(axis))
        ? { scale: new Float64Array(size(axis)).fill(1), shift: new Float64Array(size(axis)) }
        : undefined,
  }
  const node = soleProducer(graph, value)
  if (node === undefined || onlyReader(graph, value) !== reader) return [itself]
  const ctx = contextOf(graph, node)
  const c = opOf(node).contraction?.(ctx)
  if (c !== undefined) {
    const input = node.inputs[c.port] ?? ''
    return [itself, { input, node, reads: readsOfContraction(ctx, c), affine: () => undefined }]
  }
  const port = [...node.inputs.keys()].find((p) => !graph.constants.has(node.inputs[p] ?? ''))
  const input = node.inputs[port ?? -1] ?? ''
  if (opOf(node).affine === undefined) return [itself]
  const affine = (axis: number): ReturnType<Branch['affine']> => {
    const found = opOf(node).affine?.(ctx, axis)
    return found?.port === port ? found : undefined
  }
  return [itself, { input, node, reads: undefined, affine }]
}

/** The sum of both as the contraction that `form` is. */
const join = (sum: Node, form: Branch, other: Branch, names: Names): Found => {
  const { node, reads: r } = form
  if (node === undefined || r?.contraction.sampling === undefined) return undefined
  const c = r.contraction
  const second = other.reads === undefined ? diagonalOf(r, other) : embedded(r, other.reads)
  if (second === undefined) return undefined
  if (!c.payable || other.reads?.contraction.payable === false) return refuse(sum, 'the bias of a branch is computed')
  if (r.weight.tag === 'Held' || other.reads?.weight.tag === 'Held') return refuse(sum, isHeldSmall)
  const added = addToWeight(r, second.added)
  if (E.isLeft(added)) return refuse(sum, added.left)
  const precision = precisionOf(r.weight.dtype)
  const shift = new Float64Array(r.outputs)
  for (let o = 0; o < r.outputs; o++) {
    const [own, more] = [c.bias(o), second.shift(o)]
    if (own === undefined || more === undefined) return refuse(sum, 'a bias is not one number for each channel')
    const before = Math.max(Math.abs(own), Math.abs(more))
    // Two constants that undo each other round what is added to them.
    if ((added.right.terms[o] ?? 0) > 0 && cancels(precision, before, Math.abs(own + more))) {
      return refuse(sum, `the biases ${own} and ${more} of its branches leave few digits of what they are added to`)
    }
    shift[o] = more
  }
  const change = { node: { inputs: node.inputs, outputs: sum.outputs }, weight: added.right.weight, groups: c.groups }
  const rebuilt = c.rebuild({ ...change, shift }, namingOf(node, names))
  if (E.isLeft(rebuilt)) return refuse(sum, rebuilt.left)
  if (rebuilt.right.nodes.length > 1) return undefined
  return { ...rebuilt.right, removes: [node, ...(other.node === undefined ? [] : [other.node]), sum] }
}

/** What a branch adds to the weight and the bias of another one. */
interface Addition {
  readonly added: () => Added
  readonly shift: (o: number) => number | undefined
}

/** An affine map of each channel, as weights in the middle of a kernel; undefined where it does not fit. */
const diagonalOf = (r: Reads, { affine }: Branch): Addition | undefined => {
  const { axis, outputAxis, sampling = [], scale: factor } = r.contraction
  const map = axis === outputAxis ? affine(axis) : undefined
  const taps = map && tapsFor(sampling, point(sampling))
  if (map === undefined || taps === undefined || r.inputs !== r.outputs || map.scale.length !== r.outputs)
    return undefined
  const { scale, shift } = map
  if ([...scale, ...shift].some((x) => !Number.isFinite(x))) return undefined
  return {
    added: () => (o, i, tap) => (o === i && taps[tap] === 0 ? (scale[o] ?? NaN) / factor : 0),
    shift: (o) => shift[o] ?? NaN,
  }
}

/** Another contraction with its kernel laid into that of `r`; undefined where that has no room for it. */
const embedded = (r: Reads, other: Reads): Addition | undefined => {
  const [c, d] = [r.contraction, other.contraction]
  const taps = d.sampling && tapsFor(c.sampling ?? [], d.sampling)
  const isSame = c.axis === d.axis && c.outputAxis === d.outputAxis && r.weight.dtype === other.weight.dtype
  if (taps === undefined || !isSame || d.groups % c.groups !== 0) return undefined
  if (r.inputs !== other.inputs || r.outputs !== other.outputs) return undefined
  const { start } = layoutOf(other.weight.shape, d, other)
  return {
    added: () => {
      const at = elementReader(other.weight)
      return (o, i, tap) => {
        const [first, end] = other.inputsOf(o)
        const from = taps[tap] ?? -1
        return from < 0 || i < first || i >= end ? 0 : (at(start(o, i) + from) * d.scale) / c.scale
      }
    },
    shift: d.bias,
  }
}

/** A kernel of one element that reads the position that it makes. */
const point = (sampling: ReadonlyArray<Sampling>): ReadonlyArray<Sampling> =>
  sampling.map(() => ({ size: 1, step: 1, gap: 1, before: 0, after: 0 }))

/**
 * For each element of the kernel `of` which element of `from` reads the same position, -1 for none; undefined where some
 * element of `from` has no such place, or the two make another number of positions.
 */
const tapsFor = (of: ReadonlyArray<Sampling>, from: ReadonlyArray<Sampling>): Int32Array | undefined => {
  if (of.length !== from.length) return undefined
  const taps = new Int32Array(sizeOf(of.map(({ size }) => size))).fill(-1)
  const places: number[][] = []
  for (const [axis, a] of of.entries()) {
    const b = from[axis]
    const spare = (s: Sampling): number => s.before + s.after - (s.size - 1) * s.gap
    if (b?.step !== a.step || spare(a) !== spare(b)) return undefined
    const found = Array.from({ length: b.size }, (_, t) => (t * b.gap - b.before + a.before) / a.gap)
    if (found.some((t) => !Number.isInteger(t) || t < 0 || t >= a.size)) return undefined
    places.push(found)
  }
  const count = sizeOf(from.map(({ size }) => size))
  for (let t = 0; t < count; t++) {
    let [rest, at, unit] = [t, 0, 1]
    for (let axis = of.length - 1; axis >= 0; axis--) {
      const size = from[axis]?.size ?? 1
      at += (places[axis]?.[rest % size] ?? 0) * unit
      rest = Math.floor(rest / size)
      unit *= of[axis]?.size ?? 1
    }
    taps[at] = t
  }
  return taps
}

export const fuseParallel = rewritePass('fuse-parallel', [fuseBranches])
