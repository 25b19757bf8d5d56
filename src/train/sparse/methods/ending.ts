/** Phases that end on a given step. */
/** The phase offset that makes one of the updates fall on step `end`. */
export const offsetTo = (end: number, every: number): number => (every - (end % every)) % every
