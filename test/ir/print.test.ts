import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { bitsOf, byteLength, type DType, dtypes } from '../../src/ir/dtype.ts'
import { renderError } from '../../src/ir/failure.ts'
import { type Graph, type GraphParts, makeGraph, type ValueInfo } from '../../src/ir/graph.ts'
import type { Node } from '../../src/ir/op.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { parse } from '../../src/ir/parse.ts'
import { print } from '../../src/ir/print.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { encodeAttributes } from '../../src/ir/registry.ts'
import { dense, type Dense, type External, materialize, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf, tensorType, unknownDim, type ValueType } from '../../src/ir/type.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { inflate } from '../inflate.ts'

const right = <T>(
  result: E.Either<
    {
      readonly subject: string
      readonly expected: string
      readonly found: string
      readonly help: string
      readonly _tag: string
    },
    T
  >,
): T => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

/** A graph as plain data: everything but the closures that read files, and without the bytes of elided constants. */
const plain = (graph: Graph, elided: boolean) => {
  const data = (tensor: Tensor): unknown => {
    const { tag, dtype, shape, meta } = tensor
    const base = { tag, dtype, shape, meta }
    if (tag === 'Gather') return { ...base, source: data(tensor.source), indices: tensor.indices }
    if (tag === 'External') return { ...base, location: tensor.location, offset: tensor.offset, length: tensor.length }
    if (tag === 'Edited' || tag === 'Held') return data(materialize(tensor))
    if (elided && sizeOf(shape) > 16) return base
    return { ...base, bytes: Buffer.from(tensor.bytes), strings: tensor.strings?.map((s) => Buffer.from(s)) }
  }
  const tensors = (map: ReadonlyMap<string, Tensor>) => [...map].map(([name, tensor]) => [name, data(tensor)])
  const { constants, defaults, hints, opsets, types, contents, ...rest } = graph
  return {
    ...rest,
    constants: tensors(constants),
    defaults: tensors(defaults),
    hints: [...hints],
    opsets: [...opsets],
    types: [...types],
    contents: [...contents],
  }
}

/** External files hold zeros. */
const zeros = { read: (_location: string, _offset: number, length: number) => new Uint8Array(length) }

const checkRoundTrip = (graph: Graph): void => {
  const full = print(graph, { data: 'full' })
  const again = right(parse(full, zeros))
  expect(plain(again, false)).toStrictEqual(plain(graph, false))
  expect(print(again, { data: 'full' })).toBe(full)
  const short = print(graph, { data: 'elide' })
  expect(plain(right(parse(short, zeros)), true)).toStrictEqual(plain(graph, true))
}

const name = fc.oneof(
  fc.stringMatching(/^[a-z/.]{1,8}(::[A-Z]+_\d+)?$/),
  fc.constantFrom('input', 'const', '_', 'y', '0', '%0', 'a:b', 'a b', '"', '\\', 'é\n', '#', ''),
  fc.string({ unit: 'binary', maxLength: 6 }),
)

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const someBytes = fc.uint8Array({ maxLength: 9 })
const metaOf = <T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T & { readonly meta?: Uint8Array }> =>
  fc
    .tuple(arbitrary, fc.option(someBytes, { nil: undefined }))
    .map(([value, meta]) => (meta === undefined ? value : { ...value, meta }))

const shape = fc.array(fc.nat(4), { maxLength: 3 })

const anyDense: fc.Arbitrary<Dense> = metaOf(
  fc.tuple(fc.constantFrom(...dtypes), shape).chain(([dtype, dims]): fc.Arbitrary<Dense> => {
    const count = sizeOf(dims)
    if (dtype === 'string') {
      const item = fc.oneof(
        someBytes,
        fc.string().map((s) => new TextEncoder().encode(s)),
      )
      return fc
        .array(item, { minLength: count, maxLength: count })
        .map((strings) => ({ tag: 'Dense', dtype, shape: dims, bytes: new Uint8Array(), strings }))
    }
    return bytesOf(byteLength(dtype, count)).map((bytes) => dense(dtype, dims, bytes))
  }),
)

