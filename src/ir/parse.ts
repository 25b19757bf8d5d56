/** Reads the textual form that `print.ts` writes and describes. */
import * as E from 'fp-ts/lib/Either.js'
import type { RawAttribute } from './attributes.ts'
import { bitsOf, byteLength, type DType, dtypes, isFloat } from './dtype.ts'
import { type Failure, failure } from './failure.ts'
import { type Graph, type GraphParts, labelOf, makeGraph, type ValueInfo } from './graph.ts'
import type { Node, ValueId } from './op.ts'
import { Opaque, type OpaqueAttributes } from './ops/opaque.ts'
import { makeNode } from './make-node.ts'
import { decodeAttributes, findOp } from './registry.ts'
import { scan, type Scanner } from './scanner.ts'
import { bareName, bareSymbol, elementPattern, keywords, readDecimal, readElement } from './spelling.ts'
import { encodeElements } from './element-codec.ts'
import { type Dense, type External, isNumeric, type Tensor } from './tensor.ts'
import { type Dim, type Shape, sizeOf, staticShape, tensorType, unknownDim, type ValueType } from './type.ts'

export type ParseError = Failure<'ParseError'>

export interface ParseOptions {
  /** Reads a range of the external file `location`. Without it the bytes of external constants cannot be asked for. */
  readonly read?: (location: string, offset: number, length: number) => Uint8Array
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** What the lines so far have defined. */
interface Draft {
  name: string | undefined
  irVersion: number
  model: Uint8Array
  readonly uses: ValueId[]
  readonly inputs: ValueInfo[]
  readonly outputs: ValueInfo[]
  readonly nodes: Node[]
  readonly constants: Map<ValueId, Tensor>
  readonly defaults: Map<ValueId, Tensor>
  readonly hints: Map<ValueId, ValueType>
  readonly opsets: Map<string, number>
}

const unsigned = /\d+/y
const signed = /-?\d+/y
const word = /[A-Za-z][\w.]*/y
const attributeName = /\w+/y
const digestPattern = /[0-9a-f]{16}/y
const range = /\d+(?:\.\.\d+)?/y
/** A float of an attribute: `1f`, `0.5`, `1e-05`, `inf`; an integer has none of these marks. */
const floatPattern = /-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?f|-?\d+(?:\.\d*(?:[eE][-+]?\d+)?|[eE][-+]?\d+)|-?inf\b|nan\b/y

/** The graph that `text` spells, or where it goes wrong: line and column, what was expected, and what is there. */
export const parse = (text: string, options: ParseOptions = {}): E.Either<ParseError, Graph> => {
  const draft: Draft = {
    name: undefined,
    irVersion: 0,
    model: new Uint8Array(),
    uses: [],
    inputs: [],
    outputs: [],
    nodes: [],
    constants: new Map(),
    defaults: new Map(),
    hints: new Map(),
    opsets: new Map(),
  }
  const lineOf = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    const s = scan(line)
    if (s.atEnd()) continue
    const nodes = draft.nodes.length
    parseLine(s, draft, options)
    if (s.mismatch() === undefined && !s.atEnd()) s.reject('the end of the line')
    const mismatch = s.mismatch()
    if (mismatch) {
      return E.left(parseError(`line ${index + 1}, column ${mismatch.column}`, mismatch.expected, mismatch.found))
    }
    const node = draft.nodes[nodes]
    if (node) lineOf.set(labelOf(node), index + 1)
  }
  if (draft.name === undefined)
    return E.left(parseError('line 1, column 1', 'a line \'graph "name" (ir 8, opset 17)\'', 'none'))
  const { name, irVersion, model, uses, ...parts } = draft
  const complete: GraphParts = { ...parts, name, preserved: { irVersion, model, uses } }
  const graph = makeGraph(complete)
  return E.isRight(graph) ? graph : E.left(locate(graph.left, complete, lineOf))
}

const parseError = (subject: string, expected: string, found: string): ParseError =>
  failure('ParseError', subject, expected, found, 'See the head of print.ts for the textual form.')

