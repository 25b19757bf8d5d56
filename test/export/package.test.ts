import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import ts from 'typescript'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { type FileSystem, nodeFileSystem } from '../../src/disk/file-system.ts'
import { manifestName } from '../../src/export/manifest-name.ts'
import { type PackageFile, recoverFiles, writeFiles } from '../../src/export/package.ts'
import { uniforms } from '../inflate.ts'

const root = mkdtempSync(join(tmpdir(), 'chasec-package-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const emptyFolder = (): string => mkdtempSync(join(root, 'case-'))

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** A manifest that lists these files. */
const manifestOf = (files: Readonly<Record<string, Uint8Array | string>>, extra: object = {}): string =>
  JSON.stringify({
    ...extra,
    format: 1,
    tool: { name: 'chasec', version: '0' },
    files: Object.entries(files).map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes) })),
  })

/** A file two folders down. */
const dataName = 'net/1/model.onnx_data'

/** A package of some version: every file says which, so that a mix shows. */
const version = (n: number, size = 3000): ReadonlyArray<PackageFile> => {
  const data = new Uint8Array(size).fill(n)
  const model = new Uint8Array(2 * size).fill(n)
  const manifest = manifestOf({ [dataName]: data, 'model.onnx': model }, { n })
  return [
    { name: dataName, chunks: [data.subarray(1), data.subarray(0, 1)] },
    { name: 'model.onnx', chunks: [model.subarray(1), model.subarray(0, 1)] },
    { name: manifestName, chunks: [Buffer.from(manifest).subarray(0, 20), Buffer.from(manifest).subarray(20)] },
  ]
}

/** The version that a folder holds whole; a text that says what is wrong with it otherwise. */
const versionAt = (target: string, size = 3000): number | string => {
  if (!existsSync(target)) return 'nothing'
  const entries = readdirSync(target, { recursive: true, withFileTypes: true })
  const names = entries.flatMap((e) => (e.isFile() ? [relative(target, join(e.parentPath, e.name))] : [])).sort()
  if (names.join() !== [manifestName, 'model.onnx', dataName].join()) return `files ${names.join()}`
  const { n }: { readonly n: number } = JSON.parse(readFileSync(join(target, manifestName), 'utf8'))
  const seen = new Set<number>([n])
  for (const [i, name] of [dataName, 'model.onnx'].entries()) {
    const bytes = readFileSync(join(target, name))
    if (bytes.byteLength !== size * (i + 1)) return `${bytes.byteLength} bytes of ${name}`
    for (const byte of bytes) seen.add(byte)
  }
  return seen.size === 1 ? n : `a mix of ${[...seen].join(' and ')}`
}

const besides = (target: string): ReadonlyArray<string> =>
  readdirSync(dirname(target)).filter((name) => name.startsWith('.'))

/** The id of a process that has ended. */
const dead = spawnSync(process.execPath, ['-e', '']).pid

/** Makes what this process has left beside the target look as if another one had left it, which was killed. */
const abandon = (target: string): void => {
  for (const name of besides(target)) {
    const from = join(dirname(target), name)
    renameSync(from, from.replace(`-${process.pid}-`, `-${dead}-`))
  }
}

/** A file system that asks `before` before each operation, and lets it shorten writes. */
const watched = (
  before: (operation: string, path?: string) => { readonly shorten?: boolean } | undefined,
): FileSystem => {
  const step = async <T>(operation: string, run: () => Promise<T>): Promise<T> => {
    before(operation)
    return run()
  }
  const real = nodeFileSystem
  return {
    kindOf: (path) => step('kindOf', () => real.kindOf(path)),
    list: (path) => step('list', () => real.list(path)),
    makeFolders: (path) => step('makeFolders', () => real.makeFolders(path)),
    makeFolder: (path) => step('makeFolder', () => real.makeFolder(path)),
    rename: (from, to) => step('rename', () => real.rename(from, to)),
    stateOf: (path) => step('stateOf', () => real.stateOf(path)),
    async *read(path) {
      before('read', path)
      yield* real.read(path)
    },
    link: (from, to) => step('link', () => real.link(from, to)),
    removeFile: (path) => step('removeFile', () => real.removeFile(path)),
    removeFolder: (path) => step('removeFolder', () => real.removeFolder(path)),
    syncFolder: (path) => step('syncFolder', () => real.syncFolder(path)),
    create: async (path) => {
      before('create')
      const file = await real.create(path)
      return {
        write: async (bytes) => {
          const shorten = before('write')?.shorten === true
          return file.write(shorten ? bytes.subarray(0, Math.ceil(bytes.byteLength / 2)) : bytes)
        },
        sync: () => step('sync', () => file.sync()),
        close: async () => {
          // A process that has ended has closed its files.
          await file.close()
          before('close')
        },
      }
    },
  }
}

