/** The compiled kernels: which build of them this engine runs, and how they come to share a memory with threads. */
import { invariant } from '../../../ir/failure.ts'
import { plainKernels, relaxedKernels } from './built.ts'
import { webAssembly } from './webassembly.ts'

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))

export interface Kernels {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Whether they multiply and add in one instruction, which rounds once where the processor has it. */
  readonly relaxed: boolean
}

/** Those with relaxed SIMD where the engine knows it (Node 22 and newer), else the plain ones. */
export const chooseKernels = (): Kernels => {
  const relaxed = bytesOf(relaxedKernels)
  return webAssembly.validate(relaxed)
    ? { bytes: relaxed, relaxed: true }
    : { bytes: bytesOf(plainKernels), relaxed: false }
}

/** Sections of a module and what a description of an import is about, as the binary format numbers them. */
const importSection = 2
const memorySection = 5
const memoryImport = 2

/** Limits with a maximum, and the same for a memory that threads share. */
const limited = 1
const shared = 3

/** A number of a module (LEB128), and the place behind it. */
const numberAt = (module: Uint8Array, at: number): readonly [value: number, next: number] => {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = module[at++] ?? 0
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return [value, at]
  }
}

/** Where a module describes its memory, its own or one that is its only import. */
const memoryPlace = (module: Uint8Array): number => {
  const skipName = (at: number): number => {
    const [length, next] = numberAt(module, at)
    return next + length
  }
  for (let at = 8; at < module.length;) {
    const id = module[at]
    const [size, content] = numberAt(module, at + 1)
    at = content + size
    if (id !== importSection && id !== memorySection) continue
    const [count, first] = numberAt(module, content)
    const kind = skipName(skipName(first))
    if (id === importSection && (count !== 1 || module[kind] !== memoryImport)) continue
    const place = id === importSection ? kind + 1 : first
    const isLimited = module[place] === limited || module[place] === shared
    invariant(count === 1 && isLimited, 'a module with one memory of limited size')
    return place
  }
  throw new Error('chasec: internal invariant broken: a module without memory.')
}

/**
 * A module whose memory, its own or one that is its only import, is shared between threads. Its code stays: what computes
 * in one thread computes in one thread of several.
 */
export const withSharedMemory = (module: Uint8Array): Uint8Array<ArrayBuffer> => {
  const out = Uint8Array.from(module)
  out[memoryPlace(module)] = shared
  return out
}

/**
 * Whether this engine runs a module of {@link withSharedMemory}: it knows such memories, and has room for one as large as
 * this may become, which it sets aside at once.
 */
export const hasRoomFor = (module: Uint8Array): boolean => {
  if (!webAssembly.validate(module)) return false
  const [initial, next] = numberAt(module, memoryPlace(module) + 1)
  const [maximum] = numberAt(module, next)
  try {
    new webAssembly.Memory({ initial, maximum, shared: true })
    return true
  } catch {
    return false
  }
}
