/** `report.html`: a compilation as one page that needs nothing from elsewhere. */
import { renderToString } from 'preact-render-to-string'
import { printable } from '../ir/printable.ts'
import type { Results } from './results.ts'
import { pageStyle } from './view/page-style.ts'
import { nameOfResults, Result } from './view/result.tsx'
import { sortScript, sortScriptDigest } from './view/sort-script.ts'

/** What the page may do: show its own style, run its own script, and nothing else. */
const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${sortScriptDigest}'`

/** The page; the same results give the same bytes. */
export const renderPage = (results: Results): string => {
  const name = printable(nameOfResults(results))
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policy} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${name} · chasec`}</title>
        <style dangerouslySetInnerHTML={{ __html: pageStyle }} />
      </head>
      <body>
        <main>
          <h1>{name}</h1>
          <Result results={results} />
        </main>
        <script dangerouslySetInnerHTML={{ __html: sortScript }} />
      </body>
    </html>
  )
  return `<!doctype html>\n${renderToString(page)}\n`
}
