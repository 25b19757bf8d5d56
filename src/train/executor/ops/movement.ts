/** Operators that pick elements along axes: the index maps are those that the operators' links give. */
import * as E from 'fp-ts/lib/Either.js'
import type { AxisLink, OpDef } from '../../../ir/op.ts'
import { fillOf } from '../../../ir/ops/pad.ts'
import * as ir from '../../../ir/ops/index.ts'
import { generate, numbersOf, stridesOf } from '../../../ir/evaluate.ts'
import { placeOf } from '../../../ir/links.ts'
import { integersOf, materialize } from '../../../ir/tensor.ts'
import { normalizeAxis, sizeOf } from '../../../ir/type.ts'
import type { Tensor } from '../../backend/tensor.ts'
import { onnxOrder, storedAxis } from '../layout.ts'
import { fixed, given, layoutOr, type Lowering, lowering, operand, oneToOne, type Site } from '../lowering.ts'
import { picking, type Picking } from '../picking.ts'

/** Where the indices of an output axis come from, by the operator's evaluation on a tensor that holds its own indices. */
const evaluatedSources = <A>(
  op: OpDef<string, A>,
  site: Site<A>,
  output: number,
  axis: number,
): Int32Array | undefined => {
  const shape = site.shapeOf(0)
  const indices = generate('float32', shape, (index) => index[axis] ?? 0)
  const inputs = site.node.inputs.map((_, port) => {
    const constant = site.constant(port)
    return port === 0 ? indices : constant && materialize(constant)
  })
  const result = op.evaluate?.(site, inputs)?.[output]
  if (result === undefined) return undefined
  const [numbers, stride] = [numbersOf(result), stridesOf(result.shape)[axis] ?? 1]
  return Int32Array.from({ length: result.shape[axis] ?? 0 }, (_, o) => numbers[o * stride] ?? 0)
}

/** The picks that make output `output` of `site`, axis by axis in memory; undefined where they are not known. */
const picksOf = <A>(
  op: OpDef<string, A>,
  site: Site<A>,
  links: ReadonlyArray<AxisLink>,
  output: number,
  fill: number,
): ReadonlyArray<Picking> | undefined => {
  const layout = layoutOr(site, 0)
  const picks: Picking[] = []
  for (const [axis, size] of site.outputShape(output).entries()) {
    const link = links.find(
      (l) => l.input === 0 && l.inputAxis === axis && l.output === output && l.outputAxis === axis,
    )
    const before = site.shapeOf(0)[axis] ?? 1
    const sourceOf = (o: number): number => (link?.from === undefined ? o : placeOf(link.from, o))
    const from =
      link === undefined
        ? evaluatedSources(op, site, output, axis)
        : Int32Array.from({ length: size }, (_, o) => sourceOf(o))
    if (from === undefined) return undefined
    if (from.length === before && from.every((i, o) => i === o)) continue
    picks.push(picking(site.ops, storedAxis(axis, layout), before, from, fill))
  }
  return picks
}

const picked = <Name extends string, A>(
  op: OpDef<Name, A>,
  fillFor: (site: Site<A>) => number | undefined = () => 0,
): Lowering =>
  lowering(op, (site) => {
    const links = op.links === 'opaque' ? 'opaque' : op.links(site)
    const fill = fillFor(site)
    if (links === 'opaque' || fill === undefined) return E.left(`${op.name} of computed places`)
    const layout = layoutOr(site, 0)
    const outputs: Array<ReadonlyArray<Picking>> = []
    for (const i of site.node.outputs.keys()) {
      const picks = picksOf(op, site, links, i, fill)
      if (picks === undefined) return E.left(`${op.name} of computed places`)
      outputs.push(picks)
    }
    const forward = (x: Tensor, picks: ReadonlyArray<Picking>): Tensor => picks.reduce((y, pick) => pick.pick(y), x)
    const backward = (dy: Tensor, picks: ReadonlyArray<Picking>): Tensor =>
      picks.reduceRight((dx, pick) => pick.back(dx), dy)
    const k = site.ops
    return E.right({
      reads: [operand(layout), ...site.node.inputs.slice(1).map(() => fixed)],
      gives: outputs.map(() => layout),
      run: (inputs) => ({
        outputs: outputs.map((picks) => forward(given(inputs, 0), picks)),
        gradient: (dys) => {
          let sum: Tensor | undefined
          for (const [i, picks] of outputs.entries()) {
            const dy = dys[i]
            if (dy === undefined) continue
            const part = backward(dy, picks)
            sum = sum === undefined ? part : k.add(sum, part)
          }
          return [sum]
        },
      }),
    })
  })

/** Indices of any rank are picked as a vector. */
const gather = lowering(ir.Gather, (site) => {
  const k = site.ops
  const from = site.shapeOf(0)
  const axis = normalizeAxis(site.attrs.axis, from.length)
  const constant = site.constant(1)
  const indices = constant && integersOf(constant)
  if (axis === undefined || indices === undefined) return E.left('Gather of computed indices')
  const size = from[axis] ?? 1
  const counted = Int32Array.from(indices, (i) => (i < 0 ? i + size : i))
  const { pick, back } = picking(k, axis, size, counted, 0)
  const output = site.outputShape()
  const vector = from.map((d, a) => (a === axis ? counted.length : d))
  return E.right(
    oneToOne(
      onnxOrder(from.length),
      onnxOrder(output.length),
      (x) => k.reshape(pick(x), output),
      (dy) => back(k.reshape(dy, vector)),
      [fixed],
    ),
  )
})

const concat = lowering(ir.Concat, (site) => {
  const k = site.ops
  const output = site.outputShape()
  const axis = normalizeAxis(site.attrs.axis ?? 0, output.length)
  if (axis === undefined || sizeOf(output) === 0) return E.left('Concat of nothing')
  const ports = site.node.inputs.map((_, port) => port)
  const layout = ports.map((port) => site.layoutOf(port)).find((l) => l !== undefined) ?? onnxOrder(output.length)
  const at = storedAxis(axis, layout)
  const sizes = ports.map((port) => site.shapeOf(port)[axis] ?? 0)
  return E.right({
    reads: ports.map(() => operand(layout)),
    gives: [layout],
    run: (inputs) => ({
      outputs: [
        k.concat(
          ports.map((port) => given(inputs, port)),
          at,
        ),
      ],
      gradient: ([dy], wanted) => {
        let begin = 0
        return ports.map((port) => {
          const size = sizes[port] ?? 0
          const start = begin
          begin += size
          if (dy === undefined || wanted[port] !== true) return undefined
          return k.slice(
            dy,
            dy.shape.map((_, a) => (a === at ? start : 0)),
            dy.shape.map((d, a) => (a === at ? size : d)),
          )
        })
      },
    }),
  })
})

export const movements: ReadonlyArray<Lowering> = [
  picked(ir.Slice),
  picked(ir.Split),
  picked(ir.Pad, fillOf),
  gather,
  concat,
]
