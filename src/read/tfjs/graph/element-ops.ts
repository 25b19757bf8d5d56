/** TensorFlow's operators that work on each element. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef } from '../../../ir/op.ts'
import { Abs } from '../../../ir/ops/abs.ts'
import { Acos } from '../../../ir/ops/acos.ts'
import { Acosh } from '../../../ir/ops/acosh.ts'
import { And } from '../../../ir/ops/and.ts'
import { Asin } from '../../../ir/ops/asin.ts'
import { Asinh } from '../../../ir/ops/asinh.ts'
import { Atan } from '../../../ir/ops/atan.ts'
import { Atanh } from '../../../ir/ops/atanh.ts'
import { Ceil } from '../../../ir/ops/ceil.ts'
import { Cos } from '../../../ir/ops/cos.ts'
import { Cosh } from '../../../ir/ops/cosh.ts'
import { Equal } from '../../../ir/ops/equal.ts'
import { Erf } from '../../../ir/ops/erf.ts'
import { Exp } from '../../../ir/ops/exp.ts'
import { Floor } from '../../../ir/ops/floor.ts'
import { Greater } from '../../../ir/ops/greater.ts'
import { GreaterOrEqual } from '../../../ir/ops/greater-or-equal.ts'
import { IsInf } from '../../../ir/ops/is-inf.ts'
import { IsNaN } from '../../../ir/ops/is-nan.ts'
import { Less } from '../../../ir/ops/less.ts'
import { LessOrEqual } from '../../../ir/ops/less-or-equal.ts'
import { Log } from '../../../ir/ops/log.ts'
import { LogSoftmax } from '../../../ir/ops/log-softmax.ts'
import { Neg } from '../../../ir/ops/neg.ts'
import { Not } from '../../../ir/ops/not.ts'
import { Or } from '../../../ir/ops/or.ts'
import { Pow } from '../../../ir/ops/pow.ts'
import { Reciprocal } from '../../../ir/ops/reciprocal.ts'
import { Round } from '../../../ir/ops/round.ts'
import { Sign } from '../../../ir/ops/sign.ts'
import { Sin } from '../../../ir/ops/sin.ts'
import { Sinh } from '../../../ir/ops/sinh.ts'
import { Softmax } from '../../../ir/ops/softmax.ts'
import { Sqrt } from '../../../ir/ops/sqrt.ts'
import { Tan } from '../../../ir/ops/tan.ts'
import { Where } from '../../../ir/ops/where.ts'
import type { Builder } from '../builder.ts'
import { activations, leakyRelu, prelu, softmax } from '../emit/activation.ts'
import {
  add,
  alike,
  combine,
  div,
  floorDiv,
  map,
  max,
  min,
  mod,
  mul,
  number,
  square,
  sub,
} from '../emit/elementwise.ts'
import type { Operand } from '../operand.ts'
import { binary, type Lowering, one, ternary, unary } from './call.ts'

const plain = <Name extends string, A>(op: OpDef<Name, A>): Lowering => unary(({ b }, x) => one(map(b, op, x)))

/** An operator of two operands that are brought to one type. */
const pair = (use: (b: Builder, x: Operand, y: Operand) => Operand): Lowering =>
  binary(({ b }, x, y) => one(use(b, x, y)))

const compare = <Name extends string, A>(op: OpDef<Name, A>): Lowering =>
  pair((b, x, y) => combine(b, op, alike(b, [x, y])))

const logical = <Name extends string, A>(op: OpDef<Name, A>): Lowering => pair((b, x, y) => combine(b, op, [x, y]))

const activation = (name: string): Lowering =>
  unary(({ b }, x) => {
    const apply = activations.get(name)
    return apply === undefined ? E.left(name) : one(apply(b, x))
  })

const choose: Lowering = ternary(({ b }, condition, x, y) => {
  // Select, unlike SelectV2, takes a condition for each row.
  const [p, q] = [b.rankOf(condition), b.rankOf(x)]
  if (p === 1 && q !== undefined && q > 1) return E.left('a condition for each row')
  return one(combine(b, Where, [condition, ...alike(b, [x, y])]))
})

