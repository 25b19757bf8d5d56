/**
 * Steps of random programs that are attention as exporters write it: over the input or another sequence, queries, keys and values from one
 * weight or three, heads merged with the batch or not, rotary positions, masks and shared biases, and structures of all
 * kinds masked.
 */
import * as ops from '../../src/ir/ops/index.ts'
import * as microsoft from '../../src/ir/ops/microsoft/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import type { Apply, Builder, Value } from './program.ts'

const choose = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

const draw = <const T>(b: Builder, list: ReadonlyArray<T>): T => {
  const [one] = list.slice(Math.floor(b.uniform() * list.length))
  if (one === undefined) throw new Error('nothing to choose from')
  return one
}

const chance = (b: Builder, share: number): boolean => b.uniform() < share

const marks = (b: Builder, count: number, share: number): ReadonlyArray<boolean> =>
  Array.from({ length: count }, () => chance(b, share))

export const ints = (b: Builder, ...values: ReadonlyArray<number>): string => b.constant(int64s(values))

const scalarInt = (b: Builder, value: number): string => b.constant(int64s([value], []))

/** A reshape to `shape`; `dims` are what its operand says: 0 keeps a size, -1 is what is left. */
export const reshape = (
  b: Builder,
  x: Value,
  dims: ReadonlyArray<number>,
  shape: ReadonlyArray<number>,
  allow = 0,
): Value => b.inner(ops.Reshape, [x.name, ints(b, ...dims)], { allowzero: allow }, shape)

export const turn = (b: Builder, x: Value, perm: ReadonlyArray<number>): Value =>
  b.inner(
    ops.Transpose,
    [x.name],
    { perm },
    perm.map((axis) => x.shape[axis] ?? 1),
  )

/** Element by element, the first operand's shape that of the result unless another is given. */
const both = (b: Builder, op: 'Add' | 'Sub' | 'Mul' | 'Div', x: Value, y: string, shape = x.shape): Value =>
  b.inner(ops[op], [x.name, y], {}, shape)

export const product = (b: Builder, x: Value, y: Value): Value =>
  b.inner(ops.MatMul, [x.name, y.name], {}, [...x.shape.slice(0, -1), y.shape.at(-1) ?? 1])

/** A value as a sequence `[batch, places, features]` of at most 36 places. */
export const sequence = (b: Builder, x: Value): Value | undefined => {
  const [n = 1, c = 1, h = 1, w = 1] = x.shape
  if (x.shape.length === 3) return h <= 64 && c <= 36 ? x : undefined
  if (x.shape.length === 2) return c <= 64 ? b.inner(ops.Unsqueeze, [x.name, ints(b, 1)], {}, [n, 1, c]) : undefined
  if (x.shape.length !== 4 || c > 64) return undefined
  if (h * w <= 36) return turn(b, reshape(b, x, [0, c, -1], [n, c, h * w]), [0, 2, 1])
  return h <= 36 && c * w <= 128 ? reshape(b, turn(b, x, [0, 2, 1, 3]), [0, h, -1], [n, h, c * w]) : undefined
}

/** How many heads of which size, and how many of them keys and values have. */
interface Heads {
  readonly heads: number
  readonly size: number
}

/** What is zero of a projection to heads: rows of the weight that make it, by head, place and element. */
type Zeros = (head: number, place: number, input: number) => boolean

const nothing: Zeros = () => false

/** Zeros of the weights of queries, keys, values and of what reads the heads. */
interface Structure {
  readonly q: Zeros
  readonly k: Zeros
  readonly v: Zeros
  readonly o: Zeros
}

