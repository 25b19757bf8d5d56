/** Which channels go, given what each is worth: Chase's selection, exact and without chance. Knows no graph. */
import { kthSmallest } from './kth-smallest.ts'

/** Channels that compete with those of other groups, with a floor of their own: usually those of one layer. */
export interface Group {
  readonly name: string
  /** What each channel is worth; finite numbers. */
  readonly scores: Float64Array
  /** 1 for channels that are still there; the others went earlier and count as removed. */
  readonly alive: Uint8Array
}

export interface SelectOptions {
  /** Fraction of all channels, those that went earlier included, that shall be gone in the end: Chase's S_c. */
  readonly channels: number
  /** Fraction of its channels that every group keeps at least, rounded down. Chase's is β · (1 - S_c). */
  readonly floor: number
}

export interface Selection {
  /** Per group 1 for each channel that goes now. */
  readonly removed: ReadonlyArray<Uint8Array>
  /** Per group the channels it keeps at least, and whether that held it back. */
  readonly floors: ReadonlyArray<number>
  readonly saturated: ReadonlyArray<boolean>
  /** Channels that had to go for the fraction, and how many of these could not because every group was at its floor. */
  readonly wanted: number
  readonly missing: number
}

/**
 * A selection of which every group keeps a multiple of so many channels, or all that it has: whichever is nearest to what it would
 * keep, the more at equal distance, and no less than its floor. Groups that would keep fewer stay as they were selected.
 */
export const inMultiples = (groups: ReadonlyArray<Group>, selection: Selection, multiple: number): Selection => {
  const removed = groups.map((group, g) => {
    const taken = selection.removed[g] ?? new Uint8Array(group.alive.length)
    const living = countOf(group.alive)
    const kept = living - countOf(taken)
    if (kept < multiple || kept % multiple === 0) return taken
    const fewer = kept - (kept % multiple)
    const more = Math.min(fewer + multiple, living)
    const isEnough = fewer >= (selection.floors[g] ?? 0)
    const width = isEnough && kept - fewer < more - kept ? fewer : more
    const out = new Uint8Array(group.alive.length)
    for (const i of takeLowest([group], [0], living - width).get(0) ?? []) out[i] = 1
    return out
  })
  return { ...selection, removed }
}

const countOf = (marks: Uint8Array): number => marks.reduce((n, mark) => n + mark, 0)

/** What rounding of a product may take from a whole number. */
const slack = 1e-9

/**
 * The channels with the lowest scores over all groups go: `round(S_c · all) - gone` of them, exactly. A group that would
 * fall below its floor is cut to the floor, its lowest scores first, and the rest is taken from the other groups;
 * repeated until no group falls short. Equal scores go in the order of the groups, then of the channels.
 */
export const selectChannels = (groups: ReadonlyArray<Group>, options: SelectOptions): Selection => {
  const all = groups.reduce((n, group) => n + group.alive.length, 0)
  const living = groups.map(({ alive }) => countOf(alive))
  const gone = all - living.reduce((n, alive) => n + alive, 0)
  const wanted = Math.max(0, Math.round(options.channels * all) - gone)
  const floors = groups.map((group) => Math.floor(group.alive.length * options.floor + slack))
  const removed = groups.map((group) => new Uint8Array(group.alive.length))
  const saturated = groups.map(() => false)
  let missing = wanted
  while (missing > 0) {
    const open = groups.flatMap((_, g) => (saturated[g] === true ? [] : [g]))
    const lowest = takeLowest(groups, open, missing)
    const short = open.filter((g) => (living[g] ?? 0) - (lowest.get(g)?.length ?? 0) < (floors[g] ?? 0))
    const settled = short.length === 0 ? open : short
    for (const g of settled) {
      const spare = Math.max(0, (living[g] ?? 0) - (floors[g] ?? 0))
      const going = short.length === 0 ? (lowest.get(g) ?? []) : (takeLowest(groups, [g], spare).get(g) ?? [])
      for (const i of going) removed[g]?.fill(1, i, i + 1)
      missing -= going.length
      if (short.length > 0) saturated[g] = true
    }
    if (short.length === 0) break
  }
  return { removed, floors, saturated, wanted, missing }
}

/** The `count` living channels with the lowest scores in the groups `open`, ascending within each group. */
const takeLowest = (
  groups: ReadonlyArray<Group>,
  open: ReadonlyArray<number>,
  count: number,
): ReadonlyMap<number, ReadonlyArray<number>> => {
  const scores: number[] = []
  for (const g of open) groups[g]?.scores.forEach((score, i) => groups[g]?.alive[i] === 1 && scores.push(score))
  const out = new Map<number, number[]>()
  if (count <= 0 || scores.length === 0) return out
  const threshold = count >= scores.length ? Infinity : kthSmallest(Float64Array.from(scores), count - 1)
  let ties = count - scores.reduce((n, score) => n + Number(score < threshold), 0)
  for (const g of open) {
    const group = groups[g]
    const taken: number[] = []
    group?.scores.forEach((score, i) => {
      if (group.alive[i] !== 1 || score > threshold) return
      if (score === threshold && ties-- <= 0) return
      taken.push(i)
    })
    out.set(g, taken)
  }
  return out
}
