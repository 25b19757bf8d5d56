/**
 * What README.md and docs/*.md show is run as it stands there: commands by the built command line, TypeScript checked and run,
 * recipes and maps decoded, Python where what it imports is there. Each document has a folder with what a reader brings along
 * (`docs/fixtures.ts`), in which its blocks follow one another. What cannot be run here says why in its name.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { decodeMap, decodeRecipe, decodeSweep, renderError } from '../src/api/index.ts'
import { isRecord } from '../src/ir/record.ts'
import { type Command, commandsOf, type Fence, fencesOf, fileNameOf, missingFrom, sessionOf } from './docs/fences.ts'
import { writeFixtures } from './docs/fixtures.ts'
import { browser, usePage } from './docs/page.ts'
import { startPrograms } from './docs/programs.ts'
import { recipePage } from './docs/recipe-page.ts'
import { compileFiles } from './docs/typescript.ts'
import { browserHere, faultsOf } from './web/browser.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.js')
const folder = mkdtempSync(join(tmpdir(), 'chasec-docs-'))
const brought = join(folder, 'brought')
const bin = join(folder, 'bin')
afterAll(() => rmSync(folder, { recursive: true }))

const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].map((name) => ({
  name,
  fences: fencesOf(readFileSync(join(root, name), 'utf8')),
  folder: join(folder, basename(name, '.md')),
}))

/** What a block names that is the reader's own. */
const readers: Readonly<Record<string, string>> = {
  yourStep: `const yourWeights = new Float32Array(300 * 784).fill(0.1)
const yourGradients = Float32Array.from(yourWeights, (_, i) => Math.sin(i))
const yourStep = (_: ReadonlyArray<Uint8Array>, _optimise: boolean) => ({ weights: [yourWeights], gradients: [yourGradients] })`,
}

const programOf = (fence: Fence): string => fileNameOf(fence) ?? `line-${fence.line}.ts`

const inTypeScript = documents.flatMap((document) =>
  document.fences.filter(({ language }) => language === 'ts').map((fence) => ({ document, fence })),
)

const problems: string[] = []

beforeAll(async () => {
  if (!existsSync(main)) throw new Error(`${main} is not there: run npm run build first`)
  for (const path of [brought, bin, ...documents.map((document) => document.folder)]) mkdirSync(path)
  await writeFixtures(brought, root)
  cpSync(join(brought, 'node_modules'), join(folder, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  rmSync(join(brought, 'node_modules'), { recursive: true })
  writeFileSync(join(bin, 'chasec'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  chmodSync(join(bin, 'chasec'), 0o755)
  const files = inTypeScript.map(({ document, fence }) => {
    const own = Object.entries(readers).flatMap(([name, text]) => (fence.text.includes(name) ? [text] : []))
    const path = join(document.folder, programOf(fence))
    writeFileSync(path, [...own, fence.text].join('\n'))
    return path
  })
  for (const document of documents) cpSync(join(brought, 'package.json'), join(document.folder, 'package.json'))
  for (const document of documents) {
    for (const fence of document.fences) {
      const name = fileNameOf(fence)
      if (name !== undefined) writeFileSync(join(document.folder, name), fence.text)
    }
  }
  problems.push(...compileFiles(files))
})

const python = process.env['PYTHON'] ?? 'python3'

const modulesMissing = (text: string): string => {
  const names = [...text.matchAll(/^(?:import|from) ([\w, .]+?)(?: import .*)?$/gm)].flatMap(([, found = '']) =>
    found.split(', ').map((name) => name.replace(/\..*$/, '')),
  )
  const wanted = [...new Set(['onnx', 'onnxruntime', ...names.filter((name) => name !== 'chasec')])]
  const missing = wanted.filter((name) => spawnSync(python, ['-c', `import ${name}`]).status !== 0)
  return missing.length === 0 ? '' : `${python} has no ${missing.join(', ')}; PYTHON names another`
}

const env = {
  PATH: `${bin}:${process.env['PATH'] ?? ''}`,
  HOME: process.env['HOME'] ?? '',
  PYTHONPATH: join(root, 'python'),
  CHASEC: `${process.execPath} ${main}`,
}

const programs = startPrograms(env)

const ran = (command: string, args: ReadonlyArray<string>, cwd: string): string => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`exit code ${status}\n${stderr}\n${stdout}`)
  return `${stdout}\n${stderr}`
}

/** Commands that are not run, by how they begin or what they ask for, and what it would take. */
const notRun: ReadonlyArray<readonly [pattern: RegExp, reason: string]> = [
  [/^npm (ci|install|rebuild)\b|^pip /, 'installs; CI does, from the packed package'],
  [/^chasec sweep (?!.*--dry-run)/, 'trains for hours, or needs Slurm; test/cli/sweep.test.ts and slurm.test.ts do'],
  [/^npm run /, 'is run by itself, and takes longer than a test may'],
  [/^docker /, 'no Docker image of Triton is here'],
  [/^(serve|curl) /, 'no server is here; test/serving.test.ts asks one'],
  [/--provider cuda|--install-cuda|--print-env|^node your-program/, 'no CUDA is here, and it is large'],
  [/--build-tfjs-node|tensorflow-cpu|and-cuda/, 'builds with a C++ compiler for minutes; CI does'],
]

/** What is made smaller where a command is run: photographs, epochs and the network that learns them. */
const shorter: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/--data (cifar10|images):\S+/, '--data images:DIR'],
  [/--model resnet20\b/, '--model mlp:32,16'],
  [/(--resume.*)--epochs \d+/, '$1--epochs 3'],
  [/^((?!.*--resume).*)--epochs \d+/, '$1--epochs 2'],
]

