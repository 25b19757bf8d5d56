/** A page of a document, built by Vite and used in Chromium. */
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { build } from 'vite'
import { serve } from '../web/serve.ts'

export const browser = '/usr/bin/chromium'

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
  const { address, close } = await serve(join(folder, 'page'))
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
