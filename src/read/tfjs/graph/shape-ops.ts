/** TensorFlow's operators that summarise axes, move elements, or compute sizes and indices. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../../../ir/dtype.ts'
import type { OpDef } from '../../../ir/op.ts'
import { ArgMax } from '../../../ir/ops/arg-max.ts'
import { ArgMin } from '../../../ir/ops/arg-min.ts'
import { Concat } from '../../../ir/ops/concat.ts'
import { ConstantOfShape } from '../../../ir/ops/constant-of-shape.ts'
import { CumSum } from '../../../ir/ops/cum-sum.ts'
import { DepthToSpace } from '../../../ir/ops/depth-to-space.ts'
import { Einsum } from '../../../ir/ops/einsum.ts'
import { Expand } from '../../../ir/ops/expand.ts'
import { GatherND } from '../../../ir/ops/gather-nd.ts'
import { LRN } from '../../../ir/ops/lrn.ts'
import { NonZero } from '../../../ir/ops/non-zero.ts'
import { OneHot } from '../../../ir/ops/one-hot.ts'
import { Range as RangeOp } from '../../../ir/ops/range.ts'
import { ReduceMax } from '../../../ir/ops/reduce-max.ts'
import { ReduceMean } from '../../../ir/ops/reduce-mean.ts'
import { ReduceMin } from '../../../ir/ops/reduce-min.ts'
import { ReduceProd } from '../../../ir/ops/reduce-prod.ts'
import { ReduceSum } from '../../../ir/ops/reduce-sum.ts'
import { Reshape } from '../../../ir/ops/reshape.ts'
import { Size } from '../../../ir/ops/size.ts'
import { SpaceToDepth } from '../../../ir/ops/space-to-depth.ts'
import { TopK } from '../../../ir/ops/top-k.ts'
import { Unsqueeze } from '../../../ir/ops/unsqueeze.ts'
import { tensorOf } from '../../../ir/tensor.ts'
import { isStatic, staticShape } from '../../../ir/type.ts'
import { argument, axesOf, reduce } from '../emit/reduction.ts'
import { resize } from '../emit/resampling.ts'
import {
  concat,
  gather,
  pad,
  type Range,
  reshape,
  shapeOf,
  slice,
  split,
  squeeze,
  tile,
  toEnd,
  toStart,
  transpose,
  unsqueeze,
} from '../emit/shaping.ts'
import { binary, type Call, integersAt, type Lowered, type Lowering, one, rankAt, ternary, unary } from './call.ts'

/** An axis counted from the front, as input `port` has it. */
const axisAt = (call: Call, port: number, rank: number): E.Either<string, number> =>
  E.chain(([axis = NaN]: ReadonlyArray<number>): E.Either<string, number> => placed(axis, rank))(integersAt(call, port))

const placed = (axis: number, rank: number): E.Either<string, number> => {
  const at = axis < 0 ? axis + rank : axis
  return at >= 0 && at < rank ? E.right(at) : E.left(`axis ${axis} of ${rank}`)
}

type Reduction = Parameters<typeof reduce>[1]

/** A reduction of numbers, or of truth values as the numbers 0 and 1. */
const reducing = (op: OpDef<string, Parameters<Reduction['inferTypes']>[0]['attrs']>, truth = false): Lowering =>
  binary((call, x) => {
    const [rank, axes] = [rankAt(call, 0), integersAt(call, 1)]
    if (E.isLeft(rank)) return rank
    if (E.isLeft(axes)) return axes
    const at = axesOf(axes.right, rank.right)
    if (at === undefined) return E.left(`axes ${axes.right.join(', ')} of ${rank.right}`)
    const { b, attrs } = call
    const keep = attrs.bool('keep_dims', false)
    const numbers = truth ? b.cast(x, 'int32') : x
    const dtype = b.dtypeOf(numbers)
    const asFloat = op.name === ReduceMean.name && dtype !== undefined && !isFloat(dtype)
    const reduced = reduce(b, op, asFloat ? b.cast(numbers, 'float32') : numbers, at, keep)
    return one(truth ? b.cast(reduced, 'bool') : reduced)
  })

const arguments_ = (op: typeof ArgMax | typeof ArgMin): Lowering =>
  unary((call, x) => {
    const rank = rankAt(call, 0)
    if (E.isLeft(rank)) return rank
    const axis = call.inputs.length > 1 ? axisAt(call, 1, rank.right) : E.right(0)
    if (E.isLeft(axis)) return axis
    return one(call.b.cast(argument(call.b, op, x, axis.right), 'int32'))
  })

