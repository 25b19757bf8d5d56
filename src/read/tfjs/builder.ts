/**
 * The graph under construction. TensorFlow has channels last, ONNX first; a value is held in the layout that it was made in and
 * moved into the other one where something asks for that, once. So between two convolutions nothing is moved, and the inputs and
 * outputs of the model stay as they are.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../ir/dtype.ts'
import { reshaped, stridesOf } from '../../ir/evaluate.ts'
import { strided } from '../../ir/families/movement.ts'
import { invariant } from '../../ir/failure.ts'
import { contentOf, type Graph, inferContext, makeGraph, typesOf, type ValueInfo } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, OpDef, ValueId } from '../../ir/op.ts'
import { Cast } from '../../ir/ops/cast.ts'
import { Identity } from '../../ir/ops/identity.ts'
import { Reshape } from '../../ir/ops/reshape.ts'
import { Transpose } from '../../ir/ops/transpose.ts'
import { type Dense, int64s, integersOf, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { type Dim, isStatic, type Shape, staticShape, tensorType, unknownType, type ValueType } from '../../ir/type.ts'
import { codeOf } from '../../onnx/types.ts'
import { type Layout, type Operand, toFirst, toLast } from './operand.ts'

/** The versions that models are written for, as those of `src/models`. */
const opset = 17
const irVersion = 8

export interface Builder {
  /** What the nodes that follow are called after. */
  readonly enter: (name: string) => void
  /** An input of the model. */
  readonly input: (info: ValueInfo) => Operand
  /** The value is an output of the model from now on. */
  readonly output: (name: ValueId, x: Operand) => void
  readonly constant: (name: string, tensor: Dense) => Operand
  readonly computed: (value: ValueId, layout?: Layout) => Operand
  /** A node with one output, or with `count`. */
  readonly node: <Name extends string, A>(
    op: OpDef<Name, A>,
    inputs: ReadonlyArray<ValueId>,
    attrs?: Partial<A>,
  ) => ValueId
  readonly nodes: <Name extends string, A>(
    op: OpDef<Name, A>,
    inputs: ReadonlyArray<ValueId>,
    count: number,
    attrs?: Partial<A>,
  ) => ReadonlyArray<ValueId>
  /** The value with channels last, or first. */
  readonly last: (x: Operand) => ValueId
  readonly first: (x: Operand) => ValueId
  /** In the layout that it was made in; of a constant, that of the model. */
  readonly native: (x: Operand) => ValueId
  readonly layoutOf: (x: Operand) => Layout
  /** The axes of a value in another order. */
  readonly transposed: (value: ValueId, perm: ReadonlyArray<number>) => ValueId
  /** A weight with its axes in another order, and then under another shape. */
  readonly arranged: (x: Operand, perm: ReadonlyArray<number>, shape?: ReadonlyArray<number>) => ValueId
  /** As an operand of something with `rank` axes and channels first, to which it is broadcast. */
  readonly broadcast: (x: Operand, rank: number) => ValueId
  /** A constant of the graph's own. */
  readonly tensor: (tensor: Dense) => ValueId
  readonly int64: (values: ReadonlyArray<number>) => ValueId
  readonly scalar: (dtype: DType, value: number) => ValueId
  /** The same as 64-bit integers, which ONNX has shapes and indices in. */
  readonly asInt64: (x: Operand) => ValueId
  readonly cast: (x: Operand, to: DType) => Operand
  /** Type of a value of the graph. */
  readonly typeOf: (value: ValueId) => ValueType
  /** Shape and rank in the layout of the model that is read. */
  readonly shapeOf: (x: Operand) => Shape | undefined
  readonly rankOf: (x: Operand) => number | undefined
  readonly dtypeOf: (x: Operand) => DType | undefined
  /** The numbers of a small vector of integers, where they are known; sizes that are not, as symbols. */
  readonly contentsOf: (x: Operand) => ReadonlyArray<Dim> | undefined
  readonly integersOf: (x: Operand) => ReadonlyArray<number> | undefined
  /** What the first node that could not work was given. */
  readonly problem: () => string | undefined
  readonly graph: (name: string) => E.Either<string, Graph>
}

