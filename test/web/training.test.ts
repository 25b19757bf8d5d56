/**
 * Training in a real browser: on threads of a memory that is shared where the page is cross-origin isolated, on one elsewhere; to the
 * bits of Node whatever their number.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'
import { type Browser, chromium } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/train/backend/open.ts'
import { right } from '../train/loop/fixtures.ts'
import { browserHere } from './browser.ts'
import { serve } from './serve.ts'
import { job, type Outcome } from './training/job.ts'

if (browserHere === undefined) console.info('not tested: training in a browser, since Chromium is not installed')

const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

const policy = (workers: string) => ({
  'Content-Security-Policy': `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src ${workers}; img-src data:`,
})

interface Request {
  readonly threads?: number
  readonly address?: string
}

interface Answer extends Outcome {
  readonly description: string
  readonly whyOneThread?: string
  readonly error?: { readonly found: string; readonly help: string }
}

/** The module of that name in the guide. */
const ofGuide = (name: string): string => {
  const guide = readFileSync(new URL('../../docs/browser.md', import.meta.url), 'utf8')
  const [, text] = guide.split(`// ${name}\n`)
  if (text === undefined) throw new Error(`no ${name} in the guide`)
  return text.split('\n```')[0] ?? ''
}

const sources = fileURLToPath(new URL('../../src/api', import.meta.url))

/** Builds the page of a folder into another. */
const built = async (root: string, outDir: string): Promise<void> => {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    // As the build of chasec has it: the ES modules of fp-ts.
    resolve: { alias: { 'fp-ts/lib': 'fp-ts/es6', chasec: sources } },
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2023' },
  })
}

