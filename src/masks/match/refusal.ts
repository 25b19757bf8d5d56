/** What is said of masks that found no weight, or too many. */
import { failure, renderError } from '../../ir/failure.ts'
import { closestName, closestNames } from '../../ir/closest.ts'
import type { Graph } from '../../ir/graph.ts'
import { maskable, resolveWeights } from '../weights.ts'
import type { MaskFileError } from './error.ts'
import type { Layout } from './region.ts'
import type { MaskTensor } from './mask-tensors.ts'
import { describeSlot, isPrunable, type Slot, slotsOf } from './slots.ts'

const problem = (name: string, expected: string, found: string, help: string): MaskFileError =>
  failure('MaskError', `mask ${name}`, expected, found, help)

/** Candidates beyond this many are counted, not listed. */
const listed = 4

const list = (items: ReadonlyArray<string>): string =>
  items.length <= listed ? items.join('; ') : `${items.slice(0, listed).join('; ')}; and ${items.length - listed} more`

const settle =
  'Say which with --mask-map (chasec masks IN.onnx MASKS --write-map FILE drafts one), or give the weights with --weights.'

export const ambiguousSlots = (mask: MaskTensor, slots: ReadonlyArray<Slot>): MaskFileError =>
  problem(
    mask.label,
    'one weight that it fits',
    `${slots.length} that it fits equally: ${list([...new Set(slots.map(describeSlot))])}`,
    settle,
  )

export const ambiguousLayout = (mask: MaskTensor, slot: Slot, layouts: ReadonlyArray<Layout>): MaskFileError =>
  problem(
    mask.label,
    `one way to lie on ${describeSlot(slot)}`,
    `${layouts.map(({ kind }) => kind).join(' and ')}, which its square shape does not tell apart`,
    settle,
  )

export const wrongShape = (mask: MaskTensor, slot: Slot): MaskFileError => {
  const { shape } = slot.tensor
  const channels =
    shape.length > 1 && slot.layer !== undefined ? `, or [${slot.layer.outputs}] for whole output channels` : ''
  return problem(
    mask.label,
    `0 and 1 in shape [${shape.join(',')}]${channels}`,
    `shape [${mask.shape.join(',')}]`,
    'Save the mask in the shape of the weight in the model.',
  )
}

export const otherNumbers = (mask: MaskTensor, slot: Slot): MaskFileError =>
  problem(
    mask.label,
    'a weight with the numbers of the one given for it',
    `other numbers in ${describeSlot(slot)}, whose name would fit`,
    'Give the weights that the model was exported with, or leave them out; --mask-map says where a mask belongs whatever the numbers.',
  )

/** A mask as `torch.nn.utils.prune` keeps it applies to one use of a parameter, other masks to the parameter. */
export const tiedProblem = (mask: MaskTensor, slot: Slot, other: Slot): MaskFileError =>
  problem(
    mask.label,
    `masks for both ${describeSlot(slot)} and ${describeSlot(other)}, which hold the same parameter`,
    'one for the first',
    'Give the other a mask too: the same, or one that keeps everything.',
  )

export const copyProblem = (mask: MaskTensor, slot: Slot, other: Slot): MaskFileError =>
  problem(
    mask.label,
    `one constant with the numbers of ${describeSlot(slot)}`,
    `${describeSlot(other)} as well, in another form`,
    'They may be one parameter that is used twice, or two that are equal: export the model with the weights masked, and take --masks zeros.',
  )

export const folded = (mask: MaskTensor, slots: ReadonlyArray<Slot>): MaskFileError =>
  problem(
    mask.label,
    'a weight that the model holds as it was trained',
    `none; it may have been folded into ${list(slots.map(describeSlot))}`,
    'Export the masked model, and take --masks zeros; or leave this mask out (null in --mask-map).',
  )

export const unknownName = (mask: MaskTensor, graph: Graph, free: ReadonlyArray<Slot>): MaskFileError => {
  const { rootOf } = resolveWeights(graph)
  if (free.length > 0) {
    const near = `Of its shape is left ${list(free.map(describeSlot))}`
    return problem(mask.label, 'the name of a weight of the model', 'none of that name', `${near}. ${settle}`)
  }
  const close = closestNames(mask.label, rootOf.keys(), 3).map((candidate) => {
    const shape = maskable(graph, rootOf.get(candidate) ?? '')?.shape ?? []
    return `${candidate} [${shape.join(',')}]`
  })
  const help =
    close.length === 0 ? 'The model holds no constants.' : `The closest names are ${close.join(', ')}. Rename the mask.`
  return problem(mask.label, 'the name of a weight of the model', 'none of that name', help)
}

export const unknownInMap = (name: string, masks: ReadonlyArray<string>): MaskFileError => {
  const close = closestName(name, new Set(masks))
  const help = close === undefined ? 'Take the entry out of the map.' : `Did you mean ${close}?`
  return failure('MaskError', `mask map, ${name}`, 'the name of a mask in the file', 'none of that name', help)
}

export const weightsAreInputs = (count: number): MaskFileError =>
  failure(
    'MaskError',
    'masks',
    'constant weights',
    `inputs of the model under the names of ${count === 1 ? 'the mask' : `${count} masks`}, whose values callers may replace`,
    'Take the weights off the list of model inputs, so that only the initializers are left (export without keep_initializers_as_inputs).',
  )

/** When nothing fits at all: the masks of another model. */
export const anotherModel = (masks: ReadonlyArray<MaskTensor>, graph: Graph): MaskFileError => {
  const weights = slotsOf(graph).filter(isPrunable)
  const near = masks.slice(0, 3).map(({ label, shape }) => {
    const [best] = weights
      .map((slot) => ({ slot, distance: shapeDistance(shape, slot.tensor.shape) }))
      .sort((a, b) => a.distance - b.distance)
    return `${label} [${shape.join(',')}]${best === undefined ? '' : ` to ${best.slot.alias} [${best.slot.tensor.shape.join(',')}]`}`
  })
  return failure(
    'MaskError',
    'masks',
    'masks of this model',
    `${masks.length}, none of which fits any of its ${weights.length} weights by name, module or shape`,
    `They are masks of another model; the nearest by shape: ${near.join(', ')}.`,
  )
}

/** How unlike two shapes are: their ranks first, then the sizes, in whatever order. */
const shapeDistance = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const [x, y] = [a.toSorted((p, q) => q - p), b.toSorted((p, q) => q - p)]
  let distance = 100 * Math.abs(a.length - b.length)
  for (let i = 0; i < Math.min(x.length, y.length); i++)
    distance += Math.abs(Math.log2((x[i] ?? 0) + 1) - Math.log2((y[i] ?? 0) + 1))
  return distance
}

/** Problems beyond this many are counted, not listed. */
const listedProblems = 20

/** All that is wrong, as one error. `fit`: how many masks found their weights. */
export const allProblems = (problems: ReadonlyArray<MaskFileError>, fit = 0): MaskFileError => {
  const [first] = problems
  if (first !== undefined && problems.length === 1) return first
  const lines = problems.slice(0, listedProblems).map((one) => `  ${renderError(one)}`)
  if (problems.length > listedProblems) lines.push(`  and ${problems.length - listedProblems} more.`)
  return failure(
    'MaskError',
    'masks',
    'every mask to fit a weight of the model',
    `${problems.length} that do not`,
    `${fit > 0 && problems.length > fit / 2 ? `${fit} fit: are they masks of a larger or another model? ` : ''}Each of them:\n${lines.join('\n')}`,
  )
}
