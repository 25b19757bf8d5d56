import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { parse } from '../../src/ir/parse.ts'
import { print } from '../../src/ir/print.ts'
import { elements, materialize } from '../../src/ir/tensor.ts'

const head = 'graph "g" (ir 8, opset 17)\n'

/** What the parser says of a text after a well-formed first line. */
const complaint = (body: string): string => {
  const parsed = parse(head + body)
  return E.isLeft(parsed)
    ? `${parsed.left.subject}: expected ${parsed.left.expected}, found ${parsed.left.found}`
    : 'no complaint'
}

test.each<readonly [body: string, complaint: string]>([
  ['input x float32[2]', "line 2, column 9: expected ':', found float32"],
  ['input x: float31[2]', 'line 2, column 10: expected an element type, found float31'],
  ['input x: float32[2', "line 2, column 19: expected ',' or ']', found the end of the line"],
  ['input x: float32[2;3]', "line 2, column 19: expected ',' or ']', found ;"],
  ['input x: float32[*,2]', "line 2, column 21: expected ']' after '*', found ]"],
  ['input x: float32[-]', 'line 2, column 18: expected a size, a symbol or ?, found -'],
  ['const c: float32[2] = [1, 2, 3]', 'line 2, column 31: expected 2 elements, found 3'],
  ['const c: float32[2] = [1, two]', 'line 2, column 27: expected an element of type float32, found two'],
  ['const c: float32[N] = [1]', 'line 2, column 19: expected sizes that are numbers, found N'],
  ['const c: int8[1] = [200]', 'line 2, column 21: expected an element of type int8, found 200'],
  ['const c: int8[1] = [1.5]', 'line 2, column 21: expected an element of type int8, found 1.5'],
  ['const c: int4[1] = [8]', 'line 2, column 21: expected an element of type int4, found 8'],
  ['const c: uint64[] = -1', 'line 2, column 21: expected an element of type uint64, found -1'],
  [
    'const c: int64[] = 9223372036854775808',
    'line 2, column 20: expected an element of type int64, found 9223372036854775808',
  ],
  ['const c: bool[1] = [1]', 'line 2, column 21: expected an element of type bool, found 1'],
  ['const c: float32[1] = [0x12]', 'line 2, column 24: expected an element of type float32, found 0x12'],
  ['const c: float8e4m3fn[1] = [1]', 'line 2, column 29: expected an element of type float8e4m3fn, found 1'],
  ['const c: float32[9] = elided(12)', 'line 2, column 30: expected a digest of 16 hexadecimal digits, found 12'],
  ['const c: float32[1] = base64("AAA=")', 'line 2, column 36: expected 4 bytes, found 2'],
  ['const c: float32[1] = base64("A!A=")', 'line 2, column 30: expected base64, found "A!A="'],
  ['const c: float32[1] = "\\q"', 'line 2, column 23: expected \'[\', found "\\q"'],
  ['const c: string[] = "\\q"', 'line 2, column 21: expected a string as JSON spells it, found "\\q"'],
  [
    'const c: float32[2] = gather(float32[4] [1, 2, 3, 4], [4])',
    'line 2, column 56: expected indices below 4, found 4',
  ],
  [
    'const c: float32[2] = gather(float32[4] [1, 2, 3, 4], [0])',
    'line 2, column 58: expected a selection of type float32[2], found float32[1]',
  ],
  ['const c: float32[4] = gather(float32[4] [1, 2, 3, 4], _, _)', 'line 2, column 59: expected 1 selections, found 2'],
  ['const c: float32[2] = external("w", 0, 4)', 'line 2, column 41: expected 8 bytes, found 4'],
  ['const c: float32[] = 1\nconst c: float32[] = 1', 'line 3, column 7: expected a name of its own, found a second c'],
  [
    'input x: float32[2]\ny = Rellu(x)',
    'line 3, column 5: expected an operator that chasec knows (others are written as Opaque), found Rellu',
  ],
  ['input x: float32[2]\ny = Relu(x', "line 3, column 11: expected ',' or ')', found the end of the line"],
  ['input x: float32[2]\ny Relu(x)', "line 3, column 3: expected '=', found Relu"],
  [
    'input x: float32[2]\ny = Relu(x) { a: 1 }',
    'line 3, column 5: expected attributes of Relu, found Relu has an unknown attribute a',
  ],
  [
    'input x: float32[2]\ny = LeakyRelu(x) { alpha: "a" }',
    'line 3, column 5: expected attributes of LeakyRelu, found attribute alpha of LeakyRelu is not one chasec models',
  ],
  ['input x: float32[2]\ny = LeakyRelu(x) { alpha: }', 'line 3, column 27: expected a value, found }'],
  [
    'input x: float32[2]\ny = Relu(x) { a: [1, "b"] }',
    'line 3, column 25: expected a list of one kind, found strings and numbers',
  ],
  [
    'input x: float32[2]\ny = Relu(x) { a: [1, 2f] }',
    'line 3, column 24: expected a list of one kind, found integers and floats',
  ],
  ['input x: float32[2]\ny = Relu(x) { a: [] }', 'line 3, column 19: expected ints[], floats[] or strings[], found []'],
  [
    'input x: float32[2]\ny = Opaque(x) { kind: "a" }',
    'line 3, column 17: expected domain, opType, captures, defines, reason, payload or attributes, found kind',
  ],
  ['input x: float32[2]\ny = Relu(x) and more', 'line 3, column 13: expected the end of the line, found and'],
  ['input x: float32[2]\n"y = Relu(x)', 'line 3, column 1: expected a name, found "y = Relu(x)'],
  ['graph "g" (version 8)', "line 2, column 12: expected 'ir' or 'opset', found version"],
  // Well-formed lines that do not make a graph.
  ['input x: float32[2]\ny = Relu(z)', 'line 3: Relu y, input z: expected a value defined earlier, found none'],
  [
    'input x: float32[2]\nx = Relu(x)',
    'line 3: Relu x, output x: expected a name of its own, found a second definition',
  ],
  [
    'input x: float32[2]\ninput b: float32[3]\ny = Add(x, b)',
    'line 4: Add y: expected operands it can work on, found shapes [2] and [3] do not broadcast',
  ],
  ['output y: float32[2]', 'graph output y: expected a value of the graph, found none'],
])('%s', (body, expected) => {
  expect(complaint(body)).toBe(expected)
})

