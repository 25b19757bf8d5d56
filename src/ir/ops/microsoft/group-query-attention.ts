import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalInt, string } from '../../attributes.ts'
import { isFloat } from '../../dtype.ts'
import { generate, numbersOf } from '../../evaluate.ts'
import { stateShape } from '../../families/microsoft-attention.ts'
import { tensorInput } from '../../infer.ts'
import { inputShape, outputShape, periodic, sameIndex, shapeOf } from '../../links.ts'
import { type AxisLink, defineOp, type IndexMap, type InferContext, type ValueId } from '../../op.ts'
import { type Dense, gather, int64s, materialize, type Tensor, tensorOf } from '../../tensor.ts'
import { isStatic, tensorType } from '../../type.ts'
import { Split } from '../split.ts'
import { makeNode } from '../../make-node.ts'

interface GroupQueryAttentionAttributes {
  readonly num_heads: number
  readonly kv_num_heads: number
  readonly scale: number
  readonly softcap: number
  readonly local_window_size: number
  readonly do_rotary: number
  readonly rotary_interleaved: number
  readonly smooth_softmax: number
  readonly qk_output: number
  /** Caches of integers are not looked into. */
  readonly k_quant_type: 'NONE'
  readonly v_quant_type: 'NONE'
  readonly kv_cache_bit_width: number | undefined
}

/** How wide a head is: without keys, queries, keys and values are one value. */
const sizeOfHead = ({ attrs, inputs }: InferContext<GroupQueryAttentionAttributes>): number | undefined => {
  const [q, k] = inputs
  const width = q?.kind === 'tensor' ? q.shape?.[2] : undefined
  const heads = attrs.num_heads + (k === undefined ? 2 * attrs.kv_num_heads : 0)
  return isStatic(width) && heads > 0 && attrs.kv_num_heads > 0 && width % heads === 0 ? width / heads : undefined
}

/** Where the operands are that have heads of queries besides those, and on which axis. */
const besideQueries = [
  [10, 1],
  [11, 0],
] as const

/** Where caches are. */
const pasts = [3, 4] as const

/** Heads of queries, of keys and values, and their size, where all operands are of the shapes that go with them; else why not. */
const headsOf = (
  ctx: InferContext<GroupQueryAttentionAttributes>,
): E.Either<string, { readonly heads: number; readonly groups: number; readonly size: number }> => {
  const { num_heads: heads, kv_num_heads: groups } = ctx.attrs
  const size = sizeOfHead(ctx)
  if (size === undefined) return E.left('heads of unknown size')
  if (ctx.inputs[1] === undefined) return E.left('queries, keys and values in one')
  if ([1, 2].some((port) => shapeOf(ctx.inputs[port])?.[2] !== groups * size) || !Number.isInteger(heads / groups))
    return E.left('keys and values of another width')
  if (pasts.some((port) => ctx.inputs[port] !== undefined && shapeOf(ctx.inputs[port])?.[1] !== groups))
    return E.left('caches of unknown shape')
  if (ctx.outputNames.slice(3).some((name) => name !== '')) return E.left('it gives weights besides')
  if (ctx.inputs.slice(12).some((type) => type !== undefined)) return E.left('caches of integers')
  const isOdd = besideQueries.some(([port, axis]) => {
    const own = shapeOf(ctx.inputs[port])?.[axis]
    return ctx.inputs[port] !== undefined && own !== 1 && own !== heads
  })
  return isOdd ? E.left('operands for heads of unknown number') : E.right({ heads, groups, size })
}

/** The same, where heads can be followed. */
const followed = (ctx: InferContext<GroupQueryAttentionAttributes>): ReturnType<typeof headsOf> =>
  [0, 1, 2].some((port) => ctx.constant(port) !== undefined) ? E.left('constant operands') : headsOf(ctx)

const nowhere: IndexMap = { first: 0, end: 0, at: (i) => i, onto: false }

/**
 * Causal attention of `[batch, places, heads · size]` in which each head of keys and values serves several of queries in a row, its group.
 * It is made for generation: keys and values go from one run to the next as inputs and outputs of the model, which fixes the groups, and
 * ONNX Runtime wants sizes of heads that are multiples of 8. What goes is heads of queries, as many of each group, and groups where
 * no cache fixes them. Queries, keys and values in one are taken apart first.
 */