const anyExternal: fc.Arbitrary<External> = metaOf(
  fc
    .tuple(fc.constantFrom<DType>('float32', 'int4', 'int64'), shape, name, fc.nat())
    .map(([dtype, dims, location, offset]) => ({
      tag: 'External',
      dtype,
      shape: dims,
      location,
      offset,
      length: byteLength(dtype, sizeOf(dims)),
      read: (_offset, length) => new Uint8Array(length),
    })),
)

const anyTensor: fc.Arbitrary<Tensor> = fc.oneof(
  { weight: 4, arbitrary: anyDense },
  { weight: 1, arbitrary: anyExternal },
  {
    weight: 2,
    arbitrary: metaOf(
      fc.oneof(anyDense, anyExternal).chain((source) =>
        fc
          .tuple(
            ...source.shape.map((size) =>
              fc.option(
                size === 0
                  ? fc.constant(new Int32Array())
                  : fc.array(fc.nat(size - 1), { maxLength: 5 }).map((kept) => Int32Array.from(kept)),
              ),
            ),
          )
          .map((indices): Tensor => ({
            tag: 'Gather',
            dtype: source.dtype,
            shape: source.shape.map((size, axis) => indices[axis]?.length ?? size),
            source,
            indices,
          })),
      ),
    ),
  },
)

const typeOf = (value: string): fc.Arbitrary<ValueType> =>
  fc.oneof(
    fc
      .tuple(
        fc.constantFrom(...dtypes),
        fc.array(fc.oneof(fc.nat(9), fc.constantFrom('N', 'mul(2,N)', '?', '?odd', 'own')), { maxLength: 3 }),
      )
      .map(([dtype, dims]) =>
        tensorType(
          dtype,
          dims.map((dim, axis) => (dim === 'own' ? unknownDim(value, axis) : dim)),
        ),
      ),
    fc.constantFrom(...dtypes).map((dtype) => tensorType(dtype, undefined)),
    fc.constant<ValueType>({ kind: 'other', encoded: undefined }),
    someBytes.map((encoded): ValueType => ({ kind: 'other', encoded })),
  )

const anyInfo = (value: string): fc.Arbitrary<ValueInfo> => metaOf(typeOf(value).map((type) => ({ name: value, type })))

const anyNumber = fc.oneof(
  fc.double({ noNaN: true }),
  fc.float({ noNaN: true }).map(Math.fround),
  fc.integer(),
  fc.constantFrom(-0, NaN, Infinity, -Infinity, 1e-5, Math.fround(1e-5)),
)

/** A node that reads what it is given; between them they have attributes of every kind. */
const anyNode = (reads: ReadonlyArray<string>, writes: readonly [string, string, string]): fc.Arbitrary<Node> => {
  const read = fc.constantFrom(...reads)
  const [y, z, inner] = writes
  const constant = fc.oneof(
    anyDense.map((value) => ({ value })),
    anyNumber.map((value_float) => ({ value_float })),
    fc.array(anyNumber, { maxLength: 3 }).map((value_floats) => ({ value_floats })),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value_int) => ({ value_int })),
    fc
      .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 3 })
      .map((value_ints) => ({ value_ints })),
    fc.string({ unit: 'binary' }).map((value_string) => ({ value_string })),
    fc.array(fc.string(), { maxLength: 3 }).map((value_strings) => ({ value_strings })),
  )
  return metaOf(
    fc.oneof(
      constant.map((attrs): Node => makeNode(ops.Constant, [], [y], attrs)),
      fc.tuple(read, name).map(([x, id]): Node => makeNode(ops.Identity, [x], [y], {}, id)),
      fc
        .tuple(fc.array(read, { maxLength: 2 }), fc.array(read, { maxLength: 2 }), name, name, someBytes)
        .map(([inputs, captures, domain, opType, payload]): Node =>
          makeNode(
            ops.Opaque,
            [...inputs, '', ...inputs],
            [y, '', z],
            { domain, opType, payload, captures, defines: [inner], reason: opType },
            domain,
          ),
        ),
      constant.map((attrs): Node => {
        const attributes = encodeAttributes(makeNode(ops.Constant, [], [y], attrs))
        return makeNode(ops.Opaque, [], [y], { opType: 'Constant', attributes })
      }),
      fc.constant<Node>(makeNode(ops.Opaque, [], [], { opType: 'Nothing' })),
    ),
  )
}

