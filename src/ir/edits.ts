/** Tensors with other numbers, which are made whenever they are read. */
import { byteLength } from './dtype.ts'
import { encodeElements } from './element-codec.ts'
import { invariant } from './failure.ts'
import { heldReader } from './held.ts'
import {
  copyElements,
  dense,
  type Edited,
  elementBuffer,
  elements,
  float32View,
  hasWholeRows,
  type Held,
  isSmall,
  materialize,
  type Tensor,
  type TensorMeta,
  tensorOf,
  type TensorShape,
} from './tensor.ts'
import { sizeOf } from './type.ts'

/** `source` with other numbers; see {@link Edited}. What is written of it besides is `meta`. Small tensors are made at once. */
export const edited = (
  source: Tensor,
  edit: Edited['edit'],
  { each, meta }: { readonly each?: Edited['each']; readonly meta?: TensorMeta | undefined } = {},
): Tensor => {
  const { dtype, shape } = source
  invariant(hasWholeRows(source), `rows of ${dtype}[${shape.join(',')}] to be changed`)
  const tensor: Edited = {
    tag: 'Edited',
    dtype,
    shape,
    source,
    edit,
    ...(each === undefined ? {} : { each }),
    ...(meta === undefined ? {} : { meta }),
  }
  return isSmall(source) ? materialize(tensor) : tensor
}

/** Rows of another type and size in place of those of `source`, made of their bytes by `edit`. Small tensors are made at once. */
export const reformed = (source: Tensor, { dtype, shape }: TensorShape, edit: Edited['edit']): Tensor => {
  const fits = source.shape[0] === shape[0] && hasWholeRows(source) && hasWholeRows({ dtype, shape })
  invariant(fits, `rows of ${source.dtype}[${source.shape.join(',')}] as ${dtype}[${shape.join(',')}]`)
  const tensor: Edited = { tag: 'Edited', dtype, shape, source, edit }
  return isSmall(tensor) ? materialize(tensor) : tensor
}

/**
 * `source` with its elements changed in place by `edit`, which is given those of rows from `first` on; each rounded once. What
 * is held can be given numbers only that it {@link holds}. `each`, where given, says the same of one element.
 */
export const editElements = (
  source: Tensor,
  edit: (values: Float32Array | Float64Array, first: number) => void,
  each?: Edited['each'],
): Tensor => {
  const { dtype, shape } = source
  if (source.tag === 'Held') return editHeld(source, edit)
  const change = (bytes: Uint8Array, first: number): Uint8Array => {
    const rows = bytes.byteLength / Math.max(1, byteLength(dtype, sizeOf(shape.slice(1))))
    const given = dense(dtype, shape.length === 0 ? [] : [rows, ...shape.slice(1)], bytes)
    // The bytes may be written to, and a view of them, where there is one, is changed in place.
    const values = dtype === 'float32' ? float32View(given) : copyElements(given)
    edit(values, first)
    return encodeElements(dtype, values)
  }
  return edited(source, change, { each })
}

const editHeld = (source: Held, edit: (values: Float32Array | Float64Array, first: number) => void): Held => {
  const { stored, shape } = source
  const each = sizeOf(shape.slice(1))
  const read = heldReader(source, source.scale && elements(source.scale), source.zero && elements(source.zero))
  const change = (numbers: Float32Array | Float64Array, first: number): void => {
    const start = first * each
    const before = numbers.map((q, i) => read.decode(q, start + i))
    const after = elementBuffer(source.dtype, numbers.length)
    after.set(before)
    edit(after, first)
    for (let i = 0; i < after.length; i++) {
      const value = after[i] ?? 0
      if (value !== before[i]) numbers[i] = read.encode(value, start + i)
    }
  }
  if (hasWholeRows(stored)) return { ...source, stored: editElements(stored, change) }
  const numbers = copyElements(stored)
  change(numbers, 0)
  return { ...source, stored: tensorOf(stored.dtype, shape, numbers) }
}
