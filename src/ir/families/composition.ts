/**
 * Operators that are several others in one. They are said once, as the nodes that they stand for: types and reference
 * evaluation follow from those, and compiling puts those in their place, where the passes see through them. A runtime
 * that has the operator because it is faster makes it again from its parts.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Schema } from '../attributes.ts'
import { makeNode } from '../make-node.ts'
import { defineOp, type InferContext, type Node, type OpDef, type ValueId } from '../op.ts'
import { type Dense, integersOf, materialize, type Tensor, tensorOf as makeTensor } from '../tensor.ts'
import { type Dim, tensorType, unknownType, type ValueType } from '../type.ts'

/** What an operator's parts are made with. A value that is omitted is `''`. */
export interface Parts {
  /** The values on the operator's input ports. */
  readonly input: (port: number) => ValueId
  /** Whether output `index` is asked for. */
  readonly wants: (index: number) => boolean
  readonly type: (value: ValueId) => ValueType
  /** A node; gives its first output. */
  readonly node: <A>(op: OpDef<string, A>, inputs: ReadonlyArray<ValueId>, attrs?: Partial<A>) => ValueId
  /** The same of a node with so many outputs; gives all. */
  readonly outputs: <A>(
    op: OpDef<string, A>,
    inputs: ReadonlyArray<ValueId>,
    count: number,
    attrs?: Partial<A>,
  ) => ReadonlyArray<ValueId>
  readonly constant: (tensor: Tensor) => ValueId
}

/** The values that are the operator's outputs, `''` for one that nobody asks for; or why it cannot be taken apart. */
export type Outputs = E.Either<string, ReadonlyArray<ValueId>>

/** One node with what its operator answers. */
interface Part {
  readonly node: Node
  /** Whether its operator is of the default domain and there in the version that the model imports. */
  readonly isKnown: boolean
  readonly isLayer: boolean
  readonly evaluate: (inputs: ReadonlyArray<Dense | undefined>) => ReadonlyArray<Dense> | undefined
  readonly macs: number
}

/** An operator taken apart. */
interface Apart {
  readonly outputs: ReadonlyArray<ValueId>
  readonly types: ReadonlyMap<ValueId, ValueType>
  readonly constants: ReadonlyMap<ValueId, Tensor>
  readonly parts: ReadonlyArray<Part>
}

type Compose<A> = (parts: Parts, ctx: InferContext<A>) => Outputs

const apartOf = <A>(
  ctx: InferContext<A>,
  compose: Compose<A>,
  inputs: ReadonlyArray<ValueId>,
  fresh: () => ValueId,
): E.Either<string, Apart> => {
  const types = new Map<ValueId, ValueType>()
  const constants = new Map<ValueId, Tensor>()
  const contents = new Map<ValueId, ReadonlyArray<Dim>>()
  const ports = new Map<ValueId, number>()
  const parts: Part[] = []
  let misfit: string | undefined
  inputs.forEach((name, port) => {
    const type = ctx.inputs[port]
    if (name === '' || type === undefined) return
    types.set(name, type)
    ports.set(name, port)
  })
  const tensorOf = (value: ValueId): Tensor | undefined => constants.get(value) ?? ctx.constant(ports.get(value) ?? -1)
  const given: Parts = {
    input: (port) => inputs[port] ?? '',
    wants: (index) => Boolean(ctx.outputNames[index]),
    type: (value) => types.get(value) ?? unknownType,
    constant: (tensor) => {
      const name = fresh()
      constants.set(name, tensor)
      types.set(name, tensorType(tensor.dtype, tensor.shape))
      return name
    },
    node: (op, operands, attrs = {}) => make(op, operands, 1, attrs)[0] ?? '',
    outputs: (op, operands, count, attrs = {}) => make(op, operands, count, attrs),
  }
  const make = <B>(
    op: OpDef<string, B>,
    operands: ReadonlyArray<ValueId>,
    count: number,
    attrs: Partial<B>,
  ): ReadonlyArray<ValueId> => {
    const names = Array.from({ length: count }, fresh)
    const made = makeNode(op, operands, names, attrs)
    const context = {
      attrs: made.attrs,
      opset: ctx.opset,
      inputs: operands.map((value) => (value === '' ? undefined : types.get(value))),
      outputNames: names,
      constant: (port: number) => tensorOf(operands[port] ?? ''),
      content: (port: number) => {
        const value = operands[port] ?? ''
        const tensor = tensorOf(value)
        return contents.get(value) ?? (tensor === undefined ? ctx.content(ports.get(value) ?? -1) : integersOf(tensor))
      },
    }
    const inferred = op.inferTypes(context)
    if (E.isLeft(inferred)) misfit ??= inferred.left
    const outputs = E.isLeft(inferred) ? names.map(() => unknownType) : inferred.right
    names.forEach((name, i) => types.set(name, outputs[i] ?? unknownType))
    const whole = { ...context, node: made, outputs }
    const content = op.contents?.(whole)
    if (content !== undefined) contents.set(names[0] ?? '', content)
    parts.push({
      node: made,
      isKnown: op.name.includes('.') || (ctx.opset >= op.versions[0] && ctx.opset <= op.versions[1]),
      isLayer: op.contraction !== undefined,
      evaluate: (values) => op.evaluate?.(whole, values),
      macs: op.macs?.(whole) ?? 0,
    })
    return names
  }
  const outputs = compose(given, ctx)
  if (E.isLeft(outputs)) return outputs
  return misfit === undefined ? E.right({ outputs: outputs.right, types, constants, parts }) : E.left(misfit)
}

