/**
 * A small assembler for WebAssembly: functions of i32 parameters without results that work on one imported memory. Every
 * expression and statement is the bytes that it encodes to; kinds keep operands of different types apart.
 */
import { invariant } from '../../../ir/failure.ts'

type Kind = 'i32' | 'f32' | 'v128'

type Code = ReadonlyArray<number>

/** Something that leaves one value on the stack. */
export interface Expr<K extends Kind> {
  readonly kind: K
  readonly code: Code
}

export interface Local<K extends Kind> extends Expr<K> {
  readonly index: number
}

export type Int = Expr<'i32'>
export type Float = Expr<'f32'>
export type Vector = Expr<'v128'>

const typeCodes: Readonly<Record<Kind, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b }

const unsigned = (value: number): Code => {
  const out: number[] = []
  let rest = value
  do {
    const low = rest & 0x7f
    rest >>>= 7
    out.push(rest === 0 ? low : low | 0x80)
  } while (rest !== 0)
  return out
}

const signed = (value: number): Code => {
  const out: number[] = []
  let rest = value
  for (;;) {
    const low = rest & 0x7f
    rest >>= 7
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)
    out.push(done ? low : low | 0x80)
    if (done) return out
  }
}

const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)]

const make = <K extends Kind>(kind: K, ...parts: ReadonlyArray<Code>): Expr<K> => ({ kind, code: parts.flat() })

const binary =
  <K extends Kind>(kind: K, opcode: Code) =>
  (a: Expr<K>, b: Expr<K>): Expr<K> =>
    make(kind, a.code, b.code, opcode)

export const int = (value: number): Int => make('i32', [0x41], signed(value))

const intAdd = binary('i32', [0x6a])
const intMul = binary('i32', [0x6c])

/** Sum and product of integers. */
export const plus = (first: Int, ...others: ReadonlyArray<Int>): Int => others.reduce((a, b) => intAdd(a, b), first)
export const times = (first: Int, ...others: ReadonlyArray<Int>): Int => others.reduce((a, b) => intMul(a, b), first)
export const minus = binary('i32', [0x6b])
/** Rounds towards zero. */
export const over = binary('i32', [0x6d])
export const less = binary('i32', [0x48])
export const equal = binary('i32', [0x46])

/** `a` where the condition is not 0, else `b`; both are computed. */
export const choose = (a: Int, b: Int, condition: Int): Int => make('i32', a.code, b.code, condition.code, [0x1b])
export const smaller = (a: Int, b: Int): Int => choose(a, b, less(a, b))
export const larger = (a: Int, b: Int): Int => choose(b, a, less(a, b))

/** What computes with single floats and with vectors of four alike. */
export interface Lanes<K extends 'f32' | 'v128'> {
  readonly kind: K
  readonly count: number
  readonly zero: Expr<K>
  readonly load: (address: Int, offset?: number) => Expr<K>
  /** One float, in every lane. */
  readonly spread: (address: Int, offset?: number) => Expr<K>
  readonly store: (address: Int, value: Expr<K>, offset?: number) => Statement
  readonly add: (a: Expr<K>, b: Expr<K>) => Expr<K>
  readonly sub: (a: Expr<K>, b: Expr<K>) => Expr<K>
  readonly mul: (a: Expr<K>, b: Expr<K>) => Expr<K>
  /** `value` in the lanes where `test` is positive, 0 in the others. */
  readonly wherePositive: (test: Expr<K>, value: Expr<K>) => Expr<K>
  /** `value` in the lanes where `a` and `b` are equal, 0 in the others. */
  readonly whereEqual: (a: Expr<K>, b: Expr<K>, value: Expr<K>) => Expr<K>
}

const floatZero: Float = make('f32', [0x43, 0, 0, 0, 0])

export const single: Lanes<'f32'> = {
  kind: 'f32',
  count: 1,
  zero: floatZero,
  load: (address, offset = 0) => make('f32', address.code, [0x2a, 2], unsigned(offset)),
  spread: (address, offset = 0) => make('f32', address.code, [0x2a, 2], unsigned(offset)),
  store: (address, value, offset = 0) => [...address.code, ...value.code, 0x38, 2, ...unsigned(offset)],
  add: binary('f32', [0x92]),
  sub: binary('f32', [0x93]),
  mul: binary('f32', [0x94]),
  wherePositive: (test, value) => make('f32', value.code, floatZero.code, test.code, floatZero.code, [0x5e, 0x1b]),
  whereEqual: (a, b, value) => make('f32', value.code, floatZero.code, a.code, b.code, [0x5b, 0x1b]),
}

const vectorZero: Vector = make('v128', simd(0x0c), new Array<number>(16).fill(0))