/** An error of the whole graph, with the line of the node it is about. */
const locate = (error: Failure, parts: GraphParts, lineOf: ReadonlyMap<string, number>): ParseError => {
  const node = parts.nodes
    .map(labelOf)
    .find((label) => error.subject === label || error.subject.startsWith(`${label},`))
  const line = node === undefined ? undefined : lineOf.get(node)
  return parseError(line === undefined ? error.subject : `line ${line}: ${error.subject}`, error.expected, error.found)
}

const parseLine = (s: Scanner, draft: Draft, options: ParseOptions): void => {
  const outputs: ValueId[] = []
  if (!s.take('=')) {
    const first = s.tryToken(bareName)
    if (first !== undefined && keywords.has(first)) {
      parseDefinition(s, first, draft, options)
      return
    }
    outputs.push(first === undefined ? readQuotedName(s) : first === '_' ? '' : first)
    while (s.take(',')) outputs.push(readPort(s))
    s.expect('=')
  }
  parseNode(s, outputs, draft, options)
}

const parseDefinition = (s: Scanner, keyword: string, draft: Draft, options: ParseOptions): void => {
  switch (keyword) {
    case 'graph':
      draft.name = s.quoted("the graph's name in quotes")
      parseVersions(s, draft)
      return
    case 'model':
      draft.model = s.base64()
      return
    case 'uses':
      do draft.uses.push(readName(s))
      while (s.take(','))
      return
    case 'input':
      draft.inputs.push(readValue(s))
      return
    case 'output':
      draft.outputs.push(readValue(s))
      return
    case 'hint': {
      const name = readName(s)
      define(s, draft.hints, name, () => {
        s.expect(':')
        return readType(s, name)
      })
      return
    }
    default: {
      define(s, keyword === 'const' ? draft.constants : draft.defaults, readName(s), () => {
        s.expect(':')
        const type = readTensorType(s)
        s.expect('=')
        return readTensor(s, type, options)
      })
    }
  }
}

/** Puts what `read` gives under a name, the last token, that must be new. */
const define = <T>(s: Scanner, into: Map<string, T>, name: string, read: () => T): void => {
  if (into.has(name)) s.reject('a name of its own', `a second ${name}`)
  into.set(name, read())
}

/** `(ir 8, opset 17, opset "com.microsoft" 1)`. */
const parseVersions = (s: Scanner, draft: Draft): void =>
  s.list('(', ')', () => {
    const kind = s.token(word, "'ir' or 'opset'")
    if (kind !== 'ir' && kind !== 'opset') s.reject("'ir' or 'opset'", kind)
    const domain = kind === 'opset' && s.peek('"') ? s.quoted('a domain') : ''
    const version = (): number => Number(s.token(unsigned, 'a version'))
    if (kind === 'ir') draft.irVersion = version()
    else define(s, draft.opsets, domain, version)
  })

/** A name, quoted or not. */
const readName = (s: Scanner): ValueId => s.tryToken(bareName) ?? readQuotedName(s)

const readQuotedName = (s: Scanner): ValueId => s.quoted('a name')

/** A name, or `_` for an omitted port. */
const readPort = (s: Scanner): ValueId => {
  const bare = s.tryToken(bareName)
  return bare === undefined ? readQuotedName(s) : bare === '_' ? '' : bare
}

const readMeta = (s: Scanner): { readonly meta?: Uint8Array } => (s.take('meta') ? { meta: s.base64() } : {})

const readValue = (s: Scanner): ValueInfo => {
  const name = readName(s)
  s.expect(':')
  const type = readType(s, name)
  return { name, type, ...readMeta(s) }
}

const readDtype = (s: Scanner): DType => {
  const text = s.token(word, 'an element type')
  const dtype = dtypes.find((known) => known === text)
  if (dtype === undefined) s.reject('an element type', text)
  return dtype ?? 'float32'
}

