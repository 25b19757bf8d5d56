/** CUDA for ONNX Runtime from an index of Python packages, with a small index of this test's own in its place. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CudaError } from '../../src/cli/doctor/cuda/error.ts'
import { findIndexUrl } from '../../src/cli/doctor/cuda/index-url.ts'
import {
  completeCuda,
  type CudaOptions,
  installCuda,
  planCuda,
  removeCuda,
  usualFolder,
} from '../../src/cli/doctor/cuda/install.ts'
import { compareVersions, findWheel } from '../../src/cli/doctor/cuda/package-index.ts'
import { nodeFileSystem } from '../../src/disk/file-system.ts'
import { renderError } from '../../src/ir/failure.ts'
import { cudaEnvironment, cudaHelp, findNativePackage, lacksDriver, linkedCuda } from '../../src/run/runtime/cuda.ts'
import { concat, utf8, zip, type ZipFile } from '../masks/files.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chasec-cuda-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)

const orThrow = <A>(result: E.Either<CudaError, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

const messageOf = (result: E.Either<CudaError, unknown>): string => {
  if (E.isRight(result)) throw new Error('it came to something')
  return renderError(result.left)
}

/** Bytes that do not get much smaller, so that a wheel comes in several pieces. */
const noise = (length: number, seed: number): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

const wheelSize = 200_000

const library = (name: string, seed: number): ZipFile => ({ name, content: noise(wheelSize, seed), deflated: true })

/** Projects, the versions of their wheels, and what is in these. */
const projects: ReadonlyArray<readonly [string, string, ReadonlyArray<ZipFile>]> = [
  [
    'onnxruntime-gpu',
    '1.30.0',
    [
      library('onnxruntime/capi/libonnxruntime_providers_cuda.so', 1),
      { name: 'onnxruntime/capi/libonnxruntime_providers_shared.so', content: utf8('shared') },
      { name: 'onnxruntime/capi/libonnxruntime_providers_tensorrt.so', content: utf8('tensorrt') },
      { name: 'onnxruntime_gpu-1.30.0.dist-info/METADATA', content: utf8('Name: onnxruntime-gpu') },
    ],
  ],
  ['nvidia-cuda-runtime', '13.0.96', [library('nvidia/cu13/lib/libcudart.so.13', 2)]],
  ['nvidia-cublas', '13.1.0', [library('nvidia/cu13/lib/libcublas.so.13', 3)]],
  ['nvidia-cudnn-cu13', '9.9.0', [library('nvidia/cudnn/lib/libcudnn.so.9', 4)]],
  ['nvidia-cufft', '12.0.0', [library('nvidia/cu13/lib/libcufft.so.12', 5)]],
  ['nvidia-curand', '10.4.0', [library('nvidia/cu13/lib/libcurand.so.10', 6)]],
  ['nvidia-cuda-nvrtc', '13.0.88', [library('nvidia/cu13/lib/libnvrtc.so.13', 7)]],
  [
    'nvidia-nvjitlink',
    '13.0.88',
    [
      library('nvidia/cu13/lib/libnvJitLink.so.13', 8),
      { name: 'nvidia/cu13/include/nvJitLink.h', content: utf8('header') },
    ],
  ],
]

const wheels = new Map(projects.map(([project, , files]) => [project, zip(files)]))

const wheelOf = (project: string): Uint8Array => wheels.get(project) ?? new Uint8Array()

const installedNames = [
  'chasec-cuda.json',
  'libcublas.so',
  'libcublas.so.13',
  'libcudart.so',
  'libcudart.so.13',
  'libcudnn.so',
  'libcudnn.so.9',
  'libcufft.so',
  'libcufft.so.12',
  'libcurand.so',
  'libcurand.so.10',
  'libnvJitLink.so',
  'libnvJitLink.so.13',
  'libnvrtc.so',
  'libnvrtc.so.13',
  'libonnxruntime_providers_cuda.so',
  'libonnxruntime_providers_shared.so',
]

const filenameOf = (project: string, version: string): string =>
  `${project.replaceAll('-', '_')}-${version}-py3-none-manylinux_2_27_x86_64.whl`

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

type Answer = (request: IncomingMessage, response: ServerResponse, wheel: Uint8Array) => void