/** Names that only tell values apart. */
const counting = (): (() => ValueId) => {
  let count = 0
  return () => `part ${count++}`
}

const portNames = (ctx: InferContext<unknown>): ReadonlyArray<ValueId> =>
  ctx.inputs.map((type, port) => (type === undefined ? '' : `port ${port}`))

/** An operator that `compose` takes apart. The default domain's version has to be one that has all parts. */
export const composition = <const Name extends string, A>(
  name: Name,
  versions: readonly [first: number, last: number],
  schema: Schema<A>,
  compose: Compose<A>,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    schema,
    inferTypes: (ctx) => {
      const apart = apartOf(ctx, compose, portNames(ctx), counting())
      if (E.isLeft(apart)) return apart
      const { outputs, types } = apart.right
      return E.right(outputs.map((value) => types.get(value) ?? unknownType))
    },
    links: 'opaque',
    keptFor: (ctx) => {
      const apart = apartOf(ctx, compose, portNames(ctx), counting())
      return E.isLeft(apart) ? apart.left : undefined
    },
    simplify: (ctx, fresh) => {
      const { node } = ctx
      const apart = apartOf(ctx, compose, node.inputs, () => fresh(`${node.outputs.find((o) => o !== '') ?? ''}_part`))
      if (E.isLeft(apart)) return undefined
      const { outputs, parts, constants } = apart.right
      if (!parts.every(({ isKnown }) => isKnown)) return undefined
      const names = new Map(outputs.flatMap((value, i) => (node.outputs[i] ? [[value, node.outputs[i]] as const] : [])))
      const nameOf = (value: ValueId): ValueId => names.get(value) ?? value
      const nodes = parts.map(({ node: part }): Node => ({
        ...part,
        inputs: part.inputs.map(nameOf),
        outputs: part.outputs.map(nameOf),
      }))
      // The layer is called as it was.
      const layer = Math.max(
        0,
        parts.findIndex(({ isLayer }) => isLayer),
      )
      return { nodes: nodes.map((part, i) => (i === layer ? { ...part, name: node.name } : part)), constants }
    },
    evaluate: (ctx, inputs) => {
      const apart = apartOf(ctx, compose, portNames(ctx), counting())
      if (E.isLeft(apart)) return undefined
      const { outputs, parts, constants } = apart.right
      const values = new Map<ValueId, Dense>()
      inputs.forEach((x, port) => x && values.set(`port ${port}`, x))
      for (const [value, tensor] of constants) values.set(value, materialize(tensor))
      for (const { node, evaluate } of parts) {
        const made = evaluate(node.inputs.map((value) => values.get(value)))
        if (made === undefined) return undefined
        node.outputs.forEach((name, i) => made[i] && values.set(name, made[i]))
      }
      const results = outputs.flatMap((value) => (value === '' ? nothing : (values.get(value) ?? [])))
      return results.length === outputs.length ? results : undefined
    },
    macs: (ctx) => {
      const apart = apartOf(ctx, compose, portNames(ctx), counting())
      return E.isLeft(apart) ? 0 : apart.right.parts.reduce((sum, part) => sum + part.macs, 0)
    },
  })

/** Stands for an output that nobody asks for. */
const nothing = makeTensor('float32', [0], [])
