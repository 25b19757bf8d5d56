/**
 * Writes src/onnx/onnx_pb.ts: the types and enums that protoc-gen-es made (test/onnx/onnx_pb.ts), with a table for each message in
 * place of its descriptor.
 */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { readFileSync, writeFileSync } from 'node:fs'
import { file_onnx } from '../test/onnx/onnx_pb.ts'

const at = (path: string): URL => new URL(`../${path}`, import.meta.url)

const nameOf = ({ typeName, file }: DescMessage): string =>
  typeName.slice(file.proto.package.length + 1).replaceAll('.', '_')

const typeOf = (field: DescField): string => {
  if (field.message !== undefined) return `() => ${nameOf(field.message)}Schema`
  if (field.enum !== undefined) return `[${field.enum.values.map(({ number }) => number).join(', ')}]`
  return `'${ScalarType[field.scalar ?? 0]?.toLowerCase() ?? ''}'`
}

const rowOf = (field: DescField): string => {
  const isScalar = field.fieldKind === 'scalar' || field.fieldKind === 'enum'
  if (field.fieldKind === 'map' || (isScalar && field.getDefaultValue() !== undefined)) {
    throw new Error(`${field} is of a kind that tables have no word for`)
  }
  const parts = [`number: ${field.number}`, `type: ${typeOf(field)}`]
  if (field.fieldKind === 'list') parts.push('list: true')
  if (field.fieldKind === 'list' && field.packed) parts.push('packed: true')
  if (field.oneof !== undefined) parts.push(`oneof: '${field.oneof.localName}'`)
  return `    ${field.localName}: { ${parts.join(', ')} },`
}

const tableOf = (message: DescMessage): string => {
  const name = nameOf(message)
  const rows = message.fields.toSorted((a, b) => a.number - b.number).map(rowOf)
  return [
    `export const ${name}Schema: Schema<${name}> = /*@__PURE__*/`,
    `  schema<${name}>('${message.typeName}', {`,
    ...rows,
    '  });',
  ].join('\n')
}

const all = (messages: ReadonlyArray<DescMessage>): ReadonlyArray<DescMessage> =>
  messages.flatMap((message) => [message, ...all(message.nestedMessages)])

const tables = new Map(all(file_onnx.messages).map((message) => [nameOf(message), tableOf(message)]))
const made = readFileSync(at('test/onnx/onnx_pb.ts'), 'utf8')
  .replace(
    /^import type [\s\S]*?(?=\/\*\*\n \* @generated)/m,
    "import { type Message, type Schema, schema } from './message.ts'\n\n",
  )
  .replace(/\/\*\*\n \* Describes the enum [^/]*\*\/\nexport const \w+: GenEnum[^;]*;\n\n?/g, '')
  .replace(/export const (\w+)Schema: GenMessage<[^;]*;/g, (_, name: string) => tables.get(name) ?? '')
writeFileSync(at('src/onnx/onnx_pb.ts'), `${made.trimEnd()}\n`)