interface Index {
  readonly url: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** How wheels are sent; whole unless it is replaced. */
  serve: Answer
  /** Another digest than that of the file, for a project. */
  readonly lies: Map<string, string>
  /** Other files in place of a project's. */
  readonly contents: Map<string, Uint8Array>
  readonly close: () => void
}

const whole: Answer = (request, response, wheel) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': wheel.length - from }).end(wheel.subarray(from))
}

/** Sends so many bytes of a wheel as all of it and breaks the connection. */
const broken =
  (bytes: number): Answer =>
  (request, response, wheel) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': wheel.length - from })
    response.write(wheel.subarray(from, from + bytes), () => response.destroy())
  }

const listing = ({ lies, contents }: Index, project: string): string | undefined => {
  const known = projects.find(([name]) => name === project)
  if (known === undefined) return undefined
  const [, version] = known
  const bytes = contents.get(project) ?? wheelOf(project)
  const hashes = { sha256: lies.get(project) ?? sha256(bytes) }
  const filename = filenameOf(project, version)
  return JSON.stringify({ files: [{ filename, url: `../../files/${filename}`, hashes, size: bytes.length }] })
}

const startIndex = (): Promise<Index> =>
  new Promise((resolve) => {
    const server = createServer((request, response) => {
      const path = request.url ?? ''
      index.asked.push(path)
      const project = /^\/simple\/([^/]+)\/$/.exec(path)?.[1]
      if (project !== undefined) {
        const page = listing(index, project)
        response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'application/vnd.pypi.simple.v1+json' })
        response.end(page)
        return
      }
      const found = projects.find(([name, version]) => path === `/files/${filenameOf(name, version)}`)
      if (found === undefined) response.writeHead(404).end()
      else index.serve(request, response, index.contents.get(found[0]) ?? wheelOf(found[0]))
    })
    const index: Index = {
      url: '',
      asked: [],
      serve: whole,
      lies: new Map(),
      contents: new Map(),
      close: () => {
        server.close()
        server.closeAllConnections()
      },
    }
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('no port')
      resolve(Object.assign(index, { url: `http://127.0.0.1:${address.port}/simple` }))
    })
  })

let index: Index
beforeEach(async () => {
  index = await startIndex()
})
afterEach(() => index.close())

const optionsFor = (more: Partial<CudaOptions> = {}): CudaOptions => {
  mkdirSync(at('native'), { recursive: true })
  return {
    native: { version: '1.30.0', folder: at('native') },
    folder: at('data', 'cuda', '1.30.0'),
    index: orThrow(findIndexUrl(index.url, {})),
    say: () => undefined,
    patience: { attempts: 3, silence: 60_000, pause: 1 },
    ...more,
  }
}

const wheelsAsked = (): ReadonlyArray<string> => index.asked.filter((path) => path.startsWith('/files/'))

/** All that lies in the folder of this test, but what is in the wheels' stead. */
const everything = (): ReadonlyArray<string> => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()

