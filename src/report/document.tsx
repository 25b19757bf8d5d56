/** The frame of a page that needs nothing from elsewhere. */
import type { ComponentChildren } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { printable } from '../ir/printable.ts'
import { pageStyle } from './view/page-style.ts'
import { sortScript, sortScriptDigest } from './view/sort-script.ts'

/** What the page may do: show its own style, run its own script, and nothing else. */
const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${sortScriptDigest}'`

/** A whole page of HTML; the same content gives the same bytes. */
export const renderDocument = (title: string, content: ComponentChildren): string => {
  const name = printable(title)
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
          {content}
        </main>
        <script dangerouslySetInnerHTML={{ __html: sortScript }} />
      </body>
    </html>
  )
  return `<!doctype html>\n${renderToString(page)}\n`
}
