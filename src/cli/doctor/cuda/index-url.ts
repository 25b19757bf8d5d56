/** Which index of Python packages is asked: the one that pip would ask, found without pip. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type CudaError, cudaError } from './error.ts'

type Variables = Readonly<Record<string, string | undefined>>

export interface IndexUrl {
  /** The address of the index without a name and password, ending in a slash. */
  readonly url: URL
  /** What is sent along to the host of the index, and to no other. */
  readonly authorization: string | undefined
  /** Where it was named, for people. */
  readonly from: string
}

const usual = 'https://pypi.org/simple'

/**
 * The index named by `given`, by PIP_INDEX_URL, by pip's configuration files, or PyPI. As with pip, an index without TLS is asked on
 * this machine only, or where it is named as trusted (PIP_TRUSTED_HOST, `trusted-host`): the digests come from there.
 *
 * Errors: an address that is none, or not a safe one.
 */
export const findIndexUrl = (
  given: string | undefined,
  variables: Variables,
  readText: (path: string) => string | undefined = readIfThere,
): E.Either<CudaError, IndexUrl> => {
  const files = configurationFiles(variables).map((path) => ({ path, settings: settingsOf(readText(path) ?? '') }))
  const named = files.findLast(({ settings }) => settings.has('index-url'))
  const candidates: ReadonlyArray<readonly [string, string | undefined]> = [
    ['--index-url', given],
    ['PIP_INDEX_URL', variables['PIP_INDEX_URL']],
    [named?.path ?? '', named?.settings.get('index-url')],
    ['the usual one', usual],
  ]
  const [from, text = usual] = candidates.find(([, value]) => value !== undefined && value !== '') ?? ['', usual]
  const trusted = [variables['PIP_TRUSTED_HOST'], ...files.map(({ settings }) => settings.get('trusted-host'))]
  return parse(text, from, new Set(trusted.flatMap((hosts) => (hosts ?? '').split(/\s+/))))
}

const parse = (text: string, from: string, trusted: ReadonlySet<string>): E.Either<CudaError, IndexUrl> => {
  const wrong = (expected: string, found: string, help: string): E.Either<CudaError, never> =>
    E.left(cudaError(`the index of Python packages (${from})`, expected, found, help))
  if (!URL.canParse(text)) return wrong('an address like https://pypi.org/simple', text, 'Give another one.')
  const url = new URL(text)
  const { username, password, host, hostname } = url
  url.username = ''
  url.password = ''
  url.hash = ''
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  const safe = local || trusted.has(hostname) || trusted.has(host)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && safe)) {
    return wrong('an address with https', url.href, 'Name its host in PIP_TRUSTED_HOST to use it all the same.')
  }
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const authorization = username === '' ? undefined : `Basic ${Buffer.from(login).toString('base64')}`
  return E.right({ url, authorization, from })
}

/** Where pip looks for its configuration, the last that says something holds. */
const configurationFiles = (variables: Variables): ReadonlyArray<string> => {
  const own = variables['PIP_CONFIG_FILE']
  if (own === '/dev/null') return []
  const home = variables['HOME'] ?? homedir()
  const environment = variables['VIRTUAL_ENV']
  return [
    '/etc/xdg/pip/pip.conf',
    '/etc/pip.conf',
    join(home, '.pip', 'pip.conf'),
    join(variables['XDG_CONFIG_HOME'] || join(home, '.config'), 'pip', 'pip.conf'),
    ...(environment === undefined ? [] : [join(environment, 'pip.conf')]),
    ...(own === undefined ? [] : [own]),
  ]
}

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The settings of pip's sections `global`, `install` and `download`, which come after each other. Lines that are indented go on. */
const settingsOf = (text: string): ReadonlyMap<string, string> => {
  const sections = new Map(['global', 'install', 'download'].map((name) => [name, new Map<string, string>()]))
  let section: Map<string, string> | undefined
  let key: string | undefined
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const title = /^\[(.+)\]\s*$/.exec(line)?.[1]
    const [, name, value] = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? []
    if (title !== undefined) {
      section = sections.get(title)
      key = undefined
    } else if (/^\s/.test(line)) {
      if (key !== undefined) section?.set(key, `${section.get(key) ?? ''} ${line.trim()}`.trim())
    } else if (name !== undefined && value !== undefined) {
      key = name.toLowerCase().replaceAll('_', '-')
      section?.set(key, value)
    }
  }
  return new Map([...sections.values()].flatMap((settings) => [...settings]))
}
