/** A file that something was made from: its name without folders, and the SHA-256 of its bytes in hexadecimal. */
export interface Source {
  readonly name: string
  readonly sha256: string
}
