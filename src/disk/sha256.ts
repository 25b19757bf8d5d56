/**
 * SHA-256 of many bytes on a thread of its own: half a second for a gigabyte, and as much again to read it from a file, in which
 * this thread computes. Of few bytes on this one, which takes less time than a thread takes to start. Node only.
 */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { isRecord } from '../ir/record.ts'

/** A digest of bytes that are given piece by piece. */
export interface Sha256 {
  /** Resolves when more may be given. */
  readonly update: (bytes: Uint8Array) => Promise<void>
  /** The digest of all, in hexadecimal digits. */
  readonly digest: () => Promise<string>
  /** Gives it up, where it is not wanted any more. */
  readonly end: () => void
}

/** The fewest bytes that are worth a thread. */
const leastBytes = 2 ** 24

/** Bytes that are handed over at a time, and how often that is done before some have been taken. */
const [slotBytes, slotCount] = [2 ** 18, 4]

/** Starts the digest of so many bytes. Where its thread ends before, as in too little memory, `again` gives all of them once more. */
export const startSha256 = (bytes: number, again: () => Iterable<Uint8Array>): Sha256 => {
  if (!isWorthThread(bytes)) return ownSha256()
  const memory = Array.from({ length: slotCount }, () => new SharedArrayBuffer(slotBytes))
  const worker = startThread({ memory })
  return worker === undefined ? ownSha256() : sharedSha256(worker, memory, again)
}

/** The digest of a file, in hexadecimal digits. A thread has started when this returns. Throws errors of the system. */
export const sha256OfFile = async (path: string): Promise<string> => {
  const worker = isWorthThread(statSync(path).size) ? startThread({ path }) : undefined
  // What the thread cannot read is read here, or not.
  const digest = worker && (await digestFrom(listenTo(worker)))
  if (digest !== undefined) return digest
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: slotBytes })) hash.update(chunk)
  return hash.digest('hex')
}

const ownSha256 = (): Sha256 => {
  const hash = createHash('sha256')
  return {
    update: async (bytes) => void hash.update(bytes),
    digest: async () => hash.digest('hex'),
    end: () => undefined,
  }
}

const sharedSha256 = (
  worker: Worker,
  memory: ReadonlyArray<SharedArrayBuffer>,
  again: () => Iterable<Uint8Array>,
): Sha256 => {
  const thread = listenTo(worker)
  const slots = memory.map((slot) => new Uint8Array(slot))
  // The thread gives slots back in the order in which it gets them.
  let [sent, filled] = [0, 0]
  const send = (): void => {
    worker.postMessage({ slot: sent % slots.length, length: filled })
    sent += 1
    filled = 0
  }
  return {
    update: async (bytes) => {
      for (let at = 0; at < bytes.byteLength;) {
        const said = await thread.until(({ taken }) => sent - taken < slots.length)
        if (said === undefined) return
        const part = bytes.subarray(at, at + slotBytes - filled)
        slots[sent % slots.length]?.set(part, filled)
        filled += part.byteLength
        at += part.byteLength
        if (filled === slotBytes) send()
      }
    },
    digest: async () => {
      if (filled > 0) send()
      worker.postMessage({})
      const digest = await digestFrom(thread)
      if (digest !== undefined) return digest
      const hash = createHash('sha256')
      for (const chunk of again()) hash.update(chunk)
      return hash.digest('hex')
    },
    end: () => void worker.terminate(),
  }
}

/** What a thread has said so far. */
interface Said {
  /** How many pieces it has read. */
  readonly taken: number
  readonly digest?: string
}

interface Listening {
  /** Resolves once this holds, or to undefined where the thread ends before, for whatever reason. */
  readonly until: (holds: (said: Said) => boolean) => Promise<Said | undefined>
}

const listenTo = (worker: Worker): Listening => {
  let said: Said = { taken: 0 }
  let hasEnded = false
  let tell = (): void => undefined
  worker.on('message', (message: unknown) => {
    said =
      isRecord(message) && typeof message['digest'] === 'string'
        ? { ...said, digest: message['digest'] }
        : { ...said, taken: said.taken + 1 }
    tell()
  })
  // The end follows on an error.
  worker.on('error', () => undefined)
  worker.on('exit', () => {
    hasEnded = true
    tell()
  })
  return {
    until: async (holds) => {
      while (!holds(said)) {
        if (hasEnded) return undefined
        await new Promise<void>((resolve) => {
          tell = resolve
        })
      }
      return said
    },
  }
}

const digestFrom = async (thread: Listening): Promise<string | undefined> =>
  (await thread.until(({ digest }) => digest !== undefined))?.digest

/** What a thread is given: a file to read, or memory that it is handed bytes in. */
type Task = { readonly path: string } | { readonly memory: ReadonlyArray<SharedArrayBuffer> }

/** A script or a module, as the flags of the process have it: neither's way to import. */
const program = `
const { createHash } = process.getBuiltinModule('node:crypto')
const { closeSync, openSync, readSync } = process.getBuiltinModule('node:fs')
const { parentPort, workerData: { path, memory } } = process.getBuiltinModule('node:worker_threads')
const hash = createHash('sha256')
const end = () => {
  parentPort.postMessage({ digest: hash.digest('hex') })
  parentPort.close()
}
if (path === undefined) {
  const slots = memory.map((slot) => new Uint8Array(slot))
  parentPort.on('message', ({ slot, length }) => {
    if (slot === undefined) return end()
    hash.update(slots[slot].subarray(0, length))
    parentPort.postMessage({})
  })
} else {
  const file = openSync(path)
  const bytes = new Uint8Array(${slotBytes})
  for (let length; (length = readSync(file, bytes)) > 0;) hash.update(bytes.subarray(0, length))
  closeSync(file)
  end()
}`

const isWorthThread = (bytes: number): boolean => bytes >= leastBytes && availableParallelism() > 1

/** A thread with its task; undefined where the process may start none. */
const startThread = (task: Task): Worker | undefined => {
  try {
    return new Worker(program, { eval: true, workerData: task })
  } catch {
    return undefined
  }
}
