/** Which images come when: a random order for each epoch, and a place in it that a checkpoint can keep. */
import { invariant } from '../../ir/failure.ts'
import { drawsFrom, type RandomState, seededRandom } from '../../ir/random.ts'

/** The numbers below `size` in an order drawn from `state`, every order equally likely (Fisher and Yates). */
export const shuffled = (
  size: number,
  state: RandomState,
): { readonly order: Uint32Array; readonly next: RandomState } => {
  const order = Uint32Array.from({ length: size }, (_, i) => i)
  const draws = drawsFrom(state)
  for (let i = size - 1; i > 0; i--) {
    const j = draws.below(i + 1)
    const kept = order[i] ?? 0
    order[i] = order[j] ?? 0
    order[j] = kept
  }
  return { order, next: draws.state() }
}

/** Where training stands in its data. Plain data: with it, the batches to come are the same on every machine. */
export interface Cursor {
  readonly epoch: number
  /** How many images of this epoch have been taken. */
  readonly position: number
  /** What this epoch's order is drawn from. */
  readonly order: RandomState
  /** What the next batch's augmentation is drawn from. */
  readonly augmentation: RandomState
}

export const startOf = (seed: number): Cursor => ({
  epoch: 0,
  position: 0,
  order: seededRandom(seed, 'order'),
  augmentation: seededRandom(seed, 'augmentation'),
})

/** The cursor as ten 32-bit words, for a checkpoint. */
export const cursorWords = ({ epoch, position, order, augmentation }: Cursor): Uint32Array =>
  Uint32Array.of(epoch, position, ...order, ...augmentation)

/** The cursor that {@link cursorWords} wrote; undefined where these are not ten words. */
export const cursorFrom = (words: Uint32Array): Cursor | undefined => {
  const [epoch = 0, position = 0] = words
  if (words.length !== 10) return undefined
  return { epoch, position, order: words.slice(2, 6), augmentation: words.slice(6, 10) }
}

/** An epoch's order is asked for at each of its steps, with the same state. */
const epochs = new WeakMap<RandomState, ReturnType<typeof shuffled>>()

const epochOf = (size: number, state: RandomState): ReturnType<typeof shuffled> => {
  const known = epochs.get(state)
  if (known?.order.length === size) return known
  const made = shuffled(size, state)
  epochs.set(state, made)
  return made
}

export interface Step {
  /** The images of this batch. */
  readonly indices: Uint32Array
  /** Whether the epoch ends with it. */
  readonly last: boolean
  /** The cursor after this batch, its augmentation not drawn yet. */
  readonly next: Cursor
}

/**
 * The next `batch` of `size` images. What is left at the end of an epoch is a smaller batch, or is left out when `partial`
 * is false, unless it is all there is.
 */
export const nextStep = (size: number, cursor: Cursor, batch: number, partial: boolean): Step => {
  invariant(size > 0 && batch > 0, `a batch of ${batch} from ${size} images`)
  const { order, next } = epochOf(size, cursor.order)
  const end = Math.min(cursor.position + batch, size)
  const indices = order.slice(cursor.position, end)
  const left = size - end
  const last = left === 0 || (!partial && left < batch)
  return {
    indices,
    last,
    next: last ? { ...cursor, epoch: cursor.epoch + 1, position: 0, order: next } : { ...cursor, position: end },
  }
}

/** How many batches an epoch has. */
export const stepsPerEpoch = (size: number, batch: number, partial: boolean): number =>
  partial ? Math.ceil(size / batch) : Math.max(1, Math.floor(size / batch))
