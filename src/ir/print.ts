/**
 * The textual form of a graph, one definition a line; `parse.ts` reads it back. `#` starts a comment.
 *
 *     graph "resnet18" (ir 8, opset 17, opset "com.microsoft" 1)
 *     input   images: float32[N,3,224,224]
 *     const   w1: float32[64,3,7,7] = elided(4f1d0c9a53be7702)
 *     const   axes: int64[2] = [2, 3]
 *     y1 = Conv(images, w1, _) { strides: [2, 2] } name "/conv1/Conv"  # float32[N,64,109,109]
 *     output  y1: float32[N,64,109,109]
 *
 * `model` and `uses` lines hold the parts of a model that are carried along, `default` lines the values of inputs that
 * may be left out, and `hint` lines declared types of inner values. Bytes that the IR only carries are base64.
 */
import { fixedNames } from './analysis.ts'
import type { RawAttribute, RawAttributes } from './attributes.ts'
import { toBase64 } from './base64.ts'
import { digestOf } from './digest.ts'
import type { Graph, ValueInfo } from './graph.ts'
import type { Node, ValueId } from './op.ts'
import { Opaque, type OpaqueAttributes } from './ops/opaque.ts'
import { encodeAttributes, isOp } from './registry.ts'
import { spellElements, spellFloat, spellName, spellSymbol } from './spelling.ts'
import { type Dense, type External, materialize, type Tensor } from './tensor.ts'
import { printType, sizeOf, unknownDim, type ValueType } from './type.ts'

export interface PrintOptions {
  /**
   * What is written of constants of more than 16 elements: `'full'` all of it, `'elide'` (the default) a digest, which
   * reads back as pseudo-random numbers that depend on nothing else.
   */
  readonly data?: 'full' | 'elide'
  /**
   * `'structure'` numbers values and constants by where they are used, and leaves node names out, so that graphs of equal
   * structure print alike. Names that are fixed stay. The default, `'kept'`, is the graph's own names.
   */
  readonly names?: 'kept' | 'structure'
}

/** The largest constant whose elements are always written. */
const inlineLimit = 16

export const print = (graph: Graph, options: PrintOptions = {}): string => {
  const data = options.data ?? 'elide'
  const nameOf = options.names === 'structure' ? structuralNames(graph) : (name: ValueId): ValueId => name
  const spell = (name: ValueId): string => spellName(nameOf(name))
  const opsets = [...graph.opsets].map(([domain, version]) =>
    domain === '' ? `opset ${version}` : `opset ${JSON.stringify(domain)} ${version}`,
  )
  const lines = [`graph ${JSON.stringify(graph.name)} (${[`ir ${graph.preserved.irVersion}`, ...opsets].join(', ')})`]
  const { model, uses } = graph.preserved
  if (model.length > 0) lines.push(`model   "${toBase64(model)}"`)
  if (uses.length > 0) lines.push(`uses    ${uses.map(spell).join(', ')}`)
  for (const input of graph.inputs) lines.push(`input   ${printValue(input, spell)}`)
  for (const [name, tensor] of graph.defaults) lines.push(`default ${printConstant(spell(name), tensor, data)}`)
  const constants = [...graph.constants]
  if (options.names === 'structure') sortByName(constants, nameOf)
  for (const [name, tensor] of constants) lines.push(`const   ${printConstant(spell(name), tensor, data)}`)
  for (const [name, type] of graph.hints) {
    const shown = graph.types.has(name) || options.names !== 'structure'
    if (shown) lines.push(`hint    ${spell(name)}: ${spellType(type, name)}`)
  }
  for (const node of graph.nodes) lines.push(printNode(graph, node, spell, options.names !== 'structure'))
  for (const output of graph.outputs) lines.push(`output  ${printValue(output, spell)}`)
  return `${lines.join('\n')}\n`
}

/** Numbers values in graph order and constants in the order they are first read. */
const structuralNames = (graph: Graph): ((name: ValueId) => ValueId) => {
  const fixed = fixedNames(graph)
  const names = new Map<ValueId, ValueId>()
  const counts = { '%': 0, '@': 0 }
  const number = (kind: '%' | '@', name: ValueId): void => {
    if (name === '' || fixed.has(name) || names.has(name)) return
    while (fixed.has(`${kind}${counts[kind]}`)) counts[kind] += 1
    names.set(name, `${kind}${counts[kind]++}`)
  }
  for (const node of graph.nodes) {
    for (const name of node.inputs) if (graph.constants.has(name)) number('@', name)
    for (const name of node.outputs) number('%', name)
  }
  for (const name of graph.constants.keys()) number('@', name)
  return (name) => names.get(name) ?? name
}

/** Fixed names first, then numbered ones in order. */
const sortByName = (constants: Array<[ValueId, Tensor]>, nameOf: (name: ValueId) => ValueId): void => {
  const rank = (name: ValueId): number => {
    const given = nameOf(name)
    return given === name ? -1 : Number(given.slice(1))
  }
  constants.sort(([a], [b]) => rank(a) - rank(b))
}

const printValue = (value: ValueInfo, spell: (name: ValueId) => string): string =>
  `${spell(value.name)}: ${spellType(value.type, value.name)}${printMeta(value.meta)}`

