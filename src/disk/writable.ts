/** Whether something can be written at a place, before it is. Node only. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCode } from './file-system.ts'

/** Throws the error of the system that making a file in `folder` would meet with, as far as rights and places go. */
export const tryFolder = (folder: string): Promise<void> => access(`${folder}/.`, constants.W_OK | constants.X_OK)

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
