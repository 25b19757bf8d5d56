/**
 * The equations of recurrent cells, written once over any arithmetic: `recurrent-steps.ts` computes numbers with them,
 * `recurrent-mixing.ts` intervals that are known to hold the numbers of every time step.
 */
import { int, optionalFloat, optionalFloats, optionalInt, optionalStrings, type Schema, string } from '../attributes.ts'
import { logistic, softplus } from '../special-functions.ts'

export interface RecurrentAttributes {
  readonly activation_alpha: ReadonlyArray<number> | undefined
  readonly activation_beta: ReadonlyArray<number> | undefined
  readonly activations: ReadonlyArray<string> | undefined
  readonly clip: number | undefined
  readonly direction: 'forward' | 'reverse' | 'bidirectional'
  readonly hidden_size: number | undefined
  /** 0: time is axis 0 and batch axis 1; 1: batch first. */
  readonly layout: number
}

export const recurrentSchema: Schema<RecurrentAttributes> = {
  activation_alpha: optionalFloats,
  activation_beta: optionalFloats,
  activations: optionalStrings,
  clip: optionalFloat,
  direction: string('forward', 'reverse', 'bidirectional'),
  hidden_size: optionalInt,
  layout: int(0),
}

export const directionsOf = ({ direction }: RecurrentAttributes): number => (direction === 'bidirectional' ? 2 : 1)

/** Input ports: the input, its weights, those of the recurrence, biases, lengths of sequences, first states, peepholes. */
export const ports = { x: 0, w: 1, r: 2, b: 3, lengths: 4, h: 5, c: 6, p: 7 } as const

/** A function of a gate or of a state. */
export interface Activation {
  readonly f: (x: number) => number
  /** Whether `f` never falls, so that it takes the ends of an interval to those of the results. */
  readonly rises: boolean
  /** Whether a runtime computes it by multiplying and comparing only, with no more error than their rounding. */
  readonly isPiecewise: boolean
  /** Whether finite arguments, however large, have finite results of moderate size. */
  readonly isBounded: boolean
}

/** What a parameter is where the node says nothing; undefined where ONNX has no default for it. */
interface Parameters {
  readonly alpha?: number | undefined
  readonly beta?: number | undefined
}

const thin = { isPiecewise: true, isBounded: false }
const smooth = { rises: true, isPiecewise: false, isBounded: true }

/** The activation functions of ONNX's recurrent operators by name, with the parameters that they take from the lists. */
const activations: ReadonlyMap<
  string,
  { readonly takes: Parameters; readonly make: (alpha: number, beta: number) => Activation }
> = new Map([
  ['Relu', { takes: {}, make: () => ({ f: (x: number) => Math.max(0, x), rises: true, ...thin }) }],
  ['Tanh', { takes: {}, make: () => ({ f: Math.tanh, ...smooth }) }],
  ['Sigmoid', { takes: {}, make: () => ({ f: logistic, ...smooth }) }],
  ['Softsign', { takes: {}, make: () => ({ f: (x: number) => x / (1 + Math.abs(x)), ...smooth }) }],
  ['Softplus', { takes: {}, make: () => ({ f: softplus, ...smooth, isBounded: false }) }],
  [
    'LeakyRelu',
    {
      takes: { alpha: Math.fround(0.01) },
      make: (alpha: number) => ({ f: (x: number) => (x < 0 ? alpha * x : x), rises: alpha >= 0, ...thin }),
    },
  ],
  [
    'ThresholdedRelu',
    {
      takes: { alpha: 1 },
      make: (alpha: number) => ({ f: (x: number) => (x > alpha ? x : 0), rises: alpha >= 0, ...thin }),
    },
  ],
  [
    'Elu',
    {
      takes: { alpha: 1 },
      make: (alpha: number) => ({
        f: (x: number) => (x < 0 ? alpha * Math.expm1(x) : x),
        ...smooth,
        rises: alpha >= 0,
        isBounded: false,
      }),
    },
  ],
  [
    'HardSigmoid',
    {
      takes: { alpha: Math.fround(0.2), beta: 0.5 },
      make: (alpha: number, beta: number) => ({
        f: (x: number) => Math.max(0, Math.min(1, alpha * x + beta)),
        rises: alpha >= 0,
        isPiecewise: true,
        isBounded: true,
      }),
    },
  ],
  [
    'Affine',
    {
      takes: { alpha: undefined, beta: undefined },
      make: (alpha: number, beta: number) => ({ f: (x: number) => alpha * x + beta, rises: alpha >= 0, ...thin }),
    },
  ],
  [
    'ScaledTanh',
    {
      takes: { alpha: undefined, beta: undefined },
      make: (alpha: number, beta: number) => ({
        f: (x: number) => alpha * Math.tanh(beta * x),
        ...smooth,
        rises: alpha >= 0 && beta >= 0,
      }),
    },
  ],
])