/** One of the structures that attention is pruned by. Queries and keys are counted by heads of their own. */
const structureOf = (b: Builder, q: Heads, kv: Heads, v: Heads): Structure => {
  const each = q.heads / kv.heads
  const perHead = (heads: number, size: number, share: number): Zeros => {
    const gone = marks(b, heads * size, share)
    return (head, place) => gone[head * size + place] === true
  }
  const inAll = (size: number): Zeros => {
    const gone = marks(b, size, 0.5)
    return (_, place) => gone[place] === true
  }
  /** As many of each head, others in each. */
  const asMany = (heads: number, size: number): Zeros => {
    const count = Math.floor(b.uniform() * (size + 1))
    const first = Array.from({ length: heads }, () => Math.floor(b.uniform() * size))
    return (head, place) => (place + (first[head] ?? 0)) % size < count
  }
  const some = (): Zeros => {
    const gone = marks(b, 97, 0.5)
    return (head, place, input) => gone[(head * 31 + place * 7 + input * 13) % 97] === true
  }
  const group =
    (zeros: Zeros): Zeros =>
    (head, place, input) =>
      zeros(Math.floor(head / each), place, input)
  const kind = draw(b, ['heads', 'groups', 'places', 'own places', 'as many', 'values', 'single', 'none', 'mixed'])
  if (kind === 'none') return { q: nothing, k: nothing, v: nothing, o: nothing }
  if (kind === 'single') return { q: some(), k: some(), v: some(), o: chance(b, 0.5) ? some() : nothing }
  if (kind === 'heads' || kind === 'groups' || kind === 'mixed') {
    const ofGroup = perHead(kv.heads, 1, 0.4)
    const gone = marks(b, q.heads, 0.4)
    const ofHead: Zeros = kind === 'groups' ? group((head) => ofGroup(head, 0, 0)) : (head) => gone[head] === true
    const ofKeys: Zeros = (head) =>
      Array.from({ length: each }, (_, i) => ofHead(head * each + i, 0, 0)).every((isGone) => isGone)
    const places = kind === 'mixed' ? inAll(q.size) : nothing
    const [qs, ks, vs, os] = draw(b, [
      [1, 1, 1, 1],
      [0, 0, 0, 1],
      [0, 0, 1, 0],
      [1, 1, 0, 0],
      [1, 0, 0, 0],
      [0, 1, 1, 0],
      [1, 0, 0, 1],
    ])
    const either =
      (x: Zeros, y: Zeros): Zeros =>
      (h, p, i) =>
        x(h, p, i) || y(h, p, i)
    return {
      q: either(qs ? ofHead : nothing, places),
      k: either(ks ? ofKeys : nothing, chance(b, 0.5) ? places : nothing),
      v: vs ? ofKeys : nothing,
      o: os ? ofHead : nothing,
    }
  }
  const some2 = (heads: number, size: number): Zeros =>
    kind === 'places' ? inAll(size) : kind === 'own places' ? perHead(heads, size, 0.4) : asMany(heads, size)
  const ofKeys = some2(kv.heads, q.size)
  const ofValues = some2(kv.heads, v.size)
  const isKeys = kind !== 'values' && chance(b, 0.8)
  const side = draw(b, ['q', 'k', 'both'])
  const isValues = kind === 'values' || chance(b, 0.6)
  const where = draw(b, ['v', 'o', 'both'])
  return {
    q: isKeys && side !== 'k' ? group(ofKeys) : nothing,
    k: isKeys && side !== 'q' ? ofKeys : nothing,
    v: isValues && where !== 'o' ? ofValues : nothing,
    o: isValues && where !== 'v' ? group(ofValues) : nothing,
  }
}

/** A bias of a projection: none, live, or zero where the weight is. */
const biasOf = (b: Builder, { heads, size }: Heads, zeros: Zeros, kind: 'none' | 'live' | 'silent'): string =>
  kind === 'none'
    ? ''
    : b.weights([heads * size], 0.4, (i) => kind === 'silent' && zeros(Math.floor(i / size), i % size, 0))

/** `x · W` and what is added, `[n, l, outs]`, as one of the ways to write a linear layer. */
export const linear = (b: Builder, x: Value, weight: string, outs: number, bias: string): Value => {
  const [n = 1, l = 1, ins = 1] = x.shape
  const shape = [n, l, outs]
  if (x.shape.length === 3 && chance(b, 0.2)) {
    const flat = reshape(b, x, [-1, ins], [n * l, ins])
    const made = b.inner(ops.Gemm, [flat.name, weight, ...(bias === '' ? [] : [bias])], {}, [n * l, outs])
    return reshape(b, made, chance(b, 0.5) ? [-1, l, outs] : [n, l, outs].map((d, a) => (a === 0 ? -1 : d)), shape)
  }
  const made =
    x.shape.length === 3 && chance(b, 0.1)
      ? b.inner(ops.Einsum, [x.name, weight], { equation: 'bld,de->ble' }, shape)
      : b.inner(ops.MatMul, [x.name, weight], {}, [...x.shape.slice(0, -1), outs])
  if (bias === '') return made
  return chance(b, 0.5) ? both(b, 'Add', made, bias) : b.inner(ops.Add, [bias, made.name], {}, made.shape)
}

