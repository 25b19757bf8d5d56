import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { type FileSystem, makeFolders, nodeFileSystem } from '../../src/disk/file-system.ts'
import { writeFile } from '../../src/disk/write-file.ts'

const root = mkdtempSync(join(tmpdir(), 'chasec-disk-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const emptyFolder = (): string => mkdtempSync(join(root, 'case-'))
const bytes = (text: string): ReadonlyArray<Uint8Array> => [Buffer.from(text)]
const text = (path: string): string => readFileSync(path, 'utf8')

/** The file system, which tells of each operation before it is done, by its name and that of the file. */
const watched = (before: (operation: string) => void): FileSystem => {
  const real = nodeFileSystem
  return {
    ...real,
    kindOf: (path) => (before('kindOf'), real.kindOf(path)),
    rename: async (from, to) => (before('rename'), real.rename(from, to)),
    link: async (from, to) => (before('link'), real.link(from, to)),
    removeFile: async (path) => (before('removeFile'), real.removeFile(path)),
    syncFolder: async (path) => (before(`sync ${basename(path)}`), real.syncFolder(path)),
    create: async (path) => {
      before('create')
      const file = await real.create(path)
      return {
        write: async (chunk) => (before('write'), file.write(chunk)),
        sync: async () => (before('sync'), file.sync()),
        close: () => file.close(),
      }
    },
  }
}

describe('writing a file', () => {
  it('makes it and replaces it, forcing file and folder to disk', async () => {
    const folder = emptyFolder()
    const path = join(folder, 'file')
    for (const content of ['one', 'two']) {
      const operations: string[] = []
      const fileSystem = watched((operation) => operations.push(operation))
      expect(await writeFile(path, bytes(content), { replace: true, fileSystem })).toEqual(E.right(undefined))
      expect(text(path)).toBe(content)
      expect(operations).toEqual(['create', 'write', 'sync', 'rename', `sync ${basename(folder)}`])
    }
    expect(readdirSync(folder)).toEqual(['file'])
  })

  it.each(['file', 'folder', 'link', 'link to nothing'])('replaces no %s unless it is to', async (kind) => {
    const folder = emptyFolder()
    const path = join(folder, 'taken')
    if (kind === 'file') writeFileSync(path, 'mine')
    else if (kind === 'folder') mkdirSync(path)
    else symlinkSync(kind === 'link' ? tmpdir() : 'nowhere', path)
    expect(await writeFile(path, bytes('x'), { replace: false })).toMatchObject({
      left: { _tag: 'WriteError', found: 'one that exists' },
    })
    expect(readdirSync(folder)).toEqual(['taken'])
  })

  it('replaces no file that appears while it writes', async () => {
    const folder = emptyFolder()
    const path = join(folder, 'file')
    const fileSystem = watched((operation) => {
      if (operation === 'sync') writeFileSync(path, 'mine')
    })
    expect(await writeFile(path, bytes('x'), { replace: false, fileSystem })).toMatchObject({
      left: { _tag: 'WriteError', found: 'one that exists' },
    })
    expect([text(path), readdirSync(folder)]).toEqual(['mine', ['file']])
  })

  it('does without links where a disk has none', async () => {
    const path = join(emptyFolder(), 'file')
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      link: () => Promise.reject(Object.assign(new Error('no links'), { code: 'EPERM' })),
    }
    expect(await writeFile(path, bytes('x'), { replace: false, fileSystem })).toEqual(E.right(undefined))
    expect(text(path)).toBe('x')
  })

  it.each(['ENOSPC', 'EIO'])('leaves the old file when any operation fails with %s', async (code) => {
    const folder = emptyFolder()
    const path = join(folder, 'file')
    writeFileSync(path, 'old')
    let failed = 0
    for (const nth of [1, 2, 3, 4]) {
      let calls = 0
      const fileSystem = watched(() => {
        calls += 1
        if (calls === nth) throw Object.assign(new Error(`${code}: failed`), { code })
      })
      const written = await writeFile(path, bytes('new'), { replace: true, fileSystem })
      expect(written).toMatchObject({ left: { _tag: 'WriteError', found: `${code}: failed` } })
      expect([text(path), readdirSync(folder)]).toEqual(['old', ['file']])
      failed += 1
    }
    expect(failed).toBe(4)
  })

  it('leaves the old file when it is asked to stop', async () => {
    const folder = emptyFolder()
    const path = join(folder, 'file')
    writeFileSync(path, 'old')
    for (const at of ['create', 'write', 'sync']) {
      const controller = new AbortController()
      const fileSystem = watched((operation) => {
        if (operation === at) controller.abort()
      })
      const written = await writeFile(path, bytes('new'), { replace: true, fileSystem, signal: controller.signal })
      expect(written).toMatchObject({ left: { _tag: 'WriteError', found: 'a request to stop' } })
      expect([text(path), readdirSync(folder)]).toEqual(['old', ['file']])
    }
  })

  it('removes what killed processes left beside it, and nothing else', async () => {
    const folder = emptyFolder()
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    const random = '0123456789ab-0123456789ab'
    const kept = [
      `.file.chasec-new-${process.ppid}-${random}`,
      '.file.chasec-new-1',
      `.other.chasec-new-${dead}-${random}`,
    ]
    for (const name of [...kept, `.file.chasec-new-${dead}-${random}`]) writeFileSync(join(folder, name), 'x')
    expect(await writeFile(join(folder, 'file'), bytes('x'), { replace: false })).toEqual(E.right(undefined))
    expect(readdirSync(folder).sort()).toEqual([...kept, 'file'].sort())
  })

  it('ends whole when several write it at once', async () => {
    const folder = emptyFolder()
    const path = join(folder, 'file')
    const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000))
    const written = await Promise.all(texts.map((content) => writeFile(path, bytes(content), { replace: true })))
    expect(written.every(E.isRight)).toBe(true)
    expect(texts).toContain(text(path))
    const first = await Promise.all(
      texts.map((content) => writeFile(join(folder, 'new'), bytes(content), { replace: false })),
    )
    expect(first.filter(E.isRight).length).toBe(1)
    expect(readdirSync(folder).sort()).toEqual(['file', 'new'])
  })

  it('tells of a folder that is missing', async () => {
    const folder = emptyFolder()
    expect(await writeFile(join(folder, 'a', 'b'), bytes('x'), { replace: true })).toMatchObject({
      left: { _tag: 'WriteError' },
    })
    expect(existsSync(join(folder, 'a'))).toBe(false)
  })
})

describe('makeFolders', () => {
  it('makes those that are missing, also one by one with others at work, and follows links', async () => {
    const folder = emptyFolder()
    await Promise.all(['a/b/c', 'a/b/d', 'a/b/c'].map((path) => makeFolders(join(folder, path))))
    const link = join(emptyFolder(), 'link')
    symlinkSync(join(folder, 'a'), link)
    await makeFolders(join(link, 'e', 'f'))
    const made = readdirSync(folder, { recursive: true }).sort()
    expect(made).toEqual(['a', 'a/b', 'a/b/c', 'a/b/d', 'a/e', 'a/e/f'])
  })

  it('ends with the error of the system where there is a file, and in /proc', async () => {
    const file = join(emptyFolder(), 'file')
    writeFileSync(file, '')
    await expect(makeFolders(file)).rejects.toThrow('EEXIST')
    await expect(makeFolders(join(file, 'a', 'b'))).rejects.toThrow('ENOTDIR')
    if (process.platform === 'linux') await expect(makeFolders('/proc/a/b')).rejects.toThrow(/ENOENT|EACCES/)
  })
})
