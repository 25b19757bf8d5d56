/** Builds the page: static files that need nothing from elsewhere, and work without a network once they were loaded. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { sortScript } from '../src/report/view/sort-script.ts'
import { serviceWorker } from './service-worker.ts'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** What the page and its workers may do: load from where they come from, and compute. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const headers = {
  'Content-Security-Policy': policy,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'X-Content-Type-Options': 'nosniff',
}

/** The script of reports as a module. */
const reportSort: Plugin = {
  name: 'report-sort',
  resolveId: (id) => (id === 'virtual:report-sort' ? id : undefined),
  load: (id) => (id === 'virtual:report-sort' ? sortScript : undefined),
}

/** In a browser ONNX Runtime runs in the worker itself, not in a process. */
const browserRunner: Plugin = {
  name: 'browser-runner',
  enforce: 'pre',
  async resolveId(id, importer, options) {
    if (importer === undefined || !id.endsWith('/runner.ts')) return undefined
    const found = await this.resolve(id, importer, { ...options, skipSelf: true })
    return found?.id === at('../src/run/runner.ts') ? at('src/runner.ts') : found
  },
}

/** Writes what keeps the page for later, with a list of its files, and what servers are to say with them. */
const offline: Plugin = {
  name: 'offline',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: policy }, injectTo: 'head-prepend' },
  ],
  generateBundle(_, bundle) {
    const files = Object.keys(bundle)
      // The build of ONNX Runtime for WebGPU is large, and loaded where there is WebGPU only.
      .filter((name) => !/asyncify/.test(name) && !name.endsWith('.map'))
      .sort()
    const content = createHash('sha256')
    for (const name of files) content.update(name)
    const source = serviceWorker(
      ['./', './icon.svg', ...files.filter((name) => name !== 'index.html')],
      content.digest('hex').slice(0, 16),
      headers,
    )
    this.emitFile({ type: 'asset', fileName: 'service-worker.js', source })
    const lines = Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`)
    this.emitFile({ type: 'asset', fileName: '_headers', source: `/*\n${lines.join('\n')}\n` })
  },
}

export default defineConfig({
  root: at('.'),
  base: './',
  // Sessions of ONNX Runtime, in pages and in workers.
  plugins: [reportSort, browserRunner, offline],
  worker: { format: 'es', plugins: () => [browserRunner] },
  build: { outDir: at('dist'), emptyOutDir: true, assetsInlineLimit: 0, target: 'es2023', chunkSizeWarningLimit: 1200 },
  server: { fs: { allow: [at('..')] } },
  preview: { headers },
})
