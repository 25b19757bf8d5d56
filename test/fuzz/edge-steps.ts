/**
 * Steps that go where random normal numbers never do: tails of activations, every operator that keeps channels between
 * two contractions, sums that cancel, factors that leave a type's range, normalisations with epsilon 0.
 */
import type { AnyOp } from '../../src/ir/registry.ts'
import { findOp } from '../../src/ir/registry.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { int64s } from '../../src/ir/tensor.ts'
import { formats } from './numbers.ts'
import type { Apply, Builder, Step, Value } from './program.ts'

const opNamed = (name: string): AnyOp => {
  const op = findOp(name)
  if (op === undefined) throw new Error(`no operator ${name}`)
  return op
}

const isImage = (v: Value): boolean => v.shape.length === 4
const channelsOf = (v: Value): number => v.shape[1] ?? 0
const last = (b: Builder, otherwise: Value): Value => b.values.at(-1) ?? otherwise
const choose = <T>(list: ReadonlyArray<T>, choice: number, otherwise: T): T => list[choice % list.length] ?? otherwise

/** A weight of which some output channels (`rows`) and some input channels are zero, as masks leave them. */
const sparse = (b: Builder, shape: ReadonlyArray<number>, rows: boolean): string => {
  const [outs = 1, ins = 1] = shape
  const marks = (count: number, share: number): ReadonlyArray<boolean> =>
    Array.from({ length: count }, () => b.uniform() < share)
  const dead = marks(outs, rows && b.uniform() < 0.7 ? 0.5 : 0)
  const unread = marks(ins, b.uniform() < 0.4 ? 0.4 : 0)
  const inner = shape.slice(2).reduce((n, d) => n * d, 1)
  return b.weights(shape, 0.5, (i) => {
    const block = Math.floor(i / inner)
    return dead[Math.floor(block / ins)] === true || unread[block % ins] === true
  })
}

/** A 1x1 or 3x3 convolution with `outs` channels, padded or not, with the given bias. */
const plainConv = (
  b: Builder,
  x: Value,
  outs: number,
  kernel: 1 | 3,
  padded: boolean,
  bias: string,
  group = 1,
): Value => {
  const pad = kernel === 3 && padded ? 1 : 0
  const size = (n: number): number => n + 2 * pad - kernel + 1
  const [h, w] = [size(x.shape[2] ?? 0), size(x.shape[3] ?? 0)]
  if (h < 1 || w < 1) return x
  b.emit(
    ops.Conv,
    [x.name, sparse(b, [outs, channelsOf(x) / group, kernel, kernel], bias !== ''), ...(bias === '' ? [] : [bias])],
    { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [1, 1], dilations: [1, 1], group },
    [x.shape[0] ?? 1, outs, h, w],
  )
  return last(b, x)
}

const activations = [
  'SiLU',
  'Gelu',
  'Sigmoid',
  'Softplus',
  'Exp',
  'Tanh',
  'HardSwish',
  'Erf',
  'Mish',
  'Elu',
  'Selu',
  'Celu',
  'HardSigmoid',
  'QuickGelu',
] as const

const activate = (b: Builder, x: Value, choice: number): Value => {
  const name = choose<string>(activations, choice, 'SiLU')
  if (name === 'SiLU' || name === 'QuickGelu') {
    let from = x
    if (name === 'QuickGelu') {
      b.emit(ops.Mul, [x.name, b.numbers([], [1.702])], {}, x.shape)
      from = last(b, x)
    }
    b.emit(ops.Sigmoid, [from.name], {}, x.shape)
    b.emit(ops.Mul, [x.name, last(b, x).name], {}, x.shape)
  } else b.emit(opNamed(name), [x.name], {}, x.shape)
  return last(b, x)
}

/** A convolution whose biases lie in the tails of the activation after it, and a convolution that reads that. */
const tails: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (!isImage(x) || channelsOf(x) > 16) return
  const outs = choose([4, 6, 8, 3, 12], r, 4)
  const biases = Array.from({ length: outs }, () => (b.uniform() < 0.3 ? 0 : 60 * b.uniform() - 30))
  const y = plainConv(b, x, outs, q % 2 === 0 ? 1 : 3, true, b.numbers([outs], biases))
  if (y === x) return
  const z = activate(b, y, p)
  plainConv(
    b,
    z,
    choose([3, 4, 8], s, 3),
    s % 3 === 0 ? 1 : 3,
    s % 4 !== 1,
    s % 2 === 0 ? b.weights([choose([3, 4, 8], s, 3)], 0.3) : '',
  )
}

