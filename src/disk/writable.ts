/** Whether something can be written at a place, before it is. Node only. */
import { constants } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
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
