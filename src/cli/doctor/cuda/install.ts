/**
 * Putting CUDA's libraries in place for onnxruntime-node, and removing them. They lie in one folder of the user, which is made beside
 * its place and renamed when it is whole; onnxruntime-node gets two links to it. Its manifest, which lists its files, is removed
 * last, so that what is left of a removal that was killed can be removed too.
 */
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { readdir, readlink, rename, rm, rmdir, stat, statfs, symlink, unlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { beside, leftoversOf } from '../../../disk/beside.ts'
import { type FileSystem, nodeFileSystem, systemCode } from '../../../disk/file-system.ts'
import { tryFolder, tryFolders } from '../../../disk/writable.ts'
import { createFile } from '../../../disk/write-file.ts'
import { isRecord } from '../../../ir/record.ts'
import { systemReason } from '../../../ir/system-reason.ts'
import { formatBytes } from '../../../report/units.ts'
import { cudaManifest, linkedCuda, type NativePackage, providerFiles } from '../../../run/runtime/cuda.ts'
import type { Say } from '../../progress.ts'
import { type CudaError, cudaError, Interruption } from './error.ts'
import { fetchWheel, type Patience } from './fetching.ts'
import type { IndexUrl } from './index-url.ts'
import { findWheel, type Wheel } from './package-index.ts'
import { membersOf } from './unpack.ts'
import { type Part, wantedParts } from './wanted.ts'

/** What an installation works with; all but the package stands for the usual unless it is given. */
export interface CudaOptions {
  /** The onnxruntime-node that gets the links. */
  readonly native: NativePackage
  /** The folder of the libraries. */
  readonly folder: string
  readonly index: IndexUrl
  readonly say: Say
  readonly signal?: AbortSignal
  readonly fileSystem?: FileSystem
  readonly patience?: Patience
  /** Bytes that are free in a folder that exists. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** Where the libraries for a version of onnxruntime-node lie unless another folder is named. */
export const usualFolder = (version: string, variables: Readonly<Record<string, string | undefined>>): string => {
  const home = variables['HOME'] || homedir()
  return join(variables['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'chasec', 'cuda', version)
}

/** What is to be fetched. */
export interface CudaPlan {
  readonly folder: string
  readonly wheels: ReadonlyArray<Wheel & { readonly takes: Part['takes'] }>
  /** What is downloaded, in bytes. */
  readonly bytes: number
  /** About what it takes on the disk, wheels that have been unpacked removed. */
  readonly needed: number
}

/** A folder that is in place. */
export interface InstalledCuda {
  readonly folder: string
  readonly files: number
  readonly bytes: number
  /** What was fetched; none where the folder was there already. */
  readonly wheels: ReadonlyArray<string>
}

/** Unpacked, NVIDIA's wheels of 2026 take 1.56 times their size, and the provider 1.1 times; while the last one lies beside. */
const unpackedRatio = 1.7

/**
 * Looks for the wheels in the index; changes nothing.
 *
 * Errors: the places cannot be written, which is found out before anything is fetched; not enough space; the index.
 */
export const planCuda = async (options: CudaOptions): Promise<E.Either<CudaError, CudaPlan>> => {
  const { native, folder, index, say, freeBytes = freeBytesOf } = options
  const place = await checkPlaces(options)
  if (E.isLeft(place)) return place
  const wheels: CudaPlan['wheels'][number][] = []
  for (const part of wantedParts(native.version)) {
    say(`asking ${index.url.host} for ${part.project}`)
    const found = await findWheel(index, part)
    if (E.isLeft(found)) return found
    wheels.push({ ...found.right, takes: part.takes })
  }
  const bytes = wheels.reduce((sum, wheel) => sum + wheel.bytes, 0)
  const needed = Math.ceil(bytes * unpackedRatio)
  const free = await freeBytes(existingFolder(dirname(folder)))
  if (free < needed) {
    const help = 'Make room, or name a folder on another disk with --dir.'
    return E.left(cudaError(dirname(folder), `${formatBytes(needed)} of free space`, formatBytes(free), help))
  }
  // The largest first: what lies beside at the end is small.
  return E.right({ folder, wheels: wheels.toSorted((a, b) => b.bytes - a.bytes), bytes, needed })
}

const freeBytesOf = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** The folder, or the first of those above it that exists. */
const existingFolder = (folder: string): string => {
  let at = resolve(folder)
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at)
  return at
}

/** Whether the folder can be made and the links put beside ONNX Runtime's library. */
const checkPlaces = async ({ native, folder }: CudaOptions): Promise<E.Either<CudaError, undefined>> => {
  if (existsSync(folder) && !(await isEmpty(folder)) && manifestOf(folder) === undefined) {
    const help = 'Name another folder with --dir.'
    return E.left(cudaError(folder, 'no folder yet, or one of chasec', 'one with other files', help))
  }
  try {
    await tryFolders(dirname(resolve(folder)))
  } catch (thrown) {
    return E.left(cudaError(folder, 'a place that can be written', reasonOf(thrown), 'Name another one with --dir.'))
  }
  return checkNative(native)
}

const checkNative = async ({ folder }: NativePackage): Promise<E.Either<CudaError, undefined>> => {
  const foreign = providerFiles.find((name) => isPlainFile(join(folder, name)))
  if (foreign !== undefined) {
    const help =
      "It is that of onnxruntime-node's install script. Use it with the CUDA it was built for, or remove the " +
      `libonnxruntime_providers_*.so there and try again.`
    return E.left(cudaError(folder, 'no provider of others', foreign, help))
  }
  try {
    await tryFolder(folder)
    return E.right(undefined)
  } catch (thrown) {
    const help =
      'ONNX Runtime looks for its provider there. Install chasec and onnxruntime-node where you may write ' +
      '(npm install chasec, in a folder of yours), or run this as the user who installed them.'
    return E.left(cudaError(folder, 'a folder that can be written', reasonOf(thrown), help))
  }
}

const isPlainFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true

const isEmpty = async (folder: string): Promise<boolean> =>
  (await stat(folder)).isDirectory() && (await readdir(folder)).length === 0

/** The words of an error of the system; other errors are ours and are thrown on. */
const reasonOf = (thrown: unknown): string => {
  if (systemCode(thrown) === '') throw thrown
  return systemReason(thrown)
}

interface Manifest {
  readonly onnxruntime: string
  readonly files: ReadonlyMap<string, number>
}

/** What a folder of chasec holds; undefined where it is none. */
const manifestOf = (folder: string): Manifest | undefined => {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(folder, cudaManifest), 'utf8'))
    if (!isRecord(parsed) || !isRecord(parsed['files']) || typeof parsed['onnxruntime'] !== 'string') return undefined
    const files = Object.entries(parsed['files']).flatMap(([name, size]): ReadonlyArray<readonly [string, number]> =>
      typeof size === 'number' && basename(name) === name ? [[name, size]] : [],
    )
    return { onnxruntime: parsed['onnxruntime'], files: new Map(files) }
  } catch {
    return undefined
  }
}