/**
 * Constants in tails that stay, because a sum ties their channels to others that are needed, in front of a convolution
 * with padding, whose other constants, of ordinary size, go.
 */
const carriers: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (!isImage(x) || channelsOf(x) > 16) return
  const outs = choose([4, 6, 8, 12], r, 4)
  const gone = Array.from({ length: outs }, () => b.uniform() < 0.4)
  const small = gone.map((g) => !g && b.uniform() < 0.6)
  const least = p % 3 === 0 ? -20 : -16
  const biases = gone.map((g, i) => (g ? 0.5 + 3 * b.uniform() : small[i] === true ? least + 6 * b.uniform() : 0.3))
  const pointwise = (dead: ReadonlyArray<boolean>, bias: ReadonlyArray<number>): Value => {
    const ins = channelsOf(x)
    const weight = Array.from({ length: outs * ins }, (_, i) =>
      dead[Math.floor(i / ins)] === true ? 0 : 2 * b.uniform() - 1,
    )
    const attrs = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1 }
    const shape = [x.shape[0] ?? 1, outs, ...x.shape.slice(2)]
    b.emit(ops.Conv, [x.name, b.numbers([outs, ins, 1, 1], weight), b.numbers([outs], bias)], attrs, shape)
    return last(b, x)
  }
  const y = activate(
    b,
    pointwise(
      gone.map((g, i) => g || small[i] === true),
      biases,
    ),
    q,
  )
  const z = pointwise(
    gone,
    gone.map(() => 2 * b.uniform() - 1),
  )
  const group = s % 5 === 0 && outs % 2 === 0 ? 2 : 1
  b.emit(ops.Add, [y.name, z.name], {}, y.shape)
  const sum = last(b, y)
  const read = plainConv(b, y, 4, 3, true, s % 2 === 0 ? b.weights([4], 0.3) : '', group)
  const both = plainConv(b, sum, 4, s % 3 === 0 ? 3 : 1, true, '', group)
  b.emit(ops.Concat, [read.name, both.name], { axis: 1 }, [x.shape[0] ?? 1, 8, ...x.shape.slice(2)])
}

type Keep = (b: Builder, x: Value, step: Step) => void

const simple =
  (name: string, attrs: Readonly<Record<string, unknown>> = {}, before?: string): Keep =>
  (b, x) => {
    let from = x
    if (before !== undefined) {
      b.emit(opNamed(before), [x.name], {}, x.shape)
      from = last(b, x)
    }
    b.emit(opNamed(name), [from.name], attrs, x.shape)
  }

const perChannel = (x: Value): ReadonlyArray<number> => [channelsOf(x), ...x.shape.slice(2).map(() => 1)]

const reduced =
  (name: string, axesAsInput: boolean): Keep =>
  (b, x) => {
    if (!isImage(x)) return
    const shape = [...x.shape.slice(0, 2), 1, 1]
    if (axesAsInput) b.emit(opNamed(name), [x.name, b.constant(int64s([2, 3]))], { keepdims: 1 }, shape)
    else b.emit(opNamed(name), [x.name], {}, shape)
  }

