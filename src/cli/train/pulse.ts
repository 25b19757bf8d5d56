/** Signs of life where nobody looks at a terminal: which line is due when. Pure; times are milliseconds of any clock. */

export interface Pulse {
  /** What is being done, and since when it has been called so. */
  readonly doing: { readonly text: string; readonly since: number } | undefined
  /** When a line was written last. */
  readonly written: number
}

/** What the main thread tells: that something is being done now, or that it has written a line itself. */
export type Sign = { readonly kind: 'doing'; readonly text: string } | { readonly kind: 'wrote' }

export const startPulse = (now: number): Pulse => ({ doing: undefined, written: now })

export const felt = (pulse: Pulse, sign: Sign, now: number): Pulse =>
  sign.kind === 'wrote'
    ? { ...pulse, written: now }
    : { ...pulse, doing: pulse.doing?.text === sign.text ? pulse.doing : { text: sign.text, since: now } }

/** The line that is due, `silence` milliseconds after the last one: what is being done, and for how long if that is long. */
export const dueLine = ({ doing, written }: Pulse, now: number, silence: number): string | undefined => {
  if (doing === undefined || now - written < silence) return undefined
  const seconds = Math.floor((now - doing.since) / 1000)
  return seconds * 1000 < silence ? doing.text : `${doing.text} (for ${seconds} s)`
}
