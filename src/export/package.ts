/**
 * Packages: folders of files that are replaced as a whole. Node only.
 *
 * The files are written into a new folder beside the target and forced to disk; then the target is renamed aside, the
 * new folder renamed into its place, and the old one removed. So at every instant the target is the whole old package or
 * the whole new one, or, between the two renames, absent while the old one lies complete beside it; it never holds a mix.
 * Whatever ends the process, the next {@link writeFiles} or {@link recoverFiles} of the same target restores an old
 * package that was left aside and removes what is left of runs that have ended.
 *
 * A package is what its manifest lists, by content. A folder that holds anything else is refused, and only what has been
 * found to be a package is ever removed.
 *
 * Several processes may write the same target: each publishes a whole package, and the last one stays.
 */
import { createHash } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { beside, leftoversOf } from '../disk/beside.ts'
import { type WriteError, writeError } from '../disk/error.ts'
import { type FileSystem, nodeFileSystem, systemCode } from '../disk/file-system.ts'
import { heldBy, tryFolders } from '../disk/writable.ts'
import { type Chunks, createFile, giveUp, stoppedAt, type Writing } from '../disk/write-file.ts'
import { manifestName } from './manifest-name.ts'
import { systemReason } from '../ir/system-reason.ts'

export interface PackageFile {
  /** Its place in the package: names of folders and of the file, with slashes between. */
  readonly name: string
  /** The content in order, made piece by piece while it is written. */
  readonly chunks: Chunks
}

/** How often a target that other processes keep replacing is tried. */
const attempts = 100

/**
 * Replaces the package at `directory` by `files`, or makes it; folders above it are made too. The promise of what a crash
 * or an error leaves is that of this file's first comment.
 *
 * Errors: the folder holds files that its manifest does not list, or lists with another content (all of them, when it has
 * no manifest of chasec); it is a link, a file, a mount point or the folder that this runs in; a name that is not one of a
 * plain file; the disk is full or fails; it was aborted. After an error the old package is in place.
 */
export const writeFiles =
  (
    directory: string,
    files: ReadonlyArray<PackageFile>,
    { fileSystem = nodeFileSystem, signal, dry = false }: Writing = {},
  ): TaskEither<WriteError, void> =>
  () =>
    reported(directory, signal, async () => {
      const target = resolve(directory)
      const names = checkNames(files.map(({ name }) => name))
      if (E.isLeft(names)) return names
      await tryFolders(dirname(target))
      if (!dry) {
        await fileSystem.makeFolders(dirname(target))
        await recover(target, fileSystem)
      }
      const free = await checkTarget(target, target, fileSystem)
      if (E.isLeft(free)) return free
      const held = free.right ? await heldBy(target) : undefined
      if (held !== undefined) return E.left(heldError(target, held))
      if (dry) {
        for (const { chunks } of files) await giveUp(chunks, signal)
        return E.right(undefined)
      }
      const fresh = beside(target, 'new')
      try {
        await fileSystem.makeFolder(fresh)
        const folders = foldersOf(names.right)
        for (const folder of folders) await fileSystem.makeFolder(join(fresh, folder))
        for (const { name, chunks } of files) {
          await createFile(join(fresh, name), chunks, { fileSystem, ...(signal === undefined ? {} : { signal }) })
        }
        for (const folder of folders.toReversed()) await fileSystem.syncFolder(join(fresh, folder))
        await fileSystem.syncFolder(fresh)
        return await replace(target, fresh, fileSystem)
      } catch (thrown) {
        if (systemCode(thrown) !== 'ENOENT' || (await fileSystem.kindOf(fresh)) !== undefined) throw thrown
        return E.left(busy(directory))
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
    reported(directory, undefined, async () => {
      const target = resolve(directory)
      if ((await fileSystem.kindOf(dirname(target))) === 'folder') await recover(target, fileSystem)
      return E.right(undefined)
    })

const heldError = (directory: string, found: string): WriteError => {
  const help = 'Packages are replaced as a whole, folder and all: name a folder inside of it, or another one.'
  return writeError(directory, 'a folder that another one can take the place of', found, help)
}

/** Turns errors of the system, and the abortion, into ours. */
const reported = async (
  directory: string,
  signal: AbortSignal | undefined,
  work: () => Promise<E.Either<WriteError, void>>,
): Promise<E.Either<WriteError, void>> => {
  try {
    return await work()
  } catch (thrown) {
    if (signal?.aborted === true && thrown === signal.reason) return E.left(stoppedAt(directory))
    if (!(thrown instanceof Error) || systemCode(thrown) === '') throw thrown
    if (systemCode(thrown) === 'EBUSY') return E.left(heldError(directory, 'a mount point, or one that is in use'))
    const help = 'The package that was there, if any, is unchanged. Check free space and permissions, then try again.'
    return E.left(writeError(directory, 'a folder that can be written', systemReason(thrown), help))
  }
}

/** What `work` gives; undefined where it fails with one of these codes of the system. */
const unless = async <A>(codes: ReadonlyArray<string>, work: () => Promise<A>): Promise<A | undefined> => {
  try {
    return await work()
  } catch (thrown) {
    if (!codes.includes(systemCode(thrown))) throw thrown
    return undefined
  }
}

/** Renames a folder; false where it is gone, or something is in its new place. */
const moved = async (from: string, to: string, fileSystem: FileSystem): Promise<boolean> =>
  (await unless(['ENOENT', 'ENOTEMPTY', 'EEXIST'], async () => {
    await fileSystem.rename(from, to)
    return true
  })) ?? false

/** The folders that files of these names are in, each after those that it is in. */
const foldersOf = (names: ReadonlySet<string>): ReadonlyArray<string> => {
  const folders = new Set<string>()
  for (const name of names) {
    const parts = name.split('/')
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join('/'))
  }
  return [...folders]
}

const checkNames = (names: ReadonlyArray<string>): E.Either<WriteError, ReadonlySet<string>> => {
  const seen = new Set<string>()
  for (const name of names) {
    if (name.split('/').some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part))) {
      const help = 'Give the file a name, or names of folders and of the file with slashes between.'
      return E.left(writeError(`file ${JSON.stringify(name)}`, 'a place in the package', 'another path', help))
    }
    if (seen.has(name)) return E.left(writeError(`file ${name}`, 'one file of this name', 'several', 'Rename one.'))
    seen.add(name)
  }
  const both = foldersOf(seen).find((folder) => seen.has(folder))
  if (both !== undefined) return E.left(writeError(`file ${both}`, 'a file or a folder', 'both', 'Rename one.'))
  return E.right(seen)
}