/** Every operator that keeps channels apart, on its own or behind what keeps live channels in its domain. */
const keepers: ReadonlyArray<Keep> = [
  ...['Abs', 'Atan', 'Asinh', 'Ceil', 'Celu', 'Cos', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu', 'HardSigmoid'].map((n) =>
    simple(n),
  ),
  ...['HardSwish', 'LeakyRelu', 'Mish', 'Neg', 'Relu', 'Round', 'Selu', 'Shrink', 'Sigmoid', 'Sign'].map((n) =>
    simple(n),
  ),
  ...['Sin', 'Sinh', 'Cosh', 'Softplus', 'Softsign', 'Tan', 'Tanh', 'ThresholdedRelu', 'Identity'].map((n) =>
    simple(n),
  ),
  ...['Log', 'Sqrt', 'Reciprocal', 'Log', 'Reciprocal'].map((n) => simple(n, {}, 'Abs')),
  ...['Log', 'Sqrt', 'Reciprocal'].map((n) => simple(n, {}, 'Exp')),
  ...['Acos', 'Asin', 'Atanh'].map((n) => simple(n, {}, 'Tanh')),
  ...['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin'].map((n) =>
    reduced(n, true),
  ),
  ...['ReduceProd', 'ReduceSum', 'ReduceSumSquare'].map((n) => reduced(n, true)),
  ...['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((n) => reduced(n, false)),
  ...[0, 1e-5, 1e-12].map((epsilon): Keep => (b, x) => {
    const c = [channelsOf(x)]
    if (x.shape.length > 2)
      b.emit(
        ops.InstanceNormalization,
        [x.name, b.positive(c), b.weights(c, 0.3)],
        { epsilon: Math.fround(epsilon) },
        x.shape,
      )
  }),
  ...[0, 1e-5].map((epsilon): Keep => (b, x) => {
    const c = [channelsOf(x)]
    b.emit(
      ops.BatchNormalization,
      [x.name, b.positive(c), b.weights(c, 0.3), b.weights(c, 0.3), b.positive(c)],
      { epsilon: Math.fround(epsilon) },
      x.shape,
    )
  }),
  ...[0, 1e-5].map((epsilon): Keep => (b, x, { choices: [p] }) => {
    const c = [x.shape.at(-1) ?? 1]
    const image = [...x.shape.slice(2)]
    if (x.shape.length > 2 && p % 2 === 0)
      b.emit(
        ops.LayerNormalization,
        [x.name, b.positive(image), b.weights(image, 0.3)],
        { axis: 2, epsilon: Math.fround(epsilon) },
        x.shape,
      )
    else
      b.emit(
        ops.LayerNormalization,
        [x.name, b.positive(c), b.weights(c, 0.3)],
        { axis: -1, epsilon: Math.fround(epsilon) },
        x.shape,
      )
  }),
  ...[0, 1e-5].map((epsilon): Keep => (b, x) => {
    const c = [channelsOf(x)]
    if (x.shape.length > 2)
      b.emit(
        ops.GroupNormalization,
        [x.name, b.positive(c), b.weights(c, 0.3)],
        { num_groups: channelsOf(x), epsilon: Math.fround(epsilon) },
        x.shape,
      )
  }),
  (b, x) => isImage(x) && b.emit(ops.MeanVarianceNormalization, [x.name], { axes: [0, 2, 3] }, x.shape),
  (b, x) => isImage(x) && b.emit(ops.MeanVarianceNormalization, [x.name], { axes: [2, 3] }, x.shape),
  (b, x, { choices: [p] }) => b.emit(ops.LpNormalization, [x.name], { axis: -1, p: 1 + (p % 2) }, x.shape),
  (b, x) => b.emit(ops.Softmax, [x.name], { axis: -1 }, x.shape),
  (b, x) => b.emit(ops.LogSoftmax, [x.name], { axis: -1 }, x.shape),
  (b, x) =>
    Math.min(...x.shape.slice(2)) > 1 &&
    isImage(x) &&
    b.emit(ops.LpPool, [x.name], { kernel_shape: [2, 2], strides: [1, 1] }, [
      ...x.shape.slice(0, 2),
      (x.shape[2] ?? 1) - 1,
      (x.shape[3] ?? 1) - 1,
    ]),
  (b, x) => isImage(x) && b.emit(ops.CumSum, [x.name, b.constant(int64s([2], []))], {}, x.shape),
  (b, x, { choices: [p] }) => b.emit(ops.Pow, [x.name, b.numbers([], [choose([2, 3, 2, 1], p, 2)])], {}, x.shape),
  (b, x, { choices: [p] }) => {
    b.emit(ops.Abs, [x.name], {}, x.shape)
    b.emit(ops.Pow, [last(b, x).name, b.numbers([], [choose([0.5, -1, -2, 0], p, 0.5)])], {}, x.shape)
  },
  // Products and quotients of a value and itself, or of two values made from it.
  (b, x) => b.emit(ops.Mul, [x.name, x.name], {}, x.shape),
  (b, x) => {
    b.emit(ops.Mul, [x.name, x.name], {}, x.shape)
    b.emit(ops.Mul, [last(b, x).name, last(b, x).name], {}, x.shape)
    b.emit(ops.Mul, [last(b, x).name, last(b, x).name], {}, x.shape)
  },
  (b, x) => b.emit(ops.Div, [x.name, x.name], {}, x.shape),
  (b, x) => {
    b.emit(ops.Exp, [x.name], {}, x.shape)
    b.emit(ops.Div, [x.name, last(b, x).name], {}, x.shape)
  },
  (b, x) => {
    b.emit(ops.Abs, [x.name], {}, x.shape)
    b.emit(ops.Add, [last(b, x).name, b.weights(perChannel(x), 0.3)], {}, x.shape)
    b.emit(ops.Div, [x.name, last(b, x).name], {}, x.shape)
  },
  (b, x) => b.emit(ops.Div, [b.numbers([], [1]), x.name], {}, x.shape),
  (b, x) => b.emit(ops.PRelu, [x.name, b.weights(perChannel(x), 0.3)], {}, x.shape),
]

/** A contraction, an operator that keeps channels, a contraction; widths at which targets round. */
const zoo: Apply = (b, step, x) => {
  const [p, q, r, s] = step.choices
  if (!isImage(x) || channelsOf(x) > 16) return
  const outs = choose([4, 6, 8, 12, 5], r, 4)
  const y = plainConv(b, x, outs, q % 2 === 0 ? 3 : 1, true, q % 3 === 0 ? b.weights([outs], 0.5) : '')
  if (y === x) return
  const keep = keepers[(p + 60 * (s % 2)) % keepers.length]
  keep?.(b, y, step)
  const z = last(b, y)
  if (isImage(z))
    plainConv(b, z, choose([3, 4, 8], s, 3), (z.shape[2] ?? 1) > 2 && s % 3 !== 0 ? 3 : 1, s % 4 !== 1, '')
}

/**
 * Channels that nothing reads but that stay, since their width is what the target likes, and that compute something else
 * once what only they read is gone: behind them an operator that keeps channels.
 */
const kept: Apply = (b, step, x) => {
  const [p, q, r, s] = step.choices
  if (!isImage(x) || channelsOf(x) > 16) return
  const attrs = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1 }
  const layer = (
    from: Value,
    outs: number,
    weight: (o: number, i: number) => number,
    bias: (o: number) => number,
  ): Value => {
    const ins = channelsOf(from)
    const values = Array.from({ length: outs * ins }, (_, i) => weight(Math.floor(i / ins), i % ins))
    const biases = Array.from({ length: outs }, (_, o) => bias(o))
    b.emit(ops.Conv, [from.name, b.numbers([outs, ins, 1, 1], values), b.numbers([outs], biases)], attrs, [
      from.shape[0] ?? 1,
      outs,
      ...from.shape.slice(2),
    ])
    return last(b, from)
  }
  const normal = (): number => 2 * b.uniform() - 1
  const [ins, outs] = [8, choose([8, 4, 12], r, 8)]
  // The last `extra` channels are read by the last `dead` rows only, and what these make by nobody.
  const [extra, dead] = [4, choose([1, 2, 3], s, 1)]
  const level = choose([0, 0, 1, 10, 100, 300, 1000], q, 0)
  const first = layer(x, ins, normal, (i) => (i >= ins - extra ? level : normal()))
  b.emit(level > 0 ? ops.Relu : ops.Tanh, [first.name], {}, first.shape)
  const isDead = (o: number): boolean => o >= outs - dead
  const second = layer(
    last(b, first),
    outs,
    (o, i) => (isDead(o) === i >= ins - extra ? (isDead(o) && level > 0 ? -1 : normal()) : 0),
    (o) => (isDead(o) ? extra * level : p % 2 === 0 ? 0 : normal()),
  )
  keepers[(p + 60 * (q % 2)) % keepers.length]?.(b, second, step)
  const third = last(b, second)
  if (isImage(third))
    layer(
      third,
      choose([3, 4, 8], s, 3),
      (_, i) => (isDead(i) ? 0 : normal()),
      () => 0,
    )
}