/** The elements of a weight from `ins` features to heads, those of `zeros` and of dead features zero. */
const headWeight = (
  b: Builder,
  ins: number,
  { heads, size }: Heads,
  zeros: Zeros,
  shape: ReadonlyArray<number> = [ins, heads * size],
): string =>
  b.weights(shape, 0.6 / Math.sqrt(Math.max(1, ins / 4)), (i) => {
    const out = i % (heads * size)
    return zeros(Math.floor(out / size), out % size, Math.floor(i / (heads * size)))
  })

/** A projection to heads as `[n, heads, l, size]`. */
const toHeads = (b: Builder, x: Value, h: Heads, zeros: Zeros, bias: 'none' | 'live' | 'silent'): Value => {
  const [n = 1, l = 1, ins = 1] = x.shape
  const { heads, size } = h
  const shape = [n, l, heads, size]
  if (chance(b, 0.12)) {
    const weight = headWeight(b, ins, h, zeros, [ins, heads, size])
    const made = b.inner(ops.Einsum, [x.name, weight], { equation: 'bld,dhe->blhe' }, shape)
    return turn(b, made, [0, 2, 1, 3])
  }
  const made = linear(b, x, headWeight(b, ins, h, zeros), heads * size, biasOf(b, h, zeros, bias))
  return split(b, made, h)
}

/** `[n, l, heads · size]` as `[n, heads, l, size]`. */
const split = (b: Builder, x: Value, { heads, size }: Heads): Value => {
  const [n = 1, l = 1] = x.shape
  const dims = draw(b, [
    [0, l, heads, size],
    [0, 0, heads, size],
    [0, 0, heads, -1],
    [0, 0, -1, size],
    [-1, l, heads, size],
  ])
  return turn(b, reshape(b, x, dims, [n, l, heads, size]), [0, 2, 1, 3])
}

/** Queries, keys and values of one weight, as `[n, heads, l, size]` each. */
const fused = (
  b: Builder,
  x: Value,
  h: Heads,
  zeros: readonly [Zeros, Zeros, Zeros],
  bias: 'none' | 'live' | 'silent',
): readonly [Value, Value, Value] => {
  const [n = 1, l = 1, ins = 1] = x.shape
  const { heads, size } = h
  const width = heads * size
  // Some models keep the three of a head together.
  const byHead = chance(b, 0.25)
  const at = (out: number): readonly [which: number, head: number, place: number] => {
    const place = out % size
    const rest = Math.floor(out / size)
    return byHead ? [rest % 3, Math.floor(rest / 3), place] : [Math.floor(rest / heads), rest % heads, place]
  }
  const isZero = (out: number, input: number): boolean => {
    const [which, head, place] = at(out)
    return zeros[which]?.(head, place, input) === true
  }
  const weight = b.weights([ins, 3 * width], 0.6 / Math.sqrt(Math.max(1, ins / 4)), (i) =>
    isZero(i % (3 * width), Math.floor(i / (3 * width))),
  )
  const biases = bias === 'none' ? '' : b.weights([3 * width], 0.4, (out) => bias === 'silent' && isZero(out, 0))
  const made = linear(b, x, weight, 3 * width, biases)
  const pieces = (from: Value, axis: number, shape: ReadonlyArray<number>): readonly [Value, Value, Value] => {
    const size3 = from.shape[axis] ?? 3
    const step = size3 / 3
    const part = from.shape.map((d, a) => (a === axis ? step : d))
    const squeezed = (y: Value): Value =>
      step === 1 && shape.length < part.length ? b.inner(ops.Squeeze, [y.name, ints(b, axis)], {}, shape) : y
    const way = draw(b, ['split', 'slice', 'gather'])
    if (way === 'gather' && step === 1 && shape.length < part.length) {
      const one = (i: number): Value => b.inner(ops.Gather, [from.name, scalarInt(b, i)], { axis }, shape)
      return [one(0), one(1), one(2)]
    }
    if (way === 'slice') {
      const one = (i: number): Value => {
        const ends = [ints(b, i * step), ints(b, i === 2 ? 2 ** 31 - 1 : (i + 1) * step), ints(b, axis)]
        return squeezed(b.inner(ops.Slice, [from.name, ...ends], {}, part))
      }
      return [one(0), one(1), one(2)]
    }
    const [first, second, third] = b.inners(ops.Split, [from.name, ints(b, step, step, step)], { axis }, [
      part,
      part,
      part,
    ])
    const none = { name: '', shape: part }
    return [squeezed(first ?? none), squeezed(second ?? none), squeezed(third ?? none)]
  }
  if (byHead) {
    const five = reshape(b, made, [0, 0, heads, 3, size], [n, l, heads, 3, size])
    const [q, k, v] = pieces(five, 3, [n, l, heads, size])
    return [turn(b, q, [0, 2, 1, 3]), turn(b, k, [0, 2, 1, 3]), turn(b, v, [0, 2, 1, 3])]
  }
  if (chance(b, 0.4)) {
    const [q, k, v] = pieces(made, 2, [n, l, width])
    return [split(b, q, h), split(b, k, h), split(b, v, h)]
  }
  const five = reshape(b, made, chance(b, 0.5) ? [0, l, 3, heads, size] : [0, 0, 3, heads, size], [
    n,
    l,
    3,
    heads,
    size,
  ])
  if (chance(b, 0.7)) return pieces(turn(b, five, [2, 0, 3, 1, 4]), 0, [n, heads, l, size])
  const [q, k, v] = pieces(five, 2, [n, l, heads, size])
  return [turn(b, q, [0, 2, 1, 3]), turn(b, k, [0, 2, 1, 3]), turn(b, v, [0, 2, 1, 3])]
}

