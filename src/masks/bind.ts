/** Fits the tensors of a mask file to the weights of a graph. */
import * as E from 'fp-ts/lib/Either.js'
import { usersOf } from '../ir/analysis.ts'
import { stridesOf } from '../ir/evaluate.ts'
import { type Failure, failure, renderError } from '../ir/failure.ts'
import { type Graph, labelOf } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Dense, elements, isNumeric } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import { channelMask } from './channel-mask.ts'
import { closestNames } from '../ir/closest.ts'
import type { FileEntry, TensorFileError } from './file-entry.ts'
import { elementMask, type Mask, type Masks, sameMask } from './mask.ts'
import { type Layer, readersOfWeights, resolveWeights } from './weights.ts'

export type MaskError = Failure<'MaskError'>

/** Why masks cannot be had from a file: the file is broken, or they do not fit the model. */
export type MaskFileError = MaskError | TensorFileError

/** Bytes that a mask may take beyond eight for each element of its weight: a file format's header. */
const headerAllowance = 65_536

/**
 * Masks from the tensors of a file: each has the name of a weight and holds 0 and 1 only, one for every element of the
 * weight, or, in one dimension, one for every output channel of the layer that reads it. Every tensor that does not fit
 * is reported.
 *
 * A weight may be called by any name that stands for it (see {@link resolveWeights}); the masks are under the name of
 * the constant. Where one constant stands for the weights of several layers they must all get the same mask.
 */
export const bindMasks = (entries: ReadonlyArray<FileEntry>, graph: Graph): E.Either<MaskFileError, Masks> => {
  const problems: Array<() => MaskFileError> = []
  const named = new Map<ValueId, Map<string, Mask>>()
  for (const entry of entries) {
    const mask = bindOne(entry, graph)
    if (E.isLeft(mask)) {
      problems.push(mask.left)
      continue
    }
    const { root } = mask.right
    const known = named.get(root)
    if (known) known.set(entry.name, mask.right.mask)
    else named.set(root, new Map([[entry.name, mask.right.mask]]))
  }
  const masks = new Map<ValueId, Mask>()
  for (const [root, byName] of named) {
    const problem = sharingProblem(graph, root, byName)
    if (problem !== undefined) problems.push(() => problem)
    for (const mask of byName.values()) masks.set(root, mask)
  }
  const [first] = problems
  if (first === undefined) return E.right(masks)
  return E.left(problems.length === 1 ? first() : listProblems(problems))
}

/** Problems beyond this many are counted, not listed. */
const listedProblems = 20

const listProblems = (problems: ReadonlyArray<() => MaskFileError>): MaskFileError => {
  const lines = problems.slice(0, listedProblems).map((problem) => `  ${renderError(problem())}`)
  if (problems.length > listedProblems) lines.push(`  and ${problems.length - listedProblems} more.`)
  return failure(
    'MaskError',
    'masks',
    'every mask to fit a weight of the model',
    `${problems.length} that do not`,
    `Each of them:\n${lines.join('\n')}`,
  )
}

interface Bound {
  readonly root: ValueId
  readonly mask: Mask
}

const bindOne = (entry: FileEntry, graph: Graph): E.Either<() => MaskFileError, Bound> => {
  const { graph: resolved, rootOf } = resolveWeights(graph)
  const root = rootOf.get(entry.name)
  const weight = root === undefined ? undefined : resolved.constants.get(root)
  if (root === undefined || weight === undefined) return E.left(() => unknownName(entry.name, graph))
  const readers = readersOfWeights(graph).get(root) ?? []
  const layer = oneLayout(readers)
  const channels = weight.shape.length > 1 ? layer?.outputs : undefined
  const expected = expectation(weight.shape, channels)
  const limit = 8 * sizeOf(weight.shape) + headerAllowance
  if (entry.size > limit) {
    return E.left(() =>
      problem(entry.name, expected, `${entry.size} bytes`, `No such mask takes more than ${limit} bytes.`),
    )
  }
  const tensor = entry.decode()
  if (E.isLeft(tensor)) return E.left(() => tensor.left)
  const { shape, dtype } = tensor.right
  const whole = shape.length === weight.shape.length && shape.every((d, a) => d === weight.shape[a])
  const perChannel = !whole && layer !== undefined && shape.length === 1 && shape[0] === channels
  if (!whole && !perChannel) {
    return E.left(() =>
      problem(
        entry.name,
        expected,
        `shape [${shape.join(',')}]`,
        'Save the mask in the shape of the weight in the model.',
      ),
    )
  }
  if (!isNumeric(dtype)) {
    return E.left(() => problem(entry.name, expected, `elements of type ${dtype}`, 'Save the mask as booleans.'))
  }
  const kept = bits(tensor.right)
  if (E.isLeft(kept)) {
    const { at, value } = kept.left
    return E.left(() =>
      problem(
        entry.name,
        'only 0 (masked) and 1 (kept)',
        `${value} at [${indexOf(at, shape).join(',')}]`,
        'Masks are not weights: save where the weights are kept, for example as booleans.',
      ),
    )
  }
  return E.right({
    root,
    mask: perChannel ? channelMask(layer, kept.right) : elementMask(weight.shape, kept.right),
  })
}

