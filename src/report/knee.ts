/** What is left of a model at rising sparsity: the masked model beside the dense one, level by level, and where it breaks. */

/** How far the outputs of one model are from those of another on a calibration set. */
export interface Agreement {
  readonly samples: number
  /** ‖y - ŷ‖₂ / ‖y‖₂ of the output for which it is largest, over all runs; 0 where nothing differs. */
  readonly error: number
  /**
   * Fraction of the answers that are the same: places of the first output's largest number along its classes, which are the last axis of an
   * output of three (tokens), else axis 1. Undefined where there are no classes.
   */
  readonly agreement: number | undefined
  /** Fraction of the labelled samples for which an answer is the label: of the second model, and of the first. */
  readonly accuracy: number | undefined
  readonly denseAccuracy: number | undefined
}

/** The masked model beside the dense one at a sparsity. */
export interface CurveLevel {
  /** Fraction of the weights that was asked to be masked. */
  readonly level: number
  /** Fraction of the weights of the layers that were compared that is masked. */
  readonly masked: number
  readonly agreement: Agreement
}

export interface CurvePoint extends Agreement, Pick<CurveLevel, 'level' | 'masked'> {
  /** What is lost: of the accuracy where there are labels, else of the agreement, else the relative error. */
  readonly lost: number
}

export interface SparsityCurve {
  readonly points: ReadonlyArray<CurvePoint>
  /** The largest level up to which no level loses more than the tolerance; undefined where the first one does. */
  readonly essential: number | undefined
  /** Where it breaks: the level behind which, up to the next, most is lost for each weight that goes; undefined where nothing is. */
  readonly knee: number | undefined
  readonly tolerance: number
  /** What `lost` is counted in. */
  readonly by: 'accuracy' | 'agreement' | 'error'
  readonly samples: number
  /** Accuracy of the dense model, where there are labels. */
  readonly accuracy: number | undefined
}

/** What rounding may add to a difference of fractions. */
const slack = 1e-9

/** Where a model breaks, by what was found at rising levels. */
export const judgeCurve = (levels: ReadonlyArray<CurveLevel>, tolerance: number): SparsityCurve => {
  const first = levels[0]?.agreement
  const dense = first?.denseAccuracy
  const by = dense !== undefined ? 'accuracy' : first?.agreement !== undefined ? 'agreement' : 'error'
  const lostOf = ({ accuracy, agreement, error }: Agreement): number =>
    by === 'accuracy' ? (dense ?? 0) - (accuracy ?? 0) : by === 'agreement' ? 1 - (agreement ?? 0) : error
  const points = levels.map(({ level, masked, agreement }) => ({
    level,
    masked,
    ...agreement,
    lost: lostOf(agreement),
  }))
  const broken = points.findIndex(({ lost }) => !(lost <= tolerance + slack))
  const essential = points[broken < 0 ? points.length - 1 : broken - 1]?.level
  return { points, essential, knee: kneeOf(points), tolerance, by, samples: first?.samples ?? 0, accuracy: dense }
}

/** The level behind which the line through the points, and nothing lost without masks, rises most steeply; the first of equals. */
const kneeOf = (points: ReadonlyArray<CurvePoint>): number | undefined => {
  let knee: { readonly level: number; readonly slope: number } | undefined
  let before: Pick<CurvePoint, 'level' | 'masked' | 'lost'> = { level: 0, masked: 0, lost: 0 }
  for (const point of points) {
    const slope = (point.lost - before.lost) / (point.masked - before.masked)
    if (point.masked > before.masked && slope > (knee?.slope ?? 0)) knee = { level: before.level, slope }
    before = point
  }
  return knee?.level
}