const ok = async (target: string, files: ReadonlyArray<PackageFile>): Promise<void> => {
  expect(await writeFiles(target, files)()).toEqual(E.right(undefined))
}

describe('writing a package', () => {
  it('makes it, with the folders above it, and replaces it', async () => {
    const target = join(emptyFolder(), 'a', 'b', 'package')
    await ok(target, version(1))
    expect(versionAt(target)).toBe(1)
    await ok(target, version(2))
    expect(versionAt(target)).toBe(2)
    expect(besides(target)).toEqual([])
  })

  it('uses an empty folder, and drops files of the old package that the new one has not', async () => {
    const target = join(emptyFolder(), 'package')
    mkdirSync(target)
    await ok(target, [
      { name: 'report.html', chunks: [Uint8Array.of(1)] },
      { name: manifestName, chunks: [Buffer.from(manifestOf({ 'report.html': Uint8Array.of(1) }))] },
    ])
    await ok(target, version(2))
    expect(versionAt(target)).toBe(2)
  })

  it('replaces a package that lacks files, and leaves alone what a manifest lists elsewhere', async () => {
    const folder = emptyFolder()
    const target = join(folder, 'package')
    mkdirSync(target)
    writeFileSync(join(folder, 'outside'), 'x')
    const listed = { '../outside': 'x', [join(folder, 'outside')]: 'x', 'model.onnx': 'x' }
    writeFileSync(join(target, manifestName), manifestOf(listed))
    await ok(target, version(2))
    expect([versionAt(target), readFileSync(join(folder, 'outside'), 'utf8')]).toEqual([2, 'x'])
  })

  it('stops between two writes when it is asked to: the old package stays, without a trace', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    const controller = new AbortController()
    const asking = watched((operation) => {
      if (operation === 'write') controller.abort()
      return undefined
    })
    const written = await writeFiles(target, version(2), { fileSystem: asking, signal: controller.signal })()
    expect(written).toMatchObject({ left: { _tag: 'WriteError', found: 'a request to stop' } })
    expect([versionAt(target), besides(target)]).toEqual([1, []])
  })

  it('leaves unfinished folders of processes that still run, and names that are not of its own', async () => {
    const target = join(emptyFolder(), 'package')
    const others = [
      `.package.chasec-new-${process.ppid}-0123456789ab-0123456789ab`,
      '.package.chasec-new-mine',
      '.package.chasec-old-2024',
    ]
    for (const name of others) mkdirSync(join(target, '..', name))
    mkdirSync(join(target, '..', `.package.chasec-new-${dead}-0123456789ab-0123456789ab`))
    await ok(target, version(1))
    expect(besides(target)).toEqual(others.sort())
  })

  it('leaves what it finds beside the target in place of an old package', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    const folder = `.package.chasec-old-${dead}-0123456789ab-0123456789ab`
    mkdirSync(join(target, '..', folder))
    writeFileSync(join(target, '..', folder, 'mine.txt'), 'x')
    await ok(target, version(2))
    expect([versionAt(target), besides(target)]).toEqual([2, [folder]])
  })

  it('takes chunks as they come', async () => {
    const target = join(emptyFolder(), 'package')
    async function* chunks(): AsyncIterable<Uint8Array> {
      for (const byte of [1, 2, 3]) yield Promise.resolve(Uint8Array.of(byte))
    }
    await ok(target, [
      { name: manifestName, chunks: chunks() },
      { name: 'empty', chunks: [] },
    ])
    expect([...readFileSync(join(target, manifestName))]).toEqual([1, 2, 3])
    expect(readFileSync(join(target, 'empty')).byteLength).toBe(0)
  })

  it('reads what it is to replace once, though it looks before the work that it is for as well', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    const read: string[] = []
    const fileSystem = watched((operation, path = '') => {
      if (operation === 'read' && !path.endsWith(manifestName)) read.push(path)
      return undefined
    })
    expect(await writeFiles(target, [], { fileSystem, dry: true })()).toEqual(E.right(undefined))
    expect(await writeFiles(target, version(2), { fileSystem })()).toEqual(E.right(undefined))
    expect(read).toHaveLength(2)
  })

  it('forces each file to disk before the renames, and the folders too', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    const operations: string[] = []
    await writeFiles(target, version(2), { fileSystem: watched((operation) => void operations.push(operation)) })()
    const file = ['create', 'write', 'write', 'sync', 'close']
    const looks = ['kindOf', 'list', 'stateOf', 'read']
    expect(operations.filter((operation) => !looks.includes(operation))).toEqual([
      ...['makeFolders', 'makeFolder', 'makeFolder', 'makeFolder', ...file, ...file, ...file],
      ...['syncFolder', 'syncFolder', 'syncFolder'],
      ...['rename', 'rename', 'syncFolder'],
      ...['rename', 'removeFile', 'removeFile', 'removeFile', 'removeFolder', 'removeFolder', 'removeFolder', 'rename'],
    ])
  })

  describe('refuses', () => {
    const refusal = async (prepare: (target: string) => void): Promise<string> => {
      const target = join(emptyFolder(), 'package')
      prepare(target)
      const before = lstatSync(target)
      const written = await writeFiles(target, version(2))()
      expect(written).toMatchObject({ left: { _tag: 'WriteError', subject: target } })
      expect(lstatSync(target).ino).toBe(before.ino)
      expect(besides(target)).toEqual([])
      return E.isLeft(written) ? written.left.found : ''
    }
    const folderOf =
      (...names: ReadonlyArray<string>) =>
      (target: string): void => {
        mkdirSync(target)
        for (const name of names) writeFileSync(join(target, name), 'x')
      }

    it("a folder with someone's files, which it names", async () => {
      expect(await refusal(folderOf('b.txt', 'a.txt'))).toBe('other files: a.txt, b.txt')
      expect(await refusal(folderOf(...'abcdefg'))).toBe('other files: a, b, c, d, e, 2 more')
    })

    it('a folder with a model that is not ours', async () => {
      expect(await refusal(folderOf('model.onnx'))).toBe('other files: model.onnx')
    })

    it.each(['x', '{}', '[]', 'null', '{"files":[]}', manifestOf({}).replace('"chasec"', '"other"')])(
      'a folder whose chasec.json is no manifest of chasec: %s',
      async (text) => {
        const prepare = (target: string): void => {
          folderOf('model.onnx')(target)
          writeFileSync(join(target, manifestName), text)
        }
        expect(await refusal(prepare)).toBe(`other files: ${manifestName}, model.onnx`)
      },
    )

    /** A package with a model of the text `x`. */
    const packageOf =
      (change: (target: string) => void) =>
      (target: string): void => {
        folderOf('model.onnx')(target)
        writeFileSync(join(target, manifestName), manifestOf({ 'model.onnx': 'x' }))
        change(target)
      }

    it('a package to which a file was added, or in which one was changed', async () => {
      const added = (target: string): void => writeFileSync(join(target, 'notes.txt'), 'x')
      expect(await refusal(packageOf(added))).toBe('other files: notes.txt')
      const report = (target: string): void => writeFileSync(join(target, 'report.html'), 'x')
      expect(await refusal(packageOf(report))).toBe('other files: report.html')
      const changed = (target: string): void => writeFileSync(join(target, 'model.onnx'), 'y')
      expect(await refusal(packageOf(changed))).toBe('other files: model.onnx (changed since it was written)')
    })

    it('folders and links where files of ours would be, also to the same content', async () => {
      const folder = (target: string): void => {
        rmSync(join(target, 'model.onnx'))
        mkdirSync(join(target, 'model.onnx'))
      }
      expect(await refusal(packageOf(folder))).toBe('other files: model.onnx')
      const link = (target: string): void => {
        writeFileSync(join(target, '..', 'model.onnx'), 'x')
        rmSync(join(target, 'model.onnx'))
        symlinkSync('../model.onnx', join(target, 'model.onnx'))
      }
      expect(await refusal(packageOf(link))).toBe('other files: model.onnx')
      const manifest = (target: string): void => {
        writeFileSync(join(target, '..', manifestName), readFileSync(join(target, manifestName)))
        rmSync(join(target, manifestName))
        symlinkSync(`../${manifestName}`, join(target, manifestName))
      }
      expect(await refusal(packageOf(manifest))).toBe(`other files: ${manifestName}, model.onnx`)
    })

    it('what is in folders of a package and not listed: files, folders, links, and folders without a listed file', async () => {
      const nested =
        (change: (target: string) => void) =>
        (target: string): void => {
          mkdirSync(join(target, 'net', '1'), { recursive: true })
          writeFileSync(join(target, dataName), 'x')
          writeFileSync(join(target, manifestName), manifestOf({ [dataName]: 'x' }))
          change(target)
        }
      const within = (make: (folder: string) => void) =>
        nested((target) => {
          make(join(target, 'net', '1'))
        })
      expect(await refusal(within((folder) => writeFileSync(join(folder, 'mine.txt'), 'x')))).toBe(
        'other files: net/1/mine.txt',
      )
      expect(await refusal(within((folder) => mkdirSync(join(folder, 'mine'))))).toBe('other files: net/1/mine')
      expect(await refusal(within((folder) => symlinkSync('/', join(folder, 'link'))))).toBe('other files: net/1/link')
      expect(await refusal(within((folder) => appendFileSync(join(folder, 'model.onnx_data'), 'x')))).toBe(
        `other files: ${dataName} (changed since it was written)`,
      )
      const moved = nested((target) => {
        rmSync(join(target, 'net'), { recursive: true })
        symlinkSync(emptyFolder(), join(target, 'net'))
      })
      expect(await refusal(moved)).toBe('other files: net')
    })

    it('a name that stands for a file and for a folder', async () => {
      const files = ['a', 'a/b'].map((name) => ({ name, chunks: [] }))
      expect(await writeFiles(join(emptyFolder(), 'package'), files)()).toMatchObject({ left: { found: 'both' } })
    })

    it('a file, and a link to a folder', async () => {
      expect(await refusal((target) => writeFileSync(target, 'x'))).toBe('a file or a link')
      expect(await refusal((target) => symlinkSync(emptyFolder(), target))).toBe('a file or a link')
      expect(await refusal((target) => symlinkSync('nowhere', target))).toBe('a file or a link')
    })

    it('the folder that this runs in, or one around it; nothing is written', async () => {
      const [target, before] = [join(emptyFolder(), 'package'), process.cwd()]
      await ok(target, version(1))
      // Tests run in threads, which cannot change the folder of their process.
      const here = vi.spyOn(process, 'cwd')
      try {
        for (const folder of [target, join(target, 'net', '1'), before]) {
          here.mockReturnValue(realpathSync(folder))
          const written = await writeFiles(target, version(2))()
          if (folder === before) expect(written).toEqual(E.right(undefined))
          else expect(written).toMatchObject({ left: { found: 'the folder that this runs in' } })
          expect(versionAt(target)).toBe(folder === before ? 2 : 1)
        }
      } finally {
        here.mockRestore()
      }
    })

    it('a mount point, which the system does not move: the old one stays', async () => {
      const target = join(emptyFolder(), 'package')
      await ok(target, version(1))
      const mounted = watched((operation) => {
        if (operation === 'rename') throw Object.assign(new Error('rename'), { code: 'EBUSY' })
        return undefined
      })
      expect(await writeFiles(target, version(2), { fileSystem: mounted })()).toMatchObject({
        left: { found: expect.stringContaining('mount point') },
      })
      expect(versionAt(target)).toBe(1)
    })

    it('files that appear while it writes: it puts the folder back', async () => {
      const target = join(emptyFolder(), 'package')
      await ok(target, version(1))
      const late = watched((operation) => {
        if (operation === 'syncFolder' && !existsSync(join(target, 'late.txt')))
          writeFileSync(join(target, 'late.txt'), 'x')
        return undefined
      })
      expect(await writeFiles(target, version(2), { fileSystem: late })()).toMatchObject({
        left: { found: 'other files: late.txt' },
      })
      expect(readdirSync(target)).toContain('late.txt')
      expect(besides(target)).toEqual([])
    })

    it.each(['', '.', '..', '../x', '/x', 'x/', 'a//b', 'a/./b', 'a/../b', 'a\\b', 'a\0b'])(
      'the file name %j',
      async (name) => {
        const target = join(emptyFolder(), 'package')
        expect(await writeFiles(target, [{ name, chunks: [] }])()).toMatchObject({ left: { _tag: 'WriteError' } })
        expect(existsSync(target)).toBe(false)
      },
    )

    it('a file name twice, and a place where nothing can be made', async () => {
      const target = join(emptyFolder(), 'package')
      expect(await writeFiles(target, [...version(1), ...version(1)])()).toMatchObject({ left: { found: 'several' } })
      writeFileSync(join(root, 'file'), 'x')
      expect(await writeFiles(join(root, 'file', 'package'), version(1))()).toMatchObject({
        left: { _tag: 'WriteError' },
      })
    })
  })

  it('does not follow a link that is put where it is about to write', async () => {
    const target = join(emptyFolder(), 'package')
    const outside = join(emptyFolder(), 'outside')
    writeFileSync(outside, 'mine')
    const hostile: FileSystem = {
      ...nodeFileSystem,
      create: (path) => {
        if (path.endsWith('model.onnx')) symlinkSync(outside, path)
        return nodeFileSystem.create(path)
      },
    }
    expect(await writeFiles(target, version(1), { fileSystem: hostile })()).toMatchObject({
      left: { _tag: 'WriteError' },
    })
    expect(readFileSync(outside, 'utf8')).toBe('mine')
    // The link is not ours to remove.
    const [left = '', ...rest] = besides(target)
    expect([existsSync(target), rest]).toEqual([false, []])
    expect(readdirSync(join(target, '..', left))).toEqual(['model.onnx'])
  })

  it('removes what it made when the content itself fails', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    function* broken(code: string | undefined): Iterable<Uint8Array> {
      yield Uint8Array.of(1)
      throw Object.assign(new Error('the source has changed'), code === undefined ? {} : { code })
    }
    const files = (code?: string): ReadonlyArray<PackageFile> => [{ name: manifestName, chunks: broken(code) }]
    expect(await writeFiles(target, files('ESTALE'))()).toMatchObject({ left: { found: 'the source has changed' } })
    await expect(writeFiles(target, files())()).rejects.toThrow('the source has changed')
    expect([versionAt(target), besides(target)]).toEqual([1, []])
  })
})