const anyGraph: fc.Arbitrary<Graph> = fc
  .tuple(
    fc.uniqueArray(
      name.filter((n) => n !== ''),
      { minLength: 20, maxLength: 20 },
    ),
    fc.nat(3),
    fc.nat(3),
    fc.nat(3),
  )
  .chain(([names, inputCount, constantCount, nodeCount]) => {
    let used = 0
    const fresh = (): string => names[used++] ?? `spare${used}`
    const inputs = Array.from({ length: inputCount + 1 }, fresh)
    const constants = Array.from({ length: constantCount }, fresh)
    const nodes: Array<fc.Arbitrary<Node>> = []
    const reads = [...inputs, ...constants]
    for (let i = 0; i < nodeCount; i++) nodes.push(anyNode([...reads], [fresh(), fresh(), fresh()]))
    return fc
      .tuple(
        fc.tuple(...inputs.map(anyInfo)),
        fc.tuple(...constants.map((n) => fc.tuple(fc.constant(n), anyTensor))),
        fc.tuple(...nodes),
        anyTensor,
        fc.tuple(name, name, fc.nat(), someBytes, fc.subarray(names)),
        fc.tuple(...names.slice(0, 2).map((n) => fc.tuple(fc.constant(n), typeOf(n)))),
        fc.array(fc.tuple(name, fc.nat(30)), { maxLength: 3 }),
      )
      .chain(([inputInfos, tensors, made, byDefault, [title, domain, irVersion, model, uses], hints, opsets]) => {
        const outputs = made.flatMap((node) => node.outputs.filter((output) => output !== ''))
        const parts = {
          name: title,
          inputs: inputInfos,
          nodes: made,
          constants: new Map(tensors),
          defaults: new Map(inputs.slice(1).map((n) => [n, byDefault])),
          hints: new Map(hints),
          opsets: new Map([['', 17], [domain, 1], ...opsets]),
          preserved: { irVersion, model, uses },
        }
        return fc
          .tuple(...[...inputs.slice(0, 1), ...outputs].map(anyInfo))
          .map((infos) => right(makeGraph({ ...parts, outputs: infos } satisfies GraphParts)))
      })
  })

test('random graphs read back as they were', () => {
  fc.assert(fc.property(anyGraph, checkRoundTrip), { numRuns: 300 })
})

test('every element of every type reads back to its bits', () => {
  for (const dtype of dtypes) {
    if (dtype === 'string') continue
    fc.assert(
      fc.property(bytesOf(Math.max(1, (bitsOf(dtype) * 8) / 8)), (bytes) => {
        const count = (bytes.length * 8) / bitsOf(dtype)
        const graph = right(parse('graph "" (ir 8, opset 17)'))
        checkRoundTrip(right(makeGraph({ ...graph, constants: new Map([['c', dense(dtype, [count], bytes)]]) })))
      }),
      { numRuns: 40 },
    )
  }
})

