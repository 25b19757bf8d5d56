/** A page of a document, built by Vite and used in Chromium. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { build } from 'vite'

export const browser = '/usr/bin/chromium'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

/** Serves the files of a folder at localhost; gives the address, and what ends it. */
const served = async (folder: string): Promise<{ readonly address: string; readonly close: () => void }> => {
  const server = createServer(({ url = '/' }, response) => {
    const path = new URL(url, 'http://localhost').pathname
    try {
      const bytes = readFileSync(join(folder, path === '/' ? 'index.html' : path))
      response.writeHead(200, { 'Content-Type': types[extname(path === '/' ? '.html' : path)] ?? '' }).end(bytes)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { address: `http://localhost:${address.port}/`, close: () => server.close() }
}

/** Builds the page of `folder`, gives it `model`, and waits for what it says. Also the bytes behind its link. */
export const usePage = async (
  folder: string,
  model: string,
): Promise<{ readonly said: string; readonly bytes: number; readonly elsewhere: ReadonlyArray<string> }> => {
  const input = join(folder, 'index.html')
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    worker: { format: 'es' },
    build: { outDir: join(folder, 'page'), rolldownOptions: { input } },
  })
  const { address, close } = await served(join(folder, 'page'))
  const program = await chromium.launch({ executablePath: browser, args: ['--no-sandbox'] })
  try {
    const page = await program.newPage()
    page.setDefaultTimeout(0)
    const errors: string[] = []
    const elsewhere: string[] = []
    page.on('pageerror', (error) => errors.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url())) elsewhere.push(request.url())
    })
    await page.goto(address)
    await page.setInputFiles('input', model)
    const output = page.locator('output')
    while ((await output.textContent()) === '' && errors.length === 0) await page.waitForTimeout(50)
    if (errors.length > 0) throw new Error(errors.join('\n'))
    const said = (await output.textContent()) ?? ''
    const link = page.locator('a:visible')
    const bytes = (await link.count()) === 0 ? 0 : await link.evaluate(sizeBehind)
    return { said, bytes, elsewhere }
  } finally {
    await program.close()
    close()
  }
}

const sizeBehind = async (link: HTMLElement | SVGElement): Promise<number> =>
  (await (await fetch(link.getAttribute('href') ?? '')).arrayBuffer()).byteLength
