/** What parsed JSON and YAML may be. */

/** Whether something is an object with named fields: no array, not null. */
export const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)