/** `(x + c) - c`, which rounds x, and other sums of a large number and nearly its opposite. */
const cancellation: Apply = (b, { choices: [p, q, r, s] }, x) => {
  const { precision } = formats[b.dtype]
  const c =
    choose([1.5 * 2 ** (precision - 1), 2 ** (precision - 3), 2 ** precision, 100], p, 1) * (q % 2 === 0 ? 1 : -1)
  const back = choose([-c, -c, -c * 1.0001, -c / 2], r, -c)
  const shape = s % 3 === 0 && x.shape.length >= 2 ? perChannel(x) : []
  const values = (v: number): ReadonlyArray<number> => new Array<number>(shape.length === 0 ? 1 : channelsOf(x)).fill(v)
  if (r % 2 === 0) b.emit(ops.Add, [x.name, b.numbers(shape, values(c))], {}, x.shape)
  else b.emit(ops.Sub, [x.name, b.numbers(shape, values(-c))], {}, x.shape)
  if (s % 2 === 0) b.emit(ops.Add, [last(b, x).name, b.numbers(shape, values(back))], {}, x.shape)
  else b.emit(ops.Sub, [last(b, x).name, b.numbers(shape, values(-back))], {}, x.shape)
}

/** Products and quotients with constants of any magnitude, in a row. */
const chain: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (x.shape.length < 2) return
  let y = x
  for (const kind of [p, q, r].slice(0, 1 + (s % 3))) {
    const shape = kind % 2 === 0 ? perChannel(x) : []
    const op = opNamed(choose(['Mul', 'Mul', 'Div', 'Add'], kind >> 1, 'Mul'))
    b.emit(op, [y.name, op.name === 'Add' ? b.weights(shape, 1) : b.positive(shape)], {}, x.shape)
    y = last(b, y)
  }
}

