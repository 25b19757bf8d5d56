/** Sums of products over lettered axes (Einsum): what an equation means, and the plain operators that compute it. */
import { broadcastStatic, forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { makeNode } from '../make-node.ts'
import type { Node, OpDef, Rewrite, ValueId } from '../op.ts'
import { Identity } from '../ops/identity.ts'
import { MatMul } from '../ops/mat-mul.ts'
import { Mul } from '../ops/mul.ts'
import { ReduceSum } from '../ops/reduce-sum.ts'
import { canonicalTarget, Reshape } from '../ops/reshape.ts'
import { Squeeze } from '../ops/squeeze.ts'
import { Transpose } from '../ops/transpose.ts'
import { Unsqueeze } from '../ops/unsqueeze.ts'
import { productOf } from '../sizes.ts'
import { type Dense, int64s, type Tensor, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, type Shape, sizeOf } from '../type.ts'

/** `out[output] = Σ Π operand[its letters]`, summed over the letters that the output lacks. A letter names an axis. */
export interface Equation {
  readonly operands: ReadonlyArray<ReadonlyArray<string>>
  readonly output: ReadonlyArray<string>
}

/** Letters of one term; the axes of an ellipsis are named by their places from its end. Undefined where they do not fit. */
const lettersOf = (term: string, rank: number): ReadonlyArray<string> | undefined => {
  const match = /^([A-Za-z]*)(\.\.\.)?([A-Za-z]*)$/.exec(term)
  if (match === null) return undefined
  const [, before = '', ellipsis, after = ''] = match
  const hidden = rank - before.length - after.length
  if (hidden < 0 || (hidden > 0 && ellipsis === undefined)) return undefined
  return [...before, ...Array.from({ length: hidden }, (_, i) => `...${hidden - 1 - i}`), ...after]
}

/** An equation for operands of these ranks; undefined where it makes no sense. */
export const parseEquation = (text: string, ranks: ReadonlyArray<number>): Equation | undefined => {
  const [left = '', right, ...others] = text.replaceAll(' ', '').split('->')
  const terms = left.split(',')
  if (others.length > 0 || terms.length !== ranks.length) return undefined
  const operands: Array<ReadonlyArray<string>> = []
  for (const [port, term] of terms.entries()) {
    const letters = lettersOf(term, ranks[port] ?? 0)
    if (letters === undefined) return undefined
    operands.push(letters)
  }
  const all = operands.flat()
  const isHidden = (letter: string): boolean => letter.startsWith('...')
  const hidden = [...new Set(all.filter(isHidden))].sort((a, b) => Number(b.slice(3)) - Number(a.slice(3)))
  const once = all.filter((letter) => !isHidden(letter) && all.indexOf(letter) === all.lastIndexOf(letter)).sort()
  const named = right?.replaceAll('.', '').length ?? 0
  const shown = right?.includes('...') === true ? hidden.length : 0
  const output = right === undefined ? [...hidden, ...once] : lettersOf(right, named + shown)
  if (output === undefined || new Set(output).size < output.length) return undefined
  return output.every((letter) => all.includes(letter)) ? { operands, output } : undefined
}

/** Sizes of all letters: a size of 1 is widened to that of other operands. `unknown` where two symbols meet. */
export const letterSizes = (
  { operands }: Equation,
  shapes: ReadonlyArray<Shape>,
  unknown: (letter: string) => Dim,
): ReadonlyMap<string, Dim> => {
  const out = new Map<string, Dim>()
  for (const [port, letters] of operands.entries()) {
    for (const [axis, letter] of letters.entries()) {
      const [known, dim = 1] = [out.get(letter), shapes[port]?.[axis]]
      if (known === undefined || known === 1) out.set(letter, dim)
      else if (dim !== 1 && dim !== known && !isStatic(known)) out.set(letter, isStatic(dim) ? dim : unknown(letter))
    }
  }
  return out
}

/** The sum by definition, in double; undefined where sizes clash. */
export const sumProducts = (equation: Equation, inputs: ReadonlyArray<Dense>): Dense | undefined => {
  const { operands, output } = equation
  const [first] = inputs
  const sizes = letterSizes(
    equation,
    inputs.map(({ shape }) => shape),
    () => 1,
  )
  const summed = [...sizes.keys()].filter((letter) => !output.includes(letter))
  const letters = [...output, ...summed]
  const lengths = letters.map((letter) => Number(sizes.get(letter)))
  const strides = operands.map((own, port) => {
    const { shape = [] } = inputs[port] ?? {}
    const steps = stridesOf(shape)
    return letters.map((letter) =>
      own.reduce((step, l, axis) => step + (l === letter && shape[axis] !== 1 ? (steps[axis] ?? 0) : 0), 0),
    )
  })
  const clashes = operands.some((own, port) =>
    own.some(
      (letter, axis) => broadcastStatic([[inputs[port]?.shape[axis] ?? 1], [Number(sizes.get(letter))]]) === undefined,
    ),
  )
  if (first === undefined || clashes) return undefined
  const numbers = inputs.map(numbersOf)
  const shape = lengths.slice(0, output.length)
  const inner = Math.max(1, sizeOf(lengths.slice(output.length)))
  const sums = new Float64Array(sizeOf(shape))
  forEachIndex(lengths, (index, flat) => {
    let product = 1
    for (const [port, values] of numbers.entries()) {
      let at = 0
      for (let l = 0; l < index.length; l++) at += (index[l] ?? 0) * (strides[port]?.[l] ?? 0)
      product *= values[at] ?? 0
    }
    const to = Math.floor(flat / inner)
    sums[to] = (sums[to] ?? 0) + product
  })
  return tensorOf(first.dtype, shape, sums)
}

/** A value on the way, with the letters and sizes of its axes. */
interface Factor {
  readonly value: ValueId
  readonly letters: ReadonlyArray<string>
  readonly shape: Shape
  readonly isConstant: boolean
}

/** An operand of the sum. */
export interface Operand {
  readonly value: ValueId
  readonly shape: Shape
  readonly isConstant: boolean
}

/**
 * The sum as MatMul, Mul and ReduceSum with Transpose and Reshape around them, from the left as ONNX Runtime's Einsum goes:
 * `Σ_k a[b,m,k]·b[b,k,n]` is a matrix product over the leading letters that both have and the output keeps. Letters that
 * stand where MatMul takes one axis are merged, and taken apart again behind it.
 *
 * Undefined where a letter is twice in one operand (a diagonal), where sizes that must be equal are not known to be, and
 * where a Reshape would need more than one size that is not known. `opset` is 12 or later.
 */
export const lowerSum = (
  equation: Equation,
  operands: ReadonlyArray<Operand>,
  output: ValueId,
  opset: number,
  fresh: (hint: string) => ValueId,
): Rewrite | undefined => {
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>()

  const emit = <A>(op: OpDef<string, A>, inputs: ReadonlyArray<ValueId>, attrs: Partial<A> = {}): ValueId => {
    const value = fresh(`${output}_${op.name.toLowerCase()}`)
    nodes.push(makeNode(op, inputs, [value], attrs))
    return value
  }
  const integers = (values: ReadonlyArray<number>, hint: string): ValueId => {
    const name = fresh(`${output}_${hint}`)
    constants.set(name, int64s(values))
    return name
  }
  /** A node that takes axes as an attribute before opset 13 and on port 1 since. */
  const withAxes = <A extends { readonly axes: ReadonlyArray<number> | undefined }>(
    op: OpDef<string, A>,
    value: ValueId,
    axes: ReadonlyArray<number>,
    attrs: (axes: ReadonlyArray<number> | undefined) => Partial<A>,
  ): ValueId =>
    opset < 13 ? emit(op, [value], attrs(axes)) : emit(op, [value, integers(axes, 'axes')], attrs(undefined))

  const placesOf = (f: Factor, letters: ReadonlyArray<string>): ReadonlyArray<number> =>
    letters.map((letter) => f.letters.indexOf(letter))
  const without = (f: Factor, letters: ReadonlyArray<string>, value: ValueId): Factor => ({
    ...f,
    value,
    letters: f.letters.filter((letter) => !letters.includes(letter)),
    shape: f.shape.filter((_, axis) => !letters.includes(f.letters[axis] ?? '')),
  })
  const squeeze = (f: Factor, letters: ReadonlyArray<string>): Factor =>
    letters.length === 0
      ? f
      : without(
          f,
          letters,
          withAxes(Squeeze, f.value, placesOf(f, letters), (axes) => ({ axes })),
        )
  const sumOver = (f: Factor, letters: ReadonlyArray<string>): Factor =>
    letters.length === 0
      ? f
      : without(
          f,
          letters,
          withAxes(ReduceSum, f.value, placesOf(f, letters), (axes) => ({ axes, keepdims: 0 })),
        )
  const permute = (f: Factor, letters: ReadonlyArray<string>): Factor => {
    const perm = placesOf(f, letters)
    if (perm.every((axis, i) => axis === i)) return f
    const shape = perm.map((axis) => f.shape[axis] ?? 1)
    return { ...f, value: emit(Transpose, [f.value], { perm }), letters, shape }
  }
  /** Axes of size 1 put in for the letters of `order` that `f` lacks. */
  const widen = (f: Factor, order: ReadonlyArray<string>): Factor => {
    const axes = order.flatMap((letter, at) => (f.letters.includes(letter) ? [] : [at]))
    if (axes.length === 0) return f
    const shape = order.map((letter) => f.shape[f.letters.indexOf(letter)] ?? 1)
    return { ...f, value: withAxes(Unsqueeze, f.value, axes, (given) => ({ axes: given })), letters: order, shape }
  }
  const reshape = (f: Factor, letters: ReadonlyArray<string>, shape: Shape): Factor | undefined => {
    if (f.letters.length === letters.length) return f
    const target = canonicalTarget(f.shape, shape)
    return target && { ...f, value: emit(Reshape, [f.value, integers(target, 'shape')]), letters, shape }
  }
  /** The axes of `letters`, which follow each other, as one under the name `as`; one of size 1 where there are none. */
  const merge = (f: Factor, letters: ReadonlyArray<string>, as: string): Factor | undefined => {
    const [first = ''] = letters
    const at = f.letters.indexOf(first)
    const rest = (of: ReadonlyArray<string>, put: string): ReadonlyArray<string> => [
      ...of.slice(0, at),
      put,
      ...of.slice(at + letters.length),
    ]
    if (letters.length === 1) return { ...f, letters: rest(f.letters, as) }
    const size = productOf(f.shape.slice(at, at + letters.length)) ?? '?'
    return reshape(f, rest(f.letters, as), [...f.shape.slice(0, at), size, ...f.shape.slice(at + letters.length)])
  }

  /** `Σ_k left·right` as one MatMul. */
  const multiply = (left: Factor, right: Factor, split: Split): Factor | undefined => {
    const { batch, summed, m, n } = split
    const isPlain = batch.length === 0
    // Without common leading axes those of one operand stay where they are, the other one being a matrix.
    const [leadM, ownM] = isPlain && m.length > 1 ? [m.slice(0, -1), m.slice(-1)] : [[], m]
    const [leadN, ownN] =
      isPlain && leadM.length === 0 && n.length > 1 && !right.isConstant ? [n.slice(0, -1), n.slice(-1)] : [[], n]
    const mergedA =
      ownM.length === 0 ? undefined : merge(permute(left, [...batch, ...leadM, ...ownM, ...summed]), ownM, 'M')
    const a0 = ownM.length === 0 ? permute(left, [...batch, ...summed]) : mergedA
    const a1 = a0 && merge(a0, summed, 'K')
    const a = a1 && widen(a1, [...batch, ...leadM, 'M', 'K'])
    const b0 = merge(permute(right, [...leadN, ...batch, ...summed, ...ownN]), summed, 'K')
    const b1 = b0 && (ownN.length === 0 ? b0 : merge(b0, ownN, 'N'))
    const b = b1 && widen(b1, [...leadN, ...batch, 'K', 'N'])
    if (a === undefined || b === undefined) return undefined
    const sizeIn = (f: Factor, letter: string): Dim => f.shape[f.letters.indexOf(letter)] ?? 1
    const common = batch.map((letter) => {
      const [x, y] = [sizeIn(a, letter), sizeIn(b, letter)]
      return x === y || isStatic(x) ? x : isStatic(y) ? y : '?'
    })
    const lead = [...leadN, ...batch, ...leadM]
    const leadShape = [...leadN.map((l) => sizeIn(b, l)), ...common, ...leadM.map((l) => sizeIn(a, l))]
    const product: Factor = {
      value: emit(MatMul, [a.value, b.value]),
      letters: [...lead, 'M', 'N'],
      shape: [...leadShape, sizeIn(a, 'M'), sizeIn(b, 'N')],
      isConstant: false,
    }
    const single = squeeze(product, [...(ownM.length === 0 ? ['M'] : []), ...(ownN.length === 0 ? ['N'] : [])])
    const letters = [...lead, ...ownM, ...ownN]
    const shape = [...leadShape, ...ownM.map((l) => sizeIn(left, l)), ...ownN.map((l) => sizeIn(right, l))]
    return ownM.length > 1 || ownN.length > 1 ? reshape(single, letters, shape) : { ...single, letters, shape }
  }

  /** Two factors as one, letters outside of `kept` summed over. */
  const combine = (x: Factor, y: Factor, kept: ReadonlySet<string>): Factor | undefined => {
    const both = x.letters.filter((letter) => y.letters.includes(letter))
    const summed = both.filter((letter) => !kept.has(letter))
    const batch = both.filter((letter) => kept.has(letter))
    if (summed.length === 0) {
      const order = [...new Set([...equation.output, ...x.letters, ...y.letters])].filter(
        (letter) => x.letters.includes(letter) || y.letters.includes(letter),
      )
      const [a, b] = [x, y].map((f) =>
        widen(
          permute(
            f,
            order.filter((l) => f.letters.includes(l)),
          ),
          order,
        ),
      )
      if (a === undefined || b === undefined) return undefined
      const shape = order.map((_, axis) => {
        const [p = 1, q = 1] = [a.shape[axis], b.shape[axis]]
        return p === 1 || (isStatic(q) && q !== 1) ? q : p === q || q === 1 || isStatic(p) ? p : '?'
      })
      return { value: emit(Mul, [a.value, b.value]), letters: order, shape, isConstant: false }
    }
    const isEqual = (letter: string): boolean =>
      x.shape[x.letters.indexOf(letter)] === y.shape[y.letters.indexOf(letter)]
    if (!summed.every(isEqual)) return undefined
    const ways = [
      [x, y],
      [y, x],
    ] as const
    const scored = ways.map(([left, right]) => {
      const split = splitOf(left, right, batch, summed)
      return { left, right, split, cost: movesOf(left, right, split, equation.output) }
    })
    const [first, second] = scored
    const best = first && second && second.cost < first.cost ? second : first
    return best && multiply(best.left, best.right, best.split)
  }

  let factors: ReadonlyArray<Factor> = operands.map((operand, port) => ({
    ...operand,
    letters: equation.operands[port] ?? [],
  }))
  if (factors.some(({ letters }) => new Set(letters).size < letters.length)) return undefined
  // A size of 1 beside another operand's axis of the same letter is widened: it takes no part.
  const met = new Set<string>()
  for (const f of factors) f.letters.forEach((letter, axis) => f.shape[axis] !== 1 && met.add(letter))
  factors = factors.map((f) => {
    const idle = f.letters.filter((letter, axis) => f.shape[axis] === 1 && met.has(letter))
    f.letters.forEach((letter) => met.add(letter))
    return squeeze(f, idle)
  })
  factors = factors.map((f, port) => {
    const others = new Set([...equation.output, ...factors.flatMap((g, k) => (k === port ? [] : g.letters))])
    return sumOver(
      f,
      f.letters.filter((letter) => !others.has(letter)),
    )
  })
  let [result, ...rest] = factors
  while (result !== undefined && rest.length > 0) {
    const [next, ...later] = rest
    if (next === undefined) return undefined
    result = combine(result, next, new Set([...equation.output, ...later.flatMap(({ letters }) => letters)]))
    rest = later
  }
  if (result === undefined) return undefined
  const { value } = permute(result, equation.output)
  const last = nodes.at(-1)
  if (last === undefined || last.outputs[0] !== value) nodes.push(makeNode(Identity, [value], [output]))
  else nodes[nodes.length - 1] = { ...last, outputs: [output] }
  return { nodes, constants }
}

/** The letters of a product of two factors: those of both that are kept and that are summed over, and those of one alone. */
interface Split {
  readonly batch: ReadonlyArray<string>
  readonly summed: ReadonlyArray<string>
  readonly m: ReadonlyArray<string>
  readonly n: ReadonlyArray<string>
}

/** Each kind in the order of the output, where it has them. */
const splitOf = (left: Factor, right: Factor, batch: ReadonlyArray<string>, summed: ReadonlyArray<string>): Split => ({
  batch,
  summed,
  m: left.letters.filter((letter) => !batch.includes(letter) && !summed.includes(letter)),
  n: right.letters.filter((letter) => !batch.includes(letter) && !summed.includes(letter)),
})

/** How many values a Transpose moves: operands that are not constant, and the product; a constant on the left counts half. */
const movesOf = (left: Factor, right: Factor, split: Split, output: ReadonlyArray<string>): number => {
  const { batch, summed, m, n } = split
  const differs = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
    a.some((letter, i) => letter !== b[i])
  const moves = [
    !left.isConstant && differs(left.letters, [...batch, ...m, ...summed]),
    !right.isConstant && differs(right.letters, [...batch, ...summed, ...n]),
    differs(
      output.filter((letter) => [...batch, ...m, ...n].includes(letter)),
      [...batch, ...m, ...n],
    ),
  ]
  return moves.filter(Boolean).length + (left.isConstant ? 0.5 : 0)
}
