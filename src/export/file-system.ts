/** The few operations on files that writing a package needs, so that tests can make each of them fail. Node only. */
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'

export interface WritableFile {
  /** Writes some of `bytes` at the end of the file; gives how many. */
  readonly write: (bytes: Uint8Array) => Promise<number>
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

export type EntryKind = 'file' | 'folder' | 'other'

export interface FileSystem {
  /** What is at a path, links not followed; undefined where there is nothing. */
  readonly kindOf: (path: string) => Promise<EntryKind | undefined>
  readonly list: (folder: string) => Promise<ReadonlyArray<{ readonly name: string; readonly kind: EntryKind }>>
  /** Makes the folders of a path that are missing. */
  readonly makeFolders: (path: string) => Promise<void>
  /** Makes one folder, which must not exist. */
  readonly makeFolder: (path: string) => Promise<void>
  /** Makes a file, which must not exist, not even as a link. */
  readonly create: (path: string) => Promise<WritableFile>
  readonly rename: (from: string, to: string) => Promise<void>
  /** Removes what is at a path and below, links not followed. */
  readonly remove: (path: string) => Promise<void>
  /** Returns when the names in a folder have reached the disk. */
  readonly syncFolder: (path: string) => Promise<void>
}

const kindOf = (entry: { readonly isFile: () => boolean; readonly isDirectory: () => boolean }): EntryKind =>
  entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other'

/** The code of a system error (`ENOENT`), empty for any other. */
export const systemCode = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''

export const nodeFileSystem: FileSystem = {
  kindOf: async (path) => {
    try {
      return kindOf(await lstat(path))
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return undefined
      throw thrown
    }
  },
  list: async (folder) => {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
  },
  makeFolders: async (path) => {
    await mkdir(path, { recursive: true })
  },
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
  remove: (path) => rm(path, { recursive: true, force: true }),
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