const shortened = (text: string): string =>
  shorter.reduce((command, [pattern, replacement]) => command.replace(pattern, replacement), text)

/** A folder of its own for the block: what the reader brings is as it was; what the blocks before made is left. */
const prepared = (document: { readonly folder: string }): string => {
  cpSync(brought, document.folder, { recursive: true })
  return document.folder
}

const shell = (command: Command, cwd: string): void => {
  const text = shortened(command.text)
  const made = / -o (\S+)/.exec(text)?.[1]
  if (made !== undefined && !text.includes('--resume')) rmSync(join(cwd, made), { recursive: true, force: true })
  const printed = ran('bash', ['-c', text], cwd)
  if (command.prints !== undefined) expect(missingFrom(printed, command.prints)).toBeUndefined()
}

/** What our decoders say of plain data, by what it is; other programs' data are only well-formed. */
const decoded = (data: unknown): ReadonlyArray<string> => {
  if (!isRecord(data)) return ['not an object']
  if ('apiVersion' in data) return []
  if (Object.values(data).some((entry) => isRecord(entry) && 'weight' in entry)) {
    const map = decodeMap(data)
    return E.isLeft(map) ? [renderError(map.left)] : []
  }
  if ('grid' in data) {
    const runs = decodeSweep(data)
    return E.isLeft(runs) ? runs.left.map(renderError) : []
  }
  const recipe = decodeRecipe('method' in data ? data : { method: { name: 'dense' }, ...data })
  return E.isLeft(recipe) ? recipe.left.map(({ subject, expected, found }) => `${subject}: ${expected}, ${found}`) : []
}

/** Where commands that train were met first. */
const trains = new Map<string, string>()

/** Why a command is not run. */
const reasonOf = (document: string, { text, line }: Command): string | undefined => {
  const place = `${document}, line ${line}`
  if (text.startsWith('chasec train') && !text.includes('--resume')) {
    const before = trains.get(text)
    if (before !== undefined) return `is run for ${before}`
    trains.set(text, place)
  }
  return notRun.find(([pattern]) => pattern.test(text))?.[1]
}

