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

/** A state that is carried, with the units of it that are zero at first and stay zero, and those that nothing else reads. */
interface Carried {
  readonly size: number
  readonly silent: ReadonlyArray<boolean>
  readonly unread: ReadonlyArray<boolean>
}

const carried = (b: Builder, size: number): Carried => ({
  size,
  silent: marks(b, size, 0.3),
  unread: marks(b, size, 0.3),
})

/** A state as it is at first. */
const firstOf = (b: Builder, x: Value, { size, silent }: Carried): Value => {
  const [n = 1, ins = 1] = x.shape
  const weight = b.weights([ins, size], 0.3, (i) => silent[i % size] === true)
  const first = b.inner(ops.MatMul, [x.name, weight], {}, [n, size])
  return chance(b, 0.5) ? first : b.inner(ops.Mul, [first.name, b.numbers([], [0])], {}, [n, size])
}

/** A weight that reads a state, but for the units that nothing reads. */
const reading = (b: Builder, { size, unread }: Carried, outs: number): string =>
  b.weights([size, outs], 0.4, (i) => unread[Math.floor(i / outs)] === true)

/** A state after a step: of itself, of what is read in the step, and of what the step captures. */
const nextState = (b: Builder, state: Value, reads: ReadonlyArray<Value>, { silent, unread }: Carried): Value => {
  const [n = 1, size = 1] = state.shape
  const wide = [n, size]
  const isOff = chance(b, 0.3)
  const weight = b.weights([size, size], 0.4, (i) => {
    const [from, to] = [Math.floor(i / size), i % size]
    return silent[to] === true || (unread[from] === true && (isOff || unread[to] !== true))
  })
  let sum = b.inner(ops.MatMul, [state.name, weight], {}, wide)
  for (const read of reads) {
    const ins = read.shape.at(-1) ?? 1
    const blind = marks(b, ins, 0.3)
    const more = b.weights([ins, size], 0.4, (i) => silent[i % size] === true || blind[Math.floor(i / size)] === true)
    sum = b.inner(ops.Add, [sum.name, b.inner(ops.MatMul, [read.name, more], {}, wide).name], {}, wide)
  }
  if (chance(b, 0.7)) {
    const bias = b.weights([size], 0.3, (i) => silent[i] === true)
    sum = b.inner(ops.Add, [sum.name, bias], {}, wide)
  }
  const next = b.inner(ops.Tanh, [sum.name], {}, wide)
  if (chance(b, 0.5)) return next
  const gate = b.inner(ops.Sigmoid, [b.inner(ops.Mul, [next.name, b.weights([size], 0.8)], {}, wide).name], {}, wide)
  return b.inner(ops.Add, [next.name, b.inner(ops.Mul, [gate.name, state.name], {}, wide).name], {}, wide)
}

/** A Loop with states and, sometimes, results of each round; its trip count is a constant or a size of the input. */
export const loop: Apply = (b, { choices: [p, q, r, s] }, given) => {
  if (b.dtype !== 'float32' || given.shape.length < 2 || sizeOf(given.shape) > 600) return
  const x = flat(b, given)
  const [n = 1] = x.shape
  const size = choose([4, 6, 3, 8], p)
  const states = [carried(b, size), ...(chance(b, 0.4) ? [carried(b, 5)] : [])]
  const firsts = states.map((state) => firstOf(b, x, state))
  // One that is carried and stays as it is.
  const constant = chance(b, 0.3) ? firstOf(b, x, carried(b, 4)) : undefined
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
  const befores = states.map((state) => body.input([n, state.size]))
  const same = constant === undefined ? undefined : body.input(constant.shape)
  const nexts: Value[] = []
  for (const [i, state] of states.entries()) {
    const reads = [...(q % 2 === 0 ? [x] : []), ...nexts, ...(same === undefined ? [] : [same])]
    nexts.push(nextState(builder, befores[i] ?? x, reads, state))
  }
  const goesOn =
    r % 4 === 1
      ? builder.inner(ops.Less, [round.name, builder.constant(int64s([1], []))], {}, [])
      : builder.inner(ops.Identity, [condition.name], {}, [])
  if (r % 4 === 1) count = Math.min(count, 2)
  const outs = 3
  const [next = x, state = carried(b, 1)] = [nexts.at(-1), states.at(-1)]
  const results: Value[] = []
  if (s % 2 === 0) results.push(perceptron(builder, next, outs))
  if (s % 3 === 0) results.push(builder.inner(ops.Identity, [next.name], {}, next.shape))
  const kept = same === undefined ? [] : [builder.inner(ops.Identity, [same.name], {}, same.shape)]
  const graph = body.finish([goesOn, ...nexts, ...kept, ...results].map(({ name }) => name))
  const carriedIn = [...firsts, ...(constant === undefined ? [] : [constant])]
  const made = b.opaque(
    'Loop',
    [trips, p % 2 === 0 ? truth(b, true) : '', ...carriedIn.map(({ name }) => name)],
    [graphOf('body', graph)],
    [...carriedIn.map(({ shape }) => shape), ...results.map(({ shape }) => [count, ...shape])],
  )
  for (const [i, one] of states.entries()) {
    const last = made[i]
    if (last !== undefined && chance(b, 0.8)) b.emit(ops.MatMul, [last.name, reading(b, one, 4)], {}, [n, 4])
  }
  for (const [i, one] of made.slice(carriedIn.length).entries()) {
    const isState = results[i]?.shape.at(-1) !== outs
    const width = one.shape.at(-1) ?? 1
    const all = isState
      ? b.inner(ops.MatMul, [one.name, reading(b, { ...state, size: width }, 2)], {}, [count, n, 2])
      : one
    b.emit(ops.Transpose, [all.name], { perm: [1, 0, 2] }, [n, count, all.shape.at(-1) ?? 1])
  }
}

/** A recurrence over the places of a sequence, as a Scan with one or two states. */
export const scan: Apply = (b, { choices: [p, q, r] }, given) => {
  const x = b.dtype === 'float32' ? sequence(b, given) : undefined
  if (x === undefined) return
  const [n = 1, l = 1, ins = 1] = x.shape
  const size = choose([4, 6, 3, 8], p)
  const carriedStates = [carried(b, size), ...(q % 3 === 0 ? [carried(b, 4)] : [])]
  const mean = b.inner(
    ops.ReduceMax,
    [x.name, ...(b.opset >= 18 ? [b.constant(int64s([1]))] : [])],
    { keepdims: 0, ...(b.opset >= 18 ? {} : { axes: [1] }) },
    [n, ins],
  )
  const firsts = carriedStates.map((state) => firstOf(b, mean, state))
  const body = b.body([])
  const { builder } = body
  const states = firsts.map(({ shape }) => body.input(shape))
  const read = body.input([n, ins])
  const nexts: Value[] = []
  for (const [i, state] of states.entries())
    nexts.push(nextState(builder, state, i === 0 ? [read] : nexts, carriedStates[i] ?? carried(b, 1)))
  const outs = 3
  const made = perceptron(builder, nexts.at(-1) ?? read, outs)
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
  const all = results.at(-1)
  for (const [i, state] of carriedStates.entries()) {
    const last = results[i]
    if (last !== undefined && (r + i) % 2 === 0) b.emit(ops.MatMul, [last.name, reading(b, state, 4)], {}, [n, 4])
  }
  if (all !== undefined) b.emit(ops.MatMul, [all.name, b.weights([outs, 4], 0.4)], {}, [n, l, 4])
}
