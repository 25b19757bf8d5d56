import { type SparseError, sparseError } from './error.ts'
import { type Network, scalesOf, streamsIn } from './network.ts'
import { looksAtScores, type Move, needsOf, type Phase } from './phase.ts'
import type { Pattern, Policy } from './policy.ts'
import { constant, rangeOf, type Schedule } from './schedule.ts'

/** Whether a policy goes by scales of channels and the network has none. */
export const scalesProblem = ({ name, phases, pulls = [] }: Policy, network: Network): SparseError | undefined => {
  const moves = phases.flatMap((phase) => phase.moves)
  const marking = moves.flatMap((move) => (move.kind === 'mark channels' && move.by === 'scale' ? [move.scope] : []))
  const wanted = [...marking, ...pulls.map(({ scope }) => scope)]
  const isScaled = (s: number): boolean => scalesOf(network.streams[s], network).length > 0
  const missing = wanted.find((scope) => !streamsIn(network, scope).some(isScaled))
  if (missing === undefined) return undefined
  const help = 'Choose another method or scope, or a model whose convolutions are normalised.'
  return sparseError(`policy ${name}`, 'channels with trained scales, as of BatchNormalization', 'none in scope', help)
}

/** What is wrong with a policy, if anything: the first thing found. `layers` is the number of layers that are not exempt. */
export const policyProblem = (policy: Policy, layers: number): SparseError | undefined => {
  const at = (what: string): string => `policy ${policy.name}, ${what}`
  if (!(policy.density > 0 && policy.density <= 1)) {
    return sparseError(
      at('density'),
      'a number above 0, up to 1',
      String(policy.density),
      'It is the fraction of weights that is kept.',
    )
  }
  const distribution = distributionProblem(policy, layers, at('distribution'))
  if (distribution !== undefined) return distribution
  if (policy.layers === 'matrices' && layers === 0) {
    const help = 'Choose another method: this one is for linear layers and 1x1 convolutions.'
    return sparseError(at('layers'), 'a weight that is a matrix', 'none', help)
  }
  const first = firstProblem(policy, at('first'))
  if (first !== undefined) return first
  for (const [p, phase] of policy.phases.entries()) {
    const problem = phaseProblem(phase, at(`phase ${p + 1}`))
    if (problem !== undefined) return problem
  }
  for (const { from, until, strength } of policy.pulls ?? []) {
    const whole = [from, until].every((n) => Number.isSafeInteger(n) && n >= 0)
    if (whole && isPositive(strength) && policy.vectors === true) continue
    const found = `${rangeOf(strength).join(' to ')} from ${from} until ${until}, ${policy.vectors === true ? 'with' : 'without'} scales`
    const help = 'It is a factor of the sign of a scale.'
    return sparseError(at('pull'), 'a strength of at least 0 between whole steps, where scales are seen', found, help)
  }
  const scores = scoresProblem(policy, at('scores'))
  if (scores !== undefined) return scores
  const { masked, maskedDecay = 0, noise } = policy
  if (noise !== undefined && !isPositive(noise)) {
    const found = rangeOf(noise).join(' to ')
    return sparseError(at('noise'), 'a deviation of at least 0', found, 'Leave it out for none.')
  }
  if (!(maskedDecay >= 0 && maskedDecay < Infinity) || (maskedDecay > 0 && masked === 'zeroed')) {
    const found = `${maskedDecay}, masked weights ${masked === 'zeroed' ? 'zeroed' : 'trained on'}`
    const help = 'It is for policies that train masked weights on.'
    return sparseError(at('decay of masked weights'), 'a number of at least 0, where there are such', found, help)
  }
  const backward = backwardProblem(policy, at('pattern of the way back'))
  if (backward !== undefined || masked === 'zeroed') return backward
  if (masked.kind !== 'soft threshold') return fractions(masked, at('multiplier of masked weights'))
  if (Number.isSafeInteger(masked.m) && masked.m >= 1) return undefined
  return sparseError(at('soft threshold'), 'groups of at least one weight', `${masked.m}`, 'For example 4, of 2:4.')
}

const isPositive = (schedule: Schedule): boolean => {
  const [low, high] = rangeOf(schedule)
  return low >= 0 && high < Infinity
}