/** Rows of a table, one for each place, `[l, size]`: as they are, or of a longer one as many as there are places. */
const rowsOf = (
  b: Builder,
  places: Value,
  l: number,
  size: number,
  value: (row: number, column: number) => number,
): string => {
  const isLonger = chance(b, 0.4)
  const rows = isLonger ? l + 5 : l
  const table = b.numbers(
    [rows, size],
    Array.from({ length: rows * size }, (_, i) => value(Math.floor(i / size), i % size)),
  )
  if (!isLonger) return table
  const shape = b.inner(ops.Shape, [places.name], {}, [places.shape.length])
  const end = b.inner(ops.Gather, [shape.name, ints(b, places.shape.length - 2)], { axis: 0 }, [1])
  return b.inner(ops.Slice, [table, ints(b, 0), end.name, ints(b, 0)], {}, [l, size]).name
}

/** Positions turned into queries or keys `[n, heads, l, size]`, in one of two ways. */
const rotary = (b: Builder, x: Value, way: 'half' | 'interleaved'): Value => {
  const [n = 1, h = 1, l = 1, size = 1] = x.shape
  const half = size / 2
  const angle = (row: number, column: number): number => row / 10 ** ((2 * column) / size)
  if (way === 'half') {
    const slice = (from: number, to: number): Value =>
      b.inner(ops.Slice, [x.name, ints(b, from), ints(b, to), ints(b, 3)], {}, [n, h, l, half])
    const [first, second] = [slice(0, half), slice(half, 2 ** 31 - 1)]
    const negated = b.inner(ops.Neg, [second.name], {}, second.shape)
    const turned = b.inner(ops.Concat, [negated.name, first.name], { axis: -1 }, x.shape)
    const cos = rowsOf(b, x, l, size, (r, c) => Math.cos(angle(r, c % half)))
    const sin = rowsOf(b, x, l, size, (r, c) => Math.sin(angle(r, c % half)))
    return both(b, 'Add', both(b, 'Mul', x, cos), both(b, 'Mul', turned, sin).name)
  }
  const part = [n, h, l, half]
  const strided = (from: number): Value =>
    b.inner(ops.Slice, [x.name, ints(b, from), ints(b, 2 ** 31 - 1), ints(b, 3), ints(b, 2)], {}, part)
  const pairs = (): readonly [Value, Value] => {
    const five = reshape(b, x, [0, 0, 0, half, 2], [n, h, l, half, 2])
    const one = (i: number): Value => b.inner(ops.Gather, [five.name, scalarInt(b, i)], { axis: 4 }, part)
    return [one(0), one(1)]
  }
  const [even, odd] = chance(b, 0.5) ? ([strided(0), strided(1)] as const) : pairs()
  const cos = rowsOf(b, x, l, half, (r, c) => Math.cos(angle(r, c)))
  const sin = rowsOf(b, x, l, half, (r, c) => Math.sin(angle(r, c)))
  const left = both(b, 'Sub', both(b, 'Mul', even, cos), both(b, 'Mul', odd, sin).name)
  const right = both(b, 'Add', both(b, 'Mul', even, sin), both(b, 'Mul', odd, cos).name)
  const wide = (y: Value): string => b.inner(ops.Unsqueeze, [y.name, ints(b, 4)], {}, [...part, 1]).name
  const joined = b.inner(ops.Concat, [wide(left), wide(right)], { axis: 4 }, [...part, 2])
  return reshape(b, joined, [0, 0, 0, -1], [n, h, l, size])
}

