/** The environment variables that chasec knows, read once. */
import { homedir } from 'node:os'
import { join } from 'node:path'

export interface Environment {
  /** CHASEC_DEBUG: 1 lists passes, 2 also checks the graph after each, 3 also dumps it. */
  readonly debug: 0 | 1 | 2 | 3
  /** CHASEC_STOP_AFTER: ends compiling after this many runs of passes. */
  readonly stopAfter: number | undefined
  /** CHASEC_WHY: the value whose channels shall be explained. */
  readonly why: string | undefined
  /** NO_COLOR, FORCE_COLOR and a TERM that is dumb; undefined where none says anything. */
  readonly colour: boolean | undefined
  /** COLUMNS, for a terminal that does not say how wide it is. */
  readonly columns: number | undefined
  /** XDG_CACHE_HOME: the folder of what is measured once; `~/.cache` where it is not set. */
  readonly cache: string
}

type Variables = Readonly<Record<string, string | undefined>>

export const readEnvironment = (variables: Variables): Environment => ({
  debug: debugLevel(variables['CHASEC_DEBUG']),
  stopAfter: positive(variables['CHASEC_STOP_AFTER']),
  why: variables['CHASEC_WHY'] || undefined,
  colour: colourOf(variables),
  columns: positive(variables['COLUMNS']),
  cache: join(variables['XDG_CACHE_HOME'] || join(variables['HOME'] || homedir(), '.cache'), 'chasec'),
})

const debugLevel = (text: string | undefined): Environment['debug'] => {
  const level = Number(text ?? 0)
  if (!(level >= 1)) return 0
  if (level >= 3) return 3
  return level >= 2 ? 2 : 1
}

const positive = (text: string | undefined): number | undefined => {
  const count = Number(text)
  return text !== undefined && Number.isSafeInteger(count) && count >= 1 ? count : undefined
}

const colourOf = (variables: Variables): boolean | undefined => {
  const force = variables['FORCE_COLOR']
  if (force !== undefined && force !== '') return force !== '0'
  const none = variables['NO_COLOR']
  const isPlain = (none !== undefined && none !== '') || variables['TERM'] === 'dumb'
  return isPlain ? false : undefined
}
