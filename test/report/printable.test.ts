import { describe, expect, it } from 'vitest'
import { printable, printableStyled } from '../../src/ir/printable.ts'
import { renderError, failure } from '../../src/ir/failure.ts'
import { renderPage } from '../../src/report/report-page.tsx'
import { toJson } from '../../src/report/json.ts'
import { styleFor } from '../../src/report/terminal/style.ts'
import { report } from './fixtures.ts'

/** C0, DEL, C1, direction, separators, half a surrogate pair. */
const hostile = 'a\x07\x1b[2J\x7f\x9b31m\u202egpj.exe\u2066\u2028\ud800z'

const raw = /(?![\t\n])[\p{Control}\u202a-\u202e\u2028\u2066-\u2069]/u

describe('names that are not safe to show', () => {
  it('are escaped, and everything else stays', () => {
    expect(printable(hostile)).toBe('a\\u0007\\u001b[2J\\u007f\\u009b31m\\u202egpj.exe\\u2066\\u2028\\ud800z')
    for (const text of ['/layer1/conv1/Conv', 'Größe 層 😀 \ufffd', 'two\n\tlines']) expect(printable(text)).toBe(text)
  })

  it('keep the styles of the terminal, and no other sequence', () => {
    const { bold, dim, red, yellow, green } = styleFor(true)
    for (const paint of [bold, dim, red, yellow, green]) expect(printableStyled(paint('x'))).toBe(paint('x'))
    expect(printableStyled(red(hostile))).toBe(red(printable(hostile)))
    expect(printableStyled('\x1b]0;title\x07\x1b[1A\x1b[8m')).not.toMatch(raw)
  })

  it('come back from JSON as they were', () => {
    const value = { [hostile]: [hostile], list: new Map([[hostile, 1]]) }
    for (const indent of [0, 2]) {
      const text = toJson(value, indent)
      expect(text).not.toMatch(raw)
      expect(JSON.parse(text)).toEqual({ [hostile]: [hostile], list: { [hostile]: 1 } })
    }
  })

  it('are shown in HTML and in errors', () => {
    const layers = report.layers.map((layer) => ({ ...layer, layer: `<${hostile}>`, weight: hostile }))
    const page = renderPage({
      version: hostile,
      report: { ...report, layers },
      model: { name: hostile, sha256: hostile },
    })
    expect(page).not.toMatch(raw)
    expect(page).toMatch('&lt;a\\u0007')
    const error = failure('ReadError', `value ${hostile}`, 'a name', hostile, 'Rename it.')
    expect(toJson({ error })).not.toMatch(raw)
    expect(printable(renderError(error))).not.toMatch(raw)
  })
})
