/** Whether something can be written at a place, before it is. Node only. */
import { constants } from 'node:fs'
import { access, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, relative, resolve, sep } from 'node:path'
import { systemCode } from './file-system.ts'

/** Throws the error of the system that making a file in `folder` would meet with, as far as rights and places go. */
export const tryFolder = async (folder: string): Promise<void> => {
  await access(`${folder}/.`, constants.W_OK | constants.X_OK)
  if (process.platform !== 'linux' || !kernelTypes.has((await statfs(folder)).type)) return
  throw Object.assign(new Error('a place of the system, in which nothing can be made'), { code: 'EPERM' })
}

/** Types of file systems (statfs(2)) that say that anybody with the right may write in them, but take no files: proc, sysfs. */
const kernelTypes: ReadonlySet<number> = new Set([0x9fa0, 0x62656572])

/** The same where the folder, and those above it, are made if they are missing. */
export const tryFolders = async (folder: string): Promise<void> => {
  for (let at = resolve(folder); ; at = dirname(at)) {
    try {
      return await tryFolder(at)
    } catch (thrown) {
      if (systemCode(thrown) !== 'ENOENT' || dirname(at) === at) throw thrown
    }
  }
}

/**
 * What keeps a folder from being replaced by another one, in words; undefined where nothing does, or nothing is there. A mount
 * point cannot be moved. Who works in a folder goes on in the one that was moved aside, and does not see the new one.
 */
export const heldBy = async (folder: string): Promise<string | undefined> => {
  try {
    const [real, above] = [await realpath(folder), await realpath(dirname(resolve(folder)))]
    if ((await stat(real)).dev !== (await stat(above)).dev) return 'a mount point'
    return isWithin(process.cwd(), real) ? 'the folder that this runs in' : undefined
  } catch (thrown) {
    // Nothing is there, or the folder that this runs in is gone.
    if (systemCode(thrown) !== 'ENOENT') throw thrown
    return undefined
  }
}

const isWithin = (path: string, folder: string): boolean => {
  const way = relative(folder, path)
  return way !== resolve(way) && way.split(sep)[0] !== '..'
}