const isIdentity = (perm: ReadonlyArray<number>): boolean => perm.every((axis, at) => axis === at)

/** The tensor with its axes in the order of `perm`. */
export const permuted = (tensor: Dense, perm: ReadonlyArray<number>): Dense => {
  if (isIdentity(perm)) return tensor
  const strides = stridesOf(tensor.shape)
  const out = strided(
    tensor,
    perm.map((axis) => tensor.shape[axis] ?? 1),
    perm.map((axis) => strides[axis] ?? 0),
  )
  invariant(out !== undefined, `a constant of ${tensor.dtype} to be moved`)
  return out
}

/** The target of a Reshape that moves axes of size 1 only; undefined where `perm` moves elements. */
const reshapeTarget = (shape: Shape, perm: ReadonlyArray<number>): ReadonlyArray<number> | undefined => {
  const moved = perm.filter((axis) => shape[axis] !== 1)
  if (moved.some((axis, i) => i > 0 && axis < (moved[i - 1] ?? 0))) return undefined
  const target = perm.map((axis, at) => {
    const dim = shape[axis] ?? 1
    return isStatic(dim) ? dim : axis === at ? 0 : -1
  })
  return target.filter((size) => size === -1).length > 1 || shape.includes(0) ? undefined : target
}

/** A builder whose outputs will be called `reserved`. */
export const newBuilder = (reserved: Iterable<ValueId>): Builder => {
  const nodes: Node[] = []
  const inputs: ValueInfo[] = []
  const outputs: Array<{ readonly name: ValueId; readonly x: Operand }> = []
  const constants = new Map<ValueId, Tensor>()
  const types = new Map<ValueId, ValueType>()
  const contents = new Map<ValueId, ReadonlyArray<Dim>>()
  const opsets = new Map([['', opset]])
  const unused = new Set(reserved)
  const taken = new Set<string>(unused)
  /** Constants by what they are: the name and how it was moved, or the numbers. */
  const registered = new Map<Dense, Map<string, ValueId>>()
  const plain = new Map<string, ValueId>()
  /** Values moved into an order of axes, by value and order, and where those came from. */
  const moves = new Map<string, ValueId>()
  const origins = new Map<ValueId, { readonly source: ValueId; readonly perm: ReadonlyArray<number> }>()
  let scope = 'value'
  let problem: string | undefined

  const fresh = (hint: string): ValueId => {
    const base = hint === '' ? 'value' : hint
    let name = base
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`
    taken.add(name)
    return name
  }

  const register = (name: string, tensor: Dense): ValueId => {
    const value = fresh(name)
    constants.set(value, tensor)
    types.set(value, tensorType(tensor.dtype, tensor.shape))
    return value
  }

  /** What `make` makes of a constant, once for each `key`. */
  const variant = (name: string, tensor: Dense, key: string, make: () => Dense): ValueId => {
    const known = registered.get(tensor) ?? new Map<string, ValueId>()
    registered.set(tensor, known)
    const value = known.get(key) ?? register(name, make())
    known.set(key, value)
    return value
  }

  const typeOf = (value: ValueId): ValueType => types.get(value) ?? unknownType
  const shapeOfValue = (value: ValueId): Shape | undefined => {
    const type = typeOf(value)
    return type.kind === 'tensor' ? type.shape : undefined
  }

  const addNodes: Builder['nodes'] = (op, from, count, attrs = {}) => {
    const names = Array.from({ length: count }, () => fresh(scope))
    const node = makeNode(op, from, names, attrs, names[0])
    const context = inferContext(node, { constants, opsets }, types, contents)
    const inferred = typesOf(node, context)
    if (E.isLeft(inferred)) problem ??= `${op.name} of ${inferred.left}`
    const known = E.isRight(inferred) ? inferred.right : []
    for (const [i, name] of names.entries()) types.set(name, known[i] ?? unknownType)
    const content = contentOf({ ...context, node, outputs: names.map(typeOf) })
    if (content !== undefined && names[0] !== undefined) contents.set(names[0], content)
    nodes.push(node)
    return names
  }
  const addNode: Builder['node'] = (op, from, attrs) => addNodes(op, from, 1, attrs)[0] ?? ''

  const transposed = (value: ValueId, perm: ReadonlyArray<number>): ValueId => {
    if (isIdentity(perm)) return value
    const origin = origins.get(value)
    if (origin !== undefined) {
      return transposed(
        origin.source,
        perm.map((axis) => origin.perm[axis] ?? 0),
      )
    }
    const key = `${perm.join()} ${value}`
    const known = moves.get(key)
    if (known !== undefined) return known
    const shape = shapeOfValue(value)
    const target = shape && reshapeTarget(shape, perm)
    const moved = target ? addNode(Reshape, [value, int64(target)]) : addNode(Transpose, [value], { perm })
    moves.set(key, moved)
    origins.set(moved, { source: value, perm })
    return moved
  }

  const tensor = (one: Dense): ValueId => {
    const { dtype, shape, bytes } = one
    if (bytes.length > 64 || one.strings) return register(`${scope}/constant`, one)
    const key = `${dtype} ${shape.join()} ${bytes.join()}`
    const value = plain.get(key) ?? register(`${dtype}_${shape.length === 0 ? 'scalar' : 'constant'}`, one)
    plain.set(key, value)
    return value
  }
  const int64 = (values: ReadonlyArray<number>): ValueId => tensor(int64s(values))

  const rankOf = (x: Operand): number | undefined =>
    x.kind === 'known' ? x.tensor.shape.length : shapeOfValue(x.value)?.length

  const last = (x: Operand): ValueId => {
    if (x.kind === 'known') return variant(x.name, x.tensor, 'last', () => x.tensor)
    if (x.layout === 'last') return x.value
    return transposed(x.value, toLast(rankOf(x) ?? 4))
  }

  const arranged: Builder['arranged'] = (x, perm, shape) => {
    if (x.kind === 'known') {
      const key = `${perm.join()} ${shape?.join() ?? ''}`
      return variant(x.name, x.tensor, isIdentity(perm) && shape === undefined ? 'last' : key, () => {
        const moved = permuted(x.tensor, perm)
        return shape === undefined ? moved : reshaped(moved, shape)
      })
    }
    const moved = transposed(last(x), perm)
    return shape === undefined ? moved : addNode(Reshape, [moved, int64(shape)])
  }

  const first = (x: Operand): ValueId => {
    if (x.kind === 'computed' && x.layout === 'first') return x.value
    const rank = rankOf(x) ?? 4
    if (rank < 3) return last(x)
    return arranged(x, toFirst(rank))
  }

  const broadcast: Builder['broadcast'] = (x, rank) => {
    const shape = shapeOf(x) ?? []
    if (shape.length === rank) return first(x)
    if (shape.every((size) => size === 1)) return last(x)
    const ones = rank - shape.length
    const perm = toFirst(rank)
    const full = [...Array.from({ length: ones }, () => 1), ...shape]
    const order = perm.map((axis) => full[axis] ?? 1)
    // Axes of size 1 in front may go: broadcasting adds them again.
    const lead = order.findIndex((size) => size !== 1)
    if (x.kind === 'known') {
      const { tensor: held } = x
      return variant(x.name, held, `broadcast ${rank}`, () => {
        const moved = permuted(reshaped(held, Array.from(full, Number)), perm)
        return reshaped(moved, moved.shape.slice(lead))
      })
    }
    const symbols = shape.filter((size) => !isStatic(size)).length
    if (symbols <= 1) {
      const wide = addNode(Reshape, [last(x), int64(full.map((size) => (isStatic(size) ? size : -1)))])
      return transposed(wide, perm)
    }
    problem ??= `an operand [${shape.join(', ')}] that is broadcast to ${rank} axes`
    return last(x)
  }

  const shapeOf = (x: Operand): Shape | undefined => {
    if (x.kind === 'known') return x.tensor.shape
    const shape = shapeOfValue(x.value)
    return x.layout === 'last' || shape === undefined ? shape : toLast(shape.length).map((axis) => shape[axis] ?? 1)
  }

  const dtypeOf = (x: Operand): DType | undefined => {
    if (x.kind === 'known') return x.tensor.dtype
    const type = typeOf(x.value)
    return type.kind === 'tensor' ? type.dtype : undefined
  }

  const contentsOf: Builder['contentsOf'] = (x) =>
    x.kind === 'known' ? integersOf(x.tensor) : x.layout === 'last' ? contents.get(x.value) : undefined

  const native = (x: Operand): ValueId => (x.kind === 'known' ? last(x) : x.value)

  const cast: Builder['cast'] = (x, to) => {
    if (dtypeOf(x) === to) return x
    return {
      kind: 'computed',
      value: addNode(Cast, [native(x)], { to: codeOf(to) }),
      layout: x.kind === 'known' ? 'last' : x.layout,
    }
  }

  return {
    enter: (name) => {
      scope = name
    },
    input: (info) => {
      invariant(!types.has(info.name), `two inputs ${info.name}`)
      taken.add(info.name)
      unused.delete(info.name)
      inputs.push(info)
      types.set(info.name, info.type)
      return { kind: 'computed', value: info.name, layout: 'last' }
    },
    output: (name, x) => {
      outputs.push({ name, x })
    },
    constant: (name, held) => ({ kind: 'known', name, tensor: held }),
    computed: (value, layout = 'last') => ({
      kind: 'computed',
      value,
      layout: (shapeOfValue(value)?.length ?? 3) < 3 ? 'last' : layout,
    }),
    node: addNode,
    nodes: addNodes,
    last,
    first,
    native,
    layoutOf: (x) => (x.kind === 'known' ? 'last' : x.layout),
    transposed,
    arranged,
    broadcast,
    tensor,
    int64,
    scalar: (dtype, value) => tensor(tensorOf(dtype, [], [value])),
    asInt64: (x) => {
      if (x.kind === 'known' && x.tensor.dtype !== 'int64') {
        const { tensor: held } = x
        return tensor(tensorOf('int64', held.shape, integersOf(held) ?? []))
      }
      const known = x.kind === 'computed' ? staticShape(contentsOf(x)) : undefined
      if (known !== undefined) return tensor(int64s(known, staticShape(shapeOf(x)) ?? [known.length]))
      return native(cast(x, 'int64'))
    },
    cast,
    typeOf,
    shapeOf,
    rankOf,
    dtypeOf,
    contentsOf,
    integersOf: (x) => (x.kind === 'known' ? integersOf(x.tensor) : staticShape(contentsOf(x))),
    problem: () => problem,
    graph: (name) => finish(name),
  }

  function finish(name: string): E.Either<string, Graph> {
    const infos: ValueInfo[] = []
    for (const { name: wanted, x } of outputs) {
      scope = wanted
      const value = last(x)
      // Identity is the last node of an output, so that it has the name that it has in the model.
      const out = unused.delete(wanted) ? wanted : fresh(wanted)
      nodes.push(makeNode(Identity, [value], [out], {}, out))
      types.set(out, typeOf(value))
      infos.push({ name: out, type: typeOf(value) })
    }
    const needed = new Set(infos.map((info) => info.name))
    const kept: Node[] = []
    for (const node of nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue
      kept.push(node)
      for (const one of node.inputs) needed.add(one)
    }
    const made = makeGraph({
      name,
      inputs,
      outputs: infos,
      nodes: kept.toReversed(),
      constants: new Map([...constants].filter(([one]) => needed.has(one))),
      defaults: new Map(),
      hints: new Map(),
      opsets,
      preserved: { irVersion, model: new Uint8Array(), uses: [] },
    })
    return E.isLeft(made) ? E.left(`${made.left.subject}: ${made.left.found}`) : made
  }
}
