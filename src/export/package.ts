/**
 * Folders of files that are replaced as a whole. Node only.
 *
 * The files are written into a new folder beside the target and forced to disk; then the target is renamed aside, the
 * new folder renamed into its place, and the old one removed. So at every instant the target is the whole old package or
 * the whole new one, or, between the two renames, absent while the old one lies complete beside it; it never holds a mix.
 * Whatever ends the process, the next {@link writeFiles} or {@link recoverFiles} of the same target restores an old
 * package that was left aside and removes what is left of earlier runs. Folders beside the target are named
 * `.<target>.chasec-<new|old|trash>-<id>`.
 *
 * Two processes that write the same target do not mix either: the one that starts later takes the other's unfinished
 * folder away, and the other ends with an error.
 */
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type WriteError, writeError } from './error.ts'
import { type FileSystem, nodeFileSystem, systemCode } from './file-system.ts'

export interface PackageFile {
  readonly name: string
  /** The content in order, made piece by piece while it is written. */
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
}

/** The file that makes a folder a package of ours. */
export const manifestName = 'chasec.json'

const ownNames = /^(model\.onnx(_data(_\d+)?)?|report\.html|chasec\.json)$/

type Role = 'new' | 'old' | 'trash'

const beside = (target: string, role: Role): string =>
  join(dirname(target), `.${basename(target)}.chasec-${role}-${crypto.randomUUID()}`)

/**
 * Replaces the package at `directory` by `files`, or makes it; folders above it are made too. The promise of what a crash
 * or an error leaves is that of this file's first comment.
 *
 * Errors: the folder holds files that are not a package of ours (all of them, when it has no manifest); it is a link or a
 * file; a name that is not one of a plain file; the disk is full or fails. After an error the old package is in place.
 */
export const writeFiles =
  (
    directory: string,
    files: ReadonlyArray<PackageFile>,
    fileSystem: FileSystem = nodeFileSystem,
  ): TaskEither<WriteError, void> =>
  () =>
    reported(directory, async () => {
      const target = resolve(directory)
      const names = checkNames(files.map(({ name }) => name))
      if (E.isLeft(names)) return names
      await fileSystem.makeFolders(dirname(target))
      await recover(target, fileSystem)
      const free = await checkTarget(target, names.right, fileSystem)
      if (E.isLeft(free)) return free
      const fresh = beside(target, 'new')
      try {
        await fileSystem.makeFolder(fresh)
        for (const file of files) await writeFile(join(fresh, file.name), file.chunks, fileSystem)
        await fileSystem.syncFolder(fresh)
        return await replace(target, fresh, names.right, fileSystem)
      } finally {
        await discard(target, fresh, fileSystem).catch(() => undefined)
      }
    })

/**
 * Puts a package back that a run left aside when it ended between its two renames, and removes what is left of runs that
 * ended early. For those who read packages; {@link writeFiles} does it too.
 */
export const recoverFiles =
  (directory: string, fileSystem: FileSystem = nodeFileSystem): TaskEither<WriteError, void> =>
  () =>
    reported(directory, async () => {
      const target = resolve(directory)
      if ((await fileSystem.kindOf(dirname(target))) === 'folder') await recover(target, fileSystem)
      return E.right(undefined)
    })

/** Turns errors of the system into ours. */
const reported = async (
  directory: string,
  work: () => Promise<E.Either<WriteError, void>>,
): Promise<E.Either<WriteError, void>> => {
  try {
    return await work()
  } catch (thrown) {
    if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
    const help = 'The package that was there, if any, is unchanged. Check free space and permissions, then try again.'
    return E.left(writeError(directory, 'a folder that can be written', thrown.message, help))
  }
}

const checkNames = (names: ReadonlyArray<string>): E.Either<WriteError, ReadonlySet<string>> => {
  const seen = new Set<string>()
  for (const name of names) {
    if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) {
      const help = 'Give the file a plain name, without folders.'
      return E.left(writeError(`file ${JSON.stringify(name)}`, "a name in the package's folder", 'a path', help))
    }
    if (seen.has(name)) return E.left(writeError(`file ${name}`, 'one file of this name', 'several', 'Rename one.'))
    seen.add(name)
  }
  return E.right(seen)
}

