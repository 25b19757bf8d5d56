/** Which module and which parameters of the exported program a node comes from, as exporters write it down. */
import * as E from 'fp-ts/lib/Either.js'
import { memoized } from '../../ir/analysis.ts'
import type { Node } from '../../ir/op.ts'
import { decode } from '../../onnx/codec.ts'
import { ModelProtoSchema, NodeProtoSchema, type StringStringEntryProto } from '../../onnx/onnx_pb.ts'
import { isOffset, parameterName } from './parameter-name.ts'

export interface Origin {
  /** The path of the module, outermost first; empty for the model itself. */
  readonly path: ReadonlyArray<string>
  /** The module's class, where the exporter says it. */
  readonly module: string | undefined
  /** Parameters that the operation took, by their full names, where the exporter says it. */
  readonly parameters: ReadonlyArray<string>
  /** Whether the exporter says that the operation took no weight as it is, so that it took one computed of others. */
  readonly computed: boolean
}

/**
 * PyTorch's exporter of 2.5 and later keeps module paths, classes and the operation in the node's metadata; its older one
 * names nodes `/layer1/layer1.0/conv1/Conv`; TensorFlow's converter names them `sequential/dense/MatMul`. Undefined for other names.
 *
 * `signature`: the program's placeholders of parameters, see {@link signatureOf}.
 */
export const originOf = (node: Node, signature: ReadonlyMap<string, string>): Origin | undefined => {
  const metadata = metadataOf(node)
  const scopes = listOf(metadata.get('pkg.torch.onnx.name_scopes'))
  const scope = scopes?.at(-2)
  if (scopes !== undefined && scope !== undefined) {
    const classes = listOf(metadata.get('pkg.torch.onnx.class_hierarchy'))
    const path = /^[\w.]*$/.test(scope) ? scope.split('.').filter((token) => token !== '') : []
    const placeholders = metadata.get('pkg.torch.onnx.fx_node')?.matchAll(/%(p_\w+)/g) ?? []
    const parameters = Array.from(placeholders, ([, name = '']) => signature.get(name) ?? '').filter(
      (name) => name !== '',
    )
    const own = parameters.some((name) => !isOffset(parameterName(name)))
    const computed = signature.size > 0 && !own && takesComputed(metadata.get('pkg.torch.onnx.fx_node') ?? '')
    return { path, module: classes?.at(-2), parameters, computed }
  }
  // ONNX Runtime's optimiser adds what it did.
  const name = node.name.replace(/\/\w*Fusion\w*$/, '')
  if (!name.includes('/')) return undefined
  return { path: pathOf(name.split('/').slice(0, -1)), module: undefined, parameters: [], computed: false }
}

/** Whether the second operand of an operation is what another one computed: `linear(args = (%x, %add))`. */
const takesComputed = (operation: string): boolean => /args = \(%\w+, %(?!p_|b_|getitem)\w/.test(operation)

/** What the exported program calls its parameters and buffers: the placeholders in the operations' arguments, and the full names. */
export const signatureOf = memoized((graph): ReadonlyMap<string, string> => {
  const model = decode(ModelProtoSchema, graph.preserved.model)
  if (E.isLeft(model)) return new Map()
  const text = asMap(model.right.graph?.metadataProps ?? []).get('pkg.torch.export.ExportedProgram.graph_signature')
  const entries = text?.matchAll(/([pb]_\w+): (?:PARAMETER|BUFFER) target='([^']+)'/g) ?? []
  return new Map(Array.from(entries, ([, placeholder = '', name = '']) => [placeholder, name]))
})

/** `['layer1', 'layer1.0', 'conv1']` to layer1, 0, conv1: a child of a container is named after both. */
const pathOf = (parts: ReadonlyArray<string>): ReadonlyArray<string> => {
  let before = ''
  const out: string[] = []
  for (const part of parts) {
    if (part === '') continue
    const own = before !== '' && part.startsWith(`${before}.`) ? part.slice(before.length + 1) : part
    out.push(...own.split('.'))
    before = part
  }
  return out
}

/** The elements of a list of strings as Python prints it. */
const listOf = (text: string | undefined): ReadonlyArray<string> | undefined =>
  text === undefined
    ? undefined
    : Array.from(
        text.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g),
        ([, single, double]) => single ?? double ?? '',
      )

const asMap = (entries: ReadonlyArray<StringStringEntryProto>): ReadonlyMap<string, string> =>
  new Map(entries.map(({ key, value }) => [key, value]))

const metadataOf = (node: Node): ReadonlyMap<string, string> => {
  const proto = node.meta === undefined ? undefined : decode(NodeProtoSchema, node.meta)
  return proto === undefined || E.isLeft(proto) ? new Map() : asMap(proto.right.metadataProps)
}
