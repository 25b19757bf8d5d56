/** Why agreement of two models proves little of an output, in words. */
import type { Unseen } from '../run/verify.ts'
import { plural } from './units.ts'

export const unseenReasons: Readonly<Record<Unseen['why'], string>> = {
  empty: 'is empty',
  zero: 'is zero',
  'not finite': 'has no finite number',
  constant: 'is the same for all inputs tried',
  saturated: 'is saturated, only 0, 1 and -1',
}

/** Outputs of which agreement proves little, and why: `y is the same for all inputs tried`. `nameOf` shortens names where there is little room. */
export const describeUnseen = (unseen: ReadonlyArray<Unseen>, nameOf = (output: string): string => output): string => {
  const shown = unseen.slice(0, 3).map(({ output, why }) => `${nameOf(output)} ${unseenReasons[why]}`)
  const more = unseen.length - shown.length
  return [...shown, ...(more > 0 ? [`${plural(more, 'more output')}`] : [])].join('; ')
}
