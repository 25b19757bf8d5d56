/** Takes the channels that are worth least out of the network, for good. */
import { type Group, selectChannels } from '../../masks/select.ts'
import { scoreStream } from './channel-scores.ts'
import { code, countCodes, fillAxes, kept } from './codes.ts'
import { markAxes, streamsIn } from './network.ts'
import type { RemoveChannels, RemoveDead, RemoveZero } from './phase.ts'
import { channelSums } from './saliency.ts'
import { valueAt } from './schedule.ts'
import type { Work } from './workspace.ts'

/**
 * Carries out a removal: exactly as many channels as bring the removed ones to `round(fraction · all)`, the lowest scores over
 * all streams in scope first, ties in the order of streams and channels. A stream that would fall below its floor is cut
 * to the floor and the rest taken from the others.
 *
 * The authors' code, having selected by `score ≤ threshold`, drops a random part of the selection to get the number right,
 * which makes removal unordered by score; its other version removes none of many equal scores. Here it is exact. It also
 * cannot end without an answer: when every stream is at its floor, the rest stays (`missing`).
 * With a floor below one channel a stream may lose all; what it feeds then sees constants only.
 */
export const removeChannels = (work: Work, move: RemoveChannels): void => {
  const { state, removed } = work
  const { network, origin } = state
  const scope = streamsIn(network, move.scope)
  const layers = new Map(work.all.map((layer) => [layer.layer.name, layer]))
  const shapes = new Map(origin.layers.map((layer) => [layer.name, layer]))
  const groups = scope.flatMap((s): ReadonlyArray<Group> => {
    const [stream, marks, before] = [network.streams[s], removed[s], origin.streams[s]]
    if (stream === undefined || marks === undefined || before === undefined) return []
    const scores = new Float64Array(before.channels)
    scores.set(scoreStream(stream, layers, shapes, move.score))
    // Channels dropped from the network count at the end, as gone.
    const alive = new Uint8Array(before.channels)
    alive.set(marks.map((mark) => 1 - mark))
    return [{ name: stream.name, scores, alive }]
  })
  const fraction = valueAt(move.fraction, work.step)
  // The floor goes by the final fraction, the number to remove by the present one.
  const selection = selectChannels(groups, { channels: fraction, floor: move.floor * (1 - move.final) })
  const now = removed.map((marks) => new Uint8Array(marks.length))
  for (const [g, s] of scope.entries()) {
    for (const [c, going] of selection.removed[g]?.entries() ?? []) {
      if (going !== 1) continue
      removed[s]?.fill(1, c, c + 1)
      now[s]?.fill(1, c, c + 1)
    }
  }
  work.removal = {
    wanted: selection.wanted,
    missing: selection.missing,
    saturated: groups.flatMap((group, g) => (selection.saturated[g] === true ? [group.name] : [])),
  }
  takeOut(work, now)
}

/** Removes the channels that are marked. */
export const removeMarked = (work: Work): void => {
  const now = work.marked.map((marks) => marks.slice())
  for (const [s, marks] of now.entries()) {
    for (const [c, mark] of marks.entries()) if (mark === 1) work.removed[s]?.fill(1, c, c + 1)
    work.marked[s]?.fill(0)
  }
  takeOut(work, now)
}

/** Removes the channels that nothing has seen active, but for the last one of a stream. */
export const removeDead = (work: Work, { scope }: RemoveDead): void => {
  const now = work.state.network.streams.map((stream, s) => {
    const going = new Uint8Array(stream.channels)
    if (scope === 'block' && stream.scope !== 'block') return going
    const removed = work.removed[s] ?? going
    let left = removed.reduce((n, mark) => n + 1 - mark, 0)
    for (const c of going.keys()) {
      if (removed[c] === 1 || work.active[s]?.[c] !== 0 || left === 1) continue
      going[c] = 1
      removed[c] = 1
      left -= 1
    }
    return going
  })
  takeOut(work, now)
}

/** Removes channels that are 0 in all that makes them, and with a fraction the rest of what is to go: see {@link RemoveZero}. */
export const removeZero = (work: Work, { scope, fraction }: RemoveZero): void => {
  const { network, origin } = work.state
  const now = work.removed.map((marks) => new Uint8Array(marks.length))
  const going: Array<{ readonly stream: number; readonly channel: number; readonly worth: number }> = []
  const streams = streamsIn(network, scope)
  let [all, gone] = [0, 0]
  for (const [n, { squares, size }] of channelSums(work, streams).entries()) {
    const s = streams[n] ?? -1
    all += origin.streams[s]?.channels ?? 0
    gone += (origin.streams[s]?.channels ?? 0) - squares.length
    for (const [channel, square] of squares.entries()) {
      const isGone = work.removed[s]?.[channel] === 1
      if (isGone || square === 0) gone += 1
      if (!isGone && square === 0) now[s]?.fill(1, channel, channel + 1)
      if (!isGone && square !== 0 && work.marked[s]?.[channel] === 1) {
        going.push({ stream: s, channel, worth: Math.sqrt(square) / size || 0 })
      }
    }
  }
  if (fraction !== undefined) {
    going.sort((a, b) => a.worth - b.worth)
    const missing = Math.max(0, Math.round(fraction * all) - gone)
    for (const { stream, channel } of going.slice(0, missing)) now[stream]?.fill(1, channel, channel + 1)
  }
  for (const [s, marks] of now.entries()) {
    for (const [c, mark] of marks.entries()) {
      if (mark === 1) work.removed[s]?.fill(1, c, c + 1)
      if (mark === 1 || fraction !== undefined) work.marked[s]?.fill(0, c, c + 1)
    }
  }
  takeOut(work, now)
}

/** Recodes the weights of channels that go. */
const takeOut = (work: Work, channels: ReadonlyArray<Uint8Array>): void => {
  const marks = markAxes(work.state.network, channels)
  for (const [l, layer] of work.all.entries()) {
    const axes = marks[l] ?? []
    if (axes.every((axis) => axis === undefined)) continue
    fillAxes(layer.codes, layer.layer, axes, code.gone)
    layer.live = countCodes(layer.codes, kept)
    layer.capacity = layer.codes.length - countCodes(layer.codes, code.gone)
  }
}