const isPattern = ({ n, m }: Pick<Pattern, 'n' | 'm'>): boolean =>
  Number.isSafeInteger(n) && Number.isSafeInteger(m) && n >= 1 && m >= n

const backwardProblem = ({ masked, backward }: Policy, subject: string): SparseError | undefined => {
  if (backward === undefined || (masked !== 'zeroed' && isPattern(backward))) return undefined
  const found = `${backward.n}:${backward.m}, masked weights ${masked === 'zeroed' ? 'zeroed' : 'trained on'}`
  const help = 'It is for policies that train masked weights on.'
  return sparseError(subject, 'a pattern n:m with 1 ≤ n ≤ m, where there are such', found, help)
}

const distributionProblem = ({ distribution }: Policy, layers: number, subject: string): SparseError | undefined => {
  const isDensity = (d: number): boolean => d >= 0 && d <= 1
  switch (distribution.kind) {
    case 'given': {
      const { densities } = distribution
      if (densities.length === layers && densities.every(isDensity)) return undefined
      return sparseError(
        subject,
        `${layers} densities from 0 to 1`,
        `[${densities.join(', ')}]`,
        'Give one for each layer that is not exempt.',
      )
    }
    case 'uniform+':
    case 'erk+':
      if (isDensity(distribution.last)) return undefined
      return sparseError(
        subject,
        'a density of the classifier from 0 to 1',
        String(distribution.last),
        'Correct `last`.',
      )
    default:
      return undefined
  }
}