export const GroupQueryAttention = defineOp<'com.microsoft.GroupQueryAttention', GroupQueryAttentionAttributes>({
  name: 'com.microsoft.GroupQueryAttention',
  versions: [1, 1],
  schema: {
    num_heads: int(0),
    kv_num_heads: int(0),
    scale: float(0),
    softcap: float(0),
    local_window_size: int(-1),
    do_rotary: int(0),
    rotary_interleaved: int(0),
    smooth_softmax: int(-1),
    qk_output: int(0),
    k_quant_type: string('NONE'),
    v_quant_type: string('NONE'),
    kv_cache_bit_width: optionalInt,
  },
  inferTypes: (ctx) => {
    const q = tensorInput(ctx, 0)
    if (E.isLeft(q)) return q
    const { dtype, shape } = q.right
    if (shape !== undefined && shape.length !== 3) return E.left(`queries of rank ${shape.length}`)
    const size = sizeOfHead(ctx)
    if (size === undefined || shape === undefined)
      return E.right(ctx.outputNames.map(() => tensorType(dtype, undefined)))
    const { num_heads: heads, kv_num_heads: shared } = ctx.attrs
    return E.right(
      ctx.outputNames.map((_, i) => {
        if (i === 0) return tensorType(dtype, [...shape.slice(0, 2), heads * size])
        return tensorType(dtype, i > 2 ? undefined : stateShape(ctx, i, shape[0], shared, size))
      }),
    )
  },
  links: (ctx) => {
    const found = followed(ctx)
    if (E.isLeft(found)) return 'opaque'
    const { heads, groups, size } = found.right
    const [wide, narrow] = [heads * size, groups * size]
    const headOf = periodic(wide, heads, size)
    const groupOf = periodic(narrow, groups, size)
    const links: AxisLink[] = [{ ...sameIndex(0, 2, 0, 2), from: headOf, into: headOf }]
    const ofGroup = periodic(wide, groups, wide / groups)
    for (const port of [1, 2]) links.push({ ...sameIndex(port, 2, 0, 2), from: ofGroup, into: groupOf, isShared: true })
    for (const port of pasts) {
      if (ctx.inputs[port] === undefined) continue
      const own = periodic(groups, groups)
      links.push({ ...sameIndex(port, 1, 0, 2), from: ofGroup, into: own, isShared: true })
    }
    for (const [port, axis] of besideQueries) {
      if (shapeOf(ctx.inputs[port])?.[axis] === heads) links.push({ ...sameIndex(port, axis, 0, 2), from: headOf })
    }
    // Each output of keys or values has its groups from all that has them, and nothing of queries.
    for (const output of [1, 2]) {
      if (!ctx.outputNames[output]) continue
      links.push({ ...sameIndex(0, 2, output, 1), into: nowhere })
      for (const port of [1, 2]) links.push({ ...sameIndex(port, 2, output, 1), into: groupOf })
      for (const port of pasts) if (ctx.inputs[port] !== undefined) links.push(sameIndex(port, 1, output, 1))
    }
    return links
  },
  keptFor: (ctx) => {
    const found = followed(ctx)
    return E.isLeft(found) ? found.left : undefined
  },
  sharing: (ctx) => {
    const found = followed(ctx)
    if (E.isLeft(found)) return undefined
    const { heads, groups, size } = found.right
    const input = { side: 'input' as const, size: 1, axis: 1 }
    const shared = [
      ...[1, 2].map((port) => ({ side: 'input' as const, port, axis: 2, size })),
      ...pasts.map((port) => ({ ...input, port })),
      ...[1, 2].map((port) => ({ side: 'output' as const, port, axis: 1, size: 1 })),
    ]
    return { axis: 2, groups, perGroup: heads / groups, size, shared }
  },
  // Zeros of values are zeros of all that is added up of them.
  constant: (ctx, slices, output) => {
    const [, , v, , past] = slices
    const isEmpty = ctx.inputs[4] === undefined || inputShape(ctx, 4)?.[2] === 0
    return output === 0 && v === 0 && (isEmpty || past === 0) ? 0 : undefined
  },
  shrink: (s) => {
    const found = followed(s)
    if (E.isLeft(found)) return { nodes: [s.node], constants: new Map() }
    const { heads, groups, size } = found.right
    /** The heads that stay of an axis that has them. */
    const left = (kept: Int32Array | undefined, count: number): Int32Array =>
      kept?.filter((i) => i % size === 0).map((i) => i / size) ?? Int32Array.from({ length: count }, (_, i) => i)
    const [queries, keys] = [left(s.keptOutput(0, 2), heads), left(s.keptInput(1, 2), groups)]
    const constants = new Map<ValueId, Tensor>()
    const inputs = [...s.node.inputs]
    const select = (port: number, axis: number, of: Int32Array, count: number): void => {
      const tensor = s.constant(port)
      if (tensor?.shape[axis] !== count || of.length === count) return
      const name = s.rename(port, inputs[port] ?? '')
      inputs[port] = name
      constants.set(name, gather(tensor, axis, of))
    }
    for (const port of pasts) select(port, 1, keys, groups)
    for (const [port, axis] of besideQueries) select(port, axis, queries, heads)
    const attrs = { ...s.attrs, num_heads: queries.length, kv_num_heads: keys.length }
    return { nodes: [{ ...s.node, inputs, attrs }], constants }
  },
  simplify: (ctx, fresh) => {
    const { num_heads: heads, kv_num_heads: groups } = ctx.attrs
    const size = sizeOfHead(ctx)
    if (ctx.inputs[1] !== undefined || ctx.inputs[2] !== undefined || size === undefined || ctx.opset < 13)
      return undefined
    const [whole = '', , , ...more] = ctx.node.inputs
    const parts = ['query', 'key', 'value'].map((part) => fresh(`${whole}_${part}`))
    const sizes = fresh(`${whole}_sizes`)
    const split = makeNode(Split, [whole, sizes], parts, { axis: 2 })
    const node = { ...ctx.node, inputs: [...parts, ...more] }
    return { nodes: [split, node], constants: new Map([[sizes, int64s([heads, groups, groups].map((n) => n * size))]]) }
  },
  // Over new keys alone, of a prompt.
  evaluate: (ctx, [q, k, v, ...more]) => {
    const found = headsOf(ctx)
    const [, , last, total, cos, sin] = more
    const { softcap, local_window_size: window, do_rotary: isTurned, smooth_softmax: isSmooth, scale } = ctx.attrs
    const isHalved = isTurned === 0 || (ctx.attrs.rotary_interleaved === 0 && cos !== undefined && sin !== undefined)
    const isPlain = softcap === 0 && window === -1 && isHalved && isSmooth !== 1 && isFloat(q?.dtype ?? 'bool')
    if (E.isLeft(found) || !q || !k || !v || !last || !total || !isPlain) return undefined
    const [batch = 0, places = 0] = q.shape
    if (more.some((given, i) => given !== undefined && ![2, 3, 4, 5].includes(i)) || numbersOf(total)[0] !== places)
      return undefined
    const { heads, groups, size } = found.right
    const lasts = numbersOf(last)
    const [cosines, sines] = isTurned !== 0 && cos && sin ? [numbersOf(cos), numbersOf(sin)] : []
    const half = cos?.shape[1] ?? 0
    /** Numbers of so many heads, turned by their places. */
    const turned = (numbers: ArrayLike<number>, count: number): Float64Array =>
      Float64Array.from(numbers, (x, i) => {
        const [d, place] = [i % size, Math.floor(i / size / count) % places]
        if (cosines === undefined || sines === undefined || d >= 2 * half) return x
        const angle = place * half + (d % half)
        const other = numbers[d < half ? i + half : i - half] ?? 0
        return x * (cosines[angle] ?? 0) + (d < half ? -other : other) * (sines[angle] ?? 0)
      })
    const [queries, keys, values] = [turned(numbersOf(q), heads), turned(numbersOf(k), groups), numbersOf(v)]
    const factor = scale === 0 ? 1 / Math.sqrt(size) : scale
    /** Where what a head has of a place begins, among so many heads. */
    const at = (b: number, place: number, head: number, count: number): number =>
      ((b * places + place) * count + head) * size
    const result = new Float64Array(queries.length)
    for (let row = 0; row < batch * places * heads; row++) {
      const [b, place, head] = [Math.floor(row / heads / places), Math.floor(row / heads) % places, row % heads]
      const group = Math.floor(head / (heads / groups))
      const count = Math.min(place, lasts[b] ?? 0) + 1
      const scores = Float64Array.from({ length: count }, (_, t) => {
        let sum = 0
        const [i, j] = [row * size, at(b, t, group, groups)]
        for (let d = 0; d < size; d++) sum += (queries[i + d] ?? 0) * (keys[j + d] ?? 0)
        return sum * factor
      })
      const largest = scores.reduce((a, x) => Math.max(a, x), -Infinity)
      const powers = scores.map((x) => Math.exp(x - largest))
      const whole = powers.reduce((a, x) => a + x, 0)
      powers.forEach((power, t) => {
        const j = at(b, t, group, groups)
        for (let d = 0; d < size; d++)
          result[row * size + d] = (result[row * size + d] ?? 0) + (power / whole) * (values[j + d] ?? 0)
      })
    }
    /** Keys or values by heads. */
    const kept = (x: Dense, numbers: ArrayLike<number>): Dense =>
      generate(x.dtype, [batch, groups, places, size], ([b = 0, head = 0, place = 0, d = 0]) => {
        return numbers[at(b, place, head, groups) + d] ?? 0
      })
    const made = materialize(tensorOf(q.dtype, q.shape, result))
    return [made, ...[kept(k, keys), kept(v, values)].slice(0, ctx.outputNames.length - 1)]
  },
  macs: (ctx) => {
    const [batch, places, width] = outputShape(ctx) ?? []
    const before = ctx.inputs[3] === undefined ? 0 : inputShape(ctx, 3)?.[2]
    // As of other attention, keys behind a query count.
    return isStatic(batch) && isStatic(places) && isStatic(width) && isStatic(before)
      ? 2 * batch * places * (before + places) * width
      : 0
  },
})
