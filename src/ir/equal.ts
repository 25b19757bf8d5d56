/** Equality of what tensors hold. */
import { pieces, type Tensor } from './tensor.ts'
import { sameShape } from './type.ts'

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const none = new Uint8Array()

const sameStrings = (a: ReadonlyArray<Uint8Array> = [], b: ReadonlyArray<Uint8Array> = []): boolean =>
  a.length === b.length && a.every((text, i) => sameBytes(text, b[i] ?? none))

/** Whether two tensors agree in type, every byte (so 0 is not -0), and what their files say besides. */
export const sameTensor = (a: Tensor, b: Tensor): boolean => {
  if (a === b) return true
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape) || !sameBytes(a.meta ?? none, b.meta ?? none)) return false
  const others = pieces(b)[Symbol.iterator]()
  for (const { rows } of pieces(a)) {
    const other = others.next()
    if (other.done === true || !sameBytes(rows.bytes, other.value.rows.bytes)) return false
    if (!sameStrings(rows.strings, other.value.rows.strings)) return false
  }
  return true
}
