/**
 * LPViT's division of a sparsity among layers (arXiv 2407.02068): of each layer a curve of what a network's output would lose by how much
 * of the layer goes, and amounts at which all curves rise alike, so that no other division of the same sum would lose less. Checked
 * against the authors' program, github.com/Akimoto-Cris/LPViT (0759ff4), which differs where that is said.
 */

/** Amounts of a curve: 0, 0.01, … 1. */
export const curvePoints = 101

/** What a layer is told by. */
export interface CurveTerms {
  /** Weights in all. */
  readonly weights: number
  /** By point of the curve, of the weights w with gradient g that go there and had not gone before: Σ (w g)², Σ w g and Σ w². */
  readonly squares: Float64Array
  readonly products: Float64Array
  readonly norms: Float64Array
}

/**
 * What is lost where the weights up to each point are gone, d = -w for them: the mean over all weights of (d g)², and ½ dᵀ H d with the
 * Hessian H = g gᵀ + 10⁻⁷ I.
 *
 * (The authors' program adds up that second term from point to point, but takes what is gone behind a step for what is gone in front of
 * it, and adds 10⁻⁷ to the product H Δd where it belongs to H.)
 */
export const distortionCurve = ({ weights, squares, products, norms }: CurveTerms): Float64Array => {
  let [square, product, norm] = [0, 0, 0]
  return squares.map((own, at) => {
    square += own
    product += products[at] ?? 0
    norm += norms[at] ?? 0
    return weights === 0 ? 0 : square / weights + 0.5 * (product * product + damping * norm)
  })
}

const damping = 1e-7

/** Exponential moving average, what it lacks at the start made up for. */
export const smoothCurve = (curve: Float64Array, weight = 0.5): Float64Array => {
  let last = 0
  let known = 1
  return curve.map((value) => {
    last = last * weight + value * (1 - weight)
    known *= weight
    return last / (1 - known)
  })
}

/**
 * The slope of a curve at each point but the last, by differences over `reach` points to both sides: of fourth order,
 * (8 (y₊ - y₋) - (y₊₊ - y₋₋)) / 6h, fewer points at the ends.
 */
export const slopesOf = (curve: Float64Array, reach = 4): Float64Array => {
  const { length } = curve
  const y = (at: number): number => curve[at] ?? 0
  const step = 1 / (length - 1)
  return Float64Array.from({ length: length - 1 }, (_, i) => {
    const h = Math.min(reach, i, length - i - 1)
    if (h < 2 && i < 2) return (y(i + 1) - y(i)) / step
    if (h < 2) return (y(i + 1) - y(i - 1)) / (2 * step)
    const half = Math.floor(h / 2)
    return (-y(i + h) + 8 * y(i + half) - 8 * y(i - half) + y(i - h)) / (6 * h * step)
  })
}

/**
 * The slope that a layer's power adds, which falls as blocks go: -β · blocks · ⌊channels / 16⌋ for a layer that reads `channels`. β is the
 * steepest slope of the curves over the steepest of the powers, each in the mean of the layers; 0 where no layer reads 16 channels.
 *
 * (The authors' program has the power grow with what goes, though it calls that the blocks that survive.)
 */
export const powerSlopes = (
  layers: ReadonlyArray<{ readonly curve: Float64Array; readonly blocks: number; readonly channels: number }>,
): ReadonlyArray<number> => {
  const powers = layers.map(({ blocks, channels }) => blocks * Math.floor(channels / 16))
  const all = powers.reduce((a, b) => a + b, 0)
  const steepest = layers.reduce((sum, { curve }) => sum + slopesOf(curve, 10).reduce((a, b) => Math.max(a, b), 0), 0)
  return powers.map((power) => (all > 0 ? -(steepest / all) * power : 0))
}

/** The point of each layer at which its slope is nearest to `slope`, the first of several. */
export const pointsAt = (slopes: ReadonlyArray<Float64Array>, slope: number): ReadonlyArray<number> =>
  slopes.map((own) => {
    let best = 0
    own.forEach((x, i) => {
      if (Math.abs(x - slope) < Math.abs((own[best] ?? 0) - slope)) best = i
    })
    return best
  })

/**
 * The amounts of all layers at one slope, at most `most` of each, at which the share that `goneAt` tells is `wanted`. The slope is looked
 * for among those that there are (the authors' program halves an interval of its logarithm, and stops within 2 %). What is
 * missing then, or too much, is taken from all layers alike, as a fraction of what they may still lose, or lose.
 */
export const equalSlopes = (
  slopes: ReadonlyArray<Float64Array>,
  wanted: number,
  most: number,
  goneAt: (amounts: ReadonlyArray<number>) => number,
): ReadonlyArray<number> => {
  const amountsAt = (slope: number): ReadonlyArray<number> =>
    pointsAt(slopes, slope).map((point) => Math.min(most, point / (curvePoints - 1)))
  const candidates = Float64Array.from(new Set(slopes.flatMap((own) => [...own]))).toSorted()
  if (candidates.length === 0) return []
  const at = firstWhere(candidates.length, (i) => goneAt(amountsAt(candidates[i] ?? 0)) >= wanted)
  // The largest that is not too much, so that what is missing is little; the smallest where all are.
  const amounts = amountsAt(candidates[Math.max(0, at - 1)] ?? 0)
  const upper = amountsAt(candidates[Math.min(at, candidates.length - 1)] ?? 0)
  const [a, b] = [amounts, upper].map((list) => Math.abs(goneAt(list) - wanted))
  const near = (b ?? 0) < (a ?? 0) ? upper : amounts
  const isMissing = goneAt(near) < wanted
  const spread = (share: number): ReadonlyArray<number> =>
    near.map((amount) => (isMissing ? amount + share * (most - amount) : amount * (1 - share)))
  const steps = 1 << 24
  const first = firstWhere(steps, (i) => {
    const gone = goneAt(spread(i / steps))
    return isMissing ? gone > wanted : gone <= wanted
  })
  return spread(isMissing ? Math.max(0, first - 1) / steps : first / steps)
}

/** The first of so many whole numbers that a test takes which, having taken one, takes all behind it; their count where it takes none. */
const firstWhere = (count: number, test: (at: number) => boolean): number => {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (test(middle)) high = middle
    else low = middle + 1
  }
  return low
}
