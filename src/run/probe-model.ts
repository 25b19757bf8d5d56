/** A model made here, byte by byte, that shows whether an execution provider works and how fast it is. */

/** Rows and columns of the probe's only input and output, `x` and `y`, both float32. */
export const probeSize = 512

const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
const number = (field: number, value: number): ReadonlyArray<number> => [...varint(field << 3), ...varint(value)]
const message = (field: number, ...parts: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const body = parts.flat()
  return [...varint((field << 3) | 2), ...varint(body.length), ...body]
}
const text = (field: number, value: string): ReadonlyArray<number> =>
  message(field, [...new TextEncoder().encode(value)])

/** A ModelProto that computes `y = x · x · x · x`, three matrix products of {@link probeSize}, with opset 13. */
export const probeModel = (): Uint8Array => {
  const matMul = (a: string, b: string, y: string): ReadonlyArray<number> =>
    message(1, text(1, a), text(1, b), text(2, y), text(4, 'MatMul'))
  const dim = message(1, number(1, probeSize))
  const value = (field: number, name: string): ReadonlyArray<number> =>
    message(field, text(1, name), message(2, message(1, number(1, 1), message(2, dim, dim))))
  const graph = message(
    7,
    matMul('x', 'x', 'x2'),
    matMul('x2', 'x', 'x3'),
    matMul('x3', 'x', 'y'),
    text(2, 'probe'),
    value(11, 'x'),
    value(12, 'y'),
  )
  return Uint8Array.from([...number(1, 7), ...graph, ...message(8, text(1, ''), number(2, 13))])
}

/** The probe's input: fixed numbers, scaled so that the powers keep their size. */
export const probeInput = (): Float32Array => {
  const x = new Float32Array(probeSize * probeSize)
  const scale = Math.sqrt(3 / probeSize)
  for (let i = 0, state = 1; i < x.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    x[i] = (state / 2 ** 31 - 1) * scale
  }
  return x
}
