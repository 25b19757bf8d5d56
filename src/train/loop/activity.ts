/** Which channels do anything, by what the layers that read them see of the training images. */
import * as E from 'fp-ts/lib/Either.js'
import type { ValueId } from '../../ir/op.ts'
import { batchesInOrder, type DataSet, loadBatch } from '../data/index.ts'
import { indicesOf, type Stream } from '../sparse/network.ts'
import type { TrainError } from './error.ts'
import { disposeAll, type Run } from './run.ts'
import { feedsOf } from './score.ts'

/**
 * Per stream one byte per channel: 0 where every layer that sums over the channel has seen nothing but 0 in its place, in evaluation of
 * the first `part` of the training images, at least one, none of them varied. A layer that cannot be watched counts as one that
 * has seen something.
 */
export const activeChannels = async (
  { executor, device, sparse }: Run,
  data: DataSet,
  batch: number,
  part: number,
): Promise<E.Either<TrainError, ReadonlyArray<Uint8Array>>> => {
  const { layers, streams } = sparse.network
  const inputAxes = new Map(layers.map(({ name, inputAxis }) => [name, inputAxis]))
  const readers = streams.map(({ consumers }) => consumers.filter(({ layer, axis }) => inputAxes.get(layer) === axis))
  const names = new Set(readers.flatMap((slots) => slots.map(({ layer }) => layer)))
  const sums = new Map<ValueId, Float64Array>()
  for (const drawn of batchesInOrder(Math.max(1, Math.round(part * data.train.size)), batch)) {
    const loaded = await loadBatch(data, data.train, drawn)()
    if (E.isLeft(loaded)) return loaded
    const found = executor.activity(device, feedsOf(executor, data, loaded.right), names)
    if (E.isLeft(found)) return found
    for (const [name, tensor] of found.right) {
      const seen = Float64Array.from(await tensor.data())
      sums.set(name, sums.get(name)?.map((sum, i) => sum + (seen[i] ?? 0)) ?? seen)
    }
    disposeAll(found.right)
  }
  return E.right(streams.map((stream, s) => activeIn(stream, readers[s] ?? [], sums)))
}

const activeIn = (
  { channels }: Stream,
  readers: Stream['consumers'],
  sums: ReadonlyMap<ValueId, Float64Array>,
): Uint8Array =>
  Uint8Array.from({ length: channels }, (_, channel) => {
    const one = new Uint8Array(channels)
    one[channel] = 1
    const isActive = readers.some((slot) => {
      const seen = sums.get(slot.layer)
      return indicesOf(slot, one).some((index) => seen?.[index] !== 0)
    })
    return isActive ? 1 : 0
  })