const testFence = (document: (typeof documents)[number], fence: Fence, after: Fence | undefined): void => {
  const title = `line ${fence.line}`
  switch (fence.language) {
    case 'sh':
    case 'console': {
      const commands = fence.language === 'sh' ? commandsOf(fence) : sessionOf(fence)
      for (const [i, command] of commands.entries()) {
        const reason = reasonOf(document.name, command)
        const name = `line ${command.line}: ${command.text}${reason === undefined ? '' : ` (skipped: ${reason})`}`
        it.skipIf(reason !== undefined)(name, () => {
          if (i === 0) prepared(document)
          shell(command, document.folder)
        })
      }
      return
    }
    case 'html':
      it.skipIf(!existsSync(browser))(
        `${title}: the page is built, and compiles and runs a model${existsSync(browser) ? '' : ` (skipped: no ${browser})`}`,
        async () => {
          expect(problems).toEqual([])
          const cwd = prepared(document)
          const { said, bytes, elsewhere } = await usePage(cwd, join(cwd, 'masked.onnx'))
          const [, before = NaN, after = NaN] =
            /^(\d+) -> (\d+) multiply-accumulates; .* ms$/.exec(said)?.map(Number) ?? []
          expect(after).toBeLessThan(before)
          expect(bytes).toBeGreaterThan(0)
          expect(elsewhere).toEqual([])
        },
      )
      return
    case 'ts':
      if (fileNameOf(fence) !== undefined) return
      it(`${title}: TypeScript runs`, async () => {
        expect(problems).toEqual([])
        const cwd = prepared(document)
        await programs.run(cwd, join(cwd, programOf(fence).replace(/ts$/, 'js')))
      })
      return
    case 'python': {
      const missing = modulesMissing(fence.text)
      it.skipIf(missing !== '')(`${title}: Python runs${missing === '' ? '' : ` (skipped: ${missing})`}`, () => {
        const printed = ran(python, ['-c', fence.text], prepared(document))
        if (after?.language === '') expect(missingFrom(printed, after.text)).toBeUndefined()
      })
      return
    }
    case 'yaml':
    case 'json':
      it(`${title}: what it holds is understood`, () => {
        expect(decoded(parse(fence.text))).toEqual([])
      })
      return
    case '':
      // What the block before it prints.
      return
    default:
      it(`${title}: blocks are of a kind that is tested`, () => {
        expect(fence.language).toBe('text')
      })
  }
}

describe.each(documents.filter(({ fences }) => fences.length > 0))('$name', (document) => {
  for (const [i, fence] of document.fences.entries()) testFence(document, fence, document.fences[i + 1])
})

describe('programs of the documents', () => {
  it('end by themselves', async () => {
    expect(await programs.end()).toBe(0)
  })
})

describe('npm run docs', () => {
  const site = join(folder, 'site')

  it('makes a site without warnings that loads nothing from elsewhere', () => {
    ran(process.execPath, [join(root, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--out', site], root)
    const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(html|css)$/.test(name))
    expect(pages).toContain(join('documents', 'recipe.html'))
    const loads =
      /<(?:script|link|img|iframe|source)\b[^>]*(?:src|href|srcset)="(?:https?:)?\/\/|(?:@import|url\()\s*["']?(?:https?:)?\/\//
    expect(pages.filter((name) => loads.test(readFileSync(join(site, name), 'utf8')))).toEqual([])
  })

  it('calls guides by their titles', () => {
    const guide = readFileSync(join(site, 'documents', 'exactness.html'), 'utf8')
    expect(guide).toContain('<title>How exactness works |')
  })

  it.skipIf(browserHere === undefined)(
    `makes pages without accessibility errors, no wider than a phone${browserHere === undefined ? ' (skipped: no Chromium)' : ''}`,
    async () => {
      const pages = ['index', 'documents/recipe', 'functions/chasec.compile']
      const addresses = pages.map((name) => pathToFileURL(join(site, `${name}.html`)).href)
      // Both are TypeDoc's own: links in what folds a list, and a heading of parameters two levels below a page's title.
      const known = ['nested-interactive', 'heading-order']
      expect(await faultsOf(browserHere ?? '', addresses, known)).toEqual([])
    },
  )
})

/** Without what a formatter does: spaces that align tables, lengths of lines. */
const plain = (text: string): string => text.replace(/-{3,}/g, '---').replace(/\s+/g, ' ')

describe('docs/recipe.md', () => {
  it('is what `npm run recipes` writes: every entry that decoders know', () => {
    expect(plain(readFileSync(join(root, 'docs', 'recipe.md'), 'utf8'))).toBe(plain(`${recipePage()}\n`))
  })
})

describe('these tests', () => {
  it('notice what is not printed', () => {
    expect(missingFrom('a  12 b\nc 3', 'a 7 b\n...\nc 44')).toBeUndefined()
    expect(missingFrom('a 12 b', 'a 7 c')).toBe('a # c')
  })
})
