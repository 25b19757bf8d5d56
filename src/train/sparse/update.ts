/** One step of sparse training as a pure function. */
import * as E from 'fp-ts/lib/Either.js'
import { type SparseError, sparseError } from './error.ts'
import { envelope } from './envelope.ts'
import { closeLayer, type Event, eventOf } from './event.ts'
import { exchangeFanIn } from './exchange-fan-in.ts'
import { fadeChannels } from './fade-channels.ts'
import { grow, regrow } from './grow.ts'
import { halfSpace } from './half-space.ts'
import { keepBest } from './keep-best.ts'
import { keepDiagonals } from './keep-diagonals.ts'
import { keepPattern } from './keep-pattern.ts'
import { markChannels } from './mark-channels.ts'
import { type Network, sizeOfLayer } from './network.ts'
import { goesByRate, looksAtScores, looksBack, type Move, needsOf } from './phase.ts'
import { imagesLookedAt, movesAt } from './policy.ts'
import { pruneIdle } from './prune-idle.ts'
import { prune } from './prune.ts'
import { removeChannels, removeDead, removeMarked, removeZero } from './remove-channels.ts'
import { shrink } from './shrink.ts'
import { fitScales } from './soft-threshold.ts'
import type { State } from './state.ts'
import { openWork, type Sample, type Work } from './workspace.ts'

export interface Updated {
  readonly state: State
  /** Undefined where nothing was due: the state is then the same one. */
  readonly event: Event | undefined
}

/**
 * What the policy does after `step` optimiser steps (the first is 1; at 0 what it does before it), given the weights as that step left them and the gradients
 * it took. Neither is written to, nor is the state. The sample is looked at only where `needs` asks for it.
 *
 * The same state, sample and step always give the same result. Fails if the sample does not fit the network.
 */
export const update = (state: State, sample: Sample, step: number): E.Either<SparseError, Updated> => {
  const moves = movesAt(state.policy, step)
  if (moves.length === 0) return E.right({ state, event: undefined })
  const problem =
    sampleProblem(state.network, sample, moves) ??
    (imagesLookedAt(state.policy, step) > 0 ? activityProblem(state.network, sample) : undefined)
  if (problem !== undefined) return E.left(problem)
  const work = openWork(state, sample, step)
  for (const move of moves) carryOut(work, move)
  const closed = work.all.map((layer, l) => closeLayer(layer, state.masks[l] ?? new Uint8Array(layer.codes.length)))
  return E.right({
    state: {
      ...state,
      masks: closed.map(({ mask }) => mask),
      removed: work.removed,
      marked: work.marked,
      scales: work.scales,
      random: work.draws.state(),
      updates: state.updates + 1,
    },
    event: eventOf(
      work,
      closed.map(({ event }) => event),
    ),
  })
}

const carryOut = (work: Work, move: Move): void => {
  switch (move.kind) {
    case 'prune':
      return prune(work, move)
    case 'grow':
      return grow(work, move)
    case 'regrow':
      return regrow(work, move)
    case 'remove channels':
      return removeChannels(work, move)
    case 'mark channels':
      return markChannels(work, move)
    case 'fade channels':
      return fadeChannels(work, move)
    case 'remove marked':
      return removeMarked(work)
    case 'remove dead':
      return removeDead(work, move)
    case 'half-space':
      return halfSpace(work, move)
    case 'envelope':
      return envelope(work, move)
    case 'remove zero':
      return removeZero(work, move)
    case 'keep pattern':
      return keepPattern(work, move)
    case 'keep best':
      return keepBest(work)
    case 'keep diagonals':
      return keepDiagonals(work, move)
    case 'exchange fan-in':
      return exchangeFanIn(work, move)
    case 'prune idle':
      return pruneIdle(work)
    case 'shrink':
      return shrink(work, move)
    case 'fit scales':
      return fitScales(work)
  }
}

const sampleProblem = ({ layers }: Network, sample: Sample, moves: ReadonlyArray<Move>): SparseError | undefined => {
  const due = needsOf(moves)
  const parts: ReadonlyArray<readonly [what: string, arrays: ReadonlyArray<Float32Array>]> = [
    ['weights', sample.weights],
    ...(due === 'weights' ? [] : [['gradients', sample.gradients ?? []] as const]),
    ...(due === 'weights, gradients and curvature' ? [['curvature', sample.curvature ?? []] as const] : []),
    ...(moves.some(looksAtScores) ? [['scores', sample.scores ?? []] as const] : []),
    ...(moves.some(looksBack) ? [['weights before the step', sample.before ?? []] as const] : []),
  ]
  for (const [what, arrays] of parts) {
    if (arrays.length !== layers.length) {
      return sparseError(
        what,
        `one array for each of ${layers.length} layers`,
        `${arrays.length}`,
        `This step looks at the ${what}: ask \`needs\` and \`needsBefore\` before each update.`,
      )
    }
    for (const [l, layer] of layers.entries()) {
      const found = arrays[l]?.length
      if (found === sizeOfLayer(layer)) continue
      return sparseError(
        `${what} of ${layer.name}`,
        `${sizeOfLayer(layer)} numbers, shape [${layer.shape.join(',')}]`,
        `${found}`,
        'Give every layer in its present shape, in the order of the network.',
      )
    }
  }
  const { rate = NaN } = sample
  if (!moves.some(goesByRate) || (rate >= 0 && rate < Infinity)) return undefined
  const help = 'This method goes by it: give the learning rate that the step was taken with.'
  return sparseError('learning rate', 'a number of at least 0', `${sample.rate ?? 'none'}`, help)
}

const activityProblem = ({ streams }: Network, { active }: Sample): SparseError | undefined => {
  const wrong = streams.findIndex(({ channels }, s) => active?.[s]?.length !== channels)
  if (wrong < 0) return undefined
  const found = `${active?.[wrong]?.length ?? 'none'}`
  const help = 'This step looks at what channels do: ask `imagesLookedAt` before each update.'
  return sparseError(`activity of ${streams[wrong]?.name}`, `${streams[wrong]?.channels} bytes`, found, help)
}
