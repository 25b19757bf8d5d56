/** Numbers that change with the training step, as plain data. */

export type Schedule =
  | { readonly kind: 'constant'; readonly value: number }
  /** From `from` at step `begin` to `to` at step `end`; constant before and after. */
  | {
      readonly kind: Curve
      readonly from: number
      readonly to: number
      readonly begin: number
      readonly end: number
    }
  /** `low` up to `high` and back, `count` times between the steps, each time by a whole cosine; `low` before and after. */
  | {
      readonly kind: 'cycles'
      readonly low: number
      readonly high: number
      readonly begin: number
      readonly end: number
      readonly count: number
    }
  /** max(0, 1 - rate · (step - begin)), or exp(-rate · (step - begin)); 1 before `begin`, 0 from `end` on. */
  | {
      readonly kind: 'linear decay' | 'exponential decay'
      readonly rate: number
      readonly begin: number
      readonly end: number
    }
  /** By cosines from peak / 25 up to `peak` at three tenths of the steps up to `end`, and down to peak / 250,000 there; then 0. */
  | { readonly kind: 'one cycle'; readonly peak: number; readonly end: number }
  /** The value of the last entry whose step has come; the first one before. */
  | { readonly kind: 'steps'; readonly values: ReadonlyArray<{ readonly step: number; readonly value: number }> }

export type Curve = 'linear' | 'cosine' | 'cubic' | 'sigmoid'

export const constant = (value: number): Schedule => ({ kind: 'constant', value })

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))

/**
 * The way covered at x in [0, 1]: x; ½(1 - cos πx); 1 - (1 - x)³; and, as in CHTss, a logistic curve of slope 12 through
 * (½, ½), stretched so that it starts at 0 and ends at 1.
 */
const covered: Readonly<Record<Curve, (x: number) => number>> = {
  linear: (x) => x,
  cosine: (x) => (1 - Math.cos(Math.PI * x)) / 2,
  cubic: (x) => 1 - (1 - x) ** 3,
  sigmoid: (x) => (logistic(12 * (x - 0.5)) - 0.5) / (2 * (logistic(6) - 0.5)) + 0.5,
}

/** The value of a schedule after `step` training steps. */
export const valueAt = (schedule: Schedule, step: number): number => {
  switch (schedule.kind) {
    case 'constant':
      return schedule.value
    case 'steps': {
      let value = schedule.values[0]?.value ?? 0
      for (const entry of schedule.values) if (entry.step <= step) value = entry.value
      return value
    }
    case 'cycles': {
      const { low, high, begin, end, count } = schedule
      if (step <= begin || step >= end) return low
      return low + ((high - low) * (1 - Math.cos((2 * Math.PI * count * (step - begin)) / (end - begin)))) / 2
    }
    case 'one cycle': {
      const { peak, end } = schedule
      if (step >= end) return 0
      const top = Math.floor(0.3 * end)
      const [from, to, x] = step < top ? [peak / 25, peak, step / top] : [peak, peak / 25e4, (step - top) / (end - top)]
      return from + (to - from) * covered.cosine(Math.max(0, x))
    }
    case 'linear decay':
    case 'exponential decay': {
      const { begin, end, rate } = schedule
      if (step >= end) return 0
      const t = Math.max(0, step - begin)
      return schedule.kind === 'linear decay' ? Math.max(0, 1 - rate * t) : Math.exp(-rate * t)
    }
    default: {
      const { from, to, begin, end } = schedule
      if (step >= end) return to
      if (step <= begin) return from
      return from + (to - from) * covered[schedule.kind]((step - begin) / (end - begin))
    }
  }
}

/** The smallest and largest value a schedule takes. */
export const rangeOf = (schedule: Schedule): readonly [low: number, high: number] => {
  switch (schedule.kind) {
    case 'constant':
      return [schedule.value, schedule.value]
    case 'steps': {
      let [low, high] = [Infinity, -Infinity]
      for (const { value } of schedule.values) [low, high] = [Math.min(low, value), Math.max(high, value)]
      return [low, high]
    }
    case 'cycles':
      return [Math.min(schedule.low, schedule.high), Math.max(schedule.low, schedule.high)]
    case 'one cycle':
      return [0, schedule.peak]
    case 'linear decay':
    case 'exponential decay':
      return [0, 1]
    default:
      return [Math.min(schedule.from, schedule.to), Math.max(schedule.from, schedule.to)]
  }
}