test('a text without a graph line', () => {
  const parsed = parse('# nothing\n')
  expect(E.isLeft(parsed) && renderError(parsed.left)).toBe(
    'line 1, column 1: expected a line \'graph "name" (ir 8, opset 17)\', found none. See the head of print.ts for the textual form.',
  )
})

const tensorOf = (body: string) => {
  const parsed = parse(`${head}const c: ${body}`)
  if (E.isLeft(parsed)) throw new Error(renderError(parsed.left))
  const tensor = parsed.right.constants.get('c')
  if (tensor === undefined) throw new Error('no constant')
  return tensor
}

describe('constants', () => {
  test.each<readonly [body: string, values: ReadonlyArray<number | bigint>]>([
    ['float32[4] = [0.1, -0, inf, 1e-45]', [Math.fround(0.1), -0, Infinity, Math.fround(1e-45)]],
    ['float16[2] = [0.1, 65504]', [0.0999755859375, 65504]],
    ['bfloat16[1] = [0x3f80]', [1]],
    ['int64[2] = [9223372036854775807, -9223372036854775808]', [2n ** 63n - 1n, -(2n ** 63n)]],
    ['int4[3] = [-8, 7, 1]', [-8, 7, 1]],
    ['bool[2] = [true, false]', [1, 0]],
    ['float32[] = 3', [3]],
    ['float32[0] = []', []],
    ['float32[2,2] = gather(float32[2,4] [0, 1, 2, 3, 4, 5, 6, 7], _, [0, 3])', [0, 3, 4, 7]],
    ['float32[3] = gather(float32[4] [0, 1, 2, 3], [1..2, 0])', [1, 2, 0]],
  ])('%s', (body, values) => {
    expect([...elements(tensorOf(body))]).toStrictEqual(values)
  })

  test('elided data is a function of the digest', () => {
    const text = 'float32[3,9] = elided(0123456789abcdef)'
    const [a, b] = [materialize(tensorOf(text)).bytes, materialize(tensorOf(text)).bytes]
    expect(a).toStrictEqual(b)
    expect(materialize(tensorOf('float32[3,9] = elided(1123456789abcdef)')).bytes).not.toStrictEqual(a)
    const values = [...elements(tensorOf(text))].map(Number)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1)
    expect(Math.max(...values)).toBeLessThan(1)
    expect(new Set(values).size).toBe(27)
  })

  test('external data is read by the reader given', () => {
    const text = `${head}const c: float32[2] = external("w.bin", 4, 8)`
    const reads: unknown[] = []
    const parsed = parse(text, {
      read: (...range) => {
        reads.push(range)
        return new Uint8Array(8)
      },
    })
    if (E.isLeft(parsed)) throw new Error(renderError(parsed.left))
    const tensor = parsed.right.constants.get('c')
    if (tensor === undefined) throw new Error('no constant')
    expect([...elements(tensor)]).toStrictEqual([0, 0])
    expect(reads).toStrictEqual([['w.bin', 4, 8]])
    expect(() => materialize(tensorOf('float32[1] = external("w", 0, 4)'))).toThrow('parsed without a reader')
  })
})

test('comments and blank lines mean nothing', () => {
  const parsed = parse(
    `# a\n\n${head}  # b\ninput x: float32["a#b"] # c\n\ty = Relu ( x ) name "#"#d\noutput y: float32[?]\r\n`,
  )
  if (E.isLeft(parsed)) throw new Error(renderError(parsed.left))
  expect(print(parsed.right)).toBe(
    `${head}input   x: float32["a#b"]\ny = Relu(x) name "#"  # float32[a#b]\noutput  y: float32[?]\n`,
  )
})
