/**
 * Ascending indices in short: `0-3,7,9-11`. The empty list is the empty string.
 */
export const formatRanges = (indices: ReadonlyArray<number>): string => {
  const out: string[] = []
  let start = 0
  for (let i = 1; i <= indices.length; i++) {
    const [first, last] = [indices[start], indices[i - 1]]
    if (i < indices.length && indices[i] === (last ?? NaN) + 1) continue
    out.push(first === last ? `${first}` : `${first}-${last}`)
    start = i
  }
  return out.join(',')
}
