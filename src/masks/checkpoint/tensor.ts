/**
 * The closed table of names that stand for tensors: what PyTorch's and numpy's functions would have made of their
 * arguments, read from the arguments.
 * Source: https://github.com/pytorch/pytorch/blob/main/torch/_utils.py
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TensorFileError } from '../file-entry.ts'
import type { Found } from './found.ts'
import { arrayOf } from './numpy.ts'
import { fromCompressed, fromCoordinates } from './sparse.ts'
import {
  countsOf,
  damaged,
  isSkipped,
  partOf,
  referenceOf,
  type Skipped,
  type Storage,
  type Storages,
  torchType,
} from './storage.ts'
import { viewOf } from './strided.ts'
import { isMade, isTagged, itemsOf, type Made, nameOf, pairsOf, type Value } from './value.ts'

type Result = E.Either<TensorFileError, Found | Skipped>

/** Where the memory of tensors is: that of the file, and of files of PyTorch inside a pickle. */
export interface Sources {
  readonly storages: Storages
  /** The memory that a whole legacy file holds, whose bytes a plain pickle has for each. */
  readonly nested: (bytes: Value) => E.Either<TensorFileError, Storage | Skipped>
}

const skip = (skipped: string): Result => E.right({ skipped })

/** Tensors that hold a tensor, or what it takes to make one, in their arguments. No file nests more of them. */
const wrapperLimit = 8

const shards = 'Parts of tensors that are spread over several processes were passed over; save a full state dict.'

/** The tensor that `made` is, why it was passed over, or undefined where it is no tensor. */
export const tensorOf = (made: Made, sources: Sources, subject: string): Result | undefined => {
  let name = nameOf(made.callee)
  let { args } = made
  let current = made
  for (let depth = 0; depth < wrapperLimit; depth++) {
    const items: ReadonlyArray<Value> = itemsOf(args) ?? []
    const [first, second, third] = items
    switch (name) {
      case 'torch._utils._rebuild_tensor':
      case 'torch._utils._rebuild_tensor_v2':
      case 'torch._utils._rebuild_tensor_v3':
        return stridedOf(items, name.endsWith('v3'), sources, subject)
      case 'torch._utils._rebuild_parameter':
      case 'torch._utils._rebuild_parameter_with_state':
      case 'torch._utils._rebuild_device_tensor_from_cpu_tensor':
      case 'torch._utils._rebuild_device_tensor_from_numpy':
      case 'torch._utils._rebuild_xla_tensor':
      case 'torch.nn.parameter.Parameter':
      case 'torch.nn.parameter.Buffer':
        if (!isMade(first)) return skip('Parameters that hold no tensor were passed over.')
        current = first
        name = nameOf(first.callee)
        args = first.args
        break
      case 'torch._tensor._rebuild_from_type':
      case 'torch._tensor._rebuild_from_type_v2':
        if (isDistributed(nameOf(second))) return skip(shards)
        name = nameOf(first)
        args = third ?? null
        break
      case 'torch._utils._rebuild_sparse_tensor':
        return sparseOf(first, second, sources, subject)
      case 'torch._utils._rebuild_qtensor':
        return skip('Quantized tensors were passed over.')
      case 'torch._utils._rebuild_meta_tensor_no_storage':
        return skip('Tensors on the meta device, which hold no numbers, were passed over.')
      case 'torch._utils._rebuild_nested_tensor':
        return skip('Nested tensors were passed over.')
      case 'torch._utils._rebuild_wrapper_subclass':
        return skip(
          isDistributed(nameOf(first)) ? shards : 'Tensors of classes with data of their own were passed over.',
        )
      default:
        return isDistributed(name) ? skip(shards) : arrayOf(current, subject)
    }
  }
  return damaged(subject, 'a tensor', 'one within another, many times over')
}

const isDistributed = (name: string): boolean => name.startsWith('torch.distributed.') && /Tensor\b|Shard/.test(name)