/** The type of the value `name`; `?` is the symbol of its own that an unknown size has. */
const readType = (s: Scanner, name: ValueId): ValueType => {
  if (s.take('other')) return { kind: 'other', encoded: s.peek('"') ? s.base64() : undefined }
  const dtype = readDtype(s)
  const dims: Dim[] = []
  let isRanked = true
  s.list('[', ']', (axis) => {
    if (axis === 0 && s.take('*')) isRanked = false
    else if (s.take('?')) dims.push(unknownDim(name, axis))
    else dims.push(readDim(s))
  })
  if (!isRanked && dims.length > 0) s.reject("']' after '*'")
  return tensorType(dtype, isRanked ? dims : undefined)
}

const readDim = (s: Scanner): Dim => {
  const size = s.tryToken(unsigned)
  return size === undefined ? (s.tryToken(bareSymbol) ?? s.quoted('a size, a symbol or ?')) : Number(size)
}

interface StaticType {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
}

const readTensorType = (s: Scanner): StaticType => {
  const dtype = readDtype(s)
  const dims: Shape = readList(s, () => readDim(s))
  const shape = staticShape(dims)
  if (shape === undefined) s.reject('sizes that are numbers', dims.join(','))
  return { dtype, shape: shape ?? [] }
}

const readList = <T>(s: Scanner, read: () => T): ReadonlyArray<T> => {
  const out: T[] = []
  s.list('[', ']', () => out.push(read()))
  return out
}

const readInteger = (s: Scanner): number => Number(s.token(unsigned, 'an integer'))

const readTensor = (s: Scanner, type: StaticType, options: ParseOptions): Tensor => {
  if (!s.take('gather(')) return readSource(s, type, options)
  const source = readSource(s, readTensorType(s), options)
  const indices: Array<Int32Array | null> = []
  while (s.take(',')) indices.push(s.take('_') ? null : readIndices(s, source.shape[indices.length] ?? 0))
  s.expect(')')
  const shape = source.shape.map((size, axis) => indices[axis]?.length ?? size)
  if (indices.length !== source.shape.length) s.reject(`${source.shape.length} selections`, String(indices.length))
  if (type.dtype !== source.dtype || shape.join() !== type.shape.join()) {
    s.reject(`a selection of type ${type.dtype}[${type.shape.join(',')}]`, `${source.dtype}[${shape.join(',')}]`)
  }
  return { tag: 'Gather', ...type, source, indices, ...readMeta(s) }
}

/** `[0..4, 7]`: indices below `size`. */
const readIndices = (s: Scanner, size: number): Int32Array => {
  const out: number[] = []
  s.list('[', ']', () => {
    const [first = 0, last = first] = s.token(range, 'an index or a range').split('..').map(Number)
    if (last < first || last >= size) s.reject(`indices below ${size}`)
    else for (let i = first; i <= last; i++) out.push(i)
  })
  return Int32Array.from(out)
}

const readSource = (s: Scanner, type: StaticType, options: ParseOptions): Dense | External => {
  if (!s.take('external(')) return { ...readDense(s, type), ...readMeta(s) }
  const location = s.quoted('the location of a file in quotes')
  s.expect(',')
  const offset = readInteger(s)
  s.expect(',')
  const length = readInteger(s)
  s.expect(')')
  if (length !== byteLength(type.dtype, sizeOf(type.shape)))
    s.reject(`${byteLength(type.dtype, sizeOf(type.shape))} bytes`, `${length}`)
  const read = (from: number, count: number): Uint8Array => {
    if (options.read === undefined)
      throw new Error(`chasec: ${location} was named by a text that was parsed without a reader.`)
    return options.read(location, from, count)
  }
  return { tag: 'External', ...type, location, offset, length, read, ...readMeta(s) }
}

