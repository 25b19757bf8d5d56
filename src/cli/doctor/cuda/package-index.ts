/** Asking an index of Python packages which wheels it has (PEP 503 and 691), and choosing one. */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../../ir/record.ts'
import { type CudaError, cudaError } from './error.ts'
import { headersFor, messageOf } from './fetching.ts'
import type { IndexUrl } from './index-url.ts'

/** A wheel that an index offers. */
export interface Wheel {
  readonly project: string
  readonly version: string
  readonly filename: string
  readonly url: string
  /** Its SHA-256 in hexadecimal digits, as the index says. */
  readonly sha256: string
  readonly bytes: number
}

/** What is wanted of a project: the versions that will do. */
export interface Wanted {
  readonly project: string
  /** In words: `1.30.0`, `13.*`. */
  readonly versions: string
  readonly fits: (version: string) => boolean
}

interface Listed {
  readonly filename: string
  readonly url: string
  readonly sha256: string | undefined
  readonly bytes: number | undefined
}

const accepted = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1'

/** An index answers within this time, or not at all. */
const answerMilliseconds = 60_000

const proxyAdvice =
  'Check the network; another index is named with --index-url or PIP_INDEX_URL. Behind a proxy, set NODE_USE_ENV_PROXY=1 (Node 24).'

/**
 * The newest wheel for Linux on x64 that will do; withdrawn ones and those that are not final are passed over.
 *
 * Errors: the index cannot be reached or has no such project; nothing that will do; no digest.
 */
export const findWheel = async (index: IndexUrl, wanted: Wanted): Promise<E.Either<CudaError, Wheel>> => {
  const { project, versions, fits } = wanted
  const page = new URL(`${project}/`, index.url)
  const listed = await list(page, index)
  if (E.isLeft(listed)) return listed
  const all = listed.right.flatMap((file) => {
    const version = versionOf(file.filename)
    return version === undefined ? [] : [{ file, version }]
  })
  const [best] = all
    .filter(({ version }) => fits(version))
    .toSorted((a, b) => compareVersions(b.version, a.version) || (a.file.filename < b.file.filename ? -1 : 1))
  if (best === undefined) {
    const known = [...new Set(all.map(({ version }) => version))].toSorted(compareVersions).slice(-5)
    const found = known.length === 0 ? 'no wheels for it' : `wheels of ${known.join(', ')}`
    const help =
      'Name another index with --index-url, or install a version of onnxruntime-node that it has the provider of.'
    return E.left(cudaError(`${project} ${versions} for Linux on x64`, `a wheel in ${page.href}`, found, help))
  }
  const { file, version } = best
  if (file.sha256 === undefined) {
    const help = 'Name another index with --index-url: what cannot be checked is not fetched.'
    return E.left(cudaError(file.filename, `a SHA-256 digest in ${page.href}`, 'none', help))
  }
  const bytes = file.bytes ?? (await sizeOf(file.url, index))
  return E.right({ project, version, filename: file.filename, url: file.url, sha256: file.sha256, bytes: bytes ?? 0 })
}

const list = async (page: URL, index: IndexUrl): Promise<E.Either<CudaError, ReadonlyArray<Listed>>> => {
  const wrong = (found: string, help = proxyAdvice): E.Either<CudaError, never> =>
    E.left(cudaError(page.href, 'the wheels of a project', found, help))
  try {
    const headers = { accept: accepted, ...headersFor(page, index) }
    const answer = await fetch(page, { headers, signal: AbortSignal.timeout(answerMilliseconds) })
    if (answer.status === 404) return wrong('no such project', 'Name another index with --index-url or PIP_INDEX_URL.')
    if (!answer.ok) return wrong(`HTTP ${answer.status}`)
    const text = await answer.text()
    const base = answer.url === '' ? page.href : answer.url
    if (!(answer.headers.get('content-type') ?? '').includes('json')) return E.right(listedInHtml(text, base))
    const parsed: unknown = JSON.parse(text)
    return isRecord(parsed) && Array.isArray(parsed['files'])
      ? E.right(parsed['files'].flatMap((file: unknown) => listedInJson(file, base)))
      : wrong('an answer without files')
  } catch (thrown) {
    return wrong(messageOf(thrown))
  }
}

const listedInJson = (file: unknown, base: string): ReadonlyArray<Listed> => {
  if (!isRecord(file) || (file['yanked'] ?? false) !== false) return []
  const { filename, url, hashes, size } = file
  if (typeof filename !== 'string' || typeof url !== 'string' || !URL.canParse(url, base)) return []
  const sha256 = isRecord(hashes) ? digestOf(hashes['sha256']) : undefined
  return [{ filename, url: new URL(url, base).href, sha256, bytes: typeof size === 'number' ? size : undefined }]
}

const listedInHtml = (text: string, base: string): ReadonlyArray<Listed> =>
  [...text.matchAll(/<a\s([^>]*)>([^<]*)<\/a>/gi)].flatMap(([, attributes = '', name = '']) => {
    const href = /\bhref\s*=\s*["']([^"']*)["']/i.exec(attributes)?.[1]?.replaceAll('&amp;', '&')
    if (href === undefined || !URL.canParse(href, base) || /\bdata-yanked\b/i.test(attributes)) return []
    const url = new URL(href, base)
    const sha256 = digestOf(/^#sha256=(.*)$/.exec(url.hash)?.[1])
    url.hash = ''
    return [{ filename: name.trim(), url: url.href, sha256, bytes: undefined }]
  })

const digestOf = (x: unknown): string | undefined =>
  typeof x === 'string' && /^[0-9a-f]{64}$/i.test(x) ? x.toLowerCase() : undefined

const sizeOf = async (url: string, index: IndexUrl): Promise<number | undefined> => {
  try {
    const headers = headersFor(new URL(url), index)
    const answer = await fetch(url, { method: 'HEAD', headers, signal: AbortSignal.timeout(answerMilliseconds) })
    const length = Number(answer.headers.get('content-length') ?? NaN)
    return answer.ok && Number.isSafeInteger(length) ? length : undefined
  } catch {
    return undefined
  }
}

/** The final version of a wheel for Linux on x64 by its name; undefined for any other file. */
const versionOf = (filename: string): string | undefined =>
  /^[^-]+-(\d+(?:\.\d+)*(?:\.post\d+)?)(?:-\d[^-]*)?-[^-]+-[^-]+-[^-]*linux[^-]*_x86_64\.whl$/.exec(filename)?.[1]

/** Compares versions number by number: negative where `a` is the older one. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [a, b].map((version) => (version.match(/\d+/g) ?? []).map(Number))
  for (let at = 0; at < Math.max(left?.length ?? 0, right?.length ?? 0); at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
