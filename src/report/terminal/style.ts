/** How text is set off on a terminal, and how much room it has there. */
import picocolors from 'picocolors'

export type Paint = (text: string) => string

export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly red: Paint
  /** Of the terminal; infinite where there is none, and everything is shown in full. */
  readonly columns: number
}

/** Colours where `enabled`; otherwise every text stays as it is. */
export const styleFor = (enabled: boolean, columns = Infinity): Style => {
  const { bold, dim, green, yellow, red } = picocolors.createColors(enabled)
  return { bold, dim, green, yellow, red, columns }
}

export const plainStyle: Style = styleFor(false)
