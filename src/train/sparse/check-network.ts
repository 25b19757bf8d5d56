import { type SparseError, sparseError } from './error.ts'
import { type Layer, type Network, type Slot, slotsOf, type Stream } from './network.ts'

/** What is wrong with a description of a network, if anything: the first thing found. */
export const networkProblem = (network: Network): SparseError | undefined => {
  const layers = new Map<string, Layer>()
  for (const layer of network.layers) {
    const problem = layers.has(layer.name)
      ? sparseError(`layer ${layer.name}`, 'a name of its own', 'two layers of that name', 'Give every layer one name.')
      : layerProblem(layer)
    if (problem !== undefined) return problem
    layers.set(layer.name, layer)
  }
  if (layers.size === 0) return sparseError('layers', 'at least one', 'none', 'List the weights that carry masks.')
  const taken = new Map<string, Uint8Array>()
  for (const stream of network.streams) {
    const problem = streamProblem(stream, layers, taken)
    if (problem !== undefined) return problem
  }
  return undefined
}

const layerProblem = ({ name, shape, outputAxis, inputAxis, role, exempt }: Layer): SparseError | undefined => {
  const subject = `layer ${name}`
  if (role !== undefined) {
    const [size = 0] = shape
    const good = shape.length === 1 && Number.isSafeInteger(size) && size > 0 && outputAxis === 0 && exempt === true
    const found = `[${shape.join(',')}], output axis ${outputAxis}${exempt === true ? '' : ', not exempt'}`
    const help = 'Scales and shifts have a number for each channel.'
    return good ? undefined : sparseError(subject, 'an exempt vector, output axis 0', found, help)
  }
  if (shape.length < 2 || !shape.every((d) => Number.isSafeInteger(d) && d > 0)) {
    return sparseError(
      subject,
      'a shape of at least two positive sizes',
      `[${shape.join(',')}]`,
      'Only matrices and kernels carry masks.',
    )
  }
  const inside = (axis: number): boolean => Number.isInteger(axis) && axis >= 0 && axis < shape.length
  if (!inside(outputAxis) || !inside(inputAxis) || outputAxis === inputAxis) {
    return sparseError(
      subject,
      `an output and an input axis, two of 0 to ${shape.length - 1}`,
      `${outputAxis} and ${inputAxis}`,
      'Say which axes of the weight its output and input channels lie on.',
    )
  }
  return undefined
}

const streamProblem = (
  stream: Stream,
  layers: ReadonlyMap<string, Layer>,
  taken: Map<string, Uint8Array>,
): SparseError | undefined => {
  if (!Number.isSafeInteger(stream.channels) || stream.channels < 1 || stream.producers.length === 0) {
    return sparseError(
      `stream ${stream.name}`,
      'at least one channel and a layer that makes it',
      `${stream.channels} channels, ${stream.producers.length} producers`,
      'A channel is judged by the weights that make it: list them.',
    )
  }
  for (const slot of slotsOf(stream)) {
    const problem = slotProblem(stream, slot, layers.get(slot.layer), taken)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Marks the slot's indices as taken, so that no two streams decide over one of them. */
const slotProblem = (
  stream: Stream,
  slot: Slot,
  layer: Layer | undefined,
  taken: Map<string, Uint8Array>,
): SparseError | undefined => {
  const subject = `stream ${stream.name}`
  const where = `axis ${slot.axis} of ${slot.layer}`
  const size = layer?.shape[slot.axis]
  if (size === undefined) {
    return sparseError(subject, 'an axis of one of the layers', where, 'Use the names and axes that the layers have.')
  }
  const { offset = 0, span = 1 } = slot
  const end = offset + stream.channels * span
  if (!Number.isInteger(offset) || !Number.isInteger(span) || offset < 0 || span < 1 || end > size) {
    return sparseError(
      subject,
      `${stream.channels} channels of ${span} within the ${size} indices of ${where}`,
      `indices ${offset} to ${end - 1}`,
      'Correct the offset, the span or the number of channels.',
    )
  }
  const key = `${slot.axis} ${slot.layer}`
  const marks = taken.get(key) ?? new Uint8Array(size)
  if (marks.subarray(offset, end).includes(1)) {
    return sparseError(
      subject,
      `indices of ${where} that no other slot has`,
      'some that one has',
      'Channels on one axis form one stream.',
    )
  }
  marks.fill(1, offset, end)
  taken.set(key, marks)
  return undefined
}