const problem = (name: string, expected: string, found: string, help: string): MaskFileError =>
  failure('MaskError', `mask ${name}`, expected, found, help)

const expectation = (shape: ReadonlyArray<number>, channels: number | undefined): string =>
  `0 and 1 in shape [${shape.join(',')}]${channels === undefined ? '' : `, or [${channels}] for whole output channels`}`

const unknownName = (name: string, graph: Graph): MaskFileError => {
  const { graph: resolved, rootOf } = resolveWeights(graph)
  if (graph.defaults.has(name)) {
    return problem(
      name,
      'a constant weight',
      'an input of the model, whose value callers may replace',
      'Take it off the list of model inputs, so that only the initializer is left.',
    )
  }
  const close = closestNames(name, rootOf.keys(), 3).map((candidate) => {
    const shape = resolved.constants.get(rootOf.get(candidate) ?? '')?.shape ?? []
    return `${candidate} [${shape.join(',')}]`
  })
  const help =
    close.length === 0 ? 'The model holds no constants.' : `The closest names are ${close.join(', ')}. Rename the mask.`
  return problem(name, 'the name of a weight of the model', 'none of that name', help)
}

/** The layer that says where the output channels of a weight are, if all its readers say the same. */
const oneLayout = (readers: ReadonlyArray<Layer>): Layer | undefined => {
  const [first, ...others] = readers
  const same = others.every(
    ({ contraction: c }) =>
      c.weightOutputAxis === first?.contraction.weightOutputAxis &&
      c.grouped === first.contraction.grouped &&
      c.groups === first.contraction.groups,
  )
  return same ? first : undefined
}

/** A tensor of 0 and 1 as bytes, or the first element that is neither. */
const bits = (tensor: Dense): E.Either<{ readonly at: number; readonly value: string }, Uint8Array> => {
  const values = tensor.dtype === 'bool' || tensor.dtype === 'uint8' ? tensor.bytes : elements(tensor)
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i])
    if (value !== 0 && value !== 1) return E.left({ at: i, value: String(values[i]) })
  }
  return E.right(values instanceof Uint8Array ? values : Uint8Array.from(values, Number))
}

const indexOf = (flat: number, shape: ReadonlyArray<number>): ReadonlyArray<number> =>
  stridesOf(shape).map((stride, axis) => Math.floor(flat / stride) % (shape[axis] ?? 1))

/** Why masks given under names of one constant cannot be its mask. */
const sharingProblem = (graph: Graph, root: ValueId, byName: ReadonlyMap<string, Mask>): MaskFileError | undefined => {
  const [[firstName, first] = [root, undefined], ...others] = [...byName]
  for (const [name, mask] of others) {
    if (first === undefined || sameMask(first, mask)) continue
    return problem(
      name,
      `the mask of ${firstName}, because both are the constant ${root}`,
      'another mask',
      'Give both the same mask, or export the model with one initializer for each weight.',
    )
  }
  const outside = byName.has(root) ? [] : readersOutside(graph, root, byName)
  if (outside.length === 0) return undefined
  return problem(
    firstName,
    `a weight of its own`,
    `the constant ${root}, which is also read by ${outside.join(', ')}`,
    `Give the mask the name ${root} to mask it everywhere, or export the model with one initializer for each weight.`,
  )
}

/** What reads a constant under none of the names masked, nor a name that passes one of these on. */
const readersOutside = (graph: Graph, root: ValueId, masked: ReadonlyMap<string, Mask>): ReadonlyArray<string> => {
  const { rootOf, sourceOf } = resolveWeights(graph)
  const inside = new Set<ValueId>()
  const outside: string[] = []
  for (const [name, itsRoot] of rootOf) {
    if (itsRoot !== root) continue
    if (masked.has(name) || inside.has(sourceOf.get(name) ?? '')) {
      inside.add(name)
      continue
    }
    for (const node of usersOf(graph).get(name) ?? []) {
      if (!node.outputs.some((output) => sourceOf.get(output) === name)) outside.push(labelOf(node))
    }
    if (graph.outputs.some((output) => output.name === name)) outside.push(`the model output ${name}`)
  }
  return outside
}
