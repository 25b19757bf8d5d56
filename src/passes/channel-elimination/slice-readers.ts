/** What the slices of a node's inputs hold that belong to an index of an output axis, by the operator's links. */
import { placeOf } from '../../ir/links.ts'
import type { AxisLink, SliceFact, ValueId } from '../../ir/op.ts'

/** A number for each channel along an axis; one number where it is the same for all. */
export type Known = number | Float64Array

/** Along an axis 1 for some channels, 0 for others; one number where it is the same for all. */
export type Marks = 0 | 1 | Uint8Array

/** The number of one channel. */
export const at = (values: number | Float64Array | Uint8Array, index: number): number =>
  typeof values === 'number' ? values : (values[index] ?? NaN)

/** Whether a channel is zero, and with a `period` all channels that leave the same remainder. */
export const zeroAlong = (known: Known, period?: number): ((index: number) => boolean) => {
  if (period === undefined || typeof known === 'number') return (i) => at(known, i) === 0
  const isZero = new Uint8Array(period).fill(1)
  known.forEach((value, i) => {
    if (value !== 0) isZero[i % period] = 0
  })
  return (i) => isZero[i % period] === 1
}

/** Links into an axis of an output, by input port. */
export const linksTo = (
  links: ReadonlyArray<AxisLink>,
  output: number,
  axis: number,
): ReadonlyMap<number, ReadonlyArray<AxisLink>> => {
  const linked = new Map<number, AxisLink[]>()
  for (const link of links) {
    if (link.output !== output || link.outputAxis !== axis) continue
    const known = linked.get(link.input)
    if (known) known.push(link)
    else linked.set(link.input, [link])
  }
  return linked
}

/** For one input port: what its slice that belongs to an output index holds. */
export interface SliceReader {
  readonly at: (index: number) => SliceFact
  /** What it is for every index, if it is the same. */
  readonly fact: SliceFact | 'various'
  /** The first index that the port has a part in, and the one after the last. */
  readonly first: number
  readonly end: number
}

/** Reads what is `known` along the axes of `input` that `links` tie to an output axis of `size`; without links, of all of it. */
export const sliceReader = (
  input: ValueId,
  links: ReadonlyArray<AxisLink>,
  size: number,
  known: (value: ValueId, axis: number) => Known,
  uniform: (value: ValueId) => number | undefined,
): SliceReader => {
  const always = (fact: SliceFact): SliceReader => ({ at: () => fact, fact, first: 0, end: size })
  if (input === '') return { ...always(null), end: 0 }
  const [link, ...others] = links
  if (link === undefined) return always(uniform(input))
  const reader = linkReader(link, known(input, link.inputAxis), size)
  if (others.length === 0) return reader
  const readers = [reader, ...others.map((one) => linkReader(one, known(input, one.inputAxis), size))]
  return {
    at: (index) => {
      let fact: SliceFact = undefined
      for (const read of readers) {
        const one = read.at(index)
        if (one === null) return null
        fact ??= one
      }
      return fact
    },
    fact: readers.every((one) => one.fact === undefined) ? undefined : 'various',
    first: 0,
    end: size,
  }
}

const factOf = (value: number): SliceFact => (Number.isNaN(value) ? undefined : value)

const linkReader = (link: AxisLink, values: Known, size: number): SliceReader => {
  const { from, into } = link
  const uniform = typeof values === 'number' ? factOf(values) : 'various'
  if (from !== undefined && into !== undefined) {
    const parts = linkReader({ ...link, from: undefined }, values, size)
    return {
      at: (index) => (placeOf(from, index) < 0 ? null : parts.at(placeOf(from, index))),
      fact: 'various',
      first: 0,
      end: size,
    }
  }
  if (from !== undefined) {
    const total = from.first === 0 && from.end === size
    return {
      at: (index) => {
        const place = placeOf(from, index)
        return place < 0 ? null : factOf(at(values, place))
      },
      fact: total ? uniform : 'various',
      first: from.first,
      end: from.end,
    }
  }
  if (into !== undefined) {
    if (into.onto && uniform !== 'various') return { at: () => uniform, fact: uniform, first: 0, end: size }
    let sources: Map<number, SliceFact> | undefined
    const collect = (): Map<number, SliceFact> => {
      const out = new Map<number, SliceFact>()
      for (let i = into.first; i < into.end; i++) {
        const [place, value] = [into.at(i), factOf(at(values, i))]
        out.set(place, out.has(place) && out.get(place) !== value ? undefined : value)
      }
      return out
    }
    return {
      at: (index) => {
        sources ??= collect()
        return sources.has(index) ? sources.get(index) : null
      },
      fact: 'various',
      first: 0,
      end: size,
    }
  }
  return { at: (index) => factOf(at(values, index)), fact: uniform, first: 0, end: size }
}

/** What each port holds for every index; undefined where that differs for one of them. */
export const wholeFacts = (readers: ReadonlyArray<SliceReader>): ReadonlyArray<SliceFact> | undefined => {
  const facts: SliceFact[] = []
  for (const { fact } of readers) {
    if (fact === 'various') return undefined
    facts.push(fact)
  }
  return facts
}