const stridedOf = (items: ReadonlyArray<Value>, typed: boolean, sources: Sources, subject: string): Result => {
  const storage = storageOf(items[0], sources, subject)
  if (E.isLeft(storage)) return storage
  if (isSkipped(storage.right)) return E.right(storage.right)
  const offset = items[1]
  const shape = countsOf(items[2])
  const strides = countsOf(items[3])
  const dtype = typed ? torchType(items[6]) : storage.right.dtype
  if (shape === undefined || strides === undefined || typeof offset !== 'number' || offset < 0) {
    return damaged(subject, 'an offset, sizes and strides from 0 on', 'something else')
  }
  if (!Number.isSafeInteger(offset)) return damaged(subject, 'an offset below 2^53', `${offset}`)
  if (dtype === undefined) return skip(`Tensors of ${(typed && nameOf(items[6])) || 'unknown'} type were passed over.`)
  const flags = pairsOf(items[typed ? 7 : 6])
  if (flags?.get('conj') === true || flags?.get('neg') === true) {
    return skip('Tensors that are to be conjugated or negated when read were passed over.')
  }
  return viewOf(storage.right, { dtype, offset, shape, strides }, subject)
}

const storageOf = (
  value: Value | undefined,
  { storages, nested }: Sources,
  subject: string,
): E.Either<TensorFileError, Storage | Skipped> => {
  if (isMade(value) && nameOf(value.callee) === 'torch.storage._load_from_bytes') {
    return nested(itemsOf(value.args)?.[0] ?? null)
  }
  const reference = isTagged(value) && value.tag === 'persistent' ? referenceOf(value) : undefined
  if (reference === undefined) return damaged(subject, 'memory that the file holds', 'something else')
  if (isSkipped(reference)) return E.right(reference)
  const storage = storages(reference)
  if (E.isLeft(storage) || isSkipped(storage.right) || reference.part === undefined) return storage
  const { width, count: whole, part } = reference
  if (part.start + part.count > whole) {
    return damaged(subject, 'a part of its memory', `${part.count} elements from ${part.start} on`)
  }
  return E.right(partOf(storage.right, part.start * width, part.count * width))
}

const sparseOf = (layout: Value | undefined, data: Value | undefined, sources: Sources, subject: string): Result => {
  const items = itemsOf(data) ?? []
  const kind = isMade(layout) ? itemsOf(layout.args)?.[0] : undefined
  const coordinates = kind === 'torch.sparse_coo'
  const compressed = kind === 'torch.sparse_csr' || kind === 'torch.sparse_csc'
  if (!coordinates && !compressed) return skip('Sparse tensors of blocks were passed over.')
  const shape = countsOf(items[coordinates ? 2 : 3])
  const parts: Found[] = []
  for (const item of items.slice(0, coordinates ? 2 : 3)) {
    const part = plainTensor(item, sources, subject)
    if (E.isLeft(part)) return part
    if (isSkipped(part.right)) return E.right(part.right)
    parts.push(part.right)
  }
  const [first, second, third] = parts
  if (shape === undefined || first === undefined || second === undefined) {
    return damaged(subject, 'indices, values and a shape', 'something else')
  }
  if (coordinates) return fromCoordinates(first, second, shape, subject)
  if (third === undefined) return damaged(subject, 'indices, values and a shape', 'something else')
  return fromCompressed(first, second, third, shape, kind === 'torch.sparse_csc', subject)
}

/** A tensor of strides only: what sparse ones are made of. */
const plainTensor = (value: Value, sources: Sources, subject: string): Result => {
  const name = isMade(value) ? nameOf(value.callee) : ''
  if (!isMade(value) || !/^torch\._utils\._rebuild_tensor(_v[23])?$/.test(name)) {
    return damaged(subject, 'a tensor', 'something else')
  }
  return stridedOf(itemsOf(value.args) ?? [], name.endsWith('v3'), sources, subject)
}