const printMeta = (meta: Uint8Array | undefined): string => (meta === undefined ? '' : ` meta "${toBase64(meta)}"`)

/** A type of the value `name`. A size that is unknown and stands for nothing else is `?`. */
const spellType = (type: ValueType, name: ValueId): string => {
  if (type.kind === 'other') return type.encoded === undefined ? 'other' : `other "${toBase64(type.encoded)}"`
  if (type.shape === undefined) return `${type.dtype}[*]`
  const dims = type.shape.map((dim, axis) => {
    if (typeof dim === 'number') return String(dim)
    return dim === unknownDim(name, axis) ? '?' : spellSymbol(dim)
  })
  return `${type.dtype}[${dims.join(',')}]`
}

const printConstant = (name: string, tensor: Tensor, data: 'full' | 'elide'): string =>
  `${name}: ${printTensor(tensor, data, ' = ')}`

const printTensor = (tensor: Tensor, data: 'full' | 'elide', between: string): string =>
  `${tensor.dtype}[${tensor.shape.join(',')}]${between}${printData(tensor, data)}${printMeta(tensor.meta)}`

const printData = (tensor: Tensor, data: 'full' | 'elide'): string => {
  switch (tensor.tag) {
    case 'Dense':
    case 'Edited':
    case 'Held':
      return printDense(materialize(tensor), data)
    case 'External':
      return printExternal(tensor)
    case 'Gather': {
      const indices = tensor.indices.map((kept) => (kept === null ? '_' : printIndices(kept)))
      return `gather(${[printTensor(tensor.source, data, ' '), ...indices].join(', ')})`
    }
  }
}

const printExternal = ({ location, offset, length }: External): string =>
  `external(${JSON.stringify(location)}, ${offset}, ${length})`

const printDense = (tensor: Dense, data: 'full' | 'elide'): string => {
  const count = sizeOf(tensor.shape)
  const isSmall = count <= inlineLimit
  if (!isSmall && data === 'elide') return `elided(${digestOf(tensor.bytes)})`
  const each = isSmall || tensor.strings ? spellElements(tensor) : undefined
  const texts = each ?? tensor.strings?.map((utf8) => `base64("${toBase64(utf8)}")`)
  if (texts === undefined) return `base64("${toBase64(tensor.bytes)}")`
  return tensor.shape.length === 0 ? texts.join() : `[${texts.join(', ')}]`
}

/** Ascending runs as `first..last`. */
const printIndices = (kept: Int32Array): string => {
  const runs: string[] = []
  for (let i = 0; i < kept.length;) {
    const first = kept[i] ?? 0
    let end = i + 1
    while (end < kept.length && kept[end] === first + end - i) end += 1
    runs.push(end - i > 1 ? `${first}..${first + end - i - 1}` : String(first))
    i = end
  }
  return `[${runs.join(', ')}]`
}

const printNode = (graph: Graph, node: Node, spell: (name: ValueId) => string, isNamed: boolean): string => {
  const attributes = isOp(node, Opaque) ? printOpaque(node.attrs, spell) : printAttributes(encodeAttributes(node))
  const types = node.outputs.map((name) =>
    name === '' ? '_' : printType(graph.types.get(name) ?? { kind: 'other', encoded: undefined }),
  )
  return [
    `${node.outputs.map(spell).join(', ')}${node.outputs.length > 0 ? ' ' : ''}= ${node.op}(${node.inputs.map(spell).join(', ')})`,
    attributes.length === 0 ? '' : ` { ${attributes.join(', ')} }`,
    isNamed && node.name !== '' ? ` name ${JSON.stringify(node.name)}` : '',
    printMeta(node.meta),
    `  # ${types.join(', ')}`,
  ].join('')
}

const printAttributes = (attributes: RawAttributes): ReadonlyArray<string> =>
  [...attributes].map(([key, raw]) => `${key}: ${printAttribute(raw)}`)

const printAttribute = (raw: RawAttribute): string => {
  switch (raw.kind) {
    case 'int':
      return String(raw.value)
    case 'float':
      return spellFloat(raw.value)
    case 'string':
      return JSON.stringify(raw.value)
    case 'ints':
      return raw.value.length === 0 ? 'ints[]' : `[${raw.value.join(', ')}]`
    case 'floats':
      return raw.value.length === 0 ? 'floats[]' : `[${raw.value.map(spellFloat).join(', ')}]`
    case 'strings':
      return raw.value.length === 0 ? 'strings[]' : `[${raw.value.map((text) => JSON.stringify(text)).join(', ')}]`
    case 'tensor':
      return `tensor ${printTensor(raw.value, 'full', ' ')}`
  }
}

const printOpaque = (attrs: OpaqueAttributes, spell: (name: ValueId) => string): ReadonlyArray<string> => [
  `domain: ${JSON.stringify(attrs.domain)}`,
  `opType: ${JSON.stringify(attrs.opType)}`,
  `captures: [${attrs.captures.map(spell).join(', ')}]`,
  `defines: [${attrs.defines.map(spell).join(', ')}]`,
  `reason: ${JSON.stringify(attrs.reason)}`,
  `payload: "${toBase64(attrs.payload)}"`,
  ...(attrs.attributes === undefined ? [] : [`attributes: { ${printAttributes(attrs.attributes).join(', ')} }`]),
]