describe.skipIf(browserHere === undefined)('training in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chasec-training-'))
  let browser: Browser
  let expected: Outcome

  beforeAll(async () => {
    await built(fileURLToPath(new URL('training', import.meta.url)), folder)
    browser = await chromium.launch({ executablePath: browserHere ?? '', args: ['--no-sandbox'] })
    // What Chromium computes with; Node has it since 22 without being asked.
    v8.setFlagsFromString('--experimental-wasm-relaxed-simd')
    expected = await job(right(await openBackend('wasm', { threads: 1 })()))
  })

  afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true })
  })

  /** What the job comes to on a page with these headers, and what the page complained of. */
  const answerOf = async (
    headers: Readonly<Record<string, string>>,
    request: Request,
    { where = 'answerInWorker', before = '' }: { readonly where?: string; readonly before?: string } = {},
  ) => {
    const { address, close } = await serve(folder, headers)
    const page = await browser.newPage()
    page.setDefaultTimeout(0)
    const complaints: string[] = []
    page.on('pageerror', ({ message }) => complaints.push(message))
    page.on('console', (message) => complaints.push(message.text()))
    try {
      await page.addInitScript(before)
      await page.goto(address)
      const answer: Answer = await page.evaluate(`${where}(${JSON.stringify(request)})`)
      return { answer, complaints }
    } finally {
      await page.close()
      close()
    }
  }

  const sameAsNode = (answer: Answer): void => {
    const { history, model, masks, masked } = answer
    expect({ history, model, masks, masked }).toEqual(expected)
  }

  it('is of something: channels leave, and masks are left', () => {
    expect(expected.masked).toBeGreaterThan(3)
    expect(expected.history).toMatch(/"kind":"update"/)
    expect(expected.history).not.toMatch(/"loss":null/)
  })

  it.each([1, 2, 3])('in a worker of an isolated page, on %d threads, gives what Node gives', async (threads) => {
    const { answer, complaints } = await answerOf(isolated, { threads })
    expect(answer.description).toMatch(
      threads === 1 ? /, one thread, relaxed/ : new RegExp(`, ${threads} threads, rel`),
    )
    expect(answer.whyOneThread).toBeUndefined()
    sameAsNode(answer)
    expect(complaints).toEqual([])
  })

  it('on the thread of an isolated page, which may not sleep, does so too', async () => {
    const { answer, complaints } = await answerOf(isolated, { threads: 2 }, { where: 'answer' })
    expect(answer.description).toMatch(/, 2 threads/)
    sameAsNode(answer)
    expect(complaints).toEqual([])
  })

  it('takes as many threads as there are cores, at most four', async () => {
    const cores = (count: number) => `Object.defineProperty(navigator, 'hardwareConcurrency', { value: ${count} })`
    for (const [count, said] of [
      [1, 'one thread'],
      [3, '3 threads'],
      [16, '4 threads'],
    ] as const) {
      const { answer } = await answerOf(isolated, {}, { where: 'answer', before: cores(count) })
      expect(answer.description).toContain(`, ${said}`)
      expect(answer.whyOneThread).toBeUndefined()
    }
  })

  it.each(['answer', 'answerInWorker'])(
    'elsewhere trains on one thread, and says which headers are missing, once (%s)',
    async (where) => {
      const { answer, complaints } = await answerOf({}, { threads: 2 }, { where })
      expect(answer.description).toMatch(/, one thread/)
      expect(answer.whyOneThread).toMatch(/Cross-Origin-Opener-Policy: same-origin .*-Embedder-Policy: require-corp/)
      sameAsNode(answer)
      expect(complaints).toEqual([])
    },
  )

  it('under a policy that allows workers of texts has threads', async () => {
    const { answer, complaints } = await answerOf({ ...isolated, ...policy(`'self' blob:`) }, { threads: 2 })
    expect(answer.description).toMatch(/, 2 threads/)
    sameAsNode(answer)
    expect(complaints).toEqual([])
  })

  it.each(['answer', 'answerInWorker'])(
    'under a policy that does not trains on one thread, and says why (%s)',
    async (where) => {
      const { answer } = await answerOf({ ...isolated, ...policy(`'self'`) }, { threads: 2 }, { where })
      expect(answer.description).toMatch(/, one thread/)
      expect(answer.whyOneThread).toMatch(/^No thread could be started beside the first: .*worker-src blob:\.$/)
      sameAsNode(answer)
    },
  )

  it.each([
    ['throws', 'constructor() { throw new Error("no more workers") }', /no more workers\.$/],
    ['never answers', 'postMessage() {} terminate() {}', /did not answer within 20 seconds\.$/],
    [
      'fails',
      'postMessage() { this.onerror({ message: "out of memory", preventDefault() {} }) } terminate() {}',
      /out of/,
    ],
  ])('where a worker %s trains on one thread, and says why', async (_, body, reason) => {
    const before = `globalThis.Worker = class { ${body} }`
    const { answer } = await answerOf(isolated, { threads: 2 }, { where: 'answer', before })
    expect(answer.description).toMatch(/, one thread/)
    expect(answer.whyOneThread).toMatch(reason)
    sameAsNode(answer)
  })

  it.each([
    ['nothing/here.wasm', /nothing\/here\.wasm answers 404/],
    ['index.html', /^no WebAssembly that runs here: .*index\.html$/],
  ])('a build at %s is an error that says what to give', async (address, found) => {
    const { answer } = await answerOf(isolated, { threads: 1, address }, { where: 'answer' })
    expect(answer.error?.found).toMatch(found)
    expect(answer.error?.help).toMatch(/tfjs-backend-wasm-simd\.wasm/)
  })

  it('the worker of the guide trains', async () => {
    const own = mkdtempSync(join(tmpdir(), 'chasec-guide-'))
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(own, 'node_modules'))
    writeFileSync(join(own, 'train-worker.ts'), ofGuide('train-worker.ts'))
    writeFileSync(
      join(own, 'main.js'),
      `const part = (count) => ({
        images: Uint8Array.from({ length: count * 3072 }, (_, i) => (i * 7919) % 251),
        labels: Array.from({ length: count }, (_, i) => i % 2),
      })
      const worker = new Worker(new URL('./train-worker.ts', import.meta.url), { type: 'module' })
      globalThis.messages = new Promise((resolve, reject) => {
        const all = []
        worker.onerror = ({ message }) => reject(new Error(message))
        worker.onmessage = ({ data }) => {
          all.push(data)
          if (data.masks) resolve(all.map(({ says, step, loss, masks }) => says ?? masks?.length ?? [step, loss]))
        }
        worker.postMessage({ classes: ['a', 'b'], train: part(12), test: part(4) })
      })`,
    )
    writeFileSync(
      join(own, 'index.html'),
      '<link rel="icon" href="data:," /><script type="module" src="main.js"></script>',
    )
    await built(own, join(own, 'out'))
    const { address, close } = await serve(join(own, 'out'), isolated)
    const page = await browser.newPage()
    page.setDefaultTimeout(0)
    try {
      await page.goto(address)
      const [says, ...rest]: ReadonlyArray<unknown> = await page.evaluate('messages')
      expect(says).toMatch(/in WebAssembly, .* relaxed SIMD/)
      const chunks = rest.pop()
      expect(chunks).toBeGreaterThan(1)
      expect(rest).toEqual(Array.from({ length: 10 }, (_, i) => [i + 1, expect.any(Number)]))
    } finally {
      await page.close()
      close()
      rmSync(own, { recursive: true })
    }
  })
})
