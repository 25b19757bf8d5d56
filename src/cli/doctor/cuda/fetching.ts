/** Large files from an index of Python packages: piece by piece, gone on with where the connection breaks, checked by digest. */
import { createHash } from 'node:crypto'
import { setTimeout as startTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { cudaError, Interruption } from './error.ts'
import type { IndexUrl } from './index-url.ts'
import type { Wheel } from './package-index.ts'

/** What is sent along to a host. */
export const headersFor = (url: URL, { url: index, authorization }: IndexUrl): Readonly<Record<string, string>> =>
  authorization !== undefined && url.origin === index.origin ? { authorization } : {}

/** What `fetch` says: the cause, where it has one. */
export const messageOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown)
  const { cause } = thrown
  if (!(cause instanceof Error)) return thrown.message
  return cause.message || ('code' in cause ? String(cause.code) : thrown.message)
}

export interface Patience {
  /** How often a connection that breaks without a byte more is tried again. */
  readonly attempts: number
  /** How long nothing may come, in milliseconds. */
  readonly silence: number
  /** How long to wait before the second attempt, in milliseconds; before each further one, twice as long. */
  readonly pause: number
}

const usualPatience: Patience = { attempts: 5, silence: 60_000, pause: 1000 }

/**
 * The bytes of a wheel. Where the connection breaks, another one goes on behind what has come; a server that begins at the front
 * again is listened to from there on. Throws an {@link Interruption} where the file cannot be had whole, or its digest is another one
 * than the index says: all bytes have been given by then.
 */
export async function* fetchWheel(
  { url, sha256, filename, bytes: length }: Wheel,
  index: IndexUrl,
  signal: AbortSignal | undefined,
  { attempts, silence, pause }: Patience = usualPatience,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let at = 0
  let failures = 0
  for (;;) {
    const start = at
    const watch = new AbortController()
    const signals = signal === undefined ? [watch.signal] : [watch.signal, signal]
    let timer = startTimer(() => watch.abort(), silence)
    let trouble: string
    let final = false
    try {
      const headers = { ...headersFor(new URL(url), index), ...(at === 0 ? {} : { range: `bytes=${at}-` }) }
      const answer = await fetch(url, { headers, signal: AbortSignal.any(signals) })
      trouble = `HTTP ${answer.status}`
      final = answer.status >= 400 && answer.status < 500
      if (answer.ok && answer.body !== null) {
        // Bytes that have been given already, where the server does not begin in the middle.
        let skip = answer.status === 206 ? 0 : at
        for await (const piece of answer.body) {
          clearTimeout(timer)
          timer = startTimer(() => watch.abort(), silence)
          const fresh = piece.subarray(Math.min(skip, piece.byteLength))
          skip -= piece.byteLength - fresh.byteLength
          if (fresh.byteLength === 0) continue
          hash.update(fresh)
          at += fresh.byteLength
          yield fresh
          // More than the index says is not worth the disk: the digest is wrong already.
          if (length > 0 && at > length) break
        }
        if (length === 0 || at >= length) break
        trouble = `an end after ${at} of ${length} bytes`
      }
    } catch (thrown) {
      signal?.throwIfAborted()
      trouble = watch.signal.aborted ? `nothing for ${silence / 1000} s` : messageOf(thrown)
    } finally {
      clearTimeout(timer)
    }
    failures = at > start ? 0 : failures + 1
    if (final || failures >= attempts) {
      const help = 'Nothing was changed. Try again when the network is well.'
      throw new Interruption(cudaError(filename, `all of it from ${new URL(url).host}`, trouble, help))
    }
    if (failures > 0) await setTimeout(pause * 2 ** (failures - 1), undefined, signal === undefined ? {} : { signal })
  }
  const found = hash.digest('hex')
  if (found === sha256) return
  const help = 'Nothing was changed. Try again; where it stays so, something on the way changes files.'
  throw new Interruption(cudaError(filename, `the SHA-256 digest ${sha256} of the index`, found, help))
}