const concatenation =
  (axisFirst: boolean): Lowering =>
  (call) => {
    const { b, attrs, inputs } = call
    const count = attrs.int('N', inputs.length - 1)
    const parts = axisFirst ? inputs.slice(1, count + 1) : inputs.slice(0, count)
    const rank = parts[0] && b.rankOf(parts[0])
    if (rank === undefined) return E.left('parts of unknown rank')
    const axis = axisAt(call, axisFirst ? 0 : count, rank)
    return E.isLeft(axis) ? axis : one(concat(b, parts, axis.right))
  }

const amountsOf = (values: ReadonlyArray<number>): ReadonlyArray<readonly [number, number]> =>
  Array.from({ length: values.length / 2 }, (_, axis) => [values[2 * axis] ?? 0, values[2 * axis + 1] ?? 0])

const padding: Lowering = binary((call, x) => {
  const values = integersAt(call, 1)
  if (E.isLeft(values)) return values
  return one(pad(call.b, x, amountsOf(values.right), 'constant', call.inputs[2]))
})

const mirrorPadding: Lowering = binary((call, x) => {
  const values = integersAt(call, 1)
  if (E.isLeft(values)) return values
  const amounts = amountsOf(values.right)
  if (call.attrs.text('mode', 'REFLECT') === 'REFLECT') return one(pad(call.b, x, amounts, 'reflect'))
  // With the border itself repeated, one place is what ONNX calls the edge.
  const isEdge = amounts.every(([before, behind]) => before <= 1 && behind <= 1)
  return isEdge ? one(pad(call.b, x, amounts, 'edge')) : E.left('mode SYMMETRIC by more than 1')
})

const transposition: Lowering = binary((call, x) => {
  const perm = integersAt(call, 1)
  return E.isLeft(perm) ? perm : one(transpose(call.b, x, perm.right))
})

const squeezing: Lowering = unary((call, x) => {
  const { b, attrs } = call
  const given = attrs.ints('squeeze_dims').length > 0 ? attrs.ints('squeeze_dims') : attrs.ints('axis')
  const rank = rankAt(call, 0)
  if (E.isLeft(rank)) return rank
  if (given.length > 0)
    return one(
      squeeze(
        b,
        x,
        given.map((axis) => (axis < 0 ? axis + rank.right : axis)),
      ),
    )
  const shape = b.shapeOf(x) ?? []
  if (!shape.every(isStatic)) return E.left('axes of unknown size, all of those of size 1 left out')
  return one(
    squeeze(
      b,
      x,
      shape.flatMap((size, axis) => (size === 1 ? [axis] : [])),
    ),
  )
})

const expansion: Lowering = binary((call, x) => {
  const [rank, axis] = [rankAt(call, 0), integersAt(call, 1)]
  if (E.isLeft(rank)) return rank
  if (E.isLeft(axis)) return axis
  const [at = 0] = axis.right
  return one(unsqueeze(call.b, x, [at < 0 ? at + rank.right + 1 : at]))
})

/** Outputs that a node has, at most. */
const mostParts = 2 ** 16

/** Equal parts along the axis of input 0. */
const splitting: Lowering = binary((call, _axis, x) => {
  const rank = rankAt(call, 1)
  if (E.isLeft(rank)) return rank
  const axis = axisAt(call, 0, rank.right)
  if (E.isLeft(axis)) return axis
  const size = call.b.shapeOf(x)?.[axis.right]
  const count = call.attrs.int('num_split', 1)
  if (!isStatic(size) || count > mostParts || size % count !== 0)
    return E.left(`${count} parts of an axis of ${size ?? 'unknown size'}`)
  return E.right(split(call.b, x, new Array<number>(count).fill(size / count), axis.right))
})

const splittingBySizes: Lowering = ternary((call, x) => {
  const [rank, sizes] = [rankAt(call, 0), integersAt(call, 1)]
  if (E.isLeft(rank)) return rank
  if (E.isLeft(sizes)) return sizes
  const axis = axisAt(call, 2, rank.right)
  if (E.isLeft(axis)) return axis
  const whole = call.b.shapeOf(x)?.[axis.right]
  const rest = isStatic(whole) ? whole - sizes.right.reduce((sum, size) => sum + Math.max(0, size), 0) : -1
  const parts = sizes.right.map((size) => (size < 0 ? rest : size))
  return parts.some((size) => size < 0) ? E.left('parts of unknown size') : E.right(split(call.b, x, parts, axis.right))
})

