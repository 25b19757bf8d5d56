/** The page as it is built, in a real browser. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { build, preview } from 'vite'

const configFile = fileURLToPath(new URL('../../web/vite.config.ts', import.meta.url))

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where a browser is; undefined where there is none, which a test then says. */
export const browserHere: string | undefined = places.find((path) => existsSync(path))

export interface Site {
  readonly url: string
  readonly browser: Browser
  readonly close: () => Promise<void>
}

/** Has the browser compute WebGPU in software, where it brings what that takes. */
const softwareWebGpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

/** Another browser for a site that is open. */
export const withWebGpu = async (site: Site, executablePath: string): Promise<Site> => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', ...softwareWebGpu] })
  return { ...site, browser, close: () => browser.close() }
}

/** Builds the page, serves it, and starts a browser. */
export const openSite = async (executablePath: string): Promise<Site> => {
  const outDir = mkdtempSync(join(tmpdir(), 'chasec-web-'))
  await build({ configFile, logLevel: 'error', build: { outDir } })
  const server = await preview({ configFile, logLevel: 'error', build: { outDir }, preview: { port: 0 } })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const address = server.httpServer.address()
  if (address === null || typeof address === 'string') throw new Error('the page is not served')
  return {
    url: `http://localhost:${address.port}/`,
    browser,
    close: async () => {
      await browser.close()
      await server.close()
      rmSync(outDir, { recursive: true, force: true })
    },
  }
}

export interface Opened {
  readonly page: Page
  /** What went wrong on the page, and every request that left it for another place. */
  readonly complaints: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

/** The page in a context of its own; nothing it does has a limit of time. */
export const openPage = async ({ browser, url }: Site, options: BrowserContextOptions = {}): Promise<Opened> => {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(0)
  context.setDefaultNavigationTimeout(0)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', (request) => {
    const to = request.url()
    if (!to.startsWith(url) && !to.startsWith('blob:') && !to.startsWith('data:')) complaints.push(`request to ${to}`)
    if (request.method() !== 'GET') complaints.push(`${request.method()} ${to}`)
  })
  await page.goto(url)
  return { page, complaints, close: () => context.close() }
}

const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** Waits for what `name` calls; fails when the page says that something is wrong. */
export const untilThere = async (
  page: Page,
  role: 'heading' | 'slider' | 'button',
  name: string | RegExp,
): Promise<void> => {
  const alert = page.getByRole('alert')
  await page.getByRole(role, { name }).or(alert).first().waitFor()
  if ((await alert.count()) > 0) throw new Error(await alert.innerText())
}

/** What axe finds against WCAG 2.1, levels A and AA, and its own best practices; of other rules than `except`. */
export const accessibilityOf = async (
  page: Page,
  except: ReadonlyArray<string> = [],
): Promise<ReadonlyArray<string>> => {
  // Content policies hold for scripts of the page only.
  await page.evaluate(await axeSource())
  const rules = Object.fromEntries(except.map((rule) => [rule, { enabled: false }]))
  const options = JSON.stringify({ resultTypes: ['violations'], rules })
  const found: unknown = await page.evaluate(`axe.run(document, ${options})`)
  if (typeof found !== 'object' || found === null || !('violations' in found) || !Array.isArray(found.violations)) {
    throw new Error('axe gave no result')
  }
  return found.violations.map((violation) =>
    JSON.stringify(violation, ['id', 'help', 'nodes', 'html', 'failureSummary'], 1),
  )
}

/** How pages are looked at: by day and by night, on a desk and on a phone. */
export const looks = (['light', 'dark'] as const).flatMap((colorScheme) => [
  { name: `${colorScheme} on a desktop`, colorScheme, viewport: { width: 1280, height: 900 } },
  { name: `${colorScheme} on a phone`, colorScheme, viewport: { width: 390, height: 844 } },
])

/**
 * What is wrong with pages at these addresses, in all of `looks`, all of them unfolded: what axe finds, and whether something
 * sticks out to the side.
 */
export const faultsOf = async (
  executablePath: string,
  addresses: ReadonlyArray<string>,
  except: ReadonlyArray<string> = [],
): Promise<ReadonlyArray<string>> => {
  const faults: string[] = []
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  for (const { name, ...look } of looks) {
    const page = await browser.newPage(look)
    page.setDefaultTimeout(0)
    for (const address of addresses) {
      await page.goto(address)
      await page.evaluate(`for (const details of document.querySelectorAll('details')) details.open = true`)
      const found = [...(await accessibilityOf(page, except))]
      const width = await page.evaluate('document.documentElement.scrollWidth')
      if (width !== look.viewport.width) found.push(`is ${String(width)} pixels wide`)
      faults.push(...found.map((fault) => `${address}, ${name}: ${fault}`))
    }
    await page.close()
  }
  await browser.close()
  return faults
}

const axeSource = async (): Promise<string> => (await import('node:fs/promises')).readFile(axeFile, 'utf8')