/** Keys or values of fewer heads `[n, groups, l, size]` repeated for the heads that share them. */
const repeated = (b: Builder, x: Value, heads: number): Value => {
  const [n = 1, groups = 1, l = 1, size = 1] = x.shape
  const each = heads / groups
  if (each === 1) return x
  const shape = [n, heads, l, size]
  const way = draw(b, ['expand', 'expand', 'gather', 'tile'])
  if (way === 'gather') {
    const which = Array.from({ length: heads }, (_, i) => Math.floor(i / each))
    return b.inner(ops.Gather, [x.name, ints(b, ...which)], { axis: 1 }, shape)
  }
  const five = b.inner(ops.Unsqueeze, [x.name, ints(b, 2)], {}, [n, groups, 1, l, size])
  const wide =
    way === 'expand'
      ? b.inner(ops.Expand, [five.name, ints(b, 1, 1, each, 1, 1)], {}, [n, groups, each, l, size])
      : b.inner(ops.Tile, [five.name, ints(b, 1, 1, each, 1, 1)], {}, [n, groups, each, l, size])
  return reshape(b, wide, chance(b, 0.5) ? [0, heads, l, size] : [0, heads, -1, size], shape)
}

/** A number that scores are added, by head and by places, `[1, heads, l, m]`: what layers that share it are given. */
const relativeBias = (b: Builder, heads: number, l: number, m: number): string => {
  const buckets = 5
  const table = b.weights([buckets, heads], 0.5, (i) => i % heads === 1)
  const which = Array.from({ length: l * m }, (_, i) => Math.abs(Math.floor(i / m) - (i % m)) % buckets)
  const rows = b.inner(ops.Gather, [table, b.constant(int64s(which, [l, m]))], { axis: 0 }, [l, m, heads])
  return b.inner(ops.Unsqueeze, [turn(b, rows, [2, 0, 1]).name, ints(b, 0)], {}, [1, heads, l, m]).name
}

/** Scores with something added to them. */
const masked = (b: Builder, scores: Value, [n, heads, l, m]: readonly [number, number, number, number]): Value => {
  const shape = scores.shape
  const kind = draw(b, ['none', 'none', 'causal', 'heads', 'where', 'rows'])
  const far = (i: number): boolean => i % m > Math.floor(i / m) % l
  if (kind === 'causal') {
    const low = draw(b, [-1e4, -1e9, -Infinity])
    const values = Array.from({ length: l * m }, (_, i) => (far(i) ? low : 0))
    return both(b, 'Add', scores, b.numbers([l, m], values))
  }
  if (kind === 'where') {
    const keep = b.inner(
      ops.Less,
      [
        b.numbers(
          [l, m],
          Array.from({ length: l * m }, (_, i) => (far(i) ? 1 : 0)),
        ),
        b.numbers([], [0.5]),
      ],
      {},
      [l, m],
    )
    return b.inner(ops.Where, [keep.name, scores.name, b.numbers([], [l % 2 === 0 ? -1e4 : lowest])], {}, shape)
  }
  // What is the same for all keys changes nothing.
  if (kind === 'rows') return both(b, 'Add', scores, b.weights([l, 1], 0.5))
  if (kind === 'heads' && shape.length === 4) return both(b, 'Add', scores, b.weights([heads, l, m], 0.5))
  if (kind === 'heads' && n === 2 && shape.length === 3) return both(b, 'Add', scores, b.weights([l, m], 0.5))
  return scores
}

/** What exporters hide keys with: the lowest number of float32. */
const lowest = -3.4028234663852886e38

const scaled = (b: Builder, x: Value, factor: number): Value =>
  chance(b, 0.5)
    ? both(b, 'Mul', x, b.numbers([], [factor]))
    : both(b, 'Div', x, b.numbers(chance(b, 0.5) ? [] : [1], [1 / factor]))

/** Weights of places: a softmax mostly. */
const weighed = (b: Builder, scores: Value): Value => {
  const kind = b.uniform()
  if (kind < 0.88) return b.inner(ops.Softmax, [scores.name], { axis: -1 }, scores.shape)
  if (kind < 0.94) return b.inner(ops.Relu, [scores.name], {}, scores.shape)
  return both(b, 'Mul', scores, b.numbers([], [0.25]))
}