const packing: Lowering = ({ b, attrs, inputs }) => {
  const rank = inputs[0] && b.rankOf(inputs[0])
  if (rank === undefined) return E.left('parts of unknown rank')
  const axis = placed(attrs.int('axis', 0), rank + 1)
  if (E.isLeft(axis)) return axis
  return one(
    concat(
      b,
      inputs.map((x) => unsqueeze(b, x, [axis.right])),
      axis.right,
    ),
  )
}

const unpacking: Lowering = unary((call, x) => {
  const { b, attrs } = call
  const rank = rankAt(call, 0)
  if (E.isLeft(rank)) return rank
  const axis = placed(attrs.int('axis', 0), rank.right)
  if (E.isLeft(axis)) return axis
  const size = b.shapeOf(x)?.[axis.right]
  const count = attrs.int('num', isStatic(size) ? size : 0)
  if (count < 1 || count > mostParts) return E.left(`an axis of ${count < 1 ? 'unknown size' : count}`)
  const parts = split(b, x, new Array<number>(count).fill(1), axis.right)
  return E.right(parts.map((part) => squeeze(b, part, [axis.right])))
})

const slicing: Lowering = ternary((call, x) => {
  const [begins, sizes] = [integersAt(call, 1), integersAt(call, 2)]
  if (E.isLeft(begins)) return begins
  if (E.isLeft(sizes)) return sizes
  const ranges = begins.right.map((start, axis): Range => {
    const size = sizes.right[axis] ?? -1
    return { axis, start, end: size < 0 ? toEnd : start + size, step: 1 }
  })
  return one(slice(call.b, x, ranges))
})

/** What a strided slice does: ranges of axes, then axes left out, then axes of size 1 put in. */
interface Strided {
  readonly ranges: ReadonlyArray<Range>
  readonly removed: ReadonlyArray<number>
  readonly added: ReadonlyArray<number>
}

/** Reads the entries of a strided slice of `rank` axes with its bit masks. */
const stridedOf = (
  { attrs }: Call,
  rank: number,
  [begins, ends, steps]: readonly [ReadonlyArray<number>, ReadonlyArray<number>, ReadonlyArray<number>],
): Strided | undefined => {
  const mask = (name: string, at: number): boolean => ((attrs.int(name, 0) >> at) & 1) === 1
  const isNew = (at: number): boolean => mask('new_axis_mask', at) && !mask('ellipsis_mask', at)
  const places = Array.from(begins.keys())
  const read = places.filter((at) => !isNew(at) && !mask('ellipsis_mask', at)).length
  if (read > rank) return undefined
  const ranges: Range[] = []
  const removed: number[] = []
  const added: number[] = []
  let [axis, made] = [0, 0]
  for (const at of places) {
    if (mask('ellipsis_mask', at)) {
      axis += rank - read
      made += rank - read
    } else if (isNew(at)) {
      added.push(made)
      made += 1
    } else {
      const [start = 0, end = 0, step = 1] = [begins[at], ends[at], steps[at]]
      if (mask('shrink_axis_mask', at)) {
        ranges.push({ axis, start, end: start === -1 ? toEnd : start + 1, step: 1 })
        removed.push(axis)
      } else {
        const first = mask('begin_mask', at) ? (step > 0 ? 0 : toEnd) : start
        const last = mask('end_mask', at) ? (step > 0 ? toEnd : toStart) : end
        ranges.push({ axis, start: first, end: last, step })
        made += 1
      }
      axis += 1
    }
  }
  return { ranges, removed, added }
}

const stridedSlicing: Lowering = unary((call, x) => {
  const { b } = call
  const [begins, ends, steps] = [integersAt(call, 1), integersAt(call, 2), integersAt(call, 3)]
  if (E.isLeft(begins)) return begins
  if (E.isLeft(ends)) return ends
  if (E.isLeft(steps)) return steps
  const rank = rankAt(call, 0)
  if (E.isLeft(rank)) return rank
  const strided = stridedOf(call, rank.right, [begins.right, ends.right, steps.right])
  if (strided === undefined) return E.left(`${begins.right.length} entries for ${rank.right} axes`)
  return one(unsqueeze(b, squeeze(b, slice(b, x, strided.ranges), strided.removed), strided.added))
})

