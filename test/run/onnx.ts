/** A tiny ONNX writer, independent of src, so that tests of src/run need nothing but models made here. */

type Bytes = ReadonlyArray<number>

const varint = (value: bigint): Bytes => {
  const out: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return [...out, Number(rest)]
}
const int = (field: number, value: number): Bytes => [...varint(BigInt(field << 3)), ...varint(BigInt(value))]
const bytes = (field: number, body: Bytes): Bytes => [
  ...varint(BigInt((field << 3) | 2)),
  ...varint(BigInt(body.length)),
  ...body,
]
const message = (field: number, ...parts: ReadonlyArray<Bytes>): Bytes => bytes(field, parts.flat())
const text = (field: number, value: string): Bytes => bytes(field, [...new TextEncoder().encode(value)])

/** ONNX's numbers of element types. */
export const types = {
  float: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  bfloat16: 16,
}

export type Dim = number | string | null

export interface Value {
  readonly name: string
  readonly type?: number
  readonly shape: ReadonlyArray<Dim>
}

export interface NodeSpec {
  readonly op: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly ints?: Readonly<Record<string, number | ReadonlyArray<number>>>
}

export interface Constant {
  readonly name: string
  readonly type?: number
  readonly shape: ReadonlyArray<number>
  readonly data: ReadonlyArray<number>
  /** The data is the whole of this file instead. */
  readonly file?: string
}

export interface ModelSpec {
  readonly nodes: ReadonlyArray<NodeSpec>
  readonly inputs: ReadonlyArray<Value>
  readonly outputs: ReadonlyArray<Value>
  readonly constants?: ReadonlyArray<Constant>
}

export const raw = (type: number, data: ReadonlyArray<number>): Bytes => {
  const array = type === types.int64 ? BigInt64Array.from(data, BigInt) : Float32Array.from(data)
  return [...new Uint8Array(array.buffer)]
}

const value = (field: number, { name, type, shape }: Value): Bytes => {
  const dims = shape.map((d) => message(1, typeof d === 'number' ? int(1, d) : d === null ? [] : text(2, d)))
  return message(field, text(1, name), message(2, message(1, int(1, type ?? types.float), message(2, ...dims))))
}

const attribute = (name: string, x: number | ReadonlyArray<number>): Bytes =>
  typeof x === 'number'
    ? message(5, text(1, name), int(3, x), int(20, 2))
    : message(5, text(1, name), ...x.map((i) => int(8, i)), int(20, 7))

const node = ({ op, inputs, outputs, ints }: NodeSpec): Bytes =>
  message(
    1,
    ...inputs.map((x) => text(1, x)),
    ...outputs.map((x) => text(2, x)),
    text(4, op),
    ...Object.entries(ints ?? {}).map(([name, x]) => attribute(name, x)),
  )

const constant = ({ name, type = types.float, shape, data, file }: Constant): Bytes => {
  const content = raw(type, data)
  const entry = (key: string, v: string): Bytes => message(13, text(1, key), text(2, v))
  const where = file === undefined ? bytes(9, content) : [...entry('location', file), ...int(14, 1)]
  return message(5, ...shape.map((d) => int(1, d)), int(2, type), text(8, name), where)
}

/** A ModelProto of IR version 8 and opset 17. */
export const onnx = ({ nodes, inputs, outputs, constants = [] }: ModelSpec): Uint8Array =>
  Uint8Array.from([
    ...int(1, 8),
    ...message(
      7,
      ...nodes.map(node),
      text(2, 'test'),
      ...constants.map(constant),
      ...inputs.map((v) => value(11, v)),
      ...outputs.map((v) => value(12, v)),
    ),
    ...message(8, text(1, ''), int(2, 17)),
  ])

/** `y = op(x)`. */
export const unary = (op: string, shape: ReadonlyArray<Dim>, type = types.float): Uint8Array =>
  onnx({
    nodes: [{ op, inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape }],
  })

/** Weights that are neither zero nor equal, from -0.5 to 0.5. */
export const weights = (count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => (((i * 7919 + 13) % 101) - 50) / 100)

/** A 3 × 3 convolution of an image with open batch, height and width, then Relu; one weight moved by `delta`. */
export const convolution = (delta = 0): Uint8Array =>
  onnx({
    nodes: [
      { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], ints: { pads: [1, 1, 1, 1] } },
      { op: 'Relu', inputs: ['c'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', shape: ['N', 3, 'H', 'W'] }],
    outputs: [{ name: 'y', shape: ['N', 4, 'H', 'W'] }],
    constants: [{ name: 'w', shape: [4, 3, 3, 3], data: weights(108).map((w, i) => (i === 40 ? w + delta : w)) }],
  })
