import * as E from 'fp-ts/lib/Either.js'
import { bitsOf, byteLength } from '../ir/dtype.ts'
import { sameTensor } from '../ir/equal.ts'
import { type Failure, failure } from '../ir/failure.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { edited, editElements } from '../ir/edits.ts'
import { noteExtremes } from '../ir/scan.ts'
import { elements, type Held, isNumeric, pieces, type Tensor, tensorOf } from '../ir/tensor.ts'
import { sameShape, sizeOf } from '../ir/type.ts'
import { expandMask, keptReader, intersectMask, type Mask, maskRows, type Masks } from '../masks/mask.ts'
import { holdingsOf, maskable, resolveWeights } from '../masks/weights.ts'

export type MaskError = Failure<'MaskError'>

/**
 * The masked model: every weight that has a mask multiplied by it, element by element. A constant that is called by
 * several names is masked once, by what all of their masks keep. A constant whose masked elements are zero already stays
 * the same tensor, and a graph of which all do stays the same graph; the bytes of the others are never written to.
 *
 * Fails where a mask names no constant, has another shape than the constant, or masks something that holds no numbers.
 */
export const applyMasks = (graph: Graph, masks: Masks): E.Either<MaskError, Graph> => {
  const resolved = resolveWeights(graph)
  const byRoot = new Map<ValueId, Mask>()
  for (const [name, mask] of masks) {
    const root = resolved.rootOf.get(name)
    const tensor = root === undefined ? undefined : maskable(graph, root)
    if (root === undefined || tensor === undefined) return E.left(noSuchWeight(graph, name))
    if (!sameShape(mask.shape, tensor.shape)) {
      const [expected, found] = [tensor.shape.join(','), mask.shape.join(',')]
      return E.left(misfit(name, `the shape [${expected}] of the weight`, `[${found}]`))
    }
    if (!isNumeric(tensor.dtype)) return E.left(misfit(name, 'a weight of numbers', tensor.dtype))
    const known = byRoot.get(root)
    byRoot.set(root, known === undefined ? mask : intersectMask(known, mask))
  }
  const constants = new Map(graph.constants)
  const changed = new Set<ValueId>()
  for (const [root, mask] of byRoot) {
    const tensor = resolved.graph.constants.get(root)
    const masked = tensor && multiplyRead(graph, root, tensor, mask)
    if (masked === undefined || masked === tensor) continue
    if (masked === 'torn') return E.left(torn(root))
    constants.set(root, masked)
    changed.add(root)
  }
  if (changed.size === 0) return E.right(graph)
  // A weight that a node held is a constant of the graph from here on.
  const nodes = graph.nodes.filter((node) => !node.outputs.some((output) => changed.has(output)))
  return E.right(withParts(graph, { nodes, constants }))
}

/** `tensor · mask`; the same tensor where that changes nothing. */
const multiply = (tensor: Tensor, { within, ...mask }: Mask): Tensor =>
  multiplyBy(tensor, within === tensor ? mask : { ...mask, within })

const multiplyBy = (tensor: Tensor, mask: Mask): Tensor => {
  const masksAny = mask.within !== undefined || [mask.elements, ...mask.axes].some((kept) => kept?.includes(0))
  if (!masksAny) return tensor
  if (tensor.tag === 'Held') return multiplyHeld(tensor, mask)
  if (bitsOf(tensor.dtype) < 8) {
    const kept = expandMask(mask)
    const values = Float64Array.from(elements(tensor), Number)
    if (!values.some((x, i) => x !== 0 && kept[i] === 0)) return tensor
    const masked = tensorOf(
      tensor.dtype,
      tensor.shape,
      values.map((x, i) => (kept[i] === 0 ? 0 : x)),
    )
    return tensor.meta === undefined ? masked : { ...masked, meta: tensor.meta }
  }
  const inner = byteLength(tensor.dtype, sizeOf(tensor.shape.slice(1)))
  const keptIn = (rows: Uint8Array, first: number): Uint8Array =>
    expandMask(maskRows(mask, first, first + rows.byteLength / inner))
  const width = bitsOf(tensor.dtype) / 8
  const isKept = keptReader(mask)
  for (const { first, rows } of pieces(tensor)) {
    if (hidesAny(rows.bytes, keptIn(rows.bytes, first), width)) {
      const masked = edited(tensor, (bytes, at) => hide(bytes, keptIn(bytes, at), width), {
        each: isKept && ((value, index) => (isKept(index) ? value : 0)),
        meta: tensor.meta,
      })
      noteExtremes(tensor, masked)
      return masked
    }
  }
  return tensor
}