/** Runs `attempt` with every k from 1 on until it reports that there was no k-th operation. */
const forEachOperation = async (attempt: (k: number) => Promise<boolean>): Promise<number> => {
  let k = 1
  while (await attempt(k)) k += 1
  return k - 1
}

describe.each([
  ['nothing', undefined],
  ['an old package', 1],
] as const)('a package in place of %s, when', (_, old) => {
  const prepared = async (): Promise<string> => {
    const target = join(emptyFolder(), 'package')
    if (old !== undefined) await ok(target, version(old))
    return target
  }
  const before = old ?? 'nothing'

  it.each(['ENOSPC', 'EIO', 'EACCES'])(
    'any one operation fails with %s: is the old one after an error, else the new one',
    async (code) => {
      const count = await forEachOperation(async (k) => {
        const target = await prepared()
        let calls = 0
        const failing = watched((operation) => {
          calls += 1
          if (calls === k) throw Object.assign(new Error(`${code}: ${operation}`), { code })
          return undefined
        })
        const written = await writeFiles(target, version(2), { fileSystem: failing })()
        if (E.isLeft(written)) {
          expect(written.left).toMatchObject({ _tag: 'WriteError', found: expect.stringContaining(code) })
          expect(versionAt(target)).toBe(before)
        } else expect(versionAt(target)).toBe(2)
        abandon(target)
        await ok(target, version(3))
        expect([versionAt(target), besides(target)]).toEqual([3, []])
        return calls >= k
      })
      expect(count).toBeGreaterThan(20)
    },
  )

  it('the disk stays full from any operation on: is the old one, and the next run clears up', async () => {
    await forEachOperation(async (k) => {
      const target = await prepared()
      let calls = 0
      const full = watched((operation) => {
        calls += 1
        if (calls >= k && ['makeFolder', 'create', 'write', 'sync'].includes(operation)) {
          throw Object.assign(new Error(operation), { code: 'ENOSPC' })
        }
        return undefined
      })
      const written = await writeFiles(target, version(2), { fileSystem: full })()
      expect(versionAt(target)).toBe(E.isLeft(written) ? before : 2)
      expect(besides(target)).toEqual([])
      return calls >= k
    })
  })

  it('the process ends before any operation: is the old one or the new one once recovered, without a trace', async () => {
    const outcomes = new Set<number | string>()
    await forEachOperation(async (k) => {
      const target = await prepared()
      let calls = 0
      const ended = watched((operation) => {
        calls += 1
        if (calls < k) return undefined
        // What was on its way to the disk may have got there in part.
        if (operation === 'write' && calls === k) return { shorten: true }
        throw Object.assign(new Error('ended'), { code: 'ENDED' })
      })
      await writeFiles(target, version(2), { fileSystem: ended })()
      const left = versionAt(target)
      // Absent only between the two renames, with the old package complete beside it.
      if (left === 'nothing' && old !== undefined) {
        expect(
          besides(target)
            .filter((name) => name.includes('chasec-old'))
            .map((name) => versionAt(join(dirname(target), name))),
        ).toEqual([old])
      } else expect([before, 2]).toContain(left)
      abandon(target)
      expect(await recoverFiles(target)()).toEqual(E.right(undefined))
      expect([before, 2]).toContain(versionAt(target))
      outcomes.add(versionAt(target))
      expect(besides(target)).toEqual([])
      return calls >= k
    })
    expect(outcomes).toEqual(new Set([before, 2]))
  })

  it('every write is short: is the new one', async () => {
    const target = await prepared()
    expect(await writeFiles(target, version(2), { fileSystem: watched(() => ({ shorten: true })) })()).toEqual(
      E.right(undefined),
    )
    expect(versionAt(target)).toBe(2)
  })

  it('nothing can be written at all: is the old one', async () => {
    const target = await prepared()
    const stuck: FileSystem = {
      ...nodeFileSystem,
      create: async (path) => ({ ...(await nodeFileSystem.create(path)), write: () => Promise.resolve(0) }),
    }
    expect(await writeFiles(target, version(2), { fileSystem: stuck })()).toMatchObject({
      left: { _tag: 'WriteError' },
    })
    expect([versionAt(target), besides(target)]).toEqual([before, []])
  })
})

