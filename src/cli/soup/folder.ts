/** The folder of a soup: what is in it, beside what is in that of a run. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { systemCode } from '../../disk/file-system.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import { version } from '../../package/version.ts'
import { toJson } from '../../report/json.ts'
import { type SoupChoice, soupChoices } from '../../train/index.ts'
import { makeFolder, tryRunFolder } from '../train/run-folder.ts'
import { type Settings, settingsOf } from '../train/settings.ts'
import { writeFileWhole } from '../write-file.ts'

/** What a soup is made of. */
export interface SoupSettings {
  /** Of its first run. */
  readonly settings: Settings
  readonly choice: SoupChoice
  /** The folders of the runs. */
  readonly runs: ReadonlyArray<string>
  readonly statisticsImages?: number
}

export const soupFile = (folder: string): string => join(folder, 'soup.json')

/** The file with the settings of a soup, as text; the same soup gives the same text. */
const textOf = ({ settings, ...rest }: SoupSettings): string =>
  `${toJson({ chasec: version, soup: rest, ...settings })}\n`

/**
 * Whether the soup may go into `folder`: a new or empty one, or one with the same soup, which is made anew. Errors: a folder with
 * anything else, one that cannot be written into.
 */
export const trySoupFolder = async (folder: string, soup: SoupSettings): Promise<E.Either<Failure, undefined>> => {
  const place = await tryRunFolder(folder)
  if (E.isLeft(place)) return place
  try {
    const names = await readdir(folder)
    if (names.length === 0) return E.right(undefined)
    if (names.includes('soup.json') && (await readFile(soupFile(folder), 'utf8')) === textOf(soup)) {
      return E.right(undefined)
    }
    const found = names.includes('soup.json') ? 'another soup' : names.includes('run.json') ? 'a run' : 'other files'
    const help = 'Give another folder.'
    return E.left(failure('UsageError', `--output ${folder}`, 'a new or empty folder', found, help))
  } catch (thrown) {
    if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
    if (systemCode(thrown) === 'ENOENT') return E.right(undefined)
    return E.left(failure('UsageError', `--output ${folder}`, 'a folder', thrown.message, 'Give another one.'))
  }
}

/** Makes the folder the one of this soup. */
export const claimSoupFolder = async (folder: string, soup: SoupSettings): Promise<E.Either<Failure, undefined>> => {
  const made = await makeFolder(folder)
  if (E.isLeft(made)) return made
  const written = await writeFileWhole(soupFile(folder), [new TextEncoder().encode(textOf(soup))], { force: true })
  return E.isLeft(written) ? written : E.right(undefined)
}

/** The settings in a soup's file. Errors: a file that is not ours. */
export const soupSettingsOf = (path: string, data: unknown): E.Either<Failure, SoupSettings> => {
  const soup = isRecord(data) ? data['soup'] : undefined
  const { choice, runs } = isRecord(soup) ? soup : {}
  const known = soupChoices.find((one) => one === choice)
  if (known === undefined || !Array.isArray(runs) || !runs.every((run) => typeof run === 'string')) {
    const help = 'Give another folder, or remove the file.'
    return E.left(failure('UsageError', path, 'the settings of a soup', 'something else', help))
  }
  return E.map((settings: Settings): SoupSettings => ({ settings, choice: known, runs }))(settingsOf(path, data))
}
