/** The few operations on files that writing needs, so that tests can make each of them fail. Node only. */
import { type BigIntStats, constants } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

export interface WritableFile {
  /** Writes some of `bytes` at the end of the file; gives how many. */
  readonly write: (bytes: Uint8Array) => Promise<number>
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

export type EntryKind = 'file' | 'folder' | 'other'

/** A name in a folder and what is there, links not followed. */
export interface Entry {
  readonly name: string
  readonly kind: EntryKind
}

export interface FileSystem {
  /** What is at a path, links not followed; undefined where there is nothing. */
  readonly kindOf: (path: string) => Promise<EntryKind | undefined>
  /** Another text once the file at a path is another one, or has been written to. */
  readonly stateOf: (path: string) => Promise<string>
  readonly list: (folder: string) => Promise<ReadonlyArray<Entry>>
  /** The content of a file piece by piece, links not followed. */
  readonly read: (path: string) => AsyncIterable<Uint8Array>
  /** Makes the folders of a path that are missing. */
  readonly makeFolders: (path: string) => Promise<void>
  /** Makes one folder, which must not exist. */
  readonly makeFolder: (path: string) => Promise<void>
  /** Makes a file, which must not exist, not even as a link. */
  readonly create: (path: string) => Promise<WritableFile>
  /** Puts what is at `from` at `to`, in place of a file or an empty folder there. */
  readonly rename: (from: string, to: string) => Promise<void>
  /** Gives a file another name too, which must not exist. */
  readonly link: (from: string, to: string) => Promise<void>
  readonly removeFile: (path: string) => Promise<void>
  /** Removes a folder, which must be empty. */
  readonly removeFolder: (path: string) => Promise<void>
  /** Returns when the names in a folder have reached the disk. */
  readonly syncFolder: (path: string) => Promise<void>
}

const kindOf = (entry: { readonly isFile: () => boolean; readonly isDirectory: () => boolean }): EntryKind =>
  entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other'

const stateOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(' ')

/** The code of a system error (`ENOENT`), empty for any other. */
export const systemCode = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

/**
 * Makes the folders of a path that are missing. Throws errors of the system. Node's own way (`mkdir` with `recursive`) never
 * returns where the system refuses to make anything with ENOENT, as in /proc.
 */
export const makeFolders = async (path: string): Promise<void> => {
  const missing: string[] = []
  for (let at = resolve(path); !(await madeOrThere(at)); at = dirname(at)) missing.push(at)
  for (const folder of missing.toReversed()) if (!(await madeOrThere(folder))) await mkdir(folder)
}

/** Makes one folder, unless it is there; false where the one that it is in is missing. */
const madeOrThere = async (path: string): Promise<boolean> => {
  try {
    await mkdir(path)
    return true
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT' && dirname(path) !== path) return false
    if (await isFolder(path)) return true
    throw thrown
  }
}

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

export const nodeFileSystem: FileSystem = {
  kindOf: async (path) => {
    try {
      return kindOf(await lstat(path))
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return undefined
      throw thrown
    }
  },
  stateOf: async (path) => stateOf(await lstat(path, { bigint: true })),
  list: async (folder) => {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
  },
  async *read(path) {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const buffer = new Uint8Array(1 << 20)
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.byteLength)
        if (bytesRead === 0) return
        yield buffer.slice(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  },
  makeFolders,
  makeFolder: async (path) => {
    await mkdir(path)
  },
  create: async (path) => {
    const file = await open(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o666,
    )
    return {
      write: async (bytes) => (await file.write(bytes)).bytesWritten,
      sync: () => file.sync(),
      close: () => file.close(),
    }
  },
  rename,
  link,
  removeFile: unlink,
  removeFolder: rmdir,
  syncFolder: async (path) => {
    // Windows has no such call: a folder cannot be opened.
    if (process.platform === 'win32') return
    const folder = await open(path, constants.O_RDONLY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
}