/** Refuses to replace anything but nothing, an empty folder, or a package of ours. */
const checkTarget = async (
  target: string,
  names: ReadonlySet<string>,
  fileSystem: FileSystem,
): Promise<E.Either<WriteError, void>> => {
  const kind = await fileSystem.kindOf(target)
  if (kind === undefined) return E.right(undefined)
  const help = 'Choose another folder, or move its files away first.'
  if (kind !== 'folder') return E.left(writeError(target, 'a folder or nothing', 'a file or a link', help))
  const foreign = await foreignNames(target, names, fileSystem)
  if (foreign.length === 0) return E.right(undefined)
  const shown = foreign.length > 5 ? [...foreign.slice(0, 5), `${foreign.length - 5} more`] : foreign
  return E.left(writeError(target, 'an empty folder or a package of chasec', `other files: ${shown.join(', ')}`, help))
}

const foreignNames = async (
  folder: string,
  names: ReadonlySet<string>,
  fileSystem: FileSystem,
): Promise<ReadonlyArray<string>> => {
  const entries = await fileSystem.list(folder)
  const ours = entries.some(({ name, kind }) => name === manifestName && kind === 'file')
  const isOwn = (name: string): boolean => ours && (ownNames.test(name) || names.has(name))
  return entries
    .filter(({ name, kind }) => kind !== 'file' || !isOwn(name))
    .map(({ name }) => name)
    .sort()
}

const writeFile = async (
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  fileSystem: FileSystem,
): Promise<void> => {
  const file = await fileSystem.create(path)
  try {
    for await (const chunk of chunks) {
      let rest = chunk
      while (rest.byteLength > 0) {
        const written = await file.write(rest)
        if (written <= 0) throw Object.assign(new Error(`nothing more could be written to ${path}`), { code: 'EIO' })
        rest = rest.subarray(written)
      }
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The two renames. A target that gained foreign files since it was checked, or an error, brings the old folder back. */
const replace = async (
  target: string,
  fresh: string,
  names: ReadonlySet<string>,
  fileSystem: FileSystem,
): Promise<E.Either<WriteError, void>> => {
  const old = (await fileSystem.kindOf(target)) === undefined ? undefined : beside(target, 'old')
  if (old !== undefined) await fileSystem.rename(target, old)
  try {
    const free = old === undefined ? E.right(undefined) : await checkTarget(old, names, fileSystem)
    if (E.isLeft(free)) {
      if (old !== undefined) await fileSystem.rename(old, target)
      return free
    }
    await fileSystem.rename(fresh, target)
  } catch (thrown) {
    if (old !== undefined) await fileSystem.rename(old, target)
    throw thrown
  }
  // The new package is in place: what fails from here on is cleared up by the next run.
  await fileSystem.syncFolder(dirname(target)).catch(() => undefined)
  if (old !== undefined) await discard(target, old, fileSystem).catch(() => undefined)
  return E.right(undefined)
}

/** Removes a folder beside the target. It is renamed first, so that its name never stands for a part of it. */
const discard = async (target: string, folder: string, fileSystem: FileSystem): Promise<void> => {
  const trash = beside(target, 'trash')
  try {
    await fileSystem.rename(folder, trash)
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return
    throw thrown
  }
  await fileSystem.remove(trash)
}

/** What earlier runs left beside the target: an old package without a new one goes back, all else goes. */
const recover = async (target: string, fileSystem: FileSystem): Promise<void> => {
  const prefix = `.${basename(target)}.chasec-`
  const entries = await fileSystem.list(dirname(target))
  const left = (role: Role): ReadonlyArray<string> =>
    entries
      .filter(({ name, kind }) => kind === 'folder' && name.startsWith(`${prefix}${role}-`))
      .map(({ name }) => join(dirname(target), name))
  const [newest, ...older] = left('old')
  // Looked up after the listing: a target that is there now means that whoever moved the old one aside has finished.
  const lost = newest !== undefined && (await fileSystem.kindOf(target)) === undefined
  if (lost) {
    await fileSystem.rename(newest, target)
    await fileSystem.syncFolder(dirname(target))
  }
  const stale = [...(newest === undefined || lost ? [] : [newest]), ...older, ...left('new')]
  for (const folder of stale) await discard(target, folder, fileSystem)
  for (const folder of left('trash')) await fileSystem.remove(folder)
}
