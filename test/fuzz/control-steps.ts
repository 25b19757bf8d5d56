/**
 * Steps of random programs with bodies: branches that are taken or not, loops with states and results, recurrences written as Scan. Their
 * weights are their own or captured, with channels that are zero.
 */
import * as ops from '../../src/ir/ops/index.ts'
import { int64s, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { AttributeProto_AttributeType as Type, type GraphProto } from '../../src/onnx/onnx_pb.ts'
import { sequence } from './attention-steps.ts'
import type { Apply, AttributeInit, Builder, Value } from './program.ts'

const chance = (b: Builder, share: number): boolean => b.uniform() < share

const choose = <T>(list: readonly [T, ...T[]], choice: number): T => list[choice % list.length] ?? list[0]

const graphOf = (name: string, g: GraphProto): AttributeInit => ({ name, type: Type.GRAPH, g })
const axes = (name: string, ...values: ReadonlyArray<number>): AttributeInit => ({
  name,
  type: Type.INTS,
  ints: values.map(BigInt),
})

const truth = (b: Builder, value: boolean): string => b.constant(tensorOf('bool', [], [value ? 1 : 0]))

const marks = (b: Builder, count: number, share: number): ReadonlyArray<boolean> =>
  Array.from({ length: count }, () => chance(b, share))

/** `act(x · W + c) · V`, of which hidden units are zero or read by nothing. */
const perceptron = (b: Builder, x: Value, outs: number): Value => {
  const ins = x.shape.at(-1) ?? 1
  const hidden = 4 + Math.floor(9 * b.uniform())
  const [dead, unread] = [marks(b, hidden, 0.3), marks(b, hidden, 0.3)]
  const wide = [...x.shape.slice(0, -1), hidden]
  const weight = b.weights([ins, hidden], 0.4, (i) => dead[i % hidden] === true)
  let y = b.inner(ops.MatMul, [x.name, weight], {}, wide)
  if (chance(b, 0.6)) {
    const silent = chance(b, 0.5)
    const bias = b.weights([hidden], 0.3, (i) => silent && dead[i] === true)
    y = b.inner(ops.Add, [y.name, bias], {}, wide)
  }
  const op = [ops.Relu, ops.Tanh, ops.Sigmoid][Math.floor(3 * b.uniform())] ?? ops.Relu
  y = b.inner(op, [y.name], {}, wide)
  const back = b.weights([hidden, outs], 0.4, (i) => unread[Math.floor(i / outs)] === true)
  return b.inner(ops.MatMul, [y.name, back], {}, [...x.shape.slice(0, -1), outs])
}

/** A condition of rank 0 that is a constant, or depends on the input. */
const conditionOf = (b: Builder, x: Value): string => {
  if (chance(b, 0.35)) return truth(b, chance(b, 0.5))
  const most = b.inner(ops.ReduceMax, [x.name], { keepdims: 0 }, [])
  return b.inner(ops.Greater, [most.name, b.numbers([], [2 * b.uniform()])], {}, []).name
}

/** `x` as one vector for each sample. */
const flat = (b: Builder, x: Value): Value => {
  const [n = 1, ...rest] = x.shape
  return x.shape.length === 2 ? x : b.inner(ops.Reshape, [x.name, b.constant(int64s([0, -1]))], {}, [n, sizeOf(rest)])
}

/** A branch: a perceptron of the value, or of what another step makes of it, or an If of its own. */
const branchOf = (
  b: Builder,
  x: Value,
  outs: number,
  inner: (b: Builder, x: Value) => void,
  depth: number,
): GraphProto => {
  const body = b.body([x])
  const { builder } = body
  if (depth > 0 && chance(b, 0.3)) {
    const [made] = choice(builder, x, outs, inner, depth - 1)
    return body.finish([made?.name ?? ''])
  }
  if (chance(b, 0.4)) inner(builder, x)
  const last = builder.values.at(-1) ?? x
  const from = sizeOf(last.shape) > 600 ? x : last
  return body.finish([perceptron(builder, flat(builder, from), outs).name])
}

const choice = (
  b: Builder,
  x: Value,
  outs: number,
  inner: (b: Builder, x: Value) => void,
  depth: number,
): ReadonlyArray<Value> => {
  const condition = conditionOf(b, x)
  const branches = ['then_branch', 'else_branch'].map((name) => graphOf(name, branchOf(b, x, outs, inner, depth)))
  return b.opaque('If', [condition], branches, [[x.shape[0] ?? 1, outs]])
}

/** An If of which both branches make the same shape; `steps` are what else may stand in them. */
export const branchesOf = (steps: readonly [Apply, ...Apply[]]): Apply =>
  function either(b, step, x) {
    if (b.dtype !== 'float32' || x.shape.length < 2 || sizeOf(x.shape) > 600) return
    const outs = choose([4, 6, 3], step.choices[0])
    const inner = (of: Builder, from: Value): void =>
      choose(steps, step.choices[1])(of, { ...step, choices: [step.choices[2], 4, 1, 2] }, from, from)
    const [made] = choice(b, x, outs, inner, 1)
    if (made === undefined) return
    const weight = b.weights([outs, 5], 0.4)
    b.emit(ops.MatMul, [made.name, weight], {}, [x.shape[0] ?? 1, 5])
  }

/** A state after a step: of itself, of what is read in the step, and of what the step captures. */
const nextState = (b: Builder, state: Value, reads: ReadonlyArray<Value>): Value => {
  const [n = 1, size = 1] = state.shape
  const [dead, unread] = [marks(b, size, 0.3), marks(b, size, 0.3)]
  const isSilent = chance(b, 0.7)
  let sum = b.inner(
    ops.MatMul,
    [state.name, b.weights([size, size], 0.4, (i) => dead[i % size] === true || unread[Math.floor(i / size)] === true)],
    {},
    [n, size],
  )
  for (const read of reads) {
    const ins = read.shape.at(-1) ?? 1
    const more = b.weights([ins, size], 0.4, (i) => dead[i % size] === true)
    sum = b.inner(ops.Add, [sum.name, b.inner(ops.MatMul, [read.name, more], {}, [n, size]).name], {}, [n, size])
  }
  if (chance(b, 0.7)) {
    const bias = b.weights([size], 0.3, (i) => isSilent && dead[i] === true)
    sum = b.inner(ops.Add, [sum.name, bias], {}, [n, size])
  }
  return b.inner(ops.Tanh, [sum.name], {}, [n, size])
}

/** A Loop with a state and, sometimes, results of each round; its trip count is a constant or a size of the input. */
export const loop: Apply = (b, { choices: [p, q, r, s] }, given) => {
  if (b.dtype !== 'float32' || given.shape.length < 2 || sizeOf(given.shape) > 600) return
  const x = flat(b, given)
  const [n = 1, ins = 1] = x.shape
  const size = choose([4, 6, 3, 8], p)
  const first = b.inner(ops.MatMul, [x.name, b.weights([ins, size], 0.3)], {}, [n, size])
  const rounds = 1 + (q % 3)
  let trips = b.constant(int64s([rounds], []))
  let count = rounds
  if (r % 3 === 0) {
    const shape = b.inner(ops.Shape, [x.name], {}, [2])
    trips = b.inner(ops.Gather, [shape.name, b.constant(int64s([0], []))], {}, []).name
    count = n
  }
  const body = b.body([x])
  const { builder } = body
  const round = body.input([], 'int64')
  const condition = body.input([], 'bool')
  const state = body.input([n, size])
  const isScan = s % 2 === 0
  const next = nextState(builder, state, q % 2 === 0 ? [x] : [])
  const goesOn =
    r % 4 === 1
      ? builder.inner(ops.Less, [round.name, builder.constant(int64s([1], []))], {}, [])
      : builder.inner(ops.Identity, [condition.name], {}, [])
  if (r % 4 === 1) count = Math.min(count, 2)
  const outs = 3
  const results = isScan ? [perceptron(builder, next, outs)] : []
  const graph = body.finish([goesOn.name, next.name, ...results.map(({ name }) => name)])
  const shapes = [[n, size], ...results.map(() => [count, n, outs])]
  const [last, all] = b.opaque(
    'Loop',
    [trips, p % 2 === 0 ? truth(b, true) : '', first.name],
    [graphOf('body', graph)],
    shapes,
  )
  if (last !== undefined) b.emit(ops.MatMul, [last.name, b.weights([size, 4], 0.4)], {}, [n, 4])
  if (all !== undefined) b.emit(ops.Transpose, [all.name], { perm: [1, 0, 2] }, [n, count, outs])
}

/** A recurrence over the places of a sequence, as a Scan with one or two states. */
export const scan: Apply = (b, { choices: [p, q, r] }, given) => {
  const x = b.dtype === 'float32' ? sequence(b, given) : undefined
  if (x === undefined) return
  const [n = 1, l = 1, ins = 1] = x.shape
  const size = choose([4, 6, 3, 8], p)
  const isTwo = q % 3 === 0
  const firsts = [size, ...(isTwo ? [4] : [])].map((units) => {
    const mean = b.inner(
      ops.ReduceMax,
      [x.name, ...(b.opset >= 18 ? [b.constant(int64s([1]))] : [])],
      {
        keepdims: 0,
        ...(b.opset >= 18 ? {} : { axes: [1] }),
      },
      [n, ins],
    )
    return b.inner(ops.MatMul, [mean.name, b.weights([ins, units], 0.3)], {}, [n, units])
  })
  const body = b.body([])
  const { builder } = body
  const states = firsts.map(({ shape }) => body.input(shape))
  const read = body.input([n, ins])
  const [one, two] = states
  if (one === undefined) return
  const next = nextState(builder, one, [read])
  const nexts = [next, ...(two === undefined ? [] : [nextState(builder, two, [next])])]
  const outs = 3
  const made = perceptron(builder, nexts.at(-1) ?? next, outs)
  const graph = body.finish([...nexts, made].map(({ name }) => name))
  const attributes: ReadonlyArray<AttributeInit> = [
    graphOf('body', graph),
    { name: 'num_scan_inputs', type: Type.INT, i: 1n },
    axes('scan_input_axes', 1),
    axes('scan_output_axes', 1),
  ]
  const results = b.opaque(
    'Scan',
    [...firsts, x].map(({ name }) => name),
    attributes,
    [...states.map(({ shape }) => shape), [n, l, outs]],
  )
  const [last, all] = [results[0], results.at(-1)]
  if (last !== undefined && r % 2 === 0) b.emit(ops.MatMul, [last.name, b.weights([size, 4], 0.4)], {}, [n, 4])
  if (all !== undefined) b.emit(ops.MatMul, [all.name, b.weights([outs, 4], 0.4)], {}, [n, l, 4])
}
