/**
 * Names of what is written beside its place before it is moved there: `.<name>.chasec-<role>-<process>-<run>-<random>`. They
 * tell who made them, so that a later run can clear up after one that was killed, and leaves one that still writes alone.
 */
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { type EntryKind, type FileSystem, systemCode } from './file-system.ts'

/** `new`: not finished. `old`: moved aside for a new one. `trash`: about to be removed. */
export type Role = 'new' | 'old' | 'trash'

/** Of this process; process ids alone come back. */
const run = randomBytes(6).toString('hex')

const prefixOf = (target: string): string => `.${basename(target)}.chasec-`

/** A path beside `target` that nothing has yet. */
export const beside = (target: string, role: Role): string =>
  join(dirname(target), `${prefixOf(target)}${role}-${process.pid}-${run}-${randomBytes(6).toString('hex')}`)

const pattern = /^(new|old|trash)-(\d{1,10})-([0-9a-f]{12})-[0-9a-f]{12}$/

export interface Leftover {
  readonly path: string
  readonly role: Role
  /** Whether the process that made it may still be at work. */
  readonly inUse: boolean
}

/** What lies beside `target` from this and other runs. Process ids of other machines are taken for ids of this one. */
export const leftoversOf = async (
  target: string,
  kind: EntryKind,
  fileSystem: FileSystem,
): Promise<ReadonlyArray<Leftover>> => {
  const prefix = prefixOf(target)
  const entries = await fileSystem.list(dirname(target))
  return entries.flatMap((entry): ReadonlyArray<Leftover> => {
    if (entry.kind !== kind || !entry.name.startsWith(prefix)) return []
    const [, role, id, maker] = pattern.exec(entry.name.slice(prefix.length)) ?? []
    if (role !== 'new' && role !== 'old' && role !== 'trash') return []
    const inUse = Number(id) === process.pid ? maker === run : isRunning(Number(id))
    return [{ path: join(dirname(target), entry.name), role, inUse }]
  })
}

const isRunning = (id: number): boolean => {
  try {
    process.kill(id, 0)
    return true
  } catch (thrown) {
    return systemCode(thrown) === 'EPERM'
  }
}