describe('several writers of one package', () => {
  it('all succeed, and leave one whole package', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    for (let round = 0; round < 20; round++) {
      const results = await Promise.all([2, 3, 4].map((n) => writeFiles(target, version(n))()))
      expect(results).toEqual([2, 3, 4].map(() => E.right(undefined)))
      expect([2, 3, 4]).toContain(versionAt(target))
      expect(besides(target)).toEqual([])
    }
  })

  it('leave it whole when a reader puts the old one back between two renames', async () => {
    const target = join(emptyFolder(), 'package')
    await ok(target, version(1))
    let renames = 0
    const late: FileSystem = {
      ...nodeFileSystem,
      rename: async (from, to) => {
        await nodeFileSystem.rename(from, to)
        renames += 1
        if (renames === 1) expect(await recoverFiles(target)()).toEqual(E.right(undefined))
      },
    }
    expect(await writeFiles(target, version(2), { fileSystem: late })()).toEqual(E.right(undefined))
    expect([versionAt(target), besides(target)]).toEqual([2, []])
  })

  it('do not take two packages for one when another is put in the place of the one they look at', async () => {
    const target = join(emptyFolder(), 'package')
    const other = join(emptyFolder(), 'other')
    await ok(target, version(1))
    await ok(other, version(2))
    let swapped = false
    const swapping: FileSystem = {
      ...nodeFileSystem,
      async *read(path) {
        yield* nodeFileSystem.read(path)
        if (swapped || path !== join(target, manifestName)) return
        swapped = true
        renameSync(target, `${other}-old`)
        renameSync(other, target)
      },
    }
    expect(await writeFiles(target, version(3), { fileSystem: swapping })()).toEqual(E.right(undefined))
    expect([swapped, versionAt(target), besides(target)]).toEqual([true, 3, []])
  })

  it('say so when one takes the unfinished folder of another away', async () => {
    const target = join(emptyFolder(), 'package')
    const thief: FileSystem = {
      ...nodeFileSystem,
      create: async (path) => {
        rmSync(path.slice(0, path.indexOf('/', path.indexOf('.chasec-new-'))), { recursive: true, force: true })
        return nodeFileSystem.create(path)
      },
    }
    expect(await writeFiles(target, version(2), { fileSystem: thief })()).toMatchObject({
      left: { _tag: 'WriteError', found: 'one that others keep replacing' },
    })
  })
})