/** SHA-256 of files by their states: a process reads a file that has not been written to once, however often it asks. */
const digests = new WeakMap<FileSystem, Map<string, string>>()

/**
 * Refuses to replace anything but nothing, an empty folder, or a package: its manifest and files that it lists. `folder` is
 * where the target is now; gives whether something is there.
 */
const checkTarget = async (
  target: string,
  folder: string,
  fileSystem: FileSystem,
): Promise<E.Either<WriteError, boolean>> => {
  const help = 'Choose another folder, or move its files away first.'
  for (let attempt = 0; attempt < attempts; attempt++) {
    const kind = await fileSystem.kindOf(folder)
    if (kind === undefined) return E.right(false)
    if (kind !== 'folder') return E.left(writeError(target, 'a folder or nothing', 'a file or a link', help))
    const foreign = await unless(['ENOENT'], async () => {
      const before = await fileSystem.stateOf(folder)
      const found = await foreignFiles(folder, fileSystem)
      return (await fileSystem.stateOf(folder)) === before ? found : undefined
    })
    // Another process has taken it away meanwhile, or put another one in its place: not one folder has been looked at.
    if (foreign === undefined) continue
    if (foreign.length === 0) return E.right(true)
    const shown = foreign.length > 5 ? [...foreign.slice(0, 5), `${foreign.length - 5} more`] : foreign
    const found = `other files: ${shown.join(', ')}`
    return E.left(writeError(target, 'an empty folder or a package of chasec', found, help))
  }
  return E.left(busy(target))
}

/** Other processes replace the target faster than this one can. */
const busy = (target: string): WriteError => {
  const help = 'Let other runs of chasec for this folder end, then try again.'
  return writeError(target, 'a folder that is left alone', 'one that others keep replacing', help)
}

/** What in a folder is not of a package, in words. */
const foreignFiles = async (folder: string, fileSystem: FileSystem): Promise<ReadonlyArray<string>> => {
  const hasManifest = (await fileSystem.list(folder)).some(({ name, kind }) => name === manifestName && kind === 'file')
  const listed = hasManifest ? await filesOfManifest(join(folder, manifestName), fileSystem) : undefined
  const known = new Set(foldersOf(new Set(listed?.keys())))
  const foreign: string[] = []
  // The list grows while it is walked.
  const folders = ['']
  for (const within of folders) {
    for (const { name: own, kind } of await fileSystem.list(join(folder, within))) {
      const name = within === '' ? own : `${within}/${own}`
      const sha256 = kind === 'file' ? listed?.get(name) : undefined
      if (kind === 'folder' && known.has(name)) folders.push(name)
      else if (sha256 === undefined) {
        if (name !== manifestName || listed === undefined) foreign.push(name)
      } else if ((await digestOfFile(join(folder, name), fileSystem)) !== sha256) {
        foreign.push(`${name} (changed since it was written)`)
      }
    }
  }
  return foreign.sort()
}

const digestOfFile = async (path: string, fileSystem: FileSystem): Promise<string> => {
  const state = await fileSystem.stateOf(path)
  const known = digests.get(fileSystem) ?? new Map<string, string>()
  digests.set(fileSystem, known)
  const found = known.get(state)
  if (found !== undefined) return found
  const hash = createHash('sha256')
  for await (const chunk of fileSystem.read(path)) hash.update(chunk)
  const digest = hash.digest('hex')
  if ((await fileSystem.stateOf(path)) !== state) return ''
  known.set(state, digest)
  return digest
}

/** Bytes of the longest manifest that is read. */
const manifestLimit = 2 ** 28

