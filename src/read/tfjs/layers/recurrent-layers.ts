/**
 * Keras's recurrent layers. Their kernels are `[in, gates · units]` with gates in Keras's order, ONNX's `[direction, gates · units,
 * in]` with gates in another; time is the second axis, in ONNX the first.
 */
import * as E from 'fp-ts/lib/Either.js'
import { GRU } from '../../../ir/ops/gru.ts'
import { LSTM } from '../../../ir/ops/lstm.ts'
import { RNN } from '../../../ir/ops/rnn.ts'
import { isRecord } from '../../../ir/record.ts'
import { type Dense, elements, tensorOf } from '../../../ir/tensor.ts'
import { add, mul, number } from '../emit/elementwise.ts'
import { concat, slice, split, squeeze, toStart } from '../emit/shaping.ts'
import type { Operand } from '../operand.ts'
import { type Config, configOf, type LayerCall, type LayerLowering, type LayerResult, one, onInput } from './config.ts'

interface Kind {
  /** Places of ONNX's gates among Keras's. */
  readonly gates: ReadonlyArray<number>
  /** Whether there is an activation function of gates, and how many others. */
  readonly activations: (config: Config) => ReadonlyArray<string>
}

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  // Keras: input, forget, cell, output. ONNX: input, output, forget, cell.
  [
    'LSTM',
    {
      gates: [0, 3, 1, 2],
      activations: (config) => [gateActivation(config), ownActivation(config), ownActivation(config)],
    },
  ],
  ['GRU', { gates: [0, 1, 2], activations: (config) => [gateActivation(config), ownActivation(config)] }],
  ['SimpleRNN', { gates: [0], activations: (config) => [ownActivation(config)] }],
])

const gateActivation = (config: Config): string => config.text('recurrent_activation', 'hard_sigmoid')
const ownActivation = (config: Config): string => config.text('activation', 'tanh')

interface Named {
  readonly name: string
  readonly alpha?: number
  readonly beta?: number
}

/** ONNX's names, with the parameters that they take. */
const named: ReadonlyMap<string, Named> = new Map<string, Named>([
  ['tanh', { name: 'Tanh' }],
  ['sigmoid', { name: 'Sigmoid' }],
  ['hard_sigmoid', { name: 'HardSigmoid', alpha: Math.fround(0.2), beta: 0.5 }],
  ['relu', { name: 'Relu' }],
  ['softsign', { name: 'Softsign' }],
  ['softplus', { name: 'Softplus' }],
  ['elu', { name: 'Elu', alpha: 1 }],
  ['linear', { name: 'Affine', alpha: 1, beta: 0 }],
])

interface Cell {
  readonly kind: string
  readonly layer: string
  readonly config: Config
}

/** Rows of a kernel `[in, gates · units]`, transposed, gates in ONNX's order. */
const transposedGates = (kernel: Dense, gates: ReadonlyArray<number>): ReadonlyArray<number> => {
  const [read = 0, columns = 0] = kernel.shape
  const units = columns / gates.length
  const values = elements(kernel)
  const out: number[] = []
  for (const gate of gates) {
    for (let unit = 0; unit < units; unit++) {
      for (let i = 0; i < read; i++) out.push(Number(values[i * columns + gate * units + unit]))
    }
  }
  return out
}

interface Weights {
  readonly units: number
  readonly read: number
  readonly kernel: ReadonlyArray<number>
  readonly recurrent: ReadonlyArray<number>
  readonly bias: ReadonlyArray<number>
}

const parametersOf = (call: LayerCall, { layer, config }: Cell, { gates }: Kind): E.Either<string, Weights> => {
  const kernel = call.weight('kernel', layer)
  if (E.isLeft(kernel)) return kernel
  const recurrent = call.weight('recurrent_kernel', layer)
  if (E.isLeft(recurrent)) return recurrent
  const [read = 0, columns = 0, ...more] = kernel.right.tensor.shape
  const units = columns / gates.length
  const [rows, width] = recurrent.right.tensor.shape
  if (more.length > 0 || rows !== units || width !== columns || units === 0) return E.left('kernels of other sizes')
  const bias = config.bool('use_bias', true) ? call.weight('bias', layer) : undefined
  if (bias !== undefined && E.isLeft(bias)) return bias
  const held = bias && bias.right.tensor
  if (held !== undefined && (held.shape.length !== 1 || held.shape[0] !== columns))
    return E.left('a bias of another size')
  const shift =
    held === undefined ? new Array<number>(columns).fill(0) : gates.flatMap((gate) => gateOf(held, gate, units))
  return E.right({
    units,
    read,
    kernel: transposedGates(kernel.right.tensor, gates),
    recurrent: transposedGates(recurrent.right.tensor, gates),
    // The second half is added to the recurrent product; Keras has one bias.
    bias: [...shift, ...new Array<number>(columns).fill(0)],
  })
}

const gateOf = (bias: Dense, gate: number, units: number): ReadonlyArray<number> =>
  Array.from(elements(bias).slice(gate * units, (gate + 1) * units), Number)

/** What no recurrent layer is translated with. */
const refusal = ({ config }: Cell): string | undefined => {
  if (config.bool('reset_after', false)) return 'reset_after'
  if (config.bool('stateful', false)) return 'stateful'
  if (config.bool('return_state', false)) return 'return_state'
  return undefined
}

