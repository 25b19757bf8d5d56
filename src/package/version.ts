/** What package.json states, as constants: nothing is read when chasec is loaded, and a browser has no files. */

export const version = '0.1.0'

/** The Node that it needs, a range of versions. */
export const neededNode = '>=20.19'