/** Queries, keys and values `[n, heads, places, size]`. */
interface Operands {
  readonly q: Value
  readonly k: Value
  readonly v: Value
}

/** Attention with the batch and the heads as one axis. Gives `[n, l, heads · size]`. */
const mergedAttention = (b: Builder, { q, k, v }: Operands): Value => {
  const [n = 1, heads = 1, l = 1, size = 1] = q.shape
  const m = k.shape[2] ?? 1
  const width = v.shape[3] ?? 1
  const merge = (x: Value): Value => {
    const [, , places = 1, d = 1] = x.shape
    return reshape(b, x, [-1, places, d], [n * heads, places, d])
  }
  const [queries, keys, values] = [merge(q), merge(k), merge(v)]
  const scores = scaled(b, product(b, queries, turn(b, keys, [0, 2, 1])), 1 / Math.sqrt(size))
  const weights = weighed(b, masked(b, scores, [n, heads, l, m]))
  const heard = product(b, weights, values)
  if (chance(b, 0.5)) {
    const first = reshape(b, turn(b, heard, [1, 0, 2]), [l, -1, heads * width], [l, n, heads * width])
    return turn(b, first, [1, 0, 2])
  }
  const four = reshape(b, heard, [-1, heads, l, width], [n, heads, l, width])
  return reshape(b, turn(b, four, [0, 2, 1, 3]), [0, l, -1], [n, l, heads * width])
}

/** Attention of heads that are an axis. Gives `[n, l, heads · size]`. */
const plainAttention = (b: Builder, { q, k, v }: Operands, bias: string): Value => {
  const [n = 1, heads = 1, l = 1, size = 1] = q.shape
  const m = k.shape[2] ?? 1
  const width = v.shape[3] ?? 1
  const factor = 1 / Math.sqrt(size)
  const when = draw(b, ['before', 'both', 'after', 'after', 'never'])
  const queries = when === 'before' ? scaled(b, q, factor) : when === 'both' ? scaled(b, q, Math.sqrt(factor)) : q
  const keys = when === 'both' ? scaled(b, k, Math.sqrt(factor)) : k
  const way = draw(b, ['product', 'product', 'product', 'turned', 'einsum'])
  const made =
    way === 'einsum'
      ? b.inner(ops.Einsum, [queries.name, keys.name], { equation: 'bhid,bhjd->bhij' }, [n, heads, l, m])
      : way === 'turned'
        ? turn(b, product(b, keys, turn(b, queries, [0, 1, 3, 2])), [0, 1, 3, 2])
        : product(b, queries, turn(b, keys, [0, 1, 3, 2]))
  const after = when === 'after' ? scaled(b, made, factor) : made
  const biased = bias === '' ? after : both(b, 'Add', after, bias)
  const weights = weighed(b, masked(b, biased, [n, heads, l, m]))
  if (way === 'einsum' && chance(b, 0.5)) {
    const heard = b.inner(ops.Einsum, [weights.name, v.name], { equation: 'bhij,bhjd->bihd' }, [n, l, heads, width])
    return reshape(b, heard, [0, 0, -1], [n, l, heads * width])
  }
  const heard = chance(b, 0.1)
    ? turn(b, product(b, turn(b, v, [0, 1, 3, 2]), turn(b, weights, [0, 1, 3, 2])), [0, 1, 3, 2])
    : product(b, weights, v)
  const dims = draw(b, [
    [0, l, heads * width],
    [0, 0, heads * width],
    [0, 0, -1],
    [-1, l, heads * width],
  ])
  return reshape(b, turn(b, heard, [0, 2, 1, 3]), dims, [n, l, heads * width])
}