/** A batch normalisation whose factor is far from 1, by its scale or by its variance, after a contraction or alone. */
const tinyNorm: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (x.shape.length < 2) return
  const { exponents } = formats[b.dtype]
  const magnitude = choose([1e-5, 1e-3, 1e-20, 1e3, 1e-7, 1e-30], p, 1)
  const factor = Math.max(magnitude, 10 ** exponents[0])
  let from = x
  // Loud inputs, so that what becomes small is small in the weights only.
  if (s % 2 === 0) {
    b.emit(ops.Mul, [x.name, b.numbers([], [Math.min(1 / factor, 10 ** (0.7 * exponents[1]))])], {}, x.shape)
    b.emit(ops.Abs, [last(b, x).name], {}, x.shape)
    from = last(b, x)
  }
  const outs = choose([4, 6, 8], q, 4)
  const weight = (): string =>
    b.numbers(
      [outs, channelsOf(x), 1, 1],
      Array.from(
        { length: outs * channelsOf(x) },
        () => Math.max(s % 3 === 0 ? 0.02 : factor, 0.02) * (2 * b.uniform() - 1),
      ),
    )
  let y = from
  if (isImage(x) && q % 3 !== 0) {
    const attrs = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1 }
    b.emit(ops.Conv, [from.name, weight()], attrs, [x.shape[0] ?? 1, outs, ...x.shape.slice(2)])
    y = last(b, from)
  }
  const c = channelsOf(y)
  const scale = Array.from({ length: c }, () => (b.uniform() < 0.3 ? 1 : factor) * (0.5 + b.uniform()))
  const variance = Array.from(
    { length: c },
    () => (r % 3 === 0 ? Math.max(1e-10, 10 ** exponents[0]) : 1) * (0.5 + b.uniform()),
  )
  b.emit(
    ops.BatchNormalization,
    [y.name, b.numbers([c], scale), b.weights([c], 0.3 * factor), b.weights([c], 0.3), b.numbers([c], variance)],
    { epsilon: r % 4 === 0 ? 0 : Math.fround(1e-5) },
    y.shape,
  )
}