describe.skipIf(process.platform === 'win32')('installing', () => {
  it('puts the libraries in one folder, with links beside ONNX Runtime, and does it once', async () => {
    const options = optionsFor()
    const said: string[] = []
    const installed = orThrow(await installCuda({ ...options, say: (text) => said.push(text) }))
    expect(installed).toMatchObject({ folder: options.folder, files: 9 })
    expect(installed.wheels).toHaveLength(projects.length)
    expect(readdirSync(options.folder).sort()).toEqual(installedNames)
    expect(readdirSync(at('data', 'cuda'))).toEqual(['1.30.0'])
    for (const [, , files] of projects) {
      for (const { name, content } of files.filter((file) => file.deflated === true)) {
        const file = readFileSync(join(options.folder, name.replace(/^.*\//, '')))
        expect(sha256(file)).toBe(sha256(content))
      }
    }
    for (const name of ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so']) {
      expect(readlinkSync(at('native', name))).toBe(join(realpathSync(options.folder), name))
    }
    expect(readdirSync(at('native'))).toHaveLength(2)
    expect(said).toContain('asking ' + new URL(index.url).host + ' for nvidia-cublas')
    expect(said.some((text) => /^fetching .*: 0 B of 1\.\d+ MB in all$/.test(text))).toBe(true)
    expect(wheelsAsked()).toHaveLength(projects.length)
    const again = orThrow(await installCuda(options))
    expect(again).toEqual({ ...installed, wheels: [] })
    expect(wheelsAsked()).toHaveLength(projects.length)
    // What npm does to a package: the links are gone, the libraries are not.
    rmSync(at('native'), { recursive: true })
    mkdirSync(at('native'))
    expect(linkedCuda(at('native'))).toBe(undefined)
    orThrow(await installCuda(options))
    expect(linkedCuda(at('native'))).toBe(realpathSync(options.folder))
    expect(wheelsAsked()).toHaveLength(projects.length)
  })

  it('gives processes the folder in their environment, in front of what was there', async () => {
    const options = optionsFor()
    expect(cudaEnvironment({ LD_LIBRARY_PATH: '/mine' }, options.native)).toEqual({})
    orThrow(await installCuda(options))
    const libraries = realpathSync(options.folder)
    expect(cudaEnvironment({}, options.native)).toEqual({ LD_LIBRARY_PATH: libraries })
    expect(cudaEnvironment({ LD_LIBRARY_PATH: '/mine' }, options.native)).toEqual({
      LD_LIBRARY_PATH: `${libraries}:/mine`,
    })
    // A provider that others have put there is theirs.
    rmSync(at('native', 'libonnxruntime_providers_cuda.so'))
    writeFileSync(at('native', 'libonnxruntime_providers_cuda.so'), '')
    expect(cudaEnvironment({}, options.native)).toEqual({})
  })

  it('fetches anew where a file is missing or another one', async () => {
    const options = optionsFor()
    orThrow(await installCuda(options))
    writeFileSync(join(options.folder, 'libcudart.so.13'), 'short')
    expect(await completeCuda(options.folder, '1.30.0')).toBe(undefined)
    orThrow(await installCuda(options))
    expect(wheelsAsked()).toHaveLength(2 * projects.length)
    expect(readdirSync(options.folder).sort()).toEqual(installedNames)
    expect(await completeCuda(options.folder, '1.31.0')).toBe(undefined)
  })

  it('takes nothing with another digest than that of the index', async () => {
    const options = optionsFor()
    index.lies.set('nvidia-curand', '0'.repeat(64))
    const before = everything()
    const message = messageOf(await installCuda(options))
    expect(message).toMatch(/^nvidia_curand-.*: expected the SHA-256 digest 0{64} of the index, found [0-9a-f]{64}\./)
    expect(message).toContain('Nothing was changed.')
    expect(everything().filter((path) => !before.includes(path))).toEqual(['data', 'data/cuda'])
  })

  it.each<[string, Answer]>([
    ['goes on behind what has come', broken(50_000)],
    [
      'takes a file from the front where a server knows no ranges',
      (() => {
        let times = 0
        return (_request, response, wheel) => {
          response.writeHead(200, { 'content-length': wheel.length })
          if (times++ % 2 === 1) response.end(wheel)
          else response.write(wheel.subarray(0, 70_000), () => response.destroy())
        }
      })(),
    ],
  ])('%s when the connection breaks', async (_, serve) => {
    const options = optionsFor()
    index.serve = serve
    orThrow(await installCuda(options))
    const provider = readFileSync(join(options.folder, 'libonnxruntime_providers_cuda.so'))
    expect(sha256(provider)).toBe(sha256(noise(wheelSize, 1)))
    expect(wheelsAsked().length).toBeGreaterThan(projects.length)
  })

  it.each<[string, Answer, RegExp]>([
    ['breaks off without a byte more', broken(0), /expected all of it from 127\.0\.0\.1:\d+, found /],
    ['refuses a file', (_request, response) => response.writeHead(403).end(), /found HTTP 403\./],
    [
      'sends more than it says',
      (_request, response, wheel) => response.end(concat(wheel, wheel)),
      /expected the SHA-256 digest/,
    ],
    [
      'sends less than it says',
      (_request, response, wheel) => response.end(wheel.subarray(0, 1000)),
      /expected the SHA-256 digest|found an end after \d+ of \d+ bytes/,
    ],
    ['says nothing', () => undefined, /found nothing for 0\.2 s\./],
  ])('gives up, and leaves nothing, where the server %s', async (name, serve, expected) => {
    index.serve = serve
    const patience = { attempts: 3, silence: name === 'says nothing' ? 200 : 60_000, pause: 1 }
    const message = messageOf(await installCuda(optionsFor({ patience })))
    expect(message).toMatch(expected)
    expect(everything()).toEqual(['data', 'data/cuda', 'native'])
  })

  it('takes nothing out of a damaged archive, whatever its digest', async () => {
    const file = library('nvidia/cu13/lib/libcublas.so.13', 3)
    for (const [bytes, expected] of [
      [zip([{ ...file, crc: 1 }]), /libcublas\.so\.13: expected 200000 bytes in .*, found others/],
      [zip([{ ...file, size: 1000 }]), /libcublas\.so\.13: expected 1000 bytes in .*, found others/],
      [
        zip([{ ...file, content: noise(1000, 1), deflated: false, method: 8 }]),
        /expected 1000 bytes in .*, found others/,
      ],
      [zip([file]).subarray(0, 100_000), /expected a wheel with a directory at its end, found none/],
      [zip([{ name: 'README', content: utf8('') }]), /expected libraries of CUDA, found none/],
    ] as const) {
      index.contents.set('nvidia-cublas', bytes)
      expect(messageOf(await installCuda(optionsFor()))).toMatch(expected)
      expect(everything()).toEqual(['data', 'data/cuda', 'native'])
    }
  })

  it('asks for space before anything is fetched, and clears away when it runs out all the same', async () => {
    const message = messageOf(await installCuda(optionsFor({ freeBytes: async () => 2_000_000 })))
    expect(message).toMatch(/expected 2\.\d+ MB of free space, found 2\.00 MB\. Make room, or .* --dir\./)
    expect(wheelsAsked()).toEqual([])
    let written = 0
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    const fileSystem: typeof nodeFileSystem = {
      ...nodeFileSystem,
      create: async (path) => {
        const file = await nodeFileSystem.create(path)
        return {
          ...file,
          write: async (bytes) => {
            written += bytes.byteLength
            if (written > 700_000) throw full
            return file.write(bytes)
          },
        }
      },
    }
    expect(messageOf(await installCuda(optionsFor({ fileSystem })))).toMatch(/found no space left on device\./)
    expect(written).toBeGreaterThan(700_000)
    expect(everything()).toEqual(['data', 'data/cuda', 'native'])
  })

  it('stops when it is asked to, and leaves nothing', async () => {
    const controller = new AbortController()
    index.serve = (_request, response, wheel) => {
      response.writeHead(200, { 'content-length': wheel.length })
      response.write(wheel.subarray(0, 1000))
      controller.abort()
    }
    const message = messageOf(await installCuda(optionsFor({ signal: controller.signal })))
    expect(message).toContain('found a request to stop. Nothing was changed')
    expect(everything()).toEqual(['data', 'data/cuda', 'native'])
  })

  it('says where it cannot put what, before anything is fetched', async () => {
    mkdirSync(at('mine'))
    writeFileSync(at('mine', 'thesis.txt'), 'mine')
    expect(messageOf(await installCuda(optionsFor({ folder: at('mine') })))).toContain('found one with other files')
    const readOnly = { version: '1.30.0', folder: '/proc/self' }
    if (process.platform === 'linux') {
      const message = messageOf(await installCuda(optionsFor({ native: readOnly })))
      expect(message).toMatch(/^\/proc\/self: expected a folder that can be written, .* in a folder of yours/)
      expect(messageOf(await installCuda(optionsFor({ folder: '/proc/x/y' })))).toMatch(/--dir\.$/)
    }
    writeFileSync(at('native', 'libonnxruntime_providers_cuda.so'), 'that of the install script')
    expect(messageOf(await installCuda(optionsFor()))).toMatch(
      /no provider of others, found libonnxruntime_providers_cuda/,
    )
    expect(index.asked).toEqual([])
    expect(readFileSync(at('native', 'libonnxruntime_providers_cuda.so'), 'utf8')).toBe('that of the install script')
    expect(readdirSync(at('mine'))).toEqual(['thesis.txt'])
  })

  it('plans without a change', async () => {
    const options = optionsFor()
    const before = everything()
    const plan = orThrow(await planCuda(options))
    expect(plan.wheels.map(({ project }) => project).sort()).toEqual(projects.map(([project]) => project).sort())
    expect(plan.bytes).toBe(projects.reduce((sum, [project]) => sum + wheelOf(project).length, 0))
    expect(plan.needed).toBeGreaterThan(plan.bytes)
    expect(wheelsAsked()).toEqual([])
    expect(everything()).toEqual(before)
  })
})

describe.skipIf(process.platform === 'win32')('removing', () => {
  it('takes away what was installed and the links to it, and nothing else', async () => {
    const options = optionsFor()
    orThrow(await installCuda(options))
    writeFileSync(join(options.folder, 'notes.txt'), 'mine')
    const dry = orThrow(await removeCuda(undefined, options.folder, options.native, true))
    expect(readdirSync(at('native'))).toHaveLength(2)
    const removed = orThrow(await removeCuda(undefined, options.folder, options.native, false))
    expect(removed).toEqual(dry)
    expect(removed).toMatchObject({ folder: realpathSync(options.folder), files: 9, left: ['notes.txt'] })
    expect(readdirSync(at('native'))).toEqual([])
    expect(readdirSync(options.folder)).toEqual(['notes.txt'])
    expect(messageOf(await removeCuda(undefined, options.folder, options.native, false))).toContain('--dir')
    expect(readdirSync(options.folder)).toEqual(['notes.txt'])
  })

  it('finds a folder of another name by the links, or by its name where these are gone', async () => {
    const options = optionsFor({ folder: at('elsewhere') })
    orThrow(await installCuda(options))
    orThrow(await removeCuda(undefined, at('usual'), options.native, false))
    expect(existsSync(at('elsewhere'))).toBe(false)
    orThrow(await installCuda(options))
    orThrow(await removeCuda(at('elsewhere'), at('usual'), undefined, false))
    expect(existsSync(at('elsewhere'))).toBe(false)
    expect(readdirSync(at('native'))).toHaveLength(2)
  })

  it('leaves links that lead into another folder', async () => {
    const [first, second] = [optionsFor({ folder: at('first') }), optionsFor({ folder: at('second') })]
    orThrow(await installCuda(first))
    orThrow(await installCuda(second))
    orThrow(await removeCuda(at('first'), undefined, second.native, false))
    expect(existsSync(at('first'))).toBe(false)
    const names = readdirSync(at('native'))
    expect(names).toHaveLength(2)
    for (const name of names) expect(realpathSync(join(at('native'), name))).toContain(realpathSync(at('second')))
  })

  it('ends what a removal that was killed has begun', async () => {
    const options = optionsFor()
    orThrow(await installCuda(options))
    rmSync(join(options.folder, 'libcudart.so.13'))
    orThrow(await removeCuda(undefined, options.folder, options.native, false))
    expect(existsSync(options.folder)).toBe(false)
  })
})

describe('the index', () => {
  const pages = new Map<string, { readonly type: string; readonly text: string }>()
  const heads: (string | undefined)[] = []

  /** An index that has one page for all projects. */
  const serving = async <A>(type: string, text: string, work: (url: string) => Promise<A>): Promise<A> => {
    const server = createServer((request, response) => {
      heads.push(request.headers.authorization)
      if (request.method === 'HEAD') return response.writeHead(200, { 'content-length': 77 }).end()
      return response.writeHead(200, { 'content-type': type }).end(text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    try {
      return await work(`http://user:p%40ss@127.0.0.1:${address.port}/simple`)
    } finally {
      server.close()
      server.closeAllConnections()
      pages.clear()
    }
  }

  const wanted = { project: 'some-thing', versions: '13.*', fits: (version: string) => version.startsWith('13.') }
  const digest = 'ab'.repeat(32)
  const file = (filename: string, more: object = {}) => ({
    filename,
    url: `https://files.example/${filename}`,
    hashes: { sha256: digest },
    size: 5,
    ...more,
  })
  const find = (files: ReadonlyArray<object>) =>
    serving('application/vnd.pypi.simple.v1+json', JSON.stringify({ files }), (url) =>
      findWheel(orThrow(findIndexUrl(url, {})), wanted),
    )

  it('gives the newest that is final, not withdrawn, and for Linux on x64', async () => {
    const best = 'some_thing-13.10.0-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl'
    const files = [
      file('some_thing-13.9.1-py3-none-manylinux_2_27_x86_64.whl'),
      file(best),
      file('some_thing-13.11.0-py3-none-manylinux_2_27_x86_64.whl', { yanked: 'broken' }),
      file('some_thing-13.12.0rc1-py3-none-manylinux_2_27_x86_64.whl'),
      file('some_thing-13.12.0.dev3-py3-none-manylinux_2_27_x86_64.whl'),
      file('some_thing-13.12.0-py3-none-manylinux_2_27_aarch64.whl'),
      file('some_thing-13.12.0-py3-none-win_amd64.whl'),
      file('some_thing-13.12.0.tar.gz'),
      file('some_thing-14.0.0-py3-none-manylinux_2_27_x86_64.whl'),
    ]
    expect(orThrow(await find(files))).toEqual({
      project: 'some-thing',
      version: '13.10.0',
      filename: best,
      url: `https://files.example/${best}`,
      sha256: digest,
      bytes: 5,
    })
    expect(messageOf(await find(files.slice(-2)))).toMatch(
      /^some-thing 13\.\* for Linux on x64: expected a wheel in http:.*\/some-thing\/, found wheels of 14\.0\.0\./,
    )
    expect(messageOf(await find([]))).toContain('found no wheels for it')
    expect(messageOf(await find([file(best, { hashes: {} })]))).toMatch('expected a SHA-256 digest')
  })

  it('is read as HTML too, sizes are asked for, and a password goes to its host only', async () => {
    const name = 'some_thing-13.1-py3-none-manylinux_2_27_x86_64.whl'
    const withdrawn = name.replace('13.1', '13.2')
    const page =
      `<a href="../../f/${name}?a=1&amp;b=2#sha256=${digest}" data-requires-python="&gt;=3">${name}</a>` +
      `<a data-yanked="" href="../../f/${withdrawn}#sha256=${digest}">${withdrawn}</a>`
    heads.length = 0
    const found = await serving('text/html', page, async (url) => findWheel(orThrow(findIndexUrl(url, {})), wanted))
    expect(orThrow(found)).toMatchObject({ version: '13.1', sha256: digest, bytes: 77 })
    expect(orThrow(found).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/f\/.*\.whl\?a=1&b=2$/)
    const login = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
    expect(heads).toEqual([login, login])
    heads.length = 0
    const outside = page.replaceAll('../../f/', 'http://localhost:1/f/')
    orThrow(await serving('text/html', outside, async (url) => findWheel(orThrow(findIndexUrl(url, {})), wanted)))
    expect(heads).toEqual([login])
  })

  it('is told from an answer that is none, a project that is not there, and a host that does not answer', async () => {
    const ask = (type: string, text: string) =>
      serving(type, text, async (url) => findWheel(orThrow(findIndexUrl(url, {})), wanted))
    expect(messageOf(await ask('application/json', '{}'))).toContain('found an answer without files')
    expect(messageOf(await ask('application/json', '{'))).toContain('NODE_USE_ENV_PROXY')
    const missing = { ...wanted, project: 'nothing' }
    expect(messageOf(await findWheel(orThrow(findIndexUrl(index.url, {})), missing))).toContain('found no such project')
    const gone = index.url
    index.close()
    expect(messageOf(await findWheel(orThrow(findIndexUrl(gone, {})), wanted))).toMatch(
      /found .*ECONNREFUSED.*--index-url/,
    )
  })

  it('is that of pip, found in its order', () => {
    const files: Record<string, string> = {
      '/etc/pip.conf':
        '[global]\nindex-url = https://site.example/simple\ntrusted-host = one.example\n  two.example:8080\n',
    }
    const url = (variables: Record<string, string>, given?: string): string =>
      orThrow(findIndexUrl(given, { HOME: '/home/me', ...variables }, (path) => files[path])).url.href
    expect(orThrow(findIndexUrl(undefined, { HOME: '/home/me' }, () => undefined)).url.href).toBe(
      'https://pypi.org/simple/',
    )
    expect(url({})).toBe('https://site.example/simple/')
    files['/home/me/.config/pip/pip.conf'] =
      '# mine\n[list]\nindex-url=https://no.example\n[install]\nindex_url: https://user.example/simple/\n'
    expect(url({})).toBe('https://user.example/simple/')
    files['/venv/pip.conf'] = '[global]\nindex-url=http://two.example:8080/x\n'
    expect(url({ VIRTUAL_ENV: '/venv' })).toBe('http://two.example:8080/x/')
    files['/named'] = '[global]\nindex-url=http://one.example/x\n'
    expect(url({ VIRTUAL_ENV: '/venv', PIP_CONFIG_FILE: '/named' })).toBe('http://one.example/x/')
    expect(url({ PIP_CONFIG_FILE: '/dev/null' })).toBe('https://pypi.org/simple/')
    expect(url({ PIP_INDEX_URL: 'https://env.example/s' })).toBe('https://env.example/s/')
    expect(url({ PIP_INDEX_URL: 'https://env.example/s' }, 'https://given.example')).toBe('https://given.example/')
  })

  it.each([
    ['not an address', 'nonsense'],
    ['http elsewhere', 'http://example.org/simple'],
    ['files', 'file:///etc'],
  ])('is refused: %s', (_, url) => {
    expect(messageOf(findIndexUrl(url, { HOME: '/nowhere' }, () => undefined))).toMatch(/\(--index-url\): expected/)
  })

  it('compares versions by their numbers', () => {
    const versions = ['13.10', '9.28.1.4', '13.9.5', '13.9']
    expect(versions.toSorted(compareVersions)).toEqual(['9.28.1.4', '13.9', '13.9.5', '13.10'])
    expect(compareVersions('13.0', '13')).toBe(0)
  })
})

describe('what is missing where CUDA does not work', () => {
  const missing = (name: string): string =>
    `Failed to load shared library (${name}: cannot open shared object file: No such file or directory)`
  const help = (reason: string, platform = 'linux', architecture = 'x64'): string =>
    cudaHelp(reason, platform, architecture)

  it('is the driver, where the libraries are there, and nothing else', () => {
    expect(lacksDriver(missing('libcuda.so.1'))).toBe(true)
    expect(help(missing('libcuda.so.1'))).toMatch(/^What is missing is the NVIDIA driver, .* 580\.65\.06 or newer/)
    for (const name of [
      'libcudart.so.13',
      'libcublasLt.so.13',
      'libcudnn.so.9',
      'libonnxruntime_providers_shared.so',
    ]) {
      expect(lacksDriver(missing(name))).toBe(false)
      expect(help(missing(name))).toContain('Run chasec doctor --install-cuda')
    }
    expect(help('Failed to load shared library')).toContain('Run chasec doctor --install-cuda')
  })

  it('is a newer driver, or a GPU', () => {
    const failed = (code: number, text: string) => `CUDA failure ${code}: ${text} ; GPU=0`
    expect(help(failed(35, 'CUDA driver version is insufficient for CUDA runtime version'))).toMatch(
      /^The NVIDIA driver.* is too old: CUDA 13 wants 580\.65\.06 or newer\.$/,
    )
    expect(help(failed(100, 'no CUDA-capable device is detected'))).toContain('nvidia-smi')
  })

  it('is a build, on other machines', () => {
    for (const [platform, architecture] of [
      ['linux', 'arm64'],
      ['darwin', 'arm64'],
      ['win32', 'x64'],
    ] as const) {
      expect(help('only cpu, webgpu', platform, architecture)).toMatch(
        /^onnxruntime-node has CUDA for Linux on x64 only\./,
      )
    }
  })

  it('lies in a folder of the user by version', () => {
    expect(usualFolder('1.30.0', { HOME: '/home/me' })).toBe('/home/me/.local/share/chasec/cuda/1.30.0')
    expect(usualFolder('1.30.0', { HOME: '/home/me', XDG_DATA_HOME: '/data' })).toBe('/data/chasec/cuda/1.30.0')
  })
})

/** On a machine that onnxruntime-node has CUDA for: the command, in a project whose onnxruntime-node is empty. */
describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('chasec doctor --install-cuda', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))

  const project = (): string => {
    const made = at('project', 'node_modules')
    mkdirSync(made, { recursive: true })
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (!name.startsWith('.') && name !== 'onnxruntime-node' && name !== 'chasec') {
        symlinkSync(join(root, 'node_modules', name), join(made, name))
      }
    }
    const native = join(made, 'onnxruntime-node')
    mkdirSync(join(native, 'bin', 'napi-v6', 'linux', 'x64'), { recursive: true })
    writeFileSync(join(native, 'package.json'), JSON.stringify({ version: '1.30.0', main: 'index.js' }))
    writeFileSync(join(native, 'index.js'), 'throw new Error("it is empty")')
    cpSync(join(root, 'dist'), join(made, 'chasec', 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(made, 'chasec', 'package.json'))
    return at('project')
  }

  interface Ran {
    readonly code: number | null
    readonly out: string
    readonly errors: string
  }

  const start = (
    cwd: string,
    args: ReadonlyArray<string>,
  ): { readonly child: ChildProcess; readonly ran: Promise<Ran> } => {
    const main = join(cwd, 'node_modules', 'chasec', 'dist', 'cli', 'main.js')
    const env = { PATH: process.env['PATH'] ?? '', HOME: folder, XDG_DATA_HOME: at('data'), PIP_INDEX_URL: index.url }
    const child = spawn(process.execPath, [main, 'doctor', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const ran = new Promise<Ran>((resolve) => {
      let [out, errors] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
      child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
      child.once('close', (code) => resolve({ code, out, errors }))
    })
    return { child, ran }
  }

  const run = (cwd: string, ...args: ReadonlyArray<string>): Promise<Ran> => start(cwd, args).ran

  it('installs, tells the environment, and removes; a killed one leaves what the next one clears away', async () => {
    const cwd = project()
    const native = join(cwd, 'node_modules', 'onnxruntime-node', 'bin', 'napi-v6', 'linux', 'x64')
    const target = at('data', 'chasec', 'cuda', '1.30.0')
    const none = await run(cwd, '--print-env')
    expect(none.code).toBe(2)
    expect(none.errors).toContain('Run chasec doctor --install-cuda first.')
    const two = await run(cwd, '--install-cuda', '--remove-cuda')
    expect(two.code).toBe(2)
    expect(two.errors).toMatch(/found --install-cuda and --remove-cuda\. Leave all but one out/)

    const dry = await run(cwd, '--install-cuda', '--dry-run')
    expect(dry.errors).toBe('')
    expect(dry.out).toMatch(
      /From 127\.0\.0\.1:\d+ would be fetched 1\.\d+ MB:\n( +\d+ kB {2}\S+\.whl\n){8}.*Nothing was changed\./,
    )
    expect(existsSync(at('data'))).toBe(false)

    const killed = start(cwd, ['--install-cuda'])
    index.serve = (_request, response, wheel) => {
      if (wheelsAsked().length < 4) return whole(_request, response, wheel)
      response.write(wheel.subarray(0, 1000))
      return void killed.child.kill('SIGKILL')
    }
    await killed.ran
    expect(existsSync(target)).toBe(false)
    expect(readdirSync(at('data', 'chasec', 'cuda')).filter((name) => name.includes('chasec-new'))).toHaveLength(1)
    expect(readdirSync(native)).toEqual([])

    index.serve = whole
    const installed = await run(cwd, '--install-cuda', '--json')
    // The provider of this test is none, so that it does not work for another reason than the driver.
    expect(installed.code).toBe(1)
    expect(JSON.parse(installed.out)).toMatchObject({
      installed: { folder: target, files: 9 },
      provider: { provider: 'cuda', usable: false },
    })
    expect(readdirSync(at('data', 'chasec', 'cuda'))).toEqual(['1.30.0'])
    const told = await run(cwd, '--print-env')
    expect(told).toEqual({
      code: 0,
      out: `export LD_LIBRARY_PATH='${realpathSync(target)}'"\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n`,
      errors: '',
    })
    const there = await run(cwd, '--install-cuda', '--dry-run')
    expect(there.out).toMatch(/^CUDA is there already: 9 libraries, .* Nothing would be fetched\.$/m)
    expect((await run(cwd, '--remove-cuda')).out).toMatch(/^Removed 9 files \(1\.\d+ MB\) of /)
    expect(readdirSync(at('data', 'chasec', 'cuda'))).toEqual([])
    expect(readdirSync(native)).toEqual([])
  })
})

describe('finding onnxruntime-node', () => {
  it('is done as Node does it, from a file', () => {
    expect(findNativePackage(`file://${at('file.js')}`)).toBe(undefined)
    const made = at('node_modules', 'onnxruntime-node')
    mkdirSync(join(made, 'bin', 'napi-v9'), { recursive: true })
    writeFileSync(join(made, 'package.json'), JSON.stringify({ version: '1.99.0' }))
    expect(findNativePackage(`file://${at('file.js')}`)).toEqual({
      version: '1.99.0',
      folder: join(realpathSync(made), 'bin', 'napi-v9', process.platform, process.arch),
    })
  })
})
