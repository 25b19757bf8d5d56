/**
 * Text that may come from a file, made safe to be shown: control characters could drive a terminal, characters for the
 * direction of writing could make a text read as another.
 */

/** C0 but for tab and line feed, DEL, C1, line and paragraph separators, marks of direction, halves of surrogate pairs. */
const unsafe = /(?![\t\n])[\p{Control}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** The text with everything unsafe written as `\uXXXX`: what JSON reads as the same character again. */
export const printable = (text: string): string => text.replace(unsafe, escaped)

const escape = String.fromCharCode(27)

const styles = new RegExp(`(${escape}\\[(?:0|1|2|22|31|32|33|39)m)`)

/** The same, but colours and weights of text, as the terminal styles set them, stay. */
export const printableStyled = (text: string): string =>
  text
    .split(styles)
    .map((piece, i) => (i % 2 === 1 ? piece : printable(piece)))
    .join('')