/**
 * The activations of each direction, `defaults` where the node names none. The lists of parameters hold, in order, one for
 * each function that takes it. Undefined where a name is not known or a parameter without a default is missing.
 */
export const activationsOf = (
  attrs: RecurrentAttributes,
  defaults: ReadonlyArray<string>,
  directions: number,
): ReadonlyArray<ReadonlyArray<Activation>> | undefined => {
  const names = attrs.activations ?? Array.from({ length: directions }, () => defaults).flat()
  if (names.length !== defaults.length * directions) return undefined
  const [alphas, betas] = [[...(attrs.activation_alpha ?? [])], [...(attrs.activation_beta ?? [])]]
  const made: Activation[] = []
  for (const name of names) {
    const found = activations.get(name)
    if (found === undefined) return undefined
    const { takes, make } = found
    const alpha = 'alpha' in takes ? (alphas.shift() ?? takes.alpha) : 0
    const beta = 'beta' in takes ? (betas.shift() ?? takes.beta) : 0
    if (alpha === undefined || beta === undefined) return undefined
    made.push(make(alpha, beta))
  }
  return Array.from({ length: directions }, (_, d) => made.slice(d * defaults.length, (d + 1) * defaults.length))
}

/** How many parameters functions take from the list of alphas, and from that of betas. */
export const parametersTaken = (names: ReadonlyArray<string>): readonly [alphas: number, betas: number] => {
  const taken = (key: keyof Parameters): number =>
    names.filter((name) => key in (activations.get(name)?.takes ?? {})).length
  return [taken('alpha'), taken('beta')]
}

/** What the equations compute with. */
export interface Arithmetic<T> {
  readonly of: (x: number) => T
  readonly add: (a: T, b: T) => T
  readonly times: (a: T, b: T) => T
  readonly apply: (f: Activation, x: T) => T
}

/** What one direction of a recurrence computes with in one time step. */
export interface Step<T> {
  readonly units: number
  /** Of a gate and a unit the sum over the features of the input, its bias included. */
  readonly fromInput: (gate: number, unit: number) => T
  /** Of a gate and a unit the sum over a state of all units, the bias of the recurrence included. */
  readonly fromState: (gate: number, unit: number, state: (unit: number) => T) => T
  /** The weight of a peephole of a unit. */
  readonly peephole: (index: number, unit: number) => T
  /** The argument of a gate's activation, clipped where the node says so. */
  readonly clip: (x: T) => T
  readonly activations: ReadonlyArray<Activation>
}

/** The hidden state of all units, and the cell state where there is one. */
export interface States<T> {
  readonly hidden: ReadonlyArray<T>
  readonly cell: ReadonlyArray<T>
}

/** A kind of recurrent cell. */
export interface Cell<A extends RecurrentAttributes> {
  readonly gates: number
  /** Of functions named in the attribute, by place. */
  readonly activations: ReadonlyArray<string>
  readonly hasCellState: boolean
  /** Gates whose recurrent sum is of the state times another gate, so that a constant unit adds no constant to it. */
  readonly gatedSums: (attrs: A) => ReadonlyArray<number>
  /** Gates whose recurrent sum is multiplied before the sum of the inputs is added: what a constant unit adds goes into its own bias. */
  readonly gatedBiases: (attrs: A) => ReadonlyArray<number>
  readonly step: <T>(k: Arithmetic<T>, attrs: A, step: Step<T>, before: States<T>) => States<T>
}

