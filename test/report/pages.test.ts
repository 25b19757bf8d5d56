/** Reports and comparisons in a real browser: for those who see little or use keys, by day and by night, on a desk and on a phone. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { afterAll, describe, expect, it } from 'vitest'
import type { CompileReport } from '../../src/passes/compile.ts'
import { renderComparison } from '../../src/report/comparison-page.tsx'
import { renderPage } from '../../src/report/report-page.tsx'
import type { Results } from '../../src/report/results.ts'
import { recordVerification } from '../../src/report/verification-record.ts'
import { browserHere, faultsOf } from '../web/browser.ts'
import { difference, measurements, report, training } from './fixtures.ts'

if (browserHere === undefined) console.info('not tested: reports in a browser, since Chromium is not installed')

const folder = mkdtempSync(join(tmpdir(), 'chasec-pages-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A network as deep as they come, with the names of PyTorch's exporter, which are long. */
const deep: CompileReport = {
  ...report,
  layers: report.layers.flatMap((layer) =>
    Array.from({ length: 40 }, (_, i) => {
      const place = `features.denseblock${1 + Math.floor(i / 10)}.denselayer${i % 10}.downsample.0.attention_projection`
      return { ...layer, layer: `/${place.replaceAll('.', '/')}/Conv.${layer.op}`, weight: `module.${place}.weight` }
    }),
  ),
}

const pictures = new Map(
  deep.layers.map(({ weight }) => [
    weight,
    { outputs: 4, inputs: 4, density: 0.3, rows: 2, columns: 2, cells: Float64Array.of(0, 0.02, 0.2, 1) },
  ]),
)

const results: Results = {
  version: '1.2.3',
  report: deep,
  pictures,
  model: { name: 'densenet-with-a-name-that-is-longer-than-a-line-of-a-phone.onnx', sha256: 'ab'.repeat(32) },
  verification: recordVerification({ ...difference, unseen: [{ output: 'logits_'.repeat(12), why: 'saturated' }] }),
  measured: { relativeError: 1e-6, speed: measurements },
  matching: {
    matched: deep.layers.map(({ layer, weight }) => ({
      ...{ mask: weight, shape: [64, 64, 3, 3], kept: 0.3, weight, weightShape: [64, 64, 3, 3], nodes: [layer] },
      ...{ way: 'name', layout: 'same' },
    })),
    unmasked: [{ weight: 'module.classifier.weight', shape: [10, 64], nodes: ['/classifier/Gemm'] }],
    notes: [],
  },
}

const run = (name: string) => ({
  ...{ name, settings: { model: 'net', data: `mnist:/home/${name}/a/folder/that/is/far/from/everything` } },
  ...{ recipe: training.recipe, history: training.history },
})

const pages: Readonly<Record<string, string>> = {
  compilation: renderPage(results),
  training: renderPage({ ...results, training }),
  comparison: renderComparison([run('chase'), run('a-run-with-a-rather-long-name'), run('dense')]),
}

const addresses = Object.entries(pages).map(([name, text]) => {
  const path = join(folder, `${name}.html`)
  writeFileSync(path, text)
  return pathToFileURL(path).href
})

describe.skipIf(browserHere === undefined)('reports in a browser', () => {
  it('have no accessibility errors and no more than the width of the screen', async () => {
    expect(await faultsOf(browserHere ?? '', addresses)).toEqual([])
  })

  it('break names between their parts, where they have to', async () => {
    const browser = await chromium.launch({ executablePath: browserHere ?? '', args: ['--no-sandbox'] })
    const page = await browser.newPage({ viewport: { width: 390, height: 844 } })
    page.setDefaultTimeout(0)
    await page.goto(addresses[0] ?? '')
    // The rows of text that a name is shown in, as far as a range of characters tells.
    const rows: unknown = await page.evaluate(`(() => {
      const range = document.createRange()
      const rows = new Map()
      const walker = document.createTreeWalker(document.querySelector('tbody th code'), NodeFilter.SHOW_TEXT)
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        for (let i = 0; i < node.data.length; i++) {
          range.setStart(node, i)
          range.setEnd(node, i + 1)
          const top = Math.round(range.getBoundingClientRect().top)
          rows.set(top, (rows.get(top) ?? '') + node.data[i])
        }
      }
      return [...rows.values()]
    })()`)
    if (!Array.isArray(rows)) throw new Error('no rows')
    expect(rows.length).toBeGreaterThan(1)
    for (const row of rows.slice(0, -1)) expect(row).toMatch(/[/._]$/)
    await browser.close()
  })
})
