/** Names of values that are not UTF-8, found in the bytes of a model: decoding replaces what is wrong in them. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

type Message = 'model' | 'graph' | 'node' | 'attribute' | 'function' | 'valueInfo' | 'tensor' | 'sparse'

/** By field number: names, and messages that hold some. */
const fields: Readonly<Record<Message, ReadonlyMap<number, Message | 'name'>>> = {
  model: new Map<number, Message>([
    [7, 'graph'],
    [25, 'function'],
  ]),
  graph: new Map<number, Message>([
    [1, 'node'],
    [5, 'tensor'],
    [11, 'valueInfo'],
    [12, 'valueInfo'],
    [15, 'sparse'],
  ]),
  node: new Map<number, Message | 'name'>([
    [1, 'name'],
    [2, 'name'],
    [5, 'attribute'],
  ]),
  attribute: new Map<number, Message>([
    [6, 'graph'],
    [11, 'graph'],
  ]),
  function: new Map<number, Message | 'name'>([
    [4, 'name'],
    [5, 'name'],
    [7, 'node'],
  ]),
  valueInfo: new Map([[1, 'name']]),
  tensor: new Map([[8, 'name']]),
  sparse: new Map([[1, 'tensor']]),
}

/**
 * A name in a serialised ModelProto that is not UTF-8, as decoding gives it; empty where fields have other wire types than
 * ONNX gives them, so that there is no telling. Linear in the bytes.
 */
export const brokenName = (bytes: Uint8Array): string | undefined => {
  try {
    return firstBroken(bytes)
  } catch {
    return ''
  }
}

const firstBroken = (bytes: Uint8Array): string | undefined => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const open: Array<readonly [message: Message, bytes: Uint8Array]> = [['model', bytes]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [message, content] = next
    const reader = new BinaryReader(content)
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag()
      const field = fields[message].get(number)
      if (wireType !== WireType.LengthDelimited || field === undefined) {
        reader.skip(wireType, number)
        continue
      }
      const value = reader.bytes()
      if (field !== 'name') open.push([field, value])
      else {
        try {
          strict.decode(value)
        } catch {
          return new TextDecoder().decode(value)
        }
      }
    }
  }
  return undefined
}