/** The same for a constant that may be integers; `torn` where nodes that read it would not agree on those of the masked weight. */
const multiplyRead = (graph: Graph, root: ValueId, tensor: Tensor, mask: Mask): Tensor | 'torn' => {
  const holdings = holdingsOf(graph).get(root)
  if (holdings === undefined) return multiply(tensor, mask)
  let found: Tensor | undefined
  for (const { held, store } of holdings) {
    if (!sameShape(held.shape, mask.shape)) return 'torn'
    const masked = multiplyHeld(held, mask)
    const stored = masked === held ? tensor : store(masked)
    if (stored === undefined || (found !== undefined && !sameTensor(found, stored))) return 'torn'
    found = stored
  }
  return found ?? tensor
}

/** The same for what is held as integers: what is masked becomes the integer that stands for zero. */
const multiplyHeld = (tensor: Held, mask: Mask): Held => {
  const inner = sizeOf(tensor.shape.slice(1))
  const keptIn = (count: number, first: number): Uint8Array =>
    expandMask(maskRows(mask, first, first + count / Math.max(1, inner)))
  for (const { first, rows } of pieces(tensor)) {
    const values = elements(rows)
    const kept = keptIn(values.length, first)
    if (!values.some((x, i) => Number(x) !== 0 && kept[i] === 0)) continue
    const masked = editElements(tensor, (numbers, from) => {
      const keptHere = keptIn(numbers.length, from)
      for (let i = 0; i < numbers.length; i++) if (keptHere[i] === 0) numbers[i] = 0
    })
    return masked.tag === 'Held' ? masked : tensor
  }
  return tensor
}

/** Whether some masked element of `width` bytes is not zero bits, which are the number 0 in every numeric type. */
const hidesAny = (bytes: Uint8Array, kept: Uint8Array, width: number): boolean => {
  for (let i = 0; i < kept.length; i++) {
    if (kept[i] !== 0) continue
    for (let b = i * width; b < (i + 1) * width; b++) if (bytes[b] !== 0) return true
  }
  return false
}

/** Writes zeros to the masked elements of `width` bytes. */
const hide = (bytes: Uint8Array, kept: Uint8Array, width: number): Uint8Array => {
  if (width === 4 && bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, kept.length)
    // All ones where an element is kept, which is 1, else all zeros.
    for (let i = 0; i < kept.length; i++) words[i] = (words[i] ?? 0) & -(kept[i] ?? 0)
    return bytes
  }
  for (let i = 0; i < kept.length; i++) if (kept[i] === 0) bytes.fill(0, i * width, (i + 1) * width)
  return bytes
}

const noSuchWeight = (graph: Graph, name: ValueId): MaskError => {
  if (graph.defaults.has(name)) {
    const found = 'a model input with a default value, which callers may replace'
    return failure('MaskError', `mask ${name}`, 'a constant', found, takeOffInputs)
  }
  return misfit(name, 'a constant of the model', graph.types.has(name) ? 'a computed value' : 'no value of this name')
}

const torn = (name: ValueId): MaskError =>
  failure(
    'MaskError',
    `mask ${name}`,
    'integers that stand for the same numbers in all nodes that read them',
    'nodes with other zero points or computed ones, or for which they are a weight of another shape',
    'Mask what each of these nodes makes of the integers, or store the weight once for each of them.',
  )

const takeOffInputs =
  'Take the weights off the list of model inputs, so that only the initializers are left (export without keep_initializers_as_inputs).'

const misfit = (name: string, expected: string, found: string): MaskError =>
  failure('MaskError', `mask ${name}`, expected, found, 'Name each mask after the initializer that it masks.')
