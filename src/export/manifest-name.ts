/** The file that says what a package is. */
export const manifestName = 'chasec.json'