const sum: Lowering = ({ b, inputs }) => {
  const [first, ...rest] = inputs
  return first === undefined ? E.left('no inputs') : one(rest.reduce((total, x) => add(b, total, x), first))
}

const clipped: Lowering = ternary(({ b }, x, low, high) => one(min(b, max(b, x, low), high)))

/** 0 where the divisor is 0. */
const divideNoNan = (b: Builder, x: Operand, y: Operand): Operand => {
  const isZero = combine(b, Equal, [y, number(b, y, 0)])
  const divisor = combine(b, Where, [isZero, number(b, y, 1), y])
  return combine(b, Where, [isZero, number(b, x, 0), div(b, x, divisor)])
}

export const elementOps: ReadonlyArray<readonly [string, Lowering]> = [
  ['Abs', plain(Abs)],
  ['Acos', plain(Acos)],
  ['Acosh', plain(Acosh)],
  ['Asin', plain(Asin)],
  ['Asinh', plain(Asinh)],
  ['Atan', plain(Atan)],
  ['Atanh', plain(Atanh)],
  ['Ceil', plain(Ceil)],
  ['Cos', plain(Cos)],
  ['Cosh', plain(Cosh)],
  ['Erf', plain(Erf)],
  ['Exp', plain(Exp)],
  ['Floor', plain(Floor)],
  ['IsInf', plain(IsInf)],
  ['IsNan', plain(IsNaN)],
  ['Log', plain(Log)],
  ['LogicalNot', plain(Not)],
  ['Neg', plain(Neg)],
  ['Reciprocal', plain(Reciprocal)],
  ['Inv', plain(Reciprocal)],
  ['Round', plain(Round)],
  ['Sign', plain(Sign)],
  ['Sin', plain(Sin)],
  ['Sinh', plain(Sinh)],
  ['Sqrt', plain(Sqrt)],
  ['Tan', plain(Tan)],
  ['Rsqrt', unary(({ b }, x) => one(map(b, Reciprocal, map(b, Sqrt, x))))],
  ['Square', unary(({ b }, x) => one(square(b, x)))],
  ['Relu', activation('relu')],
  ['Relu6', activation('relu6')],
  ['Elu', activation('elu')],
  ['Selu', activation('selu')],
  ['Sigmoid', activation('sigmoid')],
  ['Softplus', activation('softplus')],
  ['Softsign', activation('softsign')],
  ['Tanh', activation('tanh')],
  ['Softmax', unary(({ b }, x) => one(softmax(b, Softmax, x)))],
  ['LogSoftmax', unary(({ b }, x) => one(softmax(b, LogSoftmax, x)))],
  ['LeakyRelu', unary(({ b, attrs }, x) => one(leakyRelu(b, x, attrs.float('alpha', Math.fround(0.2)))))],
  ['Prelu', pair(prelu)],
  ['Add', pair(add)],
  ['AddV2', pair(add)],
  ['AddN', sum],
  ['Sub', pair(sub)],
  ['Mul', pair(mul)],
  ['RealDiv', pair(div)],
  ['Div', pair(div)],
  ['DivNoNan', pair(divideNoNan)],
  ['FloorDiv', pair(floorDiv)],
  ['Mod', pair(mod)],
  ['FloorMod', pair(mod)],
  ['Maximum', pair(max)],
  ['Minimum', pair(min)],
  ['Pow', pair((b, x, y) => combine(b, Pow, alike(b, [x, y])))],
  ['SquaredDifference', pair((b, x, y) => square(b, sub(b, x, y)))],
  ['ClipByValue', clipped],
  ['Equal', compare(Equal)],
  ['NotEqual', pair((b, x, y) => map(b, Not, combine(b, Equal, alike(b, [x, y]))))],
  ['Greater', compare(Greater)],
  ['GreaterEqual', compare(GreaterOrEqual)],
  ['Less', compare(Less)],
  ['LessEqual', compare(LessOrEqual)],
  ['LogicalAnd', logical(And)],
  ['LogicalOr', logical(Or)],
  ['Select', choose],
  ['SelectV2', choose],
]