/** The package writer as JavaScript, where a process of its own can load it. */
const transpiled = (): string => {
  const folder = fileURLToPath(
    new URL(`../../node_modules/.cache/chasec-package-test-${process.pid}/`, import.meta.url),
  )
  for (const path of [
    'export/manifest-name',
    'export/package',
    ...['beside', 'error', 'file-system', 'writable', 'write-file'].map((name) => `disk/${name}`),
    'ir/failure',
    'ir/system-reason',
  ]) {
    const source = readFileSync(new URL(`../../src/${path}.ts`, import.meta.url), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
        verbatimModuleSyntax: true,
      },
    })
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, `${path}.js`), outputText)
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

describe('a process that is killed while it replaces a package', () => {
  it('leaves the old one or the new one, 100 times', async () => {
    const folder = transpiled()
    try {
      const target = join(emptyFolder(), 'package')
      const size = 300_000
      await ok(target, version(0, size))
      // Writes version after version until it is killed, and says when it begins and ends each.
      const program = `
        import { writeFiles } from ${JSON.stringify(new URL('export/package.js', `file://${folder}`).href)}
        import { createHash } from 'node:crypto'
        const version = (n) => {
          const files = [${JSON.stringify(dataName)}, 'model.onnx'].map((name, i) =>
            ({ name, chunks: [new Uint8Array(${size} * (i + 1)).fill(n)] }))
          const listed = files.map(({ name, chunks: [bytes] }) =>
            ({ name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }))
          const manifest = JSON.stringify({ n, format: 1, tool: { name: 'chasec' }, files: listed })
          return [...files, { name: 'chasec.json', chunks: [Buffer.from(manifest)] }]
        }
        for (let n = Number(process.argv[1]); ; n = (n + 1) % 250) {
          process.stdout.write('begin ' + n + '\\n')
          const written = await writeFiles(${JSON.stringify(target)}, version(n))()
          process.stdout.write((written._tag === 'Right' ? 'end ' : 'error ') + n + '\\n')
        }`
      const uniform = uniforms(5)
      let last = 0
      let traces = 0
      // Milliseconds; follows the machine, so that a kill falls into a write.
      let span = 25
      for (let round = 0; round < 100; round++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program, String((last + 1) % 250)])
        let log = ''
        const begun = new Promise<void>((resolve) => {
          child.stdout.on('data', (data: Buffer) => {
            log += data.toString()
            resolve()
          })
        })
        const gone = new Promise<void>((resolve) => child.on('close', () => resolve()))
        await Promise.race([begun, gone])
        await new Promise((resolve) => setTimeout(resolve, uniform() * span))
        child.kill('SIGKILL')
        await gone
        expect(log).not.toContain('error')
        const lines = log.trim().split('\n')
        const ends = lines.filter((line) => line.startsWith('end ')).map((line) => Number(line.slice(4)))
        const begins = lines.filter((line) => line.startsWith('begin ')).map((line) => Number(line.slice(6)))
        const amid = besides(target).length > 0
        if (amid) traces += 1
        else span = Math.min(1000, Math.max(5, span * (ends.length > 1 ? 0.8 : 1.25)))
        expect(await recoverFiles(target)()).toEqual(E.right(undefined))
        const found = versionAt(target, size)
        // The last one that was finished, or the one that was being written.
        expect([ends.at(-1) ?? last, begins.at(-1)]).toContain(found)
        expect(besides(target)).toEqual([])
        last = Number(found)
      }
      // Were the kills too early or too late, this would show nothing.
      expect(traces).toBeGreaterThan(20)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