const map = <T>(units: number, f: (unit: number) => T): T[] => Array.from({ length: units }, (_, u) => f(u))

/** Where an activation is missing nothing is known, and the caller has refused before. */
const identity: Activation = { f: (x) => x, rises: true, isPiecewise: true, isBounded: false }

/** `h' = f(x·W + h·R + b)`. */
export const elmanCell: Cell<RecurrentAttributes> = {
  gates: 1,
  activations: ['Tanh'],
  hasCellState: false,
  gatedSums: () => [],
  gatedBiases: () => [],
  step: (k, _attrs, s, { hidden }) => {
    const [f = identity] = s.activations
    const before = (v: number) => hidden[v] ?? k.of(NaN)
    const next = map(s.units, (u) => k.apply(f, s.clip(k.add(s.fromInput(0, u), s.fromState(0, u, before)))))
    return { hidden: next, cell: [] }
  },
}

/**
 * Gates z, r and h: `h' = (1 - z)·n + z·h`, where n is `g(x·W + (r·h)·R + b)`, or `g(x·W + b + r·(h·R + c))` where
 * `linear_before_reset` is not 0.
 */
export const gatedCell: Cell<RecurrentAttributes & { readonly linear_before_reset: number }> = {
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  hasCellState: false,
  gatedSums: ({ linear_before_reset: isLinear }) => (isLinear === 0 ? [2] : []),
  gatedBiases: ({ linear_before_reset: isLinear }) => (isLinear === 0 ? [] : [2]),
  step: (k, { linear_before_reset: isLinear }, s, { hidden }) => {
    const [f = identity, g = identity] = s.activations
    const before = (v: number) => hidden[v] ?? k.of(NaN)
    const gate = (at: number) => (u: number) =>
      k.apply(f, s.clip(k.add(s.fromInput(at, u), s.fromState(at, u, before))))
    const [update, reset] = [map(s.units, gate(0)), map(s.units, gate(1))]
    const resetOf = (v: number) => reset[v] ?? k.of(NaN)
    const next = map(s.units, (u) => {
      const sum =
        isLinear === 0
          ? s.fromState(2, u, (v) => k.times(resetOf(v), before(v)))
          : k.times(resetOf(u), s.fromState(2, u, before))
      const candidate = k.apply(g, s.clip(k.add(s.fromInput(2, u), sum)))
      const z = update[u] ?? k.of(NaN)
      return k.add(k.times(k.add(k.of(1), k.times(k.of(-1), z)), candidate), k.times(z, before(u)))
    })
    return { hidden: next, cell: [] }
  },
}

/**
 * Gates i, o, f and c, peepholes of the first three: `C' = f·C + i·c`, `h' = o·h(C')`. The output gate looks at C', the
 * others at C. With `input_forget` f is `1 - i`. The argument of h is not clipped, as in ONNX Runtime.
 */
export const longShortTermCell: Cell<RecurrentAttributes & { readonly input_forget: number }> = {
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  hasCellState: true,
  gatedSums: () => [],
  gatedBiases: () => [],
  step: (k, { input_forget: isCoupled }, s, { hidden, cell }) => {
    const [f = identity, g = identity, h = identity] = s.activations
    const before = (v: number) => hidden[v] ?? k.of(NaN)
    const sum = (gate: number, u: number) => k.add(s.fromInput(gate, u), s.fromState(gate, u, before))
    const next = map(s.units, (u) => {
      const old = cell[u] ?? k.of(NaN)
      const peep = (gate: number, state: typeof old) => k.add(sum(gate, u), k.times(s.peephole(gate, u), state))
      const i = k.apply(f, s.clip(peep(0, old)))
      const forget = isCoupled === 0 ? k.apply(f, s.clip(peep(2, old))) : k.add(k.of(1), k.times(k.of(-1), i))
      const candidate = k.apply(g, s.clip(sum(3, u)))
      const state = k.add(k.times(forget, old), k.times(i, candidate))
      const o = k.apply(f, s.clip(peep(1, state)))
      return { state, output: k.times(o, k.apply(h, state)) }
    })
    return { hidden: next.map(({ output }) => output), cell: next.map(({ state }) => state) }
  },
}