const firstProblem = ({ first }: Policy, subject: string): SparseError | undefined => {
  if (first === undefined) return undefined
  const { moves, batches = 1, temperature = 1 } = first
  if (!(Number.isSafeInteger(batches) && batches >= 1 && temperature > 0 && temperature < Infinity)) {
    const found = `${batches}, ${temperature}`
    return sparseError(subject, 'at least one batch, and a temperature above 0', found, 'As GraSP: 2 batches, 200.')
  }
  for (const move of moves) {
    const problem = moveProblem(move, `${subject}, ${move.kind}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

const gatesProblem = ({ gates, layers, scores }: Policy, subject: string): SparseError | undefined => {
  if (gates === undefined) return undefined
  const { density, until, temperature, rate, decay } = gates
  const [low, high] = rangeOf(temperature)
  const numbers = density > 0 && density <= 1 && low > 0 && high < Infinity && rate >= 0 && decay >= 0
  if (numbers && Number.isSafeInteger(until) && layers === 'matrices' && scores === undefined) return undefined
  const found = `density ${density}, temperature ${low} to ${high}, rate ${rate}, decay ${decay}, until ${until}`
  const help = 'They are for matrices, whose diagonals they choose; scores of single weights are another thing.'
  return sparseError(subject, 'a density up to 1, a temperature above 0, layers that are matrices', found, help)
}

const scoresProblem = (policy: Policy, subject: string): SparseError | undefined => {
  const { scores, masked, first, phases } = policy
  if (policy.gates !== undefined) return gatesProblem(policy, subject)
  const looked = [...(first?.moves ?? []), ...phases.flatMap(({ moves }) => moves)].some(looksAtScores)
  const numbers = scores === undefined ? [] : [scores.kept, scores.masked]
  if (scores === undefined ? !looked : masked !== 'zeroed' && numbers.every(Number.isFinite)) return undefined
  const found =
    scores === undefined
      ? 'none, and a move that goes by them'
      : `${numbers.join(', ')}, masked weights ${masked === 'zeroed' ? 'zeroed' : 'kept'}`
  const help = 'Where scores are trained, weights stay as they are: let `masked` be a schedule.'
  return sparseError(subject, 'two finite numbers, where masked weights are not zeroed', found, help)
}

const phaseProblem = ({ from, until, every, offset, moves }: Phase, subject: string): SparseError | undefined => {
  const whole = [from, until, every, offset].every((n) => Number.isSafeInteger(n) && n >= 0)
  if (!whole || every < 1) {
    return sparseError(
      subject,
      'whole steps, at least one from update to update',
      `from ${from} until ${until}, every ${every}, offset ${offset}`,
      'Count steps from the start of training; for no end take the last step.',
    )
  }
  if (needsOf(moves) === 'weights, gradients and curvature') {
    const help = 'Let `first` do it: no step of a training computes curvature.'
    return sparseError(subject, 'moves by weights and gradients', 'a prune by gradient flow', help)
  }
  for (const move of moves) {
    const problem = moveProblem(move, `${subject}, ${move.kind}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

const moveProblem = (move: Move, subject: string): SparseError | undefined => {
  switch (move.kind) {
    case 'prune':
      if (!(move.minimum === undefined || (move.minimum >= 0 && move.minimum <= 1))) {
        return sparseError(subject, 'a minimum from 0 to 1', String(move.minimum), 'It is a fraction of all weights.')
      }
      return fractions('density' in move.to ? move.to.density : move.to.fraction, subject)
    case 'grow':
      return fractions(move.density, subject)
    case 'keep diagonals':
      return fractions(constant(move.density), subject)
    case 'regrow':
    case 'keep best':
    case 'prune idle':
    case 'remove marked':
    case 'fit scales':
      return undefined
    case 'remove channels': {
      const { final, floor, fraction } = move
      const low = final >= 0 && final < 1 && floor >= 0 && rangeOf(fraction)[1] <= final && floor * (1 - final) <= 1
      if (low) return fractions(fraction, subject)
      return sparseError(
        subject,
        'a final fraction below 1 that the schedule does not exceed, and a floor of at least 0',
        `final ${final}, floor ${floor}, schedule up to ${rangeOf(fraction)[1]}`,
        'Every stream has to keep something.',
      )
    }
    case 'mark channels':
      if (!(Number.isSafeInteger(move.multiple) && move.multiple >= 1)) {
        return sparseError(subject, 'a whole multiple of at least 1', `${move.multiple}`, 'Streams keep at least one.')
      }
      return fractions(move.fraction, subject)
    case 'remove dead':
      if (move.images > 0 && move.images <= 1) return undefined
      return sparseError(
        subject,
        'a fraction of the images above 0, up to 1',
        `${move.images}`,
        'Take 1 for all of them.',
      )
    case 'fade channels': {
      const good = [move.begin, move.period].every(Number.isSafeInteger) && move.begin >= 0 && move.period >= 1
      const found = `${move.period} steps from ${move.begin}`
      return good ? undefined : sparseError(subject, 'a period of at least one step', found, 'Fade over whole steps.')
    }
    case 'remove zero':
      return move.fraction === undefined ? undefined : fractions(constant(move.fraction), subject)
    case 'half-space': {
      const { strength, amplify, ceiling, epsilon } = move
      const good = [strength, amplify, ceiling].every((n) => n >= 0 && n < Infinity) && epsilon >= 0 && epsilon < 1
      if (good) return fractions(constant(move.fraction), subject)
      const found = `strength ${strength}, amplified by ${amplify} up to ${ceiling} of it, epsilon ${epsilon}`
      return sparseError(subject, 'numbers of at least 0, epsilon below 1', found, 'They draw channels to 0.')
    }
    case 'envelope': {
      const { strength } = move
      if (strength >= 0 && strength < Infinity) return fractions(constant(move.fraction), subject)
      return sparseError(subject, 'a strength of at least 0', `${strength}`, 'It draws channels to 0.')
    }
    case 'exchange fan-in':
      if (!(move.salient >= 0 && move.salient <= 1)) {
        return sparseError(subject, 'a salient part from 0 to 1', String(move.salient), 'It is a part of the fan-in.')
      }
      return fractions(move.fraction, subject)
    case 'shrink':
      if (!(move.factor >= 0 && move.factor <= 1)) {
        return sparseError(subject, 'a factor from 0 to 1', String(move.factor), 'Weights are brought nearer to 0.')
      }
      return fractions(move.fraction, subject)
    case 'keep pattern': {
      if (move.patterns.every(isPattern) && move.patterns.length > 0) return undefined
      const found = move.patterns.map(({ n, m }) => `${n}:${m}`).join(', ')
      return sparseError(subject, 'patterns n:m with 1 ≤ n ≤ m', found === '' ? 'none' : found, 'For example 2:4.')
    }
  }
}

const fractions = (schedule: Schedule, subject: string): SparseError | undefined => {
  const [low, high] = rangeOf(schedule)
  if (low >= 0 && high <= 1) return undefined
  return sparseError(
    subject,
    'values from 0 to 1',
    `${low} to ${high}`,
    'Densities, fractions and multipliers lie between 0 and 1.',
  )
}
