/** How text is set off on a terminal. */
import picocolors from 'picocolors'

export type Paint = (text: string) => string

export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly red: Paint
}

/** Colours where `enabled`; otherwise every text stays as it is. */
export const styleFor = (enabled: boolean): Style => {
  const { bold, dim, green, yellow, red } = picocolors.createColors(enabled)
  return { bold, dim, green, yellow, red }
}

export const plainStyle: Style = styleFor(false)