export const vector: Lanes<'v128'> = {
  kind: 'v128',
  count: 4,
  zero: vectorZero,
  load: (address, offset = 0) => make('v128', address.code, simd(0x00), [2], unsigned(offset)),
  spread: (address, offset = 0) => make('v128', address.code, simd(0x09), [2], unsigned(offset)),
  store: (address, value, offset = 0) => [...address.code, ...value.code, ...simd(0x0b), 2, ...unsigned(offset)],
  add: binary('v128', simd(0xe4)),
  sub: binary('v128', simd(0xe5)),
  mul: binary('v128', simd(0xe6)),
  wherePositive: (test, value) => make('v128', value.code, test.code, vectorZero.code, simd(0x44), simd(0x4e)),
  whereEqual: (a, b, value) => make('v128', value.code, a.code, b.code, simd(0x41), simd(0x4e)),
}

/** Four given numbers, each 0 or 1. */
export const bits = (...lanes: readonly [number, number, number, number]): Vector =>
  make('v128', simd(0x0c), [...new Uint8Array(Float32Array.from(lanes).buffer)])

/** Code that leaves nothing on the stack. */
export type Statement = Code

/** Copies so many bytes. */
export const copy = (to: Int, from: Int, count: Int): Statement => [
  ...to.code,
  ...from.code,
  ...count.code,
  ...[0xfc, 0x0a, 0, 0],
]

/** Stores one of four floats where the first of them would be, `lane` floats on. */
export const storeLane = (address: Int, value: Vector, lane: number, offset = 0): Statement => [
  ...address.code,
  ...value.code,
  ...simd(0x5a),
  ...[2, ...unsigned(offset + 4 * lane), lane],
]

/** The body of a function while it is written. */
export interface Body {
  readonly int: (initial: Int) => Local<'i32'>
  readonly lane: <K extends 'f32' | 'v128'>(lanes: Lanes<K>) => Local<K>
  readonly set: <K extends Kind>(local: Local<K>, value: Expr<K>) => void
  readonly put: (statement: Statement) => void
  /** Runs `body` where the condition is not 0. */
  readonly when: (condition: Int, body: () => void) => void
  /** Runs `body` for `i = from, from + step, ...` while `i < to`; `to` and `step` are evaluated every time. */
  readonly loop: (from: Int, to: Int, step: number, body: (i: Local<'i32'>) => void) => void
}

/** A function of the module. */
export interface WasmFunction {
  readonly name: string
  readonly parameters: number
  readonly locals: ReadonlyArray<Kind>
  readonly code: Code
}

/** A function `name` whose parameters are integers: addresses and counts. */
export const define = (
  name: string,
  parameters: number,
  write: (body: Body, parameters: (index: number) => Int) => void,
): WasmFunction => {
  const code: number[] = []
  const locals: Kind[] = []
  const local = <K extends Kind>(kind: K): Local<K> => {
    const index = parameters + locals.push(kind) - 1
    return { kind, index, code: [0x20, ...unsigned(index)] }
  }
  const put = (statement: Statement): void => {
    for (const byte of statement) code.push(byte)
  }
  const set: Body['set'] = (target, value) => put([...value.code, 0x21, ...unsigned(target.index)])
  write(
    {
      int: (initial) => {
        const made = local('i32')
        set(made, initial)
        return made
      },
      lane: ({ kind }) => local(kind),
      set,
      put,
      when: (condition, body) => {
        put([0x02, 0x40, ...condition.code, 0x45, 0x0d, 0])
        body()
        put([0x0b])
      },
      loop: (from, to, step, body) => {
        const i = local('i32')
        set(i, from)
        put([0x02, 0x40, 0x03, 0x40])
        put([...less(i, to).code, 0x45, 0x0d, 1])
        body(i)
        set(i, plus(i, int(step)))
        put([0x0c, 0, 0x0b, 0x0b])
      },
    },
    (index) => {
      invariant(index < parameters, `parameter ${index} of ${name}`)
      return { kind: 'i32', code: [0x20, ...unsigned(index)] }
    },
  )
  return { name, parameters, locals, code }
}

const sized = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes]

const list = (items: ReadonlyArray<Code>): Code => [...unsigned(items.length), ...items.flat()]

const text = (value: string): Code => sized([...new TextEncoder().encode(value)])

const section = (id: number, items: ReadonlyArray<Code>): Code => [id, ...sized(list(items))]

/** The module of `functions`, which imports its memory as `env.memory` and exports every function by its name. */
export const assemble = (functions: ReadonlyArray<WasmFunction>): Uint8Array<ArrayBuffer> => {
  const types = functions.map(({ parameters }) => [0x60, ...list(new Array<Code>(parameters).fill([0x7f])), 0])
  const bodies = functions.map(({ locals, code }) => {
    const declared = locals.map((kind) => [1, typeCodes[kind]])
    return sized([...list(declared), ...code, 0x0b])
  })
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, [[...text('env'), ...text('memory'), 2, 0, 0]]),
    ...section(
      3,
      functions.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]),
    ),
    ...section(10, bodies),
  ])
}