const readDense = (s: Scanner, type: StaticType): Dense => {
  const count = sizeOf(type.shape)
  if (s.take('elided(')) {
    const digest = s.token(digestPattern, 'a digest of 16 hexadecimal digits')
    s.expect(')')
    return pseudoRandom(type, digest)
  }
  if (type.dtype === 'string') return readStrings(s, type)
  if (s.take('base64(')) {
    const bytes = s.base64()
    s.expect(')')
    const expected = byteLength(type.dtype, count)
    if (bytes.length !== expected) s.reject(`${expected} bytes`, String(bytes.length))
    return { tag: 'Dense', ...type, bytes }
  }
  return readElements(s, type)
}

/** Elements one by one: a list, or for a scalar the element itself. */
const readEach = (s: Scanner, type: StaticType, read: () => void): void => {
  const count = sizeOf(type.shape)
  let found = 0
  const one = (): void => {
    read()
    found += 1
  }
  if (type.shape.length === 0) one()
  else s.list('[', ']', one)
  if (found !== count) s.reject(`${count} elements`, String(found))
}

const readStrings = (s: Scanner, type: StaticType): Dense => {
  const strings: Uint8Array[] = []
  readEach(s, type, () => {
    if (!s.take('base64(')) {
      strings.push(new TextEncoder().encode(s.quoted('a string in quotes')))
      return
    }
    strings.push(s.base64())
    s.expect(')')
  })
  return { tag: 'Dense', ...type, bytes: new Uint8Array(), strings }
}

const readElements = (s: Scanner, type: StaticType): Dense => {
  const { dtype } = type
  const width = bitsOf(dtype) / 8
  const bytes = new Uint8Array(byteLength(dtype, sizeOf(type.shape)))
  const small: number[] = []
  let at = 0
  readEach(s, type, () => {
    const text = s.token(elementPattern, `an element of type ${dtype}`)
    if (s.mismatch() !== undefined) return
    const own = width < 1 ? readPacked(dtype, text) : readElement(dtype, text)
    if (own === undefined) s.reject(`an element of type ${dtype}`, text)
    else if (typeof own === 'number') small.push(own)
    else if (at + width <= bytes.length) bytes.set(own, at)
    at += width
  })
  if (width < 1 && s.mismatch() === undefined) bytes.set(encodeElements(dtype, small))
  return { tag: 'Dense', ...type, bytes }
}

/** A number of a type under eight bits. */
const readPacked = (dtype: DType, text: string): number | undefined => {
  const number = readDecimal(text)
  const bits = bitsOf(dtype)
  const [low, high] = dtype.startsWith('u') ? [0, 2 ** bits] : [-(2 ** (bits - 1)), 2 ** (bits - 1)]
  return isNumeric(dtype) && Number.isInteger(number) && number >= low && number < high ? number : undefined
}

/**
 * Stands for elided data, a function of the digest alone: weights in [-1, 1), vectors and scalars (which may be scales or
 * variances) in [0.5, 1.5), integers 0 or 1.
 */
const pseudoRandom = (type: StaticType, digest: string): Dense => {
  const { dtype, shape } = type
  const count = sizeOf(shape)
  if (dtype === 'string') {
    return {
      tag: 'Dense',
      ...type,
      bytes: new Uint8Array(),
      strings: Array.from({ length: count }, () => new Uint8Array()),
    }
  }
  if (!isNumeric(dtype)) return { tag: 'Dense', ...type, bytes: new Uint8Array(byteLength(dtype, count)) }
  let state = Number.parseInt(digest.slice(0, 8), 16) | 1
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const unit = (state >>> 0) / 2 ** 32
    values[i] = isFloat(dtype) ? (shape.length > 1 ? 2 * unit - 1 : unit + 0.5) : unit < 0.5 ? 0 : 1
  }
  return { tag: 'Dense', ...type, bytes: encodeElements(dtype, values) }
}