/** Attention of features to features of a head, a product over places. Gives `[n, l, heads · size]`. */
const crossCovariance = (b: Builder, { q, k, v }: Operands): Value => {
  const [n = 1, heads = 1, l = 1, size = 1] = q.shape
  const [queries, keys, values] = [turn(b, q, [0, 1, 3, 2]), turn(b, k, [0, 1, 3, 2]), turn(b, v, [0, 1, 3, 2])]
  const isNormal = chance(b, 0.5)
  const normal = (x: Value): Value => {
    if (!isNormal) return x
    const square = both(b, 'Mul', x, x.name)
    const sum = b.inner(ops.ReduceSum, [square.name, ints(b, -1)], { keepdims: 1 }, [...x.shape.slice(0, -1), 1])
    const root = b.inner(ops.Sqrt, [both(b, 'Add', sum, b.numbers([], [1e-3])).name], {}, sum.shape)
    return both(b, 'Div', x, root.name)
  }
  const scores = product(b, normal(queries), turn(b, normal(keys), [0, 1, 3, 2]))
  const warm = both(b, 'Mul', scores, b.positive([heads, 1, 1]))
  const heard = product(b, weighed(b, warm), values)
  return reshape(b, turn(b, heard, [0, 3, 1, 2]), [0, l, heads * size], [n, l, heads * size])
}

/** A normalisation over features, or none. */
const normalised = (b: Builder, x: Value, kind: 'layer' | 'rms' | 'none', gone: ReadonlyArray<boolean>): Value => {
  if (kind === 'none') return x
  const size = [x.shape.at(-1) ?? 1]
  const scale = b.positive(size)
  const epsilon = Math.fround(1e-5)
  if (kind === 'rms') return b.inner(ops.SimplifiedLayerNormalization, [x.name, scale], { epsilon }, x.shape)
  const bias = b.weights(size, 0.3, (i) => gone[i] === true)
  return b.inner(ops.LayerNormalization, [x.name, scale, bias], { epsilon }, x.shape)
}

/** Layers of attention on a residual stream of its own width, of which channels may be gone. */
export const attention: Apply = (b, { choices: [p, q, r, s] }, given, other) => {
  const x = sequence(b, given)
  if (x === undefined) return
  const ins = x.shape.at(-1) ?? 1
  const [n = 1, l = 1] = x.shape
  const memory = r % 4 === 3 ? sequence(b, other) : undefined
  const heads = choose([2, 4, 3, 1, 2, 4], p)
  const isGrouped = memory === undefined && heads > 1 && r % 5 === 4
  const groups = isGrouped ? choose([1, heads % 2 === 0 ? 2 : 1], q) : heads
  const size = choose([4, 2, 6, 8], q)
  const isCovariance = r % 7 === 5 && !isGrouped && memory === undefined
  const isFused = memory === undefined && !isGrouped && p % 2 === 0
  const valueSize = isFused || isCovariance ? size : choose([size, size, 3, 5], s)
  const width = choose([8, 12, 6, 16], s)
  const gone = marks(b, width, s % 3 === 0 ? 0.4 : 0)
  const isGone = (i: number): boolean => gone[i] === true
  const bias = draw(b, ['none', 'silent', 'live'])
  const norm = draw(b, ['none', 'layer', 'rms'])
  const isReading = chance(b, 0.6)
  const isResidual = chance(b, 0.7)
  let stream = linear(
    b,
    x,
    b.weights([ins, width], 0.7, (i) => isGone(i % width)),
    width,
    chance(b, 0.5) ? b.weights([width], 0.4, isGone) : '',
  )
  const from = memory && { ...memory, ins: memory.shape.at(-1) ?? 1 }
  const m = from?.shape[1] ?? l
  const shared = chance(b, 0.25) && m === l ? relativeBias(b, heads, l, m) : ''
  const rounds = shared !== '' || chance(b, 0.2) ? 2 : 1
  for (let layer = 0; layer < rounds; layer++) {
    const [ofQ, ofK, ofV] = [
      { heads, size },
      { heads: groups, size },
      { heads: groups, size: valueSize },
    ]
    const zeros = structureOf(b, ofQ, ofK, ofV)
    const blind =
      (of: Zeros): Zeros =>
      (head, place, input) =>
        of(head, place, input) || (isReading && isGone(input))
    const y = normalised(b, stream, norm, gone)
    const source = from ?? y
    let operands: Operands
    if (isFused) {
      const [fq, fk, fv] = fused(b, y, ofQ, [blind(zeros.q), blind(zeros.k), blind(zeros.v)], bias)
      operands = { q: fq, k: fk, v: fv }
    } else {
      const read = from === undefined ? blind : (of: Zeros): Zeros => of
      operands = {
        q: toHeads(b, y, ofQ, blind(zeros.q), bias),
        k: toHeads(b, source, ofK, read(zeros.k), chance(b, 0.7) ? bias : 'none'),
        v: toHeads(b, source, ofV, read(zeros.v), bias),
      }
    }
    if (size % 2 === 0 && s % 4 === 1) {
      const way = draw(b, ['half', 'interleaved'])
      operands = { ...operands, q: rotary(b, operands.q, way), k: rotary(b, operands.k, way) }
    }
    operands = { ...operands, k: repeated(b, operands.k, heads), v: repeated(b, operands.v, heads) }
    const heard = isCovariance
      ? crossCovariance(b, operands)
      : shared === '' && q % 3 === 0
        ? mergedAttention(b, operands)
        : plainAttention(b, operands, shared)
    const out = b.weights([heads * valueSize, width], 0.4, (i) => {
      const [index, feature] = [Math.floor(i / width), i % width]
      return isGone(feature) || zeros.o(Math.floor(index / valueSize), index % valueSize, feature)
    })
    const made = linear(b, heard, out, width, chance(b, 0.6) ? b.weights([width], 0.4, isGone) : '')
    stream = isResidual ? both(b, 'Add', stream, made.name) : made
  }
  const last = chance(b, 0.5) ? normalised(b, stream, norm, gone) : stream
  const outs = 4
  const weight = b.weights([width, outs], 0.5, (i) => isReading && isGone(Math.floor(i / outs)))
  if (chance(b, 0.8)) b.emit(ops.MatMul, [last.name, weight], {}, [n, l, outs])
  else b.emit(ops.Identity, [last.name], {}, [n, l, width])
}