/** The folder, where all that its manifest lists is there for this version, in the right size. */
export const completeCuda = async (folder: string, version: string): Promise<InstalledCuda | undefined> => {
  const manifest = manifestOf(folder)
  if (manifest === undefined || manifest.onnxruntime !== version) return undefined
  let bytes = 0
  for (const [name, size] of manifest.files) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found?.isFile() !== true || found.size !== size) return undefined
    bytes += size
  }
  return { folder, files: manifest.files.size, bytes, wheels: [] }
}

/**
 * Fetches what is planned into the folder, and links to it. A folder that was there already is linked to, nothing is fetched.
 *
 * Errors: those of {@link planCuda}; a download that ends early or has another digest; a disk that fills up. After an error there
 * is what was there before.
 */
export const installCuda = async (options: CudaOptions): Promise<E.Either<CudaError, InstalledCuda>> => {
  const { native, folder, say } = options
  const target = resolve(folder)
  const present = await completeCuda(target, native.version)
  if (present !== undefined) {
    const writable = await checkNative(native)
    return E.isLeft(writable) ? writable : linkTo(present, native)
  }
  const plan = await planCuda({ ...options, folder: target })
  if (E.isLeft(plan)) return plan
  const fileSystem = options.fileSystem ?? nodeFileSystem
  const fresh = beside(target, 'new')
  try {
    await fileSystem.makeFolders(dirname(target))
    await clearAway(target, fileSystem)
    await fileSystem.makeFolder(fresh)
    const files = await fill(fresh, plan.right, options)
    const manifest = {
      onnxruntime: native.version,
      wheels: plan.right.wheels.map(({ filename, url, sha256 }) => ({ filename, url, sha256 })),
      files: Object.fromEntries(files),
    }
    const text = new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`)
    await createFile(join(fresh, cudaManifest), [text], { fileSystem })
    await fileSystem.syncFolder(fresh)
    say('putting it in place')
    if (manifestOf(target) !== undefined) await removeFiles(target)
    // An empty folder is replaced by the renaming; where another process was faster, its folder is as good.
    await fileSystem.rename(fresh, target).catch(async (thrown: unknown) => {
      if ((await completeCuda(target, native.version)) === undefined) throw thrown
    })
    await fileSystem.syncFolder(dirname(target))
    const done = await completeCuda(target, native.version)
    if (done === undefined) {
      return E.left(cudaError(target, 'what was put there', 'other files', 'Let other runs end, then try again.'))
    }
    return linkTo({ ...done, wheels: plan.right.wheels.map(({ filename }) => filename) }, native)
  } catch (thrown) {
    if (thrown instanceof Interruption) return E.left(thrown.error)
    if (options.signal?.aborted === true && thrown === options.signal.reason) {
      return E.left(cudaError(target, 'time to fetch it', 'a request to stop', 'Nothing was changed; try again.'))
    }
    const help = 'Nothing was changed. Check free space and permissions, then try again.'
    return E.left(cudaError(target, 'a folder that can be written', reasonOf(thrown), help))
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

/** Removes what processes that were killed have left beside the target. */
const clearAway = async (target: string, fileSystem: FileSystem): Promise<void> => {
  for (const { path, inUse } of await leftoversOf(target, 'folder', fileSystem)) {
    if (!inUse) await rm(path, { recursive: true, force: true })
  }
}

/** Progress is told about as often as a download grows by this. */
const progressBytes = 2 ** 26

/** Fetches all wheels, one after the other, and takes the libraries out of them; gives these with their sizes. */
const fill = async (
  fresh: string,
  { wheels, bytes }: CudaPlan,
  { index, say, signal, fileSystem = nodeFileSystem, patience }: CudaOptions,
): Promise<ReadonlyMap<string, number>> => {
  const files = new Map<string, number>()
  const writing = { fileSystem, ...(signal === undefined ? {} : { signal }) }
  let fetched = 0
  let told = -progressBytes
  const counted = async function* (chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (fetched - told >= progressBytes) {
        say(`fetching ${name}: ${formatBytes(fetched)} of ${formatBytes(bytes)} in all`)
        told = fetched
      }
      fetched += chunk.byteLength
      yield chunk
    }
  }
  for (const wheel of wheels) {
    const archive = join(fresh, wheel.filename)
    await createFile(archive, counted(fetchWheel(wheel, index, signal, patience), wheel.filename), writing)
    say(`unpacking ${wheel.filename}`)
    const members = await membersOf(archive, wheel.takes)
    for (const { name, bytes: size, chunks } of members) {
      await createFile(join(fresh, basename(name)), chunks, writing)
      files.set(basename(name), size)
    }
    if (members.length === 0) {
      const help = 'Nothing was changed. Name another index with --index-url, or another version of onnxruntime-node.'
      throw new Interruption(cudaError(wheel.filename, 'libraries of CUDA', 'none', help))
    }
    await fileSystem.removeFile(archive)
  }
  await linkPlainNames(fresh, [...files.keys()])
  return files
}

/** Libraries that are opened by hand are looked for without the number behind their names, too. */
const linkPlainNames = async (folder: string, names: ReadonlyArray<string>): Promise<void> => {
  for (const name of names) {
    const plain = plainName(name)
    if (plain !== name) await symlink(name, join(folder, plain))
  }
}

/** `libcudnn.so` of `libcudnn.so.9`. */
const plainName = (name: string): string => name.replace(/\.so[.\d]+$/, '.so')

/** Puts the links beside ONNX Runtime's library, each in place of the one that was there. */
const linkTo = async (
  installed: InstalledCuda,
  { folder }: NativePackage,
): Promise<E.Either<CudaError, InstalledCuda>> => {
  try {
    const libraries = realpathSync(installed.folder)
    for (const name of providerFiles) {
      const link = join(folder, name)
      const fresh = beside(link, 'new')
      await symlink(join(libraries, name), fresh)
      await rename(fresh, link)
    }
    return E.right(installed)
  } catch (thrown) {
    const help = `The libraries are in ${installed.folder}: try again when it can be written, and nothing is fetched anew.`
    return E.left(cudaError(folder, 'a folder that can be written', reasonOf(thrown), help))
  }
}

/** What a removal takes away. */
export interface RemovedCuda {
  readonly folder: string
  readonly files: number
  readonly bytes: number
  /** What of the folder is not of chasec, and stays. */
  readonly left: ReadonlyArray<string>
}

/**
 * Removes a folder that chasec has installed, and the links to it; with `dry`, tells what it would.
 *
 * Errors: there is no such folder; it cannot be removed.
 */
export const removeCuda = async (
  named: string | undefined,
  usual: string | undefined,
  native: NativePackage | undefined,
  dry: boolean,
): Promise<E.Either<CudaError, RemovedCuda>> => {
  const linked = native === undefined ? undefined : linkedCuda(native.folder)
  const folder = resolve(named ?? linked ?? usual ?? '.')
  if (usual !== undefined || named !== undefined) await clearAway(folder, nodeFileSystem).catch(() => undefined)
  const manifest = manifestOf(folder)
  if (manifest === undefined) {
    const help = 'Name the folder that CUDA was installed in with --dir; where it was not, there is nothing to remove.'
    return E.left(cudaError(folder, 'CUDA as chasec installed it', 'nothing of the kind', help))
  }
  const known = new Set([cudaManifest, ...manifest.files.keys(), ...[...manifest.files.keys()].map(plainName)])
  const left = (await readdir(folder)).filter((name) => !known.has(name))
  const bytes = [...manifest.files.values()].reduce((sum, size) => sum + size, 0)
  const removed = { folder, files: manifest.files.size, bytes, left }
  if (dry) return E.right(removed)
  try {
    if (native !== undefined) await removeLinks(native, folder)
    await removeFiles(folder)
    return E.right(removed)
  } catch (thrown) {
    const help = 'Check permissions, then try again.'
    return E.left(cudaError(folder, 'files that can be removed', reasonOf(thrown), help))
  }
}

/** Removes the links beside ONNX Runtime's library that lead into a folder. */
const removeLinks = async (native: NativePackage, folder: string): Promise<void> => {
  for (const name of providerFiles) {
    const link = join(native.folder, name)
    const to = await readlink(link).catch(() => undefined)
    if (to === join(realpathSync(folder), name)) await unlink(link)
  }
}

/** Removes what the manifest of a folder lists, then that, and the folder if nothing else is in it. */
const removeFiles = async (folder: string): Promise<void> => {
  const names = [...(manifestOf(folder)?.files.keys() ?? [])]
  for (const name of [...names, ...names.map(plainName), cudaManifest]) await rm(join(folder, name), { force: true })
  await rmdir(folder).catch((thrown: unknown) => {
    if (systemCode(thrown) !== 'ENOTEMPTY') throw thrown
  })
}
