import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { invariant } from '../ir/failure.ts'
import { decode } from '../onnx/codec.ts'

/** The message kept from the source file, a new one each time; an empty message where nothing was kept. */
export const restore = <Desc extends DescMessage>(schema: Desc, kept: Uint8Array | undefined): MessageShape<Desc> => {
  if (kept === undefined || kept.byteLength === 0) return create(schema)
  const message = decode(schema, kept)
  invariant(E.isRight(message), `kept bytes of ${schema.typeName} decode`)
  return message.right
}