describe('numbers are short', () => {
  const inline = (dtype: DType, values: ReadonlyArray<number>): string => {
    const graph = right(parse('graph "" (ir 8)'))
    const text = print(
      right(makeGraph({ ...graph, constants: new Map([['c', tensorOf(dtype, [values.length], values)]]) })),
    )
    return text.slice(text.indexOf('= ') + 2).trim()
  }
  test.each<readonly [DType, ReadonlyArray<number>, string]>([
    [
      'float32',
      [0.1, 1, -0, NaN, Infinity, 3.4e38, 1e-45, 16777217],
      '[0.1, 1, -0, nan, inf, 3.4e+38, 1e-45, 16777216]',
    ],
    ['float16', [0.1, 65504, 2 ** -24], '[0.1, 65500, 6e-8]'],
    ['bfloat16', [0.1, 1 / 3], '[0.1, 0.334]'],
    ['float64', [0.1, 1 / 3], '[0.1, 0.3333333333333333]'],
    ['int4', [-8, 7, 3], '[-8, 7, 3]'],
    ['bool', [1, 0], '[true, false]'],
  ])('%s', (dtype, values, expected) => expect(inline(dtype, values)).toBe(expected))
})

const text = `graph "g" (ir 9, opset 18, opset "com.microsoft" 1)
model   "AQI="
uses    x, "no such"
input   x: float32[N,3,?] meta "AA=="
input   s: float32[]
default s: float32[] = 0.5
const   w: float32[2,3] = gather(float32[4,3] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1..2], _)
const   big: float32[5,5] = external("w.bin", 128, 100)
const   shift: float32[] = 0.25 meta "AQ=="
hint    o: float32[N,4]
"y y" = LeakyRelu(x) { alpha: 0.2f } name "/act"  # float32[N,3,?]
m, _ = Opaque("y y", _, w) { domain: "com.microsoft", opType: "Odd", captures: [big], defines: ["in ner"], reason: "unknown", payload: "AAE=" } meta "Ag=="  # ?, _
o = Identity(m)  # float32[N,4]
z = Mul("y y", shift)  # float32[N,3,?]
t = Transpose(z) { perm: [2, 1, 0] }  # float32[?,3,N]
output  o: float32[N,4]
output  t: float32[?,3,N]
`

test('the textual form', () => {
  const graph = right(parse(text))
  expect(print(graph)).toBe(text)
  checkRoundTrip(graph)
})

test('names by structure', () => {
  const graph = right(parse(text))
  expect(print(graph, { names: 'structure' })).toBe(`graph "g" (ir 9, opset 18, opset "com.microsoft" 1)
model   "AQI="
uses    x, "no such"
input   x: float32[N,3,?] meta "AA=="
input   s: float32[]
default s: float32[] = 0.5
const   big: float32[5,5] = external("w.bin", 128, 100)
const   @0: float32[2,3] = gather(float32[4,3] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1..2], _)
const   @1: float32[] = 0.25 meta "AQ=="
hint    o: float32[N,4]
%0 = LeakyRelu(x) { alpha: 0.2f }  # float32[N,3,?]
%1, _ = Opaque(%0, _, @0) { domain: "com.microsoft", opType: "Odd", captures: [big], defines: ["in ner"], reason: "unknown", payload: "AAE=" } meta "Ag=="  # ?, _
o = Identity(%1)  # float32[N,4]
%2 = Mul(%0, @1)  # float32[N,3,?]
t = Transpose(%2) { perm: [2, 1, 0] }  # float32[?,3,N]
output  o: float32[N,4]
output  t: float32[?,3,N]
`)
  // Other names for what has none of its own give the same text.
  const renamed = right(parse(text.replaceAll('"y y"', 'a').replaceAll('shift', 'c').replaceAll(/\bz\b/g, '"%1"')))
  expect(print(renamed, { names: 'structure' })).toBe(print(graph, { names: 'structure' }))
})

const models = ['crnn_lstm', 'mobilenet_v2', 'shufflenet_v2_x1_0', 'squeezenet1_1', 'unet']

test.each(models)('%s reads back as it was', (name) => {
  const graph = right(readModelBytes(inflate(name)))
  const short = print(graph)
  expect(plain(right(parse(short, zeros)), true)).toStrictEqual(plain(graph, true))
})
