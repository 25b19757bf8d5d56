import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { plainStyle, styleFor } from '../../src/report/terminal/style.ts'
import { type Column, renderTable } from '../../src/report/terminal/table.ts'
import { clip, fitLines, shorten, wrapWords } from '../../src/report/terminal/width.ts'

const columns: ReadonlyArray<Column> = [
  { title: 'layer', fit: 'name' },
  { title: 'in', align: 'right' },
  { title: 'MACs', align: 'right', spare: 1 },
  { title: 'alone', align: 'right', spare: 3 },
  { title: 'stays', fit: 'text', spare: 2 },
]

const layer = '/encoder/layers/layers.11/self_attention/out_proj/MatMul'
const reason = 'a width is rounded up to one that the target runs faster'
const rows = [
  [layer, '64 → 40', '116 M → 47.0 M', '31.0 M', reason],
  ['/conv1/Conv', '3', '118 M', '118 M', ''],
]

const at = (width: number): ReadonlyArray<string> => renderTable(columns, rows, styleFor(false, width)).split('\n')

describe('a table on a terminal', () => {
  it('shows everything in full where there is no terminal, and where there is room', () => {
    const whole = renderTable(columns, rows, plainStyle)
    expect(whole).toContain(layer)
    expect(whole).toContain(reason)
    expect(at(200).join('\n')).toBe(whole)
  })

  it('shortens names in the middle, and goes on with texts in further lines below themselves', () => {
    const [head = '', first = '', second = '', third = '', last] = at(96)
    const start = head.indexOf('stays')
    expect(first).toMatch(/^\/encoder\/.*….*\/out_proj\/MatMul {2}64 → 40 {2}116 M → 47\.0 M {2}31\.0 M {2}a width is/)
    expect([first, second, third].map((line) => line.slice(start)).join(' ')).toBe(reason)
    expect([second, third].map((line) => line.slice(0, start).trim())).toEqual(['', ''])
    expect(last).toMatch(/^\/conv1\/Conv +3 +118 M {3}118 M$/)
  })

  it('leaves out what counts least, and says so', () => {
    expect(at(64)[0]).toMatch(/^layer +in +MACs$/)
    expect(at(64).at(-1)).toBe('Left out for want of room: alone; stays.')
    expect(at(40)[0]).toMatch(/^layer +in$/)
    expect(at(40).slice(-2)).toEqual(['Left out for want of room: MACs; alone;', 'stays.'])
  })

  it('is never wider than the terminal, whatever it holds', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '/', '重', 'é', 'e\u0301', '👩‍👩‍👧'), maxLength: 60 })
    const row = fc.tuple(text, fc.stringMatching(/^\d{0,5}$/), fc.stringMatching(/^\d{0,12}$/), fc.constant('1'), text)
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.integer({ min: 40, max: 130 }), (cells, width) => {
        const lines = renderTable(columns, cells, styleFor(true, width)).split('\n')
        expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(width)
      }),
    )
  })

  it('keeps columns in line where names have wide and combining characters', () => {
    const names = [
      '重みの層の名前がとても長いのでここで終わらない/畳み込み',
      'e\u0301'.repeat(50),
      'plain/name/of/a/layer/of/some/length/Conv',
    ]
    const table = renderTable(
      [{ title: 'layer', fit: 'name' }, { title: 'in' }],
      names.map((name) => [name, '| 64']),
      styleFor(false, 40),
    )
    const bars = table
      .split('\n')
      .slice(1)
      .map((line) => stringWidth(line.slice(0, line.indexOf('|'))))
    expect(new Set(bars)).toEqual(new Set([36]))
  })
})

describe('text in a number of terminal columns', () => {
  it('is shortened in the middle so that twice as much is left of its end', () => {
    expect(shorten('/layer1/layer1.0/conv1/Conv', 16)).toBe('/laye…conv1/Conv')
    expect(shorten('abcdefghij', 10)).toBe('abcdefghij')
    expect(shorten('abcdefghij', 7)).toBe('ab…ghij')
    // Each of these takes two columns, or none of its own.
    expect(shorten('重重重重重重', 7)).toBe('重…重重')
    expect(shorten('重重重重重重', 6)).toBe('…重重')
    expect(clip('e\u0301'.repeat(9), 4)).toBe(`${'e\u0301'.repeat(3)}…`)
  })

  it('is broken between words, and within those that are wider', () => {
    expect(wrapWords('a bb ccc', 4)).toEqual(['a bb', 'ccc'])
    expect(wrapWords('a abcdefgh b', 4)).toEqual(['a', 'abcd', 'efgh', 'b'])
  })

  it('keeps its indentation and its commands', () => {
    expect(fitLines('  one two three', 9)).toBe('  one two\n  three')
    expect(fitLines('Next: chasec compile model.onnx -o out', 20)).toBe('Next: chasec compile model.onnx -o out')
    expect(fitLines('  $ chasec doctor     what works on this machine', 24)).toBe(
      '  $ chasec doctor\n      what works on this\n      machine',
    )
    expect(fitLines('one two', Infinity)).toBe('one two')
  })
})