/** Two contractions in a row whose weights have small products. */
const pairOf = (gemm: Apply): Apply =>
  function pair(b, step, x, y) {
    const [p, q, r, s] = step.choices
    if (isImage(x) && channelsOf(x) <= 16) {
      const isLarge = s % 4 < 2
      const [outs, inner] = [choose([3, 4, 8], p, 3), choose([8, 12], q, 8)]
      const exponent = choose([-22, -3, -2, -20, -15, -1], r, 0)
      const magnitude = 10 ** Math.max(exponent, 0.6 * formats[b.dtype].exponents[0])
      const small = (shape: readonly [number, number, number, number]): string =>
        b.numbers(
          shape,
          Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => magnitude * (2 * b.uniform() - 1)),
        )
      const kernel = s % 2 === 0 && (x.shape[2] ?? 0) >= 3 ? 3 : 1
      const visible = b.numbers([], [Math.min(1 / magnitude, 10 ** (0.7 * formats[b.dtype].exponents[1]))])
      let from = x
      // What is small is made visible: before, where the runtime cannot fold it, or after.
      if (isLarge) {
        b.emit(ops.Mul, [x.name, visible], {}, x.shape)
        b.emit(ops.Abs, [last(b, x).name], {}, x.shape)
        from = last(b, x)
      }
      const attrs = { strides: [1, 1], dilations: [1, 1], group: 1 }
      b.emit(
        ops.Conv,
        [from.name, small([inner, channelsOf(x), 1, 1])],
        { ...attrs, kernel_shape: [1, 1], pads: [0, 0, 0, 0] },
        [x.shape[0] ?? 1, inner, x.shape[2] ?? 1, x.shape[3] ?? 1],
      )
      const middle = last(b, x)
      const pad = kernel === 3 ? 1 : 0
      b.emit(
        ops.Conv,
        [middle.name, small([outs, inner, kernel, kernel])],
        { ...attrs, kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad] },
        [x.shape[0] ?? 1, outs, x.shape[2] ?? 1, x.shape[3] ?? 1],
      )
      if (!isLarge) b.emit(ops.Mul, [last(b, x).name, visible], {}, last(b, x).shape)
    } else if (x.shape.length === 2) {
      gemm(b, { ...step, choices: [p, q, r, s] }, x, y)
      gemm(b, { ...step, choices: [q, p, s, r] }, last(b, x), y)
    }
  }

/** A Gemm with factors of any magnitude, behind constants if its input has any. */
const gemmFactors: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (x.shape.length !== 2 || channelsOf(x) > 256) {
    if (isImage(x)) {
      b.emit(ops.GlobalAveragePool, [x.name], {}, [x.shape[0] ?? 1, channelsOf(x), 1, 1])
      b.emit(ops.Flatten, [last(b, x).name], {}, [x.shape[0] ?? 1, channelsOf(x)])
    }
    return
  }
  const hidden = choose([4, 6, 8], p, 4)
  const outs = choose([3, 5], q, 3)
  const factor = (choice: number): number => Math.fround(choose([1, 0.5, 1e-3, 1e-5, 1e-30, 2, 100, 0, -1], choice, 1))
  const biases = Array.from({ length: hidden }, () => 20 * b.uniform() - 10)
  b.emit(ops.Gemm, [x.name, sparse(b, [hidden, channelsOf(x)], true), b.numbers([hidden], biases)], { transB: 1 }, [
    x.shape[0] ?? 1,
    hidden,
  ])
  const y = activate(b, last(b, x), s)
  b.emit(
    ops.Gemm,
    [y.name, b.weights([hidden, outs], 0.4), ...(r % 3 === 0 ? [] : [b.weights([outs], 0.3)])],
    { alpha: r % 2 === 0 ? 1 : factor(q), beta: factor(r) },
    [x.shape[0] ?? 1, outs],
  )
}

/** A layer that is nearly nothing: weights all equal, or zero with a huge or tiny bias, constants with large payments. */
const degenerateOf = (conv: Apply): Apply =>
  function degenerate(b, step, x, y) {
    const [p, q, r, s] = step.choices
    if (!isImage(x) || channelsOf(x) > 16) return conv(b, step, x, y)
    const outs = choose([4, 8, 6], p, 4)
    const [tiny, huge] = formats[b.dtype].exponents
    const magnitude = 10 ** choose([tiny, tiny / 2, -5, 0, 2, huge / 2, Math.min(huge, huge / 2 + 4)], q, 0)
    const biases = Array.from({ length: outs }, () => (b.uniform() < 0.4 ? 1 : magnitude) * (2 * b.uniform() - 1))
    const z = plainConv(b, x, outs, 1, false, b.numbers([outs], biases))
    if (r % 2 === 0) b.emit(ops.Relu, [z.name], {}, z.shape)
    plainConv(
      b,
      last(b, z),
      choose([3, 4], s, 3),
      s % 2 === 0 ? 3 : 1,
      true,
      s % 3 === 0 ? b.weights([choose([3, 4], s, 3)], 0.3) : '',
    )
  }

