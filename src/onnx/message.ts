/**
 * What a protobuf message of ONNX is made of, as a table that its codec walks. Messages are those of protobuf-es, which makes their
 * types: an optional field that is not set holds its default by its prototype. Its own tables and their walk are ten times as large.
 */
import type { Message, MessageInitShape } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { invariant } from '../ir/failure.ts'

export type { Message } from '@bufbuild/protobuf'

export type Scalar = 'string' | 'bytes' | 'float' | 'double' | 'int32' | 'int64' | 'uint64'

export interface Field {
  readonly number: number
  /** What it holds: a scalar, one of the numbers of an enum, the first of them by default, or a message. */
  readonly type: Scalar | ReadonlyArray<number> | (() => Schema)
  readonly list?: boolean
  /** Whether a list is written as one piece. */
  readonly packed?: boolean
  /** The property of the message that holds which one of several fields is set. */
  readonly oneof?: string
}

/** The names of a message's fields; where one of several is set, the names of these. */
export type FieldName<T> = Exclude<
  { [K in keyof T]-?: T[K] extends { readonly case: infer Case } ? Case : K }[keyof T],
  keyof Message | undefined
> &
  string

export interface Schema<T extends Message = Message> {
  readonly typeName: string
  /** In the order of their numbers. */
  readonly fields: { readonly [K in FieldName<T>]: Field }
  readonly byNumber: ReadonlyMap<number, readonly [name: string, field: Field]>
  /** What fields hold that are not set. */
  readonly defaults: object
  readonly is: (x: unknown) => x is T
}

export type Init<T extends Message> = MessageInitShape<GenMessage<T>>

/** What a message holds, by the names of its properties. */
export type Properties = Record<string, unknown>

const zeros: Readonly<Record<Scalar, unknown>> = {
  string: '',
  bytes: new Uint8Array(),
  float: 0,
  double: 0,
  int32: 0,
  int64: 0n,
  uint64: 0n,
}

export const schema = <T extends Message>(typeName: T['$typeName'], fields: Schema<T>['fields']): Schema<T> => {
  const list = Object.entries<Field>(fields)
  const defaults: Properties = {}
  for (const [name, field] of list) {
    const { type } = field
    if (field.list === true || field.oneof !== undefined || typeof type === 'function') continue
    defaults[name] = typeof type === 'string' ? zeros[type] : type[0]
  }
  return {
    typeName,
    fields,
    byNumber: new Map(list.map((entry) => [entry[1].number, entry])),
    defaults,
    is: (x): x is T => typeof x === 'object' && x !== null && '$typeName' in x && x.$typeName === typeName,
  }
}

/** A message of which nothing is set. */
export const emptyMessage = ({ typeName, fields, defaults }: Schema): Properties => {
  const made: Properties = Object.create(defaults)
  made['$typeName'] = typeName
  for (const [name, { list, oneof }] of Object.entries<Field>(fields)) {
    if (list === true) made[name] = []
    else if (oneof !== undefined) made[oneof] = { case: undefined }
  }
  return made
}

const isProperties = (x: unknown): x is Properties => typeof x === 'object' && x !== null

/** What a field is set to; undefined where it is not set, as a list without elements. */
export const valueOf = (message: Readonly<Properties>, name: string, { oneof }: Field): unknown => {
  if (oneof === undefined) {
    const value = Object.hasOwn(message, name) ? message[name] : undefined
    return Array.isArray(value) && value.length === 0 ? undefined : value
  }
  const chosen = message[oneof]
  return isProperties(chosen) && chosen['case'] === name ? chosen['value'] : undefined
}

export const setValue = (message: Properties, name: string, { oneof }: Field, value: unknown): void => {
  message[oneof ?? name] = oneof === undefined ? value : { case: name, value }
}

const make = (schema: Schema, init: unknown): unknown => {
  if (schema.is(init)) return init
  const made = emptyMessage(schema)
  if (!isProperties(init)) return made
  for (const [name, field] of Object.entries<Field>(schema.fields)) {
    const value = valueOf(init, name, field)
    const { type } = field
    if (value === undefined) continue
    if (typeof type !== 'function') setValue(made, name, field, value)
    else setValue(made, name, field, Array.isArray(value) ? value.map((one) => make(type(), one)) : make(type(), value))
  }
  return made
}

/** A new message; messages in it may be given by their properties alone. */
export const create = <T extends Message>(schema: Schema<T>, init?: Init<T>): T => {
  const made = make(schema, init)
  invariant(schema.is(made), `a message of ${schema.typeName} is one`)
  return made
}

/** Whether a field is set; a list is where it has elements. */
export const isSet = <T extends Message>({ fields }: Schema<T>, message: T, name: FieldName<T>): boolean =>
  valueOf(message, name, fields[name]) !== undefined

/** Takes from a message what a field is set to. */
export const clear = <T extends Message>(message: T, name: keyof T & FieldName<T>): void => {
  Reflect.deleteProperty(message, name)
}