const reversal: Lowering = binary((call, x) => {
  const [rank, axes] = [rankAt(call, 0), integersAt(call, 1)]
  if (E.isLeft(rank)) return rank
  if (E.isLeft(axes)) return axes
  const at = axesOf(axes.right, rank.right)
  if (at === undefined) return E.left(`axes ${axes.right.join(', ')}`)
  return one(
    slice(
      call.b,
      x,
      [...at].map((axis) => ({ axis, start: -1, end: toStart, step: -1 })),
    ),
  )
})

const gathering =
  (hasAxis: boolean): Lowering =>
  (call) => {
    const { b, attrs, inputs } = call
    const [x, indices] = inputs
    if (x === undefined || indices === undefined) return E.left('no indices')
    if (attrs.int('batch_dims', 0) !== 0) return E.left('batch_dims')
    const rank = rankAt(call, 0)
    if (E.isLeft(rank)) return rank
    const axis = hasAxis ? axisAt(call, 2, rank.right) : E.right(0)
    return E.isLeft(axis) ? axis : one(gather(b, x, b.cast(indices, 'int32'), axis.right))
  }

const tiling: Lowering = binary((call, x) => {
  const repeats = integersAt(call, 1)
  return E.isLeft(repeats) ? repeats : one(tile(call.b, x, repeats.right))
})

const filling: Lowering = binary(({ b }, dims, value) => {
  const known = b.integersOf(dims)
  const shape = known === undefined ? b.asInt64(dims) : b.int64(known)
  if (value.kind === 'known' && !value.tensor.strings) {
    return one(b.computed(b.node(ConstantOfShape, [shape], { value: { ...value.tensor, shape: [1] } })))
  }
  return one(b.computed(b.node(Expand, [b.last(value), shape])))
})

/** `value` in the shape and type of the input. */
const filledLike = (value: number): Lowering =>
  unary(({ b }, x) => {
    const dtype = b.dtypeOf(x) ?? 'float32'
    const known = staticShape(b.shapeOf(x))
    const shape = known === undefined ? b.asInt64(shapeOf(b, x)) : b.int64(known)
    return one(b.computed(b.node(ConstantOfShape, [shape], { value: tensorOf(dtype, [1], [value]) })))
  })

const broadcasting: Lowering = binary(({ b }, x, shape) =>
  one(b.computed(b.node(Expand, [b.last(x), b.asInt64(shape)]))),
)

const resizing = (mode: 'nearest' | 'linear'): Lowering =>
  binary(({ b, attrs }, x, size) => {
    const grid = {
      alignCorners: attrs.bool('align_corners', false),
      halfPixelCenters: attrs.bool('half_pixel_centers', false),
    }
    return one(resize(b, b.cast(x, 'float32'), size, mode, grid))
  })

const blocks = (op: typeof DepthToSpace | typeof SpaceToDepth): Lowering =>
  unary(({ b, attrs }, x) => {
    const format = attrs.text('data_format', 'NHWC')
    if (format !== 'NHWC') return E.left(`data_format ${format}`)
    const blocksize = attrs.int('block_size', 2)
    const value = b.first(x)
    const moved =
      op.name === 'DepthToSpace'
        ? b.node(DepthToSpace, [value], { blocksize, mode: 'DCR' })
        : b.node(SpaceToDepth, [value], { blocksize })
    return one(b.computed(moved, 'first'))
  })

/** Largest values and their places along the last axis. */
const largest: Lowering = binary(({ b }, x, count) => {
  const counts = b.node(Reshape, [b.asInt64(count), b.int64([1])])
  const [values = '', places = ''] = b.nodes(TopK, [b.last(x), counts], 2)
  return E.right([b.computed(values), b.cast(b.computed(places), 'int32')])
})

/** Places of what is not zero, one in each row. */
const places: Lowering = unary(({ b }, x) => {
  const rows = b.transposed(b.node(NonZero, [b.last(x)]), [1, 0])
  return one(b.cast(b.computed(rows), 'int32'))
})

const cumulation: Lowering = binary((call, x) => {
  const rank = rankAt(call, 0)
  if (E.isLeft(rank)) return rank
  const axis = axisAt(call, 1, rank.right)
  if (E.isLeft(axis)) return axis
  const { b, attrs } = call
  const flags = { exclusive: attrs.bool('exclusive', false) ? 1 : 0, reverse: attrs.bool('reverse', false) ? 1 : 0 }
  return one(b.computed(b.node(CumSum, [b.last(x), b.tensor(tensorOf('int64', [], [axis.right]))], flags)))
})