/** The digests of the files that a manifest of chasec lists, by name; undefined where the file is no such manifest. */
const filesOfManifest = async (
  path: string,
  fileSystem: FileSystem,
): Promise<ReadonlyMap<string, string> | undefined> => {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of fileSystem.read(path)) {
    chunks.push(chunk)
    length += chunk.byteLength
    if (length > manifestLimit) return undefined
  }
  const parsed = E.tryCatch((): unknown => JSON.parse(Buffer.concat(chunks).toString('utf8')), E.toError)
  return E.isRight(parsed) && isManifest(parsed.right)
    ? new Map(parsed.right.files.map(({ name, sha256 }) => [name, sha256]))
    : undefined
}

interface ListedFile {
  readonly name: string
  readonly sha256: string
}

const isManifest = (x: unknown): x is { readonly files: ReadonlyArray<ListedFile> } =>
  isObject(x) &&
  'format' in x &&
  x.format === 1 &&
  'tool' in x &&
  isObject(x.tool) &&
  'name' in x.tool &&
  x.tool.name === 'chasec' &&
  'files' in x &&
  Array.isArray(x.files) &&
  x.files.every(isListedFile)

const isListedFile = (x: unknown): x is ListedFile =>
  isObject(x) && 'name' in x && typeof x.name === 'string' && 'sha256' in x && typeof x.sha256 === 'string'

const isObject = (x: unknown): x is object => typeof x === 'object' && x !== null

/**
 * The two renames. A target that gained foreign files since it was checked, or an error, brings the old folder back; where
 * another process was faster, its package is the one to be replaced.
 */
const replace = async (target: string, fresh: string, fileSystem: FileSystem): Promise<E.Either<WriteError, void>> => {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const there = await checkTarget(target, target, fileSystem)
    if (E.isLeft(there)) return there
    if (!there.right) {
      if (!(await moved(fresh, target, fileSystem))) {
        // Gone, not forestalled: an error.
        await fileSystem.stateOf(fresh)
        continue
      }
      await fileSystem.syncFolder(dirname(target)).catch(() => undefined)
      return E.right(undefined)
    }
    const old = beside(target, 'old')
    if (!(await moved(target, old, fileSystem))) continue
    let published = false
    try {
      const free = await checkTarget(target, old, fileSystem)
      if (E.isLeft(free)) return free
      published = await moved(fresh, target, fileSystem)
      if (!published) await fileSystem.stateOf(fresh)
    } finally {
      // With another package in the target by now, the old one has been replaced all the same.
      if (!published) await moved(old, target, fileSystem)
    }
    // Once published, the new package is in place: what fails from here on is cleared up by the next run.
    if (published) await fileSystem.syncFolder(dirname(target)).catch(() => undefined)
    await discardPackage(target, old, fileSystem).catch(() => undefined)
    if (published) return E.right(undefined)
  }
  return E.left(busy(target))
}

/** Removes a folder beside the target that holds a package or nothing; any other stays. */
const discardPackage = async (target: string, folder: string, fileSystem: FileSystem): Promise<void> => {
  const free = await checkTarget(target, folder, fileSystem)
  if (E.isRight(free) && free.right) await discard(target, folder, fileSystem)
}

/** Removes a folder beside the target. It is renamed first, so that its name never stands for a part of it. */
const discard = async (target: string, folder: string, fileSystem: FileSystem): Promise<void> => {
  const trash = beside(target, 'trash')
  if (await moved(folder, trash, fileSystem)) await clear(trash, fileSystem)
}

/** Removes a folder of files and of folders of files; links in it stay, and so does it then. */
const clear = async (folder: string, fileSystem: FileSystem): Promise<void> => {
  // The list grows while it is walked.
  const folders = [folder]
  for (const within of folders) {
    for (const { name, kind } of await fileSystem.list(within)) {
      if (kind === 'file') await fileSystem.removeFile(join(within, name))
      if (kind === 'folder') folders.push(join(within, name))
    }
  }
  for (const within of folders.toReversed()) await fileSystem.removeFolder(within)
}

/** What runs that have ended left beside the target: an old package without a new one goes back, all else goes. */
const recover = async (target: string, fileSystem: FileSystem): Promise<void> => {
  const leftovers = await leftoversOf(target, 'folder', fileSystem)
  // Looked up after the listing: a target that is there now means that whoever moved the old one aside has finished.
  const absent = (await fileSystem.kindOf(target)) === undefined
  // One that is in use goes back too: its process id may have come to another, and if not, its process will try again.
  const lost = absent ? leftovers.find(({ role }) => role === 'old') : undefined
  if (lost !== undefined && (await moved(lost.path, target, fileSystem))) await fileSystem.syncFolder(dirname(target))
  for (const { path, role, inUse } of leftovers) {
    if (inUse || path === lost?.path) continue
    await unless(['ENOENT', 'ENOTEMPTY'], async () => {
      if (role === 'old') await discardPackage(target, path, fileSystem)
      else if (role === 'new') await discard(target, path, fileSystem)
      else await clear(path, fileSystem)
    })
  }
}