/** Grouped convolutions whose groups lose unequal numbers of channels on either side, or all of them. */
const grouped: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (!isImage(x) || channelsOf(x) > 16) return
  const groups = choose([2, 3, 4, 2], p, 2)
  const [ins, outs] = [groups * choose([2, 3, 4], q, 2), groups * choose([2, 3, 4, 8], r, 2)]
  const biased = s % 2 === 0
  const y = plainConv(b, x, ins, 1, false, biased ? b.weights([ins], 0.5) : '')
  b.emit(opNamed(choose(['Relu', 'Tanh', 'Sigmoid', 'Softplus'], p + q, 'Relu')), [y.name], {}, y.shape)
  const z = last(b, y)
  const grouped = plainConv(
    b,
    z,
    outs,
    s % 3 === 0 ? 1 : 3,
    s % 5 !== 0,
    r % 2 === 0 ? b.weights([outs], 0.5) : '',
    groups,
  )
  if (grouped === z) return
  const act = activate(b, grouped, p)
  // A sum with something alive keeps some of its channels.
  if (q % 3 === 0) {
    const other = plainConv(b, z, outs, s % 3 === 0 ? 1 : 3, s % 5 !== 0, '')
    b.emit(ops.Add, [act.name, other.name], {}, act.shape)
  }
  plainConv(b, last(b, act), choose([3, 4, 8], s, 3), 1, false, '')
}

/** Layers of which all or nearly all filters are constant, in front of padding, strides, dilations and pooling. */
const bordered: Apply = (b, { choices: [p, q, r, s] }, x) => {
  if (!isImage(x) || channelsOf(x) > 16) return
  const outs = choose([4, 8, 6, 16], p, 4)
  const live = choose([0, 1, 2, 3], q, 0)
  const ins = channelsOf(x)
  const weight = Array.from({ length: outs * ins }, (_, i) => (Math.floor(i / ins) < live ? 2 * b.uniform() - 1 : 0))
  const bias = Array.from({ length: outs }, () => 4 * b.uniform() - 1)
  const attrs = { kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1 }
  b.emit(ops.Conv, [x.name, b.numbers([outs, ins, 1, 1], weight), b.numbers([outs], bias)], attrs, [
    x.shape[0] ?? 1,
    outs,
    ...x.shape.slice(2),
  ])
  const y = activate(b, last(b, x), r)
  const [h, w] = [y.shape[2] ?? 1, y.shape[3] ?? 1]
  const [pad, stride, dilation] = [choose([1, 2, 0], s, 1), choose([1, 2], p, 1), choose([1, 1, 2], q, 1)]
  const size = (n: number): number => Math.floor((n + 2 * pad - 2 * dilation - 1) / stride) + 1
  if (size(h) < 1 || size(w) < 1) return
  const next = choose([4, 5, 8], s, 4)
  b.emit(
    ops.Conv,
    [y.name, sparse(b, [next, outs, 3, 3], r % 2 === 0), ...(r % 3 === 0 ? [] : [b.weights([next], 0.3)])],
    {
      kernel_shape: [3, 3],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
      dilations: [dilation, dilation],
      group: 1,
    },
    [x.shape[0] ?? 1, next, size(h), size(w)],
  )
  const z = activate(b, last(b, y), p)
  if (q % 2 === 0) plainConv(b, z, 4, 3, true, '')
}

export const edgeSteps = (conv: Apply, gemm: Apply) => ({
  tails,
  carriers,
  kept,
  zoo,
  cancellation,
  chain,
  tinyNorm,
  pair: pairOf(gemm),
  gemmFactors,
  degenerate: degenerateOf(conv),
  grouped,
  bordered,
})