const oneHot: Lowering = ternary(({ b, attrs, inputs }, indices, depth, on) => {
  const off = inputs[3]
  if (off === undefined) return E.left('no value for the others')
  const values = [off, on].map((x) => b.node(Unsqueeze, [b.last(x), b.int64([0])]))
  const pair = b.node(Concat, values, { axis: 0 })
  return one(b.computed(b.node(OneHot, [b.asInt64(indices), b.asInt64(depth), pair], { axis: attrs.int('axis', -1) })))
})

/** In ONNX the factor is shared by all channels in reach, in TensorFlow each has it. */
const responseNormalization: Lowering = unary(({ b, attrs }, x) => {
  const size = 2 * attrs.int('depth_radius', 5) + 1
  const [alpha, beta, bias] = [attrs.float('alpha', 1), attrs.float('beta', 0.5), attrs.float('bias', 1)]
  return one(b.computed(b.node(LRN, [b.first(x)], { size, alpha: alpha * size, beta, bias }), 'first'))
})

const einsum: Lowering = ({ b, attrs, inputs }) =>
  one(b.computed(b.node(Einsum, inputs.map(b.last), { equation: attrs.text('equation', '') })))

const gatheringNd: Lowering = binary(({ b }, x, indices) =>
  one(b.computed(b.node(GatherND, [b.last(x), b.asInt64(indices)]))),
)

const range: Lowering = ternary(({ b }, start, limit, step) =>
  one(b.computed(b.node(RangeOp, [start, limit, step].map(b.last)))),
)

const casting: Lowering = unary(({ b, attrs }, x) => {
  const to = attrs.dtype('DstT')
  return to === undefined ? E.left('an element type that TensorFlow.js does not have') : one(b.cast(x, to))
})

const same: Lowering = ({ inputs }): Lowered => (inputs.length === 0 ? E.left('no inputs') : E.right(inputs))

const sizeOfAll: Lowering = unary(({ b }, x) => one(b.cast(b.computed(b.node(Size, [b.native(x)])), 'int32')))

const rankOfAll: Lowering = unary((call) => {
  const rank = rankAt(call, 0)
  return E.isLeft(rank) ? rank : one(call.b.constant('rank', tensorOf('int32', [], [rank.right])))
})

export const shapeOps: ReadonlyArray<readonly [string, Lowering]> = [
  ['Mean', reducing(ReduceMean)],
  ['Sum', reducing(ReduceSum)],
  ['Max', reducing(ReduceMax)],
  ['Min', reducing(ReduceMin)],
  ['Prod', reducing(ReduceProd)],
  ['All', reducing(ReduceMin, true)],
  ['Any', reducing(ReduceMax, true)],
  ['ArgMax', arguments_(ArgMax)],
  ['ArgMin', arguments_(ArgMin)],
  ['Concat', concatenation(true)],
  ['ConcatV2', concatenation(false)],
  ['Pad', padding],
  ['PadV2', padding],
  ['MirrorPad', mirrorPadding],
  ['Reshape', binary(({ b }, x, shape) => one(reshape(b, x, shape)))],
  ['Transpose', transposition],
  ['Squeeze', squeezing],
  ['ExpandDims', expansion],
  ['Split', splitting],
  ['SplitV', splittingBySizes],
  ['Pack', packing],
  ['Unpack', unpacking],
  ['Slice', slicing],
  ['StridedSlice', stridedSlicing],
  ['ReverseV2', reversal],
  ['Gather', gathering(false)],
  ['GatherV2', gathering(true)],
  ['GatherNd', gatheringNd],
  ['Tile', tiling],
  ['Fill', filling],
  ['ZerosLike', filledLike(0)],
  ['OnesLike', filledLike(1)],
  ['BroadcastTo', broadcasting],
  ['ResizeBilinear', resizing('linear')],
  ['ResizeNearestNeighbor', resizing('nearest')],
  ['DepthToSpace', blocks(DepthToSpace)],
  ['SpaceToDepth', blocks(SpaceToDepth)],
  ['TopKV2', largest],
  ['Where', places],
  ['Cumsum', cumulation],
  ['OneHot', oneHot],
  ['LRN', responseNormalization],
  ['Einsum', einsum],
  ['Range', range],
  ['Cast', casting],
  ['Shape', unary(({ b }, x) => one(shapeOf(b, x)))],
  ['Size', sizeOfAll],
  ['Rank', rankOfAll],
  ['Identity', same],
  ['IdentityN', same],
  ['StopGradient', same],
  ['Snapshot', same],
  ['EnsureShape', unary((_call, x) => one(x))],
]