/** All states `[N, T, units]` of each direction, and the last ones `[N, units]`, in the order in which time is read. */
const run = (
  call: LayerCall,
  x: Operand,
  cells: ReadonlyArray<Cell>,
): E.Either<string, { readonly all: ReadonlyArray<Operand>; readonly last: ReadonlyArray<Operand> }> => {
  const { b } = call
  const [cell] = cells
  const kind = kinds.get(cell?.kind ?? '')
  if (cell === undefined || kind === undefined) return E.left(`layer ${cell?.kind ?? 'unknown'}`)
  const refused = cells.map(refusal).find((reason) => reason !== undefined)
  if (refused !== undefined) return E.left(refused)
  const functions: Named[] = []
  const parameters: Weights[] = []
  for (const one of cells) {
    for (const name of kind.activations(one.config)) {
      const known = named.get(name)
      if (known === undefined) return E.left(`activation ${name}`)
      functions.push(known)
    }
    const made = parametersOf(call, one, kind)
    if (E.isLeft(made)) return made
    parameters.push(made.right)
  }
  const [first] = parameters
  if (first === undefined) return E.left('no weights')
  const { units, read } = first
  if (parameters.some((other) => other.units !== units || other.read !== read))
    return E.left('directions of other sizes')
  const [count, rows] = [cells.length, units * kind.gates.length]
  const weight = (name: string, shape: ReadonlyArray<number>, values: (p: Weights) => ReadonlyArray<number>): string =>
    b.last(
      b.constant(`${call.layer}/${name}`, tensorOf('float32', shape, Float32Array.from(parameters.flatMap(values)))),
    )
  const inputs = [
    b.transposed(b.last(x), [1, 0, 2]),
    weight('W', [count, rows, read], (p) => p.kernel),
    weight('R', [count, rows, units], (p) => p.recurrent),
    weight('B', [count, 2 * rows], (p) => p.bias),
  ]
  const alphas = functions.flatMap(({ alpha }) => alpha ?? [])
  const betas = functions.flatMap(({ beta }) => beta ?? [])
  const attrs = {
    hidden_size: units,
    direction: count === 2 ? ('bidirectional' as const) : ('forward' as const),
    activations: functions.map(({ name }) => name),
    ...(alphas.length > 0 ? { activation_alpha: alphas } : {}),
    ...(betas.length > 0 ? { activation_beta: betas } : {}),
  }
  const [states = '', last = ''] =
    cell.kind === 'LSTM'
      ? b.nodes(LSTM, inputs, 3, attrs)
      : cell.kind === 'GRU'
        ? b.nodes(GRU, inputs, 2, attrs)
        : b.nodes(RNN, inputs, 2, attrs)
  const ones = new Array<number>(count).fill(1)
  const inOrder = b.computed(b.transposed(states, [2, 0, 1, 3]))
  return E.right({
    all: split(b, inOrder, ones, 2).map((part) => squeeze(b, part, [2])),
    last: split(b, b.computed(last), ones, 0).map((part) => squeeze(b, part, [0])),
  })
}

const reversed = (call: LayerCall, x: Operand): Operand =>
  slice(call.b, x, [{ axis: 1, start: -1, end: toStart, step: -1 }])

const layer = (kind: string): LayerLowering =>
  onInput((call, x) => {
    const { config } = call
    const given = config.bool('go_backwards', false) ? reversed(call, x) : x
    const done = run(call, given, [{ kind, layer: call.layer, config }])
    if (E.isLeft(done)) return done
    const [all] = done.right.all
    const [last] = done.right.last
    const result = config.bool('return_sequences', false) ? all : last
    return result === undefined ? E.left('no result') : one(result)
  })

/** The layer that a wrapper has, called as TensorFlow.js calls it. */
const wrapped = (given: unknown, prefix: string): Cell | undefined => {
  if (!isRecord(given) || !isRecord(given['config'])) return undefined
  const { class_name: kind, config } = given
  const name = config['name']
  return typeof kind === 'string' && typeof name === 'string'
    ? { kind, layer: prefix + name, config: configOf(config) }
    : undefined
}

const merged = (call: LayerCall, [x, y]: ReadonlyArray<Operand>): LayerResult => {
  const { b, config } = call
  if (x === undefined || y === undefined) return E.left('one direction')
  if (!config.has('merge_mode') && config.raw('merge_mode') === null) return E.right([x, y])
  const mode = config.text('merge_mode', 'concat')
  switch (mode) {
    case 'concat':
      return one(concat(b, [x, y], -1))
    case 'sum':
      return one(add(b, x, y))
    case 'ave':
      return one(mul(b, add(b, x, y), number(b, x, 0.5)))
    case 'mul':
      return one(mul(b, x, y))
    default:
      return E.left(`merge_mode ${mode}`)
  }
}

const bidirectional: LayerLowering = onInput((call, x) => {
  const forward = wrapped(call.config.raw('layer'), 'forward_')
  const own = call.config.has('backward_layer')
  const backward = wrapped(call.config.raw(own ? 'backward_layer' : 'layer'), own ? '' : 'backward_')
  if (forward === undefined || backward === undefined || forward.kind !== backward.kind) return E.left('other layers')
  if (forward.config.bool('go_backwards', false)) return E.left('go_backwards')
  const done = run(call, x, [forward, backward])
  if (E.isLeft(done)) return done
  return merged(call, forward.config.bool('return_sequences', false) ? done.right.all : done.right.last)
})

export const recurrentLayers: ReadonlyArray<readonly [string, LayerLowering]> = [
  ['LSTM', layer('LSTM')],
  ['GRU', layer('GRU')],
  ['SimpleRNN', layer('SimpleRNN')],
  ['Bidirectional', bidirectional],
]