const parseNode = (s: Scanner, outputs: ReadonlyArray<ValueId>, draft: Draft, options: ParseOptions): void => {
  const opName = s.token(word, 'an operator')
  const op = findOp(opName)
  const place = s.place()
  if (op === undefined) s.reject('an operator that chasec knows (others are written as Opaque)', opName)
  const inputs: ValueId[] = []
  s.list('(', ')', () => inputs.push(readPort(s)))
  const isOpaque = opName === Opaque.name
  const opaque: Partial<Mutable<OpaqueAttributes>> = {}
  let raw = new Map<string, RawAttribute>()
  if (s.peek('{') && isOpaque) {
    s.list('{', '}', () => readOpaque(s, s.token(attributeName, 'the name of an attribute'), opaque, options))
  } else if (s.peek('{')) raw = readAttributes(s, options)
  const name = s.take('name') ? s.quoted('the name of the node in quotes') : ''
  const meta = readMeta(s)
  if (op === undefined || s.mismatch() !== undefined) return
  if (isOpaque) {
    draft.nodes.push({ ...makeNode(Opaque, inputs, outputs, opaque, name), ...meta })
    return
  }
  const attrs = decodeAttributes(op, raw)
  if (E.isLeft(attrs)) s.reject(`attributes of ${opName}`, attrs.left, place)
  else draft.nodes.push({ op: opName, attrs: attrs.right, inputs, outputs, name, ...meta })
}

const readAttributes = (s: Scanner, options: ParseOptions): Map<string, RawAttribute> => {
  const out = new Map<string, RawAttribute>()
  s.list('{', '}', () => {
    const read = (): RawAttribute => {
      s.expect(':')
      return readAttribute(s, options)
    }
    define(s, out, s.token(attributeName, 'the name of an attribute'), read)
  })
  return out
}

const readOpaque = (s: Scanner, key: string, into: Partial<Mutable<OpaqueAttributes>>, options: ParseOptions): void => {
  const place = s.place()
  s.expect(':')
  if (key === 'domain' || key === 'opType' || key === 'reason') into[key] = s.quoted('a string in quotes')
  else if (key === 'captures' || key === 'defines') into[key] = readList(s, () => readName(s))
  else if (key === 'payload') into.payload = s.base64()
  else if (key === 'attributes') into.attributes = readAttributes(s, options)
  else s.reject('domain, opType, captures, defines, reason, payload or attributes', key, place)
}

const readAttribute = (s: Scanner, options: ParseOptions): RawAttribute => {
  if (s.peek('"')) return { kind: 'string', value: s.quoted('a string') }
  if (s.take('tensor')) return { kind: 'tensor', value: readTensor(s, readTensorType(s), options) }
  if (s.take('ints[]')) return { kind: 'ints', value: [] }
  if (s.take('floats[]')) return { kind: 'floats', value: [] }
  if (s.take('strings[]')) return { kind: 'strings', value: [] }
  if (!s.peek('[')) return readNumber(s)
  const strings: string[] = []
  const numbers: Array<ReturnType<typeof readNumber>> = []
  s.list('[', ']', () => {
    if (s.peek('"')) strings.push(s.quoted('a string'))
    else numbers.push(readNumber(s))
  })
  if (strings.length + numbers.length === 0) s.reject('ints[], floats[] or strings[]', '[]')
  if (strings.length > 0 && numbers.length > 0) s.reject('a list of one kind', 'strings and numbers')
  if (strings.length > 0) return { kind: 'strings', value: strings }
  const ints: bigint[] = []
  const floats: number[] = []
  for (const number of numbers) {
    if (number.kind === 'int') ints.push(number.value)
    else floats.push(number.value)
  }
  if (ints.length > 0 && floats.length > 0) s.reject('a list of one kind', 'integers and floats')
  return floats.length > 0 ? { kind: 'floats', value: floats } : { kind: 'ints', value: ints }
}

const readNumber = (
  s: Scanner,
): { readonly kind: 'int'; readonly value: bigint } | { readonly kind: 'float'; readonly value: number } => {
  const float = s.tryToken(floatPattern)
  if (float === undefined) return { kind: 'int', value: BigInt(s.token(signed, 'a value') || 0) }
  const value = readDecimal(float.endsWith('f') && !float.endsWith('inf') ? float.slice(0, -1) : float)
  return { kind: 'float', value: float.endsWith('f') && !float.endsWith('inf') ? Math.fround(value) : value }
}