/** Attention over groups in one operator, with new keys and values as results or not, of which heads and groups are zero or not read. */
export const groupedHeads: Apply = (b, { choices: [p, q, r, s] }, given) => {
  const x = b.dtype === 'float32' ? sequence(b, given) : undefined
  if (x === undefined) return
  const [n = 1, places = 1, ins = 1] = x.shape
  const [groups, perGroup] = [choose([2, 1, 3], p), choose([2, 3, 1], q)]
  const [heads, size] = [groups * perGroup, choose([8, 16], r)]
  const isTurned = size === 16 && chance(b, 0.5)
  const [unread, unmade] = [marks(b, heads, 0.5), marks(b, groups, 0.3)]
  // The same heads of each group, or any.
  const isUnread = (head: number): boolean => unread[s % 2 === 0 ? head % perGroup : head] === true
  const isUnmade = (head: number): boolean => s % 3 === 0 && unmade[head] === true
  const zeros: readonly Zeros[] = [nothing, s % 5 === 0 ? isUnmade : nothing, isUnmade]
  const counts = [heads, groups, groups]
  const isPacked = chance(b, 0.5)
  const starts = [0, heads, heads + groups]
  const isZero = (out: number): boolean => {
    const head = Math.floor(out / size)
    const part = head < heads ? 0 : head < heads + groups ? 1 : 2
    return zeros[part]?.(head - (starts[part] ?? 0), out % size, 0) === true
  }
  const all = (heads + 2 * groups) * size
  const operands = isPacked
    ? [
        linear(
          b,
          x,
          b.weights([ins, all], 0.4, (i) => isZero(i % all)),
          all,
          '',
        ).name,
        '',
        '',
      ]
    : counts.map((count, i) => {
        const weight = headWeight(b, ins, { heads: count, size }, zeros[i] ?? nothing)
        return linear(b, x, weight, count * size, '').name
      })
  const lasts = Array.from({ length: n }, () => (chance(b, 0.8) ? places - 1 : Math.floor(b.uniform() * places)))
  const sizes = [tensorOf('int32', [n], lasts), tensorOf('int32', [1], [places])].map(b.constant)
  const tables = isTurned ? [b.positive([places, size / 2]), b.positive([places, size / 2])] : []
  const inputs = [...operands, '', '', ...sizes, ...tables]
  const attrs = { num_heads: heads, kv_num_heads: groups, do_rotary: isTurned ? 1 : 0 }
  const cache = [n, groups, places, size]
  const shapes = [[n, places, heads * size], ...(chance(b, 0.5) ? [cache, cache] : [])]
  const [y, ...caches] = b.inners(microsoft.GroupQueryAttention, inputs, attrs, shapes)
  if (y === undefined) return
  const out = b.weights([heads * size, 4], 0.4, (i) => isUnread(Math.floor(i / 4 / size)))
  b.emit(ops.MatMul, [y.name, out], {}, [n, places, 4])
  for (const one of caches) if (chance(b, 0.5)) b.emit(ops.Identity, [one.name], {}, cache)
}
